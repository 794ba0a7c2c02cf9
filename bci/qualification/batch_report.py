"""What a batch says: yield, causes of failure, capability, trends and histograms on one page; every figure as CSV.

Capability and histograms rest on the first figure of each board; a repeat after a repair would flatter the line. Gauge
studies rest on repeats of boards that passed. A figure of a simulated board is one like any other, and the page says
how many there are.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bci._version import __version__
from bci.language import language
from bci.qualification.attempts import verdict_word
from bci.qualification.batch_statistics import (
    ENOUGH_BOARDS,
    Capability,
    GaugeStudy,
    Trial,
    capability,
    first_pass_yield,
    gauge_study,
    histogram,
    pareto,
)
from bci.qualification.diagnosis import diagnose
from bci.qualification.figures import limits_text, number
from bci.qualification.records import Attempt, Value
from bci.qualification.store import Batch
from bci.qualification.svg import BLUE, GREY, Plot
from bci.qualification.templates import template
from bci.qualification.whole_files import write_whole
from bci.qualification.words import family, fault_title, figure_title, unit_text

__all__ = ["export_csv", "first_values", "gauge_studies", "write_batch_report"]

COLUMNS = (
    "serial", "attempt", "operator", "started", "test", "channel", "value", "unit", "uncertainty_k2", "limit_low",
    "limit_high", "verdict",
)  # fmt: skip
MOST_PLOTS = 40


@dataclass(frozen=True, slots=True)
class Course:
    """One test over the boards of a batch; the capability is that of its worst channel.

    Of figures that exist once per gain it is the gain with the least capability; `n_tests` says how many there are.
    """

    test: str
    title: str
    unit: str
    limits: str
    worst: Capability
    channel: str
    n_failed: int
    trend: str
    spread: str
    n_tests: int = 1


def write_batch_report(batch: Batch, path: str | os.PathLike[str] | None = None) -> Path:
    """Write the page in the language spoken, by default into the batch's folder."""
    boards = [board for board in batch.boards() if board.first is not None]
    whole = [b for b in boards if b.first is not None and not b.first.partial]
    firsts = [b.first.verdict == "pass" for b in whole if b.first is not None]
    values = batch.values()
    causes = pareto(cause for b in boards if b.first is not None for cause in _causes(batch, b.first))
    courses = _courses(first_values(values))
    page = template("batch.html.j2").render(
        language=language(),
        name=batch.folder.resolve().name,
        n_boards=len(boards),
        n_whole=len(whole),
        n_attempts=len(batch.attempts()),
        n_simulated=sum(b.first is not None and b.first.simulated for b in boards),
        first=first_pass_yield(firsts),
        last=first_pass_yield([b.latest is not None and b.latest.verdict == "pass" for b in whole]),
        causes=causes,
        courses=courses,
        boards=boards,
        enough=ENOUGH_BOARDS,
        studies=_worst_of_families(gauge_studies(batch)),
        limits=sorted({(a.limits_name, a.limits_sha256) for a in batch.attempts()}),
        software=f"bci {__version__}",
        figure_title=figure_title,
        fault_title=fault_title,
        unit_text=unit_text,
        number=number,
        word=verdict_word,
    )
    path = batch.folder / f"report.{language()}.html" if path is None else Path(path)
    write_whole(path, page)
    return path


def first_values(values: Sequence[Value]) -> list[Value]:
    """The first figure of each board, test and channel."""
    found: dict[tuple[str, str, str | None], Value] = {}
    for value in values:
        if math.isfinite(value.value):
            found.setdefault((value.serial, value.test, value.channel), value)
    return list(found.values())


def gauge_studies(batch: Batch, only: str | None = None) -> list[tuple[str, str, GaugeStudy]]:
    """(test, unit, study) of every test that was repeated.

    A part is one channel of one board. Attempts that did not pass are left out: a board that failed is mended before it
    is measured again, so it is no longer the same part.
    """
    by_test: dict[str, list[Value]] = {}
    for value in batch.values(only):
        if value.attempt_verdict != "pass":
            continue
        by_test.setdefault(value.test, []).append(value)
    studies = []
    for test, values in by_test.items():
        trials = [Trial(f"{v.serial}/{v.channel or ''}", v.operator, v.value) for v in values]
        study = gauge_study(trials, low=values[-1].limit_low, high=values[-1].limit_high)
        if study is not None:
            studies.append((test, values[-1].unit, study))
    return studies


