"""The whole recipe on every run in turn: train on the other runs, score the one left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.evaluation import EventScore, run_blocked_folds
from bci.pipeline.runs import Run
from bci.pipeline.scoring import CuedScore, score_control, score_cued
from bci.pipeline.training import train

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Scores of runs that their decoder had not seen.

    Parameters
    ----------
    cued : list of CuedScore
        One per run, in order.
    control : EventScore or None
        Sum over the runs; None where the folds' models had no policy of their own (validation needs 2
        training runs).
    """

    cued: tuple[CuedScore, ...]
    control: EventScore | None

    @property
    def balanced_accuracy(self) -> float:
        """Mean over runs of the cued windows' balanced accuracy."""
        return float(np.mean([score.balanced_accuracy for score in self.cued]))


def evaluate(runs: Sequence[Run], *, labels: Sequence[str], **options: Any) -> Evaluation:
    """Leave one run out: weights, calibration and policy are all chosen inside the other runs.

    Parameters
    ----------
    runs : sequence of Run
        Two or more; with two there is no policy to score, since each training has one run only.
    labels, options
        As of `train`.

    Raises
    ------
    TooFewRunsError
        If there is one run only.
    Others as of `train` and `score_cued`.
    """
    cued, control = [], []
    for training, (left_out,) in run_blocked_folds(np.arange(len(runs))):
        model = train([runs[i] for i in training], labels=labels, **options)
        cued.append(score_cued(model, [runs[left_out]]))
        if model.validation.control is not None:
            control.append(score_control(model, [runs[left_out]]))
    return Evaluation(tuple(cued), sum(control, EventScore()) if len(control) == len(runs) else None)
