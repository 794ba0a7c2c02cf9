"""`bci simulate`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import click

from bci.acquisition.simulator import Played, SimulatedBoard, Synthetic
from bci.cli._fault_options import FAULT_FORMS, parse_fault

__all__ = ["command"]


@click.command("simulate", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--play",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Play a recording instead of synthetic EEG.",
)
@click.option("--subject", metavar="ID", help="Whose runs, where PATH is a folder of several people.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=MARKER", help="What a class is called in the recording."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The synthetic wearer.")
@click.option(
    "--intent", type=click.FloatRange(0.0, 3.0), default=1.0, show_default=True, help="Strength of intent."
)
@click.option("--montage", metavar="NAMES", help="Electrodes of the synthetic wearer, e.g. C3,Cz,C4.")
@click.option(
    "--dialect",
    type=click.Choice(["bfp", "cyton"]),
    default="bfp",
    show_default=True,
    help="cyton: an OpenBCI Cyton with 8 electrodes, or with Daisy and 16.",
)
@click.option(
    "--baud",
    type=click.IntRange(9600),
    default=None,
    help="Speed of the serial line. Default: 921600, of a Cyton 115200.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.0),
    default=1.0,
    show_default=True,
    help="1 real time, 0 at the reader's pace.",
)
@click.option("--socket", is_flag=True, help="Listen on socket://127.0.0.1 instead of a pseudo-terminal.")
@click.option(
    "--seconds", type=click.FloatRange(0.0), default=None, help="End after so long. Default: until Ctrl-C."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[:OPTION=VALUE,…]",
    help=f"What goes wrong, as often as you like: {FAULT_FORMS}.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what the board does on purpose, one JSON object a line.",
)
def command(
    play: Path | None,
    subject: str | None,
    labels: tuple[str, ...],
    seed: int,
    intent: float,
    montage: str | None,
    dialect: str,
    baud: int | None,
    speed: float,
    socket: bool,
    seconds: float | None,
    faults: tuple[str, ...],
    truth: Path | None,
) -> int:
    """Run a simulated board; its port is printed on the first line. Any program can connect to it."""
    import tempfile

    from bci.interop import parse_labels
    from bci.sessions.staging import lay_down, stage_synthetic

    wrong = [parse_fault(text) for text in faults]
    if truth is not None and truth.is_dir():
        raise click.BadParameter(f"--truth takes a file; {truth} is a folder")
    with tempfile.TemporaryDirectory(prefix="bci-") as folder:
        try:
            signal: Synthetic | Played = _with_montage(
                stage_synthetic(seed=seed, intent=intent).signal, montage
            )
            if play is not None:
                signal = lay_down(
                    play,
                    subject=subject,
                    labels=parse_labels(labels) if labels else None,
                    play_file=Path(folder) / "played.npz",
                )
            simulated = SimulatedBoard(
                signal,
                baud=baud,
                speed=speed,
                dialect=cast(Literal["bfp", "cyton"], dialect),
                transport="socket" if socket else "auto",
                truth_path=truth,
                faults=wrong,
            )
        except (ValueError, OSError) as err:
            raise click.ClickException(str(err)) from err
        with simulated as board:
            click.echo(f"cyton://{board.port}" if dialect == "cyton" else board.port)
            codes = ", ".join(f"{code} = {name}" for code, name in board.labels.items())
            click.echo(
                f"{len(board.channels)} channels at {float(board.rate):g} Hz; cue codes: {codes}. Ctrl-C ends it.",
                err=True,
            )
            started = time.monotonic()
            while seconds is None or time.monotonic() - started < seconds:
                board.check()
                time.sleep(0.1)
    return 0


def _with_montage(signal: Synthetic | Played, montage: str | None) -> Synthetic | Played:
    names = tuple((montage or "").replace(" ", "").split(","))
    return replace(signal, montage=names) if montage and isinstance(signal, Synthetic) else signal
