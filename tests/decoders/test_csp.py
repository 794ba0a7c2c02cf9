"""CSP: parity with MNE, lost rank, the frozen twin; filter-bank CSP and its choice of features."""

from __future__ import annotations

import numpy as np
import pytest
from mne.decoding import CSP
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import mutual_info_classif
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from bci.decoders import CspDecoder, FilterBankDecoder
from bci.decoders.csp import csp_filters
from bci.decoders.filter_bank import mutual_information
from bci.dsp import covariances
from bci.errors import RankDeficientError, ShapeError
from tests.decoders.made_up import banded_runs, windows

F64 = NDArray[np.float64]


def centred(x: F64) -> F64:
    """MNE squares windows as they are, ours takes their variance: the same without a mean."""
    out: F64 = x - x.mean(axis=2, keepdims=True)
    return out


def test_filters_are_mnes() -> None:
    x, y = windows(30, ("grasp", "rest"), n_channels=8)
    x = centred(x)
    theirs = CSP(n_components=6, component_order="alternate", cov_est="concat").fit(
        x, (y == "rest").astype(int)
    )
    ours = CspDecoder(n_filters=6).fit(x, y).filters_
    for mine in ours:
        likeness = theirs.filters_ @ mine
        likeness /= np.linalg.norm(theirs.filters_, axis=1) * np.linalg.norm(mine)
        nearest = int(np.abs(likeness).argmax())
        other = theirs.filters_[nearest]
        scaled = mine * (other @ mine) / (mine @ mine)
        assert np.abs(scaled - other).max() <= 1e-9 * np.abs(other).max()


def test_folds_score_like_mne_with_shrinkage_lda() -> None:
    x, y = windows(40, ("grasp", "rest"), n_channels=8)
    x = centred(x)
    covs = covariances(x)
    for training, testing in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        theirs = make_pipeline(CSP(n_components=6, component_order="alternate"), lda).fit(
            x[training], y[training]
        )
        ours = CspDecoder(n_filters=6).fit_covariances(covs[training], y[training])
        assert (ours.predict_covariances(covs[testing]) == theirs.predict(x[testing])).all()
        expected = theirs.predict_proba(x[testing])
        assert ours.predict_proba(x[testing]) == pytest.approx(expected, abs=1e-7)


def test_lost_rank_gives_the_filters_of_the_space_that_is_left() -> None:
    x, y = windows(30, ("grasp", "rest"))
    columns = (y == "rest").astype(np.int64)
    averaged = covariances(x - x.mean(axis=1, keepdims=True))
    filters = csp_filters(averaged, columns, n_filters=6)
    assert filters.shape == (5, 6)
    assert filters @ averaged.mean(axis=0) @ filters.T == pytest.approx(0.5 * np.eye(5), abs=1e-9)
    basis = np.linalg.svd(np.eye(6) - 1 / 6)[0][:, :5]
    inside = csp_filters(basis.T @ averaged @ basis, columns, n_filters=5)
    assert np.abs(filters @ basis) == pytest.approx(np.abs(inside), abs=1e-9)
    with pytest.raises(RankDeficientError, match="1 of 6"):
        CspDecoder().fit(x[:, :1] * np.ones((1, 6, 1)), y)


def test_regularisation_pulls_filters_towards_the_channels() -> None:
    x, y = windows(8, ("grasp", "rest"))
    plain, pulled = (CspDecoder(regularisation=r).fit(x, y) for r in (0.0, 0.5))
    assert np.abs(plain.filters_ - pulled.filters_).max() > 1e-3
    with pytest.raises(ShapeError, match="regularisation"):
        CspDecoder(regularisation=2.0).fit(x, y)


def test_the_frozen_twin_is_the_decoder_window_by_window() -> None:
    x, y = windows(20, ("left", "rest", "right"))
    decoder = CspDecoder().fit(x, y)
    covs = covariances(x)
    alone = np.concatenate([decoder.frozen_.predict_proba(cov[None]) for cov in covs])
    assert decoder.predict_proba(x).tobytes() == alone.tobytes()


def test_features_of_the_band_that_tells_are_chosen() -> None:
    x, y, _ = banded_runs(2, depth=0.4, drift=0.0)
    decoder = FilterBankDecoder(bands_hz=((8.0, 12.0), (16.0, 24.0)), n_filters=4, n_features=2).fit(x, y)
    assert (decoder.selected_ >= 4).sum() >= 2  # features 4 to 7 are those of the second band
    assert decoder.score(*banded_runs(1, depth=0.4, drift=0.0, seed=5)[:2]) > 0.75


def test_mutual_information_ranks_like_scikit_learns_estimate() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    features = rng.standard_normal((300, 5)) + y[:, None] * np.array([0.0, 0.5, 1.0, 2.0, 4.0])
    ours = mutual_information(features, y)
    theirs = mutual_info_classif(features, y, random_state=0)
    assert (np.diff(ours) > 0).all()
    assert np.abs(ours - theirs)[1:].max() < 0.12
    assert 0 <= ours[0] < 0.05
    assert ours[-1] == pytest.approx(np.log(2), abs=0.1)
