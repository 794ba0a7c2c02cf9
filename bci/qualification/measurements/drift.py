"""What warmth and a falling supply do to offset and gain, by the board's own thermometer and voltmeter (HEARTBEAT).

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: offset drift 80 nV/°C, gain drift 3 ppm/°C, supply rejection 96 dB, typical.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.chunks import F64
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import COLOURS, panel, with_scale
from bci.qualification.measurements._square import levels, period_of
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import TestSignal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUPPLY", "WARMTH"]

TEST_MUX, SHORT_MUX = 5, 1
LEAST_C, LEAST_MV = 5.0, 100.0


def _course(taken: Taken, which: str) -> tuple[F64, F64]:
    """(conversion, °C or mV) of every HEARTBEAT that tells it."""
    pairs = [
        (beat.sample, beat.temperature_c if which == "temperature" else float(beat.supply_mv))
        for beat in taken.beats
    ]
    good = [(sample, value) for sample, value in pairs if np.isfinite(value) and value != 0.0]
    return np.array([s for s, _v in good], dtype=np.float64), np.array([v for _s, v in good])


def _slope(x: F64, y: F64) -> tuple[float, float]:
    """Least-squares slope and its expanded uncertainty (k = 2)."""
    centred = x - x.mean()
    power = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / power
    left = y - y.mean() - slope * centred
    return slope, 2.0 * float(np.sqrt((left @ left) / max(len(y) - 2, 1) / power))


def _periods(taken: Taken) -> tuple[F64, F64, F64]:
    """Middle conversion of each whole period, and each channel's amplitude and middle in it."""
    period = period_of(taken)
    first = -(-taken.first_sample // period) * period - taken.first_sample
    starts = list(range(first, taken.n_samples - period + 1, period))
    starts = [at for at in starts if np.isfinite(taken.data_uv[:, at : at + period]).all()]
    found = [[levels(row[at : at + period], 1e-3) for row in taken.data_uv] for at in starts]
    sizes = np.array([[f.amplitude for f in row] for row in found])
    middles = np.array([[f.middle for f in row] for row in found])
    return np.array(starts) + taken.first_sample + period / 2, sizes, middles


def _evaluate_warmth(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken, tests = takens[0], ("gain-drift", "offset-drift")
    channels = taken.info.channels
    at, celsius = _course(taken, "temperature")
    if len(at) < 3 or np.ptp(celsius) < LEAST_C:
        reason = (
            _("The board does not tell its temperature.")
            if len(at) < 3
            else _("The board's temperature changed by {c} °C only; warm it by {least} °C or more.").format(
                c=f"{np.ptp(celsius):.1f}", least=f"{LEAST_C:g}"
            )
        )
        return [not_measured(limits, test, label, reason) for label in channels for test in tests]
    middle, sizes, middles = _periods(taken)
    warm = np.interp(middle, at, celsius)
    results = []
    for k, label in enumerate(channels):
        if len(middle) < 4 or not np.median(sizes[:, k]) > 0:
            results += [
                not_measured(limits, test, label, _("Too few samples without a gap.")) for test in tests
            ]
            continue
        slope, u = _slope(warm, 1e6 * sizes[:, k] / np.median(sizes[:, k]))
        reason = _("Gain of {channel} drifts by {value} ppm/°C.").format(channel=label, value=f"{slope:+.1f}")
        facts: dict[str, float | str] = {"fault": "gaindrift", "size": slope, "size_unit": "ppm/C"}
        results.append(judged(limits, "gain-drift", label, slope, u, fails=reason, facts=facts))
        slope, u = _slope(warm, middles[:, k])
        u = with_scale(slope, u)
        reason = _("Offset of {channel} drifts by {value} µV/°C.").format(
            channel=label, value=f"{slope:+.2f}"
        )
        facts = {"fault": "offsetdrift", "size": slope, "size_unit": "uV/C"}
        results.append(judged(limits, "offset-drift", label, slope, u, fails=reason, facts=facts))
    return results


def _evaluate_supply(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken, test = takens[0], "supply-drift"
    at, millivolts = _course(taken, "supply")
    if len(at) < 3 or np.ptp(millivolts) < LEAST_MV:
        reason = (
            _("The board does not tell its supply voltage.")
            if len(at) < 3
            else _("The supply changed by {mv} mV only; lower it by {least} mV or more.").format(
                mv=f"{np.ptp(millivolts):.0f}", least=f"{LEAST_MV:g}"
            )
        )
        return [not_measured(limits, test, label, reason) for label in taken.info.channels]
    number = taken.first_sample + np.arange(taken.n_samples)
    volts = np.interp(number, at, millivolts / 1000.0)
    n = round(taken.fs_hz / 4)
    blocks = taken.n_samples // n
    volts = volts[: blocks * n].reshape(blocks, n).mean(axis=1)
    results = []
    for k, label in enumerate(taken.info.channels):
        mean = taken.data_uv[k, : blocks * n].reshape(blocks, n).mean(axis=1)
        good = np.isfinite(mean)
        slope, u = _slope(volts[good], mean[good])
        u = with_scale(slope, u)
        reason = _("Offset of {channel} follows the supply by {value} µV/V.").format(
            channel=label, value=f"{slope:+.0f}"
        )
        facts: dict[str, float | str] = {"fault": "supply", "size": slope, "size_unit": "uV/V"}
        results.append(judged(limits, test, label, slope, u, fails=reason, facts=facts))
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    taken = takens[0]
    warmth = taken.take.setting.test_signal != TestSignal.OFF
    at, value = _course(taken, "temperature" if warmth else "supply")

    def draw(axes: Any) -> None:
        if len(at) < 2:
            return
        n = period_of(taken) if warmth else round(taken.fs_hz)
        blocks = taken.n_samples // n
        number = taken.first_sample + (np.arange(blocks) + 0.5) * n
        for k, label in enumerate(taken.info.channels):
            mean = taken.data_uv[k, : blocks * n].reshape(blocks, n).mean(axis=1)
            axes.plot(
                np.interp(number, at, value),
                mean - mean[0],
                ".-",
                color=COLOURS[k % 8],
                label=label,
                linewidth=0.6,
            )

    x = _("Temperature (°C)") if warmth else _("Supply (mV)")
    return panel(draw, x=x, y="µV", title=_("Change of the offset"))


WARMTH = Measurement(
    name="warmth",
    needs="warming",
    title=lambda: _("Drift with temperature"),
    instruction=lambda: _("Warm the board by 10 to 20 °C while it is recorded."),
    takes=lambda n: (
        Take(
            "warming",
            30.0,
            Setting(gain=24, mux=TEST_MUX, test_signal=TestSignal.SLOW),
            connect={"kind": "warming", "from_c": 25.0, "to_c": 45.0, "seconds": 30.0},
            instruction=_("Warm the board by 10 to 20 °C while it is recorded."),
        ),
    ),
    evaluate=_evaluate_warmth,
    picture=_picture,
)
SUPPLY = Measurement(
    name="supply",
    needs="supply",
    title=lambda: _("Drift with the supply"),
    instruction=lambda: _("Lower the supply slowly from 3.3 V to 3.0 V while it is recorded."),
    takes=lambda n: (
        Take(
            "falling",
            20.0,
            Setting(gain=24, mux=SHORT_MUX),
            connect={"kind": "supply", "from_mv": 3300.0, "to_mv": 3000.0, "seconds": 20.0},
            instruction=_("Lower the supply slowly from 3.3 V to 3.0 V while it is recorded."),
        ),
    ),
    evaluate=_evaluate_supply,
    picture=_picture,
)
