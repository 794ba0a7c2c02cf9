"""`bci record`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bci.language import N_, _, thing_word

if TYPE_CHECKING:
    from bci.acquisition import Source

__all__ = ["command"]

READ_S = 0.1
MAX_CODE = 0xFFFF
EVENTS = {
    "lost": N_("The board is gone. Looking for it; put the cable back in."),
    "stalled": N_("The board is silent."),
    "returned": N_("The board is back; the recording goes on."),
}


@click.command("record", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.bfp")
@click.option("--port", required=True, metavar="PORT", help="/dev/ttyUSB0, COM3, socket://127.0.0.1:5555 …")
@click.option(
    "--dialect",
    type=click.Choice(["bfp", "cyton"]),
    default="bfp",
    show_default=True,
    help="What the board speaks; cyton: an OpenBCI Cyton, with or without Daisy.",
)
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
@click.option(
    "--mark",
    "marks",
    multiple=True,
    metavar="KEY=NAME",
    help="What a key marks, e.g. --mark g=grasp. Any other key marks itself.",
)
@click.option(
    "--code", "codes", multiple=True, metavar="CODE=NAME", help="Names of the trigger line's codes."
)
def command(
    file: Path,
    port: str,
    dialect: str,
    baud: int,
    seconds: float | None,
    note: str,
    marks: tuple[str, ...],
    codes: tuple[str, ...],
) -> int:
    """Stream from a board into a recording.

    The recording is the wire itself, both ways, and readable by others from the first second. Each key sets a marker;
    lines do where the input is a pipe. Ctrl-C ends it cleanly.
    """
    from bci.acquisition import open_source
    from bci.cli._keys import Keys

    names = _pairs(marks, "--mark", "KEY=NAME")
    labels = _labels(codes)
    cyton = dialect == "cyton" or port.startswith("cyton://")
    url = f"cyton://{port.removeprefix('cyton://')}" if cyton else port
    notes = {"note": note} if note else {}
    # a cable pulled for a while is a gap, not the end
    options: dict[str, Any] = {} if cyton else {"reconnect": True}
    with open_source(url, baud=baud, labels=labels, record_to=file, notes=notes, **options) as source:
        _announce(source, file)
        source.start()
        started = shown = time.monotonic()
        alarm = ""
        try:
            with Keys() as keys:
                while seconds is None or time.monotonic() - started < seconds:
                    for marker in (m for chunk in source.read(READ_S) for m in chunk.markers):
                        if marker.source == "host" and marker.label in EVENTS:
                            click.secho(f"\n{_(EVENTS[marker.label])}", fg="yellow", err=True)
                    for key in keys.pressed():
                        label = names.get(key, key)
                        source.mark(label, code=ord(key) if len(key) == 1 and ord(key) <= MAX_CODE else 0)
                        said = _("marked {label!r}").format(label=label)
                        click.echo(f"\r{time.monotonic() - started:6.1f} s  {said}{'':30}", err=True)
                    if (error := getattr(source, "recording_error", None)) is not None:
                        raise error
                    if (now := time.monotonic()) - shown >= 1.0:
                        shown = now
                        _progress(source, now - started)
                        if (warning := getattr(source, "recording_alarm", "")) and not alarm:
                            alarm = warning
                            click.secho(f"\nbci: {alarm}", fg="yellow", err=True)
        except KeyboardInterrupt:
            pass
        finally:
            if not source.ended:
                source.stop()
                source.read(0.0)
            s = source.statistics
            said = _("{samples} samples, {lost} lost, {faults} damaged packets: {path}")
            click.echo(
                "\n" + said.format(samples=f"{s.samples:,}", lost=s.samples_lost, faults=s.faults, path=file),
                err=True,
            )
    return 0


def _announce(source: Source, file: Path) -> None:
    from bci.acquisition import hours_left, recording_bytes_per_s

    info = source.info
    click.echo(
        _("{device}: {n} channels at {fs_hz:g} Hz into {path}").format(
            device=thing_word(info.device), n=info.n_channels, fs_hz=info.fs_hz, path=file
        ),
        err=True,
    )
    client = getattr(source, "client", None)
    rate = (
        getattr(source, "bytes_per_s", 0.0) if client is None else recording_bytes_per_s(client.configuration)
    )
    if not rate:
        return
    hours = hours_left(file, rate)
    if hours >= 1:
        room = _("{mb} MB an hour; the disk has room for {hours} hours")
    else:
        room = _("{mb} MB an hour; the disk has room for {minutes} minutes")
    said = room.format(
        mb=f"{rate * 3600 / 1e6:.0f}",
        hours=f"{hours:.0f}" if hours >= 10 else f"{hours:.1f}",
        minutes=f"{hours * 60:.0f}",
    )
    click.secho(said, fg="yellow" if hours < 1 else None, err=True)


def _progress(source: Source, passed_s: float) -> None:
    s = source.statistics
    said = _("{samples} samples, {lost} lost").format(samples=f"{s.samples:,}", lost=s.samples_lost)
    click.echo(f"\r{passed_s:6.0f} s  {said}  ", err=True, nl=False)


def _labels(codes: tuple[str, ...]) -> dict[int, str]:
    labels = _pairs(codes, "--code", "CODE=NAME")
    if wrong := [code for code in labels if not code.isdecimal()]:
        raise click.BadParameter(
            _("--code takes CODE=NAME with a number, e.g. --code 1=rest; got {text!r}").format(text=wrong[0])
        )
    return {int(code): name for code, name in labels.items()}


def _pairs(options: tuple[str, ...], option: str, form: str) -> dict[str, str]:
    pairs = {}
    for text in options:
        key, sign, name = text.partition("=")
        if not (key and sign and name):
            raise click.BadParameter(
                _("{option} takes {form}; got {text!r}").format(option=option, form=form, text=text)
            )
        pairs[key] = name
    return pairs
