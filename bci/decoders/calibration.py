"""Probabilities that mean what they say: a map from scores to probabilities, fitted on scores of windows that
were not trained on.

Three maps of growing freedom stand to choice: one temperature; a temperature and an offset per class (Platt);
any rising curve (isotonic). Which one is decided by the log-loss on runs that the map was not fitted on, so
that freedom has to pay. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.errors import NonFiniteError, ShapeError

__all__ = [
    "Calibration",
    "fit_calibration",
    "fit_isotonic",
    "fit_platt",
    "fit_temperature",
    "log_loss",
    "softmax",
]

_COLDEST, _HOTTEST = 0.1, 100.0
_NEWTON_STEPS = 50
# Where scores part the classes without a fault, a probability may round to 0.
_LEAST = 1e-12

I64 = NDArray[np.int64]


def softmax(scores: F64) -> F64:
    """Probabilities, shape (n_windows, n_classes), from scores of the same shape."""
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    result: F64 = e / np.sum(e, axis=1, keepdims=True)
    return result


def _none() -> F64:
    return np.zeros((0, 2, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A map from scores to probabilities.

    Parameters
    ----------
    temperature : float
        Scores are divided by it; above 1 it takes back the confidence that fitting put in.
    offsets : ndarray, shape (n_classes,) or (0,)
        Added after that; (0,) for none.
    knots : ndarray, shape (n_classes, 2, n_knots) or (0, 2, 0)
        Where given, a class's probability is read from this curve instead: `knots[k, 0]` are scores (less their mean
        over the classes), rising, `knots[k, 1]` probabilities. Classes are then normalised to sum to one.

    Raises
    ------
    ShapeError
        If the numbers make no such map.
    """

    temperature: float = 1.0
    offsets: F64 = field(default_factory=lambda: np.zeros(0))
    knots: F64 = field(default_factory=_none)

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and np.isfinite(self.temperature)):
            raise ShapeError(f"expected a positive temperature, got {self.temperature}")
        if self.offsets.ndim != 1 or self.knots.ndim != 3 or self.knots.shape[1] != 2:
            raise ShapeError(f"offsets {self.offsets.shape} and knots {self.knots.shape} make no calibration")
        x, p = self.knots[:, 0], self.knots[:, 1]
        if len(self.knots) and not (
            x.shape[1]
            and (np.diff(x) >= 0).all()
            and (np.diff(p) >= 0).all()
            and (p > 0).all()
            and (p < 1).all()
        ):
            raise ShapeError("the curves of a calibration do not rise between 0 and 1")

    @property
    def kind(self) -> str:
        """ "temperature", "platt" or "isotonic"."""
        return "isotonic" if len(self.knots) else "platt" if len(self.offsets) else "temperature"

    def fits(self, n_classes: int) -> bool:
        """Whether it is for this many classes."""
        return len(self.offsets) in (0, n_classes) and len(self.knots) in (0, n_classes)

    def probabilities(self, scores: F64) -> F64:
        """Probabilities, shape (n_windows, n_classes), of scores of the same shape. NaN where a score is NaN."""
        if len(self.knots):
            centred = scores - scores.mean(axis=1, keepdims=True)
            p = np.column_stack(
                [np.interp(s, *curve) for s, curve in zip(centred.T, self.knots, strict=True)]
            )
            result: F64 = p / p.sum(axis=1, keepdims=True)
            return result
        scaled = scores / self.temperature
        return softmax(scaled + self.offsets if len(self.offsets) else scaled)


def fit_temperature(scores: F64, targets: I64) -> float:
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


def fit_platt(scores: F64, targets: I64) -> Calibration:
    """Temperature and offsets that give out-of-fold scores the least log-loss.

    Parameters and errors as of `fit_temperature`.

    References
    ----------
    .. [1] Platt, Advances in Large Margin Classifiers, MIT Press, 61-74, 1999. For more than two
       classes: bias-corrected temperature scaling, Alexandari et al., ICML 2020. arXiv:1901.06852
    """
    n, k = scores.shape
    inverse, offsets = 1.0 / fit_temperature(scores, targets), np.zeros(k)
    truth = np.eye(k)[targets]
    # Alternate: offsets by Newton's method at fixed temperature, then the temperature. The loss is convex in both
    # together, so this ends at the one minimum. One window's worth of even prior keeps empty classes finite.
    for _ in range(_NEWTON_STEPS):
        before = np.append(offsets, inverse)
        p = softmax(inverse * scores + offsets)
        slope = (p - truth).sum(axis=0) + (p - 1.0 / k).mean(axis=0)
        curvature = np.diag(p.sum(axis=0)) - p.T @ p + np.eye(k) * 1e-6
        offsets = offsets - np.linalg.solve(curvature, slope)
        offsets -= offsets.mean()
        p = softmax(inverse * scores + offsets)
        expected = np.sum(p * scores, axis=1)
        spread = np.sum(p * scores**2, axis=1) - expected**2
        slope_b = float(np.sum(expected - scores[np.arange(n), targets]))
        inverse -= slope_b / max(float(spread.sum()), 1e-12)
        inverse = float(np.clip(inverse, 1.0 / _HOTTEST, 1.0 / _COLDEST))
        if np.abs(np.append(offsets, inverse) - before).max() < 1e-10:
            break
    return Calibration(1.0 / inverse, offsets)


