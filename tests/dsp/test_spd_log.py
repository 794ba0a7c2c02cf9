"""The logarithm of one covariance matrix without eigenvectors, against scipy and its plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import logm

from bci.chunks import F64
from bci.dsp._spd_log import log_spd, n_scratch, pitch_of, plain_log_spd, quadrature


def logarithm(a: F64, kernel: object = log_spd) -> tuple[bool, F64]:
    n = len(a)
    flat = np.zeros((n, pitch_of(n)))
    flat[:, :n] = a
    out = np.full(flat.size, 7.0)
    fine = kernel(flat.ravel(), out, n, quadrature(), np.full(n_scratch(n), 3.0))  # type: ignore[operator]
    result = out.reshape(flat.shape)
    assert not fine or (result[:, n:] == 0).all(), "padding is not zero"
    return fine, result[:, :n]


def matrix(eigenvalues: F64, seed: int) -> tuple[F64, F64]:
    """A matrix with these eigenvalues in a random basis, and its exact logarithm."""
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    a, log_a = (q * eigenvalues) @ q.T, (q * np.log(eigenvalues)) @ q.T
    return (a + a.T) / 2, (log_a + log_a.T) / 2


@settings(max_examples=60, deadline=None)
@given(
    logs=st.lists(st.floats(-3, 3), min_size=1, max_size=40),
    scale=st.floats(-8, 8),
    seed=st.integers(0, 10**6),
)
def test_it_is_the_logarithm_and_symmetric(logs: list[float], scale: float, seed: int) -> None:
    a, expected = matrix(np.exp(np.array(logs) + scale), seed)
    fine, found = logarithm(a)
    assert fine
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-12 * max(1.0, np.abs(expected).max()))
    assert np.array_equal(found, found.T) or np.abs(found - found.T).max() < 1e-13


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 22, 64])
def test_scipy_and_the_plain_twin_agree(n: int) -> None:
    a, _ = matrix(np.linspace(0.2, 4.0, n), n)
    witness = np.real(logm(a))
    for kernel in (log_spd, plain_log_spd):
        fine, found = logarithm(a, kernel)
        assert fine
        np.testing.assert_allclose(found, witness, rtol=0, atol=1e-11)


def test_a_matrix_that_is_tridiagonal_or_diagonal_already_needs_no_reflections() -> None:
    for a in (np.diag([1.0, 2.0, 5.0, 9.0]), np.eye(12), np.diag(np.full(9, 2.0)) + 0.3 * np.eye(9, k=1)):
        a = np.triu(a) + np.triu(a, 1).T
        np.testing.assert_allclose(logarithm(a)[1], np.real(logm(a)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spread", [12.0, 18.0])
def test_a_condition_that_quadrature_cannot_reach_goes_through_eigenvectors(spread: float) -> None:
    """e^18 is beyond what 64 points hold to 1e-12; the rounding of the matrix itself is what then remains."""
    a, expected = matrix(np.exp(np.linspace(-spread / 2, spread / 2, 16)), 3)
    fine, found = logarithm(a)
    assert fine
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15 * np.exp(spread))


@pytest.mark.parametrize("kernel", [log_spd, plain_log_spd])
def test_what_is_not_positive_definite_has_no_logarithm(kernel: object) -> None:
    for eigenvalue in (0.0, -1.0, np.nan):
        fine, found = logarithm(np.diag([1.0, eigenvalue, 2.0, 3.0]), kernel)
        assert not fine
        assert np.isnan(found).any()
