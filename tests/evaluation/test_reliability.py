"""Calibration of stated probabilities against scikit-learn and against decoders of known honesty."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss as witness_log_loss

from bci.errors import LabelError, NonFiniteError, ShapeError
from bci.evaluation import brier_score, calibration_error, log_loss, reliability

CLASSES = ("grasp", "rest")


def trials(n: int, seed: int, honesty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Labels and stated probabilities; with `honesty` above 1 the log-odds are stated too large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.2, n)
    true_p = 1 / (1 + np.exp(-odds))
    labels = np.where(rng.random(n) < true_p, "grasp", "rest")
    stated = 1 / (1 + np.exp(-honesty * odds))
    return labels, np.column_stack([stated, 1 - stated])


def test_log_loss_agrees_with_scikit_learn() -> None:
    labels, p = trials(300, 1)
    assert log_loss(labels, p, classes=CLASSES) == pytest.approx(
        witness_log_loss(labels, p, labels=list(CLASSES)), rel=1e-12
    )


def test_log_loss_of_a_certainty_that_failed_is_large_and_finite() -> None:
    assert log_loss(["rest"], [[1.0, 0.0]], classes=CLASSES) == pytest.approx(-math.log(1e-6))


def test_brier_score_of_a_coin_is_one_half_for_two_classes() -> None:
    assert brier_score(["rest", "grasp"], [[0.5, 0.5]] * 2, classes=CLASSES) == pytest.approx(0.5)
    assert brier_score(["rest", "grasp"], [[0, 1], [1, 0]], classes=CLASSES) == 0.0
    assert brier_score(["rest"], [[1, 0]], classes=CLASSES) == 2.0


def test_debiased_error_of_an_honest_decoder_is_about_zero_even_in_few_trials() -> None:
    errors = [calibration_error(*trials(80, seed), classes=CLASSES) for seed in range(60)]
    assert np.mean([e.raw for e in errors]) > 0.08  # what is not debiased would be called bad calibration
    assert abs(np.mean([e.debiased for e in errors])) < 0.01


def test_debiased_error_of_an_overconfident_decoder_is_found() -> None:
    errors = [calibration_error(*trials(400, seed, 3.0), classes=CLASSES) for seed in range(10)]
    assert np.mean([e.debiased for e in errors]) > 0.06


def test_reliability_bins_hold_all_trials_and_rise_with_confidence() -> None:
    labels, p = trials(1003, 3)
    bins = reliability(labels, p, classes=CLASSES)
    assert sum(b.n_trials for b in bins) == 1003
    assert [b.confidence for b in bins] == sorted(b.confidence for b in bins)
    index = np.where(labels == "grasp", 0, 1)
    assert sum(b.accuracy * b.n_trials for b in bins) == pytest.approx(np.sum(p.argmax(axis=1) == index))


def test_the_raw_error_is_that_of_its_bins() -> None:
    labels, p = trials(200, 4)
    bins = reliability(labels, p, classes=CLASSES)
    by_hand = sum(b.n_trials * abs(b.accuracy - b.confidence) for b in bins) / 200
    assert calibration_error(labels, p, classes=CLASSES).raw == pytest.approx(by_hand, rel=1e-12)


def test_what_is_no_probability_or_no_class_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"shape \(n_trials, 2\)"):
        log_loss(["rest"], [[0.2, 0.3, 0.5]], classes=CLASSES)
    with pytest.raises(NonFiniteError):
        brier_score(["rest"], [[0.2, np.nan]], classes=CLASSES)
    with pytest.raises(NonFiniteError):
        brier_score(["rest"], [[0.2, 0.2]], classes=CLASSES)
    with pytest.raises(LabelError, match="feet"):
        calibration_error(["feet"], [[0.5, 0.5]], classes=CLASSES)
