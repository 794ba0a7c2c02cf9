"""Cleaning, against scipy, MNE and asrpy. Chain: 4-section band-pass 8–30 Hz and notches at 50 and 100 Hz, 6 sections.

Rivals get their best layout (scipy and MNE filter along contiguous memory, ours across channels that lie side by side)
and their outputs are compared first. What `docs/performance.md` shows comes from here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from bci.dsp import (
    FilterBank,
    FirFilter,
    SlidingCovariance,
    SosFilter,
    design_bandpass,
    design_fir,
)
from benchmarks import _dsp_asr, _dsp_offline
from benchmarks._dsp_chain import FS, OPERATIONS, SECTIONS, chain
from benchmarks._measure import Row, children_time, compare, fma_peak, median_time, say


def run(quick: bool = False) -> list[Row]:
    rows = [
        *_streaming(quick),
        *_dsp_offline.rows(quick),
        *_finite(quick),
        *_dsp_asr.rows(quick),
        _bank(quick),
    ]
    return [*rows, *_growth(), *_start_up(quick)]


def plot(path: Path) -> None:
    """Time per chunk over channels and over samples, ours and scipy's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    channels, samples = [1, 2, 4, 8, 16, 32, 64, 128], [1, 4, 16, 64, 256, 1024, 4096]
    for axis, sizes, name in (
        (axes[0], [(c, 32) for c in channels], "channels, chunks of 32 samples"),
        (axes[1], [(8, n) for n in samples], "samples a chunk, 8 channels"),
    ):
        x = channels if axis is axes[0] else samples
        for dtype, label, style in ((np.float64, "bci, float64", "o-"), (np.float32, "bci, float32", "s-")):
            axis.loglog(x, [_time(c, n, dtype) * 1e6 for c, n in sizes], style, label=label)
        axis.loglog(
            x, [_scipy_time(c, n) * 1e6 for c, n in sizes], "^--", color="0.4", label="scipy sosfilt, float64"
        )
        linear = [_time(*sizes[-1], np.float64) * 1e6 * v / x[-1] for v in x]
        axis.loglog(x, linear, ":", color="C0", alpha=0.7, label="linear")
        axis.set_xlabel(name)
        axis.grid(True, which="both", alpha=0.3)
    axes[0].set_ylim(bottom=0.1)
    axes[0].set_ylabel("µs a chunk, 6 sections")
    axes[0].legend()
    figure.savefig(path, dpi=130)
    plt.close(figure)


# ---- streaming ------------------------------------------------------------------------------------------------


def _streaming(quick: bool) -> list[Row]:
    peaks = {np.float64: fma_peak(np.float64), np.float32: fma_peak(np.float32)}
    cases: list[tuple[int, int, Any, float]] = [
        (8, 1, np.float64, 60),
        (8, 32, np.float64, 40),
        (64, 32, np.float64, 25),
        (64, 256, np.float64, 15),
        (64, 256, np.float32, 30),
    ]
    rows = []
    for c, n, dtype, target in cases:
        x = np.random.default_rng(0).normal(size=(c, n)).astype(dtype)
        ours, rival, reset = _sos_pair(x, dtype)
        _assert_same_stream(ours, rival, reset, 2e-4 if dtype == np.float32 else 1e-9)
        operations = OPERATIONS * c * n
        rows.append(
            compare(
                f"{c} ch × {n}, {np.dtype(dtype)}, 6 sections",
                ours,
                rival,
                rival_name="`sosfilt` with `zi`",
                target=target,
                equal=None,
                rounds=15 if quick else 41,
                share=lambda s, w=operations, p=peaks[dtype]: (w / s / p, "of FMA peak"),  # type: ignore[misc]
            )
        )
    return rows


def _sos_pair(x: np.ndarray, dtype: Any) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], None]]:
    """Ours and scipy's step on the same chunk, each with its state, each in its best layout."""
    sos = chain().astype(dtype)
    stage = SosFilter(chain(), n_channels=len(x), dtype=dtype)
    mine, theirs = np.asfortranarray(x), np.ascontiguousarray(x)
    state = [np.empty(0)]

    def reset() -> None:
        stage.reset()
        state[0] = (signal.sosfilt_zi(chain())[:, None, :] * theirs[:, :1]).astype(dtype)

    def rival() -> np.ndarray:
        y, state[0] = signal.sosfilt(sos, theirs, zi=state[0])
        return y

    process = stage.process
    reset()
    return lambda: process(mine), rival, reset


