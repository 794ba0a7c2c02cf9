"""`bci export`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bci.cli._bar import progress_bar

if TYPE_CHECKING:
    from bci.interop import Converted

__all__ = ["command", "told"]


@click.command("export", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.bfp|SESSION")
@click.option(
    "--to",
    "name",
    required=True,
    metavar="FORMAT",
    help="bdf (24 bits, codes kept), edf (16 bits), bids (a data set), xdf, fif, csv, fhir, dicom.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Default: beside FILE, with the format's suffix. Of bids: the data set's folder, new or not.",
)
@click.option("--force", is_flag=True, help="Replace what is there already.")
@click.option(
    "--start", "start_s", type=click.FloatRange(0.0), default=0.0, metavar="S", help="From this second on."
)
@click.option(
    "--end", "end_s", type=click.FloatRange(0.0, min_open=True), metavar="S", help="Up to this second."
)
@click.option("--artefacts", is_flag=True, help="Also mark saturation, jumps, large waves and muscle.")
@click.option(
    "--subject",
    default="",
    metavar="CODE",
    help="A code of the person. Default: none, X in EDF and BDF, 01 in BIDS.",
)
@click.option("--session", default="", metavar="LABEL", help="Of bids: ses-LABEL.")
@click.option("--task", default="bci", show_default=True, metavar="LABEL", help="Of bids: task-LABEL.")
@click.option("--keep-date", is_flag=True, help="Write date and time of the recording; left out otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
def command(
    file: Path,
    name: str,
    output: Path | None,
    force: bool,
    start_s: float,
    end_s: float | None,
    artefacts: bool,
    subject: str,
    session: str,
    task: str,
    keep_date: bool,
    as_json: bool,
) -> int:
    """Write a recording as a file that other systems read.

    FILE is a recording, or the folder of a session that holds one. Nothing in the new file names the person or the
    day unless asked for. Lost samples are filled and marked BAD_ACQ_SKIP. docs/interop.md tells what each format keeps
    and loses.
    """
    from bci.interop import ExportOptions, RecordedSignal, export_signal, writer_for

    writer = writer_for(name)
    if end_s is not None and end_s <= start_s:
        raise click.BadParameter(f"{end_s:g} s is not after --start {start_s:g} s", param_hint="--end")
    source = _recording_in(file) if file.is_dir() else file
    base = file.resolve() if file.is_dir() else file
    target = output or base.with_name(f"{base.stem}{writer.suffix or f'-{name}'}")
    signal = RecordedSignal(
        source,
        start_s=start_s,
        stop_s=float("inf") if end_s is None else end_s,
        artefacts=artefacts,
        impedance_kohm=_impedances(source.parent),
    )
    options = ExportOptions(subject=subject, keep_date=keep_date, session=session, task=task)
    began = time.monotonic()
    with progress_bar(f"{source.name} → {target.name}", hidden=as_json) as progress:
        made = export_signal(signal, target, to=name, options=options, force=force, progress=progress)
    told(made, time.monotonic() - began, as_json)
    return 0


def _recording_in(folder: Path) -> Path:
    """Of a demonstration, or the only one of a visit."""
    found = sorted(folder.glob("*.bfp"))
    if not found:
        raise click.BadParameter(f"there is no recording in {folder}", param_hint="FILE")
    if len(found) == 1:
        return found[0]
    if (whole := folder / "recording.bfp") in found:
        return whole
    names = ", ".join(path.name for path in found)
    raise click.BadParameter(f"{folder} holds {names}; name one of them", param_hint="FILE")


def _impedances(folder: Path) -> dict[str, float]:
    """What the last look at the electrodes of a visit measured, by channel."""
    page = folder / "session.json"
    if not page.is_file():
        return {}
    from bci.report.visit import read_visit

    visit = read_visit(page)
    look = visit.after or visit.before
    states = look.electrodes if look is not None else ()
    return {state.name: state.impedance_kohm for state in states if state.impedance_kohm is not None}


def told(made: Converted, took_s: float, as_json: bool) -> None:
    """Print what a conversion made."""
    if as_json:
        result: dict[str, Any] = {
            **asdict(made),
            "path": str(made.path),
            "duration_s": made.duration_s,
            "took_s": took_s,
        }
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    rate = f"{made.rate_hz:g} Hz"
    if abs(made.measured_hz / made.rate_hz - 1) > 1e-6:
        rate += f" ({made.measured_hz:.4f} measured)"
    lost = (
        f"{made.samples_lost:,} samples lost in {made.n_gaps} gap{'s' * (made.n_gaps > 1)}, filled and marked"
        if made.n_gaps
        else "no gaps"
    )
    click.echo(
        f"{made.path}: {made.n_channels} channels, {made.duration_s:.1f} s at {rate}, {made.n_events} events, {lost}"
    )
    for loss in made.losses:
        click.echo(f"note: {loss}")
