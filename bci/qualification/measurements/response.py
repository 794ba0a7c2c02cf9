"""Step response, frequency response and -3 dB point, from the edges of the converter's own test signal.

The edges hold all frequencies. Each channel's mean period is fitted by what a first-order input network and the
converter's sinc³ decimation make of a square wave; the network's pole, and with it the frequency at which the whole
channel is 3 dB down, comes out. What the model cannot explain (overshoot, a second pole) is a figure of its own.
`sweep` measures the same with an external generator, without a model.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 9.3.2.1 (sinc³: -3 dB at 0.262 of the data rate); 8.1, table 1 (65 Hz at 250 SPS).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.chunks import F64
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import COLOURS, panel
from bci.qualification.measurements._square import NOMINAL_UV, levels, mean_period
from bci.qualification.measurements.linearity import generator_take
from bci.qualification.measurements.sine_fit import SineFit, fit_four
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import TestSignal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RESPONSE", "SWEEP", "EdgeFit", "corner_of", "fit_edges", "response_db"]

TEST_MUX = 5
ORDERS = 4  # of the data rate, up to which the square wave's harmonics count
FASTEST_HZ, SLOWEST_HZ = 50_000.0, 1.0
SWEEP_HZ = (5.0, 20.0, 40.0, 60.0, 80.0, 100.0)
SWEEP_UV = 50_000.0
TRIED_S = (1e-4, 1e-3, 4e-3, 12e-3)  # time constants from which the fit begins
TESTS = ("bandwidth", "rise-time", "step-misfit")


class EdgeFit:
    """What the edges of one channel say: `pole_hz`, `corner_hz` (-3 dB of the whole channel), `rise_s`, `misfit`."""

    __slots__ = ("corner_hz", "corner_u", "misfit", "pole_hz", "rise_s", "rise_u")

    def __init__(self, pole_hz: float, pole_u: float, misfit: float, fs_hz: float) -> None:
        self.pole_hz, self.misfit = pole_hz, misfit
        self.corner_hz = corner_of(pole_hz, fs_hz)
        self.rise_s = rise_of(pole_hz, fs_hz)
        # In the pole's time constant everything is smooth, also where the pole is far above the band.
        step = max(pole_u, 1e-9)
        tau = 1.0 / (2 * np.pi * pole_hz)
        slower = 1.0 / (2 * np.pi * (tau + step))
        self.corner_u = abs(self.corner_hz - corner_of(slower, fs_hz))
        self.rise_u = abs(self.rise_s - rise_of(slower, fs_hz))


def response_db(f_hz: F64 | float, pole_hz: float, fs_hz: float) -> Any:
    """Gain of pole and decimation at a frequency, dB."""
    f = np.asarray(f_hz, dtype=np.float64)
    return 20 * np.log10(np.abs(np.sinc(f / fs_hz)) ** 3 / np.hypot(1.0, f / pole_hz))


def corner_of(pole_hz: float, fs_hz: float) -> float:
    """Where the whole channel is 3 dB down, Hz."""
    low, high = 0.0, 0.5 * fs_hz
    for _step in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if response_db(middle, pole_hz, fs_hz) > -3.0103 else (low, middle)
    return (low + high) / 2


def rise_of(pole_hz: float, fs_hz: float) -> float:
    """From 10 to 90 % of a step, s: triple boxcar of one sample each, then the pole."""
    fine = 100
    box = np.ones(fine) / fine
    step = np.concatenate([np.zeros(10), np.convolve(np.convolve(box, box), box)])
    n = max(len(step), int(6 * fine * (0.5 + fs_hz / (2 * np.pi * pole_hz) * 1.2)))
    step = np.pad(step, (0, n - len(step)))
    decay = np.exp(-2 * np.pi * pole_hz / (fine * fs_hz))
    from scipy.signal import lfilter

    course = np.cumsum(lfilter([1 - decay], [1, -decay], step))
    start, end = np.interp([0.1, 0.9], course, np.arange(len(course)))
    return float((end - start) / (fine * fs_hz))


def _model(period: int, tau_s: float, delay: float, fs_hz: float) -> F64:
    """Half a period of the square wave behind pole and decimation; the other half is its mirror image."""
    k = np.arange(1, ORDERS * period, 2)
    f_hz = k * fs_hz / period
    line = 4 / np.pi / k * np.sinc(f_hz / fs_hz) ** 3 / (1.0 + 2j * np.pi * f_hz * tau_s)
    folded = np.zeros(period, dtype=np.complex128)  # sampled, harmonics a period apart are the same
    np.add.at(folded, k % period, line * np.exp(-2j * np.pi * k * delay / period))
    return np.asarray(period * np.fft.ifft(folded).imag[: period // 2])


def fit_edges(period_uv: F64, uncertainty: float, *, fs_hz: float) -> EdgeFit | None:
    """The edges of one mean period (n,); None if there is no step in it."""
    from scipy.optimize import least_squares

    found = levels(period_uv, uncertainty)
    if found.amplitude < 5 * max(uncertainty, 1e-9) or found.amplitude < 0.05 * NOMINAL_UV:
        return None
    n = len(period_uv)
    y = (period_uv[: n // 2] - period_uv[n // 2 :]) / 2 / found.amplitude
    shortest = 1.0 / (2 * np.pi * FASTEST_HZ)

    def left(p: F64) -> F64:
        return np.asarray(p[2] * _model(n, abs(p[0]) + shortest, p[1], fs_hz) - y)

    starts = [
        np.array([tau, found.edge + 0.5 - tau * fs_hz + late, 1.0])
        for tau in TRIED_S
        for late in (-0.5, 0.0, 0.5)
    ]
    start = min(starts, key=lambda p: float((left(p) ** 2).sum()))
    best = least_squares(left, start, x_scale=[1e-3, 1.0, 1.0], max_nfev=40)
    misfit = float(np.sqrt(2 * best.cost / len(y)))
    noise = max(misfit, uncertainty / found.amplitude / np.sqrt(2))
    spread = np.linalg.pinv(best.jac.T @ best.jac)
    pole_hz = 1.0 / (2 * np.pi * (abs(float(best.x[0])) + shortest))
    return EdgeFit(pole_hz, 2.0 * noise * float(np.sqrt(spread[0, 0])), 100.0 * misfit, fs_hz)


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken = takens[0]
    mean, u = mean_period(taken)
    results = []
    for k, label in enumerate(taken.info.channels):
        fit = fit_edges(mean[k], float(u[k, 0]), fs_hz=taken.fs_hz)
        if fit is None:
            reason = _("{channel} does not show the test signal.").format(channel=label)
            results += [not_measured(limits, test, label, reason) for test in TESTS]
            continue
        reason = _("The band of {channel} ends at {hz} Hz.").format(channel=label, hz=f"{fit.corner_hz:.1f}")
        facts: dict[str, float | str] = {
            "fault": "bandwidth", "size": fit.corner_hz, "size_unit": "Hz", "pole_hz": fit.pole_hz,
            "gain_40_hz_db": float(response_db(40.0, fit.pole_hz, taken.fs_hz)),
        }  # fmt: skip
        results += [
            judged(limits, "bandwidth", label, fit.corner_hz, fit.corner_u, fails=reason, facts=facts),
            judged(limits, "rise-time", label, 1e3 * fit.rise_s, 1e3 * fit.rise_u, fails=reason, facts=facts),
        ]
        reason = _(
            "The step response of {channel} is not that of one pole and the decimation filter."
        ).format(channel=label)
        by_noise = 2.0 * 100.0 * float(u[k, 0]) / NOMINAL_UV / np.sqrt(2)
        results.append(
            judged(limits, "step-misfit", label, fit.misfit, by_noise, fails=reason, facts={"fault": "step"})
        )
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    taken = takens[0]
    mean, u = mean_period(taken)

    def draw(axes: Any) -> None:
        f_hz = np.linspace(1.0, 0.48 * taken.fs_hz, 200)
        for k, label in enumerate(taken.info.channels):
            fit = fit_edges(mean[k], float(u[k, 0]), fs_hz=taken.fs_hz)
            if fit is not None:
                axes.plot(
                    f_hz, response_db(f_hz, fit.pole_hz, taken.fs_hz), color=COLOURS[k % 8], label=label
                )
        axes.axhline(-3.0, color="#7f7f7f", linestyle=":")

    return panel(
        draw, x=_("Frequency (Hz)"), y="dB", title=_("Frequency response, from the edges of the test signal")
    )


# ---- with a generator ----------------------------------------------------------------------------------------


def _sweep_takes(n_channels: int) -> tuple[Take, ...]:
    return tuple(generator_take(f"{f_hz:g} Hz", 4.0, f_hz, SWEEP_UV) for f_hz in SWEEP_HZ)


def _evaluate_sweep(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    """-3 dB by interpolation between the measured points, each relative to the lowest frequency."""
    fits: dict[str, list[SineFit]] = {}
    for taken in takens:
        wanted = float(taken.take.connect["frequency_hz"])
        rows = [fit_four(row, fs_hz=taken.fs_hz, near_hz=wanted) for row in taken.data_uv]
        if np.median([fit.amplitude for fit in rows]) < 0.1 * SWEEP_UV * 10 ** (
            response_db(wanted, 1e9, taken.fs_hz) / 20
        ):
            reason = _("No tone of {hz} Hz was found; is the generator connected and on?").format(
                hz=f"{wanted:g}"
            )
            return [not_measured(limits, "bandwidth-sweep", label, reason) for label in taken.info.channels]
        for label, fit in zip(taken.info.channels, rows, strict=True):
            fits.setdefault(label, []).append(fit)
    results = []
    for label, points in fits.items():
        base = points[0]
        sinc_db = [float(response_db(p.frequency_hz, 1e9, takens[0].fs_hz)) for p in points]
        own_db = [20 * np.log10(p.amplitude / base.amplitude) for p in points]
        # What is left when the decimation is taken out is the network, smooth enough to interpolate.
        rest = np.array(own_db) - sinc_db + sinc_db[0]
        grid = np.linspace(points[0].frequency_hz, points[-1].frequency_hz, 4000)
        curve = response_db(grid, 1e9, takens[0].fs_hz) + np.interp(
            grid, [p.frequency_hz for p in points], rest
        )
        below = np.flatnonzero(curve < -3.0103 + curve[0])
        corner = float(grid[below[0]]) if len(below) else float("nan")
        u = 2.0 * 8.7 * float(max(p.amplitude_u / p.amplitude for p in points)) / 0.08 + 0.3
        reason = _("The band of {channel} ends at {hz} Hz.").format(channel=label, hz=f"{corner:.1f}")
        facts: dict[str, float | str] = {"fault": "bandwidth", "size": corner, "size_unit": "Hz"}
        results.append(judged(limits, "bandwidth-sweep", label, corner, u, fails=reason, facts=facts))
    return results


def _sweep_picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    def draw(axes: Any) -> None:
        for k, label in enumerate(takens[0].info.channels):
            fits = [
                fit_four(t.data_uv[k], fs_hz=t.fs_hz, near_hz=float(t.take.connect["frequency_hz"]))
                for t in takens
            ]
            axes.plot(
                [f.frequency_hz for f in fits], [20 * np.log10(f.amplitude / fits[0].amplitude) for f in fits],
                "o-", color=COLOURS[k % 8], label=label,
            )  # fmt: skip

    return panel(draw, x=_("Frequency (Hz)"), y="dB", title=_("Frequency response, from a generator"))


RESPONSE = Measurement(
    name="response",
    needs="test-signal",
    title=lambda: _("Step and frequency response"),
    instruction=lambda: _("Nothing to do: the board makes its own test signal."),
    takes=lambda n: (Take("gain 24", 8.3, Setting(gain=24, mux=TEST_MUX, test_signal=TestSignal.SLOW)),),
    evaluate=_evaluate,
    picture=_picture,
)
SWEEP = Measurement(
    name="sweep",
    needs="generator",
    title=lambda: _("Frequency response with a generator"),
    instruction=lambda: _("Connect the generator between all inputs and the reference."),
    takes=_sweep_takes,
    evaluate=_evaluate_sweep,
    picture=_sweep_picture,
    optional=True,
)
