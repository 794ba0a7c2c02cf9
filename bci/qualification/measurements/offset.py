"""What a channel shows of nothing: its offset with shorted inputs, and how much of its range that takes.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: input-referred offset 60 µV typical; full scale ±VREF / gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.language import _
from bci.qualification.limits import Limits, judged
from bci.qualification.measurements._common import bars, channels_of, panel, with_scale
from bci.qualification.measurements.noise import ALIKE, SHORT_MUX
from bci.qualification.result import Measurement, Result, Setting, Take, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["OFFSET"]


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    results = []
    taken = takens[0]
    for k, label, x in channels_of(taken):
        if not len(x):
            continue
        full_uv = taken.info.uv_per_count[k] * (2**23 - 1)
        value = float(x.mean())
        # 1/f noise below the record's length moves the mean, too: its share is the drift between the halves.
        half = len(x) // 2
        wander = abs(float(x[:half].mean() - x[half:].mean())) / 2
        u = with_scale(value, 2.0 * float(np.hypot(x.std() * np.sqrt(2 * ALIKE / len(x)), wander)))
        reason = _("Offset of {channel} is {value} µV.").format(channel=label, value=f"{value:+.0f}")
        facts: dict[str, float | str] = {"fault": "offset", "size": value, "size_unit": "uV"}
        if abs(value) > 0.9 * full_uv:
            reason = _("{channel} stands at the end of its range.").format(channel=label)
            facts = {"fault": "railed", "size": 0.0, "size_unit": ""}
        results.append(judged(limits, "offset", label, value, u, fails=reason, facts=facts))
        left = 100.0 * (1.0 - abs(value) / full_uv)
        results.append(
            judged(limits, "headroom", label, left, 100.0 * u / full_uv, fails=reason, facts=facts)
        )
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    def draw(axes: Any) -> None:
        bars(results, "offset", axes)

    return panel(draw, x=_("Channel"), y="µV", title=_("Offset, inputs shorted"))


OFFSET = Measurement(
    name="offset",
    needs="nothing",
    title=lambda: _("Offset"),
    instruction=lambda: _("Nothing to do: the board shorts its own inputs."),
    takes=lambda n: (Take("gain 24", 4.0, Setting(gain=24, mux=SHORT_MUX)),),
    evaluate=_evaluate,
    picture=_picture,
)
