"""Whole recordings of 64 channels, ten minutes and 1 kHz: two threads of ours against scipy and MNE.

Output memory is the large cost here: touching 300 MB for the first time takes as long as filtering into them. So the
causal filter is shown twice, writing into memory that is used again, and into new memory as scipy does. Two threads need
two idle cores and the wall clock; the note gives the ratio on one thread by its processor clock, which needs neither.
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
from benchmarks._dsp_chain import chain
from benchmarks._measure import Row, Work, bandwidth, compare


def rows(quick: bool) -> list[Row]:
    seconds, fs = (60 if quick else 600), 1000.0
    sos = chain(fs)
    x = np.random.default_rng(0).normal(size=(64, int(seconds * fs)))
    fortran = np.asfortranarray(x)
    moved = 2 * x.nbytes  # read once, written once
    width = bandwidth(2)
    size = f"offline 64 ch × {seconds // 60} min × 1 kHz"
    iir = {"sos": sos, "output": "sos"}
    taps = mne.filter.create_filter(None, fs, 8, 30, verbose="error")

    def copy_share(s: float) -> tuple[float, str]:
        return moved / s / width, "of copy bandwidth"

    again = np.zeros_like(fortran)
    found = [
        _compare(
            f"{size}, causal, output memory used again",
            lambda n: filter_recording(sos, fortran, n_threads=n, out=again),
            lambda: signal.sosfilt(sos, x),
            rival_name="`sosfilt`",
            target=8,
            equal=_same(5000, 1e-6),  # scipy starts from zero states, so its first seconds differ
            rounds=5 if quick else 7,
            share=copy_share,
        )
    ]
    del again
    found.append(
        _compare(
            f"{size}, causal, new output memory",
            lambda n: filter_recording(sos, fortran, n_threads=n),
            lambda: signal.sosfilt(sos, x),
            rival_name="`sosfilt`",
            target=8,
            equal=_same(5000, 1e-6),
            rounds=5 if quick else 7,
            share=copy_share,
        )
    )
    found.append(_float32(x, size, moved / 2 / width, 5 if quick else 7))
    found.append(
        _compare(
            f"{size}, zero-phase",
            lambda n: zero_phase(sos, fortran, n_threads=n),
            lambda: mne.filter.filter_data(x, fs, None, 1.0, method="iir", iir_params=iir, verbose="error"),
            rival_name="`mne.filter.filter_data`, IIR",
            target=6,
            equal=_same(10_000, 1e-6),
            rounds=3 if quick else 5,
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
            rounds=3 if quick else 5,
        )
    )
    return found


def _float32(x: np.ndarray, size: str, copy_s: float, rounds: int) -> Row:
    """At 1 kHz the bound refuses this chain in float32, so the sections are those of 250 Hz."""
    sos, single = chain(), x.astype(np.float32)
    fortran = np.asfortranarray(single)
    out = np.zeros_like(fortran)
    return _compare(
        f"{size.replace('1 kHz', 'sections of 250 Hz')}, float32, output memory used again",
        lambda n: filter_recording(sos, fortran, n_threads=n, dtype=np.float32, out=out),
        lambda: signal.sosfilt(sos.astype(np.float32), single),
        rival_name="`sosfilt`, float32",
        target=8,
        equal=_same(5000, 1e-3),
        rounds=rounds,
        share=lambda s: (copy_s / s, "of copy bandwidth"),
    )


def _compare(work: str, ours: Callable[[int], Any], rival: Work, *, rounds: int, **options: Any) -> Row:
    """Two threads by the wall clock, and in the note one thread by the processor clock."""
    two = compare(
        f"{work}, 2 threads",
        lambda: ours(2),
        rival,
        rounds=rounds,
        round_s=0,
        clock=time.perf_counter,
        **options,
    )
    options["equal"] = None
    one = compare(work, lambda: ours(1), rival, rounds=3, round_s=0, **options)
    return replace(two, note=f"1 thread, processor clock: {one.ours_s * 1e3:.0f} ms, {one.ratio:.1f} ×")


def _same(margin: int, tolerance: float) -> Callable[[np.ndarray, np.ndarray], None]:
    """Equality away from the ends, relative to the largest value."""

    def check(a: np.ndarray, b: np.ndarray) -> None:
        inside = slice(margin, a.shape[1] - margin)
        np.testing.assert_allclose(a[:, inside], b[:, inside], rtol=0, atol=tolerance * np.abs(b).max())

    return check
