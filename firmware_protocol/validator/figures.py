"""Numbers about a capture: what came, what was lost and where, how fast and how evenly.

Everything is a sum or a bounded histogram, so that a day's capture takes no more memory than a second's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from firmware_protocol.frames import Info

__all__ = ["ChannelFigures", "Figures"]

_FIT_POINTS, _FIT_US = 50, 20e6
_EXACT_BELOW_US = 1000  # jitter below this is kept to the µs, above it to three digits


@dataclass(slots=True)
class ChannelFigures:
    """What a channel's counts did over the whole capture."""

    label: str
    minimum: int
    maximum: int
    samples: int = 0
    railed: int = 0  # samples at positive or negative full scale
    changes: int = 0  # samples that differ from the one before
    identical_to: str = ""  # label of an earlier channel with the same samples throughout

    @property
    def state(self) -> str:
        """ "zero", "railed", "stuck", "identical" or "" for a live channel."""
        if self.minimum == self.maximum == 0:
            return "zero"
        if self.samples and self.railed == self.samples:
            return "railed"
        if self.minimum == self.maximum:
            return "stuck"
        return "identical" if self.identical_to else ""


@dataclass(slots=True)
class ClockFit:
    """Device time against host time: a straight line by least squares, in sums. It begins anew if time goes back."""

    first: tuple[float, int, int] | None = None  # host µs, device µs, bytes
    points: int = 0
    span_us: float = 0.0  # host
    n_bytes: int = 0
    _x: float = 0.0
    _y: float = 0.0
    _xx: float = 0.0
    _xy: float = 0.0
    _last_y: float = 0.0

    def add(self, host_us: float, device_us: int, n_bytes: int) -> None:
        """Both clocks at one moment."""
        if self.first is None or device_us - self.first[1] < self._last_y:
            self.first = (host_us, device_us, n_bytes)
            self.points = 0
            self._x = self._y = self._xx = self._xy = self._last_y = 0.0
        x, y = host_us - self.first[0], float(device_us - self.first[1])
        self.points += 1
        self.span_us, self.n_bytes, self._last_y = x, n_bytes - self.first[2], y
        self._x += x
        self._y += y
        self._xx += x * x
        self._xy += x * y

    def pace(self) -> float | None:
        """Device seconds per host second; None over less time than shows more than when bytes happen to be read."""
        if self.points < _FIT_POINTS or self.span_us < _FIT_US:
            return None
        spread = self.points * self._xx - self._x * self._x
        return (self.points * self._xy - self._x * self._y) / spread


