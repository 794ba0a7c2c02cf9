"""Whole recordings of 64 channels, ten minutes and 1 kHz: two threads of ours against scipy and MNE.

Output memory is the large cost here: touching 300 MB for the first time takes as long as filtering into them. So the
causal filter is shown twice, writing into memory that is used again, and into new memory as scipy does.
"""

from __future__ import annotations

import time

import mne
import numpy as np
from scipy import signal

from bci.dsp import filter_recording, fir_recording, zero_phase
from benchmarks._dsp_chain import chain
from benchmarks._measure import Row, bandwidth, compare


def rows(quick: bool) -> list[Row]:
    seconds, rounds = (60, 5) if quick else (600, 7)
    fs = 1000.0
    sos = chain(fs)
    x = np.random.default_rng(0).normal(size=(64, int(seconds * fs)))
    fortran = np.asfortranarray(x)
    moved = 2 * x.nbytes  # read once, written once
    width = bandwidth(2)
    size = f"64 ch × {seconds // 60} min × 1 kHz"

    def same(a: np.ndarray, b: np.ndarray) -> None:
        # scipy starts from zero states, so its first second differs
        np.testing.assert_allclose(a[:, 5000:20000], b[:, 5000:20000], rtol=0, atol=1e-6 * np.abs(b).max())

    target_memory = np.zeros_like(fortran)
    found = [
        compare(
            f"offline {size}, causal, 2 threads{words}",
            lambda out=out: filter_recording(sos, fortran, out=out),  # type: ignore[misc]
            lambda: signal.sosfilt(sos, x),
            rival_name="`sosfilt`",
            target=8,
            equal=same,
            rounds=rounds,
            round_s=0,
            clock=time.perf_counter,
            share=lambda s: (moved / s / width, "of copy bandwidth"),
        )
        for words, out in ((", output memory used again", target_memory), (", new output memory", None))
    ]
    del target_memory
    found.append(_offline_float32(x, size.replace("1 kHz", "250 Hz's sections"), width, rounds))
    iir = {"sos": sos, "output": "sos"}

    def by_mne() -> np.ndarray:
        return np.asarray(
            mne.filter.filter_data(x, fs, None, 1.0, method="iir", iir_params=iir, verbose="error")
        )

    found.append(
        compare(
            f"offline {size}, zero-phase, 2 threads",
            lambda: zero_phase(sos, fortran),
            by_mne,
            rival_name="`mne.filter.filter_data`, IIR",
            target=6,
            equal=lambda a, b: np.testing.assert_allclose(
                a[:, 10000:-10000], b[:, 10000:-10000], rtol=0, atol=1e-6 * np.abs(b).max()
            ),
            rounds=3 if quick else 5,
            round_s=0,
            clock=time.perf_counter,
        )
    )
    taps = mne.filter.create_filter(None, fs, 8, 30, verbose="error")
    found.append(
        compare(
            f"offline {size}, default FIR 8–30 Hz ({len(taps)} taps), 2 threads",
            lambda: fir_recording(taps, fortran),
            lambda: mne.filter.filter_data(x, fs, 8, 30, verbose="error"),
            rival_name="`mne.filter.filter_data`, FIR",
            target=3,
            equal=lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * np.abs(b).max()),
            rounds=3 if quick else 5,
            round_s=0,
            clock=time.perf_counter,
        )
    )
    return found


def _offline_float32(x: np.ndarray, size: str, width: float, rounds: int) -> Row:
    """At 1 kHz the bound refuses this chain in float32, so the sections are those of 250 Hz."""
    sos, single = chain(), x.astype(np.float32)
    fortran = np.asfortranarray(single)
    out = np.zeros_like(fortran)

    def same(a: np.ndarray, b: np.ndarray) -> None:
        np.testing.assert_allclose(a[:, 5000:20000], b[:, 5000:20000], rtol=0, atol=1e-3 * np.abs(b).max())

    return compare(
        f"offline {size}, float32, 2 threads, output memory used again",
        lambda: filter_recording(sos, fortran, dtype=np.float32, out=out),
        lambda: signal.sosfilt(sos.astype(np.float32), single),
        rival_name="`sosfilt`, float32",
        target=8,
        equal=same,
        rounds=rounds,
        round_s=0,
        clock=time.perf_counter,
        share=lambda s: (2 * single.nbytes / s / width, "of copy bandwidth"),
    )
