"""When a sample was taken: conversion numbers to host time, without reading a clock.

Rules
-----
- The device stamps its DATA with its own clock, so a sample's device time is known to the µs, whatever its converter's
  rate is. What remains is that clock against the host's: `TunnelFit`, from arrivals (never early) and two-way probes
  (an answer carries the device's time at receipt of the command).
- Host time is monotonic ns. Steps of the wall clock do not exist here; it is metadata.
- A time that was told stays: the course through the samples of a run has no step and always rises. A better estimate
  is approached within a second, at 4 % of the rate at most.
- Lost samples bend nothing: every frame says by itself where it lies. Runs and boots each begin a course of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from bci.acquisition._clock_fit import Limits, TunnelFit

__all__ = ["SampleClock"]

HALF = 1 << 31
FULL = 1 << 32
MAX_SLEW = 0.04  # of the rate
SLEW_NS = 1e9  # in which an error is taken out
RATE_US = 10e6  # over which the converter's rate is measured
SETTLE_S = (
    1.0  # at the beginning of a run, while the rate is being learnt, the course bends ten times as often
)
MAX_KNOTS = 4096  # an hour


class SampleClock:
    """Host time of each conversion of one board.

    Parameters
    ----------
    limits : Limits, optional
        What the device's clock is trusted to keep.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = Limits() if limits is None else limits
        self.nominal_hz = 0.0  #: What the board states.
        self.n_probes = 0  #: Two-way probes taken in.
        self._floor_ns = 0.0  # every time told so far is below
        self.booted()

    # ---- what is known ----

    @property
    def known(self) -> bool:
        """DATA has come, so `time_of` means something."""
        return bool(self._knot_sample)

    @property
    def fs_hz(self) -> float:
        """Measured sampling rate in host time; the nominal one until 50 ms of signal were seen."""
        return 1e9 / (self._period_us * self._fit.rate) if self._period_us else self.nominal_hz

    @property
    def drift_ppm(self) -> float:
        """How much faster than its nominal rate the board samples."""
        return (self.fs_hz / self.nominal_hz - 1.0) * 1e6 if self.nominal_hz else 0.0

    @property
    def drift_uncertainty_ppm(self) -> float:
        """Of `drift_ppm`."""
        return self._fit.rate_uncertainty / self._fit.rate * 1e6

    @property
    def uncertainty_s(self) -> float:
        """The times of the newest samples are right within this; infinite while nothing is known."""
        if not self.known or self._device_us is None:
            return float("inf")
        sample, us = self._newest
        behind_ns = abs(self._fit.host_ns(us) - self._told(sample))
        return (self._fit.uncertainty_ns(us) + behind_ns) * 1e-9

    @overload
    def time_of(self, sample: int) -> int: ...
    @overload
    def time_of(self, sample: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def time_of(self, sample: Any) -> Any:
        """Monotonic ns at which conversions were made.

        Parameters
        ----------
        sample : int, or ndarray of int64
            64-bit conversion numbers of this boot; of about the last hour.

        Raises
        ------
        ValueError
            If no DATA has come yet.
        """
        if not self.known:
            raise ValueError("no DATA has come yet, so no sample has a time; read chunks first")
        if np.ndim(sample) == 0:
            number = int(sample)
            k = self._knot_before(number)
            whole = int(self._knot_ns[k])
            part = self._knot_ns[k] - whole
            return whole + round(part + (number - self._knot_sample[k]) * self._knot_step[k])
        numbers = np.asarray(sample, np.int64)
        if not numbers.size:
            return numbers
        wanted = slice(self._knot_before(int(numbers.min())), self._knot_before(int(numbers.max())) + 1)
        at, ns = np.array(self._knot_sample[wanted]), np.array(self._knot_ns[wanted])
        rows = np.maximum(np.searchsorted(at, numbers, side="right") - 1, 0)
        wholes = ns.astype(np.int64)
        steps = (numbers - at[rows]) * np.array(self._knot_step[wanted])[rows]
        return wholes[rows] + np.rint((ns - wholes)[rows] + steps).astype(np.int64)

    def sample_at(self, ns: int) -> float:
        """Conversion number, with its fraction, at a monotonic time. ValueError as `time_of`."""
        if not self.known:
            raise ValueError("no DATA has come yet, so no time has a sample; read chunks first")
        k = max(bisect_right(self._knot_ns, ns) - 1, 0)
        return self._knot_sample[k] + (ns - self._knot_ns[k]) / self._knot_step[k]

    # ---- what comes in ----

    def booted(self) -> None:
        """The board was reset: its clock and its numbers begin anew."""
        self._fit = TunnelFit(self._limits)
        self._device_us: int | None = None  # the latest device time, 64 bits
        self._newest = (0, 0.0)  # sample that came last, and its device time
        self._knot_sample: list[int] = []
        self._knot_ns: list[float] = []
        self._knot_step: list[float] = []  # ns from sample to sample behind the knot
        self._period_us = 0.0
        self.run_began()

    def configured(self, fs_hz: float) -> None:
        """The board states its sampling rate."""
        if fs_hz != self.nominal_hz:
            self.nominal_hz = fs_hz
            self._period_us = 0.0
            self._anchors.clear()

    def run_began(self) -> None:
        """The next DATA is the first of a run: the converter paused before it."""
        self._in_run = False
        self._run_sample = 0
        self._anchors: list[tuple[int, int]] = []  # (sample, device µs), about one a second

    def device_time(self, us: int) -> None:
        """A device time of 64 bits came, so what is known of its upper half can be put right."""
        if self._device_us is not None:
            off = (us - self._device_us + HALF) // FULL * FULL
            if off:
                self._fit.shift(off)
                self._anchors = [(sample, at + off) for sample, at in self._anchors]
                self._device_us += off
                if self.known:
                    self._newest = (self._newest[0], self._newest[1] + off)
        self._device_us = us if self._device_us is None else max(us, self._device_us)

    def probe(self, sent_ns: int, device_us: int, received_ns: int) -> None:
        """A command written at `sent_ns` was received at `device_us`, its answer came at `received_ns`."""
        if received_ns <= sent_ns:
            return  # the answer to an earlier command of the same number
        self.device_time(device_us)
        self.n_probes += 1
        self._fit.not_after(device_us, received_ns)
        self._fit.not_before(device_us, sent_ns)

    def data(
        self,
        last_sample: NDArray[np.int64],
        n_samples: NDArray[np.int64],
        t_us: NDArray[np.uint32],
        arrived_ns: NDArray[np.int64],
        *,
        line_ns: float = 0.0,
    ) -> None:
        """DATA frames whose conversions follow each other.

        Parameters
        ----------
        last_sample, n_samples : ndarray, shape (n_frames,), int64
            64-bit number of each frame's last sample, and how many it holds.
        t_us : ndarray, shape (n_frames,), uint32
            Low 32 bits of the device's time at its first sample.
        arrived_ns : ndarray, shape (n_frames,), int64
            Monotonic time when it was whole.
        line_ns : float
            Time that the longest of them is on the line for; 0 where that is not known.
        """
        first_sample = last_sample - n_samples + 1
        first, newest = int(first_sample[0]), int(last_sample[-1])
        us = self._unwrapped(t_us)
        self._measure_period(int(first_sample[-1]), int(us[-1]))
        period_us = self._period_us or (1e6 / self.nominal_hz if self.nominal_hz else 0.0)
        last_us = us + (n_samples - 1) * period_us
        late = arrived_ns - line_ns - self._fit.rate * (last_us - last_us[0])
        k = int(late.argmin())
        self._fit.not_after(float(last_us[k]), float(arrived_ns[k]) - line_ns)
        self._newest = (newest, float(last_us[-1]))
        self._tell(first, float(us[0]), newest, float(last_us[-1]), period_us * self._fit.rate)

    def _unwrapped(self, t_us: NDArray[np.uint32]) -> NDArray[np.int64]:
        low = t_us.astype(np.int64)
        if self._device_us is None:
            self._device_us = int(low[0])
        steps = (np.diff(low) + HALF) % FULL - HALF
        start = self._device_us + (int(low[0]) - self._device_us + HALF) % FULL - HALF
        us = start + np.concatenate(([0], np.cumsum(steps)))
        self._device_us = max(self._device_us, int(us[-1]))
        return us

    def _measure_period(self, sample: int, us: int) -> None:
        anchors = self._anchors
        if not anchors or us - anchors[-1][1] >= 1e6:
            anchors.append((sample, us))
            while us - anchors[0][1] > RATE_US and len(anchors) > 2:
                anchors.pop(0)
        oldest_sample, oldest_us = anchors[0]
        if us - oldest_us >= 50e3:
            self._period_us = (us - oldest_us) / (sample - oldest_sample)

    # ---- the course through the samples ----

    def _tell(self, first: int, first_us: float, newest: int, newest_us: float, step_ns: float) -> None:
        """Continue the course up to sample `newest`."""
        if not self._in_run:
            self._in_run = True
            self._run_sample = first
            self._knot(first, max(self._fit.host_ns(first_us), self._floor_ns + 1.0), step_ns)
        second = SLEW_NS / step_ns
        pause = second / 10 if newest - self._run_sample < SETTLE_S * second else second
        if newest - self._knot_sample[-1] >= pause:
            bend = self._knot_sample[-1] + int(second)
            if newest > bend:  # nothing came meanwhile: the error was taken out long before
                self._knot(bend, self._told(bend), step_ns)
            told = self._told(newest)
            error_ns = self._fit.host_ns(newest_us) - told
            self._knot(newest, told, step_ns * (1.0 + min(max(error_ns / SLEW_NS, -MAX_SLEW), MAX_SLEW)))
        self._floor_ns = max(self._floor_ns, self._told(newest))

    def _knot(self, sample: int, ns: float, step_ns: float) -> None:
        self._knot_sample.append(sample)
        self._knot_ns.append(ns)
        self._knot_step.append(step_ns)
        if len(self._knot_sample) > MAX_KNOTS:
            del self._knot_sample[0], self._knot_ns[0], self._knot_step[0]

    def _knot_before(self, sample: int) -> int:
        return max(bisect_right(self._knot_sample, sample) - 1, 0)

    def _told(self, sample: int) -> float:
        k = self._knot_before(sample)
        return self._knot_ns[k] + (sample - self._knot_sample[k]) * self._knot_step[k]
