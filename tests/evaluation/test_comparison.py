"""Paired comparison of decoders: exact where it can be said by hand, covering where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from bci.errors import ShapeError
from bci.evaluation import PairedTrials, balanced_accuracy, paired_bootstrap


def pair(seed: int, *, ours: float, theirs: float, n: int = 80) -> PairedTrials:
    """Decoders that share four in five of their trials' luck."""
    rng = np.random.default_rng(seed)
    truth = np.tile(["grasp", "rest"], n // 2)
    shared, own = rng.random(n), rng.random((2, n))
    luck = [np.where(rng.random(n) < 0.8, shared, own[k]) for k in range(2)]
    other = np.where(truth == "grasp", "rest", "grasp")
    runs = np.repeat([1, 2], n // 2)
    return PairedTrials(
        truth, np.where(luck[0] < ours, truth, other), np.where(luck[1] < theirs, truth, other), runs
    )


def test_the_difference_is_that_of_the_balanced_accuracies() -> None:
    subjects = [pair(seed, ours=0.8, theirs=0.7) for seed in range(3)]
    expected = np.mean(
        [balanced_accuracy(s.y_true, s.ours) - balanced_accuracy(s.y_true, s.theirs) for s in subjects]
    )
    assert paired_bootstrap(subjects).difference == pytest.approx(expected, abs=1e-12)


def test_the_same_decoder_twice_differs_by_nothing() -> None:
    one = pair(1, ours=0.7, theirs=0.7)
    same = paired_bootstrap([PairedTrials(one.y_true, one.ours, one.ours, one.runs)])
    assert (same.difference, *same.interval, same.better) == (0.0, 0.0, 0.0, 0.0)


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(150):
        low, high = paired_bootstrap([pair(seed, ours=0.8, theirs=0.7)], n_draws=600).interval
        held += low <= 0.1 <= high
    assert 0.89 <= held / 150 <= 0.99


def test_pairing_narrows_the_interval() -> None:
    one = pair(7, ours=0.8, theirs=0.75, n=400)
    paired = paired_bootstrap([one]).interval
    rng = np.random.default_rng(0)
    alone = np.asarray(one.ours) == np.asarray(one.y_true)
    other = np.asarray(one.theirs) == np.asarray(one.y_true)
    apart = [rng.choice(alone, 400).mean() - rng.choice(other, 400).mean() for _ in range(2000)]
    low, high = np.quantile(apart, [0.025, 0.975])
    assert paired.high - paired.low < 0.8 * (high - low)


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError):
        paired_bootstrap([])
    with pytest.raises(ShapeError):
        paired_bootstrap([PairedTrials(["rest"], ["rest"], ["rest", "rest"], [1])])
