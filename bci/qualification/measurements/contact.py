"""Intermittent contacts: drop-outs of the signal and lead-off transitions while the board is shaken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import panel
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import LeadOff

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CONTACT", "drop_outs"]

SECONDS = 30.0
JUMP_UV = 500.0  # from the median: neither noise nor a shaken cable's hum does that
APART_S = 0.02  # two drop-outs that are closer are one


def drop_outs(x_uv: F64, *, fs_hz: float) -> NDArray[np.int64]:
    """Samples at which the signal leaves its usual level, once for each time."""
    away = np.abs(x_uv - np.nanmedian(x_uv)) > JUMP_UV
    away &= np.isfinite(x_uv)
    gap = max(1, round(APART_S * fs_hz))
    at = np.flatnonzero(away)
    return at[np.concatenate(([True], np.diff(at) > gap))] if len(at) else at


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken = takens[0]
    minutes = taken.n_samples / taken.fs_hz / 60.0
    results = []
    off = taken.lead_off
    if off is not None and off.all(axis=1).sum() > len(off) / 2:
        reason = _("Most inputs are open all the time; put the strap over all inputs before shaking.")
        tests = ("contact-dropouts", "contact-transitions")
        return [not_measured(limits, test, label, reason) for label in taken.info.channels for test in tests]
    for k, label in enumerate(taken.info.channels):
        counted = len(drop_outs(taken.data_uv[k], fs_hz=taken.fs_hz))
        edges = 0 if off is None else int(np.abs(np.diff(off[k].astype(np.int8))).sum())
        seen = max(counted, (edges + 1) // 2)
        reason = _("{channel} has a loose contact: {n} drop-outs in {s} s.").format(
            channel=label, n=seen, s=f"{60 * minutes:.0f}"
        )
        facts: dict[str, float | str] = {"fault": "loose", "size": seen / minutes, "size_unit": "/min"}
        results.append(
            judged(limits, "contact-dropouts", label, float(counted), 0.0, fails=reason, facts=facts)
        )
        if off is None:
            sentence = _("The board sends no status words.")
            results.append(not_measured(limits, "contact-transitions", label, sentence))
        else:
            results.append(
                judged(limits, "contact-transitions", label, float(edges), 0.0, fails=reason, facts=facts)
            )
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    taken = takens[0]

    def draw(axes: Any) -> None:
        for k, label in enumerate(taken.info.channels):
            at = drop_outs(taken.data_uv[k], fs_hz=taken.fs_hz) / taken.fs_hz
            axes.plot(at, np.full(len(at), k), "|", color="#D55E00", markersize=12)
            axes.axhline(k, color="#cccccc", linewidth=0.6)
            axes.text(
                -0.01 * SECONDS,
                k,
                label,
                ha="right",
                va="center",
                fontsize=10 if takens[0].info.n_channels <= 8 else 6,
            )
        axes.set_yticks([])
        axes.set_xlim(0, taken.n_samples / taken.fs_hz)

    return panel(draw, x=_("Time (s)"), y="", title=_("Drop-outs while the board was shaken"))


CONTACT = Measurement(
    name="contact",
    needs="vibration",
    title=lambda: _("Loose contacts"),
    instruction=lambda: _("Put the strap over all inputs and shake the board until the time is over."),
    takes=lambda n: (
        Take(
            "shaken",
            SECONDS,
            Setting(gain=24, lead_off=LeadOff.DC),
            connect={"kind": "vibration"},
            instruction=_("Put the strap over all inputs and shake the board until the time is over."),
        ),
    ),
    evaluate=_evaluate,
    picture=_picture,
)
