"""What one decoder said of all test trials, and the figures of that, each named and with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.errors import LabelError
from bci.evaluation import (
    CalibrationError,
    Interval,
    area_under_curve,
    balanced_accuracy,
    balanced_accuracy_chance_threshold,
    balanced_accuracy_interval,
    brier_score,
    calibration_error,
    chance_level,
    cohen_kappa,
    information_transfer_rate,
    log_loss,
    wilson_interval,
)
from bci.language import _

__all__ = ["Decisions", "Labelled"]


class Labelled:
    """What was decided on trials whose truth is known, and the figures that this alone gives."""

    __slots__ = ()

    classes: tuple[str, ...]
    labels: NDArray[np.str_]
    predicted: NDArray[np.str_]

    @property
    def balanced_accuracy(self) -> float:
        """Mean over classes of the share of that class's trials that were recognised; of cued windows, so it says
        nothing about false movements between cues."""
        return balanced_accuracy(self.labels, self.predicted)

    @property
    def interval(self) -> Interval:
        """95 % posterior interval of `balanced_accuracy`."""
        return balanced_accuracy_interval(self.labels, self.predicted)

    @property
    def chance_threshold(self) -> float:
        """Smallest balanced accuracy that guessing reaches in at most one of 20 such sets of trials."""
        _, counts = np.unique(self.labels, return_counts=True)
        return balanced_accuracy_chance_threshold(counts.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Decisions(Labelled):
    """What one decoder said of all test trials.

    Parameters
    ----------
    name : str
    classes : tuple of str
    labels, predicted : ndarray of str, shape (n_trials,)
    probabilities : ndarray, shape (n_trials, n_classes)
    runs : ndarray of int, shape (n_trials,)
        Position of the run each trial is from.
    """

    name: str
    classes: tuple[str, ...]
    labels: NDArray[np.str_]
    predicted: NDArray[np.str_]
    probabilities: F64
    runs: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of trials that were recognised."""
        return float(np.mean(self.labels == self.predicted))

    @property
    def accuracy_interval(self) -> Interval:
        """95 % Wilson interval of `accuracy`."""
        return wilson_interval(int(np.sum(self.labels == self.predicted)), len(self.labels))

    @property
    def chance(self) -> float:
        """Balanced accuracy that guessing reaches on average."""
        return chance_level(len(self.classes))

    @property
    def kappa(self) -> float:
        """Cohen's kappa."""
        return cohen_kappa(self.labels, self.predicted)

    @property
    def area_under_curve(self) -> float:
        """Area under the ROC curve; of several classes the mean of each against the rest."""
        areas = [
            area_under_curve(self.labels == name, self.probabilities[:, i])
            for i, name in enumerate(self.classes)
        ]
        return float(areas[1]) if len(areas) == 2 else float(np.mean(areas))

    @property
    def log_loss(self) -> float:
        """Mean negative log-probability of what was true, nats."""
        return log_loss(self.labels, self.probabilities, classes=self.classes)

    @property
    def brier_score(self) -> float:
        """Mean squared distance of the probabilities from what was true, 0 to 2."""
        return brier_score(self.labels, self.probabilities, classes=self.classes)

    @property
    def calibration(self) -> CalibrationError:
        """Expected calibration error, with the share that chance has in it."""
        return calibration_error(self.labels, self.probabilities, classes=self.classes)

    @property
    def per_run(self) -> dict[int, float]:
        """Balanced accuracy of each test run: the trend over a session."""
        return {
            int(run): balanced_accuracy(self.labels[self.runs == run], self.predicted[self.runs == run])
            for run in np.unique(self.runs)
        }

    def bits_per_min(self, trial_s: float) -> float:
        """Wolpaw's information transfer rate with trials of `trial_s` seconds, pauses included."""
        return information_transfer_rate(self.accuracy, n_classes=len(self.classes), trial_s=trial_s)

    def joined(self, other: Decisions) -> Decisions:
        """The decisions of two folds as one."""
        if (self.name, self.classes) != (other.name, other.classes):
            raise LabelError(
                _(
                    "folds decide between {classes} and {others}: every class must be in the training runs "
                    "of every fold"
                ).format(classes=", ".join(self.classes), others=", ".join(other.classes)),
                found=other.classes,
                expected=self.classes,
            )
        return Decisions(
            self.name,
            self.classes,
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.predicted, other.predicted]),
            np.concatenate([self.probabilities, other.probabilities]),
            np.concatenate([self.runs, other.runs]),
        )
