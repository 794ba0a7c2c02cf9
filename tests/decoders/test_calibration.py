"""Calibration: each map recovers what it can express, the choice between them is made on other runs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from bci.decoders import Calibration, fit_calibration, fit_isotonic, fit_platt, fit_temperature, log_loss
from bci.decoders.calibration import softmax
from bci.errors import NonFiniteError, ShapeError

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def scored(n: int, bend: float, *, offset: float = 0.0, seed: int = 0) -> tuple[F64, I64]:
    """Scores of two classes whose true log-odds are a bent function of their difference."""
    rng = np.random.default_rng(seed)
    difference = 3.0 * rng.standard_normal(n)
    truth = np.tanh(bend * difference) / bend + offset
    targets = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    return np.column_stack([-difference / 2, difference / 2]), targets


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperature_recovers_how_overconfident_scores_are(true_temperature: float) -> None:
    rng = np.random.default_rng(4)
    scores = 3.0 * rng.standard_normal((20_000, 3))
    targets = (rng.random((20_000, 1)) > softmax(scores / true_temperature).cumsum(axis=1)[:, :2]).sum(axis=1)
    found = fit_temperature(scores, targets)
    assert found == pytest.approx(true_temperature, rel=0.05)
    assert log_loss(scores, targets, temperature=found) <= log_loss(scores, targets, temperature=1.1 * found)
    assert log_loss(scores, targets, temperature=found) <= log_loss(scores, targets, temperature=0.9 * found)


def test_scores_that_say_nothing_become_even_probabilities() -> None:
    rng = np.random.default_rng(5)
    scores = 5.0 * rng.standard_normal((400, 2))
    wrong_way = np.argmin(scores, axis=1)
    temperature = fit_temperature(scores, wrong_way)
    assert softmax(scores / temperature) == pytest.approx(0.5, abs=0.1)


def test_log_loss_is_scikit_learns() -> None:
    from sklearn.metrics import log_loss as their_log_loss

    rng = np.random.default_rng(6)
    scores, targets = 4 * rng.standard_normal((50, 3)), rng.integers(0, 3, 50)
    theirs = their_log_loss(targets, softmax(scores / 2.0), labels=[0, 1, 2])
    assert log_loss(scores, targets, temperature=2.0) == pytest.approx(theirs, rel=1e-9)


def test_scores_and_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError):
        fit_temperature(np.zeros((3, 2)), np.zeros(2, dtype=np.int64))
    with pytest.raises(NonFiniteError):
        fit_temperature(np.full((2, 2), np.nan), np.zeros(2, dtype=np.int64))


def test_platt_is_logistic_regression_on_the_score() -> None:
    scores, targets = scored(2000, 0.05, offset=1.5)
    found = fit_platt(scores, targets)
    theirs = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(scores[:, 1:] - scores[:, :1], targets)
    expected = theirs.predict_proba(scores[:, 1:] - scores[:, :1])
    assert found.kind == "platt"
    # a window's worth of prior is in ours
    assert found.probabilities(scores) == pytest.approx(expected, abs=2e-3)


def test_isotonic_levels_are_scikit_learns_before_smoothing() -> None:
    scores, targets = scored(400, 0.8)
    found = fit_isotonic(scores, targets)
    x = scores[:, 1] - scores.mean(axis=1)
    theirs = IsotonicRegression().fit(x, targets).predict(x)
    # A level of few windows moves towards even by the two windows that are added to it.
    levels, sizes = np.unique(theirs, return_counts=True)
    smoothed = (levels * sizes + 1) / (sizes + 2)
    assert np.interp(x, *found.knots[1]) == pytest.approx(
        np.maximum.accumulate(smoothed)[np.searchsorted(levels, theirs)], abs=1e-9
    )
    p = found.probabilities(scores)
    assert p.sum(axis=1) == pytest.approx(1.0)
    assert 0 < p.min() < p.max() < 1
    assert (np.diff(p[np.argsort(x), 1]) >= -1e-12).all()


@pytest.mark.parametrize(
    ("bend", "offset", "kind"), [(0.01, 0.0, "temperature"), (0.01, 2.0, "platt"), (1.5, 0.0, "isotonic")]
)
def test_the_map_that_fits_the_truth_is_chosen(bend: float, offset: float, kind: str) -> None:
    scores, targets = scored(6000, bend, offset=offset)
    runs = np.repeat(np.arange(4), 1500)
    chosen = fit_calibration(scores, targets, runs)
    if kind == "isotonic":
        assert chosen.kind == "isotonic"
    else:
        assert chosen.kind in (kind, "platt")
    new, truth = scored(6000, bend, offset=offset, seed=1)
    p = chosen.probabilities(new)
    best = fit_temperature(scores, targets)
    assert -np.mean(np.log(p[np.arange(len(p)), truth])) <= log_loss(new, truth, temperature=best) + 0.005


def test_one_run_can_choose_nothing_and_takes_the_temperature() -> None:
    scores, targets = scored(500, 1.5)
    assert fit_calibration(scores, targets, np.zeros(500, dtype=np.int64)).kind == "temperature"


def test_scores_that_part_the_classes_without_a_fault_still_give_numbers() -> None:
    scores = np.array([[5.0, -5.0], [-5.0, 5.0]] * 20)
    targets = np.array([0, 1] * 20)
    found = fit_calibration(scores, targets, np.repeat([0, 1], 20))
    assert np.isfinite(found.probabilities(scores)).all()


def test_numbers_that_make_no_calibration_are_refused() -> None:
    with pytest.raises(ShapeError, match="positive temperature"):
        Calibration(-1.0)
    with pytest.raises(ShapeError, match="rise"):
        Calibration(knots=np.array([[[0.0, 1.0], [0.9, 0.1]]] * 2))
    with pytest.raises(ShapeError, match="no calibration"):
        Calibration(offsets=np.zeros((2, 2)))
