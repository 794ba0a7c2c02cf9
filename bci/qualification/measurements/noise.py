"""Input-referred noise with shorted inputs: rms, peak to peak, spectrum and 1/f corner, at each gain.

The converter shorts its own inputs (mux 1), so nobody has to bring anything; `input-noise` does the same through
connector and protection network with the operator's strap.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 8.1: noise is the standard deviation of at least 1000 readings, inputs shorted.
.. [2] Whittle, J. R. Stat. Soc. B 15(1):125-139, 1953. doi:10.1111/j.2517-6161.1953.tb00131.x
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.chunks import F64
from bci.dsp import psd
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import COLOURS, channels_of, clean, others_median, panel
from bci.qualification.result import Measurement, Result, Setting, Take, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FLICKER", "GAINS", "INPUT_NOISE", "NOISE", "band_limited", "flicker_corner", "rms_noise"]

GAINS = (1, 2, 4, 6, 8, 12, 24)
BAND_HZ = (0.5, 50.0)
LOWEST_HZ, HIGHEST = 0.2, 0.4  # of the corner's fit: Hz, and share of the rate
ODD = 15.0  # times what is expected: once in three million lines of noise
LONG_S, LONG_HZ = 600.0, 1000  # of the corner's own measurement
#: Readings of a sinc³ filter are not independent: 1 + 2 Σ ρ² of its output for white noise at its input.
ALIKE = 1.31
DEAD = 0.1  # of the quietest that the limit allows: a channel that does not even have noise
UNSHORTED_UV = 20.0
SHORT_MUX = 1


def rms_noise(x_uv: F64) -> tuple[float, float]:
    """Standard deviation about a straight line, µV, and its expanded uncertainty (k = 2)."""
    t = np.arange(len(x_uv))
    left = x_uv - np.polynomial.Polynomial.fit(t, x_uv, 1)(t) if len(x_uv) > 8 else x_uv - x_uv.mean()
    rms = float(left.std(ddof=2))
    return rms, 2.0 * rms * float(np.sqrt(ALIKE / (2 * len(x_uv))))


def band_limited(x_uv: F64, *, fs_hz: float, band_hz: tuple[float, float] = BAND_HZ) -> F64:
    """The part of a record within a band, without its first and last half second."""
    spectrum = np.fft.rfft(x_uv - x_uv.mean())
    f_hz = np.fft.rfftfreq(len(x_uv), 1.0 / fs_hz)
    spectrum[(f_hz < band_hz[0]) | (f_hz > band_hz[1])] = 0.0
    edge = round(fs_hz / 2)
    return np.asarray(np.fft.irfft(spectrum, len(x_uv))[edge:-edge])


def peak_to_peak(x_uv: F64, *, fs_hz: float) -> tuple[float, float]:
    """Median over seconds of peak to peak within 0.5–50 Hz, µV, and its expanded uncertainty."""
    band = band_limited(x_uv, fs_hz=fs_hz)
    n = round(fs_hz)
    seconds = band[: len(band) // n * n].reshape(-1, n)
    spans = np.ptp(seconds, axis=1)
    spread = float(spans.std(ddof=1)) if len(spans) > 1 else float(spans[0])
    return float(np.median(spans)), 2.0 * 1.253 * spread / float(np.sqrt(len(spans)))


def flicker_corner(x_uv: F64, *, fs_hz: float) -> tuple[float, float]:
    """Where 1/f noise equals the white noise, Hz, and its expanded uncertainty.

    White noise, with what decimation folds back, and 1/f noise are fitted to the periodogram from 0.2 Hz to 0.4 of the
    rate by maximum likelihood [2]: each line weighted by what the fit expects of it, as a line is as uncertain as it is
    large. Lines far above that (mains, idle tones) are left out. The uncertainty is the Cramér-Rao bound: `T` seconds
    cannot tell a corner `f` better than 2/√(T f), k = 2, even if the white noise were known.
    """
    f_hz = np.fft.rfftfreq(len(x_uv), 1.0 / fs_hz)
    t = np.linspace(-1.0, 1.0, len(x_uv))
    level = x_uv - np.polynomial.Polynomial.fit(t, x_uv, 1)(t)
    # No window: noise this flat leaks little, and every line of the periodogram says something of its own.
    power = np.abs(np.fft.rfft(level)) ** 2
    used = (f_hz >= max(LOWEST_HZ, 4.0 * fs_hz / len(x_uv))) & (f_hz <= HIGHEST * fs_hz)
    f, y = f_hz[used], power[used]
    passed, folded = np.sinc(f / fs_hz) ** 6, np.sinc(1.0 - f / fs_hz) ** 6 + np.sinc(1.0 + f / fs_hz) ** 6
    basis = np.column_stack([passed + folded, passed / f])
    expected, least = _course(y), 1e-3 * float(np.median(y))
    for _step in range(20):
        kept = y < ODD * expected
        rows = basis[kept] / expected[kept, None]
        parts, *_ = np.linalg.lstsq(rows, y[kept] / expected[kept], rcond=None)
        expected = np.maximum(basis @ np.maximum(parts, [least, 0.0]), least)
    white, flicker = float(parts[0]), max(float(parts[1]), 0.0)
    if white <= 0.0:  # no noise: something else is at the inputs
        return float("nan"), float("nan")
    rows = basis[kept] / expected[kept, None]
    spread = np.linalg.inv(rows.T @ rows)
    corner = flicker / white
    variance = (spread[1, 1] + corner**2 * spread[0, 0] - 2 * corner * spread[0, 1]) / white**2
    return corner, 2.0 * float(np.sqrt(variance))


def _course(y: F64) -> F64:
    """What lines of a periodogram are like around each of them: medians, which no single line moves."""
    edges = np.unique(np.geomspace(8, len(y) - 1, 24).astype(int))
    return np.concatenate([np.full(len(part), np.median(part) / np.log(2.0)) for part in np.split(y, edges)])


def _noise_takes(n_channels: int) -> tuple[Take, ...]:
    return tuple(
        Take(f"gain {gain}", 32.0 if gain == 24 else 6.0, Setting(gain=gain, mux=SHORT_MUX)) for gain in GAINS
    )


def _evaluate_noise(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    results = []
    for taken in takens:
        gain = taken.take.setting.gain
        results += _rms(taken, limits, f"noise-rms-gain-{gain}")
        for _k, label, x in channels_of(taken):
            if gain != 24 or len(x) < 4 * taken.fs_hz or _silent(x, limits):
                continue
            value, u = peak_to_peak(x, fs_hz=taken.fs_hz)
            reason = _("Noise of {channel} is {value} µV peak to peak.").format(
                channel=label, value=f"{value:.2f}"
            )
            results.append(
                judged(limits, "noise-pp", label, value, u, fails=reason, facts={"fault": "noise"})
            )
            results.append(_corner(x, taken, label, limits))
    return results


def _corner(x: F64, taken: Taken, label: str, limits: Limits) -> Result:
    corner, u = flicker_corner(x, fs_hz=taken.fs_hz)
    reason = _("The 1/f noise of {channel} reaches up to {corner} Hz.").format(
        channel=label, corner=f"{corner:.1f}"
    )
    facts: dict[str, float | str] = {"fault": "flicker", "size": corner, "size_unit": "Hz"}
    return judged(limits, "noise-corner", label, corner, u, fails=reason, facts=facts)


def _evaluate_flicker(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken = takens[0]
    return [
        _corner(x, taken, label, limits)
        for _k, label, x in channels_of(taken)
        if len(x) >= 4 * taken.fs_hz and not _silent(x, limits)
    ]


def _rms(taken: Taken, limits: Limits, test: str) -> list[Result]:
    found = [
        (label, *rms_noise(x)) if len(x) > 16 else (label, np.nan, np.nan)
        for _k, label, x in channels_of(taken)
    ]
    values = np.array([value for _label, value, _u in found])
    results = []
    for k, (label, value, u) in enumerate(found):
        usual = others_median(values, k)
        extra = float(np.sqrt(max(value**2 - usual**2, 0.0)))
        reason = _("{channel} is noisy: {value} µV rms, the others {usual}.").format(
            channel=label, value=f"{value:.3g}", usual=f"{usual:.3g}"
        )
        facts: dict[str, float | str] = {
            "fault": "noise",
            "size": extra,
            "size_unit": "uV",
            "others_uv": usual,
        }
        limit = limits[test]
        if limit.low is not None and value < DEAD * limit.low:
            railed = abs(float(np.median(clean(taken.data_uv[k])))) > 0.9 * taken.info.uv_per_count[k] * 2**23
            reason = _silence(label, railed=railed)
            facts = {
                "fault": "railed" if railed else "dead",
                "size": 0.0,
                "size_unit": "",
            }
        results.append(judged(limits, test, label, value, u, fails=reason, facts=facts))
    return results


def _silence(label: str, *, railed: bool) -> str:
    if railed:
        return _("{channel} stands at the end of its range.").format(channel=label)
    return _("{channel} is dead: it does not even show noise.").format(channel=label)


def _silent(x: F64, limits: Limits) -> bool:
    return float(x.std()) < DEAD * (limits["noise-rms-gain-24"].low or 0.0)


def _evaluate_input(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    test = "input-noise-rms"
    taken = takens[0]
    spread = np.array([x.std() if len(x) else np.nan for _k, _label, x in channels_of(taken)])
    if np.nanmedian(spread) > UNSHORTED_UV:
        reason = _(
            "The inputs are not shorted: they show {value} µV rms. Put the strap over all of them."
        ).format(value=f"{np.nanmedian(spread):.0f}")
        return [not_measured(limits, test, label, reason) for label in taken.info.channels]
    return _rms(taken, limits, test)


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    taken = takens[-1]
    n = min(taken.n_samples, round(4 * taken.fs_hz))

    def draw(axes: Any) -> None:
        for k, label, x in channels_of(taken):
            if len(x) >= n:
                f_hz, density = psd(x[None] - x.mean(), fs_hz=taken.fs_hz, segment_samples=n)
                shown = (f_hz > 0.3) & (f_hz < 0.48 * taken.fs_hz)
                axes.loglog(
                    f_hz[shown], 1000 * np.sqrt(np.maximum(density[0, shown], 1e-12)),
                    color=COLOURS[k % 8], linewidth=0.8, label=label,
                )  # fmt: skip

    title = (
        _("Noise, inputs shorted, gain {gain}").format(gain=taken.take.setting.gain)
        if taken.take.setting.mux == SHORT_MUX
        else _("Noise through the connector")
    )
    return panel(draw, x=_("Frequency (Hz)"), y="nV/√Hz", title=title)


NOISE = Measurement(
    name="noise",
    needs="nothing",
    title=lambda: _("Noise"),
    instruction=lambda: _("Nothing to do: the board shorts its own inputs."),
    takes=_noise_takes,
    evaluate=_evaluate_noise,
    picture=_picture,
)
INPUT_NOISE = Measurement(
    name="input-noise",
    needs="shorted",
    title=lambda: _("Noise through the connector"),
    instruction=lambda: _("Put the shorting strap over all inputs and the reference."),
    takes=lambda n: (
        Take(
            "shorted",
            8.0,
            Setting(gain=24, mux=0),
            connect={"kind": "shorted"},
            instruction=_("Put the shorting strap over all inputs and the reference."),
        ),
    ),
    evaluate=_evaluate_input,
    picture=_picture,
)
FLICKER = Measurement(
    name="flicker",
    needs="nothing",
    title=lambda: _("1/f noise, for minutes"),
    instruction=lambda: _("Nothing to do: the board shorts its own inputs."),
    takes=lambda n: (Take("gain 24", LONG_S, Setting(gain=24, mux=SHORT_MUX, rate_hz=LONG_HZ)),),
    evaluate=_evaluate_flicker,
    picture=_picture,
    optional=True,
)
