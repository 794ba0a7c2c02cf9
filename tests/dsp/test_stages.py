"""The other stages against their slow twins, scipy, MNE and scikit-learn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import signal

from bci.chunks import Chunk
from bci.dsp import (
    ExponentialCovariance,
    FirFilter,
    LogBandPower,
    Resampler,
    SlidingCovariance,
    SlowPotentials,
    StreamingPsd,
    band_power,
    coherence,
    covariances,
    design_bandpass,
    design_fir,
    erd_ers,
    fir_delay,
    fir_recording,
    hjorth,
    ledoit_wolf,
    log_variance,
    minimum_phase,
    oas,
    phase_locking,
    psd,
)
from bci.errors import (
    DesignError,
    FlatSignalError,
    ShapeError,
)
from tests import naive
from tests.dsp.signals import FS, eeg

# ---- covariance ----------------------------------------------------------------------------------------------


def test_sliding_covariance_equals_the_slow_twin_and_numpy() -> None:
    x = eeg(5, 400)
    ends, covs = SlidingCovariance(5, window_samples=100, step_samples=20).process(x, 1000)
    assert ends.tolist() == list(range(1100, 1401, 20))
    for end, cov in zip(ends, covs, strict=True):
        np.testing.assert_allclose(cov, np.cov(x[:, end - 1100 : end - 1000], bias=True), atol=1e-4)
        assert np.array_equal(cov, cov.T)
    band = design_bandpass(8, 30, fs_hz=FS)
    y = signal.sosfilt(band, x - x[:, :1])
    _, covs = SlidingCovariance(5, window_samples=100, step_samples=20).process(y, 1000)
    np.testing.assert_allclose(covs[3], naive.window_covariance(y, 160, 100), rtol=1e-9, atol=1e-9)


def test_no_window_spans_a_jump_of_the_sample_number() -> None:
    stage = SlidingCovariance(2, window_samples=40, step_samples=10)
    x = eeg(2, 100)
    assert stage.process(x[:, :45], 3)[0].tolist() == []
    assert stage.process(x[:, 45:55], 48)[0].tolist() == [50]
    ends, covs = stage.process(x, 1005)  # 947 samples are missing
    assert ends.tolist() == list(range(1050, 1106, 10))
    np.testing.assert_allclose(covs[0], np.cov(x[:, 5:45], bias=True), atol=1e-4)


def test_windows_that_are_no_whole_number_of_steps_are_refused_with_a_proposal() -> None:
    with pytest.raises(DesignError, match="500"):
        SlidingCovariance(2, window_samples=510, step_samples=25)


def test_batch_covariances_equal_numpy_and_scikit_learn() -> None:
    from sklearn.covariance import ledoit_wolf as sk_ledoit_wolf
    from sklearn.covariance import oas as sk_oas

    windows = np.random.default_rng(0).normal(size=(6, 5, 60)) + 3.0
    plain = covariances(windows)
    for k, window in enumerate(windows):
        np.testing.assert_allclose(plain[k], np.cov(window, bias=True), rtol=1e-12)
        np.testing.assert_allclose(oas(plain, 60)[k], sk_oas(window.T)[0], rtol=1e-12)
        np.testing.assert_allclose(covariances(windows, shrinkage="oas")[k], sk_oas(window.T)[0], rtol=1e-12)
        np.testing.assert_allclose(ledoit_wolf(windows)[k], sk_ledoit_wolf(window.T)[0], rtol=1e-12)


def test_exponential_covariance_equals_the_slow_twin() -> None:
    x = eeg(4, 300)
    got = ExponentialCovariance(4, time_constant_samples=50).process(x)
    np.testing.assert_allclose(got, naive.exponential_covariance(x, 1 - np.exp(-1 / 50)), rtol=1e-9)


# ---- finite responses and resampling -------------------------------------------------------------------------


@pytest.mark.parametrize("n_taps", [1, 2, 31, 600])
def test_fir_filter_equals_the_slow_twin_and_lfilter(n_taps: int) -> None:
    x, taps = eeg(3, 900 if n_taps > 100 else 80), np.random.default_rng(1).normal(size=n_taps)
    y = FirFilter(taps, n_channels=3).process(x)
    held = np.concatenate([np.repeat(x[:, :1], n_taps, axis=1), x], axis=1)
    np.testing.assert_allclose(
        y, signal.lfilter(taps, 1, held)[:, n_taps:], atol=1e-12 * np.abs(x).max() * n_taps
    )
    if n_taps <= 31:
        np.testing.assert_allclose(y, naive.fir(taps, x), atol=1e-9)


def test_the_delay_of_a_fir_filter_is_carried_into_the_chunk() -> None:
    taps = design_fir(8, 30, fs_hz=FS)
    stage = FirFilter(taps, n_channels=1)
    t = np.arange(2000)
    burst = np.exp(-(((t - 1000) / 40) ** 2)) * np.cos(2 * np.pi * 15 * (t - 1000) / FS)
    out = stage.process_chunk(Chunk(burst[None], first_sample=5000))
    assert out.first_sample == 5000 - (len(taps) - 1) // 2
    assert out.first_sample + int(np.argmax(out.data_uv[0])) == 6000


@pytest.mark.parametrize("edges", [(8, 30), (1, None), (None, 40), (55, 45)])
@pytest.mark.parametrize("method", ["window", "least_squares"])
def test_designed_taps_pass_and_stop_where_asked(
    edges: tuple[float | None, float | None], method: str
) -> None:
    taps = design_fir(*edges, fs_hz=FS, method=method)  # type: ignore[arg-type]
    assert len(taps) % 2 == 1
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-12)
    freqs, h = signal.freqz(taps, worN=2000, fs=FS)
    low, high = edges
    if low is not None and high is not None and low > high:
        inside, outside = (freqs < high - 0.5) | (freqs > low + 0.5), np.abs(freqs - 50) < 0.5
    else:
        inside = (freqs >= (low or 0) + 0.1) & (freqs <= (high or FS) - 0.1)
        outside = (freqs < (low or 0) - 2.1) | (freqs > (high or FS) + 10.1)
    assert np.abs(np.abs(h[inside]) - 1).max() < 0.02
    if outside.any():
        assert np.abs(h[outside]).max() < 0.03


def test_minimum_phase_keeps_the_magnitude_and_cuts_the_delay() -> None:
    taps = design_fir(None, 40, fs_hz=FS)
    short = minimum_phase(taps)
    freqs, a = signal.freqz(taps, worN=512, fs=FS)
    _, b = signal.freqz(short, worN=512, fs=FS)
    assert np.abs(np.abs(a) - np.abs(b))[freqs < 38].max() < 1e-3
    want = np.abs(np.fft.rfft(signal.minimum_phase(taps, half=False, n_fft=1 << 16), 1024))
    np.testing.assert_allclose(np.abs(np.fft.rfft(short, 1024)), want, atol=2e-3)
    assert (np.abs(np.roots(short)) < 1.02).all()
    assert fir_delay(taps) == (len(taps) - 1) / 2
    assert fir_delay(short) < 0.3 * fir_delay(taps)


@pytest.mark.parametrize("shape", [(1, 400), (3, 5000), (17, 3000), (64, 2500)])
def test_a_recording_through_fir_equals_mne(shape: tuple[int, int]) -> None:
    import mne

    x = eeg(*shape)
    taps = mne.filter.create_filter(None, FS, 8, 30, verbose="error")
    got = fir_recording(taps, x)
    want = mne.filter.filter_data(x, FS, 8, 30, verbose="error")
    if shape[1] > len(taps):
        np.testing.assert_allclose(got, want, atol=1e-9 * np.abs(x).max())
    else:
        assert got.shape == shape
    assert fir_recording(taps, x, n_threads=1).tobytes() == got.tobytes()


def test_taps_without_a_plain_delay_are_refused_offline() -> None:
    for taps in (np.ones(4), np.array([1.0, 2.0, 3.0])):
        with pytest.raises(DesignError):
            fir_recording(taps, np.zeros((1, 100)))


@pytest.mark.parametrize(
    "rates", [(250, 125), (250, 160), (160, 250), (1000, 250), (250, 250), (Fraction(500, 3), 100)]
)
def test_resampling_equals_scipy_and_the_slow_twin(rates: tuple[Fraction, Fraction]) -> None:
    x = eeg(3, 600)
    x -= x[:, :1]
    stage = Resampler(3, rate_in=rates[0], rate_out=rates[1])
    y = stage.process(x)
    delay = stage.delay_samples * stage.up / stage.down
    assert delay.denominator == 1
    want = signal.resample_poly(x, stage.up, stage.down, axis=1)
    got = y[:, int(delay) :]
    n = min(got.shape[1], want.shape[1])
    edge = 25 * max(1, stage.up // stage.down + 1)
    if stage.up <= stage.down:
        np.testing.assert_allclose(got[:, edge : n - edge], want[:, edge : n - edge], atol=1e-9)
    taps = stage._phases.T.ravel()
    np.testing.assert_allclose(y, naive.resample(x, stage.up, stage.down, taps)[:, : y.shape[1]], atol=1e-9)


def test_decimation_removes_what_would_alias() -> None:
    t = np.arange(5000) / 1000
    y = Resampler(1, rate_in=1000, rate_out=250).process(np.sin(2 * np.pi * 240 * t)[None])
    assert np.abs(y[:, 100:]).max() < 0.005


def test_rates_that_make_an_uneven_ratio_are_refused() -> None:
    with pytest.raises(DesignError, match="1000"):
        Resampler(1, rate_in=Fraction(250_001, 1000), rate_out=250)


# ---- features ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [64, 65])
def test_welch_equals_scipy(n: int) -> None:
    x = eeg(3, 1000)
    freqs, density = psd(x, fs_hz=FS, segment_samples=n)
    want_freqs, want = signal.welch(x, FS, nperseg=n, noverlap=n - n // 2)
    np.testing.assert_allclose(freqs, want_freqs)
    np.testing.assert_allclose(density, want, rtol=1e-6, atol=1e-9 * want.max())


def test_slepian_tapers_equal_mne() -> None:
    from mne.time_frequency.multitaper import dpss_windows

    x = eeg(3, 256)
    x -= x.mean(axis=1, keepdims=True)
    freqs, density = psd(x, fs_hz=FS, segment_samples=256, taper="slepian", half_bandwidth=4)
    tapers, _ = dpss_windows(256, 4, 7)  # MNE's density weights them; ours is their plain mean
    spectra = np.abs(np.fft.rfft(x[:, None] * tapers, axis=2)) ** 2 / FS
    spectra[:, :, 1:-1] *= 2
    np.testing.assert_allclose(density, spectra.mean(axis=1), rtol=1e-6, atol=1e-12 * spectra.max())
    assert len(freqs) == 129


def test_the_density_integrates_to_the_variance() -> None:
    x = np.random.default_rng(0).normal(size=(2, 20_000)) * 3
    freqs, density = psd(x, fs_hz=FS, segment_samples=500)
    np.testing.assert_allclose(band_power(freqs, density, 0, FS), x.var(axis=1), rtol=0.03)
    with pytest.raises(DesignError):
        band_power(freqs, density, 8.1, 8.2)
    with pytest.raises(DesignError):
        StreamingPsd(2, fs_hz=FS, segment_samples=4)


def test_log_variance_ignores_a_common_gain_and_names_a_flat_channel() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 50))
    np.testing.assert_allclose(log_variance(x), log_variance(7 * x))
    np.testing.assert_allclose(np.exp(log_variance(x)).sum(axis=1), 1)
    x[1, 2] = 5.0
    with pytest.raises(FlatSignalError, match="channel 2") as caught:
        log_variance(x)
    assert caught.value.channels == (2,)
    lost = np.random.default_rng(0).normal(size=(3, 50))
    lost[0, 3] = np.nan
    assert np.isnan(log_variance(lost)).all()


def test_hjorth_of_a_sine_tells_its_frequency() -> None:
    t = np.arange(5000) / FS
    activity, mobility, complexity = hjorth(np.sin(2 * np.pi * 10 * t)[None])[0]
    assert activity == pytest.approx(0.5, rel=1e-3)
    assert np.arcsin(mobility / 2) / np.pi * FS == pytest.approx(10, rel=1e-3)
    assert complexity == pytest.approx(1, abs=1e-3)


def test_erd_is_negative_when_power_falls() -> None:
    base, power = np.full((4, 2, 10), 8.0), np.full((4, 2, 5), 8.0)
    power[:, 1] = 2.0
    np.testing.assert_allclose(erd_ers(power, base), [[0] * 5, [-75] * 5])
    with pytest.raises(FlatSignalError):
        erd_ers(power, np.zeros((4, 2, 10)))
    with pytest.raises(ShapeError):
        erd_ers(power, base[:3])


def test_log_band_power_tells_the_power_of_the_band() -> None:
    t = np.arange(5000) / FS
    x = np.stack([4 * np.sin(2 * np.pi * 15 * t), 4 * np.sin(2 * np.pi * 60 * t)])
    stage = LogBandPower(design_bandpass(8, 30, fs_hz=FS), n_channels=2, time_constant_samples=250)
    inside, outside = stage.process(x)
    assert inside == pytest.approx(np.log(8), abs=0.05)
    assert outside < np.log(8) - 4


def test_slow_potentials_pass_a_readiness_potential_and_stop_alpha() -> None:
    t = np.arange(int(20 * FS)) / FS
    slow = -10 * np.exp(-((t - 10) ** 2) / 0.5)
    y = SlowPotentials(1, fs_hz=FS).process((slow + 20 * np.sin(2 * np.pi * 10 * t) + 30_000)[None])[0]
    peak = int(np.argmin(y))
    assert abs(peak / FS - 10) < 0.4
    assert -13 < y[peak] < -7
    assert y[int(12.5 * FS) :].std() < 2.5


def test_coherence_and_phase_locking_tell_who_goes_together() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(40, 3, 250))
    w[:, 1] = w[:, 0] + 0.3 * rng.normal(size=(40, 250))
    c, p = coherence(w, fs_hz=FS, low_hz=8, high_hz=30), phase_locking(w)
    for m in (c, p):
        np.testing.assert_allclose(np.diag(m), 1)
        np.testing.assert_allclose(m, m.T)
        assert m[0, 1] > 0.85
        assert m[0, 2] < 0.2
    freqs, want = signal.coherence(w[:, 0].ravel(), w[:, 1].ravel(), FS, nperseg=250, noverlap=0)
    inside = (freqs >= 8) & (freqs < 30)
    assert c[0, 1] == pytest.approx(want[inside].mean(), abs=1e-6)
    with pytest.raises(ShapeError):
        phase_locking(w[:1])
