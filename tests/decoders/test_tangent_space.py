"""The default decoder: scikit-learn's contract, parity with pyRiemann, frozen twin, calibration, refusals."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from bci.decoders import FrozenTangentSpace, TangentSpaceDecoder, fit_temperature, log_loss
from bci.decoders.frozen import softmax
from bci.dsp import covariances
from bci.errors import FlatSignalError, NonFiniteError, RankDeficientError, ShapeError, TooFewTrialsError

F64 = NDArray[np.float64]


def windows(
    n_each: int, classes: tuple[str, ...], *, n_channels: int = 6, seed: int = 0
) -> tuple[F64, NDArray[np.str_]]:
    """Windows in µV in which each class weakens another source, as movement of another limb would."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((n_channels, n_channels))
    y = np.repeat(classes, n_each)
    sources = 10.0 * rng.standard_normal((len(y), n_channels, 150))
    for k, name in enumerate(classes):
        sources[y == name, k] *= 0.6
    return mixing @ sources, y


@pytest.fixture(scope="module")
def three() -> tuple[F64, NDArray[np.str_]]:
    return windows(30, ("left", "rest", "right"))


def test_probabilities_are_those_of_pyriemann_and_scikit_learn(three: tuple[F64, NDArray[np.str_]]) -> None:
    for x, y in (three, windows(30, ("grasp", "rest"))):
        new, _ = windows(10, ("grasp", "rest"), seed=5)
        rival = make_pipeline(Covariances("oas"), TangentSpace(), LogisticRegression(max_iter=1000)).fit(x, y)
        ours = TangentSpaceDecoder().fit(x, y)
        assert ours.classes_.tolist() == rival.classes_.tolist()
        assert (
            np.abs(ours.predict_proba(new) - rival.predict_proba(new)).max() < 1e-3
        )  # their mean stops at 1e-8
        assert (ours.predict(new) == rival.predict(new)).all()


def test_it_learns_three_classes_and_says_so_on_new_windows(three: tuple[F64, NDArray[np.str_]]) -> None:
    new, truth = windows(30, ("left", "rest", "right"), seed=1)
    decoder = TangentSpaceDecoder().fit(*three)
    assert decoder.score(new, truth) > 0.85
    assert decoder.predict_proba(new).sum(axis=1) == pytest.approx(1.0)


def test_it_is_an_estimator_that_pipelines_searches_and_clones_accept(
    three: tuple[F64, NDArray[np.str_]],
) -> None:
    x, y = three
    assert TangentSpaceDecoder(C=0.3).get_params() == {"C": 0.3, "outlier_quantile": 0.99, "shrinkage": "oas"}
    assert clone(TangentSpaceDecoder(C=0.3)).C == 0.3
    assert (
        cross_val_score(make_pipeline(FunctionTransformer(), TangentSpaceDecoder()), x, y, cv=3).mean() > 0.8
    )
    search = GridSearchCV(TangentSpaceDecoder(), {"C": [0.1, 1.0]}, cv=2).fit(x, y)
    assert search.best_params_["C"] in (0.1, 1.0)


def test_windows_and_their_covariances_give_the_same_answer(three: tuple[F64, NDArray[np.str_]]) -> None:
    x, y = three
    covs = covariances(x, shrinkage="oas")
    from_covs = TangentSpaceDecoder().fit_covariances(covs, y)
    from_windows = TangentSpaceDecoder().fit(x, y)
    assert (from_windows.predict_proba(x) == from_covs.predict_proba_covariances(covs)).all()
    assert (from_windows.predict(x) == from_covs.predict_covariances(covs)).all()


def test_frozen_scores_are_the_regression_on_tangent_vectors(three: tuple[F64, NDArray[np.str_]]) -> None:
    from bci.decoders import riemann

    x, y = three
    covs = covariances(x, shrinkage="oas")
    decoder = TangentSpaceDecoder().fit_covariances(covs, y)
    vectors = riemann.tangent_vectors(covs, decoder.reference_)
    regression = LogisticRegression(max_iter=1000).fit(vectors, y)
    scores, distances = decoder.frozen_.scores(covs)
    assert np.abs(scores - regression.decision_function(vectors)).max() < 1e-10
    assert distances == pytest.approx(np.linalg.norm(vectors, axis=1), rel=1e-12)