def _assert_same_stream(
    ours: Callable[[], Any], rival: Callable[[], Any], reset: Callable[[], None], tol: float
) -> None:
    reset()
    scale = 0.0
    for _ in range(10):
        a, b = np.array(ours()), rival()
        scale = max(scale, float(np.abs(b).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=tol * max(scale, 1e-3))


# ---- finite responses and the filter bank ---------------------------------------------------------------------


def _finite(quick: bool) -> list[Row]:
    taps = design_fir(8, 30, fs_hz=FS, n_taps=101)
    x = np.random.default_rng(0).normal(size=(8, 8))
    stage = FirFilter(taps, n_channels=8)
    mine, theirs = np.asfortranarray(x), np.ascontiguousarray(x)
    state = [np.empty(0)]

    def reset() -> None:
        stage.reset()
        state[0] = signal.lfilter_zi(taps, 1.0) * theirs[:, :1]

    def rival() -> np.ndarray:
        y, state[0] = signal.lfilter(taps, 1.0, theirs, zi=state[0])
        return y

    process = stage.process

    def ours() -> np.ndarray:
        return process(mine)

    _assert_same_stream(ours, rival, reset, 1e-10)
    peak = fma_peak()
    return [
        compare(
            "streaming FIR 101 taps, 8 ch × 8",
            ours,
            rival,
            rival_name="`lfilter` with `zi`",
            target=50,
            equal=None,
            rounds=15 if quick else 41,
            share=lambda s: (101 * 64 / s / peak, "of FMA peak"),
        )
    ]


def _bank(quick: bool) -> Row:
    """Nine bands and the covariance of each over two seconds, one sample at a time, 22 channels."""
    bands = [design_bandpass(a, a + 4, fs_hz=FS) for a in range(4, 40, 4)]
    c, window, step = 22, 500, 25
    x = np.random.default_rng(0).normal(size=(c, 1))
    bank = FilterBank(bands, n_channels=c)
    covariance = SlidingCovariance(c, window_samples=window, step_samples=step, n_bands=9)
    zero = [np.zeros((4, c, 2)) for _ in bands]
    rival_state: dict[str, Any] = {}
    now = [0]

    def reset() -> None:
        bank.reset()
        covariance.reset()
        now[0] = 0
        rival_state.update(
            z=[z + signal.sosfilt_zi(b)[:, None] * x for z, b in zip(zero, bands, strict=True)]
        )
        rival_state.update(now=0, gram=np.zeros((9, c, c)), sums=np.zeros((9, c)), blocks=[])

    def ours() -> tuple[np.ndarray, np.ndarray]:
        out = covariance.process(bank.process(x), now[0])
        now[0] += 1
        return out

    def rival() -> np.ndarray | None:
        """scipy per band, numpy sums of the running block, the window summed from blocks each 25 samples."""
        gram, sums = rival_state["gram"], rival_state["sums"]
        for k, band in enumerate(bands):
            y, rival_state["z"][k] = signal.sosfilt(band, x, zi=rival_state["z"][k])
            gram[k] += y @ y.T
            sums[k] += y[:, 0]
        rival_state["now"] += 1
        if rival_state["now"] % step:
            return None
        rival_state["blocks"] = [*rival_state["blocks"], (gram.copy(), sums.copy())][-(window // step) :]
        gram[:] = 0.0
        sums[:] = 0.0
        if len(rival_state["blocks"]) < window // step:
            return None
        total = sum(g for g, _ in rival_state["blocks"])
        mean = sum(s for _, s in rival_state["blocks"])
        return np.asarray((total - mean[:, :, None] * mean[:, None, :] / window) / window)

    reset()
    compared, signal_in = 0, np.random.default_rng(1).normal(size=(c, 1100))
    for t in range(signal_in.shape[1]):
        x[:] = signal_in[:, t : t + 1]
        if t == 0:
            reset()
        (_, covs), other = ours(), rival()
        assert len(covs) == (other is not None)
        if other is not None:
            np.testing.assert_allclose(covs[0], other, rtol=1e-6, atol=1e-9)
            compared += 1
    assert compared > 20
    return compare(
        "9-band filter bank + covariance, one sample, 22 ch",
        ours,
        rival,
        rival_name="`sosfilt` per band + numpy",
        target=40,
        equal=None,
        rounds=15 if quick else 31,
        # 9 × 4 sections of 3 operations, a gain; Gram matrices of three blocks of eight channels
        share=lambda s: (9 * (13 * c + 6 * 64) / s / fma_peak(), "of FMA peak"),
    )


# ---- growth and start -----------------------------------------------------------------------------------------


def _growth() -> list[Row]:
    """Exponent of time over size: 1 is linear; what a call costs by itself keeps it below. And the straight line."""
    say("cost growth over channels, samples and sections")
    channels = [8, 16, 32, 64, 128, 256]
    samples = [64, 128, 256, 512, 1024, 2048, 4096]
    sections = [2, 4, 6, 8, 12]
    fits = [
        ("channels 8–256, 256 samples", "channel", channels, [_time(c, 256) for c in channels]),
        ("samples 64–4096, 8 channels", "sample", samples, [_time(8, n) for n in samples]),
        ("sections 2–12, 64 ch × 256", "section", sections, [_time(64, 256, n_sections=s) for s in sections]),
    ]
    rows = []
    for name, one, sizes, times in fits:
        slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
        weights = 1.0 / np.array(times)  # the same relative error everywhere
        each, alone = np.polyfit(sizes, times, 1, w=weights) * 1e9
        line = (np.array(sizes) * each + alone) * 1e-9
        off = float(np.max(np.abs(line / np.array(times) - 1)))
        rows.append(
            Row(
                work=f"cost growth over {name}",
                rival="linear",
                ours_s=times[-1],
                rival_s=times[0] * sizes[-1] / sizes[0],
                ratio=slope,
                target=1.15,
                at_most=True,
                note=f"exponent of the fit; straight line {alone:.0f} ns + {each:.3g} ns a {one}, "
                f"at most {100 * off:.0f} % off",
                extra={"sizes": sizes, "seconds": times},
            )
        )
    return rows


def _time(c: int, n: int, dtype: Any = np.float64, n_sections: int = SECTIONS) -> float:
    sos = chain() if n_sections == SECTIONS else np.concatenate([chain()[:4]] * 3)[:n_sections]
    stage = SosFilter(sos, n_channels=c, dtype=dtype)
    x = np.asfortranarray(np.random.default_rng(0).normal(size=(c, n)).astype(dtype))
    return median_time(lambda: stage.process(x))


def _scipy_time(c: int, n: int) -> float:
    x, zi, sos = np.random.default_rng(0).normal(size=(c, n)), np.zeros((SECTIONS, c, 2)), chain()
    return median_time(lambda: signal.sosfilt(sos, x, zi=zi))


FIRST_CHUNK = (
    "import numpy as np; from bci.dsp import SosFilter; "
    "SosFilter(np.load({path!r}), n_channels=8).process(np.zeros((8, 1)))"
)


def _start_up(quick: bool) -> list[Row]:
    """Whole processes, interpreter included, by the processor time they take."""

    def process(code: str) -> Callable[[], None]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True) and None

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "sos.npy")
        np.save(path, design_bandpass(8, 30, fs_hz=FS))
        rows = []
        for name, code, target in (
            ("first filtered chunk of a new process, warm cache", FIRST_CHUNK.format(path=path), 5.0),
            ("`import bci`", "import bci", 1.25),
        ):
            row = compare(
                name,
                process(code),
                process("import numpy"),
                rival_name="`import numpy`",
                target=target,
                equal=None,
                rounds=7 if quick else 15,
                round_s=0,
                clock=children_time,
            )
            rows.append(
                Row(
                    work=row.work,
                    rival=row.rival,
                    ours_s=row.ours_s,
                    rival_s=row.rival_s,
                    ratio=1.0 / row.ratio,
                    target=target,
                    at_most=True,
                    note="ours / rival",
                    p99_s=row.p99_s,
                )
            )
    return rows
