"""Whether stated probabilities mean what they say: proper scores and calibration error.

A decoder that says 0.8 should be right in 80 of 100 such trials. Log-loss and Brier score are proper: only
the true probability minimises them. The calibration error compares stated and observed frequency in bins; in
few trials a perfectly calibrated decoder shows one too, so that share is computed and taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import LabelError, NonFiniteError, ShapeError

__all__ = [
    "CalibrationError",
    "ReliabilityBin",
    "brier_score",
    "calibration_error",
    "log_loss",
    "reliability",
]

F64 = NDArray[np.float64]

#: A probability of exactly 0 on what then happened would cost infinitely much; this is the policy's clip.
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Trials of similar confidence: how sure the decoder was on average, and how often it was right."""

    confidence: float
    accuracy: float
    n_trials: int


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Expected calibration error of the most probable class.

    Parameters
    ----------
    raw : float
        Mean distance of confidence and accuracy over the bins, weighted by their trials.
    expected : float
        The same for a decoder whose statements are true, with as many trials: labels are drawn from the stated
        probabilities.
    """

    raw: float
    expected: float

    @property
    def debiased(self) -> float:
        """`raw - expected`; about 0, also slightly negative, for a calibrated decoder."""
        return self.raw - self.expected


def log_loss(y_true: ArrayLike, probabilities: ArrayLike, *, classes: ArrayLike) -> float:
    """Mean negative natural logarithm of the probability given to what was true, in nats.

    Parameters
    ----------
    y_true : array-like, shape (n_trials,)
    probabilities : array-like, shape (n_trials, n_classes)
        Rows sum to 1; values are clipped at 1e-6.
    classes : array-like, shape (n_classes,)
        Name of each column.

    Raises
    ------
    ShapeError, NonFiniteError, LabelError
        If shapes do not fit, a probability is no probability, or a label is no class.
    """
    index, p = _checked(y_true, probabilities, classes)
    return float(-np.log(np.maximum(p[np.arange(len(p)), index], _SMALLEST)).mean())


def brier_score(y_true: ArrayLike, probabilities: ArrayLike, *, classes: ArrayLike) -> float:
    """Mean squared distance of the stated probabilities from what happened, summed over classes: 0 to 2.

    Guessing with 1/2 gives 0.5 for two classes. Parameters and errors as in `log_loss`.

    References
    ----------
    .. [1] Brier, Mon. Weather Rev. 78(1):1-3, 1950, equation 2.
    """
    index, p = _checked(y_true, probabilities, classes)
    happened = np.zeros_like(p)
    happened[np.arange(len(p)), index] = 1.0
    return float(((p - happened) ** 2).sum(axis=1).mean())


def reliability(
    y_true: ArrayLike, probabilities: ArrayLike, *, classes: ArrayLike, n_bins: int = 10
) -> list[ReliabilityBin]:
    """Stated confidence against observed accuracy, in bins of equally many trials.

    Equal numbers, not equal widths: no bin rests on two trials. Parameters and errors as in `log_loss`.
    """
    index, p = _checked(y_true, probabilities, classes)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == index
    order = np.argsort(confidence, kind="stable")
    return [
        ReliabilityBin(float(confidence[part].mean()), float(right[part].mean()), len(part))
        for part in np.array_split(order, min(n_bins, len(order)))
    ]


def calibration_error(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    classes: ArrayLike,
    n_bins: int = 10,
    seed: int = 0,
    n_draws: int = 500,
) -> CalibrationError:
    """Expected calibration error, and how much of it any honest decoder would show in so few trials.

    Parameters
    ----------
    y_true, probabilities, classes
        As in `log_loss`.
    n_bins : int
        Bins of equally many trials; see `reliability`.
    seed, n_draws : int
        Of the labels drawn from the stated probabilities.

    References
    ----------
    .. [1] Guo et al., On calibration of modern neural networks, ICML 2017, equation 3.
    .. [2] Bröcker and Smith, Weather Forecast. 22(3):651-661, 2007 (consistency resampling).
       doi:10.1175/WAF993.1
    """
    index, p = _checked(y_true, probabilities, classes)
    confidence, top = p.max(axis=1), p.argmax(axis=1)
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(n_bins, len(order)))
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    sorted_confidence = confidence[order]

    def error(right: NDArray[np.bool_]) -> F64:
        """Of each row of `right`, shape (n, n_trials)."""
        gaps: F64 = np.add.reduceat(right[:, order] - sorted_confidence, starts, axis=1)
        result: F64 = np.abs(gaps).sum(axis=1) / len(order)
        return result

    # Whether the most probable class comes true is a coin with the stated confidence, whatever the other
    # classes are.
    drawn = np.random.default_rng(seed).random((n_draws, len(p))) < confidence
    return CalibrationError(float(error((top == index)[None])[0]), float(error(drawn).mean()))


def _checked(
    y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike
) -> tuple[NDArray[np.int64], F64]:
    """Column of each label, and the probabilities as float64."""
    truth, p, names = np.asarray(y_true), np.asarray(probabilities, dtype=np.float64), np.asarray(classes)
    if truth.ndim != 1 or len(truth) == 0 or p.shape != (len(truth), len(names)):
        raise ShapeError(
            f"expected probabilities of shape (n_trials, {len(names)}) for {truth.shape} labels, got {p.shape}"
        )
    if not np.isfinite(p).all() or (p < -1e-9).any() or (np.abs(p.sum(axis=1) - 1.0) > 1e-6).any():
        raise NonFiniteError("expected probabilities: finite, not negative, each row with the sum 1")
    unknown = sorted({str(name) for name in truth} - {str(name) for name in names})
    if unknown:
        raise LabelError(
            f"labels {', '.join(unknown)} are no classes of the decoder: {', '.join(map(str, names))}",
            found=unknown,
            expected=tuple(map(str, names)),
        )
    place = {name: i for i, name in enumerate(names.tolist())}
    return np.array([place[name] for name in truth.tolist()], dtype=np.int64), p
