"""The two linear classifiers are scikit-learn's by definition, whichever way they are solved."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from bci.decoders.linear import fit_lda, fit_logistic

# More windows than features, fewer, several classes, more unknowns than Newton's method is used for.
SIZES = [(200, 30, 2), (60, 136, 2), (90, 60, 3), (40, 120, 4), (900, 600, 2)]


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
def test_logistic_regression_is_scikit_learns(n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(0)
    x, y = 0.5 * rng.standard_normal((n, d)), np.arange(n) % k
    x[:, 0] += y
    for strength in (0.1, 1.0):
        ours = fit_logistic(x, y, C=strength).scores(x)
        theirs = LogisticRegression(C=strength, tol=1e-10, max_iter=20_000).fit(x, y).decision_function(x)
        ours = ours[:, 1] - ours[:, 0] if k == 2 else ours - ours.mean(axis=1, keepdims=True)
        theirs = theirs if k == 2 else theirs - theirs.mean(axis=1, keepdims=True)
        assert np.abs(ours - theirs).max() < 2e-6 * np.abs(theirs).max()


def test_the_slope_of_the_loss_is_zero_at_the_solution() -> None:
    """The definition itself, to more digits than scikit-learn's descent gives."""
    rng = np.random.default_rng(1)
    x, y = 0.5 * rng.standard_normal((50, 120)), np.arange(50) % 2
    found = fit_logistic(x, y)
    p = 1 / (1 + np.exp(-found.scores(x)[:, 1]))
    assert np.abs(x.T @ (p - y) + found.weights[1]).max() < 1e-8
    assert abs(np.sum(p - y)) < 1e-8


@pytest.mark.parametrize(("n", "d", "k"), SIZES[:4])
def test_lda_is_scikit_learns(n: int, d: int, k: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, d)) * rng.uniform(0.1, 9.0, d), np.arange(n) % k
    x[:, 0] += y
    ours = fit_lda(x, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y)
    scores, expected = ours.scores(x), theirs.decision_function(x)
    scores = scores[:, 1] - scores[:, 0] if k == 2 else scores
    assert np.abs(scores - expected).max() <= 1e-9 * np.abs(expected).max()
