"""`bci demo`."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import click

from bci.cli._lists import words
from bci.errors import LabelError
from bci.language import _

__all__ = ["command"]


@click.command("demo", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--recording", type=click.Path(path_type=Path), metavar="PATH", help="Play real EEG: a file or a folder."
)
@click.option("--subject", metavar="ID", help="Whose runs, where a folder holds several people (S02).")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=MARKER", help="What a class is called in the recording."
)
@click.option(
    "--unit", type=click.Choice(["uV", "mV", "V", "nV"]), help="What a stored number is, if the file errs."
)
@click.option(
    "--calibrate", metavar="RUNS", help="Runs to calibrate on, e.g. R1,R2. Default: the earlier half."
)
@click.option("--control", metavar="RUNS", help="Runs to control in, e.g. R3,R4. Default: the later half.")
@click.option(
    "--intent", type=click.FloatRange(0.0, 3.0), default=1.0, show_default=True, help="Strength of intent."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The synthetic wearer.")
@click.option(
    "--port", metavar="PORT", help="A board that is already there, in real time, instead of a simulated one."
)
@click.option(
    "--code", "codes", multiple=True, metavar="CODE=NAME", help="With --port: trigger codes of the classes."
)
@click.option(
    "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help="Speed of the serial line."
)
@click.option(
    "--live", "live_s", type=click.FloatRange(0.0), default=8.0, show_default=True, help="Real-time part, s."
)
@click.option(
    "--budget",
    type=click.FloatRange(0.05, 20.0),
    help="False movements/min accepted. Default: the profile's, or 1.",
)
@click.option(
    "--hand",
    type=click.Choice(["simulated", "ability", "rh56"]),
    default="simulated",
    show_default=True,
    help="Whose simulator to control, on its real bytes.",
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The user's limits, grips and control, TOML.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", help="New folder for what the session leaves."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary for programs, and nothing else, on stdout."
)
def command(
    recording: Path | None,
    subject: str | None,
    labels: tuple[str, ...],
    unit: str | None,
    calibrate: str | None,
    control: str | None,
    intent: float,
    seed: int,
    port: str | None,
    codes: tuple[str, ...],
    baud: int,
    live_s: float,
    budget: float | None,
    hand: str,
    profile: Path | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """The whole way once, in half a minute, without any hardware.

    A simulated board in a process of its own speaks the real bytes; a calibration with cues, training, and control of
    a simulated hand follow, faster than life but for a part near the end. With --recording the board plays real EEG.
    Everything stays in one folder: the recording (.bfp), the model, the event log and a report to open in a browser.
    """
    from bci.cli._view import choose_view, print_summary
    from bci.interop import parse_labels
    from bci.prosthesis import read_profile
    from bci.sessions.demo import DemoOptions, run_demo

    folder = output or Path("bci-output") / time.strftime("demo-%Y%m%d-%H%M%S")
    options = DemoOptions(
        output=folder,
        seed=seed,
        intent=intent,
        recording=recording,
        subject=subject,
        labels=parse_labels(labels) if labels else None,
        unit=unit,
        calibrate=words(calibrate),
        control=words(control),
        port=port,
        port_labels=_codes(codes),
        baud=baud,
        live_s=live_s,
        budget_per_min=budget,
        hand=hand,
        profile=read_profile(profile) if profile else None,
        stop_key=not as_json,
    )
    try:
        with choose_view(sys.stderr) as view:
            summary = run_demo(options, view)
    except BaseException:
        recorded = folder / "recording.bfp"
        if recorded.exists():
            click.echo(_("What was recorded until now: {path}").format(path=recorded), err=True)
        else:
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing came of it; a folder that holds anything stays
        raise
    if as_json:
        click.echo(summary.to_json())
    else:
        print_summary(summary)
    return 0


def _codes(options: tuple[str, ...]) -> dict[int, str]:
    codes: dict[int, str] = {}
    for option in options:
        code, sign, name = option.partition("=")
        if not (sign and name and code.isdecimal()):
            raise LabelError(
                _(
                    "trigger codes are given as CODE=NAME, e.g. --code 1=rest --code 3=right; got {option!r}"
                ).format(option=option)
            )
        codes[int(code)] = name
    return codes
