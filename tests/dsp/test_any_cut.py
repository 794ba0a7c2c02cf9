"""However a signal is cut into chunks, however it lies in memory, each stage gives the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.dsp import (
    ArtefactDetector,
    ArtifactSubspaceReconstruction,
    AsrModel,
    ExponentialCovariance,
    FilterBank,
    FirFilter,
    LineCanceller,
    LogBandPower,
    Resampler,
    SlidingCovariance,
    SlowPotentials,
    SosFilter,
    SpatialFilter,
    StreamingPsd,
    cascade,
    common_average,
    design_asr_weighting,
    design_bandpass,
    design_lowpass,
    design_notch,
)
from tests.dsp.signals import FS, cuts_of, eeg, pieces

N = 700
BAND = cascade(design_bandpass(8, 30, fs_hz=FS), design_notch(50, fs_hz=FS, harmonics=2))
rng = np.random.default_rng(3)


def _asr(n: int) -> ArtifactSubspaceReconstruction:
    model = AsrModel(np.eye(n) * 30.0, np.eye(n) * 20.0, design_asr_weighting(fs_hz=FS), fs_hz=FS)
    return ArtifactSubspaceReconstruction(model)


#: Stages whose process takes the signal alone; joined along the last axis.
STREAMS: dict[str, Callable[[int], Any]] = {
    "sos": lambda n: SosFilter(BAND, n_channels=n),
    "sos, odd form": lambda n: SosFilter(
        design_lowpass(40, fs_hz=FS, order=5, family="elliptic"), n_channels=n
    ),
    "sos float32": lambda n: SosFilter(BAND, n_channels=n, dtype=np.float32),
    "bank": lambda n: FilterBank([design_bandpass(a, a + 4, fs_hz=FS) for a in (4, 8, 12)], n_channels=n),
    "short fir": lambda n: FirFilter(rng.normal(size=31), n_channels=n),
    "long fir": lambda n: FirFilter(rng.normal(size=700), n_channels=n),
    "spatial": lambda n: SpatialFilter(common_average(n) if n > 1 else np.eye(1)),
    "resampler": lambda n: Resampler(n, rate_in=250, rate_out=160),
    "line canceller": lambda n: LineCanceller(n, fs_hz=FS),
    "slow potentials": lambda n: SlowPotentials(n, fs_hz=FS),
    "asr": _asr,
}
#: Stages that also want the sample number, and give (end samples, arrays).
NUMBERED: dict[str, Callable[[int], Any]] = {
    "sliding covariance": lambda n: SlidingCovariance(n, window_samples=100, step_samples=25),
    "welch": lambda n: StreamingPsd(n, fs_hz=FS, segment_samples=64, step_samples=20, average=3),
    "multitaper": lambda n: StreamingPsd(n, fs_hz=FS, segment_samples=64, taper="slepian", average=1),
}
STAGES = {**STREAMS, **NUMBERED}


def _run(stage: Any, x: np.ndarray, cuts: list[int], first_sample: int) -> tuple[np.ndarray, ...]:
    if isinstance(stage, SlidingCovariance | StreamingPsd):
        out = [stage.process(piece, first_sample + a) for a, piece in pieces(x, cuts)]
        return tuple(np.concatenate(part) for part in zip(*out, strict=True))
    return (np.concatenate([np.array(stage.process(piece)) for _, piece in pieces(x, cuts)], axis=-1),)


@pytest.mark.parametrize("name", STAGES)
@settings(max_examples=12, deadline=None)
@given(cuts=cuts_of(N), n=st.sampled_from([1, 3, 8, 13, 16]), first=st.integers(0, 10**12))
def test_any_cut_and_memory_order_give_the_same_bits(name: str, cuts: list[int], n: int, first: int) -> None:
    x = eeg(n, N, seed=n) - (20_000.0 if name == "asr" else 0.0)
    stage = STAGES[name](n)
    whole = _run(stage, x, [], first)
    stage.reset()
    parts = _run(stage, x, cuts, first)
    for a, b in zip(whole, parts, strict=True):
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", STAGES)
@settings(max_examples=6, deadline=None)
@given(cut=st.integers(0, N), n=st.sampled_from([2, 8, 11]))
def test_a_saved_stage_goes_on_with_the_same_bits(name: str, cut: int, n: int) -> None:
    x = eeg(n, N, seed=n)
    stage, other = STAGES[name](n), STAGES[name](n)
    if name in ("short fir", "long fir"):
        other = FirFilter(stage.taps, n_channels=n)
    _run(stage, x[:, :cut], [], 0)
    other.restore(stage.state())
    for a, b in zip(_run(stage, x[:, cut:], [], cut), _run(other, x[:, cut:], [], cut), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", ["exponential covariance", "log band power"])
@settings(max_examples=8, deadline=None)
@given(cuts=cuts_of(N), n=st.sampled_from([1, 5, 8]))
def test_running_values_do_not_depend_on_the_cut(name: str, cuts: list[int], n: int) -> None:
    x = eeg(n, N, seed=n)
    stage: Any = (
        ExponentialCovariance(n, time_constant_samples=100)
        if name == "exponential covariance"
        else LogBandPower(BAND, n_channels=n, time_constant_samples=100)
    )
    whole = stage.process(x)
    stage.reset()
    for _, piece in pieces(x, cuts):
        last = stage.process(piece)
    assert whole.tobytes() == last.tobytes()


@settings(max_examples=15, deadline=None)
@given(cuts=cuts_of(N), first=st.integers(0, 1000))
def test_artefact_marks_do_not_depend_on_the_cut(cuts: list[int], first: int) -> None:
    x = eeg(4, N)
    x[1, 200:260] = 185_000.0
    x[2, 300:400] = x[2, 300]
    x[3, 500] += 400.0
    detector = ArtefactDetector(4, fs_hz=FS)
    whole = detector.process(x, first)
    detector.reset()
    parts = [mark for a, piece in pieces(x, cuts) for mark in detector.process(piece, first + a)]
    assert parts == whole
    assert {"saturation", "flat", "step"} <= {m.kind for m in whole}


def test_sliding_covariance_of_bands_equals_that_of_each_band() -> None:
    bank = FilterBank([design_bandpass(a, a + 4, fs_hz=FS) for a in (4, 8)], n_channels=5)
    y = bank.process(eeg(5, N))
    ends, covs = SlidingCovariance(5, window_samples=100, step_samples=50, n_bands=2).process(y, 0)
    for band in range(2):
        alone_ends, alone = SlidingCovariance(5, window_samples=100, step_samples=50).process(y[band], 0)
        assert ends.tobytes() == alone_ends.tobytes()
        assert covs[:, band].tobytes() == alone.tobytes()
