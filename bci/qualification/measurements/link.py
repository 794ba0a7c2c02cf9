"""Errors and margin of the link, and conversions lost by board and link: known numbers in place of samples.

References
----------
.. [1] SPEC.md, 6.6 (test patterns), 8 (link budget), 6.4 (the account of losses).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import panel
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import Pattern

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LINK"]

RATE_HZ = 1000


def _rate(count: int, of: int, scale: float) -> tuple[float, float]:
    """A rate and its expanded uncertainty from a count (Poisson; of no event, as if there had been one)."""
    if of <= 0:
        return float("nan"), float("nan")
    return scale * count / of, scale * 2.0 * float(np.sqrt(max(count, 1))) / of


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken = takens[0]
    wire = taken.wire
    rate, u = _rate(wire.n_faults, wire.n_bytes, 1e6)
    reason = _("The link damages {rate} packets in a million bytes ({n} in {mb} MB).").format(
        rate=f"{rate:.0f}", n=wire.n_faults, mb=f"{wire.n_bytes / 1e6:.2f}"
    )
    facts: dict[str, float | str] = {
        "fault": "flip", "size": rate, "size_unit": "/MB", "packets": wire.n_packets, "bytes": wire.n_bytes,
    }  # fmt: skip
    results = [judged(limits, "link-errors", None, rate, u, fails=reason, facts=facts)]
    reason = _("{n} samples of the test pattern arrived as other numbers.").format(n=wire.n_wrong_samples)
    results.append(
        judged(
            limits,
            "pattern",
            None,
            float(wire.n_wrong_samples),
            0.0,
            fails=reason,
            facts={"fault": "pattern"},
        )
    )
    results += [_margin(taken, limits), *_losses(taken, limits)]
    return results


def _margin(taken: Taken, limits: Limits) -> Result:
    wire, seconds = taken.wire, taken.n_samples / taken.fs_hz
    whole = taken.take.seconds + taken.take.settle_s
    if not wire.capacity or not taken.n_samples:
        reason = _("This link has no baud rate, so there is no margin to state.")
        return not_measured(limits, "link-margin", None, reason)
    # Bytes are of the whole run, settling time included.
    used = wire.n_bytes / max(whole, seconds)
    margin = 100.0 * (1.0 - used / wire.capacity)
    reason = _("At {hz} Hz the link has {percent} % to spare.").format(
        hz=f"{taken.fs_hz:g}", percent=f"{margin:.0f}"
    )
    return judged(limits, "link-margin", None, margin, 1.0, fails=reason, facts={"fault": "margin"})


def _losses(taken: Taken, limits: Limits) -> list[Result]:
    n = taken.n_samples
    minutes = max(taken.take.seconds + taken.take.settle_s, 1e-9) / 60.0
    reason = _("The board lost {n} of {of} conversions before they were sent.").format(
        n=taken.lost_device, of=n
    )
    facts: dict[str, float | str] = {
        "fault": "drops",
        "size": taken.lost_device / minutes,
        "size_unit": "/min",
    }
    device = judged(limits, "loss-device", None, float(taken.lost_device), 0.0, fails=reason, facts=facts)
    rate, u = _rate(taken.lost_link, n, 1e6)
    reason = _("The link lost {n} of {of} conversions.").format(n=taken.lost_link, of=n)
    facts = {"fault": "flip", "size": rate, "size_unit": "/million"}
    return [device, judged(limits, "loss-link", None, rate, u, fails=reason, facts=facts)]


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    def draw(axes: Any) -> None:
        there = np.asarray(np.isfinite(takens[0].data_uv).all(axis=0))
        n = round(takens[0].fs_hz)
        seconds = [float((~there[at : at + n]).sum()) for at in range(0, takens[0].n_samples, n)]
        axes.bar(range(len(seconds)), seconds, color="#0072B2")
        axes.set_ylim(0, max([1.0, *seconds]))

    return panel(draw, x=_("Time (s)"), y=_("Conversions lost"), title=_("Link"))


LINK = Measurement(
    name="link",
    needs="nothing",
    title=lambda: _("Link and losses"),
    instruction=lambda: _("Nothing to do: the board sends a test pattern."),
    takes=lambda n: (Take("pattern", 20.0, Setting(pattern=Pattern.PRBS, rate_hz=RATE_HZ)),),
    evaluate=_evaluate,
    picture=_picture,
)
