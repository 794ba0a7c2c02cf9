"""Picture of a stretch of signal. Loads matplotlib when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bci.acquisition._stretch import Stretch

__all__ = ["plot_stretch"]

MAX_POINTS = 20_000  # of a trace; a picture is a thousand wide


def plot_stretch(stretch: Stretch) -> Figure:
    """Channels below each other, each about its median; lost samples are gaps, markers are lines."""
    from matplotlib.figure import Figure

    info = stretch.info
    signal = stretch.signal_uv()
    times_s = stretch.start_s + np.arange(signal.shape[1]) / info.fs_hz
    figure = Figure(figsize=(10, 0.5 * info.n_channels + 1.5), layout="constrained")
    axes = figure.subplots()
    known = np.isfinite(signal).any(axis=1)
    middle = np.zeros(info.n_channels)
    middle[known] = np.nanmedian(signal[known], axis=1)
    centred = signal - middle[:, None]
    # Of each channel on its own: one electrode that is off does not make all others flat lines.
    spread = np.nanpercentile(np.abs(centred[known]), 99, axis=1) if known.any() else np.ones(1)
    step_uv = _round_up(2.5 * max(float(np.median(spread)), 1e-3))
    every = max(1, -(-signal.shape[1] // MAX_POINTS))
    for row, values in enumerate(centred):
        shown = np.clip(values, -0.7 * step_uv, 0.7 * step_uv)[::every]
        axes.plot(times_s[::every], shown - row * step_uv, linewidth=0.6)
    for at_s, marker in stretch.marker_times():
        axes.axvline(at_s, color="0.4", linewidth=0.8, zorder=0)
        axes.text(
            at_s,
            1.01,
            marker.label,
            fontsize=8,
            rotation=45,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )
    axes.set_yticks([-row * step_uv for row in range(info.n_channels)], info.channels)
    axes.set_ylim(-(info.n_channels - 0.2) * step_uv, 1.2 * step_uv)
    axes.set_xlim(stretch.start_s, times_s[-1] if len(times_s) else stretch.start_s + 1)
    axes.set_xlabel(f"s (distance of two rows: {step_uv:g} µV)")
    return figure


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10 … at or above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value))
