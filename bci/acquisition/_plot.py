"""Picture of a stretch of signal. Loads matplotlib when called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from bci.chunks import Chunk, Marker, SignalInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_chunks"]


def plot_chunks(info: SignalInfo, chunks: Iterable[Chunk], *, start_s: float, duration_s: float) -> Figure:
    """Channels below each other, each about its median; lost samples are gaps, markers are lines."""
    from matplotlib.figure import Figure

    first: int | None = None
    begin = end = 0
    signal = np.empty((info.n_channels, 0))
    markers: list[Marker] = []
    for chunk in chunks:
        if first is None:
            first = chunk.first_sample
            begin = first + round(start_s * info.fs_hz)
            end = begin + round(duration_s * info.fs_hz)
            signal = np.full((info.n_channels, end - begin), np.nan)
        markers += [m for m in chunk.markers if begin <= m.sample_index < end]
        lo, hi = max(chunk.first_sample, begin), min(chunk.end_sample, end)
        if lo < hi:
            at = chunk.first_sample
            signal[:, lo - begin : hi - begin] = chunk.data_uv[:, lo - at : hi - at]
        if chunk.first_sample >= end:
            break

    figure = Figure(figsize=(10, 0.5 * info.n_channels + 1.5), layout="constrained")
    axes = figure.subplots()
    known = np.isfinite(signal).any(axis=1)
    middle = np.zeros(info.n_channels)
    middle[known] = np.nanmedian(signal[known], axis=1)
    spread = np.nanpercentile(np.abs(signal - middle[:, None]), 99) if known.any() else 1.0
    step_uv = 2.0 * max(float(spread), 1e-3)
    seconds = start_s + np.arange(signal.shape[1]) / info.fs_hz
    for row, values in enumerate(signal - middle[:, None]):
        axes.plot(seconds, values - row * step_uv, linewidth=0.6)
    for marker in markers:
        at_s = start_s + (marker.sample_index - begin) / info.fs_hz
        axes.axvline(at_s, color="0.4", linewidth=0.8)
        axes.text(at_s, step_uv, marker.label, fontsize=8, rotation=90, va="bottom", clip_on=True)
    axes.set_yticks([-row * step_uv for row in range(info.n_channels)], info.channels)
    axes.set_ylim(-(info.n_channels - 0.2) * step_uv, 2 * step_uv)
    axes.set_xlabel(f"s (one row: {step_uv:.0f} µV)")
    return figure
