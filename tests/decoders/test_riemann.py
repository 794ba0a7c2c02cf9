"""Riemannian functions: parity with pyRiemann, invariances, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pyriemann.geometry import distance as their_distance
from pyriemann.geometry import mean as their_mean
from pyriemann.geometry import tangentspace as their_tangent_space

from bci.decoders import riemann
from bci.errors import NonFiniteError, RankDeficientError, ShapeError

F64 = NDArray[np.float64]


def spd(n_matrices: int, n: int, *, seed: int = 0, spread: float = 1.0) -> F64:
    """Covariances in µV² scattered around a common one, as windows of one montage are."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n, n))
    log = spread * rng.standard_normal((n_matrices, n, n)) / np.sqrt(n)
    values, vectors = np.linalg.eigh((log + log.transpose(0, 2, 1)) / 2)
    core = (vectors * np.exp(values)[:, None]) @ vectors.transpose(0, 2, 1)
    out: F64 = 20.0 * mixing @ core @ mixing.T
    return (out + out.transpose(0, 2, 1)) / 2


def relative(a: F64, b: F64) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("n", [2, 8, 22])
def test_mean_is_pyriemanns(n: int) -> None:
    covs = spd(40, n)
    theirs = their_mean.mean_riemann(covs, tol=1e-13, maxiter=200)
    assert relative(riemann.mean(covs, tolerance=1e-12), theirs) <= 1e-9


def test_weighted_mean_is_pyriemanns() -> None:
    covs, weights = spd(30, 6), np.random.default_rng(1).random(30)
    theirs = their_mean.mean_riemann(covs, sample_weight=weights, tol=1e-13, maxiter=200)
    assert relative(riemann.mean(covs, weights=weights, tolerance=1e-12), theirs) <= 1e-9


def test_mean_converges_for_matrices_far_apart() -> None:
    covs = spd(20, 8, spread=6.0)
    point = riemann.mean(covs)
    gradient = riemann.log_whitened(covs, riemann.inverse_sqrt(point)).mean(axis=0)
    assert np.linalg.norm(gradient) < 1e-6


def test_tangent_vectors_maps_and_distance_are_pyriemanns() -> None:
    covs = spd(20, 8)
    reference = riemann.mean(covs)
    vectors = riemann.tangent_vectors(covs, reference)
    assert relative(vectors, their_tangent_space.tangent_space(covs, reference)) <= 1e-9
    assert (
        relative(
            riemann.log_map(covs, reference), their_tangent_space.log_map_riemann(covs, reference, C12=True)
        )
        <= 1e-9
    )
    assert (
        relative(riemann.distance(covs, reference), their_distance.distance_riemann(covs, reference)) <= 1e-9
    )


def test_maps_and_their_inverses_return_where_they_came_from() -> None:
    covs = spd(20, 8)
    reference = riemann.mean(covs)
    assert relative(riemann.exp_map(riemann.log_map(covs, reference), reference), covs) <= 1e-9
    assert (
        relative(riemann.spd_from_tangent(riemann.tangent_vectors(covs, reference), reference), covs) <= 1e-9
    )


def test_norm_of_a_tangent_vector_is_the_distance_to_the_reference() -> None:
    covs = spd(20, 8)
    reference = riemann.mean(covs)
    norms = np.linalg.norm(riemann.tangent_vectors(covs, reference), axis=1)
    assert norms == pytest.approx(riemann.distance(covs, reference), rel=1e-10)


def test_mixing_the_sources_moves_the_mean_along_and_keeps_distances() -> None:
    covs, mixing = spd(25, 6), np.random.default_rng(2).standard_normal((6, 6))
    mixed = mixing @ covs @ mixing.T
    assert relative(riemann.mean(mixed), mixing @ riemann.mean(covs) @ mixing.T) <= 1e-7
    assert riemann.distance(mixed, mixed[0])[1:] == pytest.approx(
        riemann.distance(covs, covs[0])[1:], rel=1e-8
    )


def test_a_matrix_has_the_same_bits_alone_and_in_a_stack() -> None:
    covs = spd(17, 9)
    whitening = riemann.inverse_sqrt(riemann.mean(covs))
    together = riemann.log_whitened(covs, whitening)
    alone = np.stack([riemann.log_whitened(c[None], whitening)[0] for c in covs])
    assert together.tobytes() == alone.tobytes()


def test_what_is_no_covariance_is_refused_by_name() -> None:
    good = spd(3, 4)
    with pytest.raises(ShapeError):
        riemann.as_spd(good[:, :3])
    with pytest.raises(ShapeError, match="symmetric"):
        riemann.as_spd(good + np.triu(np.ones((4, 4)), 1))
    with pytest.raises(NonFiniteError):
        riemann.as_spd(np.where(np.arange(4) == 2, np.nan, good))
    singular = good.copy()
    singular[1, :, 3] = singular[1, 3, :] = 0.0
    with pytest.raises(RankDeficientError, match="1 of 3"):
        riemann.as_spd(singular)
    average_reference = np.eye(4) - 0.25
    with pytest.raises(RankDeficientError, match="average reference"):
        riemann.as_spd(average_reference @ good @ average_reference)


def test_the_plain_twins_agree_with_the_vector_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the vectors, or with Numba switched off, gives the same within rounding."""
    covs = spd(6, 5)
    whitening = riemann.inverse_sqrt(riemann.mean(covs))
    fast, fast_mean = riemann.log_whitened(covs, whitening), riemann.mean(covs)
    monkeypatch.setenv("BCI_PLAIN_KERNELS", "1")
    assert relative(riemann.log_whitened(covs, whitening), fast) <= 1e-10
    assert relative(riemann.mean(covs), fast_mean) <= 1e-10


def test_means_side_by_side_are_the_means_one_by_one() -> None:
    covs = np.stack([spd(20, 4, seed=seed, spread=0.2 + seed) for seed in range(3)], axis=1)
    together = riemann.mean(covs)
    for j in range(3):
        assert relative(together[j], riemann.mean(covs[:, j])) <= 1e-12
    covs[3, 1] = np.nan
    with_nan = riemann.mean(covs)
    assert np.isnan(with_nan[1]).all()
    assert np.isfinite(with_nan[[0, 2]]).all()
