"""`bci batch`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bci.cli._lists import numbers, words

if TYPE_CHECKING:
    from bci.batch.running import Progress

__all__ = ["command"]


@click.command("batch", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--task",
    default="evaluate",
    show_default=True,
    metavar="NAME",
    help="evaluate (each person's runs), quality (each recording's channels), or your own package.module:function.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes of this computer; each holds one item's recordings.",
)
@click.option(
    "--scheduler", default="", metavar="tcp://…", help="A dask scheduler, whose workers do it instead."
)
@click.option(
    "--each", type=click.Choice(["subject", "recording"]), help="What an item is; the task knows its own."
)
@click.option("--parquet", is_flag=True, help="Also results.parquet.")
@click.option("--force", is_flag=True, help="Replace results of another task or other options in FOLDER.")
@click.option("--train", metavar="RUNS", help="evaluate: runs to train on, e.g. R1,R2; with --test.")
@click.option("--test", metavar="RUNS", help="evaluate: runs to test on. Neither: each run is left out once.")
@click.option("--runs", metavar="RUNS", help="evaluate: only these runs.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=MARKER", help="What a class is called in the files."
)
@click.option(
    "--unit", type=click.Choice(["uV", "mV", "V", "nV"]), help="What a stored number is, if files err."
)
@click.option("--channels", metavar="NAMES", help="C3,Cz,C4 … or sensorimotor, motor.")
@click.option("--notch", metavar="HZ", help="Lines to remove, e.g. 50 or 25,31.25,50.")
@click.option("--window", metavar="START,END", help="Cued window, s after the cue. Default: 0.5,3.5.")
@click.option("--budget", type=click.FloatRange(0.05, 20.0), help="False movements/min. Default: 1.")
@click.option(
    "--cued-only", is_flag=True, help="Leave the asynchronous decoder and its policy out; much faster."
)
@click.option(
    "--option",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="For quality (line_hz=60) and tasks of your own; JSON.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the counts for programs, and nothing else, on stdout."
)
def command(source: Path, folder: Path, **given: Any) -> int:
    """Do the same work on every recording of SOURCE: a BIDS data set, a folder, a list file.

    Results go to FOLDER: results.csv, report.html, and items/ with one file an item. Run the same command again to go
    on where it was ended, or after recordings were added: what is there already is kept. A recording that cannot be
    worked on stands in the table with its reason. Exit code 1: some were not done.
    """
    from bci.batch import find_items, run_batch
    from bci.batch.report import write_report
    from bci.batch.table import write_csv, write_parquet
    from bci.batch.tasks import TASKS

    task = given["task"]
    each = given["each"] or (TASKS[task][1] if task in TASKS else "recording")
    if task == "evaluate" and each != "subject":
        raise click.UsageError("evaluate needs several runs of one person: --each subject")
    items = find_items(source, each=each)
    options = _options(task, given)
    quiet = given["as_json"]
    try:
        batch = run_batch(
            items,
            folder,
            task=task,
            options=options,
            workers=given["workers"],
            scheduler=given["scheduler"],
            force=given["force"],
            progress=(lambda step: None) if quiet else _show,
        )
    except KeyboardInterrupt:
        click.echo(f"\nEnded. What is done is in {folder}; the same command goes on.", err=True)
        return 130
    write_csv(batch, folder / "results.csv")
    if given["parquet"]:
        write_parquet(batch, folder / "results.parquet")
    write_report(batch, folder / "report.html")
    counts: dict[str, int] = {}
    for record in batch.records():
        counts[record.outcome] = counts.get(record.outcome, 0) + 1
    if quiet:
        click.echo(
            json.dumps({"items": len(items), "outcomes": counts, "folder": str(folder)}, ensure_ascii=False)
        )
    else:
        _summary(batch, counts, folder)
    return 0 if counts.get("done", 0) == len(items) else 1


def _options(task: str, given: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, without what is default: a default that a later version names is the same result."""
    options: dict[str, Any] = {}
    for text in given["others"]:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise click.BadParameter(f"takes NAME=VALUE, got {text!r}", param_hint="--option")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    if given["unit"]:
        options["unit"] = given["unit"]
    if task != "evaluate":
        return options
    if given["labels"]:
        from bci.interop import parse_labels

        options["labels"] = parse_labels(given["labels"])
    for name in ("train", "test", "runs", "channels"):
        if given[name]:
            options[name] = list(words(given[name]))
    for name, option, count in (("notch", "notch_hz", None), ("window", "window_s", 2)):
        if given[name]:
            options[option] = numbers(given[name], f"--{name}", count=count)
    if given["budget"]:
        options["budget_per_min"] = given["budget"]
    if given["cued_only"]:
        options["control"] = False
    return options


def _show(step: Progress) -> None:
    """One line that moves on where a person looks, and a line an item that was not done."""
    record = step.record
    if record.outcome != "done":
        start = "\r\x1b[2K" if sys.stderr.isatty() else ""
        click.secho(
            f"{start}{record.item}: {record.outcome}, {record.error}: {record.reason}", fg="yellow", err=True
        )
    left_s = step.passed_s / step.done * (step.total - step.done)
    line = (
        f"{step.done}/{step.total}, {step.not_done} not done; about {left_s / 60:.0f} min left  {record.item}"
    )
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[2K{line}", nl=step.done == step.total, err=True)
    elif step.done == step.total or step.done % max(1, step.total // 20) == 0:
        click.echo(line, err=True)


def _summary(batch: Any, counts: dict[str, int], folder: Path) -> None:
    from bci.batch.comparing import compare

    found = compare(batch.records())
    if found is not None:
        click.echo(f"mean balanced accuracy of {found.n_subjects}")
        for name, value in found.means.items():
            one = next((a for a in found.against if a.rival == name), None)
            told = ""
            if one is not None:
                low, high = one.difference.interval
                told = (
                    f"   {found.ours} − this {one.difference.difference:+.3f} (95 % {low:+.3f} to {high:+.3f}), "
                    f"better in {one.wins} of {found.n_subjects}, p {one.p_value:.3g}"
                )
            click.echo(f"  {name:<21} {value:.3f}{told}")
    click.echo(", ".join(f"{n} {name}" for name, n in counts.items()))
    click.echo(f"table   {folder / 'results.csv'}\nreport  {folder / 'report.html'}")
