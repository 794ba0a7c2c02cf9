"""What came in place of an answer, in words that tell what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from bci.errors import DeviceError, DeviceTimeoutError, UnsupportedDeviceError
from firmware_protocol import Fault, FaultKind, Frame
from firmware_protocol.limits import VERSION

__all__ = ["Heard"]

SHOWN_BYTES = 16


class Heard:
    """Collects what arrives during a command dialogue."""

    def __init__(self) -> None:
        self._n_bytes = 0
        self._n_frames = 0
        self._first = b""
        self._unsupported: Fault | None = None

    def take(self, data: bytes, events: Sequence[Frame | Fault]) -> None:
        self._n_bytes += len(data)
        self._first += data[: SHOWN_BYTES - len(self._first)]
        for event in events:
            if not isinstance(event, Fault):
                self._n_frames += 1
            elif event.kind == FaultKind.UNSUPPORTED:
                self._unsupported = event

    @property
    def foreign_version(self) -> bool:
        """Whole packets came, none of them of the version this library knows."""
        return self._unsupported is not None and self._n_frames == 0

    def instead_of(self, expected: str, *, port: str, baud: int) -> DeviceError:
        """The error for what came in place of what was `expected`."""
        missing = f"{expected} did not come from {port}"
        if self._unsupported is not None and self.foreign_version:
            return UnsupportedDeviceError(
                f"the board on {port} speaks another protocol: {self._unsupported.detail}. "
                f"This library knows version {VERSION}; update the library or the board's firmware",
                port=port,
            )
        if self._n_frames:
            why = (
                f"{self._n_frames} whole frames came, but no answer: does the line from computer to board "
                "work, and does its firmware know commands?"
            )
        elif self._n_bytes:
            why = (
                f"{self._n_bytes} bytes came that are no frames (they begin {self._first.hex(' ')}): "
                f"is another device on this port, or is its speed not {baud} baud?"
            )
        else:
            why = "nothing came: is the board on, its cable in, and is this its port?"
        return DeviceTimeoutError(f"{missing}; {why}", port=port)
