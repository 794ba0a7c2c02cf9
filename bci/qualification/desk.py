"""A simulated board without its wire: takes straight from its front end, for the thousands of boards of a self-test.

The very front end of the simulated board converts; packets, port and link are left out, so the link's own figures come
from `Wire` as a sound line would give them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.acquisition.simulator import Bench, FrontEnd
from bci.chunks import SignalInfo
from bci.qualification.limits import Limits, shipped_limits
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.result import Beat, ClockTrack, Measurement, Result, Take, Taken, Wire
from firmware_protocol import LeadOff, TestSignal

__all__ = ["Desk"]

BLOCK = 256  # conversions at once, as a board makes them
FRAME = 6
VREF_UV = 4.5e6
BYTES_PER_SAMPLE = 32
USB_LATE_NS = 300_000


@dataclass(frozen=True, slots=True)
class _Setup:
    rate: Fraction
    inputs: tuple[tuple[int, int, bool], ...]
    lead_off: LeadOff
    test_signal: TestSignal
    test_amplitude: int


@dataclass(slots=True)
class Desk:
    """One board on a bench that connects itself.

    Parameters
    ----------
    seed : int
    faults : iterable of mapping
        As `parse_bench_fault` gives them.
    n_channels : int
    forgotten : tuple of str
        Kinds of connections that the operator forgets: open cables are there instead.

    Attributes
    ----------
    truths : list of dict
        True size of each fault.
    """

    seed: int = 0
    faults: Iterable[Mapping[str, Any]] = ()
    n_channels: int = 8
    forgotten: tuple[str, ...] = ()
    truths: list[dict[str, Any]] = field(default_factory=list)
    _front_end: FrontEnd = field(init=False)
    _at: int = 0

    def __post_init__(self) -> None:
        self._front_end = FrontEnd(Bench(n_channels=self.n_channels).channels, seed=self.seed)
        self.truths += [self._front_end.fault(fault) for fault in self.faults]

    def connect(self, kind: str, **options: float | str) -> None:
        """As the simulated board's."""
        if kind in self.forgotten:
            self._front_end.connect("nothing")
        else:
            self._front_end.connect(kind, at=self._at, **options)

    def take(self, take: Take) -> Taken:
        """What a recording of `take` would hold."""
        front_end, setting = self._front_end, take.setting
        options = dict(take.connect)
        self.connect(str(options.pop("kind")), **options)
        setup = _Setup(
            Fraction(setting.rate_hz),
            tuple((setting.gain, setting.mux_of.get(k, setting.mux), True) for k in range(self.n_channels)),
            setting.lead_off,
            setting.test_signal,
            setting.amplitude,
        )
        settle, n = (round(s * setting.rate_hz) for s in (take.settle_s, take.seconds))
        first = self._at
        parts: list[NDArray[np.int32]] = []
        bits: list[NDArray[np.bool_]] = []
        lost = 0
        while self._at < first + settle + n:
            at, count = self._at, min(BLOCK, first + settle + n - self._at)
            parts.append(front_end.convert(at, count, setup))
            bits.append(self._comparators(at, count, setup))
            lost += front_end.missed(at, at + count, setup.rate)
            self._at += count
        scale = VREF_UV / setting.gain / (2**23 - 1)
        return Taken(
            take=take,
            info=SignalInfo(
                front_end.channels,
                setup.rate,
                (scale,) * self.n_channels,
                device=f"simulated {self.seed} 1.0",
            ),
            data_uv=np.asfortranarray(np.hstack(parts)[:, settle:] * scale),
            first_sample=first + settle,
            lead_off=np.hstack(bits)[:, settle:],
            lost_device=lost,
            wire=Wire((settle + n) * BYTES_PER_SAMPLE, (settle + n) // FRAME, 0, 0, 92_160.0),
            beats=tuple(
                Beat(
                    at,
                    round(front_end.supply_mv(at, setup.rate)),
                    round(front_end.temperature_c(at, setup.rate), 1),
                )
                for at in range(first, self._at, setting.rate_hz)
            ),
            clock=self._clock(first, settle + n, setup.rate),
        )

    def run(self, measurements: Sequence[Measurement] = (), limits: Limits | None = None) -> list[Result]:
        """All results of a board; by default of every measurement that is not optional."""
        judge_by = shipped_limits() if limits is None else limits
        chosen = measurements or [m for m in MEASUREMENTS if not m.optional]
        results: list[Result] = []
        for measurement in chosen:
            takens: list[Taken] = []
            found: list[Result] = []
            for take in measurement.takes(self.n_channels):
                taken = self.take(take)
                takens = [*takens[:1], taken] if measurement.until_failure else [*takens, taken]
                if measurement.until_failure:
                    found = measurement.evaluate(takens, judge_by)
                    if any(result.verdict == "fail" for result in found):
                        break
            results += found if measurement.until_failure else measurement.evaluate(takens, judge_by)
        return results

    def _comparators(self, first: int, n: int, setup: _Setup) -> NDArray[np.bool_]:
        found = np.zeros((self.n_channels, n), dtype=np.bool_)
        edges = [first, *self._front_end.edges(first, first + n, setup), first + n]
        for begin, end in pairwise(edges):
            word = self._front_end.lead_off_bits(begin, setup)
            found[:, begin - first : end - first] = [[bool(word >> k & 1)] for k in range(self.n_channels)]
        return found

    def _clock(self, first: int, n: int, rate: Fraction) -> ClockTrack:
        truth = self._front_end.truth
        rng = np.random.default_rng((self.seed, 30, first))
        packets = first + np.arange(0, n - FRAME, FRAME, dtype=np.int64)
        device_us = np.rint(
            (packets - first) * 1e6 / float(rate) + rng.normal(0.0, truth.jitter_us, len(packets))
        )
        tenths = first + np.arange(0, n, math.ceil(float(rate) / 10), dtype=np.int64)
        ns = (tenths - first) / float(rate) / (1 + truth.clock_ppm * 1e-6) * 1e9 + rng.exponential(
            USB_LATE_NS, len(tenths)
        )
        nothing = np.empty(0, dtype=np.int64)
        return ClockTrack(
            sample=packets + FRAME - 1,
            arrived_ns=nothing,
            device_us=device_us.astype(np.int64),
            n_samples=np.full(len(packets), FRAME, dtype=np.int64),
            reference_sample=tenths,
            reference_ns=ns.astype(np.int64),
        )
