"""A glance at each channel while it streams: is the electrode on, is it quiet, is it clipped?

This is for people who watch; no decision rests on it. Scores are 100 for a clean scalp signal and fall with what
makes it useless; thresholds are those an EEG technician would name for raw scalp signals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.chunks import F64, Chunk, SignalInfo

__all__ = ["ChannelQuality", "QualityWatch", "look_at"]

#: ADS1299-class converters clip at ±187.5 mV at gain 24; an electrode this near to it is about to.
RAIL_UV = 180_000.0
FLAT_UV = 0.05
LOUD_UV = 100.0
MAINS_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """Score 0 (useless) to 100 (clean), and the first thing that is wrong, in plain words."""

    score: float
    reason: str = ""


def look_at(x_uv: F64, *, fs_hz: float, mains_hz: float = 50.0) -> tuple[ChannelQuality, ...]:
    """Judge one second or so of raw signal.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), µV
    fs_hz, mains_hz : float

    Returns
    -------
    quality : tuple of ChannelQuality, one per channel
    """
    n = x_uv.shape[1]
    slope = np.linspace(-1.0, 1.0, n)
    centred = x_uv - x_uv.mean(axis=1, keepdims=True)
    centred -= (centred @ slope / (slope @ slope))[:, None] * slope  # half-cell drift is no noise
    power = np.abs(np.fft.rfft(centred * np.hanning(n), axis=1)) ** 2
    freqs = np.fft.rfftfreq(n, 1.0 / fs_hz)
    total = power[:, freqs >= 1.0].sum(axis=1) + 1e-12
    mains = power[:, np.abs(freqs - mains_hz) <= 1.5].sum(axis=1) / total
    rms = centred.std(axis=1)
    return tuple(
        _judge(float(np.abs(x).max()), float(r), float(m)) for x, r, m in zip(x_uv, rms, mains, strict=True)
    )


def _judge(peak_uv: float, rms_uv: float, mains: float) -> ChannelQuality:
    if peak_uv >= RAIL_UV:
        return ChannelQuality(0.0, "railed")
    if rms_uv < FLAT_UV:
        return ChannelQuality(0.0, "flat")
    quiet = float(np.clip(100.0 - 60.0 * np.log10(max(rms_uv / (LOUD_UV / 4), 1.0)), 0.0, 100.0))
    clean = float(np.clip(100.0 * (1.0 - (mains - MAINS_SHARE) / (1.0 - MAINS_SHARE)), 0.0, 100.0))
    if quiet <= clean:
        return ChannelQuality(quiet, "" if quiet > 70.0 else f"noisy, {rms_uv:.0f} µV")
    return ChannelQuality(clean, "" if clean > 70.0 else f"mains, {100 * mains:.0f} %")


class QualityWatch:
    """Keeps the last second of raw signal and judges it when asked."""

    def __init__(self, info: SignalInfo) -> None:
        self._info = info
        self._n = max(64, round(info.fs_hz))
        self._last = np.zeros((info.n_channels, self._n))
        self._filled = 0

    def add(self, chunk: Chunk) -> None:
        take = min(chunk.n_samples, self._n)
        if take:
            self._last = np.concatenate([self._last[:, take:], chunk.data_uv[:, -take:]], axis=1)
            self._filled = min(self._n, self._filled + take)

    def channels(self) -> dict[str, ChannelQuality]:
        """Quality by channel name; empty until a second has come."""
        if self._filled < self._n:
            return {}
        return dict(zip(self._info.channels, look_at(self._last, fs_hz=self._info.fs_hz), strict=True))
