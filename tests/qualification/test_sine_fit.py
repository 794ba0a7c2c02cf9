"""Sine fits against known sines, against scipy, and against the bound that no unbiased estimator beats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from bci.errors import ShapeError
from bci.qualification.measurements.sine_fit import fit_four, fit_harmonics, fit_three

FS = 250.0


def sine(n: int, f_hz: float, amplitude: float = 3.0, phase: float = 0.7, offset: float = 5.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * f_hz * np.arange(n) / FS + phase) + offset


def test_a_noiseless_sine_comes_back_exactly() -> None:
    fit = fit_four(sine(1000, 49.87), fs_hz=FS)
    assert fit.frequency_hz == pytest.approx(49.87, abs=1e-9)
    assert (fit.amplitude, fit.phase_rad, fit.offset) == pytest.approx((3.0, 0.7, 5.0), abs=1e-9)
    three = fit_three(sine(1000, 49.87), fs_hz=FS, frequency_hz=49.87)
    assert (three.amplitude, three.phase_rad) == pytest.approx((3.0, 0.7), abs=1e-9)


def test_less_than_two_periods_and_a_bad_guess_still_find_the_frequency() -> None:
    assert fit_four(sine(500, 0.9), fs_hz=FS).frequency_hz == pytest.approx(0.9, rel=1e-6)
    assert fit_four(sine(2000, 10.3), fs_hz=FS, near_hz=10.0).frequency_hz == pytest.approx(10.3, rel=1e-9)


def test_lost_samples_are_left_out() -> None:
    x = sine(1000, 10.0)
    x[100:250] = np.nan
    x[600] = np.nan
    fit = fit_four(x, fs_hz=FS, near_hz=10.0)
    assert (fit.amplitude, fit.phase_rad) == pytest.approx((3.0, 0.7), abs=1e-9)


def test_scipy_finds_the_same_minimum() -> None:
    rng = np.random.default_rng(3)
    x = sine(800, 12.34) + rng.normal(0, 0.5, 800)
    t = np.arange(800) / FS

    def model(t: np.ndarray, a: float, f: float, p: float, c: float) -> np.ndarray:
        return a * np.sin(2 * np.pi * f * t + p) + c

    (a, f, p, c), covariance = curve_fit(model, t, x, p0=(3, 12.34, 0.7, 5))
    fit = fit_four(x, fs_hz=FS)
    assert (fit.amplitude, fit.frequency_hz, fit.phase_rad, fit.offset) == pytest.approx(
        (a, f, p, c), rel=1e-5
    )
    assert (fit.amplitude_u, fit.frequency_u, fit.phase_u) == pytest.approx(
        np.sqrt(np.diag(covariance))[:3], rel=0.03
    )


def test_the_stated_uncertainties_are_those_of_the_estimates() -> None:
    rng = np.random.default_rng(4)
    fits = [fit_four(sine(500, 10.1) + rng.normal(0, 0.3, 500), fs_hz=FS) for _ in range(300)]
    for value, u in (("amplitude", "amplitude_u"), ("phase_rad", "phase_u"), ("frequency_hz", "frequency_u")):
        spread = np.std([getattr(fit, value) for fit in fits])
        assert np.mean([getattr(fit, u) for fit in fits]) == pytest.approx(spread, rel=0.15), value


def test_harmonics_have_their_own_amplitudes() -> None:
    x = sine(2000, 10.0, 100.0) + sine(2000, 20.0, 0.2, 1.0, 0.0) + sine(2000, 30.0, 0.05, 2.0, 0.0)
    parts, u = fit_harmonics(x, fs_hz=FS, frequency_hz=10.0)
    assert parts == pytest.approx([100.0, 0.2, 0.05, 0.0, 0.0], abs=1e-9)
    assert u < 1e-9
    assert len(fit_harmonics(x, fs_hz=FS, frequency_hz=50.0)[0]) == 2  # 150 Hz is beyond Nyquist


def test_too_short_a_record_is_refused() -> None:
    with pytest.raises(ShapeError, match="16 samples"):
        fit_four(sine(10, 10.0), fs_hz=FS)
    with pytest.raises(ShapeError, match="one channel"):
        fit_three(np.zeros((2, 100)), fs_hz=FS, frequency_hz=10.0)
