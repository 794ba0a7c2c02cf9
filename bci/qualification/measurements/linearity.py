"""Large signals from an external generator: distortion, true gain, skew between channels, and the end of the range.

One sine of 10 Hz and 150 mV, 80 % of full scale at gain 24, is fitted in every channel (IEEE 1057, four parameters);
its harmonics are fitted with it. A second take with a sine larger than the range shows where each channel ends. What
all channels have alike is the generator's: it is said, and fails no board.

References
----------
.. [1] IEEE Std 1057-2017 (sine fit, total harmonic distortion).
.. [2] ADS1299 data sheet SBAS499C, 7.5: THD -99 dB typical at 10 Hz and -0.5 dBFS; reference 4.5 V ± 0.2 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.chunks import F64
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import (
    COLOURS,
    clean,
    decibels,
    middle_u,
    named,
    others_median,
    panel,
    takes_named,
)
from bci.qualification.measurements.sine_fit import SineFit, fit_four, fit_harmonics, fit_three
from bci.qualification.result import Measurement, Result, Setting, Take, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LINEARITY", "generator_take", "no_tone", "tone_of"]

TONE_HZ = 10.0
TONE_UV = 150_000.0
OVER_UV = 225_000.0  # 120 % of full scale at gain 24
PRESENT = 0.4  # of the stated amplitude: less is no generator
ABSENT = 0.01  # of the other channels: less is a dead channel
ALIKE_DB = 1.0
TESTS = ("thd", "gain-generator", "gain-generator-match", "skew", "range")


def tone_of(taken: Taken) -> tuple[float, list[SineFit]] | None:
    """The generator's frequency by the board's clock, and each channel's sine; None if no tone is there."""
    wanted = float(taken.take.connect["frequency_hz"])
    stated = float(taken.take.connect["amplitude_uv"])
    rows = [clean(row) for row in taken.data_uv]
    if min(map(len, rows)) < 16:
        return None
    found = [fit_four(row, fs_hz=taken.fs_hz, near_hz=wanted) for row in taken.data_uv]
    strong = [
        fit for fit in found if fit.amplitude > PRESENT * stated and abs(fit.frequency_hz / wanted - 1) < 0.03
    ]
    if 2 * len(strong) < len(found):
        return None
    frequency = float(np.median([fit.frequency_hz for fit in strong]))
    return frequency, [fit_three(row, fs_hz=taken.fs_hz, frequency_hz=frequency) for row in taken.data_uv]


def _takes(n_channels: int) -> tuple[Take, ...]:
    return generator_take("linear", 8.0, TONE_HZ, TONE_UV), generator_take("over", 3.0, TONE_HZ, OVER_UV)


def generator_take(name: str, seconds: float, f_hz: float, amplitude_uv: float) -> Take:
    """A take with a sine between all inputs and the reference."""
    sentence = _("Set the generator to {hz} Hz, {mv} mV amplitude, between all inputs and the reference.")
    return Take(
        name,
        seconds,
        Setting(gain=24),
        connect={
            "kind": "generator",
            "frequency_hz": f_hz,
            "amplitude_uv": amplitude_uv,
            "mode": "differential",
        },
        instruction=sentence.format(hz=f"{f_hz:g}", mv=f"{amplitude_uv / 1000:g}"),
    )


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    channels = takens[0].info.channels
    results: list[Result] = []
    for taken in takes_named(takens, "linear"):
        tone = tone_of(taken)
        if tone is None:
            return [not_measured(limits, test, label, no_tone(taken)) for label in channels for test in TESTS]
        results += _gains(taken, tone[1], limits)
        results += _distortions(taken, tone[0], tone[1], limits)
        results += _skews(taken, tone[0], tone[1], limits)
    for taken in takes_named(takens, "over"):
        results += _ranges(taken, limits)
    return results


def decimation(f_hz: Any, fs_hz: float) -> F64:
    """Gain of the converter's sinc³ filter [2, 9.3.2.1]."""
    return np.asarray(np.sinc(f_hz / fs_hz) ** 3)


def no_tone(taken: Taken) -> str:
    return _("No tone of {hz} Hz and {mv} mV was found; is the generator connected and on?").format(
        hz=f"{float(taken.take.connect['frequency_hz']):g}",
        mv=f"{float(taken.take.connect['amplitude_uv']) / 1000:g}",
    )


def _gains(taken: Taken, fits: list[SineFit], limits: Limits) -> list[Result]:
    """Against the generator, and against the other channels."""
    stated = float(taken.take.connect["amplitude_uv"]) * float(
        decimation(np.array([TONE_HZ]), taken.fs_hz)[0]
    )
    size = np.array([fit.amplitude for fit in fits])
    common = 100.0 * (float(np.median(size)) / stated - 1.0)
    apart_u = middle_u(size)
    results = []
    for k, (label, fit) in enumerate(zip(taken.info.channels, fits, strict=True)):
        middle = others_median(size, k)
        apart, error = 100.0 * (fit.amplitude / middle - 1.0), 100.0 * (fit.amplitude / stated - 1.0)
        facts: dict[str, float | str] = {"fault": "gain", "size": apart, "size_unit": "%"}
        reason = _("Gain of {channel} is {percent} % {high}.").format(
            channel=label, percent=f"{abs(apart):.1f}", high=named(apart)
        )
        if fit.amplitude < ABSENT * middle:
            facts = {"fault": "dead", "size": 0.0, "size_unit": ""}
            reason = _("{channel} does not show the generator's tone.").format(channel=label)
        u = 200.0 * float(np.hypot(fit.amplitude_u / middle, apart_u))
        results.append(judged(limits, "gain-generator-match", label, apart, u, fails=reason, facts=facts))
        if abs(apart) < abs(common) / 2:
            facts = {"fault": "reference", "size": 100.0 / (1.0 + common / 100.0) - 100.0, "size_unit": "%"}
            reason = _(
                "All channels read {percent} % {high} against the generator: the reference voltage is off, or the "
                "generator."
            ).format(percent=f"{abs(common):.1f}", high=named(common))
        results.append(judged(limits, "gain-generator", label, error, u, fails=reason, facts=facts))
    return results


