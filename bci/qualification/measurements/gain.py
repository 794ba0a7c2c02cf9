"""Gain of each channel at each amplifier setting, by the converter's own test signal.

All channels see the same source, so what one channel deviates from the others is known far better (noise only) than
what all of them deviate from VREF/2400 (the source is good to ±2 %).

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: gain error 0.1 % typical, 0.5 % at most; test signal ±2 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import bars, middle_u, named, others_median, panel
from bci.qualification.measurements._square import NOMINAL_UV, levels, mean_period
from bci.qualification.measurements.noise import GAINS
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import TestSignal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GAIN", "amplitudes"]

TEST_MUX = 5
NO_SIGNAL = 0.05  # of the nominal step: less is none


def amplitudes(taken: Taken) -> tuple[np.ndarray, np.ndarray]:
    """Half the step of each channel, µV, and its standard uncertainty, shape (n_channels,) each."""
    mean, u = mean_period(taken)
    found = [levels(row, float(spread[0])) for row, spread in zip(mean, u, strict=True)]
    rounding = np.array(taken.info.uv_per_count) / np.sqrt(12.0 * mean.shape[1])
    return np.array([f.amplitude for f in found]), np.hypot([f.uncertainty for f in found], rounding)


def _takes(n_channels: int) -> tuple[Take, ...]:
    return tuple(
        Take(f"gain {gain}", 4.2, Setting(gain=gain, mux=TEST_MUX, test_signal=TestSignal.SLOW))
        for gain in GAINS
    )


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    return [result for taken in takens for result in _of_gain(taken, limits)]


def _of_gain(taken: Taken, limits: Limits) -> list[Result]:
    gain = taken.take.setting.gain
    whole, match = f"gain-error-{gain}", f"gain-match-{gain}"
    nominal = NOMINAL_UV * taken.take.setting.amplitude
    found, u = amplitudes(taken)
    there = found > NO_SIGNAL * nominal
    if not there.any():
        reason = _("The board shows no test signal; does its firmware know the command TEST_SIGNAL?")
        return [
            not_measured(limits, test, label, reason)
            for label in taken.info.channels
            for test in (whole, match)
        ]
    seen = np.where(there, found, np.nan)
    middle_share = middle_u(seen)
    results = []
    for k, label in enumerate(taken.info.channels):
        if not there[k]:
            reason = _("{channel} does not show the test signal.").format(channel=label)
            facts: dict[str, float | str] = {"fault": "dead", "size": 0.0, "size_unit": ""}
            results.append(judged(limits, match, label, -100.0, 0.0, fails=reason, facts=facts))
            continue
        middle = others_median(seen, k)
        error = 100.0 * (found[k] / nominal - 1.0)
        apart = 100.0 * (found[k] / middle - 1.0)
        reason = _("Gain of {channel} is {percent} % {high}.").format(
            channel=label, percent=f"{abs(apart):.1f}", high=named(apart)
        )
        facts = {"fault": "gain", "size": apart, "size_unit": "%"}
        results.append(
            judged(
                limits,
                match,
                label,
                apart,
                200.0 * float(np.hypot(u[k] / middle, middle_share)),
                fails=reason,
                facts=facts,
            )
        )
        reason = _("The test signal of {channel} is {percent} % {high}.").format(
            channel=label, percent=f"{abs(error):.1f}", high=named(error)
        )
        common = 100.0 * (float(np.nanmedian(seen)) / nominal - 1.0)
        facts = (
            {"fault": "testsource", "size": common, "size_unit": "%"}
            if abs(apart) < abs(error) / 2
            else facts
        )
        u_error = 200.0 * float(np.hypot(u[k] / nominal, middle_share))
        results.append(judged(limits, whole, label, error, u_error, fails=reason, facts=facts))
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    def draw(axes: Any) -> None:
        bars(results, f"gain-match-{takens[-1].take.setting.gain}", axes)

    title = _("Gain against the other channels, gain {gain}").format(gain=takens[-1].take.setting.gain)
    return panel(draw, x=_("Channel"), y="%", title=title)


GAIN = Measurement(
    name="gain",
    needs="test-signal",
    title=lambda: _("Gain"),
    instruction=lambda: _("Nothing to do: the board makes its own test signal."),
    takes=_takes,
    evaluate=_evaluate,
    picture=_picture,
)