def fit_isotonic(scores: F64, targets: I64) -> Calibration:
    """For each class the rising curve from score to probability that fits out-of-fold scores best.

    Parameters and errors as of `fit_temperature`. Levels are (hits + 1) / (windows + 2), so none says 0 or 1.

    References
    ----------
    .. [1] Zadrozny and Elkan, KDD 2002, 694-699. doi:10.1145/775047.775151
    """
    _true_scores(scores, targets)
    centred = scores - scores.mean(axis=1, keepdims=True)
    curves = [_rising(centred[:, j], targets == j) for j in range(scores.shape[1])]
    width = max(len(x) for x, _ in curves)
    knots = np.empty((len(curves), 2, width))
    for j, (x, p) in enumerate(curves):
        knots[j, 0], knots[j, 1] = (
            np.pad(x, (0, width - len(x)), "edge"),
            np.pad(p, (0, width - len(p)), "edge"),
        )
    return Calibration(knots=knots)


def fit_calibration(scores: F64, targets: I64, runs: NDArray[np.int64]) -> Calibration:
    """The one of the three maps that does best on runs it was not fitted on, fitted on all of them.

    Parameters
    ----------
    scores, targets
        As of `fit_temperature`.
    runs : ndarray of int, shape (n_windows,)
        Run of each window. With one run only, or where a run holds the only windows of a class, nothing can be
        compared and the temperature is taken.

    Raises
    ------
    ShapeError, NonFiniteError
        If scores and targets do not fit or hold NaN.
    """
    makers: tuple[Callable[[F64, I64], Calibration], ...] = (
        lambda s, t: Calibration(fit_temperature(s, t)),
        fit_platt,
        fit_isotonic,
    )
    numbers = np.unique(runs)
    best, least = makers[0], np.inf
    if len(numbers) > 1 and all(len(np.unique(targets[runs != r])) == scores.shape[1] for r in numbers):
        for make in makers:
            loss = 0.0
            for r in numbers:
                inside, outside = runs != r, runs == r
                p = make(scores[inside], targets[inside]).probabilities(scores[outside])
                loss -= float(np.sum(np.log(np.maximum(p[np.arange(len(p)), targets[outside]], _LEAST))))
            if loss < least:
                best, least = make, loss
    return best(scores, targets)


def log_loss(scores: F64, targets: I64, *, temperature: float = 1.0) -> float:
    """Mean negative log-probability, in nats, of the true class under softmax(scores / temperature)."""
    true_score = _true_scores(scores, targets) / temperature
    scaled = scores / temperature
    top = scaled.max(axis=1)
    return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - true_score))


def _rising(x: F64, hit: NDArray[np.bool_]) -> tuple[F64, F64]:
    """Pool adjacent violators; each level stands at its first and last score, lines lie between."""
    order = np.argsort(x, kind="stable")
    x = x[order]
    first: list[int] = []
    hits: list[float] = []
    sizes: list[float] = []
    for i, h in enumerate(hit[order].astype(np.float64)):
        first.append(i)
        hits.append(float(h))
        sizes.append(1.0)
        while len(hits) > 1 and hits[-2] * sizes[-1] >= hits[-1] * sizes[-2]:
            more_hits, more = hits.pop(), sizes.pop()
            hits[-1] += more_hits
            sizes[-1] += more
            first.pop()
    begins = np.array(first)
    ends = np.append(begins[1:], len(x)) - 1
    level = np.maximum.accumulate((np.array(hits) + 1.0) / (np.array(sizes) + 2.0))
    return x[np.column_stack([begins, ends]).ravel()], np.repeat(level, 2)


def _true_scores(scores: F64, targets: I64) -> F64:
    if scores.ndim != 2 or targets.shape != (len(scores),) or len(scores) == 0:
        raise ShapeError(
            "expected (n_windows, n_classes) scores and one target each, "
            f"got {scores.shape} and {targets.shape}"
        )
    if not np.isfinite(scores).all():
        raise NonFiniteError("a score is NaN or infinite: leave invalid windows out")
    result: F64 = scores[np.arange(len(scores)), targets]
    return result
