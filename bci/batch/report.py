"""The batch as one page: who was done and who was not, each person's figures, decoders compared."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import jinja2

from bci.batch.comparing import compare
from bci.batch.results import DONE, Batch, write_atomically
from bci.report.pictures import as_svg, new_figure

__all__ = ["write_report"]

BLUE, GREY, RED = "#0072B2", "#9aa5ae", "#D55E00"
MOST_INCHES = 12.0


def write_report(batch: Batch, path: Path) -> None:
    """Write one self-contained HTML file, readable by its owner only."""
    outcomes = Counter(record.outcome for record in batch.records())
    people = _people(batch)
    decoders = list(dict.fromkeys(row["decoder"] for person in people for row in person["rows"]))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("bci.batch"), jinja2.PackageLoader("bci.report")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    comparison = compare(batch.records())
    page = environment.get_template("batch.html.j2").render(
        task=batch.task,
        options={name: _told(value) for name, value in batch.options.items()},
        outcomes=outcomes,
        total=len(batch.items),
        people=people,
        decoders=decoders,
        comparison=comparison,
        picture=_picture(people, comparison.ours) if comparison is not None else "",
        lines=[] if people else _plain_lines(batch),
        not_done=[record for record in batch.records() if record.outcome != DONE],
    )
    write_atomically(path, page.encode())


def _told(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _people(batch: Batch) -> list[dict[str, Any]]:
    """Lines of items that decoders answered for."""
    return [
        {"item": record.item, "rows": list(record.rows), "of": {row["decoder"]: row for row in record.rows}}
        for record in batch.records()
        if record.outcome == DONE and record.rows and all("decoder" in row for row in record.rows)
    ]


def _plain_lines(batch: Batch) -> list[dict[str, Any]]:
    """Of any other task: the table itself, as long as a page can hold it."""
    lines = [
        {"item": record.item} | row
        for record in batch.records()
        if record.outcome == DONE
        for row in record.rows
    ]
    return lines[:2000]


def _picture(people: list[dict[str, Any]], ours: str) -> str:
    """Everybody's balanced accuracy with its interval; rivals as points."""
    shown = [person for person in people if ours in person["of"]]
    figure, axes = new_figure(6.4, min(0.9 + 0.24 * len(shown), MOST_INCHES))
    for k, person in enumerate(shown):
        for name, row in person["of"].items():
            if name != ours:
                axes.plot(row["balanced_accuracy"], k, "o", color=GREY, markersize=3)
        row = person["of"][ours]
        axes.plot([row["low"], row["high"]], [k, k], color=BLUE, linewidth=1.5)
        axes.plot(row["balanced_accuracy"], k, "o", color=BLUE, markersize=5)
    chance = shown[0]["of"][ours]["chance"]
    axes.axvline(chance, color=RED, linestyle="--", linewidth=1)
    axes.annotate("chance", (chance, -0.8), (3, 0), textcoords="offset points", color=RED, fontsize=8)
    if len(shown) <= 50:
        axes.set_yticks(range(len(shown)), [person["item"] for person in shown])
    axes.set_ylim(len(shown) - 0.4, -1.1)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel(f"balanced accuracy: {ours} with 95 % interval (blue), others (grey)")
    return as_svg(figure)
