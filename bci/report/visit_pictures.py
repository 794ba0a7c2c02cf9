"""Pictures of a visit: electrodes before and after, where and when rhythms answer the cue."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from bci.chunks import F64
from bci.errors import MontageMismatchError
from bci.evaluation import ReliabilityBin, poisson_interval, wilson_interval
from bci.report import decoding_pictures, pictures
from bci.report.fonts import in_picture as _
from bci.report.pictures import BLUE, GREY, RED, STYLE, as_svg, new_figure
from bci.report.responses import BETA_HZ, MU_HZ, Responses
from bci.report.visit import CalibrationPart, CheckPart, MeasuredRun
from bci.report.with_mne import draw_head
from bci.report.words import CLASSES

__all__ = ["calibration", "class_in_picture", "control_trend", "impedances", "scalp_maps", "time_frequency"]

#: Where hand movements show, best first; the first three that are there are drawn, in this order from left to right.
SEEN_AT = (("C3", "CP3", "FC3", "C1", "C5"), ("Cz", "FCz", "CPz"), ("C4", "CP4", "FC4", "C2", "C6"))
#: Below this an electrode is good; `bci.sessions.electrodes` judges by the same.
GOOD_KOHM = 30.0


def class_in_picture(name: str) -> str:
    """What a class is called in pictures."""
    return _(CLASSES[name]) if name in CLASSES else name


def calibration(part: CalibrationPart) -> dict[str, str | None]:
    """Accuracy, confusion, trend over blocks and reliability; None where there is nothing to draw."""
    cued = part.cued
    names, values = [_("all channels")], [cued["balanced_accuracy"]]
    intervals: list[tuple[float, float] | None] = [tuple(cued["interval_95"])]
    motor = cued.get("balanced_accuracy_motor")
    if motor is not None and motor == motor:
        names.append(_("motor channels"))
        values.append(motor)
        intervals.append(None)
    words = {name: class_in_picture(name) for name in cued["confusion"]}
    counts = {
        words[truth]: {words.get(said, said): n for said, n in row.items()}
        for truth, row in cued["confusion"].items()
    }
    bins = [ReliabilityBin(said, right, n) for said, right, n in part.reliability]
    blocks = {str(number): value for number, value in enumerate(part.per_run, 1)}
    return {
        "accuracy": pictures.accuracy_bars(names, values, intervals, chance=cued["chance"]),
        "confusion": pictures.confusion(counts),
        "trend": pictures.trend(blocks, chance=cued["chance"]) if len(blocks) > 1 else None,
        "reliability": decoding_pictures.reliability_curve(bins, debiased=None) if bins else None,
    }


def control_trend(runs: Sequence[MeasuredRun]) -> list[str]:
    """Movements followed, and false movements, of one measured check after the other; empty where there are not two.

    With 95 % intervals: Wilson's of the share followed, exact Poisson of the false movements a minute.
    """
    if len(runs) < 2:
        return []
    shares: list[tuple[int, float]] = [(run.hits, max(run.cued_movements, 1)) for run in runs]
    rates: list[tuple[int, float]] = [(run.false_movements, run.idle_minutes) for run in runs]
    of_share = [wilson_interval(n, int(of)) for n, of in shares]
    of_rate = [poisson_interval(n, minutes) for n, minutes in rates]
    drawn = [
        (_("movements followed"), shares, of_share, 1.12, BLUE, "{:.0%}"),
        (_("false movements a minute"), rates, of_rate, 1.1 * max(1.0, np.max(of_rate)), RED, "{:.1f}"),
    ]
    pictures_of = []
    for title, counts, bounds, top, colour, form in drawn:
        values = np.array([n / of for n, of in counts])
        figure, axes = new_figure(3.4, 2.6)
        spread = np.abs(np.array(bounds).T - values)
        axes.errorbar(range(len(runs)), values, yerr=spread, fmt="o-", color=colour, capsize=4, markersize=5)
        for k, value in enumerate(values):
            axes.annotate(form.format(value), (k, value), (6, 5), textcoords="offset points", fontsize=8)
        axes.set_xticks(range(len(runs)), [f"{run.second / 60:.0f}" for run in runs])
        axes.set_xlim(-0.4, len(runs) - 0.4)
        axes.set_ylim(0, top)
        axes.set_xlabel(_("measured check begun, minutes into the control"))
        axes.set_ylabel(title)
        pictures_of.append(as_svg(figure))
    return pictures_of


def impedances(before: CheckPart | None, after: CheckPart | None) -> str | None:
    """Impedance of each electrode before and after; None where none was measured."""
    looks = [(look, name) for look, name in ((before, _("before")), (after, _("after"))) if look is not None]
    names = list(dict.fromkeys(e.name for look, _name in looks for e in look.electrodes))
    measured = [
        {e.name: e.impedance_kohm for e in look.electrodes if e.impedance_kohm is not None}
        for look, _name in looks
    ]
    if not any(measured):
        return None
    figure, axes = new_figure(6.8, 2.0)
    width = 0.8 / len(looks)
    for k, ((_look, word), values) in enumerate(zip(looks, measured, strict=True)):
        at = [i - 0.4 + width * (k + 0.5) for i, name in enumerate(names) if name in values]
        heights = [min(values[name], 200.0) for name in names if name in values]
        axes.bar(at, heights, width=width, color=(GREY, BLUE)[k] if len(looks) > 1 else BLUE, label=word)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.1 * GOOD_KOHM))
    axes.axhline(GOOD_KOHM, color=RED, linestyle="--", linewidth=1)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 20 else 0, fontsize=8)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylabel(_("impedance, kΩ"))
    if len(looks) > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), frameon=False, fontsize=8, ncols=2)
    return as_svg(figure)


def time_frequency(responses: Responses) -> str:
    """Change of power over time and frequency, a row per class, at the electrodes over the hands' areas."""
    rows = [_seen_at(responses.channels, group) for group in SEEN_AT]
    shown = list(dict.fromkeys(row for row in rows if row is not None)) or _strongest(responses)
    labels = list(responses.change)
    largest = _round_limit([responses.change[label][shown] for label in labels])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 0.5 + 1.4 * len(labels)), layout="constrained")
        grid = figure.subplots(len(labels), len(shown), sharex=True, sharey=True, squeeze=False)
    f, t = responses.frequencies_hz, responses.seconds
    for i, label in enumerate(labels):
        for j, row in enumerate(shown):
            axes = grid[i, j]
            image = axes.imshow(
                responses.change[label][row],
                origin="lower",
                aspect="auto",
                extent=(t[0], t[-1], f[0] - 0.5, f[-1] + 0.5),
                cmap="RdBu_r",
                vmin=-largest,
                vmax=largest,
                interpolation="bilinear",
            )
            axes.axvline(0.0, color="black", linewidth=0.8)
            axes.axvline(responses.task_s, color="black", linewidth=0.8, linestyle=":")
            if i == 0:
                axes.set_title(responses.channels[row], fontsize=9)
            if i == len(labels) - 1:
                axes.set_xlabel(_("seconds after the cue"))
        grid[i, 0].set_ylabel(f"{class_in_picture(label)}\n{_('frequency, Hz')}")
    bar = figure.colorbar(image, ax=grid, shrink=0.8)
    bar.set_label(_("change of power, %"))
    return as_svg(figure)


