"""The report's pictures: plain numbers in, an SVG as a data address out. Colours are safe for colour-blind readers."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from bci.chunks import F64
from bci.report.fonts import families
from bci.report.fonts import in_picture as _

__all__ = ["accuracy_bars", "as_svg", "channel_contrast", "confusion", "new_figure", "timeline", "trend"]

# Okabe & Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7f8c8d"
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "path"}


def accuracy_bars(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    *,
    chance: float,
) -> str:
    """Balanced accuracies with their 95 % intervals and the chance line."""
    figure, axes = new_figure(3.4, 2.4)
    for k, (value, interval) in enumerate(zip(values, intervals, strict=True)):
        axes.bar(k, value, width=0.55, color=BLUE if k == 0 else GREY)
        top = value
        if interval is not None:
            low, high = interval
            top = max(value, high)
            axes.errorbar(
                k, value, yerr=[[max(value - low, 0)], [max(high - value, 0)]], color="black", capsize=4
            )
        axes.annotate(
            f"{value:.2f}", (k, top), (0, 3), textcoords="offset points", ha="center", weight="bold"
        )
    axes.axhline(chance, color=RED, linestyle="--", linewidth=1)
    axes.annotate(_("chance"), (len(names) - 0.45, chance), (0, 3), textcoords="offset points", color=RED)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) + 0.1)  # room for the word beside the bars
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_ylabel(_("balanced accuracy"))
    return as_svg(figure)


def confusion(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Trials by what was cued (rows) and what was decoded (columns)."""
    names = list(counts)
    table = np.array([[counts[truth][said] for said in names] for truth in names])
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axes = new_figure(3.4, 2.4)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(table.shape):
        axes.text(
            j,
            i,
            f"{table[i, j]}",
            ha="center",
            va="center",
            color="white" if shares[i, j] > 0.55 else "black",
        )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(_("decoded"))
    axes.set_ylabel(_("cued"))
    return as_svg(figure)


def trend(values: Mapping[str, float], *, chance: float) -> str:
    """Balanced accuracy of one block or run after the other."""
    figure, axes = new_figure(3.4, 2.6)
    axes.plot(range(len(values)), list(values.values()), "o-", color=BLUE, markersize=5)
    for at, value in enumerate(values.values()):
        axes.annotate(
            f"{value:.2f}", (at, value), (0, 6), textcoords="offset points", ha="center", fontsize=8
        )
    axes.axhline(chance, color=RED, linestyle="--", linewidth=1)
    axes.annotate(
        _("chance"),
        (0.02, chance),
        (0, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=RED,
    )
    axes.set_xticks(range(len(values)), list(values))
    axes.set_xlim(-0.4, len(values) - 0.6)
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel(_("block"))
    axes.set_ylabel(_("balanced accuracy"))
    return as_svg(figure)


def channel_contrast(channels: Sequence[str], contrast_db: F64, *, label: str) -> str:
    """How the band power of each channel differs between movement and the other class, in dB."""
    figure, axes = new_figure(6.8, 2.2)
    colours = [BLUE if value < 0 else ORANGE for value in contrast_db]
    axes.bar(range(len(channels)), contrast_db, color=colours)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(channels)), channels, rotation=45 if len(channels) > 20 else 0, fontsize=8)
    axes.set_ylabel(f"{label}, dB")
    return as_svg(figure)


def timeline(
    seconds: F64,
    probability: F64,
    closure: F64,
    *,
    cues: Sequence[tuple[float, float]],
    hits: Sequence[float],
    false: Sequence[float],
    title: str,
) -> str:
    """One control run: probability of movement, the hand's closure, cued tasks shaded, movements marked."""
    figure, axes = new_figure(6.8, 2.0)
    for start, end in cues:
        axes.axvspan(start, end, color=ORANGE, alpha=0.25, linewidth=0)
    axes.plot(seconds, probability, color=BLUE, linewidth=0.6, label=_("probability of movement"))
    axes.plot(seconds, closure, color=GREEN, linewidth=1.4, label=_("hand closure"))
    axes.plot(hits, np.full(len(hits), 1.06), "v", color=GREEN, markersize=4, label=_("movement on cue"))
    axes.plot(false, np.full(len(false), 1.06), "x", color=RED, markersize=5, label=_("false movement"))
    axes.set_ylim(0, 1.14)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(0, float(seconds[-1]) if len(seconds) else 1.0)
    axes.set_xlabel(_("device time, s"))
    axes.set_title(title, loc="left", fontsize=9)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=4, frameon=False, fontsize=8)
    return as_svg(figure)


def new_figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """An empty figure in the reports' style."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        return figure, figure.add_subplot()


def as_svg(figure: Figure) -> str:
    """The figure as a data address for an `img` element; its words are drawn, so no reader needs the font."""
    fonts = families()
    for text in figure.findobj(Text):
        text.set_fontfamily(fonts)
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()
