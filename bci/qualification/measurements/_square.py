"""The converter's own test signal in a record: one mean period of it, its levels, and its edges.

The square wave is made by the converter's clock, so its period is an exact number of samples (256 or 128 at 250 Hz) and
all periods of a record fall on each other, whatever that clock runs at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.chunks import F64
from bci.qualification.result import Taken
from firmware_protocol import TestSignal

__all__ = ["NOMINAL_UV", "Levels", "levels", "mean_period", "period_of"]

#: VREF / 2400 with a reference of 4.5 V (data sheet SBAS499C, 9.6.1.3).
NOMINAL_UV = 4.5e6 / 2400
CLOCK_HZ = 2_048_000
DIVIDER = {TestSignal.SLOW: 2**21, TestSignal.FAST: 2**20}
QUIET = 0.2  # of half a period, behind an edge, is left for it to settle


@dataclass(frozen=True, slots=True)
class Levels:
    """Half the step, its middle, and the standard uncertainty of both; `edge` is the sample of the rising edge."""

    amplitude: float
    middle: float
    uncertainty: float
    edge: float


def period_of(taken: Taken) -> int:
    """Samples in a period of the test signal."""
    return int(taken.info.rate * DIVIDER[taken.take.setting.test_signal] / CLOCK_HZ)


def mean_period(taken: Taken) -> tuple[F64, F64]:
    """Mean over all periods, by conversion number modulo the period, and its standard uncertainty.

    Returns
    -------
    mean, uncertainty : ndarray, shape (n_channels, period)
    """
    period = period_of(taken)
    first = -(-taken.first_sample // period) * period - taken.first_sample
    n = (taken.n_samples - first) // period
    folded = taken.data_uv[:, first : first + n * period].reshape(len(taken.data_uv), n, period)
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(folded, axis=1)
        noise = np.nanmean(np.nanvar(folded, axis=1, ddof=1), axis=-1) if n > 1 else np.zeros(len(mean))
    return mean, np.sqrt(noise / max(n, 1))[:, None] * np.ones(period)


def levels(period_uv: F64, uncertainty: float) -> Levels:
    """Upper and lower level of one mean period (n,), the samples behind each edge left out."""
    n = len(period_uv)
    half = n // 2
    running = np.concatenate(([0.0], np.cumsum(np.concatenate([period_uv, period_uv]))))
    # where the half period behind it is highest
    edge = int(np.argmax(running[half : half + n] - running[:n]))
    turned = np.roll(period_uv, -edge)
    quiet = max(4, round(QUIET * half))
    upper, lower = turned[quiet : half - 1], turned[half + quiet : n - 1]
    high, low = float(upper.mean()), float(lower.mean())
    spread = max(uncertainty, 1e-12) / np.sqrt(len(upper))
    return Levels((high - low) / 2, (high + low) / 2, float(spread) / np.sqrt(2), edge)
