"""The report of an evaluation: one page a subject, every figure with its interval and with what chance reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bci.decoders.patterns import carriers
from bci.errors import MontageMismatchError
from bci.evaluation import paired_bootstrap, reliability
from bci.files import write_private
from bci.pipeline import RIVALS, Decisions, Evaluation
from bci.report import decoding_pictures, pictures
from bci.report.page import render

__all__ = ["Evaluated", "write_evaluation"]


class Evaluated(Protocol):
    """One subject's scores; `bci.sessions.evaluating.SubjectEvaluation` is one."""

    @property
    def title(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def evaluation(self) -> Evaluation: ...
    @property
    def curve(self) -> dict[int, Decisions]: ...


def write_evaluation(path: Path, results: Sequence[Evaluated]) -> None:
    """Write one self-contained HTML file, readable by its owner only."""
    page = render(
        "evaluation.html.j2", subjects=[_subject(result) for result in results], mean=_mean(results)
    )
    write_private(path, page)


def _subject(result: Evaluated) -> dict[str, Any]:
    found = result.evaluation
    default = found.cued["default"]
    names = list(found.cued)
    drawn: dict[str, str] = {
        "curve": "",
        "course": "",
        "accuracy": decoding_pictures.accuracy_list(
            names,
            [found.cued[name].balanced_accuracy for name in names],
            [found.cued[name].interval for name in names],
            chance=default.chance,
        ),
        "confusion": pictures.confusion(_counts(default)),
        "reliability": decoding_pictures.reliability_curve(
            reliability(default.labels, default.probabilities, classes=default.classes),
            debiased=default.calibration.debiased,
        ),
        "per_run": decoding_pictures.per_run(
            {
                name: {result.names[run]: value for run, value in one.per_run.items()}
                for name, one in found.cued.items()
            },
            chance=default.chance,
        ),
    }
    if result.curve:
        drawn["curve"] = decoding_pictures.learning_curve(
            {n: (one.balanced_accuracy, *one.interval) for n, one in result.curve.items()},
            chance=default.chance,
        )
    if found.courses:
        drawn["course"] = decoding_pictures.probability_over_trial(
            found.course_s, found.courses, task_s=found.task_s
        )
    return {
        "title": result.title,
        "names": result.names,
        "found": found,
        "drawn": drawn,
        "maps": _maps(found.patterns, found.channels),
        "warning": carriers(found.weighed_pattern, found.channels).warning if found.channels else "",
        "gains": {rival: found.against(rival) for rival in RIVALS if rival in found.cued},
    }


def _maps(patterns: Mapping[str, Any], channels: Sequence[str]) -> list[str]:
    drawn = []
    for name, pattern in patterns.items():
        try:
            drawn.append(decoding_pictures.scalp_map(pattern, channels, title=name, unit="change of power"))
        except MontageMismatchError:
            return []
    return drawn


def _counts(one: Decisions) -> dict[str, dict[str, int]]:
    return {
        truth: {said: int(((one.labels == truth) & (one.predicted == said)).sum()) for said in one.classes}
        for truth in one.classes
    }


def _mean(results: Sequence[Evaluated]) -> dict[str, Any] | None:
    """Means over subjects, and paired differences with their interval."""
    if len(results) < 2:
        return None
    names = [name for name in results[0].evaluation.cued if all(name in r.evaluation.cued for r in results)]
    accuracy = {
        name: sum(r.evaluation.cued[name].balanced_accuracy for r in results) / len(results) for name in names
    }
    gains = {
        rival: paired_bootstrap([r.evaluation.pair(rival) for r in results])
        for rival in RIVALS
        if rival in names
    }
    return {"n": len(results), "accuracy": accuracy, "gains": gains}
