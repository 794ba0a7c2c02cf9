"""What a batch of boards says: `bci qualify list`, `report`, `sheet`, `export`, `gauge`. None of them needs a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bci.cli._language import language_option
from bci.language import _

__all__ = ["COMMANDS", "HELP", "batch_option", "json_option", "print_json"]

FOLDER = "bci-output/qualification"
HELP = {"help_option_names": ["-h", "--help"]}

batch_option = click.option(
    "--batch",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    metavar="FOLDER",
    help="Record of the batch and, below it, of each board.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON objects, one a line.")


@click.command("list", context_settings=HELP)
@batch_option
@json_option
@language_option
def list_(folder: Path, as_json: bool) -> int:
    """The boards of a batch with their first and latest verdict."""
    from bci.qualification.attempts import verdict_word
    from bci.qualification.store import Batch

    with Batch(folder) as batch:
        for board in batch.boards():
            if as_json:
                print_json(
                    {
                        "serial": board.serial,
                        "attempts": board.n_attempts,
                        "first": board.first.verdict if board.first else None,
                        "latest": board.latest.verdict if board.latest else None,
                        "open": board.open is not None,
                        "date": (board.latest or board.open or batch.attempts(board.serial)[-1]).started,
                    }
                )
                continue
            first, latest = (verdict_word(a.verdict) if a else "–" for a in (board.first, board.latest))
            note = _("  interrupted, goes on where it stopped") if board.open else ""
            if not board.open and batch.attempts(board.serial)[-1].state == "aborted":
                note = _("  the last test was stopped")
            click.echo(f"{board.serial:<24} {board.n_attempts:>3} ×  {first:>12} → {latest}{note}")
    return 0


@click.command("report", context_settings=HELP)
@batch_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@language_option
def report(folder: Path, output: Path | None) -> int:
    """Trends, histograms, capability, yield and causes of failure of a batch, as one page."""
    from bci.qualification.batch_report import write_batch_report
    from bci.qualification.store import Batch

    with Batch(folder) as batch:
        click.echo(str(write_batch_report(batch, output)))
    return 0


@click.command("sheet", context_settings=HELP)
@click.argument("serial")
@click.option("--attempt", "number", type=click.IntRange(1), help="Default: the latest that was finished.")
@batch_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@language_option
def sheet(serial: str, number: int | None, folder: Path, output: Path | None) -> int:
    """Write a board's sheet again, e.g. in another language."""
    from bci.errors import SerialNumberError
    from bci.qualification.measurements import MEASUREMENTS
    from bci.qualification.sheet import write_sheet
    from bci.qualification.store import Batch

    with Batch(folder) as batch:
        finished = [a for a in batch.attempts(serial) if a.state == "finished" and number in (None, a.number)]
        if not finished:
            raise SerialNumberError(
                _(
                    "batch {folder} holds no finished test of board {serial}; `bci qualify list` shows what it holds"
                ).format(folder=folder, serial=serial),
                serial=serial,
            )
        click.echo(str(write_sheet(batch, finished[-1], MEASUREMENTS, output)))
    return 0


@click.command("export", context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv")
@batch_option
@language_option
def export(file: Path, folder: Path) -> int:
    """Every figure of every finished test as CSV."""
    from bci.qualification.batch_report import export_csv
    from bci.qualification.store import Batch

    with Batch(folder) as batch:
        n = export_csv(batch, file)
    click.echo(_("{n} figures: {path}").format(n=n, path=file))
    return 0


@click.command("gauge", context_settings=HELP)
@click.option("--test", "only", metavar="NAME", help="Only this test. Default: all that were repeated.")
@batch_option
@json_option
@language_option
def gauge(only: str | None, folder: Path, as_json: bool) -> int:
    """How much the bench itself adds: repeatability, and reproducibility where operators differ (ANOVA, AIAG MSA)."""
    from dataclasses import asdict

    from bci.qualification.batch_report import gauge_studies
    from bci.qualification.store import Batch

    with Batch(folder) as batch:
        studies = gauge_studies(batch, only)
    if not studies and not as_json:
        click.echo(
            _("No board that passed was measured twice: `bci qualify --repeat` measures it again."),
            err=True,
        )
    for test, unit, study in studies:
        if as_json:
            print_json({"test": test, "unit": unit, **asdict(study)})
            continue
        av = "–" if study.reproducibility is None else f"{study.reproducibility:.3g}"
        tolerance = "" if study.percent_of_tolerance is None else f"  P/T {study.percent_of_tolerance:5.1f} %"
        click.echo(
            f"{test:<28} EV {study.repeatability:.3g}  AV {av}  GRR {study.gauge:.3g} {unit}  "
            f"{study.percent:5.1f} %{tolerance}  ndc {study.categories}  "
            f"({study.n_parts} × {study.n_operators} × {study.n_repeats})"
        )
    return 0 if studies else 1


def _plain(value: Any) -> Any:
    """As JSON has it: what is not a number is null."""
    import math
    from dataclasses import asdict, is_dataclass

    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(value: dict[str, Any]) -> None:
    """One object on a line."""
    import json

    click.echo(json.dumps(_plain(value), ensure_ascii=False))


COMMANDS = (list_, report, sheet, export, gauge)
