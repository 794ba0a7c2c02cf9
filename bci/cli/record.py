"""`bci record`."""

from __future__ import annotations

import time
from pathlib import Path

import click

__all__ = ["command"]


@click.command("record", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.bfp")
@click.option("--port", required=True, metavar="PORT", help="/dev/ttyUSB0, COM3, socket://127.0.0.1:5555 …")
@click.option(
    "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help="Speed of the serial line."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.0, min_open=True),
    default=None,
    help="End after so long. Default: Ctrl-C.",
)
@click.option("--note", default="", help="Free text kept in the recording; no names of patients, please.")
def command(file: Path, port: str, baud: int, seconds: float | None, note: str) -> int:
    """Stream from a board into a recording.

    The recording is the wire itself, both ways, and readable by others from the first second. Ctrl-C ends it cleanly.
    """
    from bci.acquisition import open_source

    notes = {"note": note} if note else {}
    with open_source(port, baud=baud, record_to=file, notes=notes) as source:
        info = source.info
        click.echo(f"{info.device}: {info.n_channels} channels at {info.fs_hz:g} Hz into {file}", err=True)
        source.start()
        started = shown = time.monotonic()
        try:
            while seconds is None or time.monotonic() - started < seconds:
                source.read(0.2)
                if (now := time.monotonic()) - shown >= 1.0:
                    shown = now
                    s = source.statistics
                    click.echo(
                        f"\r{now - started:6.0f} s  {s.samples:>10,} samples  {s.samples_lost} lost",
                        err=True,
                        nl=False,
                    )
        except KeyboardInterrupt:
            pass
        finally:
            source.stop()
            s = source.statistics
            click.echo(
                f"\n{s.samples:,} samples, {s.samples_lost} lost, {s.faults} damaged packets: {file}",
                err=True,
            )
    return 0
