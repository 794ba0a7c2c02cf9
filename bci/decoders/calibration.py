"""Probabilities that mean what they say: one temperature, fitted on scores of windows that were not trained
on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders.frozen import softmax
from bci.errors import NonFiniteError, ShapeError

__all__ = ["fit_temperature", "log_loss"]

_COLDEST, _HOTTEST = 0.1, 100.0


def fit_temperature(scores: F64, targets: NDArray[np.int64]) -> float:
    """Temperature that gives out-of-fold scores the least log-loss.

    Parameters
    ----------
    scores : ndarray, shape (n_windows, n_classes)
        Of windows from runs that were not trained on; scores of training windows would only confirm
        themselves.
    targets : ndarray of int, shape (n_windows,)
        Column of the true class.

    Returns
    -------
    float
        0.1 to 100; the upper end where the scores say nothing, which makes the probabilities even.

    Raises
    ------
    ShapeError, NonFiniteError
        If scores and targets do not fit or hold NaN.

    References
    ----------
    .. [1] Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2. arXiv:1706.04599
    """
    # The log-loss is convex in the inverse temperature b: its slope is the mean of (expected - true) score
    # under softmax(b · scores), and it rises with b. Bisection on the logarithm finds its zero to the last
    # digits.
    true_score = _true_scores(scores, targets)
    low, high = -np.log(_HOTTEST), -np.log(_COLDEST)
    for _ in range(60):
        middle = 0.5 * (low + high)
        expected = np.sum(softmax(np.exp(middle) * scores) * scores, axis=1)
        low, high = (low, middle) if float(np.mean(expected - true_score)) > 0 else (middle, high)
    return float(np.exp(-0.5 * (low + high)))


def log_loss(scores: F64, targets: NDArray[np.int64], *, temperature: float = 1.0) -> float:
    """Mean negative log-probability, in nats, of the true class under softmax(scores / temperature)."""
    true_score = _true_scores(scores, targets) / temperature
    scaled = scores / temperature
    top = scaled.max(axis=1)
    return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - true_score))


def _true_scores(scores: F64, targets: NDArray[np.int64]) -> F64:
    if scores.ndim != 2 or targets.shape != (len(scores),) or len(scores) == 0:
        raise ShapeError(
            "expected (n_windows, n_classes) scores and one target each, "
            f"got {scores.shape} and {targets.shape}"
        )
    if not np.isfinite(scores).all():
        raise NonFiniteError("a score is NaN or infinite: leave invalid windows out")
    result: F64 = scores[np.arange(len(scores)), targets]
    return result
