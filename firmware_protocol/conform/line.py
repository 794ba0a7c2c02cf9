"""What the suite talks through: bytes and a clock. A port has both; a test brings a device in memory."""

from __future__ import annotations

import time
from typing import Protocol

from firmware_protocol.ports import Port

__all__ = ["Line", "PortLine"]


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

    def read(self, timeout_s: float) -> bytes:
        return self._port.read(timeout_s)

    def write(self, data: bytes) -> None:
        self._port.write(data)
