"""Intervals: how far a figure from few trials or few minutes may be from the truth."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bci.errors import ShapeError
from bci.evaluation.metrics import per_class_counts

__all__ = ["Interval", "balanced_accuracy_interval", "poisson_interval", "wilson_interval"]


class Interval(NamedTuple):
    """Lower and upper bound, in the unit of the figure it belongs to."""

    low: float
    high: float


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion.

    Parameters
    ----------
    successes, n : int
        Correct trials and all trials.
    confidence : float
        Two-sided coverage.

    Returns
    -------
    Interval
        Inside 0..1, also at 0 and n successes, where the usual ± collapses to nothing.

    Raises
    ------
    ShapeError
        If not 0 <= successes <= n with n > 0, or if confidence is outside 0..1.

    References
    ----------
    .. [1] Wilson, J. Am. Stat. Assoc. 22(158):209-212, 1927. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> wilson_interval(8, 10)
    Interval(low=0.4901..., high=0.9433...)
    """
    if not 0 <= successes <= n or n == 0:
        raise ShapeError(f"expected 0 <= successes <= n and n > 0, got {successes} of {n}")
    z2 = NormalDist().inv_cdf(_upper_tail(confidence)) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return Interval(0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def poisson_interval(count: int, exposure: float, *, confidence: float = 0.95) -> Interval:
    """Garwood's exact interval of a rate, from events counted in an exposure.

    Parameters
    ----------
    count : int
        Events seen, e.g. false movements.
    exposure : float
        Minutes (or any unit) they were counted in.
    confidence : float
        Two-sided coverage.

    Returns
    -------
    Interval
        Events per unit of exposure. With none seen in m minutes the upper bound is 3.69 / m: silence for a
        minute proves little.

    Raises
    ------
    ShapeError
        If `count` is negative, `exposure` not positive or confidence outside 0..1.

    References
    ----------
    .. [1] Garwood, Biometrika 28(3/4):437-442, 1936. doi:10.2307/2333958
    """
    from scipy.special import gammaincinv

    if count < 0 or not exposure > 0:
        raise ShapeError(f"expected a count and a positive exposure, got {count} in {exposure}")
    upper = _upper_tail(confidence)
    low = float(gammaincinv(count, 1 - upper)) if count else 0.0
    return Interval(low / exposure, float(gammaincinv(count + 1, upper)) / exposure)


def balanced_accuracy_interval(y_true: ArrayLike, y_pred: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Posterior interval of the balanced accuracy: a mean of independent Beta variables, one per class.

    With a flat prior, class k with c correct of n trials has recall ~ Beta(c + 1, n - c + 1); the
    distribution of the mean over classes is their convolution.

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n_trials,)
        Trials are taken as independent: give it one decision per trial, not overlapping windows of one trial.
    confidence : float
        Equal-tailed posterior mass.

    Returns
    -------
    Interval

    Raises
    ------
    ShapeError
        If the lists are empty or differ in length, or confidence is outside 0..1.

    References
    ----------
    .. [1] Brodersen et al., ICPR 2010, equations 6-8. doi:10.1109/ICPR.2010.764
    """
    from scipy.special import betainc

    upper = _upper_tail(confidence)
    correct, total = per_class_counts(y_true, y_pred)
    # Exact probability mass per bin, then a discrete convolution: with 2000 bins the bounds are right to
    # 1e-5.
    n_bins = 2000
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    mass = np.ones(1)
    for c, n in zip(correct, total, strict=True):
        mass = np.convolve(mass, np.diff(betainc(c + 1, n - c + 1, edges)))
    # A sum of K bin centres (i + 1/2) / n_bins, spread evenly over one bin's width around it.
    k = len(total)
    centres = (np.arange(len(mass)) + k / 2) / (n_bins * k)
    right_edges = centres + 0.5 / (n_bins * k)
    low, high = np.interp([1 - upper, upper], np.cumsum(mass), right_edges)
    return Interval(float(low), float(high))


def _upper_tail(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ShapeError(f"expected a confidence between 0 and 1, got {confidence}")
    return 0.5 + confidence / 2
