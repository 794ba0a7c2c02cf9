"""Features against their slow twins, element by element."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from bci.dsp import (
    ExponentialCovariance,
    LogBandPower,
    coherence,
    covariances,
    design_bandpass,
    erd_ers,
    hjorth,
    log_variance,
    oas,
    phase_locking,
    psd,
)
from bci.dsp._eigh import eigh_rows
from tests import naive
from tests.dsp.signals import FS, eeg


@pytest.mark.parametrize("n", [1, 2, 3, 8, 22])
def test_the_eigenvectors_are_those_of_the_slow_twin_and_of_lapack(n: int) -> None:
    root = np.random.default_rng(n).normal(size=(n, n))
    for a in (root @ root.T, np.diag(np.arange(n, 0.0, -1.0)), np.ones((n, n))):
        values, rows = np.empty(n), np.empty((n, n))
        assert eigh_rows(a.copy(), values, rows, np.empty((n + 2, n)))
        np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(a), atol=1e-12 * max(1, np.trace(a)))
        np.testing.assert_allclose(rows @ rows.T, np.eye(n), atol=1e-12)
        np.testing.assert_allclose(rows.T * values @ rows, a, atol=1e-12 * max(1, np.trace(a)))
        if n <= 8:
            np.testing.assert_allclose(naive.jacobi_eigenvalues(a), np.sort(values), atol=1e-9 * np.trace(a))


def test_eigenvectors_of_nan_are_refused() -> None:
    assert not eigh_rows(np.full((4, 4), np.nan), np.empty(4), np.empty((4, 4)), np.empty((6, 4)))


def test_shrinkage_equals_the_slow_twin() -> None:
    windows = np.stack([eeg(5, 60, seed=k) for k in range(4)])
    plain = covariances(windows)
    for cov, shrunk in zip(plain, oas(plain, 60), strict=True):
        np.testing.assert_allclose(shrunk, naive.shrunk_oas(cov, 60), rtol=1e-12)


@pytest.mark.parametrize("n", [32, 33])
@pytest.mark.parametrize("taper", ["hann", "slepian"])
def test_a_spectrum_equals_the_sum_that_defines_it(n: int, taper: str) -> None:
    x = eeg(2, n)
    tapers = signal.get_window("hann", n)[None] if taper == "hann" else signal.windows.dpss(n, 2.0, 3)
    _, density = psd(x, fs_hz=FS, segment_samples=n, taper=taper, half_bandwidth=2.0)  # type: ignore[arg-type]
    for row, got in zip(x, density, strict=True):
        want = naive.spectrum(row, tapers, FS)
        np.testing.assert_allclose(got, want, atol=1e-9 * want.max())


def test_features_of_a_window_equal_their_slow_twins() -> None:
    x = eeg(3, 80)
    for row, got in zip(x, hjorth(x), strict=True):
        np.testing.assert_allclose(got, naive.hjorth(row), rtol=1e-6)
    np.testing.assert_allclose(log_variance(x), naive.log_variance(x), rtol=1e-9)
    power, base = (np.random.default_rng(k).uniform(1, 9, size=(4, 2, 5 + k)) for k in (0, 1))
    np.testing.assert_allclose(erd_ers(power, base), naive.erd(power, base), rtol=1e-12)


def test_running_features_equal_their_slow_twins() -> None:
    x, band = eeg(3, 500), design_bandpass(8, 30, fs_hz=FS)
    got = LogBandPower(band, n_channels=3, time_constant_samples=60).process(x)
    np.testing.assert_allclose(got, naive.log_band_power(band, x, 60), atol=1e-9)
    running = ExponentialCovariance(3, time_constant_samples=50).process(x)
    np.testing.assert_allclose(running, naive.exponential_covariance(x, 1 - np.exp(-1 / 50)), rtol=1e-9)


@pytest.mark.parametrize("n", [64, 65])
def test_connectivity_equals_its_slow_twins(n: int) -> None:
    w = np.random.default_rng(0).normal(size=(6, 3, n))
    w[:, 1] += w[:, 0]
    freqs = np.fft.rfftfreq(n, 1 / FS)
    bins = np.flatnonzero((freqs >= 8) & (freqs < 30))
    got, locked = coherence(w, fs_hz=FS, low_hz=8, high_hz=30), phase_locking(w)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert got[i, j] == pytest.approx(np.mean([naive.coherence(w, k, i, j) for k in bins]), abs=1e-12)
        assert locked[i, j] == pytest.approx(naive.phase_locking(w, i, j), abs=1e-12)
