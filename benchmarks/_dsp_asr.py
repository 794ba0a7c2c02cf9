"""Artifact subspace reconstruction against asrpy, whose outputs must agree first.

Both get the same calibration and the same weighting filter, so what is compared is the processing step alone. Signal:
the public motor-imagery recording of 64 channels where it lies beside the checkout (32 of its channels, with bursts
added), coloured noise of the same size elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy import signal
from threadpoolctl import threadpool_limits

from bci.dsp import ArtifactSubspaceReconstruction, SosFilter, calibrate_asr, design_highpass
from benchmarks._measure import Row, Work, compare, fma_peak

STEP = 32
CHANNELS = 32


def rows(quick: bool) -> list[Row]:
    try:
        from asrpy.asr import asr_process
    except ImportError:
        return [_missing()]
    x, fs, origin = _signal()
    half = x.shape[1] // 2
    model = calibrate_asr(x[:, :half], fs_hz=fs, cutoff=20.0)
    dirty = _with_bursts(x[:, half:], fs)
    dirty = np.asfortranarray(dirty[:, : dirty.shape[1] // STEP * STEP])
    window_s = round(0.5 * fs / STEP) * STEP / fs
    stage = ArtifactSubspaceReconstruction(model, step_samples=STEP, window_s=window_s)
    b, a = signal.sos2tf(model.sos)
    contiguous = np.ascontiguousarray(dirty)
    lag = stage.delay_samples

    def ours() -> np.ndarray:
        """As it streams: one call per step."""
        stage.reset()
        chunks = [stage.process(dirty[:, t : t + STEP]) for t in range(0, dirty.shape[1], STEP)]
        return np.concatenate(chunks, axis=1)

    def rival() -> np.ndarray:
        """In one call over the whole signal, which spares it the cost of calls.

        Its default of three parts leaves the last step of each part uncorrected, so it gets one.
        """
        return np.asarray(
            asr_process(
                contiguous.copy(),
                fs,
                model.mixing,
                model.thresholds,
                windowlen=window_s,
                lookahead=lag / fs,
                stepsize=STEP,
                ab=(a, b),
                Zi=np.zeros((CHANNELS, 8)),
                mem_splits=1,
            )
        )

    # one thread for both: threads of BLAS cost more than they give on matrices of this size
    with threadpool_limits(1):
        return [_measured(ours, rival, dirty, lag, fs, origin, quick)]


def _measured(
    ours: Work,
    rival: Work,
    dirty: np.ndarray,
    lag: int,
    fs: float,
    origin: str,
    quick: bool,
) -> Row:
    mine, theirs = ours(), rival()
    settled = slice(int(4 * fs), dirty.shape[1] - 2 * lag)
    agreement = min(
        float(np.corrcoef(p, q)[0, 1]) for p, q in zip(mine[:, settled], theirs[:, settled], strict=True)
    )
    assert agreement >= 0.99, f"outputs correlate by {agreement:.4f} only"
    untouched = np.mean(np.all(mine[:, lag:] == dirty[:, : mine.shape[1] - lag], axis=0))
    n_steps = dirty.shape[1] // STEP
    row = compare(
        f"ASR, {CHANNELS} ch, update per {STEP} samples, a step",
        ours,
        rival,
        rival_name="asrpy `asr_process`",
        target=30,
        equal=None,
        rounds=3 if quick else 7,
        round_s=0,
    )
    return Row(
        work=row.work,
        rival=row.rival,
        ours_s=row.ours_s / n_steps,
        rival_s=row.rival_s / n_steps,
        ratio=row.ratio,
        target=row.target,
        shares=((_operations() * n_steps / row.ours_s / fma_peak(), "of FMA peak"),),
        note=f"r ≥ {agreement:.4f}, {100 * untouched:.0f} % of samples clean, {origin}",
    )


def _operations() -> float:
    """Multiply-adds of a step in which nothing is rebuilt: weighting, Gram matrix, Cholesky."""
    blocks = CHANNELS // 8
    gram = 64 * blocks * (blocks + 1) / 2
    return STEP * ((1 + 4 * 5) * CHANNELS + gram) + CHANNELS**3 / 6


def _signal() -> tuple[np.ndarray, float, str]:
    root = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = next(iter(sorted((root / "eegmmidb").rglob("S001R03.edf"))), None)
    if path is not None:
        import mne

        raw = mne.io.read_raw_edf(path, verbose="error")
        x, fs, origin = raw.get_data()[:64:2] * 1e6, float(raw.info["sfreq"]), "eegmmidb S001R03"
    else:
        rng = np.random.default_rng(0)
        fs, origin = 250.0, "coloured noise"
        sources = signal.lfilter([1.0], [1.0, -0.9], rng.normal(size=(CHANNELS, int(120 * fs))), axis=1)
        x = rng.normal(size=(CHANNELS, CHANNELS)) @ sources
    return np.array(SosFilter(design_highpass(1.0, fs_hz=fs), n_channels=CHANNELS).process(x)), fs, origin


def _with_bursts(x: np.ndarray, fs: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    out = x.copy()
    n = int(0.4 * fs)
    for at in range(int(5 * fs), out.shape[1] - n, int(6 * fs)):
        out[:, at : at + n] += np.outer(rng.normal(size=len(x)), 600 * np.hanning(n))
    return out


def _missing() -> Row:
    nan = float("nan")
    return Row(
        "ASR, 32 ch", "asrpy (not installed)", nan, nan, nan, nan, note="`pip install asrpy` to compare"
    )
