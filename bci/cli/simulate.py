"""`bci simulate`."""

from __future__ import annotations

import time
from pathlib import Path

import click

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
@click.option(
    "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help="Speed of the serial line."
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
def command(
    play: Path | None,
    subject: str | None,
    labels: tuple[str, ...],
    seed: int,
    intent: float,
    baud: int,
    speed: float,
    socket: bool,
    seconds: float | None,
) -> int:
    """Run a simulated board; its port is printed on the first line. Any program can connect to it."""
    import tempfile

    from bci.acquisition.simulator import SimulatedBoard
    from bci.interop import parse_labels
    from bci.sessions.staging import lay_down, stage_synthetic

    with tempfile.TemporaryDirectory(prefix="bci-") as folder:
        signal = stage_synthetic(seed=seed, intent=intent).signal
        if play is not None:
            signal = lay_down(
                play,
                subject=subject,
                labels=parse_labels(labels) if labels else None,
                play_file=Path(folder) / "played.npz",
            )
        with SimulatedBoard(
            signal, baud=baud, speed=speed, transport="socket" if socket else "auto"
        ) as board:
            click.echo(board.port)
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
