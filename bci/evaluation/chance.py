"""What guessing reaches. With 40 trials of two classes a coin is above 0.6 one time in ten, so 0.5 is no
yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import ShapeError
from bci.evaluation.metrics import as_label_pair, balanced_accuracy

__all__ = [
    "PermutationTest",
    "balanced_accuracy_chance_threshold",
    "chance_level",
    "chance_threshold",
    "permutation_test",
]


def chance_level(n_classes: int) -> float:
    """Expected balanced accuracy of any answer that does not look at the signal: 1 / n_classes."""
    if n_classes < 2:
        raise ShapeError(f"expected at least 2 classes, got {n_classes}")
    return 1.0 / n_classes


def chance_threshold(n_trials: int, *, n_classes: int = 2, alpha: float = 0.05) -> float:
    """Smallest accuracy that guessing reaches with a probability of at most `alpha` (exact binomial).

    Parameters
    ----------
    n_trials : int
        Independent trials, classes equally likely.
    n_classes : int
    alpha : float
        One-sided error probability.

    Returns
    -------
    float
        k / n_trials with the smallest k for which P(X >= k) <= alpha, X ~ Binomial(n_trials, 1 /
        n_classes); infinity where even n of n is not rare enough.

    Raises
    ------
    ShapeError
        If there are no trials or fewer than 2 classes.

    References
    ----------
    .. [1] Combrisson and Jerbi, J. Neurosci. Methods 250:126-136, 2015. doi:10.1016/j.jneumeth.2015.01.010

    Examples
    --------
    >>> chance_threshold(40)
    0.65
    """
    return _threshold(_binomial(n_trials, chance_level(n_classes)), n_trials, alpha)


def balanced_accuracy_chance_threshold(trials_per_class: Sequence[int], *, alpha: float = 0.05) -> float:
    """Smallest balanced accuracy that guessing reaches with a probability of at most `alpha` (exact).

    Each class's recognised trials are Binomial(n_k, 1 / K); the balanced accuracy is the mean of the K
    recalls, whose distribution is summed on the lattice of their common denominator. Equals
    `chance_threshold` for equal classes.

    Parameters
    ----------
    trials_per_class : sequence of int
        Trials of each class, all positive.
    alpha : float
        One-sided error probability.

    Returns
    -------
    float
        Infinity where even a perfect score is not rare enough.

    Raises
    ------
    ShapeError
        If there are fewer than 2 classes or a class without trials.
    """
    p = chance_level(len(trials_per_class))
    denominator = math.lcm(*trials_per_class) if min(trials_per_class) > 0 else 0
    if not denominator:
        raise ShapeError(f"every class needs at least one trial, got {list(trials_per_class)}")
    distribution = np.ones(1)
    for n in trials_per_class:
        stride = denominator // n
        recall = np.zeros(denominator + 1)
        recall[::stride] = _binomial(n, p)
        distribution = np.convolve(distribution, recall)
    return _threshold(distribution, denominator * len(trials_per_class), alpha)


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """Outcome of `permutation_test`: observed balanced accuracy, p-value, and the threshold at `alpha`."""

    observed: float
    p_value: float
    threshold: float


def permutation_test(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    runs: ArrayLike,
    seed: int,
    n_permutations: int = 2000,
    alpha: float = 0.05,
) -> PermutationTest:
    """Balanced accuracy against that of true labels permuted within each run.

    Permuting within runs keeps what a run's drift and class counts give by themselves; the predictions stay
    as they are.

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n_trials,)
    runs : array-like, shape (n_trials,)
        Run each trial belongs to.
    seed : int
        Of the permutations; the same seed gives the same result.
    n_permutations : int
    alpha : float
        One-sided error probability of `threshold`.

    Returns
    -------
    PermutationTest
        `p_value` counts the observed labelling as one of the permutations, so it is never 0 and its level
        is exact.

    Raises
    ------
    ShapeError
        If the lists differ in length.

    References
    ----------
    .. [1] Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9(1):39, 2010. doi:10.2202/1544-6115.1585
    """
    truth, predicted = as_label_pair(y_true, y_pred)
    run_of = np.asarray(runs)
    if run_of.shape != truth.shape:
        raise ShapeError(f"expected one run per trial {truth.shape}, got {run_of.shape}")
    rng = np.random.default_rng(seed)
    blocks = [np.flatnonzero(run_of == run) for run in np.unique(run_of)]
    observed = balanced_accuracy(truth, predicted)
    null = np.empty(n_permutations)
    shuffled = truth.copy()
    for i in range(n_permutations):
        for block in blocks:
            shuffled[block] = rng.permutation(truth[block])
        null[i] = balanced_accuracy(shuffled, predicted)
    # Equal scores must compare equal although they were summed in another order.
    reached = int(np.sum(null >= observed - 1e-12))
    return PermutationTest(
        observed=observed,
        p_value=(1 + reached) / (1 + n_permutations),
        threshold=float(np.quantile(null, 1 - alpha, method="higher")),
    )


def _binomial(n: int, p: float) -> NDArray[np.float64]:
    """P(X = k) for k = 0..n, through logarithms, so that no factorial overflows."""
    if n < 1:
        raise ShapeError(f"expected at least 1 trial, got {n}")
    log_pmf = [
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
        for k in range(n + 1)
    ]
    return np.exp(log_pmf)


def _threshold(pmf: NDArray[np.float64], denominator: int, alpha: float) -> float:
    """Smallest value k / denominator with a positive probability whose upper tail is at most `alpha`."""
    tail = np.cumsum(pmf[::-1])[::-1]
    rare = np.flatnonzero((tail <= alpha) & (pmf > 0))
    return float(rare[0]) / denominator if len(rare) else math.inf
