"""Hours with the test signal on: does anything change, is anything lost? It ends with the first failure.

Every minute of signal is judged against the first one, so a board that fails after ten minutes costs ten minutes. As
the first failure ends it, first minute and present one are all that has to be at hand, whatever the hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import COLOURS, panel
from bci.qualification.measurements._square import levels, mean_period
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import TestSignal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ENDURANCE", "endurance"]

TEST_MUX = 5
TAKE_S = 60.0
TESTS = ("endurance-gain", "endurance-offset")


def _levels(taken: Taken) -> list[tuple[float, float, float]]:
    """Amplitude, middle and standard uncertainty of each channel."""
    mean, u = mean_period(taken)
    found = [levels(row, float(w[0])) for row, w in zip(mean, u, strict=True)]
    return [(f.amplitude, f.middle, f.uncertainty) for f in found]


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    """Of the last take against the first; losses of all."""
    first, last = takens[0], takens[-1]
    minutes = (last.take.after_s + last.take.seconds) / 60.0
    before, now = _levels(first), _levels(last)
    results = []
    for label, (a0, m0, u0), (a1, m1, u1) in zip(first.info.channels, before, now, strict=True):
        if a0 <= 0:
            reason = _("{channel} does not show the test signal.").format(channel=label)
            results += [not_measured(limits, test, label, reason) for test in TESTS]
            continue
        change, u = 100.0 * (a1 / a0 - 1.0), 200.0 * float(np.hypot(u0, u1)) / a0
        reason = _("Gain of {channel} changed by {percent} % within {minutes} min.").format(
            channel=label, percent=f"{change:+.2f}", minutes=f"{minutes:.0f}"
        )
        facts: dict[str, float | str] = {
            "fault": "endurance",
            "size": change,
            "size_unit": "%",
            "minutes": minutes,
        }
        results.append(judged(limits, "endurance-gain", label, change, u, fails=reason, facts=facts))
        moved = m1 - m0
        reason = _("Offset of {channel} moved by {uv} µV within {minutes} min.").format(
            channel=label, uv=f"{moved:+.0f}", minutes=f"{minutes:.0f}"
        )
        facts = {**facts, "size": moved, "size_unit": "uV"}
        results.append(
            judged(
                limits,
                "endurance-offset",
                label,
                moved,
                2.0 * float(np.hypot(u0, u1)),
                fails=reason,
                facts=facts,
            )
        )
    lost = sum(taken.lost_device + taken.lost_link for taken in takens)
    reason = _("{n} conversions were lost within {minutes} min.").format(n=lost, minutes=f"{minutes:.0f}")
    facts = {"fault": "drops", "size": lost / max(minutes, 1e-9), "size_unit": "/min"}
    results.append(judged(limits, "endurance-lost", None, float(lost), 0.0, fails=reason, facts=facts))
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    """The gain of each channel by minutes, from the results of all of them."""
    courses: dict[str | None, list[tuple[float, float]]] = {}
    for r in results:
        if r.test == "endurance-gain" and np.isfinite(r.value):
            courses.setdefault(r.channel, []).append((float(r.facts["minutes"]), r.value))

    def draw(axes: Any) -> None:
        for k, (label, course) in enumerate(courses.items()):
            minutes, change = zip(*course, strict=True)
            axes.plot(minutes, change, ".-", color=COLOURS[k % 8], linewidth=0.8, markersize=3, label=label)
        for bound in {
            b for r in results if r.test == "endurance-gain" for b in (r.limit_low, r.limit_high) if b
        }:
            axes.axhline(bound, color="#D55E00", linestyle="--", linewidth=1)

    return panel(draw, x=_("Time (min)"), y="%", title=_("Gain against the first minute"))


def endurance(hours: float) -> Measurement:
    """The measurement of so many hours, in takes of a minute."""
    many = max(2, round(hours * 3600.0 / TAKE_S))
    return Measurement(
        name="endurance",
        needs="test-signal",
        title=lambda: _("Endurance"),
        instruction=lambda: _(
            "Nothing to do; it ends by itself, with the first failure or when the time is over."
        ),
        takes=lambda n: tuple(
            Take(
                f"minute {k + 1}",
                TAKE_S,
                Setting(gain=24, mux=TEST_MUX, test_signal=TestSignal.SLOW),
                after_s=k * TAKE_S,
            )
            for k in range(many)
        ),
        evaluate=_evaluate,
        picture=_picture,
        until_failure=True,
        optional=True,
    )


ENDURANCE = endurance(4.0)
