"""Host time of a device's clock, from bounds that cannot be wrong.

A packet never arrives before it was sent: each arrival is an upper bound of the host time at which the device's clock
showed what the packet says. A command is never received before it was written: each answer adds a lower bound. The
fit is what all bounds of the last minutes agree on, so a late packet, a stall or a burst cannot bend it, and the
room they leave covers the true error.

Two things are assumed, both in `Limits`: how far a clock may be off and how quickly its rate may change; and, while
no lower bound is known, how late the promptest of twelve seconds of packets can be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Limits", "TunnelFit"]

F64 = NDArray[np.float64]

US = 1000.0  # nominal ns per device µs
BUCKET_US = 4_000_000  # of each kind of bound the tightest of every 4 device seconds is kept
NEWS_NS = 50e3  # a bound that is tighter by less does not change the fit at once
TIGHTEST = 6
USUAL_LATENCY_NS = 8e6  # half of a USB adapter's timer: the best guess where there are arrivals only
GROUP = 3  # buckets whose promptest packet is late by `latency_ns` at most


@dataclass(frozen=True, slots=True)
class Limits:
    """What a clock is trusted to keep.

    Parameters
    ----------
    rate_error : float
        Most that a device's clock may be off; 2.5 % is an uncalibrated RC oscillator.
    wander_per_s : float
        Most that its rate may change in a second: a crystal that warms by 1 °C a minute changes by
        about half a ppm a minute.
    latency_ns : float
        Latest that the promptest packet of twelve seconds can come: a USB adapter's 16 ms, the line, and some.
    window_s : float
        Age at which a bound is forgotten.
    """

    rate_error: float = 0.03
    wander_per_s: float = 0.01e-6
    latency_ns: float = 20e6
    window_s: float = 240.0


class _Bounds:
    """The tightest bound of each bucket, newest last: device µs, host ns."""

    def __init__(self, sign: float) -> None:
        self._sign = sign  # +1: upper bounds, lower is tighter; -1: lower bounds
        self._us: list[float] = []
        self._ns: list[float] = []

    def __len__(self) -> int:
        return len(self._us)

    def add(self, us: float, ns: float, rate: float) -> bool:
        """True if it says something new."""
        if self._us and us // BUCKET_US <= self._us[-1] // BUCKET_US:
            tighter_ns = -self._sign * (ns - self._ns[-1] - rate * (us - self._us[-1]))
            if tighter_ns > 0:
                self._us[-1], self._ns[-1] = us, ns
            return tighter_ns > NEWS_NS
        self._us.append(us)
        self._ns.append(ns)
        return True

    def forget(self, before_us: float) -> None:
        n = 0
        while n < len(self._us) and self._us[n] < before_us:
            n += 1
        del self._us[:n], self._ns[:n]

    def shift(self, us: float) -> None:
        self._us = [at + us for at in self._us]

    def arrays(self) -> tuple[F64, F64]:
        return np.array(self._us), np.array(self._ns)


class TunnelFit:
    """The straight line, now, that all bounds leave room for.

    Attributes
    ----------
    rate : float
        Host ns per device µs.
    rate_uncertainty : float
        The true rate lies within `rate` ± this.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = Limits() if limits is None else limits
        self.rate = US
        self.rate_uncertainty = US * self._limits.rate_error
        self._at_us = 0.0
        self._at_ns = 0.0
        self._width_ns = np.inf  # the truth is no further from `_at_ns`
        self._upper, self._lower = _Bounds(+1.0), _Bounds(-1.0)

    @property
    def known(self) -> bool:
        """A bound has come, so `host_ns` means something."""
        return bool(np.isfinite(self._width_ns))

    def not_after(self, us: float, ns: float) -> None:
        """The device's clock showed `us` at host time `ns` or before."""
        if self._upper.add(us, ns, self.rate) or not self.known:
            self._fit(us)

    def not_before(self, us: float, ns: float) -> None:
        """The device's clock showed `us` at host time `ns` or later."""
        if self._lower.add(us, ns, self.rate) or not self.known:
            self._fit(us)

    def host_ns(self, us: float) -> float:
        return self._at_ns + self.rate * (us - self._at_us)

    def uncertainty_ns(self, us: float) -> float:
        """The true host time lies within `host_ns` ± this."""
        age_us = abs(us - self._at_us)
        wander = US * self._limits.wander_per_s * 1e-6 * age_us
        return float(self._width_ns + (self.rate_uncertainty + wander / 2) * age_us)

    def shift(self, us: float) -> None:
        """The device's clock is known to be `us` further than was thought."""
        self._upper.shift(us)
        self._lower.shift(us)
        self._at_us += us

    def _fit(self, now_us: float) -> None:
        before_us = now_us - self._limits.window_s * 1e6
        while True:
            self._upper.forget(before_us)
            self._lower.forget(before_us)
            if self._agree(now_us):
                return
            # A clock that was set or pulled to another rate contradicts its own past: forget the older half of it.
            before_us += max((now_us - before_us) / 2, 1.0)

    def _agree(self, now_us: float) -> bool:
        """Take what the bounds leave at `now_us`; False if they contradict each other."""
        if not len(self._upper) and not len(self._lower):
            self._width_ns = np.inf
            return True
        limits = self._limits
        upper_us, upper_ns = self._upper.arrays()
        if len(self._lower):
            lower_us, lower_ns = self._lower.arrays()
        else:
            lower_us, lower_ns = self._assumed(upper_us, upper_ns)
        wander = US * limits.wander_per_s * 1e-6  # per µs
        low, high = US * (1 - limits.rate_error), US * (1 + limits.rate_error)
        if len(upper_us) and len(lower_us):
            # Between a lower and an upper bound the mean rate is bounded; the present one may have wandered since.
            apart = upper_us[None, :] - lower_us[:, None]
            rise = upper_ns[None, :] - lower_ns[:, None]
            since = now_us - np.minimum(upper_us[None, :], lower_us[:, None])
            slope = rise / np.where(apart == 0, np.inf, apart)
            high = min(high, float(np.min(slope + wander * since, where=apart > 0, initial=np.inf)))
            low = max(low, float(np.max(slope - wander * since, where=apart < 0, initial=-np.inf)))
            if low > high:
                return False
        # While the bounds say little, the nominal rate is the better guess; as they close in, it counts for nothing.
        middle, width = (low + high) / 2, (high - low) / 2
        rate = middle + (min(max(US, low), high) - middle) * width / (US * limits.rate_error)
        spare = max(high - rate, rate - low)
        above, above_by = _carried(upper_us, upper_ns, now_us, rate, spare, wander)
        below, below_by = _carried(lower_us, lower_ns, now_us, rate, spare, wander)
        ceiling = float(np.min(above + above_by, initial=np.inf))
        floor = float(np.max(below - below_by, initial=-np.inf))
        if floor > ceiling:
            return False
        if not len(above):
            ceiling = float(np.max(below + below_by)) + limits.latency_ns
        if not len(below):
            floor = float(np.min(above - above_by)) - limits.latency_ns
        # The truth lies as far behind a side as the tightest bounds of that side lie apart, on average.
        room = ceiling - floor
        over, under = _spacing(above + above_by), _spacing(below_by - below)
        share = under / (over + under) if over + under > 0 else 0.5
        if not len(self._lower):
            share = max(1 - USUAL_LATENCY_NS / room, 0.5) if room else 0.5
        self.rate, self.rate_uncertainty = rate, spare
        self._at_us, self._at_ns = now_us, floor + share * room
        self._width_ns = max(share, 1 - share) * room
        return True

    def _assumed(self, us: F64, ns: F64) -> tuple[F64, F64]:
        """Lower bounds from arrivals alone: the promptest packet of each whole group of seconds."""
        n = len(us) // GROUP * GROUP
        if not n:
            return us[:0], ns[:0]
        rows = np.arange(n).reshape(-1, GROUP)
        late = (ns - ns[0] - self.rate * (us - us[0]))[:n].reshape(-1, GROUP)
        promptest = rows[np.arange(len(rows)), late.argmin(axis=1)]
        return us[promptest], ns[promptest] - self._limits.latency_ns


def _carried(us: F64, ns: F64, now_us: float, rate: float, spare: float, wander: float) -> tuple[F64, F64]:
    """Bounds carried to `now_us`, and by how much they may be wrong there."""
    age = now_us - us
    far = np.abs(age)
    return ns + rate * age, (spare + wander / 2 * far) * far


def _spacing(bounds: F64) -> float:
    """Mean distance between the tightest few of upper bounds."""
    k = min(TIGHTEST, len(bounds))
    if k < 2:
        return 0.0
    tight = np.partition(bounds, k - 1)[:k]
    return float((tight.max() - tight.min()) / (k - 1))
