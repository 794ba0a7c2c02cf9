"""Recursive filters: twins, scipy and MNE as witnesses, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from bci.dsp import (
    FilterBank,
    SosFilter,
    cascade,
    design_bandpass,
    design_bandstop,
    design_dc_blocker,
    design_highpass,
    design_lowpass,
    design_notch,
    filter_recording,
    zero_phase,
)
from bci.dsp._float32 import float32_error
from bci.errors import DesignError, NonFiniteError, ShapeError
from tests import naive
from tests.dsp.signals import FS, eeg

CHAIN = cascade(design_bandpass(8, 30, fs_hz=FS), design_notch(50, fs_hz=FS, harmonics=2))
DESIGNS = {
    "band-pass": design_bandpass(8, 30, fs_hz=FS),
    "chain": CHAIN,
    "low-pass of odd order": design_lowpass(30, fs_hz=FS, order=3),
    "high-pass": design_highpass(1, fs_hz=FS),
    "band-stop": design_bandstop(45, 55, fs_hz=FS),
    "chebyshev": design_bandpass(8, 30, fs_hz=FS, family="chebyshev2"),
    "elliptic": design_bandpass(8, 30, fs_hz=FS, family="elliptic"),
    "dc blocker": design_dc_blocker(fs_hz=FS),
    "pure delay": np.array([[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]]),
}


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("n_channels", [1, 5, 8, 20])
def test_sos_filter_equals_scipy_and_the_slow_twin(name: str, n_channels: int) -> None:
    x, sos = eeg(n_channels, 300), DESIGNS[name]
    y = SosFilter(sos, n_channels=n_channels).process(x)
    start = signal.sosfilt_zi(sos)[:, None, :] * x[:, :1]
    witness, _ = signal.sosfilt(sos, x, zi=start)
    scale = np.abs(x).max()
    assert np.abs(y - witness).max() < 1e-11 * scale
    assert np.abs(y - naive.sosfilt(sos, x)).max() < 1e-9 * scale


def test_a_signal_on_an_offset_starts_without_a_step() -> None:
    x = np.full((3, 200), 50_000.0)
    for name in ("band-pass", "high-pass", "dc blocker"):
        assert np.abs(SosFilter(DESIGNS[name], n_channels=3).process(x)).max() < 1e-6
    assert np.abs(SosFilter(DESIGNS["low-pass of odd order"], n_channels=3).process(x) - x).max() < 1e-6


def test_the_filter_bank_equals_one_filter_per_band() -> None:
    bands = [design_bandpass(a, a + 4, fs_hz=FS) for a in range(4, 40, 4)]
    x = eeg(22, 400)
    y = FilterBank(bands, n_channels=22).process(x)
    for band, sos in enumerate(bands):
        assert y[band].tobytes() == np.array(SosFilter(sos, n_channels=22).process(x)).tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_recording_on_threads_gives_the_bits_of_the_stream(dtype: type, n_threads: int) -> None:
    x = eeg(21, 3000).astype(dtype)
    whole = filter_recording(CHAIN, x, n_threads=n_threads, dtype=dtype)
    assert whole.tobytes() == SosFilter(CHAIN, n_channels=21, dtype=dtype).process(x).tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_channels", [8, 16, 21, 32])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_signal_too_large_for_the_caches_gives_the_same_bits(
    dtype: type, n_channels: int, n_threads: int
) -> None:
    n = 700_000 // (n_channels * np.dtype(dtype).itemsize) + 5
    x = np.asarray(eeg(n_channels, n), dtype=dtype, order="F")
    stage = SosFilter(CHAIN, n_channels=n_channels, dtype=dtype)
    want = np.concatenate([np.array(stage.process(x[:, t : t + 500])) for t in range(0, n, 500)], axis=1)
    room = np.empty(n_channels * n + 64, dtype)
    for skip in range(0, 64, 16):  # lines of the cache begin elsewhere
        out = room[skip : skip + n_channels * n].reshape(n, n_channels).T
        got = filter_recording(CHAIN, x, dtype=dtype, n_threads=n_threads, out=out)
        assert np.array_equal(got, want)
    assert np.array_equal(filter_recording(CHAIN, x, dtype=dtype, n_threads=n_threads), want)
    backwards = filter_recording(CHAIN, x[:, ::-1][:, ::-1], dtype=dtype, out=out[:, ::-1][:, ::-1])
    assert np.array_equal(backwards, want)
    turned = np.empty_like(x)
    stage.reset()
    stage.process(x)
    assert filter_recording(CHAIN, x[:, ::-1], dtype=dtype, out=turned[:, ::-1]) is not None
    stage.reset()
    assert np.array_equal(turned[:, ::-1], stage.process(np.ascontiguousarray(x[:, ::-1])))
    assert np.array_equal(filter_recording(CHAIN, x, dtype=dtype, n_threads=n_threads, out=x), want)


@pytest.mark.parametrize("n_channels", [3, 16, 21])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_recording_may_be_filtered_into_given_memory_and_in_place(n_channels: int, order: str) -> None:
    x = np.array(eeg(n_channels, 900), order=order)  # type: ignore[call-overload]
    want = filter_recording(CHAIN, x)
    out = np.full_like(x, np.nan)
    assert filter_recording(CHAIN, x, out=out) is out
    assert out.tobytes() == want.tobytes()
    assert filter_recording(CHAIN, x, out=x) is x
    assert x.tobytes() == want.tobytes()
    with pytest.raises(ShapeError):
        filter_recording(CHAIN, x, out=out[:, 1:])


@pytest.mark.parametrize("n_channels", [3, 8, 21])
def test_zero_phase_equals_sosfiltfilt(n_channels: int) -> None:
    x = eeg(n_channels, 2000)
    y = zero_phase(CHAIN, x)
    assert np.abs(y - signal.sosfiltfilt(CHAIN, x, axis=1)).max() < 1e-10 * np.abs(x).max()
    if n_channels == 3:
        assert np.abs(y - naive.zero_phase(CHAIN, x, 3 * 13)).max() < 1e-9 * np.abs(x).max()


def test_zero_phase_shifts_no_wave() -> None:
    t = np.arange(2000) / FS
    x = np.sin(2 * np.pi * 15 * t)[None]
    y = zero_phase(design_bandpass(8, 30, fs_hz=FS), x)[0, 500:1500]
    lags = np.arange(-20, 21)
    match = [np.dot(y[30:-30], x[0, 530 + k : 1470 + k]) for k in lags]
    assert lags[int(np.argmax(match))] == 0


@settings(max_examples=20, deadline=None)
@given(order=st.sampled_from([2, 4]), low=st.floats(0.05, 40), width=st.floats(0.5, 60))
def test_the_float32_bound_holds_or_the_design_is_refused(order: int, low: float, width: float) -> None:
    sos = design_bandpass(low, min(low + width, 120.0), fs_hz=FS, order=order)
    x = np.random.default_rng(order).normal(size=(16, 20_000))
    if float32_error(sos) > 1e-4:
        with pytest.raises(DesignError, match="Use float64"):
            SosFilter(sos, n_channels=16, dtype=np.float32)
        return
    y32 = SosFilter(sos, n_channels=16, dtype=np.float32).process(x)
    y64 = SosFilter(sos, n_channels=16).process(x)
    error = np.sqrt(np.mean((y32 - y64) ** 2)) / np.sqrt(np.mean(y64**2))
    assert error <= float32_error(sos) <= 1e-4


def test_a_slow_high_pass_is_refused_in_float32_with_the_reason() -> None:
    with pytest.raises(DesignError, match="float32 could err"):
        SosFilter(design_bandpass(0.1, 3, fs_hz=1000), n_channels=2, dtype=np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("at", [0, 37, 99])
def test_a_chunk_that_is_not_finite_is_refused_and_leaves_no_trace(bad: float, order: str, at: int) -> None:
    x = eeg(9, 300)
    poisoned = np.array(x[:, 100:200], order=order)  # type: ignore[call-overload]
    poisoned[8, at] = bad
    for stage in (SosFilter(CHAIN, n_channels=9), FilterBank([CHAIN, CHAIN], n_channels=9)):
        stage.process(x[:, :100])
        with pytest.raises(NonFiniteError, match="GapPolicy"):
            stage.process(poisoned)
        kept = np.array(stage.process(x[:, 100:]))
        fresh = type(stage)(CHAIN if isinstance(stage, SosFilter) else [CHAIN, CHAIN], n_channels=9)  # type: ignore[arg-type]
        assert kept.tobytes() == np.array(fresh.process(x))[..., 100:].tobytes()


def test_a_first_chunk_that_is_not_finite_does_not_start_the_filter() -> None:
    x = eeg(8, 50)
    poisoned = x.copy(order="F")
    poisoned[3, 20] = np.nan
    stage = SosFilter(CHAIN, n_channels=8)
    with pytest.raises(NonFiniteError):
        stage.process(poisoned)
    assert np.array(stage.process(x)).tobytes() == SosFilter(CHAIN, n_channels=8).process(x).tobytes()


def test_an_output_somebody_holds_is_never_written_again() -> None:
    stage = SosFilter(CHAIN, n_channels=8)
    x = eeg(8, 64)
    held = [stage.process(x[:, k : k + 4]) for k in range(0, 64, 4)]
    copies = [y.copy() for y in held]
    view = stage.process(x[:, :4])[2:5]
    view_copy = view.copy()
    for k in range(0, 64, 4):
        stage.process(x[:, k : k + 4])
    assert all(np.array_equal(a, b) for a, b in zip(held, copies, strict=True))
    assert np.array_equal(view, view_copy)
    assert len({y.__array_interface__["data"][0] for y in held}) == len(held)


@pytest.mark.parametrize("shape", [(7, 10), (8,), (1, 8, 10), ()])
def test_a_wrong_shape_names_what_came(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="8, n_samples"):
        SosFilter(CHAIN, n_channels=8).process(np.zeros(shape))


def test_lists_integers_and_other_floats_are_taken() -> None:
    x = np.arange(40).reshape(4, 10)
    want = SosFilter(CHAIN, n_channels=4).process(x.astype(np.float64)).copy()
    for given_ in (x, x.tolist(), x.astype(np.float32), x[:, ::-1][:, ::-1], x.astype(">f8")):
        assert np.array_equal(SosFilter(CHAIN, n_channels=4).process(given_), want)


@pytest.mark.parametrize(
    "design",
    [
        lambda: design_bandpass(8, 130, fs_hz=FS),
        lambda: design_bandpass(30, 8, fs_hz=FS),
        lambda: design_bandpass(0, 8, fs_hz=FS),
        lambda: design_notch(50, fs_hz=100),
        lambda: design_notch(50, fs_hz=FS, q=0),
        lambda: design_lowpass(40, fs_hz=0),
        lambda: design_lowpass(40, fs_hz=float("nan")),
        lambda: design_highpass(40, fs_hz=FS, order=0),
        lambda: SosFilter([[1, 0, 0, 1, -2.1, 1.2]], n_channels=2),
        lambda: SosFilter([[1, 0, 0, 1, 0]], n_channels=2),
        lambda: SosFilter([[1, 0, 0, 1, 0, np.nan]], n_channels=2),
        lambda: SosFilter(CHAIN, n_channels=2, dtype=np.int32),
        lambda: FilterBank([CHAIN, CHAIN[:2]], n_channels=2),
    ],
)
def test_a_design_that_cannot_be_is_refused(design: object) -> None:
    with pytest.raises(DesignError):
        design()  # type: ignore[operator]


def test_notch_harmonics_above_half_the_rate_are_left_out() -> None:
    sos = design_notch(50, fs_hz=FS, harmonics=5)
    assert len(sos) == 2
    _, h = signal.sosfreqz(sos, worN=[50, 100, 75], fs=FS)
    assert (np.abs(h) < 1e-6).tolist() == [True, True, False]


def test_restoring_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError):
        SosFilter(CHAIN, n_channels=8).restore(SosFilter(CHAIN, n_channels=7).state())
