"""A Cyton on a bench: the device behind a link without a port, in simulated time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bci.acquisition.cyton.device import CytonDevice
from bci.acquisition.cyton.wire import CytonFrame, encode_frame
from bci.acquisition.link import Arrival, Tap


def counts(first: int, n_samples: int, n_channels: int = 8) -> np.ndarray:
    """Signal of these boards, (n_samples, n_channels): values follow from sample number and channel."""
    index = np.arange(first, first + n_samples, dtype=np.int64)[:, None]
    channel = np.arange(n_channels, dtype=np.int64)[None, :]
    return (index * 7919 + channel * 1048583) % (1 << 24) - (1 << 23)


def frames(n: int, *, first: int = 0, sample: Callable[[int], tuple[int, ...]] | None = None) -> list[bytes]:
    """`n` frames with counters from `first` on."""
    values = sample or (lambda k: tuple(int(v) for v in counts(k, 1)[0]))
    return [encode_frame(CytonFrame(k & 0xFF, values(k))) for k in range(first, first + n)]


class CytonBench:
    """A link to a `CytonDevice` that converts 250 times a second while the clock that `read` turns goes on.

    `lost`: numbers of conversions whose frames never arrive. While `held` what it sends waits.
    """

    port = "bench"
    baud = 115_200
    dropped_bytes = 0

    def __init__(self, n_channels: int = 8) -> None:
        self.device = CytonDevice(n_channels, queue_bytes=1 << 20)
        self.n_channels = n_channels
        self.now_ns = 10**9
        self.said: list[bytes] = []
        self.lost: set[int] = set()
        self.held = False
        self.mute = False
        self._waiting = b""
        self._due_ns = 0

    def clock_ns(self) -> int:
        return self.now_ns

    def write(self, data: bytes) -> None:
        self.said.append(data)
        before = self.device.streaming
        self.device.receive(data, self.now_ns // 1000)
        if self.device.streaming and not before:
            self._due_ns = self.now_ns + 4_000_000

    def read(self, timeout_s: float) -> list[Arrival]:
        until_ns = self.now_ns + max(round(timeout_s * 1e9), 1_000_000)
        while self.now_ns < until_ns:
            self.now_ns += 1_000_000
            self._convert()
            if self._waiting and not self.held:
                data, self._waiting = self._waiting, b""
                return [] if self.mute else [Arrival(data, self.now_ns)]
        return []

    def _convert(self) -> None:
        while self.device.streaming and self.now_ns >= self._due_ns:
            at = self.device.next_sample
            self.device.push_samples(counts(at, 1, self.n_channels), 0)
            self._due_ns += 4_000_000
            frame = self.device.poll(0)
            self._waiting += b"" if at in self.lost else frame
        self._waiting += self.device.poll(0, None)

    def keepalive(self, make: object, *, every_s: float = 1.0) -> None:
        pass

    def attach(self, tap: Tap | None) -> None:
        pass

    def close(self) -> None:
        pass
