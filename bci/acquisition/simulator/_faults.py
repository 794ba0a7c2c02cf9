"""Faults on demand: what goes wrong with electrodes, converter bus and cable, and exactly where.

Each fault is set once and reports every time it acts, so that a test can hold a decoder's findings against
the truth. Bytes are counted as the board sends them, before damage; samples by the board's conversion number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNAL_FAULTS", "WIRE_FAULTS", "SignalFaults", "WireFaults"]

Report = Callable[[dict[str, Any]], None]

#: kind → what it does at the byte it is set for
WIRE_FAULTS: Mapping[str, str] = {
    "lose": "the byte is lost",
    "duplicate": "the byte is sent twice",
    "flip": "one bit of the byte is inverted",
    "burst": "twenty random bytes come before it",
    "text": "a bootloader speaks before it",
}
SIGNAL_FAULTS = ("saturate", "flat", "noisy", "lead_off", "spi_slip")
_BOOT_TEXT = (
    b"\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n"  # what a bootloader says on a line that should be binary
)
_NOISE_COUNTS = 20_000  # about 450 µV rms
_NOISE_PAGE = 1024


@dataclass(slots=True)
class _WireFault:
    kind: str
    at_byte: int
    every_bytes: float
    times: float  # infinity: for good


class WireFaults:
    """Damage to bytes between the board's UART and the host. Any cut of the bytes gives the same damage.

    Parameters
    ----------
    report : callable
        Takes `{"fault", "byte", "wire_byte", "was", "became"}` for every act: position before damage and as
        it leaves, the byte and what it became, in hexadecimal.
    seed : int
    """

    def __init__(self, report: Report, *, seed: int) -> None:
        self._report = report
        self._rng = np.random.default_rng((seed, 4))
        self._faults: list[_WireFault] = []
        self.byte = 0  # clean bytes so far
        self.wire_byte = 0  # bytes let out so far

    def add(
        self, kind: str, *, at_byte: int | None = None, every_bytes: float = 1.0, times: int | None = 1
    ) -> None:
        """Set a fault at a byte (default: the next) and, on average `every_bytes` from there, so many
        `times`.

        `every_bytes` 1 strikes consecutive bytes, more strikes at random; `times` None never ends.

        Raises
        ------
        ValueError
            If the kind is unknown or a number makes no sense.
        """
        if kind not in WIRE_FAULTS:
            raise ValueError(f"no wire fault {kind!r}; there are {', '.join(WIRE_FAULTS)}")
        if every_bytes < 1 or (times is not None and times < 1):
            raise ValueError(f"every_bytes and times are at least 1, got {every_bytes} and {times}")
        fault = _WireFault(
            kind, self.byte if at_byte is None else at_byte, every_bytes, times or float("inf")
        )
        if at_byte is None:
            fault.at_byte += self._gap(fault) - 1
        self._faults.append(fault)

    def pass_on(self, data: bytes) -> bytes:
        """What becomes of `data` on the way out."""
        start, end = self.byte, self.byte + len(data)
        out = bytearray()
        while self._faults and (fault := min(self._faults, key=lambda f: f.at_byte)).at_byte < end:
            at = max(fault.at_byte, self.byte)
            out += data[self.byte - start : at - start]
            self.byte = at + 1
            was = data[at - start : at - start + 1]
            became = self._strike(fault.kind, was)
            self._report(
                {
                    "fault": fault.kind,
                    "byte": at,
                    "wire_byte": self.wire_byte + len(out),
                    "was": was.hex(),
                    "became": became.hex(),
                }
            )
            out += became
            fault.times -= 1
            fault.at_byte = at + self._gap(fault)
            if fault.times <= 0:
                self._faults.remove(fault)
        out += data[self.byte - start :]
        self.byte = end
        self.wire_byte += len(out)
        return bytes(out)

    def _strike(self, kind: str, byte: bytes) -> bytes:
        if kind == "lose":
            return b""
        if kind == "duplicate":
            return byte + byte
        if kind == "flip":
            return bytes([byte[0] ^ 1 << int(self._rng.integers(8))])
        return (self._rng.bytes(20) if kind == "burst" else _BOOT_TEXT) + byte

    def _gap(self, fault: _WireFault) -> int:
        return 1 if fault.every_bytes == 1 else 1 + int(self._rng.exponential(fault.every_bytes))


@dataclass(frozen=True, slots=True)
class _SignalFault:
    kind: str
    channels: tuple[int, ...]
    first: int
    stop: int


class SignalFaults:
    """Electrodes and converter bus: counts that are wrong before any packet is made of them."""

    def __init__(self, channels: Sequence[str], report: Report, *, seed: int) -> None:
        self._names = tuple(channels)
        self._report = report
        self._seed = seed
        self._faults: list[_SignalFault] = []

    def add(self, kind: str, *, channels: Sequence[str] | None = None, first: int, n_samples: int) -> None:
        """Let `channels` (default: all) be wrong for `n_samples` from conversion `first` on.

        Raises
        ------
        ValueError
            If the kind or a channel is unknown.
        """
        if kind not in SIGNAL_FAULTS:
            raise ValueError(f"no signal fault {kind!r}; there are {', '.join(SIGNAL_FAULTS)}")
        names = self._names if channels is None else tuple(channels)
        if unknown := sorted(set(names) - set(self._names)):
            raise ValueError(
                f"the board has no channel {', '.join(unknown)}; it has {', '.join(self._names)}"
            )
        rows = tuple(self._names.index(name) for name in names)
        self._faults.append(_SignalFault(kind, rows, first, first + n_samples))
        self._report({"fault": kind, "channels": list(names), "sample": first, "n_samples": n_samples})

    def pass_on(self, counts: NDArray[np.int32], first: int) -> None:
        """Spoil `counts` (n_samples, n_channels), the first row being conversion `first`, in place."""
        stop = first + len(counts)
        self._faults = [fault for fault in self._faults if fault.stop > first]
        for fault in self._faults:
            rows = slice(max(fault.first, first) - first, max(min(fault.stop, stop) - first, 0))
            columns = list(fault.channels)
            if rows.start >= rows.stop:
                continue
            if fault.kind == "saturate":
                counts[rows, columns] = 2**23 - 1
            elif fault.kind == "flat":
                counts[rows, columns] = 0
            elif fault.kind in ("noisy", "lead_off"):
                noise = self._noise(first + rows.start, first + rows.stop)[:, columns]
                counts[rows, columns] = np.clip(counts[rows, columns] + noise, -(2**23), 2**23 - 1)
            else:
                counts[rows] = _slip(counts[rows])

    def lead_off_edges(self, first: int, stop: int) -> list[int]:
        """Conversions in `first` to `stop` at which some electrode comes off or is put back."""
        edges = [edge for f in self._faults if f.kind == "lead_off" for edge in (f.first, f.stop)]
        return [edge for edge in edges if first < edge < stop]

    def lead_off_bits(self, sample: int) -> int:
        """What the comparators say at a conversion: bit k for channel k."""
        off = [f for f in self._faults if f.kind == "lead_off" and f.first <= sample < f.stop]
        return sum(1 << channel for channel in {c for fault in off for c in fault.channels})

    def off_columns(self, first: int, stop: int) -> dict[int, slice]:
        """Which columns of conversions `first` to `stop` each channel's electrode is off in."""
        return {
            channel: slice(max(f.first, first) - first, min(f.stop, stop) - first)
            for f in self._faults
            if f.kind == "lead_off" and f.first < stop and first < f.stop
            for channel in f.channels
        }

    def _noise(self, first: int, stop: int) -> NDArray[np.int32]:
        """Noise of conversions `first` to `stop`, drawn in fixed pages so that any cut gives the same."""
        pages = range(first // _NOISE_PAGE, (stop - 1) // _NOISE_PAGE + 1)
        shape = (_NOISE_PAGE, len(self._names))
        drawn = np.vstack(
            [np.random.default_rng((self._seed, 5, page)).normal(0.0, 1.0, shape) for page in pages]
        )
        start = pages[0] * _NOISE_PAGE
        return np.asarray(np.rint(_NOISE_COUNTS * drawn[first - start : stop - start]), dtype=np.int32)


def _slip(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The converter's bits read one clock late: each word takes its successor's top bit and loses its own."""
    words = counts & 0xFFFFFF
    following = np.roll(words, -1, axis=1)
    following[:, -1] = 0
    late = (words << 1 | following >> 23) & 0xFFFFFF
    return np.asarray((late ^ 0x800000) - 0x800000, dtype=np.int32)
