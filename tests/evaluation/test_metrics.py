"""Figures of merit against scikit-learn and hand-counted cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from bci.errors import LabelError, NonFiniteError, ShapeError
from bci.evaluation import area_under_curve, balanced_accuracy, cohen_kappa, information_transfer_rate

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(LABELS)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_balanced_accuracy_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    ours, theirs = balanced_accuracy(truth, predicted), metrics.balanced_accuracy_score(truth, predicted)
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_a_constant_answer_has_the_balanced_accuracy_of_chance() -> None:
    truth = ["rest"] * 90 + ["grasp"] * 10
    assert balanced_accuracy(truth, ["rest"] * 100) == 0.5


@given(LABELS)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    ours, theirs = cohen_kappa(truth, predicted), metrics.cohen_kappa_score(truth, predicted)
    assert math.isnan(ours) if len(set(truth + predicted)) == 1 else ours == pytest.approx(theirs, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_area_under_curve_with_ties_is_scikit_learns(pairs: list[tuple[bool, int]]) -> None:
    truth, scores = zip(*pairs, strict=True)
    if len(set(truth)) < 2:
        with pytest.raises(LabelError):
            area_under_curve(truth, scores)
    else:
        assert area_under_curve(truth, scores) == pytest.approx(
            metrics.roc_auc_score(truth, scores), abs=1e-12
        )


def test_bit_rate_of_four_classes_matches_the_worked_numbers() -> None:
    assert information_transfer_rate(1.0, n_classes=4, trial_s=60.0) == pytest.approx(2.0)
    # 2 + 0.9 log2 0.9 + 0.1 log2 (0.1 / 3)
    assert information_transfer_rate(0.9, n_classes=4, trial_s=60.0) == pytest.approx(1.372508, abs=1e-6)
    assert information_transfer_rate(0.25, n_classes=4, trial_s=60.0) == 0.0
    assert information_transfer_rate(0.1, n_classes=4, trial_s=60.0) == 0.0


@pytest.mark.parametrize(
    ("accuracy", "n_classes", "trial_s"), [(1.1, 2, 4.0), (0.5, 1, 4.0), (0.5, 2, 0.0), (math.nan, 2, 4.0)]
)
def test_bit_rate_refuses_what_is_no_accuracy(accuracy: float, n_classes: int, trial_s: float) -> None:
    with pytest.raises(ShapeError):
        information_transfer_rate(accuracy, n_classes=n_classes, trial_s=trial_s)


def test_lists_that_do_not_fit_are_refused() -> None:
    for truth, predicted in (([], []), ([1, 2], [1]), ([[1]], [[1]])):
        with pytest.raises(ShapeError):
            balanced_accuracy(truth, predicted)
    with pytest.raises(NonFiniteError):
        area_under_curve([True, False], [0.5, np.nan])
