"""Lead-off current and impedance, with known resistors in place of electrodes.

The converter's current through a known resistor gives the current; the current gives the impedance that electrodes
will be measured with. A wrong resistor is wrong in all channels alike, a current source in one: so the two are told
apart, and a wrong resistor fails no board.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: lead-off current 6 nA ± 20 %; 9.3.2.4.3.2 (AC lead-off).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.acquisition.impedance import CURRENT_NA, Impedance, measure_impedance, tone_cycles
from bci.chunks import F64
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import SCALE_U, bars, named, others_median, panel, with_scale
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import LeadOff

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LEADS", "RESISTOR_KOHM", "whole_periods"]

RESISTOR_KOHM = 5.1
#: A board's current may be off by 20 %, a resistor of 1 % is not: beyond this in most channels it is the resistor.
ALIKE = 0.30
OPEN_KOHM = 200.0
TESTS = ("leadoff-current", "impedance")


def whole_periods(taken: Taken, cycles: Fraction) -> tuple[F64, int]:
    """The longest run of whole periods of the tone without a lost sample, and its first conversion number."""
    period = cycles.denominator
    there = np.isfinite(taken.data_uv).all(axis=0)
    lost = np.flatnonzero(~there)
    bounds = [-1, *lost.tolist(), taken.n_samples]
    spans = [(a + 1, b) for a, b in pairwise(bounds)]
    start, stop = max(spans, key=lambda span: span[1] - span[0])
    first = start + (-(taken.first_sample + start)) % period
    stop = first + (stop - first) // period * period
    return taken.data_uv[:, first:stop], taken.first_sample + first


def _measured(taken: Taken) -> Impedance | None:
    cycles = tone_cycles(taken.take.setting.lead_off, taken.info.rate)
    x_uv, first = whole_periods(taken, cycles)
    return measure_impedance(x_uv, first, cycles=cycles) if x_uv.shape[1] >= 16 * cycles.denominator else None


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken = takens[0]
    channels = taken.info.channels
    known = float(taken.take.connect.get("kohm", RESISTOR_KOHM))
    found = _measured(taken)
    if found is None:
        reason = _("Too few samples without a gap.")
        return [not_measured(limits, test, label, reason) for label in channels for test in TESTS]
    middle = float(np.median(found.kohm))
    if middle > OPEN_KOHM or middle < 0.02 * known:
        reason = _("No resistors of {kohm} kΩ are there: the channels show {seen} kΩ.").format(
            kohm=f"{known:g}", seen=_three_digits(middle)
        )
        return [not_measured(limits, test, label, reason) for label in channels for test in TESTS]
    if abs(middle / known - 1.0) > ALIKE:
        reason = _(
            "Most channels show {seen} kΩ where {kohm} kΩ was asked for: another resistor is in, or the chip's current "
            "is outside its tolerance. Check the resistors."
        ).format(seen=_three_digits(middle), kohm=f"{known:g}")
        return [not_measured(limits, test, label, reason) for label in channels for test in TESTS]
    results = []
    for k, label in enumerate(channels):
        # What `measure_impedance` calls kΩ at the nominal current is the current at a known resistance.
        current = CURRENT_NA * float(found.kohm[k]) / known
        u = with_scale(current, 2.0 * _sigma(taken, k) * CURRENT_NA / known)
        percent = 100.0 * (current / CURRENT_NA - 1.0)
        reason = _("The lead-off current of {channel} is {percent} % {high}.").format(
            channel=label, percent=f"{abs(percent):.0f}", high=named(percent)
        )
        facts: dict[str, float | str] = {
            "fault": "leadoff",
            "size": percent,
            "size_unit": "%",
            "size_u": 100.0 * u / CURRENT_NA,
            "kohm": float(found.kohm[k]),
            "resistor_kohm": known,
        }
        results.append(judged(limits, "leadoff-current", label, current, u, fails=reason, facts=facts))
        usual = others_median(found.kohm, k)
        apart = 100.0 * (float(found.kohm[k]) / usual - 1.0)
        reason = _("{channel} shows an impedance {percent} % {high} against the others.").format(
            channel=label, percent=f"{abs(apart):.0f}", high=named(apart)
        )
        u = 200.0 * float(np.hypot(_sigma(taken, k) / usual, SCALE_U))
        results.append(judged(limits, "impedance", label, apart, u, fails=reason, facts=facts))
    return results


def _three_digits(value: float) -> str:
    """Without an exponent: 2120, not 2.12e+03."""
    return f"{float(f'{value:.3g}'):g}"


def _sigma(taken: Taken, k: int) -> float:
    """Standard uncertainty of a channel's impedance from the scatter of its seconds, kΩ."""
    cycles = tone_cycles(taken.take.setting.lead_off, taken.info.rate)
    x_uv, first = whole_periods(taken, cycles)
    n = max(16, round(float(taken.info.rate)) // cycles.denominator // 2) * cycles.denominator
    parts = [
        measure_impedance(x_uv[k : k + 1, at : at + n], first + at, cycles=cycles).kohm[0]
        for at in range(0, x_uv.shape[1] - n + 1, n)
    ]
    return float(np.std(parts, ddof=1) / np.sqrt(len(parts))) if len(parts) > 1 else float("inf")


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    def draw(axes: Any) -> None:
        bars(results, "leadoff-current", axes)

    return panel(draw, x=_("Channel"), y="nA", title=_("Lead-off current"))


LEADS = Measurement(
    name="leads",
    needs="resistors",
    title=lambda: _("Lead-off current and impedance"),
    instruction=lambda: _("Put {kohm} kΩ between each input and the reference.").format(
        kohm=f"{RESISTOR_KOHM:g}"
    ),
    takes=lambda n: (
        Take(
            f"{RESISTOR_KOHM:g} kΩ",
            6.0,
            Setting(gain=24, lead_off=LeadOff.AC_31_25_HZ),
            connect={"kind": "resistors", "kohm": RESISTOR_KOHM},
            instruction=_("Put {kohm} kΩ between each input and the reference.").format(
                kohm=f"{RESISTOR_KOHM:g}"
            ),
        ),
    ),
    evaluate=_evaluate,
    picture=_picture,
)
