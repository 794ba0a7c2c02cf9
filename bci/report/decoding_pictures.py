"""Pictures of how a decoder does: on the scalp, over trials, over runs, and whether its probabilities are true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bci.chunks import F64
from bci.evaluation import ReliabilityBin
from bci.report.fonts import in_picture as _
from bci.report.pictures import BLUE, GREEN, GREY, ORANGE, RED, as_svg, new_figure

__all__ = [
    "accuracy_list",
    "learning_curve",
    "per_run",
    "probability_over_trial",
    "reliability_curve",
    "scalp_map",
]


def accuracy_list(
    names: Sequence[str], values: Sequence[float], intervals: Sequence[tuple[float, float]], *, chance: float
) -> str:
    """Balanced accuracies of several decoders, one below the other, with their 95 % intervals."""
    figure, axes = new_figure(3.4, 0.6 + 0.36 * len(names))
    for k, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
        axes.barh(k, value, height=0.6, color=BLUE if k == 0 else GREY)
        axes.errorbar(
            value, k, xerr=[[max(value - low, 0)], [max(high - value, 0)]], color="black", capsize=3
        )
        axes.annotate(f"{value:.2f}", (0.02, k), va="center", color="white", weight="bold")
    axes.axvline(chance, color=RED, linestyle="--", linewidth=1)
    axes.annotate(_("chance"), (chance, -0.75), (3, 0), textcoords="offset points", color=RED, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -1.0)
    axes.set_xlim(0, 1)
    axes.set_xlabel(_("balanced accuracy"))
    return as_svg(figure)


def reliability_curve(bins: Sequence[ReliabilityBin], *, debiased: float | None) -> str:
    """Observed against stated frequency; the area of a point is its number of trials."""
    figure, axes = new_figure(3.4, 2.6)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.annotate(_("says what happens"), (0.06, 0.1), color=GREY, fontsize=7, rotation=43)
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], color=BLUE, linewidth=1)
    axes.scatter(
        [b.confidence for b in bins], [b.accuracy for b in bins], [3 * b.n_trials for b in bins], color=BLUE
    )
    axes.set_xlim(min(0.45, *(b.confidence for b in bins)) - 0.03, 1.02)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel(_("stated probability"))
    axes.set_ylabel(_("was right"))
    if debiased is not None:
        axes.set_title(_("debiased error {error}").format(error=f"{debiased:+.3f}"), loc="left", fontsize=9)
    return as_svg(figure)


def per_run(values: Mapping[str, Mapping[str, float]], *, chance: float) -> str:
    """Balanced accuracy of each test run, a line per decoder."""
    figure, axes = new_figure(3.4, 2.6)
    colours = [BLUE, ORANGE, GREEN, GREY, RED]
    for (name, runs), colour in zip(values.items(), colours, strict=False):
        axes.plot(range(len(runs)), list(runs.values()), "o-", color=colour, markersize=4, label=name)
    runs = next(iter(values.values()))
    axes.axhline(chance, color=RED, linestyle="--", linewidth=1)
    axes.annotate(
        _("chance"),
        (0, chance),
        (2, 3),
        textcoords="offset points",
        xycoords=("axes fraction", "data"),
        color=RED,
    )
    axes.set_xticks(range(len(runs)), list(runs))
    axes.set_xlim(-0.3, len(runs) - 0.7)
    axes.set_ylim(0.2, 1.02)
    axes.set_ylabel(_("balanced accuracy"))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False, fontsize=8)
    return as_svg(figure)


def learning_curve(
    values: Mapping[int, tuple[float, float, float]], *, chance: float, per: str = "training trials per class"
) -> str:
    """Balanced accuracy, with the bounds of its interval, against how many trials were trained on."""
    figure, axes = new_figure(3.4, 2.6)
    at = list(values)
    middle, low, high = (np.array([v[k] for v in values.values()]) for k in range(3))
    axes.fill_between(at, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(at, middle, "o-", color=BLUE, markersize=4)
    axes.axhline(chance, color=RED, linestyle="--", linewidth=1)
    axes.annotate(_("chance"), (at[0], chance), (0, 3), textcoords="offset points", color=RED)
    axes.set_xticks(at)
    axes.set_ylim(0.2, 1.02)
    axes.set_xlabel(per)
    axes.set_ylabel(_("balanced accuracy"))
    return as_svg(figure)


def probability_over_trial(
    seconds: F64, courses: Mapping[str, F64], *, task_s: float, threshold: float | None = None
) -> str:
    """Mean stated probability of movement around the cue, by class, with the standard error of the mean.

    `courses`: class -> ndarray (n_trials, n_times); NaN where there was no decision.
    """
    figure, axes = new_figure(6.8, 2.3)
    axes.axvspan(0, task_s, color=ORANGE, alpha=0.15, linewidth=0)
    for (name, course), colour in zip(courses.items(), (BLUE, GREEN, RED, GREY), strict=False):
        n = np.maximum(np.sum(np.isfinite(course), axis=0), 1)
        middle = np.nansum(course, axis=0) / n
        error = np.sqrt(np.nansum((course - middle) ** 2, axis=0) / n) / np.sqrt(n)
        axes.fill_between(seconds, middle - error, middle + error, color=colour, alpha=0.2, linewidth=0)
        axes.plot(seconds, middle, color=colour, label=f"{name} ({len(course)})")
    if threshold is not None:
        axes.axhline(threshold, color=GREY, linestyle=":", linewidth=1)
    axes.set_xlim(float(seconds[0]), float(seconds[-1]))
    axes.set_ylim(0, 1)
    axes.set_xlabel("seconds after the cue (end of the 2 s window)")
    axes.set_ylabel("probability of movement")
    axes.legend(loc="upper right", frameon=False, fontsize=8)
    return as_svg(figure)


def scalp_map(pattern: F64, channels: Sequence[str], *, title: str, unit: str = "") -> str:
    """A pattern on the head, seen from above, nose up; blue falls, red rises.

    Raises
    ------
    MontageMismatchError
        If fewer than 4 channels have names of the 10-05 system: nothing can be drawn between them.
    """
    from bci.report.with_mne import draw_head

    figure, axes = new_figure(2.9, 2.6)
    image = draw_head(axes, pattern, channels, largest=float(np.abs(pattern).max()) or 1.0)
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label(unit)
    axes.set_title(title, loc="left", fontsize=9)
    return as_svg(figure)