def test_a_covariance_has_the_same_bits_alone_and_in_a_batch(three: tuple[F64, NDArray[np.str_]]) -> None:
    covs = covariances(three[0], shrinkage="oas")
    frozen = TangentSpaceDecoder().fit_covariances(covs, three[1]).frozen_
    together, _ = frozen.predict_proba(covs)
    alone = np.concatenate([frozen.predict_proba(c[None])[0] for c in covs])
    assert together.tobytes() == alone.tobytes()


def test_average_referenced_windows_are_decoded_with_shrinkage_and_refused_without(
    three: tuple[F64, NDArray[np.str_]],
) -> None:
    x, y = three
    x = x - x.mean(axis=1, keepdims=True)
    assert TangentSpaceDecoder().fit(x, y).score(x, y) > 0.85
    with pytest.raises(RankDeficientError):
        TangentSpaceDecoder(shrinkage="none").fit(x, y)


def test_windows_unlike_training_are_outliers_and_training_windows_are_not(
    three: tuple[F64, NDArray[np.str_]],
) -> None:
    x, y = three
    frozen = TangentSpaceDecoder().fit(x, y).frozen_
    _, usual = frozen.predict_proba(covariances(x, shrinkage="oas"))
    _, strange = frozen.predict_proba(covariances(x[:, ::-1] * [[1.0]] * 50.0, shrinkage="oas"))
    assert usual.mean() <= 0.02
    assert strange.all()


def test_a_covariance_that_is_not_positive_definite_is_an_outlier_without_probabilities() -> None:
    frozen = TangentSpaceDecoder().fit(*windows(20, ("grasp", "rest"))).frozen_
    probabilities, outlier = frozen.predict_proba(-np.eye(6)[None])
    assert np.isnan(probabilities).all()
    assert outlier.all()


def test_bad_windows_are_refused_by_name() -> None:
    x, y = windows(10, ("grasp", "rest"))
    with pytest.raises(ShapeError):
        TangentSpaceDecoder().fit(x[0], y)
    with pytest.raises(ShapeError, match="one label"):
        TangentSpaceDecoder().fit(x, y[:-1])
    nan = x.copy()
    nan[3, 2, 5] = np.nan
    with pytest.raises(NonFiniteError):
        TangentSpaceDecoder().fit(nan, y)
    flat = x.copy()
    flat[4, 1] = 7.0
    with pytest.raises(FlatSignalError, match="channel 1") as caught:
        TangentSpaceDecoder().fit(flat, y)
    assert caught.value.channels == (1,)
    with pytest.raises(TooFewTrialsError, match="1 of rest") as few:
        TangentSpaceDecoder().fit(x[:11], y[:11])
    assert few.value.counts == {"grasp": 10, "rest": 1}
    with pytest.raises(TooFewTrialsError):
        TangentSpaceDecoder().fit(x[:10], y[:10])
    decoder = TangentSpaceDecoder().fit(x, y)
    with pytest.raises(ShapeError, match="got"):
        decoder.predict(x[:, :5])


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ShapeError, match="do not fit"):
        FrozenTangentSpace(("a", "b"), np.eye(3), np.zeros((2, 3, 2)), np.zeros(2))
    with pytest.raises(ShapeError, match="temperature"):
        FrozenTangentSpace(("a", "b"), np.eye(3), np.zeros((2, 3, 3)), np.zeros(2), temperature=-1.0)


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


def test_running_a_frozen_decoder_loads_numpy_alone() -> None:
    code = (
        "import sys, numpy as np\n"
        "from bci.decoders import FrozenTangentSpace\n"
        "f = FrozenTangentSpace(('a', 'b'), np.eye(2), np.zeros((2, 2, 2)), np.zeros(2))\n"
        "assert f.predict_proba(np.eye(2)[None])[0].tolist() == [[0.5, 0.5]]\n"
        "print([m for m in ('scipy', 'sklearn', 'mne', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
