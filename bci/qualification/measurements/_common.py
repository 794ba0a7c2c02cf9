"""What all measurements share: clean rows, robust middles, and the frame of their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.chunks import F64
from bci.language import _
from bci.qualification.result import Result, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "SCALE_U",
    "bars",
    "channels_of",
    "clean",
    "decibels",
    "middle_u",
    "named",
    "others_median",
    "panel",
    "takes_named",
    "with_scale",
]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8c6d1f", "#7f7f7f")
FLOOR = 1e-12
#: Standard uncertainty of a channel's scale as a share: its gain, and a reference anywhere within ±0.2 % (DS 7.5).
SCALE_U = 0.0014
#: Of one channel's gain against the others': eight channels are then 0.2 % apart, which is typical (DS 7.5).
CHANNEL_U = 0.0007


def channels_of(taken: Taken) -> Iterator[tuple[int, str, F64]]:
    """(number, label, its samples without the lost ones, µV)."""
    for k, label in enumerate(taken.info.channels):
        yield k, label, clean(taken.data_uv[k])


def clean(x: F64) -> F64:
    """Without lost samples."""
    return np.asarray(x[np.isfinite(x)])


def others_median(values: F64, k: int) -> float:
    """Median of all but number `k`; of a board with one channel, its own value."""
    others = np.delete(values, k)
    others = others[np.isfinite(others)]
    return float(np.median(others)) if len(others) else float(values[k])


def middle_u(values: F64) -> float:
    """Standard uncertainty of the median of channels as a stand-in for a channel without error, as a share of it.

    From their spread, and at least from what the data sheet calls typical: eight channels may agree by chance.
    """
    there = values[np.isfinite(values)]
    middle = float(np.median(there))
    spread = 1.4826 * float(np.median(np.abs(there - middle))) / abs(middle) if middle else CHANNEL_U
    return 1.253 * max(spread, CHANNEL_U) / float(np.sqrt(max(len(there) - 1, 1)))


def with_scale(value: float, uncertainty: float) -> float:
    """Expanded uncertainty of a voltage that was read by a channel whose scale is only known to `SCALE_U`."""
    return float(np.hypot(uncertainty, 2.0 * SCALE_U * value))


def decibels(ratio: float) -> float:
    return 20.0 * float(np.log10(max(abs(ratio), FLOOR)))


def takes_named(takens: Sequence[Taken], start: str) -> list[Taken]:
    return [taken for taken in takens if taken.take.name.startswith(start)]


def named(high: float) -> str:
    """ "high" or "low", as a deviation's sign says."""
    return _("high") if high > 0 else _("low")


def panel(
    draw: Callable[[Any], None], *, x: str, y: str, title: str = "", size: tuple[float, float] = (6.4, 3.2)
) -> Figure:
    """One pair of axes with labels; matplotlib is loaded here and nowhere else."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, fontsize=10)
    if not axes.images:
        axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7, ncols=2, frameon=False)
    return figure


def bars(results: Sequence[Result], test: str, axes: Any) -> None:
    """Value and uncertainty of each channel, and the limits as lines."""
    chosen = [r for r in results if r.test == test and np.isfinite(r.value)]
    for place, r in enumerate(chosen):
        colour = "#D55E00" if r.verdict == "fail" else "#0072B2"
        axes.errorbar(place, r.value, yerr=r.uncertainty, fmt="o", color=colour, capsize=3)
    axes.set_xticks(range(len(chosen)), [r.channel or "" for r in chosen])
    for bound in {b for r in chosen for b in (r.limit_low, r.limit_high) if b is not None}:
        axes.axhline(bound, color="#D55E00", linestyle="--", linewidth=1)