def _worst_of_families(studies: Sequence[tuple[str, str, GaugeStudy]]) -> list[tuple[str, str, GaugeStudy]]:
    """Of figures that exist once per gain, the one that the bench measures worst."""
    worst: dict[str, tuple[str, str, GaugeStudy]] = {}
    for test, unit, study in studies:
        name = family(test)[0]
        if name not in worst or study.percent > worst[name][2].percent:
            worst[name] = (test, unit, study)
    return list(worst.values())


def export_csv(batch: Batch, path: Path) -> int:
    """Write every figure of every finished attempt; returns how many."""
    values = batch.values()
    with io.StringIO() as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for v in values:
            writer.writerow(
                [
                    *(
                        v.serial,
                        v.number,
                        v.operator,
                        v.started,
                        v.test,
                        v.channel or "",
                        _cell(v.value),
                        v.unit,
                    ),
                    *(_cell(v.uncertainty), _cell(v.limit_low), _cell(v.limit_high), v.verdict),
                ]
            )
        write_whole(path, file.getvalue())
    return len(values)


def _cell(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(float(value))


def _causes(batch: Batch, attempt: Attempt) -> list[str]:
    """What is wrong with a board, each kind of fault once."""
    results = [result for done in batch.measurements(attempt) for result in done.results]
    return list(dict.fromkeys(finding.fault for finding in diagnose(results)))


def _courses(values: Sequence[Value]) -> list[Course]:
    families: dict[str, dict[str, list[Value]]] = {}
    for value in values:
        families.setdefault(family(value.test)[0], {}).setdefault(value.test, []).append(value)
    courses = []
    for tests in families.values():
        found = [_course(test, values) for test, values in tests.items()]
        worst = min(found, key=lambda course: math.inf if course.worst.ppk is None else course.worst.ppk)
        courses.append(replace(worst, n_tests=len(found)))
    return courses[:MOST_PLOTS]


def _course(test: str, values: Sequence[Value]) -> Course:
    last = values[-1]
    low, high = last.limit_low, last.limit_high
    channels: dict[str, list[float]] = {}
    for v in values:
        channels.setdefault(v.channel or "", []).append(v.value)
    found = {name: capability(x, low=low, high=high) for name, x in channels.items()}
    channel = min(
        found, key=lambda name: math.inf if found[name].ppk is None else float(found[name].ppk or 0.0)
    )
    title = figure_title(test)
    return Course(
        test,
        title,
        last.unit,
        limits_text(low, high),
        found[channel],
        channel,
        len({v.serial for v in values if v.verdict == "fail"}),
        _trend(values, title, low, high),
        _spread(values, low, high),
    )


def _trend(values: Sequence[Value], title: str, low: float | None, high: float | None) -> str:
    """From board to board: the span of its channels, and their middle."""
    boards: dict[str, list[float]] = {}
    for v in values:
        boards.setdefault(v.serial, []).append(v.value)
    at = np.arange(len(boards), dtype=np.float64)
    least, middle, most = (np.array([f(x) for x in boards.values()]) for f in (np.min, np.median, np.max))
    reach = _reach([*least, *most], low, high)
    plot = Plot(
        (-0.5, len(boards) - 0.5),
        reach,
        width=430,
        height=130,
        title=f"{title}, {unit_text(values[0].unit)}".rstrip(", "),
    )
    plot.spans(at, least, most, colour="#9fc5de")
    plot.line(at, middle, colour=BLUE)
    plot.points(at, middle, colour=BLUE, radius=1.8 if len(boards) <= 60 else 0.8)
    for limit in (low, high):
        if limit is not None:
            plot.level(limit)
    plot.name_x(list(boards))
    return plot.svg()


def _spread(values: Sequence[Value], low: float | None, high: float | None) -> str:
    x = [v.value for v in values]
    edges, counts = histogram(x)
    plot = Plot(_reach(x, low, high), (0.0, float(counts.max()) * 1.05), width=250, height=130)
    plot.bars(edges, counts, colour=GREY if len(x) < ENOUGH_BOARDS else BLUE)
    for limit in (low, high):
        if limit is not None:
            plot.upright(limit)
    return plot.svg()


def _reach(x: Sequence[float], low: float | None, high: float | None) -> tuple[float, float]:
    """What is drawn: all figures, and limits that are not ten times further away than they spread."""
    first, last = float(min(x)), float(max(x))
    spread = max(last - first, abs(last) * 1e-3) or 1.0
    near = [
        limit
        for limit in (low, high)
        if limit is not None and first - 10 * spread < limit < last + 10 * spread
    ]
    first, last = min([first, *near]), max([last, *near])
    margin = 0.06 * max(last - first, spread)
    return first - margin, last + margin
