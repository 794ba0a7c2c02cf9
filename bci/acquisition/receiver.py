"""Decoded links: what a board sends as columns with arrival times, and the way back to it.

`open_receiver` chooses: where the system allows it the port is read and decoded by a kernel that no Python thread can
hold up (`KernelLink`); elsewhere (Windows, pyserial's rarer URLs, `NUMBA_DISABLE_JIT`) a thread drains the port and
the caller's thread decodes (`DecodedLink`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bci.acquisition.link import Link, SerialLink, Tap
from firmware_protocol.batch import Batch
from firmware_protocol.bulk import BulkDecoder

__all__ = ["DecodedLink", "Received", "Receiver", "open_receiver"]


@dataclass(frozen=True, slots=True)
class Received:
    """Events, and the monotonic time in ns at which each of them was whole; good until the next `receive`."""

    batch: Batch
    arrived_ns: NDArray[np.int64]


class Receiver(Protocol):
    """A link that decodes. `port` names it in messages, `baud` is what budgets count with.

    Attributes
    ----------
    line_byte_ns : float
        Time a byte takes on the line; 0 where that is not known, as on sockets, pseudo-terminals and USB devices
        that only look like a serial line.
    """

    port: str
    baud: int
    line_byte_ns: float

    @property
    def bytes_read(self) -> int:
        """Since it was opened, or attached."""

    @property
    def bytes_skipped(self) -> int:
        """Given up because nobody took them in time; the recording has them."""

    @property
    def pending(self) -> bytes:
        """What has come of a packet that is not whole."""

    def receive(self, timeout_s: float) -> list[Received]:
        """Everything that came since the last call; waits at most `timeout_s` for the first event.

        Raises
        ------
        DeviceLostError
            If the port failed or was closed, once everything that had arrived was returned.
        """

    def write(self, data: bytes) -> None:
        """Send; DeviceTimeoutError or DeviceLostError if the port takes nothing, or fails."""

    def keep_alive(self, packets: Sequence[bytes], *, every_s: float = 1.0) -> None:
        """Send these in turn, one about every `every_s` seconds, however busy this program is; none ends it."""

    def sent_alive(self) -> Sequence[int]:
        """When each of those packets was sent last, monotonic ns; 0: never."""

    def attach(self, tap: Tap | None) -> None:
        """Forget what has arrived; from the next packet on `tap` is given everything, in both directions."""

    def close(self) -> None:
        """Give the port back; twice is fine."""


class DecodedLink:
    """A link of bytes, decoded where it is read."""

    line_byte_ns = 0.0

    def __init__(self, link: Link, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.port = link.port
        self.baud = link.baud
        self._link = link
        self._clock_ns = clock_ns
        self._decoder = BulkDecoder()
        self._newest: list[bytes] = []
        self._alive_ns: list[int] = []

    @property
    def bytes_read(self) -> int:
        return self._decoder.offset

    @property
    def bytes_skipped(self) -> int:
        return self._link.dropped_bytes

    @property
    def pending(self) -> bytes:
        return b"".join(self._newest)

    def receive(self, timeout_s: float) -> list[Received]:
        received = []
        for arrival in self._link.read(timeout_s):
            batch = self._decoder.feed(arrival.data)
            self._newest = [*self._newest, arrival.data] if b"\0" not in arrival.data else []
            received.append(Received(batch, np.full(len(batch.events), arrival.at_ns)))
        return received

    def write(self, data: bytes) -> None:
        self._link.write(data)

    def keep_alive(self, packets: Sequence[bytes], *, every_s: float = 1.0) -> None:
        if not packets:
            self._link.keepalive(None)
            return
        self._alive_ns = [0] * len(packets)
        turn = 0

        def make() -> bytes:
            nonlocal turn
            k, turn = turn % len(packets), turn + 1
            self._alive_ns[k] = self._clock_ns()
            return packets[k]

        self._link.keepalive(make, every_s=every_s)

    def sent_alive(self) -> Sequence[int]:
        return self._alive_ns

    def attach(self, tap: Tap | None) -> None:
        self._link.attach(tap)
        self._decoder = BulkDecoder()
        self._newest = []

    def close(self) -> None:
        self._link.close()


def open_receiver(url: str, *, baud: int) -> Receiver:
    """A port, open and being read.

    Raises
    ------
    DeviceNotFoundError, DevicePermissionError, DeviceBusyError
        If the port cannot be opened; the message says what to do next.
    """
    import numba

    plain = "://" not in url or url.startswith("socket://")
    if plain and os.name == "posix" and not numba.config.DISABLE_JIT:
        from bci.acquisition.kernel_link import KernelLink

        return KernelLink(url, baud=baud)
    return DecodedLink(SerialLink(url, baud=baud))
