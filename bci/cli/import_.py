"""`bci import`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bci.cli._bar import progress_bar
from bci.cli._lists import words
from bci.cli.export import told

__all__ = ["command"]


@click.command("import", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="NEW.bfp",
    help="Default: beside FILE, NAME.bfp.",
)
@click.option(
    "--from",
    "source",
    default="",
    metavar="FORMAT",
    help="Where it cannot be seen: edf, xdf, mne, csv, openbci …",
)
@click.option(
    "--unit", type=click.Choice(["uV", "mV", "V", "nV"]), help="What a stored number is, if the file errs."
)
@click.option(
    "--channels",
    default="",
    metavar="NAMES",
    help="Those to take; or names for a file that has none: C3,Cz,C4.",
)
@click.option(
    "--rate",
    "rate_hz",
    type=click.FloatRange(0.0, min_open=True),
    metavar="HZ",
    help="If the file does not say it.",
)
@click.option(
    "--gain",
    type=click.Choice(["1", "2", "4", "6", "8", "12", "24"]),
    help="Of an SD card's log, which does not say it. Default: 24, with which a Cyton starts.",
)
@click.option(
    "--aux", is_flag=True, help="Also channels that measure no voltage: temperature, acceleration …"
)
@click.option(
    "--salvage", is_flag=True, help="Of an EDF, BDF, XDF or CSV file that was cut: take what is whole."
)
@click.option("--keep-date", is_flag=True, help="Keep date and time of the original.")
@click.option("--force", is_flag=True, help="Replace NEW.bfp if it exists already.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
def command(
    file: Path,
    output: Path | None,
    source: str,
    unit: str | None,
    channels: str,
    rate_hz: float | None,
    gain: str | None,
    aux: bool,
    salvage: bool,
    keep_date: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Make a recording of a file of another system, so that everything here can read, play and export it.

    Read are EDF and BDF (also discontinuous), GDF, FIF, BrainVision, EEGLAB, XDF, CSV of `bci export`, and OpenBCI's
    files. Codes of trigger channels become markers; gaps stay gaps. Names, birthdays and dates stay behind.
    """
    from bci.interop import ImportOptions, import_file

    target = output or file.with_suffix(".bfp")
    options = ImportOptions(
        unit=unit or "",
        channels=words(channels),
        rate_hz=rate_hz or 0.0,
        aux=aux,
        gain=int(gain or 0),
        salvage=salvage,
    )
    began = time.monotonic()
    with progress_bar(f"{file.name} → {target.name}", hidden=as_json) as progress:
        made = import_file(
            file, target, source=source, options=options, keep_date=keep_date, force=force, progress=progress
        )
    told(made, time.monotonic() - began, as_json)
    return 0
