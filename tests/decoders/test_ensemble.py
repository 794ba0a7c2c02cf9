"""The default decoder: finds band and latency by itself, weighs members on runs left out, follows runs causally."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.decoders import DefaultDecoder, TangentSpaceDecoder
from bci.decoders.frozen import View, mix, view_covariances, views_of
from bci.decoders.members import RunWindows, train_ensemble
from bci.dsp import covariances
from bci.errors import ShapeError, TooFewTrialsError
from tests.decoders.made_up import banded_runs

F64 = NDArray[np.float64]
Runs = tuple[F64, NDArray[np.str_], NDArray[np.int64]]

BANDS = ((8.0, 13.0), (13.0, 30.0))
TELLING = View(1, 2 / 3, 1.0)


@pytest.fixture(scope="module")
def runs() -> Runs:
    return banded_runs(3)


@pytest.fixture(scope="module")
def decoder(runs: Runs) -> DefaultDecoder:
    x, y, run = runs
    return DefaultDecoder(bands_hz=BANDS).fit(x, y, run)


def test_the_member_that_sees_the_difference_has_the_largest_share(decoder: DefaultDecoder) -> None:
    frozen = decoder.frozen_
    assert frozen.views[int(frozen.shares.argmax())] == TELLING
    in_band = sum(share for view, share in zip(frozen.views, frozen.shares, strict=True) if view.band == 1)
    assert in_band > 0.8
    assert frozen.n_members < len(decoder.views) == 8  # members that said nothing are gone


def test_it_beats_the_whole_window_of_one_band_on_new_runs(decoder: DefaultDecoder, runs: Runs) -> None:
    x, y, _ = runs
    new, truth, _ = banded_runs(1, seed=7)
    single = TangentSpaceDecoder().fit(x[:, 1], y)
    assert decoder.score(new, truth) > single.score(new[:, 1], truth)
    assert np.mean(decoder.predict_run(new) == truth) > 0.85


def test_a_run_is_decided_causally(decoder: DefaultDecoder) -> None:
    new, _, _ = banded_runs(1, seed=8)
    whole = decoder.predict_proba_run(new)
    changed = new.copy()
    changed[15:] *= 3.0
    assert (decoder.predict_proba_run(changed)[:15] == whole[:15]).all()
    assert (decoder.predict_proba_run(new[:1]) == decoder.predict_proba(new[:1])).all()


def test_shares_and_calibration_come_from_runs_that_members_had_not_seen(runs: Runs) -> None:
    """Left-out scores of a run are those of an ensemble trained on the other runs alone."""
    x, y, run = runs
    decoder = DefaultDecoder(bands_hz=BANDS).fit(x, y, run)
    left_out = decoder.left_out_
    assert (left_out.runs == run).all()
    others = run != 0
    stranger = DefaultDecoder(bands_hz=BANDS, prior=1e12).fit(x[others], y[others], run[others])
    alone = DefaultDecoder(bands_hz=BANDS, prior=1e12).fit(x, y, run).left_out_
    covs = view_covariances(x[~others], stranger.views)
    frozen = stranger.frozen_
    kept = [stranger.views.index(view) for view in frozen.views]
    each, _ = frozen.member_scores(frozen.logarithms(covs[:, kept]))
    centred = each - each.mean(axis=2, keepdims=True)
    assert alone.each[alone.runs == 0][:, kept] == pytest.approx(
        np.clip(centred, -frozen.clip, frozen.clip), abs=1e-6
    )


def test_no_member_outvotes_the_others_by_one_wild_window() -> None:
    each = np.array([[[50.0, -50.0], [-0.5, 0.5], [-0.5, 0.5]]])
    shares = np.full(3, 1 / 3)
    assert mix(each, shares, 1.5)[0] == pytest.approx([0.5 - 1 / 3, 1 / 3 - 0.5])
    assert mix(each, shares, np.inf)[0, 0] > 16


def test_labels_that_mean_nothing_leave_equal_shares_or_small_margins(runs: Runs) -> None:
    x, y, run = runs
    shuffled = y.copy()
    rng = np.random.default_rng(1)
    for q in range(3):
        shuffled[run == q] = rng.permutation(y[run == q])
    decoder = DefaultDecoder(bands_hz=BANDS).fit(x, shuffled, run)
    new, _, _ = banded_runs(1, seed=9)
    p = decoder.predict_proba_run(new)
    assert np.abs(p - 0.5).mean() < 0.2  # calibrated on what was left out, it does not claim much


def test_partial_fit_is_fit_with_one_more_run(runs: Runs) -> None:
    x, y, run = runs
    new, _, _ = banded_runs(1, seed=8)
    first = run < 2
    parts = (
        DefaultDecoder(bands_hz=BANDS).fit(x[first], y[first], run[first]).partial_fit(x[~first], y[~first])
    )
    whole = DefaultDecoder(bands_hz=BANDS).fit(x, y, run)
    assert (parts.predict_proba(new) == whole.predict_proba(new)).all()


def test_runs_that_lack_a_class_fall_back_to_blocks(runs: Runs) -> None:
    x, y, run = runs
    keep = (run != 1) | (y == "rest")
    keep &= (run != 2) | (y == "rest")
    decoder = DefaultDecoder(bands_hz=BANDS).fit(x[keep], y[keep], run[keep])
    assert len(decoder.left_out_.runs) == keep.sum()
    new, truth, _ = banded_runs(1, seed=7)
    assert decoder.score(new, truth) > 0.6


def test_views_are_cut_where_they_say() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 2, 4, 90))
    covs = view_covariances(x, (View(0), View(1, 1 / 3, 2 / 3)))
    assert (covs[:, 0] == covariances(x[:, 0], shrinkage="oas")).all()
    assert (covs[:, 1] == covariances(x[:, 1, :, 30:60], shrinkage="oas")).all()
    assert views_of(2, ((0.0, 1.0), (0.0, 0.5))) == (View(0), View(0, 0.0, 0.5), View(1), View(1, 0.0, 0.5))


def test_what_does_not_fit_is_refused(runs: Runs) -> None:
    x, y, run = runs
    decoder = DefaultDecoder(bands_hz=BANDS)
    with pytest.raises(ShapeError, match="one run per window"):
        decoder.fit(x, y, run[:-1])
    with pytest.raises(ShapeError, match="8"):
        decoder.fit_covariances(np.tile(np.eye(4), (len(y), 3, 1, 1)), y)
    covs = view_covariances(x[:4], (View(0),))
    with pytest.raises(TooFewTrialsError, match="record every class"):
        train_ensemble(
            [RunWindows(covs, np.array([0, 0, 1, 1]))], classes=("a", "b"), views=(View(0),), adaptation=None
        )
