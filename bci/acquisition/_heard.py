"""What came in place of an answer, in words that tell what to do next."""

from __future__ import annotations

import numpy as np

from bci.errors import DeviceError, DeviceTimeoutError, UnsupportedDeviceError
from firmware_protocol import Fault, FaultKind
from firmware_protocol.batch import Batch
from firmware_protocol.limits import VERSION

__all__ = ["Heard"]

SHOWN_BYTES = 16


class Heard:
    """Collects what arrives during a command dialogue."""

    def __init__(self) -> None:
        self._n_frames = 0
        self._noise = b""  # what was no frame
        self._unsupported: Fault | None = None

    def take(self, batch: Batch) -> None:
        n_faults = int(np.count_nonzero(batch.events["kind"]))
        self._n_frames += len(batch.events) - n_faults
        for fault in batch.faults() if n_faults else ():
            self._noise += fault.raw[: SHOWN_BYTES - len(self._noise)]
            if fault.kind == FaultKind.UNSUPPORTED:
                self._unsupported = fault

    @property
    def foreign_version(self) -> bool:
        """Whole packets came, none of them of the version this library knows."""
        return self._unsupported is not None and self._n_frames == 0

    def instead_of(
        self, expected: str, *, port: str, baud: int, n_bytes: int, pending: bytes = b""
    ) -> DeviceError:
        """The error for what came in place of what was `expected`: `n_bytes`, of which `pending` is no packet yet."""
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
        elif n_bytes:
            shown = (self._noise + pending)[:SHOWN_BYTES]
            why = (
                f"{n_bytes} bytes came that are no frames (they begin {shown.hex(' ')}): "
                f"is another device on this port, or is its speed not {baud} baud?"
            )
        else:
            why = "nothing came: is the board on, its cable in, and is this its port?"
        return DeviceTimeoutError(f"{missing}; {why}", port=port)
