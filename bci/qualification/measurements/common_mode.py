"""Common-mode rejection at 50 and 60 Hz with an external generator.

Twice at each frequency: first the generator between inputs and reference, small, which shows that it is there, at what
frequency by the board's clock, and what the channel makes of a difference; then between all inputs, reference included,
and ground. The second divided by the first is the rejection; the decimation filter cancels.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: CMRR -110 dB at worst, -120 dB typical, at 50 and 60 Hz.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import bars, decibels, panel, takes_named
from bci.qualification.measurements.linearity import no_tone, tone_of
from bci.qualification.measurements.sine_fit import fit_three
from bci.qualification.result import Measurement, Result, Setting, Take, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COMMON_MODE"]

MAINS_HZ = (50.0, 60.0)
DIFFERENCE_UV = 50_000.0
COMMON_UV = 500_000.0


def _takes(n_channels: int) -> tuple[Take, ...]:
    takes = []
    for f_hz in MAINS_HZ:
        for mode, amplitude, where in (
            ("differential", DIFFERENCE_UV, _("between all inputs and the reference")),
            ("common", COMMON_UV, _("between all inputs with the reference and ground")),
        ):
            takes.append(
                Take(
                    f"{mode} {f_hz:g} Hz",
                    4.0 if mode == "differential" else 8.0,
                    Setting(gain=24),
                    connect={
                        "kind": "generator",
                        "frequency_hz": f_hz,
                        "amplitude_uv": amplitude,
                        "mode": mode,
                    },
                    instruction=_("Set the generator to {hz} Hz, {mv} mV amplitude, {where}.").format(
                        hz=f"{f_hz:g}", mv=f"{amplitude / 1000:g}", where=where
                    ),
                )
            )
    return tuple(takes)


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    results = []
    for f_hz in MAINS_HZ:
        small = takes_named(takens, f"differential {f_hz:g} Hz")
        large = takes_named(takens, f"common {f_hz:g} Hz")
        if small and large:
            results += _at(small[0], large[0], f"cmrr-{f_hz:g}", limits)
    return results


def _at(small: Taken, large: Taken, test: str, limits: Limits) -> list[Result]:
    channels = small.info.channels
    tone = tone_of(small)
    if tone is None:
        return [not_measured(limits, test, label, no_tone(small)) for label in channels]
    bound = 10.0 ** ((limits[test].high or -100.0) / 20)
    results = []
    for k, label in enumerate(channels):
        through = tone[1][k].amplitude / DIFFERENCE_UV
        if through < 0.01:
            reason = _("{channel} does not show the generator's tone.").format(channel=label)
            results.append(not_measured(limits, test, label, reason))
            continue
        fit = fit_three(large.data_uv[k], fs_hz=large.fs_hz, frequency_hz=tone[0])
        share, u = fit.amplitude / COMMON_UV / through, fit.amplitude_u / COMMON_UV / through
        value = decibels(max(share, 2 * u))
        u_db = 20 * float(np.log10(1 + 2 * u / max(share, bound)))
        reason = _("{channel} rejects common-mode voltage by {db} dB only.").format(
            channel=label, db=f"{-value:.1f}"
        )
        facts: dict[str, float | str] = {
            "fault": "cmrr", "size": value, "size_unit": "dB", "phase_rad": fit.phase_rad,
            "frequency_hz": tone[0],
        }  # fmt: skip
        results.append(judged(limits, test, label, value, u_db, fails=reason, facts=facts))
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    def draw(axes: Any) -> None:
        for test in sorted({r.test for r in results}):
            bars(results, test, axes)

    return panel(draw, x=_("Channel"), y="dB", title=_("Common-mode rejection at 50 and 60 Hz"))


COMMON_MODE = Measurement(
    name="common-mode",
    needs="generator",
    title=lambda: _("Common-mode rejection"),
    instruction=lambda: _(
        "Connect the generator as the picture shows, first to the inputs, then to inputs and ground."
    ),
    takes=_takes,
    evaluate=_evaluate,
    picture=_picture,
)
