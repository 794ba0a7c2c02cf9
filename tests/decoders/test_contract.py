"""What holds for every estimator: scikit-learn's contract, refusals by name, learning at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from bci.decoders import (
    AugmentedTangentSpaceDecoder,
    CspDecoder,
    DefaultDecoder,
    FgMdmDecoder,
    FilterBankDecoder,
    MdmDecoder,
    MovementPotentialDecoder,
    TangentSpaceDecoder,
)
from bci.errors import DesignError, FlatSignalError, NonFiniteError, ShapeError, TooFewTrialsError
from tests.decoders.made_up import windows

F64 = NDArray[np.float64]
Labelled = tuple[F64, NDArray[np.str_]]

FS = 125.0
ON_POWER = {
    "csp": CspDecoder(),
    "tangent space": TangentSpaceDecoder(),
    "augmented": AugmentedTangentSpaceDecoder(order=2),
    "mdm": MdmDecoder(),
    "fgmdm": FgMdmDecoder(),
    "filter bank": FilterBankDecoder(fs_hz=FS, bands_hz=((8.0, 20.0), (20.0, 50.0))),
    "default": DefaultDecoder(fs_hz=FS, bands_hz=((8.0, 20.0), (20.0, 50.0)), parts=((0.0, 1.0), (0.0, 0.5))),
}
ALL = ON_POWER | {"potentials": MovementPotentialDecoder()}
# Of scikit-learn's checks those that hand over no 2-D data.
CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
)


@pytest.fixture(scope="module")
def two() -> Labelled:
    return windows(16, ("grasp", "rest"))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learn_checks_pass(name: str, check: str) -> None:
    decoder = clone(ALL[name])
    getattr(estimator_checks, check)(type(decoder).__name__, decoder)


@pytest.mark.parametrize("name", ON_POWER)
def test_it_learns_and_says_so_on_new_windows(name: str, two: Labelled) -> None:
    new, truth = windows(20, ("grasp", "rest"), seed=1)
    decoder = clone(ON_POWER[name]).fit(*two)
    assert decoder.score(new, truth) > 0.75
    probabilities = decoder.predict_proba(new)
    assert probabilities.shape == (40, 2)
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (decoder.predict(new) == decoder.classes_[probabilities.argmax(axis=1)]).all()


@pytest.mark.parametrize("name", ON_POWER)
def test_three_classes_are_told_apart(name: str) -> None:
    new, truth = windows(20, ("left", "rest", "right"), seed=1)
    decoder = clone(ON_POWER[name]).fit(*windows(24, ("left", "rest", "right")))
    assert decoder.score(new, truth) > 0.55
    assert decoder.classes_.tolist() == ["left", "rest", "right"]


@pytest.mark.parametrize("name", ALL)
def test_predict_is_stateless_and_fit_repeatable(name: str, two: Labelled) -> None:
    new, _ = windows(6, ("grasp", "rest"), seed=1)
    decoder = clone(ALL[name]).fit(*two)
    once = decoder.predict_proba(new)
    assert decoder.predict_proba(new[::-1])[::-1] == pytest.approx(once, abs=1e-12)
    assert (clone(ALL[name]).fit(*two).predict_proba(new) == once).all()


@pytest.mark.parametrize("name", ["csp", "tangent space", "mdm"])
def test_pipelines_searches_and_folds_accept_it(name: str, two: Labelled) -> None:
    x, y = two
    pipeline = make_pipeline(FunctionTransformer(), clone(ON_POWER[name]))
    assert cross_val_score(pipeline, x, y, cv=2).mean() > 0.6
    grid = {"shrinkage": ["oas", "ledoit_wolf"]} if name != "csp" else {"n_filters": [2, 4]}
    assert GridSearchCV(clone(ON_POWER[name]), grid, cv=2).fit(x, y).best_score_ > 0.6


@pytest.mark.parametrize("name", ALL)
def test_labels_may_be_numbers(name: str, two: Labelled) -> None:
    x, y = two
    decoder = clone(ALL[name]).fit(x, (y == "rest").astype(int))
    assert set(decoder.predict(x).tolist()) <= {0, 1}


@pytest.mark.parametrize("name", ALL)
def test_bad_windows_and_labels_are_refused_by_name(name: str) -> None:
    x, y = windows(10, ("grasp", "rest"))
    decoder: Any = clone(ALL[name])
    with pytest.raises(ShapeError):
        decoder.fit(x[0], y)
    with pytest.raises(ShapeError, match="one label per window"):
        decoder.fit(x, y[:-1])
    nan = x.copy()
    nan[3, 2, 5] = np.nan
    with pytest.raises(NonFiniteError):
        decoder.fit(nan, y)
    flat = x.copy()
    flat[4, 1] = 7.0
    with pytest.raises(FlatSignalError, match="channel 1") as caught:
        decoder.fit(flat, y)
    assert caught.value.channels == (1,)
    with pytest.raises(TooFewTrialsError, match="1 of rest") as few:
        decoder.fit(x[:11], y[:11])
    assert few.value.counts == {"grasp": 10, "rest": 1}
    with pytest.raises(TooFewTrialsError):
        decoder.fit(x[:10], y[:10])
    decoder.fit(x, y)
    with pytest.raises(ShapeError, match="train"):
        decoder.predict(x[:, :5])


@pytest.mark.parametrize("name", ["filter bank", "default"])
def test_plain_windows_need_a_rate_and_bands_their_number(name: str, two: Labelled) -> None:
    x, y = two
    decoder = clone(ALL[name]).set_params(fs_hz=None)
    with pytest.raises(DesignError, match="fs_hz"):
        decoder.fit(x, y)
    with pytest.raises(ShapeError, match="2 bands"):
        decoder.fit(np.stack([x, x, x], axis=1), y)
    decoder.fit(np.stack([x, x], axis=1), y)


@pytest.mark.parametrize("name", ["csp", "tangent space", "mdm"])
def test_partial_fit_is_fit_on_all_windows(name: str, two: Labelled) -> None:
    x, y = two
    new, _ = windows(6, ("grasp", "rest"), seed=1)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order], y[order]
    whole = clone(ON_POWER[name]).fit(x, y).predict_proba(new)
    in_parts = clone(ON_POWER[name]).partial_fit(x[:20], y[:20]).partial_fit(x[20:], y[20:])
    assert (in_parts.predict_proba(new) == whole).all()


@pytest.mark.parametrize("name", ["csp", "tangent space", "mdm", "fgmdm", "default"])
def test_average_reference_and_bridged_electrodes_do_not_stop_it(name: str, two: Labelled) -> None:
    x, y = two
    averaged = x - x.mean(axis=1, keepdims=True)
    bridged = x.copy()
    bridged[:, 3] = bridged[:, 2]
    for windows_uv in (averaged, bridged):
        decoder = clone(ON_POWER[name]).fit(windows_uv, y)
        assert np.isfinite(decoder.predict_proba(windows_uv)).all()
        assert decoder.score(windows_uv, y) > 0.8
