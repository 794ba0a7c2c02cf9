"""Evaluate recordings of one or several people: read, fold, train, score; what `bci evaluate` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import LabelError
from bci.evaluation import EventScore
from bci.pipeline import (
    Decisions,
    Evaluation,
    Fold,
    Run,
    choose_folds,
    evaluate,
    learning_curve,
    shuffled_within_runs,
)
from bci.sessions.offline import canonical, read_runs

__all__ = ["EvaluationRequest", "SubjectEvaluation", "evaluate_recordings"]

#: Training trials per class at which a learning curve is read.
CURVE = (10, 15, 20, 30, 40, 60, 80)


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to evaluate; see `bci evaluate --help`. Runs are named "1" or "R1". `files`: no others of `path`."""

    path: Path
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    unit: str | None = None
    channels: tuple[str, ...] = ()
    notch_hz: tuple[float, ...] = ()
    window_s: tuple[float, float] = (0.5, 3.5)
    task_s: float = 4.0
    budget_per_min: float = 1.0
    control: bool = True
    learning_curve: bool = False
    shuffled_within_runs: bool = False
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SubjectEvaluation:
    """One person's scores.

    `names` are those of the runs, in the order that folds count them; `trial_s` is the time from cue to cue, pauses
    included (median), which information per minute is counted with.
    """

    title: str
    names: tuple[str, ...]
    evaluation: Evaluation
    curve: dict[int, Decisions] = field(default_factory=dict)
    trial_s: float = math.nan

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON; what is not a number is null."""
        found = self.evaluation
        return {
            "title": self.title,
            "folds": [
                {"train": [self.names[i] for i in f.training], "test": [self.names[i] for i in f.testing]}
                for f in found.folds
            ],
            "dropped": found.dropped,
            "trial_s": _number(self.trial_s),
            "cued": {name: _decisions(one, self.names, self.trial_s) for name, one in found.cued.items()},
            "control": None if found.control is None else _control(found.control),
            "control_per_run": {self.names[i]: _control(s) for i, s in found.control_per_run.items()},
            "refusals": list(found.refusals),
            "learning_curve": {str(n): one.balanced_accuracy for n, one in self.curve.items()},
        }


def evaluate_recordings(
    request: EvaluationRequest,
    *,
    subjects: Sequence[str | None] = (None,),
    say: Callable[[str], None] = lambda words: None,
) -> list[SubjectEvaluation]:
    """Evaluate each subject by itself.

    Raises
    ------
    RecordingError, LabelError, MontageMismatchError, TooFewRunsError, TooFewTrialsError, DesignError
        The message says what came, what was expected and what to do.
    """
    if bool(request.train) != bool(request.test):
        raise LabelError(
            "name both the runs to train on and the runs to test on, or neither", found=(), expected=()
        )
    results = []
    for subject in subjects:
        who = request.path.name if subject is None else f"{request.path.name} {subject}"
        say(f"{who}: reading …")
        runs, names, classes = read_runs(
            request.path,
            subject=subject,
            files=request.files,
            runs=request.runs or tuple(dict.fromkeys((*request.train, *request.test))),
            labels=request.labels,
            unit=request.unit,
            channels=request.channels,
        )
        trial_s = _cue_to_cue_s(runs)
        if request.train:
            train, test = (
                [names.index(canonical(run)) for run in part] for part in (request.train, request.test)
            )
            folds = choose_folds(len(runs), train=train, test=test)
        elif request.shuffled_within_runs:
            runs, folds = shuffled_within_runs(runs, labels=classes)
            names = [f"{name}, {side}" for _ in folds for side in ("training", "test") for name in names]
        else:
            folds = choose_folds(len(runs))
        options: dict[str, Any] = {
            "window_s": request.window_s,
            "task_s": request.task_s,
            "notch_hz": request.notch_hz,
            "budget_per_min": request.budget_per_min,
        }

        def told(done: int, total: int, who: str = who) -> None:
            say(f"{who}: fold {min(done + 1, total)} of {total} …")

        control = request.control and not request.shuffled_within_runs
        found = evaluate(runs, labels=classes, folds=folds, control=control, progress=told, **options)
        curve: dict[int, Decisions] = {}
        if request.learning_curve:
            say(f"{who}: learning curve …")
            curve = learning_curve(
                runs, labels=classes, fold=Fold(*folds[-1]), trials_per_class=CURVE, **options
            )
        results.append(SubjectEvaluation(who, tuple(names), found, curve, trial_s))
    return results


def _cue_to_cue_s(runs: Sequence[Run]) -> float:
    """Median seconds from one cue to the next of its run; NaN where no run has two."""
    steps = [np.diff(sorted(m.sample_index for m in run.markers)) / run.info.fs_hz for run in runs]
    between = np.concatenate(steps)
    return float(np.median(between)) if len(between) else math.nan


def _decisions(one: Decisions, names: Sequence[str], trial_s: float) -> dict[str, Any]:
    calibration = one.calibration
    return {
        "trials": len(one.labels),
        "classes": list(one.classes),
        "chance": one.chance,
        "chance_threshold": _number(one.chance_threshold),
        "accuracy": one.accuracy,
        "accuracy_interval": list(one.accuracy_interval),
        "balanced_accuracy": one.balanced_accuracy,
        "interval": list(one.interval),
        "kappa": _number(one.kappa),
        "area_under_curve": one.area_under_curve,
        "bits_per_min": _number(one.bits_per_min(trial_s)) if trial_s > 0 else None,
        "log_loss": one.log_loss,
        "brier_score": one.brier_score,
        "calibration_error": calibration.raw,
        "calibration_error_debiased": calibration.debiased,
        "per_run": {names[run]: value for run, value in one.per_run.items()},
    }


def _control(score: EventScore) -> dict[str, Any]:
    return {
        "events": score.n_events,
        "hits": score.hits,
        "true_positive_rate": _number(score.true_positive_rate),
        "blind_true_positive_rate": _number(score.blind_true_positive_rate),
        "false_positives": score.false_positives,
        "idle_min": score.idle_s / 60.0,
        "false_positives_per_min": _number(score.false_positives_per_min),
        "false_positives_interval": [_number(v) for v in score.false_positives_interval],
        "latency_s_median": _number(score.latency_s_median),
        "f1": _number(score.f1),
        "normalised_mcc": _number(score.normalised_mcc),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
