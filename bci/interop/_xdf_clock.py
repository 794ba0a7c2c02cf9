"""Time of an XDF stream: from its own clock to that of the computer that recorded, and free of jitter.

Rules
-----
- Clock offsets become a line, fitted robustly [1]_: an offset that was measured late pulls it no more than one that is
  `HUBER_S` off. Where the clock was set anew a new line begins.
- Samples of a regular stream lie on a line over their number. A jump of more than a second and more than 500 samples
  begins a new one: a gap. Shorter ones are jitter.

Limits and thresholds are those of pyxdf, so that both put a sample at the same time.

References
----------
.. [1] P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35(1):73-101, 1964.
   doi:10.1214/aoms/1177703732
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64

__all__ = ["ClockMap", "Lines", "Stretch"]

HUBER_S = 1e-4
ROUNDS, STILL = 1000, 1e-9  # of the fit, and how little its weights then change
GAP_S, GAP_SAMPLES = 1.0, 500
# A clock was set anew where both the times and the values of the offsets jump: beyond so many deviations, and so far.
LATE, LATE_S = 5, 5.0
FAR, FAR_S = 10, 1.0


class ClockMap:
    """What the clock offsets add to the time stamps of a stream, which come in order and in any pieces.

    Parameters
    ----------
    clock : sequence of (float, float)
        Of `XdfStream`.
    """

    def __init__(self, clock: Sequence[tuple[float, float]]) -> None:
        times, values = np.array(clock, dtype=np.float64).reshape(-1, 2).T
        edges = [0, *_resets(times, values), len(times)] if len(times) else []
        self._lines = [_line(times[a:b], values[a:b]) for a, b in pairwise(edges)]
        # last offset of one line, first of the next
        self._turns = [(times[k - 1], times[k]) for k in edges[1:-1]]

    def apply(self, stamps: F64) -> F64:
        """The next time stamps, corrected."""
        if not self._lines:
            return stamps
        out = stamps.copy()
        done = 0
        while done < len(out):
            here = stamps[done:]
            n = len(here)
            if self._turns:
                end, begin = self._turns[0]
                nearer_next = np.abs(here - end) >= np.abs(here - begin)
                n = int(np.argmax(nearer_next)) if nearer_next.any() else n
            offset, slope = self._lines[0]
            out[done : done + n] += offset + slope * here[:n]
            done += n
            if done < len(out):
                del self._turns[0], self._lines[0]
        return out


def _resets(times: F64, values: F64) -> list[int]:
    """Offsets that are the first by another clock."""
    steps = np.diff(times)
    if not len(steps):
        return []
    jumps = _outlying(steps, LATE, LATE_S) & _outlying(np.diff(values), FAR, FAR_S)
    return (np.flatnonzero((steps < 0) | jumps) + 1).tolist()


def _outlying(x: F64, deviations: float, least: float) -> NDArray[np.bool_]:
    away = np.abs(x - np.median(x))
    limit = max(least, deviations * (float(np.median(away)) + float(np.finfo(float).eps)))
    return np.asarray(away > limit)


def _line(times: F64, values: F64) -> tuple[float, float]:
    """(offset at time 0, slope), by weights that are found anew until they stay."""
    weights = np.ones(len(times))
    for _ in range(ROUNDS):
        middle, mean = np.average(times, weights=weights), np.average(values, weights=weights)
        away = times - middle
        spread = weights @ away**2
        slope = float(weights @ (away * (values - mean)) / spread) if spread > 0 else 0.0
        offset = float(mean - slope * middle)
        before, weights = weights, HUBER_S / np.maximum(np.abs(values - offset - slope * times), HUBER_S)
        if np.abs(weights - before).max() < STILL:
            break
    return offset, slope


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples without a gap: number of the first, how many, time of the first and between two, s."""

    first: int
    n_samples: int
    start_s: float
    period_s: float

    @property
    def end_s(self) -> float:
        """Time of the last sample."""
        return self.start_s + (self.n_samples - 1) * self.period_s

    def stamps(self) -> F64:
        return self.start_s + np.arange(self.n_samples, dtype=np.float64) * self.period_s


class Lines:
    """Straight lines through the corrected time stamps of a regular stream, by least squares.

    Sums are of what differs from the nominal rate, so that long recordings lose no digits.

    Parameters
    ----------
    period_s : float
        By the nominal rate.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._limit_s = max(GAP_S, GAP_SAMPLES * period_s)
        self._done: list[Stretch] = []
        self._first = self._n = 0
        self._start_s = self._last_s = self._sum = self._moment = 0.0

    def take(self, stamps: F64) -> None:
        """The next ones, at least one."""
        steps = np.diff(stamps, prepend=self._last_s if self._n else stamps[0])
        jumps = np.flatnonzero(np.abs(steps) > self._limit_s).tolist()
        for begin, end in pairwise(sorted({0, *jumps, len(stamps)})):
            if begin in jumps:
                self._end()
            if not self._n:
                self._start_s = float(stamps[begin])
            number = self._n + np.arange(end - begin)
            late = stamps[begin:end] - self._start_s - number * self._period_s
            self._sum += float(late.sum())
            self._moment += float(number @ late)
            self._n += end - begin
        self._last_s = float(stamps[-1])

    def finish(self) -> list[Stretch]:
        if self._n:
            self._end()
        return self._done

    def _end(self) -> None:
        n, start_s, period_s = self._n, self._start_s, self._period_s
        middle, spread = (n - 1) / 2, n * (n * n - 1) / 12
        slope = (self._moment - middle * self._sum) / spread if n > 1 else 0.0
        line = Stretch(self._first, n, start_s + self._sum / n - slope * middle, period_s + slope)
        self._done.append(line)
        self._first += n
        self._n = 0
        self._sum = self._moment = 0.0
