"""Whole recordings of 64 channels, ten minutes and 1 kHz: two threads of ours against scipy and MNE.

What two threads need is their processor time, shared: what the wall clock shows where both have a core to themselves.
The notes give one thread, and what the wall clock said in this run. New output memory costs as much again as filtering,
since the system hands out pages one by one, cleared; so the causal filter is shown writing into memory that is used
again, and into new memory as scipy does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mne
import numpy as np
from scipy import signal

from bci.dsp import filter_recording, fir_recording, zero_phase
from benchmarks._dsp_chain import OPERATIONS, chain
from benchmarks._measure import Row, Share, Work, bandwidth, compare, fma_peak

CHANNELS = 64
THREADS = 2


def rows(quick: bool) -> list[Row]:
    seconds, fs = (60 if quick else 600), 1000.0
    sos = chain(fs)
    x = np.random.default_rng(0).normal(size=(CHANNELS, int(seconds * fs)))
    fortran = np.asfortranarray(x)
    size = f"offline {CHANNELS} ch × {seconds // 60} min × 1 kHz"
    iir = {"sos": sos, "output": "sos"}
    taps = mne.filter.create_filter(None, fs, 8, 30, verbose="error")
    rounds = 3 if quick else 5
    peak, width = fma_peak(), bandwidth(1)

    def shares(operations: float, passes: int) -> Callable[[float], tuple[Share, ...]]:
        """Of one core: `operations` a sample and channel, and `passes` of reading or writing the recording."""
        work, moved = operations * x.size / THREADS, passes * x.nbytes / THREADS
        return lambda s: ((work / s / peak, "of FMA peak"), (moved / s / width, "of copy bandwidth"))

    again = [filter_recording(sos, fortran)]
    found = [
        _compare(
            f"{size}, causal, output memory used again",
            lambda n: filter_recording(sos, fortran, n_threads=n, out=again[0]),
            lambda: signal.sosfilt(sos, x),
            rival_name="`sosfilt`",
            target=8,
            equal=_same(5000, 1e-6),  # scipy starts from zero states, so its first seconds differ
            rounds=rounds,
            share=shares(OPERATIONS, 2),
        )
    ]
    again.clear()
    found.append(
        _compare(
            f"{size}, causal, new output memory",
            lambda n: filter_recording(sos, fortran, n_threads=n),
            lambda: signal.sosfilt(sos, x),
            rival_name="`sosfilt`",
            target=float("nan"),  # for information: half of it is the system clearing pages
            equal=_same(5000, 1e-6),
            rounds=rounds,
            share=shares(OPERATIONS, 2),
        )
    )
    found.append(_float32(x, size, rounds, width))
    found.append(
        _compare(
            f"{size}, zero-phase",
            lambda n: zero_phase(sos, fortran, n_threads=n),
            lambda: mne.filter.filter_data(x, fs, None, 1.0, method="iir", iir_params=iir, verbose="error"),
            rival_name="`mne.filter.filter_data`, IIR",
            target=6,
            equal=_same(10_000, 1e-6),
            rounds=rounds,
            share=shares(2 * OPERATIONS, 4),
        )
    )
    found.append(
        _compare(
            f"{size}, default FIR 8–30 Hz, {len(taps)} taps",
            lambda n: fir_recording(taps, fortran, n_threads=n),
            lambda: mne.filter.filter_data(x, fs, 8, 30, verbose="error"),
            rival_name="`mne.filter.filter_data`, FIR",
            target=3,
            equal=_same(0, 1e-9),
            rounds=rounds,
            share=shares(_fft_operations(len(taps)), 2),
        )
    )
    return found


def _fft_operations(n_taps: int) -> float:
    """Multiply-adds a sample and channel of the overlap-save of `fir_recording`."""
    size = 1024
    while size < 2 * n_taps:
        size *= 4
    passes = 2 * (size.bit_length() - 1) // 2
    butterflies = 28 / 4 * passes  # a point, of two channels
    return (butterflies + 4) / 2 * size / (size - n_taps + 1)


def _float32(x: np.ndarray, size: str, rounds: int, width: float) -> Row:
    """At 1 kHz the bound refuses this chain in float32, so the sections are those of 250 Hz."""
    sos, single = chain(), x.astype(np.float32)
    fortran = np.asfortranarray(single)
    out = filter_recording(sos, fortran, dtype=np.float32)
    work, moved, peak = OPERATIONS * x.size / THREADS, 2 * single.nbytes / THREADS, fma_peak(np.float32)
    return _compare(
        f"{size.replace('1 kHz', 'sections of 250 Hz')}, float32, output memory used again",
        lambda n: filter_recording(sos, fortran, n_threads=n, dtype=np.float32, out=out),
        lambda: signal.sosfilt(sos.astype(np.float32), single),
        rival_name="`sosfilt`, float32",
        target=8,
        equal=_same(5000, 1e-3),
        rounds=rounds,
        share=lambda s: ((work / s / peak, "of FMA peak"), (moved / s / width, "of copy bandwidth")),
    )


def _compare(work: str, ours: Callable[[int], Any], rival: Work, *, rounds: int, **options: Any) -> Row:
    """Two threads by their processor time; in the note one thread, and both by the wall clock."""

    def run(n: int, clock: Callable[[], float], rounds: int) -> Row:
        turns: dict[str, Any] = {"rounds": rounds, "round_s": 0, "clock": clock}
        threads = 1 if clock is time.perf_counter else n
        return compare(f"{work}, {n} threads", lambda: ours(n), rival, threads=threads, **turns, **options)

    two = run(THREADS, time.process_time, rounds)
    options["equal"] = None
    one, wall = run(1, time.process_time, 3), run(THREADS, time.perf_counter, 3)
    return replace(
        two,
        note=f"1 thread {one.ours_s * 1e3:.0f} ms, {one.ratio:.1f} ×; wall clock {wall.ours_s * 1e3:.0f} ms, "
        f"{wall.ratio:.1f} ×",
    )


def _same(margin: int, tolerance: float) -> Callable[[np.ndarray, np.ndarray], None]:
    """Equality away from the ends, relative to the largest value."""

    def check(a: np.ndarray, b: np.ndarray) -> None:
        inside = slice(margin, a.shape[1] - margin)
        np.testing.assert_allclose(a[:, inside], b[:, inside], rtol=0, atol=tolerance * np.abs(b).max())

    return check
