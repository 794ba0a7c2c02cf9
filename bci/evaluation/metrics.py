"""Figures of merit of predicted labels and scores. Point estimates only; `intervals` and `chance` belong
beside them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import LabelError, NonFiniteError, ShapeError

__all__ = [
    "area_under_curve",
    "balanced_accuracy",
    "cohen_kappa",
    "information_transfer_rate",
    "per_class_counts",
]


def as_label_pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Both label lists as 1-D arrays of one length, or `ShapeError`."""
    truth, predicted = np.asarray(y_true), np.asarray(y_pred)
    if truth.ndim != 1 or truth.shape != predicted.shape or len(truth) == 0:
        raise ShapeError(
            f"expected two equally long lists of labels, not empty, got {truth.shape} and {predicted.shape}"
        )
    return truth, predicted


def per_class_counts(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Correct trials and all trials of each class that occurs in `y_true`, in sorted order of the classes.

    Returns
    -------
    correct, total : ndarray, shape (n_classes,), int64
    """
    truth, predicted = as_label_pair(y_true, y_pred)
    classes, index = np.unique(truth, return_inverse=True)
    total = np.bincount(index, minlength=len(classes)).astype(np.int64)
    correct = np.bincount(index[truth == predicted], minlength=len(classes)).astype(np.int64)
    return correct, total


def balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean over classes of the fraction of that class's trials that were recognised.

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n_trials,)
        Labels of any kind that compares equal. Classes are those of `y_true`.

    Returns
    -------
    float
        0 to 1; a constant answer gives 1 / n_classes however unbalanced the trials are.

    Raises
    ------
    ShapeError
        If the lists are empty or differ in length.

    References
    ----------
    .. [1] Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010.
       doi:10.1109/ICPR.2010.764

    Examples
    --------
    >>> balanced_accuracy(["rest", "rest", "rest", "grasp"], ["rest", "rest", "rest", "rest"])
    0.5
    """
    correct, total = per_class_counts(y_true, y_pred)
    return float(np.mean(correct / total))


def cohen_kappa(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Agreement beyond what the two label frequencies give by themselves: (p_o - p_e) / (1 - p_e).

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n_trials,)

    Returns
    -------
    float
        1 is perfect, 0 chance, negative worse than chance. NaN where truth and answer are one and the same
        single class (p_e = 1), for then there is nothing to agree on.

    Raises
    ------
    ShapeError
        If the lists are empty or differ in length.

    References
    ----------
    .. [1] Cohen, Educ. Psychol. Meas. 20(1):37-46, 1960, equation 1. doi:10.1177/001316446002000104
    """
    truth, predicted = as_label_pair(y_true, y_pred)
    observed = float(np.mean(truth == predicted))
    classes = np.union1d(truth, predicted)
    expected = float(sum(np.mean(truth == c) * np.mean(predicted == c) for c in classes))
    return (observed - expected) / (1.0 - expected) if expected < 1.0 else math.nan


def area_under_curve(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Probability that a trial of the positive class scores above one of the negative class (ties count
    half).

    Parameters
    ----------
    y_true : array-like of bool, shape (n_trials,)
        True for the positive class.
    scores : array-like, shape (n_trials,)
        Any monotone score: probability, log-odds, distance.

    Returns
    -------
    float
        Area under the receiver operating characteristic, 0 to 1.

    Raises
    ------
    ShapeError
        If the lists are empty or differ in length.
    LabelError
        If one of the two classes is missing.
    NonFiniteError
        If a score is NaN.

    References
    ----------
    .. [1] Hanley and McNeil, Radiology 143(1):29-36, 1982. doi:10.1148/radiology.143.1.7063747
    """
    truth, _ = as_label_pair(y_true, y_true)
    positive = truth.astype(bool)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != positive.shape:
        raise ShapeError(f"expected one score per label {positive.shape}, got {values.shape}")
    if np.isnan(values).any():
        raise NonFiniteError(f"{int(np.isnan(values).sum())} of {len(values)} scores are NaN")
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        raise LabelError(
            f"both classes are needed, got {n_positive} positive and {n_negative} negative trials"
        )
    # Mann-Whitney: the sum of the positive trials' ranks, ties sharing their mean rank.
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    rank_sum = float(mean_rank[index][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def information_transfer_rate(accuracy: float, *, n_classes: int, trial_s: float) -> float:
    """Wolpaw's bit rate: what error-free selections between equally likely classes would carry.

    Parameters
    ----------
    accuracy : float
        Fraction of correct selections, 0 to 1. At or below 1 / n_classes the rate is 0.
    n_classes : int
        Number of selectable classes, 2 or more.
    trial_s : float
        Seconds per selection, pauses included.

    Returns
    -------
    float
        Bits per minute.

    Raises
    ------
    ShapeError
        If `accuracy` is outside 0..1, `n_classes` < 2 or `trial_s` is not positive.

    References
    ----------
    .. [1] Wolpaw et al., Clin. Neurophysiol. 113(6):767-791, 2002. doi:10.1016/S1388-2457(02)00057-3

    Examples
    --------
    >>> information_transfer_rate(1.0, n_classes=4, trial_s=6.0)
    20.0
    """
    if not (0.0 <= accuracy <= 1.0 and n_classes >= 2 and trial_s > 0):
        raise ShapeError(
            "expected accuracy in 0..1, at least 2 classes and a positive trial length, "
            f"got {accuracy}, {n_classes} and {trial_s} s"
        )
    if accuracy <= 1 / n_classes:
        return 0.0
    bits = math.log2(n_classes) + accuracy * math.log2(accuracy)
    if accuracy < 1.0:
        bits += (1 - accuracy) * math.log2((1 - accuracy) / (n_classes - 1))
    return 60.0 * bits / trial_s
