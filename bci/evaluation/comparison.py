"""Whether one decoder is better than another on the same trials.

The difference of two scores on the same trials is known far better than either score, because easy and hard
trials are shared. So decoders are compared in pairs, trial by trial, never by whether their intervals overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import ShapeError
from bci.evaluation.intervals import Interval
from bci.evaluation.metrics import as_label_pair

__all__ = ["PairedDifference", "PairedTrials", "paired_bootstrap", "sign_flip_test"]


@dataclass(frozen=True, slots=True, eq=False)
class PairedTrials:
    """What two decoders said of the same trials of one subject.

    Parameters
    ----------
    y_true, ours, theirs : array-like, shape (n_trials,)
        Labels, and the two predictions.
    runs : array-like, shape (n_trials,)
        Run of each trial; trials are drawn anew within their run and class.
    """

    y_true: ArrayLike
    ours: ArrayLike
    theirs: ArrayLike
    runs: ArrayLike


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Balanced accuracy of ours minus theirs: mean over subjects, with its bootstrap interval.

    `better` is the share of bootstrap draws in which the difference is above 0.
    """

    difference: float
    interval: Interval
    better: float
    n_subjects: int


def paired_bootstrap(
    subjects: Sequence[PairedTrials], *, seed: int = 0, n_draws: int = 4000, confidence: float = 0.95
) -> PairedDifference:
    """Difference in balanced accuracy of two decoders on the same trials, averaged over subjects.

    Trials are drawn with replacement within their run and class, the same ones for both decoders, so run
    drift and class counts stay as they are; the subjects are the ones at hand, and the interval speaks of
    them and of no others.

    Parameters
    ----------
    subjects : sequence of PairedTrials
    seed, n_draws : int
    confidence : float
        Two-sided, percentile method.

    Raises
    ------
    ShapeError
        If there are no subjects, or lists differ in length.

    References
    ----------
    .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    if not subjects:
        raise ShapeError("expected the trials of at least one subject")
    rng = np.random.default_rng(seed)
    observed = 0.0
    drawn = np.zeros(n_draws)
    for subject in subjects:
        gain, strata, weights = _strata(subject)
        observed += sum(w * float(gain[s].mean()) for s, w in zip(strata, weights, strict=True))
        for rows, weight in zip(strata, weights, strict=True):
            picks = rng.integers(0, len(rows), (n_draws, len(rows)))
            drawn += weight * gain[rows][picks].mean(axis=1)
    n = len(subjects)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(drawn / n, [tail, 1.0 - tail])
    return PairedDifference(
        difference=observed / n,
        interval=Interval(float(low), float(high)),
        better=float(np.mean(drawn > 0.0)),
        n_subjects=n,
    )


def sign_flip_test(differences: ArrayLike, *, seed: int = 0, n_draws: int = 100_000) -> float:
    """Whether a difference holds for people like these: the two-sided p-value of their mean difference.

    If neither decoder were better, each person's difference could as well have the other sign. The p-value is the share
    of all 2ⁿ choices of signs that give a mean as far from 0 as the one observed; of `n_draws` random ones where there
    are more than that. With fewer than 6 people it cannot fall below 0.05.

    Parameters
    ----------
    differences : array-like, shape (n_subjects,)
        Ours minus theirs, one number a person.
    seed, n_draws : int

    Raises
    ------
    ShapeError
        If there are no subjects.

    References
    ----------
    .. [1] Fisher, The Design of Experiments, 1935, section 21.

    Examples
    --------
    >>> sign_flip_test([0.1, 0.2, 0.1])
    0.25
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not len(d):
        raise ShapeError(f"expected one difference a subject, got an array of shape {d.shape}")
    observed = abs(d.sum())
    close = 1e-12 * np.abs(d).sum()
    if 2 ** len(d) <= n_draws:
        bits = np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ d) >= observed - close))
    rng = np.random.default_rng(seed)
    extreme = 1  # the observed signs are one of the choices
    for _ in range(0, n_draws, 1000):
        signs = 1 - 2 * rng.integers(0, 2, (1000, len(d)))
        extreme += int(np.sum(np.abs(signs @ d) >= observed - close))
    return extreme / (-(-n_draws // 1000) * 1000 + 1)


def _strata(subject: PairedTrials) -> tuple[NDArray[np.float64], list[NDArray[np.int64]], list[float]]:
    """+1, 0 or −1 for each trial; rows of each run and class; weight of each in the balanced accuracy."""
    truth, ours = as_label_pair(subject.y_true, subject.ours)
    _, theirs = as_label_pair(subject.y_true, subject.theirs)
    _, runs = as_label_pair(subject.y_true, subject.runs)
    gain = (ours == truth).astype(np.float64) - (theirs == truth)
    classes = np.unique(truth)
    strata, weights = [], []
    for name in classes:
        of_class = truth == name
        for run in np.unique(runs[of_class]):
            rows = np.flatnonzero(of_class & (runs == run))
            strata.append(rows)
            weights.append(len(rows) / (of_class.sum() * len(classes)))
    return gain, strata, weights
