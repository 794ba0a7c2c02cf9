"""A board on a bench: no process, no port, a clock that the test turns."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from bci.acquisition.simulator import BoardConfig, Played
from bci.acquisition.simulator._board import Board
from bci.acquisition.simulator._outlets import Outlet
from bci.chunks import F64
from firmware_protocol import Command, Data, Decoder, Event, Fault, Frame, Opcode, encode_command


class Ramp:
    """Two runs of known numbers with one cue each: channel c of sample n of run r is 100 r + n + 1000 c µV."""

    rate = Fraction(250)
    labels = {7: "right"}  # noqa: RUF012
    n_runs: int | None = 2

    def __init__(self, n_channels: int = 8, n_samples: int = 1000, cue: int = 250) -> None:
        self.channels = tuple(f"E{k + 1}" for k in range(n_channels))
        self._n, self._cue = n_samples, cue

    def run_samples(self, run: int) -> int:
        return self._n

    def cues(self, run: int) -> list[tuple[int, int]]:
        return [(self._cue, 7)]

    def read(self, run: int, first: int, n: int) -> F64:
        samples = np.arange(first, min(first + n, self._n), dtype=np.float64)
        return 100.0 * run + samples + 1000.0 * np.arange(len(self.channels))[:, None]


class Wire:
    """An outlet that keeps what it gets; `room` is how much it takes before it is full."""

    url = "bench"
    connected = True

    def __init__(self) -> None:
        self.got = bytearray()
        self.said = b""
        self.room: float = float("inf")
        self.hung_up = False

    def read(self) -> bytes:
        said, self.said = self.said, b""
        return said

    def write(self, data: bytes | memoryview) -> int:
        n = int(min(len(data), self.room))
        self.got += data[:n]
        self.room -= n
        return n

    def want_room(self, wanted: bool) -> None:
        pass

    def hang_up(self) -> None:
        self.hung_up = True


class Bench:
    """A board, its wire, and the truth it reports. Times are real seconds of the turned clock."""

    def __init__(self, signal: Any = None, **config: Any) -> None:
        self.now_ns = 10**12
        self.truth: list[dict[str, Any]] = []
        self.arrivals: list[tuple[int, int]] = []  # (ns, bytes on the wire by then)
        self.wire = Wire()
        self.signal = signal if signal is not None else Ramp()
        config.setdefault("samples_per_frame", 4)
        self.board = Board(
            BoardConfig(Played("not read"), **config),
            self.signal,
            self._plug,
            report=self.truth.append,
            monotonic_ns=lambda: self.now_ns,
        )
        self._requests = 0

    def _plug(self) -> Outlet:
        self.wire = Wire()
        return self.wire

    def send(self, opcode: Opcode, payload: bytes = b"") -> None:
        self._requests += 1
        self.wire.said += encode_command(Command(0, 0, self._requests, opcode, payload))

    def start(self, watchdog_ms: int = 0) -> None:
        self.send(Opcode.START, watchdog_ms.to_bytes(4, "little"))

    def run(self, seconds: float) -> None:
        end_ns = self.now_ns + round(seconds * 1e9)
        while self.now_ns < end_ns:
            sleep_s = self.board.step()
            if len(self.wire.got) > (self.arrivals[-1][1] if self.arrivals else 0):
                self.arrivals.append((self.now_ns, len(self.wire.got)))
            if sleep_s or not self.board._speed:
                self.now_ns = min(end_ns, self.now_ns + max(round(sleep_s * 1e9), 10_000))
        self.board.step()

    def frames(self) -> list[Frame | Fault]:
        return Decoder().feed(bytes(self.wire.got))

    def data(self) -> list[Data]:
        return [f for f in self.frames() if isinstance(f, Data)]

    def counts(self) -> np.ndarray:
        """All samples received, shape (n_samples, n_channels)."""
        return np.array([row for frame in self.data() for row in frame.counts()])

    def of(self, kind: type[Any]) -> list[Any]:
        return [f for f in self.frames() if isinstance(f, kind)]

    def events(self, source: int) -> list[Event]:
        return [f for f in self.of(Event) if f.source == source]
