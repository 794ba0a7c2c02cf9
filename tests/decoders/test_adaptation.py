"""Recentring: it follows drift, is not led away by rest, obeys its gates, can be taken back, and says what it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.decoders import AdaptationParameters, FrozenEnsemble, Recentring, TangentSpaceDecoder, riemann
from bci.decoders.frozen import mix
from bci.dsp import covariances
from bci.errors import LabelError, ShapeError
from tests.decoders.made_up import windows

F64 = NDArray[np.float64]


@pytest.fixture(scope="module")
def trained() -> FrozenEnsemble:
    """A decoder whose reference is the class-balanced mean."""
    return replace(
        TangentSpaceDecoder().fit(*windows(40, ("grasp", "rest"))).frozen_, outlier_distance=np.inf
    )


def mixed(
    n: int, seed: int, *, rest_only: bool = False, drift: F64 | None = None
) -> tuple[F64, NDArray[np.str_]]:
    x, y = windows(n, ("grasp", "rest"), seed=seed)
    if rest_only:
        x, y = x[y == "rest"], y[y == "rest"]
    order = np.random.default_rng(seed).permutation(len(y))
    x = x if drift is None else drift @ x
    return covariances(x, shrinkage="oas")[order][:, None], y[order]


def right(decoder: FrozenEnsemble, each: F64, y: NDArray[np.str_]) -> float:
    scores = mix(each, decoder.shares, decoder.clip)
    return float(np.mean(np.array(decoder.classes)[scores.argmax(axis=1)] == y))


def moved(recentring: Recentring, decoder: FrozenEnsemble) -> float:
    """Riemannian distance of the reference from that of the training."""
    now, then = (np.linalg.inv(d.whitening[0] @ d.whitening[0]) for d in (recentring.decoder, decoder))
    return float(riemann.distance(now, then))


# The source that tells the classes apart weakens in all windows: to a fixed decoder everything looks like a grasp.
MIXING = np.random.default_rng(99).standard_normal((6, 6))
DRIFT = MIXING @ np.diag([0.5, 1.0, 1.0, 1.0, 1.0, 1.0]) @ np.linalg.inv(MIXING)


def test_it_follows_a_drift_that_misleads_a_fixed_decoder(trained: FrozenEnsemble) -> None:
    covs, y = mixed(60, 5, drift=DRIFT)
    fixed, _ = trained.member_scores(trained.logarithms(covs))
    following = Recentring(trained)
    each, _ = following.run(covs)
    assert right(trained, each[30:], y[30:]) > right(trained, fixed[30:], y[30:]) + 0.1
    assert right(trained, each[30:], y[30:]) > 0.85


def test_a_window_is_decided_before_it_moves_anything(trained: FrozenEnsemble) -> None:
    covs, _ = mixed(20, 6)
    each, _ = Recentring(trained).run(covs)
    first, _ = trained.member_scores(trained.logarithms(covs[:1]))
    assert (each[:1] == first).all()
    changed = covs.copy()
    changed[25:] *= 9.0
    later, _ = Recentring(trained).run(changed)
    assert (later[:25] == each[:25]).all()


def test_half_an_hour_of_rest_moves_the_reference_no_further_than_its_slack(trained: FrozenEnsemble) -> None:
    """The label-shift check: rest is not a drift."""
    parameters = AdaptationParameters(prior=10.0, slack=5.0)
    idle, _ = mixed(450, 7, rest_only=True)
    braked, free = Recentring(trained, parameters), Recentring(trained, replace(parameters, slack=1e9))
    braked.run(idle)
    free.run(idle)
    assert moved(free, trained) > 2 * moved(braked, trained)
    weights = [update.weight for update in braked.log]
    assert sum(weights) < 2 * 5.0 + 3.0
    assert sum(weights[100:]) < 0.1 * sum(weights)
    assert {update.reason for update in list(braked.log)[-50:]} <= {"one class only", ""}
    covs, y = mixed(60, 8)
    each, _ = braked.run(covs)
    assert right(trained, each, y) > 0.85  # and what comes after it is decided as before
    assert sum(update.weight > 0 for update in list(braked.log)[-120:]) > 30  # with movements it moves again


def test_a_balanced_run_without_drift_leaves_the_reference_where_it_is(trained: FrozenEnsemble) -> None:
    covs, _ = mixed(200, 9)
    following = Recentring(trained)
    following.run(covs)
    spread = float(np.median(np.sqrt(np.sum(trained.logarithms(covs) ** 2, axis=(1, 2, 3)))))
    assert moved(following, trained) < 0.25 * spread


def test_artefacts_outliers_and_nan_move_nothing(trained: FrozenEnsemble) -> None:
    covs, _ = mixed(4, 10)
    following = Recentring(replace(trained, outlier_distance=3.0))
    even = np.array([0.5, 0.5])
    assert following.update(covs[0], even, artefact=True, sample_index=7).reason == "artefact"
    assert following.update(covs[0], np.array([np.nan, np.nan])).reason == "no decision"
    assert following.update(-covs[0], even).reason == "singular covariance"
    following.run(1e6 * covs)  # far beyond the outlier distance
    assert all(update.weight == 0 for update in following.log)
    assert following.log[0].sample_index == 7
    assert moved(following, trained) == pytest.approx(0.0, abs=1e-6)


def test_frozen_it_stands_still_and_thawed_it_goes_on(trained: FrozenEnsemble) -> None:
    covs, _ = mixed(10, 11)
    following = Recentring(trained)
    following.frozen = True
    following.run(covs[:5])
    assert {update.reason for update in following.log} == {"frozen"}
    following.frozen = False
    following.run(covs[5:])
    assert following.log[-1].weight > 0


def test_updates_are_taken_back_one_by_one_or_all(trained: FrozenEnsemble) -> None:
    covs, _ = mixed(10, 12)
    following = Recentring(trained)
    following.run(covs[:6])
    before = following.decoder.whitening.copy()
    following.run(covs[6:9])
    following.rollback(3)
    assert (following.decoder.whitening == before).all()
    following.rollback()
    assert following.decoder is trained
    again, _ = following.run(covs)
    fresh, _ = Recentring(trained).run(covs)
    assert (again == fresh).all()


def test_a_confirmed_trial_counts_as_what_it_was(trained: FrozenEnsemble) -> None:
    parameters = AdaptationParameters(slack=1.0)
    covs, _ = mixed(4, 13)
    following = Recentring(trained, parameters)
    sure = np.array([1.0, 0.0])
    assert following.update(covs[0], sure).weight == 1.0
    assert following.update(covs[1], sure).reason == "one class only"
    assert following.update(covs[1], sure, confirmed="rest").weight == 1.0
    assert following.update(covs[2], sure).weight == 1.0
    with pytest.raises(LabelError, match="'wave'"):
        following.update(covs[0], sure, confirmed="wave")


def test_only_windows_that_may_move_do(trained: FrozenEnsemble) -> None:
    covs, _ = mixed(10, 14)
    moves = np.arange(20) % 5 == 4
    following = Recentring(trained)
    each, distances = following.run(covs, moves=moves)
    assert [update.sample_index for update in following.log] == [4, 9, 14, 19]
    assert each.shape == (20, 1, 2)
    assert distances.shape == (20,)


def test_numbers_out_of_range_are_refused() -> None:
    for bad in ({"prior": 0.0}, {"slack": -1.0}, {"every": 0}, {"pace": 99.0}):
        with pytest.raises(ShapeError, match="positive"):
            AdaptationParameters(**bad)
