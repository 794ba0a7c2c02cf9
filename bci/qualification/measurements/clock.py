"""The board's clock against the host's, and how evenly its samples are stamped.

A packet is never early, only late by line and system. So the promptest packet of each stretch is taken, and a
straight line through these gives the rate; what they scatter about it gives the uncertainty. Where two-way probes
(`SampleClock`) know the rate better, they count.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: internal oscillator ±0.5 % at 25 °C; a crystal is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import panel
from bci.qualification.result import ClockTrack, Measurement, Result, Setting, Take, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CLOCK", "clock_error", "sample_jitter"]

STRETCHES = 20
SHORT_MUX = 1


def prompt(
    sample: NDArray[np.int64], ns: NDArray[np.int64], fs_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The promptest arrival of each stretch: nominal time, s, and how late it is, s, from an arbitrary start."""
    nominal = (sample - sample[0]) / fs_hz
    late = (ns - ns[0]) * 1e-9 - nominal
    edges = np.linspace(nominal[0], nominal[-1] + 1e-9, STRETCHES + 1)
    # What the clock drifts within a stretch must not decide which packet is the promptest.
    slope = np.polynomial.Polynomial.fit(nominal, late, 1)
    flat = late - slope(nominal)
    rows = [np.flatnonzero((nominal >= a) & (nominal < b)) for a, b in pairwise(edges)]
    best = np.array([row[flat[row].argmin()] for row in rows if len(row)])
    return nominal[best], late[best]


def clock_error(sample: NDArray[np.int64], ns: NDArray[np.int64], *, fs_hz: float) -> tuple[float, float]:
    """How many ppm the board is fast, and the expanded uncertainty (k = 2).

    Parameters
    ----------
    sample : ndarray, shape (n,), int64
        Conversion numbers.
    ns : ndarray, shape (n,), int64
        When each was there; late, never early.
    fs_hz : float
        Nominal.
    """
    if len(sample) < 2 * STRETCHES:
        return float("nan"), float("nan")
    t, late = prompt(sample, ns, fs_hz)
    (offset, slope), *_rest = np.linalg.lstsq(np.column_stack([np.ones_like(t), t]), late, rcond=None)
    left = late - offset - slope * t
    spread = float(np.sqrt((left**2).sum() / (len(t) - 2)) / np.sqrt(((t - t.mean()) ** 2).sum()))
    return (1.0 / (1.0 + float(slope)) - 1.0) * 1e6, 2e6 * spread


def sample_jitter(clock: ClockTrack) -> tuple[float, float]:
    """Standard deviation of the board's own stamps about a straight line, µs, and its expanded uncertainty."""
    first = (clock.sample - clock.n_samples + 1).astype(np.float64)
    if len(first) < 16:
        return float("nan"), float("nan")
    x = first - first.mean()
    y = clock.device_us - clock.device_us.mean()
    left = y - x * float((x @ y) / (x @ x))
    rms = float(left.std(ddof=2))
    return rms, 2.0 * rms / float(np.sqrt(2 * len(first)))


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    taken = takens[0]
    track = taken.clock
    if track is None:
        reason = _("The recording does not say when its packets came.")
        return [not_measured(limits, test, None, reason) for test in ("clock", "jitter")]
    return [_rate(taken, track, limits), _jitter(taken, track, limits)]


def _rate(taken: Taken, track: ClockTrack, limits: Limits) -> Result:
    sample, ns = (
        (track.reference_sample, track.reference_ns)
        if len(track.reference_ns)
        else (track.sample[: len(track.arrived_ns)], track.arrived_ns)
    )
    ppm, u = clock_error(sample, ns, fs_hz=taken.fs_hz)
    probed = track.drift_uncertainty_ppm
    if np.isfinite(probed) and not u <= probed:
        ppm, u = track.drift_ppm, probed
    if not np.isfinite(ppm):
        reason = _("The board did not run in real time, so its clock was not compared with another.")
        return not_measured(limits, "clock", None, reason)
    reason = (
        _("The board's clock is fast by {ppm} ppm.")
        if ppm > 0
        else _("The board's clock is slow by {ppm} ppm.")
    ).format(ppm=f"{abs(ppm):.0f}")
    facts: dict[str, float | str] = {"fault": "clock", "size": ppm, "size_unit": "ppm"}
    return judged(limits, "clock", None, ppm, u, fails=reason, facts=facts)


def _jitter(taken: Taken, track: ClockTrack, limits: Limits) -> Result:
    us, u = sample_jitter(track)
    reason = _("Samples are stamped unevenly: {us} µs rms.").format(us=f"{us:.0f}")
    facts: dict[str, float | str] = {"fault": "jitter", "size": us, "size_unit": "us"}
    return judged(limits, "jitter", None, us, u, fails=reason, facts=facts)


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    track, fs_hz = takens[0].clock, takens[0].fs_hz

    def draw(axes: Any) -> None:
        if track is None:
            return
        sample, ns = (
            (track.reference_sample, track.reference_ns)
            if len(track.reference_ns)
            else (track.sample, track.arrived_ns)
        )
        if len(ns) > 2 * STRETCHES:
            nominal = (sample - sample[0]) / fs_hz
            axes.plot(nominal, ((ns - ns[0]) * 1e-9 - nominal) * 1e3, ".", color="#7f7f7f", markersize=2)
            t, late = prompt(sample, ns, fs_hz)
            axes.plot(t, late * 1e3, "o-", color="#0072B2", markersize=4)

    return panel(draw, x=_("Time by the board (s)"), y="ms", title=_("The host's clock less the board's"))


CLOCK = Measurement(
    name="clock",
    needs="nothing",
    title=lambda: _("Clock"),
    instruction=lambda: _("Nothing to do: the board streams."),
    takes=lambda n: (Take("stream", 30.0, Setting(gain=24, mux=SHORT_MUX)),),
    evaluate=_evaluate,
    picture=_picture,
    real_time=True,
)