@dataclass(slots=True)
class Figures:
    """Sums over a capture. `summary()` gives them as plain values for people and programs."""

    samples: int = 0  # conversions received, repeats not counted
    conversions_missing: int = 0  # by gaps of sample_index
    packets_missing: int = 0  # by gaps of link_seq, damaged ones included
    lost_in_device: int = 0  # between heartbeats, as the device counts them
    lost_on_link: int = 0  # between heartbeats: made, neither dropped nor received
    accounted: int = 0  # conversions between heartbeats that the split covers
    resyncs: int = 0  # times the stream was lost and found again
    bytes_skipped: int = 0  # in damaged stretches
    restarts: int = 0
    channels: list[ChannelFigures] = field(default_factory=list)
    clock_us: int = 0  # device time over the steps that `clock_conversions` counts
    clock_conversions: int = 0
    jitter: Counter[int] = field(default_factory=Counter)  # |deviation| from the nominal interval, µs → steps
    host: ClockFit = field(default_factory=lambda: ClockFit())  # of recordings and live ports

    def step(self, dt_us: int, n_samples: int, period_us: float | None, times: int = 1) -> None:
        """Time between two DATA frames with nothing lost in between; `times` such steps."""
        self.clock_us += dt_us * times
        self.clock_conversions += n_samples * times
        if period_us is not None:
            deviation = abs(round(dt_us - period_us * n_samples))
            if deviation >= _EXACT_BELOW_US:
                digits = 10 ** (len(str(deviation)) - 3)
                deviation -= deviation % digits
            self.jitter[deviation] += times

    def clock(self, host_ns: int, device_us: int, n_bytes: int) -> None:
        """Host and device time when `n_bytes` had come."""
        self.host.add(host_ns / 1e3, device_us, n_bytes)

    def account(self, dropped: int, link: int, received: int) -> None:
        """What lies between two heartbeats of one boot."""
        self.lost_in_device += dropped
        self.lost_on_link += max(link, 0)
        self.accounted += dropped + max(link, 0) + received

    def jitter_us(self, percent: float) -> int | None:
        """Percentile of the deviation from the nominal interval between two DATA frames; None: nothing measured."""
        total = self.jitter.total()
        if not total:
            return None
        below = 0
        for deviation in sorted(self.jitter):
            below += self.jitter[deviation]
            if below >= percent / 100 * total:
                return deviation
        raise AssertionError("percentages end at 100")

    def device_rate_hz(self) -> float | None:
        """Conversions per second of the device's own clock."""
        return 1e6 * self.clock_conversions / self.clock_us if self.clock_us > 0 else None

    def host_rate_hz(self) -> float | None:
        """Conversions per second of the host's clock. None for a simulation that runs faster or slower than time."""
        device, pace = self.device_rate_hz(), self.host.pace()
        return device * pace if device is not None and pace is not None and 0.9 < pace < 1.1 else None

    def link_load(self, size: int, baud: int | None) -> float | None:
        """Part of the line's byte rate that `size` wire bytes took; None: the baud rate or the time is not known."""
        if baud and self.host.span_us >= 10**6:
            return self.host.n_bytes * 10 / baud / (self.host.span_us / 1e6)
        if baud and self.clock_us >= 10**6:
            return size * 10 / baud / (self.clock_us / 1e6)
        return None

    def summary(
        self,
        *,
        frames: dict[str, int],
        faults: dict[str, int],
        size: int,
        info: Info | None,
        baud: int | None,
    ) -> dict[str, Any]:
        """All numbers under names that stay; None where the capture does not tell."""
        nominal = None if info is None else Fraction(info.rate_num, info.rate_den)
        device, host = self.device_rate_hz(), self.host_rate_hz()
        measured = host if host is not None else device
        whole = sum(frames.values())
        crc = faults.get("crc", 0)
        seconds = self.clock_us / 1e6
        return {
            "bytes": size,
            "frames": whole,
            "frames_by_type": frames,
            "faults": sum(faults.values()),
            "faults_by_kind": faults,
            "crc_error_rate": crc / (crc + whole) if crc + whole else None,
            "resyncs": self.resyncs,
            "bytes_skipped": self.bytes_skipped,
            "samples": self.samples,
            "samples_lost": self.conversions_missing,
            "packets_missing": self.packets_missing,
            "lost_in_device": self.lost_in_device if self.accounted else None,
            "lost_on_link": self.lost_on_link if self.accounted else None,
            "restarts": self.restarts,
            "duration_s": seconds if seconds > 0 else None,
            "nominal_rate_hz": None if nominal is None else float(nominal),
            "measured_rate_hz": measured,
            "rate_measured_by": None
            if measured is None
            else "host clock"
            if host is not None
            else "device clock",
            "clock_pace": self.host.pace(),
            "rate_ppm": None
            if measured is None or nominal is None
            else 1e6 * (measured / float(nominal) - 1),
            "jitter_us": {name: self.jitter_us(p) for name, p in _PERCENTILES.items()},
            "link_load": self.link_load(size, baud),
            "channels": [
                {
                    "label": channel.label,
                    "minimum": channel.minimum,
                    "maximum": channel.maximum,
                    "railed": channel.railed,
                    "state": channel.state or "live",
                    "identical_to": channel.identical_to or None,
                }
                for channel in self.channels
            ],
        }


_PERCENTILES = {"median": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}