def scalp_maps(responses: Responses, contrast: tuple[str, str]) -> str | None:
    """Maps of each class and of the contrast (first minus second), for two rhythms; None without 10-05 places."""
    names = {
        "mu": _("mu rhythm, {low}–{high} Hz").format(low=f"{MU_HZ[0]:g}", high=f"{MU_HZ[1]:g}"),
        "beta": _("beta rhythm, {low}–{high} Hz").format(low=f"{BETA_HZ[0]:g}", high=f"{BETA_HZ[1]:g}"),
    }
    first, second = contrast
    columns: list[tuple[str, tuple[str, ...]]] = [(class_in_picture(n), (n,)) for n in responses.change]
    columns.append((f"{class_in_picture(first)} − {class_in_picture(second)}", contrast))
    maps: dict[str, list[F64]] = {}
    for key, band in (("mu", MU_HZ), ("beta", BETA_HZ)):
        of = {name: responses.band(name, band) for name in responses.change}
        maps[key] = [of[p[0]] - of[p[1]] if len(p) == 2 else of[p[0]] for _title, p in columns]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 0.3 + 1.65 * len(maps)), layout="constrained")
        grid = figure.subplots(len(maps), len(columns), squeeze=False)
    for i, (key, values) in enumerate(maps.items()):
        largest = _round_limit(values)
        for j, ((title, _parts), one) in enumerate(zip(columns, values, strict=True)):
            try:
                image = draw_head(grid[i, j], one, responses.channels, largest=largest)
            except MontageMismatchError:
                return None
            if i == 0:
                grid[i, j].set_title(title, fontsize=9)
        grid[i, 0].set_ylabel(names[key], fontsize=8)
        bar = figure.colorbar(image, ax=list(grid[i]), shrink=0.8)
        bar.set_label(_("change of power, %"), fontsize=8)
    return as_svg(figure)


def _seen_at(channels: Sequence[str], group: Sequence[str]) -> int | None:
    return next((channels.index(name) for name in group if name in channels), None)


def _strongest(responses: Responses) -> list[int]:
    """Channels whose mu rhythm answers most, where none has a name that is known."""
    size = np.max([np.abs(responses.band(label, MU_HZ)) for label in responses.change], axis=0)
    return sorted(np.argsort(size)[::-1][:3].tolist())


def _round_limit(values: Sequence[F64]) -> float:
    """A limit of the colours that is a round number and shows all but the most extreme fiftieth."""
    size = float(np.percentile(np.abs(np.concatenate([np.ravel(v) for v in values])), 98))
    return max(float(np.ceil(size / 10.0) * 10.0), 10.0)
