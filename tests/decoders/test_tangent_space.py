"""Tangent-space decoders: parity with pyRiemann and scikit-learn, frozen twin, refusals."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyriemann.estimation import Covariances
from pyriemann.geometry import tangentspace as their_tangent_space
from pyriemann.tangentspace import TangentSpace
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bci.decoders import (
    AugmentedTangentSpaceDecoder,
    Calibration,
    FrozenEnsemble,
    TangentSpaceDecoder,
    View,
    riemann,
)
from bci.decoders.linear import fit_logistic
from bci.dsp import covariances
from bci.errors import RankDeficientError, ShapeError
from tests.decoders.made_up import windows

F64 = NDArray[np.float64]
Labelled = tuple[F64, NDArray[np.str_]]


@pytest.fixture(scope="module")
def three() -> Labelled:
    return windows(30, ("left", "rest", "right"))


@pytest.mark.parametrize(
    ("name", "rival", "tolerance"),
    [
        ("logistic", LogisticRegression(max_iter=10_000, tol=1e-10), 2e-6),  # their descent stops there
        ("lda", LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), 1e-6),  # their mean stops there
    ],
)
def test_probabilities_are_those_of_pyriemann_and_scikit_learn(
    three: Labelled, name: Any, rival: Any, tolerance: float
) -> None:
    for x, y in (three, windows(30, ("grasp", "rest"))):
        new, _ = windows(10, ("grasp", "rest"), seed=5)
        theirs = make_pipeline(Covariances("oas"), TangentSpace(), rival).fit(x, y)
        ours = TangentSpaceDecoder(classifier=name).fit(x, y)
        assert ours.classes_.tolist() == theirs.classes_.tolist()
        assert np.abs(ours.predict_proba(new) - theirs.predict_proba(new)).max() < tolerance


def test_lda_in_the_same_tangent_space_is_scikit_learns_to_the_last_digits(three: Labelled) -> None:
    x, y = three
    ours = TangentSpaceDecoder(classifier="lda").fit(x, y)
    covs = covariances(x, shrinkage="oas")
    vectors = their_tangent_space.tangent_space(covs, ours.reference_)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(vectors, y)
    expected = theirs.predict_proba(vectors)
    assert np.abs(ours.predict_proba(x) - expected).max() <= 1e-9


def test_augmented_covariances_are_pyriemanns(three: Labelled) -> None:
    x, y = three
    ours = AugmentedTangentSpaceDecoder(order=3, lag=4, classifier="lda").fit(x, y)
    stacked = np.concatenate([x[:, :, k * 4 : x.shape[2] - (2 - k) * 4] for k in range(3)], axis=1)
    theirs = make_pipeline(
        Covariances("oas"),
        TangentSpace(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    ).fit(stacked, y)
    assert np.abs(ours.predict_proba(x) - theirs.predict_proba(stacked)).max() < 1e-6
    assert ours.reference_.shape == (18, 18)
    with pytest.raises(ShapeError, match="6"):
        ours.predict(x[:, :5])
    with pytest.raises(ShapeError, match="shorter lag"):
        AugmentedTangentSpaceDecoder(order=40, lag=4).fit(x, y)


def test_it_learns_three_classes_and_says_so_on_new_windows(three: Labelled) -> None:
    new, truth = windows(30, ("left", "rest", "right"), seed=1)
    decoder = TangentSpaceDecoder().fit(*three)
    assert decoder.score(new, truth) > 0.85
    assert decoder.predict_proba(new).sum(axis=1) == pytest.approx(1.0)


def test_windows_and_their_covariances_give_the_same_answer(three: Labelled) -> None:
    x, y = three
    covs = covariances(x, shrinkage="oas")
    from_covs = TangentSpaceDecoder().fit_covariances(covs, y)
    from_windows = TangentSpaceDecoder().fit(x, y)
    assert (from_windows.predict_proba(x) == from_covs.predict_proba_covariances(covs)).all()
    assert (from_windows.predict(x) == from_covs.predict_covariances(covs)).all()


def test_frozen_scores_are_the_regression_on_tangent_vectors(three: Labelled) -> None:
    x, y = three
    covs = covariances(x, shrinkage="oas")
    decoder = TangentSpaceDecoder().fit_covariances(covs, y)
    vectors = riemann.tangent_vectors(covs, decoder.reference_)
    linear = fit_logistic(vectors, np.unique(y, return_inverse=True)[1])
    scores, distances = decoder.frozen_.scores(covs[:, None])
    expected = linear.scores(vectors)
    assert np.abs(scores - (expected - expected.mean(axis=1, keepdims=True))).max() < 1e-10
    assert distances == pytest.approx(np.linalg.norm(vectors, axis=1), rel=1e-12)


def test_a_covariance_has_the_same_bits_alone_and_in_a_batch(three: Labelled) -> None:
    covs = covariances(three[0], shrinkage="oas")
    frozen = TangentSpaceDecoder().fit_covariances(covs, three[1]).frozen_
    together, _ = frozen.predict_proba(covs[:, None])
    alone = np.concatenate([frozen.predict_proba(c[None, None])[0] for c in covs])
    assert together.tobytes() == alone.tobytes()


def test_average_referenced_windows_are_decoded_with_shrinkage_and_refused_without(
    three: Labelled,
) -> None:
    x, y = three
    x = x - x.mean(axis=1, keepdims=True)
    assert TangentSpaceDecoder().fit(x, y).score(x, y) > 0.85
    with pytest.raises(RankDeficientError):
        TangentSpaceDecoder(shrinkage="none").fit(x, y)


def test_windows_unlike_training_are_outliers_and_training_windows_are_not(
    three: Labelled,
) -> None:
    x, y = three
    frozen = TangentSpaceDecoder().fit(x, y).frozen_
    _, usual = frozen.predict_proba(covariances(x, shrinkage="oas")[:, None])
    _, strange = frozen.predict_proba(covariances(50.0 * x[:, ::-1], shrinkage="oas")[:, None])
    assert usual.mean() <= 0.02
    assert strange.all()


def test_a_covariance_that_is_not_positive_definite_is_an_outlier_without_probabilities() -> None:
    frozen = TangentSpaceDecoder().fit(*windows(20, ("grasp", "rest"))).frozen_
    probabilities, outlier = frozen.predict_proba(-np.eye(6)[None, None])
    assert np.isnan(probabilities).all()
    assert outlier.all()


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    views, shares = (View(0), View(1)), np.array([0.5, 0.5])
    good = {
        "whitening": np.stack([np.eye(3)] * 2),
        "weights": np.zeros((2, 2, 3, 3)),
        "bias": np.zeros((2, 2)),
    }
    FrozenEnsemble(("a", "b"), views, **good, shares=shares)
    for bad in ({"weights": np.zeros((2, 2, 3, 2))}, {"bias": np.zeros((2, 3))}, {"whitening": np.eye(3)}):
        with pytest.raises(ShapeError, match="do not fit"):
            FrozenEnsemble(("a", "b"), views, **(good | bad), shares=shares)
    with pytest.raises(ShapeError, match="sum 1"):
        FrozenEnsemble(("a", "b"), views, **good, shares=np.array([0.9, 0.9]))
    with pytest.raises(ShapeError, match="clip"):
        FrozenEnsemble(("a", "b"), views, **good, shares=shares, clip=0.0)
    with pytest.raises(ShapeError, match="do not fit"):
        FrozenEnsemble(("a", "b"), views, **good, shares=shares, calibration=Calibration(1.0, np.zeros(3)))
    with pytest.raises(ShapeError, match="no part"):
        View(0, 0.5, 0.5)


def test_running_a_frozen_decoder_loads_neither_scipy_nor_scikit_learn() -> None:
    code = (
        "import sys, numpy as np\n"
        "from bci.decoders import FrozenEnsemble, Recentring, View\n"
        "f = FrozenEnsemble(('a', 'b'), (View(0),), np.eye(2)[None], "
        "np.zeros((1, 2, 2, 2)), np.zeros((1, 2)), np.ones(1))\n"
        "assert f.predict_proba(np.eye(2)[None, None])[0].tolist() == [[0.5, 0.5]]\n"
        "Recentring(f).run(np.stack([np.eye(2)] * 3)[:, None])\n"
        "print([m for m in ('scipy.signal', 'scipy.stats', 'sklearn', 'mne') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
