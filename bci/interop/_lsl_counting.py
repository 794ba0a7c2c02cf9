"""How many samples are missing, told from the time stamps of a stream. No library, no clock.

Rules
-----
- LSL itself loses nothing while a connection lasts; samples are missing where an amplifier lost them, a listener was
  too slow for minutes, or a stream came back. Then time stamps jump, and stay behind the jump.
- In a stream whose stamps are regular (a sample clock's, or smoothed), a step of about a whole number of periods, 2 or
  more, is a gap of that length less one. In one whose stamps are times of arrival, steps wander by themselves: there
  only a step of more than a quarter of a second is a gap. Which of the two it is shows in its first second.
- A step back (the clock of the other computer was set) is no gap; counting goes on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["SampleCounter"]

WANDER = 0.3  # of a period: what regular stamps stay within
IRREGULAR_GAP_S = 0.25
TRUST_AFTER_S = 1.0
DISTRUST_S = 10.0
MEASURE_OVER = 400  # samples


class SampleCounter:
    """Time stamps in, stretches without a gap out.

    Parameters
    ----------
    fs_hz : float
        Nominal rate.
    exact : bool
        The stream says that its stamps are a sample clock's: regular from the first one on.
    """

    def __init__(self, fs_hz: float, *, exact: bool = False) -> None:
        self._nominal = fs_hz
        self._period = 1.0 / fs_hz
        self._last = math.nan
        self._wait = 0 if exact else round(TRUST_AFTER_S * fs_hz)  # samples until steps are trusted
        self._begin: tuple[float, int] = (math.nan, 0)  # stamp and number where this stretch began
        self._n = 0

    @property
    def fs_hz(self) -> float:
        """Measured; the nominal rate until there are enough samples."""
        return 1.0 / self._period

    def restart(self) -> None:
        """What comes next follows nothing."""
        self._last = math.nan

    def cut(self, stamps: NDArray[np.float64]) -> list[tuple[int, int, int]]:
        """(begin, end, samples lost before begin) of each stretch."""
        pieces: list[tuple[int, int, int]] = []
        begin = lost_before = 0
        for at, stamp in enumerate(stamps.tolist()):
            lost = self._missing(stamp - self._last)
            if lost:
                if at > begin:
                    pieces.append((begin, at, lost_before))
                begin, lost_before = at, lost
            if lost or math.isnan(self._last) or stamp < self._last:
                self._begin = (stamp, self._n)
            self._last = stamp
            self._n += 1
        if len(stamps) > begin:
            pieces.append((begin, len(stamps), lost_before))
        since, number = self._begin
        if self._n - number > MEASURE_OVER and self._last > since:
            measured = (self._last - since) / (self._n - 1 - number)
            if abs(measured * self._nominal - 1.0) < 0.05:
                self._period = measured
        return pieces

    def _missing(self, step_s: float) -> int:
        if not step_s > 0.0:  # the first one, or a clock that was set
            return 0
        periods = step_s / self._period
        whole = round(periods)
        if whole == 1 and abs(periods - 1.0) <= WANDER:
            self._wait = max(0, self._wait - 1)
            return 0
        if self._wait == 0 and whole >= 2 and abs(periods - whole) <= WANDER + 0.03 * whole:
            return whole - 1
        if step_s > IRREGULAR_GAP_S and whole >= 2:
            return whole - 1
        self._wait = round(DISTRUST_S * self._nominal)
        return 0
