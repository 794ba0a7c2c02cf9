"""Intervals and chance thresholds against scipy.stats, simulation and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bci.errors import ShapeError, TooFewRunsError
from bci.evaluation import (
    balanced_accuracy,
    balanced_accuracy_chance_threshold,
    balanced_accuracy_interval,
    chance_level,
    chance_threshold,
    permutation_test,
    poisson_interval,
    run_blocked_folds,
    wilson_interval,
)


@given(st.integers(1, 200), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_wilson_interval_is_scipys(n: int, share: float, confidence: float) -> None:
    k = round(share * n)
    theirs = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(k, n, confidence=confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.integers(0, 60), st.floats(0.1, 100))
@settings(max_examples=60, deadline=None)
def test_poisson_interval_bounds_have_the_stated_tails(count: int, minutes: float) -> None:
    low, high = poisson_interval(count, minutes)
    assert stats.poisson.cdf(count, high * minutes) == pytest.approx(0.025, abs=1e-9)
    assert (
        (low == 0)
        if count == 0
        else stats.poisson.sf(count - 1, low * minutes) == pytest.approx(0.025, abs=1e-9)
    )


def test_no_false_movement_in_a_minute_still_allows_almost_four() -> None:
    assert poisson_interval(0, 1.0) == (0.0, pytest.approx(3.6889, abs=1e-4))


@pytest.mark.parametrize("counts", [[(35, 40), (28, 40)], [(0, 5), (5, 5)], [(3, 10), (9, 12), (20, 20)]])
def test_balanced_accuracy_interval_agrees_with_simulation(counts: list[tuple[int, int]]) -> None:
    truth = np.concatenate([np.full(n, k) for k, (_, n) in enumerate(counts)])
    predicted = np.concatenate([np.where(np.arange(n) < c, k, -1) for k, (c, n) in enumerate(counts)])
    rng = np.random.default_rng(1)
    draws = np.mean([rng.beta(c + 1, n - c + 1, 400_000) for c, n in counts], axis=0)
    assert balanced_accuracy_interval(truth, predicted) == pytest.approx(
        np.quantile(draws, [0.025, 0.975]), abs=1e-3
    )


def test_balanced_accuracy_interval_of_one_class_is_the_beta_quantile() -> None:
    expected = stats.beta.ppf([0.05, 0.95], 8, 4)
    interval = balanced_accuracy_interval([0] * 10, [0] * 7 + [1] * 3, confidence=0.9)
    assert interval == pytest.approx(expected, abs=1e-5)


@given(st.integers(1, 150), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_chance_threshold_is_the_smallest_rare_count(n: int, n_classes: int) -> None:
    threshold = chance_threshold(n, n_classes=n_classes)
    p = 1 / n_classes
    if math.isinf(threshold):
        assert stats.binom.sf(n - 1, n, p) > 0.05
    else:
        k = round(threshold * n)
        assert stats.binom.sf(k - 1, n, p) <= 0.05 < stats.binom.sf(k - 2, n, p)


def test_balanced_chance_threshold_of_equal_classes_is_the_plain_one() -> None:
    assert balanced_accuracy_chance_threshold([40, 40]) == pytest.approx(chance_threshold(80))


def test_balanced_chance_threshold_of_unequal_classes_agrees_with_enumeration() -> None:
    sizes = (7, 4, 5)
    pmf = [stats.binom.pmf(np.arange(n + 1), n, 1 / 3) for n in sizes]
    value = sum(np.ix_(*[np.arange(n + 1) / n for n in sizes])) / 3  # type: ignore[arg-type]
    mass = np.einsum("i,j,k->ijk", *pmf)
    reachable = np.unique(value.round(12))
    expected = next(v for v in reachable if mass[value >= v - 1e-9].sum() <= 0.05)
    assert balanced_accuracy_chance_threshold(sizes) == pytest.approx(expected, abs=1e-9)


def test_permutation_threshold_agrees_with_the_exact_one() -> None:
    truth, predicted = np.repeat([0, 1], 100), np.tile([0, 1], 100)
    result = permutation_test(truth, predicted, runs=np.zeros(200), seed=0)
    assert result.observed == 0.5
    assert result.p_value > 0.4
    assert result.threshold == pytest.approx(0.56, abs=0.011)


def test_permuting_within_runs_does_not_credit_what_the_run_alone_tells() -> None:
    runs = np.repeat([0, 1], 50)
    truth = np.where(np.arange(100) % 10 < 9, runs, 1 - runs)  # 90 % of a run is one class
    by_run_alone = permutation_test(truth, runs, runs=runs, seed=0)
    assert by_run_alone.observed == balanced_accuracy(truth, runs) == pytest.approx(0.9)
    assert by_run_alone.p_value == 1.0
    assert permutation_test(truth, runs, runs=np.zeros(100), seed=0).p_value < 0.01


def test_run_blocked_folds_never_share_a_run() -> None:
    runs = np.array(["a", "b", "a", "c", "c"])
    folds = run_blocked_folds(runs)
    assert [sorted(set(runs[test])) for _, test in folds] == [["a"], ["b"], ["c"]]
    for train, test in folds:
        assert not set(runs[train]) & set(runs[test])
        assert sorted([*train, *test]) == list(range(5))


def test_one_run_has_no_honest_folds() -> None:
    with pytest.raises(TooFewRunsError, match="record another run") as caught:
        run_blocked_folds([3, 3, 3])
    assert (caught.value.n_runs, caught.value.needed) == (1, 2)


def test_impossible_counts_are_refused() -> None:
    for call in (
        lambda: wilson_interval(3, 2),
        lambda: wilson_interval(0, 0),
        lambda: wilson_interval(1, 2, confidence=1.0),
        lambda: poisson_interval(-1, 1.0),
        lambda: poisson_interval(1, 0.0),
        lambda: chance_level(1),
        lambda: chance_threshold(0),
        lambda: balanced_accuracy_chance_threshold([3, 0]),
        lambda: permutation_test([0, 1], [0, 1], runs=[0], seed=0),
        lambda: run_blocked_folds([[1, 2]]),
    ):
        with pytest.raises(ShapeError):
            call()
