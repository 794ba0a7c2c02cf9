"""What the suite talks through: bytes and a clock. A port has both; a test brings a device in memory."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Protocol

from firmware_protocol.ports import Port

__all__ = ["Line", "PortLine"]

#: proc(5), three numbers: ns on a processor, ns of waiting for one, turns.
_OF_THIS_THREAD = Path("/proc/thread-self/schedstat")


class Line(Protocol):
    """A line to the device under test, and the clock that times it."""

    def now_s(self) -> float:
        """Time of the host in seconds, from anywhere; never runs backwards."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """All that is here; waits at most `timeout_s` for the first byte, then gives b""."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes to the device."""
        ...


class PortLine:
    """A port and this computer's monotonic clock."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def now_s(self) -> float:
        return time.monotonic()

    def held_up_s(self) -> float:
        """How long this thread could run in all, and other programs had the processor. Linux; elsewhere 0."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(_OF_THIS_THREAD.read_bytes().split()[1]) / 1e9
        return 0.0

    def read(self, timeout_s: float) -> bytes:
        return self._port.read(timeout_s)

    def write(self, data: bytes) -> None:
        self._port.write(data)