def _distortions(taken: Taken, f_hz: float, fits: list[SineFit], limits: Limits) -> list[Result]:
    found = []
    for row in taken.data_uv:
        parts, u = fit_harmonics(row, fs_hz=taken.fs_hz, frequency_hz=f_hz)
        parts /= decimation(np.arange(1, len(parts) + 1) * f_hz, taken.fs_hz)  # as they were before it
        total = float(np.sqrt(max((parts[1:] ** 2).sum(), 1e-18)))
        tone = max(float(parts[0]), 1e-9)
        found.append((total / tone, u * np.sqrt(2) / tone, parts))
    thd = np.array([decibels(share) for share, _u, _parts in found])
    limit = limits["thd"].high or 0.0
    alike = bool((thd > limit).all() and np.ptp(thd) < ALIKE_DB)
    results = []
    for k, (label, (share, u, parts)) in enumerate(zip(taken.info.channels, found, strict=True)):
        if fits[k].amplitude < ABSENT * others_median(np.array([f.amplitude for f in fits]), k):
            continue  # said by the gain
        if alike:
            reason = _("All channels show the same distortion, {db} dB: it is the generator's.").format(
                db=f"{thd[k]:.0f}"
            )
            results.append(not_measured(limits, "thd", label, reason))
            continue
        strongest = 2 + int(np.argmax(parts[1:]))
        reason = _("{channel} distorts: {db} dB, mostly harmonic {order}.").format(
            channel=label, db=f"{thd[k]:.1f}", order=strongest
        )
        facts: dict[str, float | str] = {
            "fault": "nonlinear", "size": float(thd[k]), "size_unit": "dB", "harmonic": float(strongest),
        }  # fmt: skip
        u_db = 20 * float(np.log10(1 + 2 * u / max(share, 10 ** (limit / 20))))
        results.append(judged(limits, "thd", label, float(thd[k]), u_db, fails=reason, facts=facts))
    return results


def _skews(taken: Taken, f_hz: float, fits: list[SineFit], limits: Limits) -> list[Result]:
    """Delay against the other channels, from the fitted phases, µs."""
    phase = np.unwrap([fit.phase_rad for fit in fits])
    size = np.array([fit.amplitude for fit in fits])
    results = []
    for k, (label, fit) in enumerate(zip(taken.info.channels, fits, strict=True)):
        if fit.snr < 10 or fit.amplitude < ABSENT * others_median(size, k):
            continue  # no tone, which the gain says
        late_us = -(phase[k] - others_median(phase, k)) / (2 * np.pi * f_hz) * 1e6
        u = 2e6 * fit.phase_u / (2 * np.pi * f_hz)
        reason = _("{channel} is {us} µs late against the others.").format(channel=label, us=f"{late_us:.0f}")
        facts: dict[str, float | str] = {"fault": "skew", "size": float(late_us), "size_unit": "us"}
        results.append(judged(limits, "skew", label, float(late_us), u, fails=reason, facts=facts))
    return results


def _ranges(taken: Taken, limits: Limits) -> list[Result]:
    """Where a sine larger than the range is cut off, in percent of full scale: the nearer end."""
    channels = taken.info.channels
    full = np.array(taken.info.uv_per_count) * (2**23 - 1)
    rows = [clean(row) for row in taken.data_uv]
    ends = [(float(-row.min()), float(row.max())) if len(row) else (0.0, 0.0) for row in rows]
    if np.median([min(pair) for pair in ends]) < 0.5 * np.median(full):
        return [not_measured(limits, "range", label, no_tone(taken)) for label in channels]
    results = []
    for k, label in enumerate(channels):
        share = 100.0 * min(ends[k]) / full[k]
        if share < 1.0:
            continue
        reason = _("{channel} ends at {percent} % of its range.").format(
            channel=label, percent=f"{share:.0f}"
        )
        facts: dict[str, float | str] = {
            "fault": "range", "size": share - 100.0, "size_unit": "%",
            "low_mv": -ends[k][0] / 1000, "high_mv": ends[k][1] / 1000,
        }  # fmt: skip
        results.append(judged(limits, "range", label, share, 0.05, fails=reason, facts=facts))
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    taken = takens[0]
    tone = tone_of(taken)

    def draw(axes: Any) -> None:
        for k, label in enumerate(taken.info.channels if tone else ()):
            assert tone is not None
            parts, u = fit_harmonics(taken.data_uv[k], fs_hz=taken.fs_hz, frequency_hz=tone[0], order=9)
            shown = [decibels(part / max(parts[0], 1e-9)) for part in np.maximum(parts, 2 * u)]
            axes.plot(range(1, len(parts) + 1), shown, "o-", color=COLOURS[k % 8], linewidth=0.6, label=label)

    return panel(draw, x=_("Harmonic"), y="dB", title=_("Distortion, 10 Hz at 80 % of full scale"))


LINEARITY = Measurement(
    name="linearity",
    needs="generator",
    title=lambda: _("Linearity and range"),
    instruction=lambda: _("Connect the generator between all inputs and the reference."),
    takes=_takes,
    evaluate=_evaluate,
    picture=_picture,
)
