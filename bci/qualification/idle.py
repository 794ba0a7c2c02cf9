"""What a recording that no bench has made says of a board: dead and railed channels, and a bound of its noise.

Nobody shorted the inputs, so noise can only be bounded from above: above the brain's and below the decimation filter's
frequencies, in the quietest seconds, a channel shows its own noise and whatever electrodes add. A bound below the limit
passes; one above it fails nobody, because it may be the electrodes'.
"""

from __future__ import annotations

import numpy as np

from bci.chunks import F64
from bci.dsp import psd
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.result import Result

__all__ = ["idle_channels", "noise_bound"]

# of the rate: above the brain's frequencies, below what the decimation filter leaves nothing of
BAND = (0.28, 0.44)
AWAY_HZ = 2.5  # from the mains' harmonics
SEGMENT_S = 2.0
#: Equivalent noise bandwidth of a sinc³ filter, as a share of its rate.
BANDWIDTH = 0.275
RAILED = 0.98
FULL_UV = 187_500.0  # ±4.5 V / 24
TEST = "noise-rms-gain-24"


def noise_bound(x_uv: F64, *, fs_hz: float, mains_hz: tuple[float, ...] = (50.0, 60.0)) -> float:
    """Largest noise, µV rms referred to the input, that the quietest stretch of a record leaves room for.

    Parameters
    ----------
    x_uv : ndarray, shape (n_samples,), µV
        Raw, without lost samples.
    fs_hz : float
    mains_hz : tuple of float
        Multiples of these are left out.
    """
    n = round(SEGMENT_S * fs_hz)
    f_hz = np.fft.rfftfreq(n, 1.0 / fs_hz)
    used = (f_hz > BAND[0] * fs_hz) & (f_hz < BAND[1] * fs_hz)
    for mains in mains_hz:
        used &= np.abs(f_hz - np.round(f_hz / mains) * mains) > AWAY_HZ
    shape = np.sinc(f_hz[used] / fs_hz) ** 6
    levels = []
    for at in range(0, len(x_uv) - n + 1, n // 2):
        _f, density = psd(x_uv[None, at : at + n], fs_hz=fs_hz, segment_samples=n)
        # The median of a periodogram is ln 2 of its mean.
        levels.append(float(np.median(density[0, used] / shape)) / np.log(2.0))
    return float(np.sqrt(np.quantile(levels, 0.05) * BANDWIDTH * fs_hz)) if levels else float("nan")


def idle_channels(
    x_uv: F64, *, fs_hz: float, channels: tuple[str, ...], limits: Limits, full_uv: float = FULL_UV
) -> list[Result]:
    """One result a channel: dead, railed, its noise bounded below the limit, or not to be told.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), µV
        Raw; lost samples are NaN.
    full_uv : float
        Full scale; by default that of gain 24.
    """
    results = []
    for row, label in zip(x_uv, channels, strict=True):
        x = row[np.isfinite(row)]
        at_end = float((np.abs(x) > RAILED * full_uv).mean()) if len(x) else 0.0
        facts: dict[str, float | str]
        if not len(x) or (np.ptp(x) == 0.0 and not at_end):
            facts = {"fault": "dead", "size": 0.0, "size_unit": ""}
            reason = _("{channel} is dead: it does not even show noise.").format(channel=label)
            results.append(judged(limits, TEST, label, 0.0, 0.0, fails=reason, facts=facts))
            continue
        if at_end > 0.5:
            facts = {"fault": "railed", "size": 0.0, "size_unit": ""}
            reason = _("{channel} stands at the end of its range.").format(channel=label)
            results.append(judged(limits, TEST, label, 0.0, 0.0, fails=reason, facts=facts))
            continue
        bound = noise_bound(x, fs_hz=fs_hz)
        largest = float(np.abs(x).max())
        facts = {"largest_mv": largest / 1000.0, "headroom_percent": 100.0 * (1.0 - largest / full_uv)}
        if bound <= (limits[TEST].high or 0.0):
            results.append(judged(limits, TEST, label, bound, 0.0, facts=facts))
        else:
            reason = _(
                "Something was at the inputs of {channel}: its quietest seconds bound the noise by {value} µV rms only."
            ).format(channel=label, value=f"{bound:.2f}")
            results.append(not_measured(limits, TEST, label, reason, {**facts, "bound_uv": bound}))
    return results
