"""Signal quality of each channel, 0 to 100, with its reasons in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bci.chunks import F64
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_signal, not_finite
from bci.dsp.design import design_bandpass
from bci.dsp.filters import zero_phase
from bci.dsp.spectrum import band_power, psd
from bci.errors import DesignError, ShapeError

__all__ = ["ChannelQuality", "assess_quality"]


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """What some seconds of one channel say about its electrode.

    Parameters
    ----------
    channel : str
    score : int
        100 = as good as scalp EEG gets, below 50 = do not decode from it.
    reasons : tuple of str
        Why points were taken, the largest deduction first; empty for 100.
    offset_uv : float, µV
        Median: the half-cell potential.
    noise_uvpp : float, µV
        Peak-to-peak within 0.5–50 Hz (to 0.45 · rate where that is lower), 99.9 % of samples.
    line_ratio : float
        Power within 1 Hz of the mains line over that of its neighbourhood of the same width.
    snr_db : float, dB
        Power of 1–30 Hz over that of 30 Hz up to 0.45 · rate, mains left out, per hertz.
    """

    channel: str
    score: int
    reasons: tuple[str, ...]
    offset_uv: float
    noise_uvpp: float
    line_ratio: float
    snr_db: float


def assess_quality(
    x_uv: F64,
    *,
    fs_hz: float,
    line_hz: float = 50.0,
    channels: Sequence[str] | None = None,
    rail_uv: float = 187_500.0,
) -> list[ChannelQuality]:
    """Judge every channel of some seconds of raw signal.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        Unfiltered, at least 4 s.
    fs_hz, line_hz : float, Hz
    channels : sequence of str, optional
        Labels; numbers otherwise.
    rail_uv : float, µV
        End of the converter's range.

    Returns
    -------
    qualities : list of ChannelQuality

    Raises
    ------
    ShapeError, NonFiniteError, DesignError
        If the signal is shorter than 4 s, not finite, or too slow for the mains line to show.
    """
    x = checked_signal(x_uv, None, FLOAT64)
    if x.shape[1] < 4 * fs_hz:
        raise ShapeError(f"quality needs at least 4 s of signal, got {x.shape[1] / fs_hz:.1f} s")
    if not np.isfinite(x).all():
        raise not_finite("signal quality")
    if not fs_hz > 80:
        raise DesignError(
            f"quality compares 1–30 Hz with what lies above: {fs_hz:g} Hz is too slow, use above 80"
        )
    labels = [str(k) for k in range(len(x))] if channels is None else list(channels)
    if len(labels) != len(x):
        raise ShapeError(f"{len(labels)} labels for {len(x)} channels")
    offset = np.median(x, axis=1)
    centred = x - offset[:, None]
    top = min(50.0, 0.45 * fs_hz)
    wave = zero_phase(design_bandpass(0.5, top, fs_hz=fs_hz, order=2), centred)
    swing = np.diff(np.quantile(wave, [0.0005, 0.9995], axis=1), axis=0)[0]
    freqs, density = psd(centred, fs_hz=fs_hz, segment_samples=int(2 * fs_hz))
    line = _line_ratio(freqs, density, line_hz) if line_hz + 4 < fs_hz / 2 else np.ones(len(x))
    snr = 10 * np.log10(_signal_over_noise(freqs, density, fs_hz, line_hz))
    longest = _longest_constant_run(x) / fs_hz
    railed = (np.abs(x) > 0.95 * rail_uv).mean(axis=1)

    qualities = []
    for c, label in enumerate(labels):
        deductions = [
            (
                100.0 * (railed[c] > 0.001),
                f"at the end of the converter's range {100 * railed[c]:.1f} % of the time",
            ),
            (100.0 * (longest[c] > 0.5), f"flat for {longest[c]:.1f} s: electrode off or input shorted"),
            (60.0 * _rise(swing[c], 150, 1000), f"large waves: {swing[c]:.0f} µV peak to peak"),
            (
                40.0 * _rise(np.log10(max(line[c], 1.0)), 1, 4),
                f"mains {line[c]:.0f} times above its surroundings",
            ),
            (
                40.0 * _rise(-snr[c], -3, 6),
                f"much high-frequency noise: signal only {snr[c]:.1f} dB above it",
            ),
            (
                30.0 * _rise(abs(offset[c]), 100_000, 180_000),
                f"offset {offset[c] / 1000:.0f} mV: electrode drying or loose",
            ),
            (60.0 * _rise(-swing[c], -3, -0.5), f"hardly any signal: {swing[c]:.1f} µV peak to peak"),
        ]
        taken = sorted(((d, r) for d, r in deductions if d >= 1.0), key=lambda pair: -pair[0])
        qualities.append(
            ChannelQuality(
                channel=label,
                score=max(0, round(100 - sum(d for d, _ in taken))),
                reasons=tuple(r for _, r in taken),
                offset_uv=float(offset[c]),
                noise_uvpp=float(swing[c]),
                line_ratio=float(line[c]),
                snr_db=float(snr[c]),
            )
        )
    return qualities


def _rise(value: float, low: float, high: float) -> float:
    """0 at `low` and below, 1 at `high` and above, a straight line between."""
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def _line_ratio(freqs: F64, density: F64, line_hz: float) -> F64:
    at = band_power(freqs, density, line_hz - 1.0, line_hz + 1.0)
    around = band_power(freqs, density, line_hz - 4.0, line_hz - 2.0) + band_power(
        freqs, density, line_hz + 2.0, line_hz + 4.0
    )
    out: F64 = 2.0 * at / np.maximum(around, 1e-12)
    return out


def _signal_over_noise(freqs: F64, density: F64, fs_hz: float, line_hz: float) -> F64:
    distance = np.abs((freqs + line_hz / 2) % line_hz - line_hz / 2)  # from the nearest multiple of the line
    signal = (freqs >= 1.0) & (freqs < 30.0)
    noise = (freqs >= 30.0) & (freqs < 0.45 * fs_hz) & (distance > 2.0)
    out: F64 = density[:, signal].mean(axis=1) / np.maximum(density[:, noise].mean(axis=1), 1e-12)
    return np.maximum(out, 1e-12)


def _longest_constant_run(x: F64) -> F64:
    """Samples in the longest stretch of equal values of each channel."""
    longest = np.ones(len(x))
    for c, row in enumerate(x):
        edges = np.flatnonzero(np.diff(row) != 0)
        longest[c] = np.diff(np.concatenate([[-1], edges, [len(row) - 1]])).max()
    return longest
