"""What came in place of an answer, in words that tell what to do next."""

from __future__ import annotations

import numpy as np

from bci.errors import DeviceError, DeviceTimeoutError, UnsupportedDeviceError
from bci.language import _
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
        missing = _("{expected} did not come from {port}").format(expected=expected, port=port)
        if self._unsupported is not None and self.foreign_version:
            return UnsupportedDeviceError(
                _(
                    "the board on {port} speaks another protocol: {detail}. This library knows version "
                    "{version}; "
                    "update the library or the board's firmware"
                ).format(port=port, detail=self._unsupported.detail, version=VERSION),
                port=port,
            )
        if self._n_frames:
            why = _(
                "{n} whole frames came, but no answer: does the line from computer to board work, and does "
                "its "
                "firmware know commands?"
            ).format(n=self._n_frames)
        elif n_bytes:
            shown = (self._noise + pending)[:SHOWN_BYTES]
            why = _(
                "{n_bytes} bytes came that are no frames (they begin {shown}): is another device on this "
                "port, or is "
                "its speed not {baud} baud?"
            ).format(n_bytes=n_bytes, shown=shown.hex(" "), baud=baud)
        else:
            why = _("nothing came: is the board on, its cable in, and is this its port?")
        return DeviceTimeoutError(f"{missing}; {why}", port=port)
