"""Checks of `bci.dsp` on this processor: the same numbers as scipy, the same bits however a signal is cut.

Vector code is made by LLVM for the machine it runs on, so what holds on one processor is checked on each.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from bci.chunks import F64
from bci.dsp import (
    FilterBank,
    FirFilter,
    LineCanceller,
    Resampler,
    SlidingCovariance,
    SosFilter,
    SpatialFilter,
    StreamingPsd,
    cascade,
    common_average,
    design_bandpass,
    design_notch,
    filter_recording,
)
from bci.errors import DesignError
from bci.selftest._check import Check, Result

__all__ = ["CHECKS"]

FS = 250.0
CHAIN = cascade(design_bandpass(8, 30, fs_hz=FS), design_notch(50, fs_hz=FS, harmonics=2))

#: Stages whose outputs are joined along the last axis.
STREAMS: dict[str, Callable[[int], Any]] = {
    "filter": lambda n: SosFilter(CHAIN, n_channels=n),
    "filter in float32": lambda n: SosFilter(CHAIN, n_channels=n, dtype=np.float32),
    "filter bank": lambda n: FilterBank([CHAIN, CHAIN[::-1]], n_channels=n),
    "short FIR": lambda n: FirFilter(np.linspace(-1, 1, 31), n_channels=n),
    "long FIR": lambda n: FirFilter(np.linspace(-1, 1, 700), n_channels=n),
    "resampler": lambda n: Resampler(n, rate_in=250, rate_out=160),
    "line canceller": lambda n: LineCanceller(n, fs_hz=FS),
    "spatial filter": lambda n: SpatialFilter(common_average(n)),
}
#: Stages that give (sample numbers, arrays).
NUMBERED: dict[str, Callable[[int], Any]] = {
    "sliding covariance": lambda n: SlidingCovariance(n, window_samples=100, step_samples=25),
    "spectrum": lambda n: StreamingPsd(n, fs_hz=FS, segment_samples=64, step_samples=20),
}


def _signal(rng: np.random.Generator, n_channels: int, n_samples: int) -> F64:
    offsets = rng.normal(size=(n_channels, 1)) * 20_000.0
    return np.asfortranarray(rng.normal(size=(n_channels, n_samples)) * 20.0 + offsets)


def _scipy(nightly: bool) -> Result:
    from scipy.signal import sosfilt, sosfilt_zi

    rng, worst = np.random.default_rng(0), 0.0
    channels = range(1, 130) if nightly else (1, 7, 8, 13, 64)
    for n in channels:
        x = _signal(rng, n, 2000)
        want, _ = sosfilt(CHAIN, x, zi=sosfilt_zi(CHAIN)[:, None, :] * x[:, :1])
        got = SosFilter(CHAIN, n_channels=n).process(x)
        worst = max(worst, float(np.abs(got - want).max() / np.abs(x).max()))
    measured = f"largest difference {worst:.1e} of the signal, {len(channels)} numbers of channels"
    return Result(worst < 1e-11, measured, {"largest_difference": worst, "n_channel_counts": len(channels)})


def _run(stage: Any, x: F64, edges: list[int]) -> bytes:
    parts = []
    for a, b in pairwise(edges):
        out = stage.process(x[:, a:b], a) if hasattr(stage, "step_samples") else stage.process(x[:, a:b])
        parts.append(np.array(out) if isinstance(out, np.ndarray) else np.array(out[1]))
    axis = 0 if hasattr(stage, "step_samples") else -1
    return np.concatenate(parts, axis=axis).tobytes()


def _any_cut(nightly: bool) -> Result:
    rng, cases, n = np.random.default_rng(1), 0, 900
    for name, make in {**STREAMS, **NUMBERED}.items():
        for _ in range(300 if nightly else 4):
            n_channels = int(rng.integers(2, 40))
            x, stage = _signal(rng, n_channels, n), make(n_channels)
            cuts = np.sort(rng.integers(0, n + 1, size=int(rng.integers(0, 30))))
            whole = _run(stage, x, [0, n])
            stage.reset()
            if _run(stage, x, [0, *map(int, cuts), n]) != whole:
                return Result(False, f"{name}, {n_channels} channels: other bits when cut at {cuts.tolist()}")
            cases += 1
    return Result(True, f"{cases} cuts, 0 with other bits", {"cuts": cases, "with_other_bits": 0})


def _large(nightly: bool) -> Result:
    rng, cases = np.random.default_rng(2), 0
    for n_channels in (*range(8, 65), 128) if nightly else (8, 21, 64):
        n = 1_200_000 // (8 * n_channels)
        x, stage = _signal(rng, n_channels, n), SosFilter(CHAIN, n_channels=n_channels)
        want = np.concatenate([np.array(stage.process(x[:, t : t + 256])) for t in range(0, n, 256)], axis=1)
        for n_threads in (1, 2):
            if not np.array_equal(filter_recording(CHAIN, x, n_threads=n_threads), want):
                return Result(
                    False, f"{n_channels} channels on {n_threads} threads: other bits than in chunks"
                )
            cases += 1
    return Result(True, f"{cases} recordings, all with the bits of the stream", {"recordings": cases})


def _float32(nightly: bool) -> Result:
    rng, used, refused, worst = np.random.default_rng(3), 0, 0, 0.0
    for _ in range(200 if nightly else 10):
        low, order = float(rng.uniform(0.05, 40)), int(rng.choice([2, 4]))
        sos = design_bandpass(low, min(low + float(rng.uniform(0.5, 60)), 120.0), fs_hz=FS, order=order)
        x = rng.normal(size=(16, 20_000))
        try:
            single = SosFilter(sos, n_channels=16, dtype=np.float32).process(x)
        except DesignError:
            refused += 1
            continue
        exact = SosFilter(sos, n_channels=16).process(x)
        worst = max(worst, float(np.sqrt(np.mean((single - exact) ** 2) / np.mean(exact**2))))
        used += 1
    measured = f"{used} designs erred by {worst:.1e} of the RMS at most, {refused} were refused"
    return Result(worst <= 1e-4 and used > 0, measured, {"used": used, "refused": refused, "worst": worst})


CHECKS = [
    Check("filter-parity", "cleaning", "recursive filters against scipy", "≤ 1e-11 of the signal", _scipy),
    Check("any-cut", "cleaning", "each stage on a signal cut at random", "the same bits", _any_cut),
    Check(
        "recordings", "cleaning", "whole recordings on one and two threads", "the bits of the stream", _large
    ),
    Check(
        "float32-bound", "cleaning", "filters in float32, where not refused", "≤ 1e-4 of the RMS", _float32
    ),
]
