"""A stream that has no wire, written as the wire of a board: so that it can be recorded and played like one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bci.chunks import SignalInfo
from firmware_protocol import Data, Flag, Heartbeat, Info, encode
from firmware_protocol.layout import DATA
from firmware_protocol.limits import CRC_SIZE, MAX_LABEL, MAX_PACKET, MAX_PAGE_CHANNELS, MAX_SAMPLES

__all__ = ["StreamEncoder"]

FLOAT32 = 1
DEVICE_BYTES = 24


class StreamEncoder:
    """float32 samples in µV as DATA, with INFO and HEARTBEAT once a second. One count is one µV."""

    def __init__(self, info: SignalInfo) -> None:
        self._info = info
        room = (MAX_PACKET - DATA.size - CRC_SIZE) // (4 * info.n_channels)
        self._per_packet = max(1, min(MAX_SAMPLES, room))
        self._seq = 0
        self._info_due = self._dropped = 0

    def encode(
        self, rows: NDArray[np.float32], first_sample: int, *, lost: int = 0, restart: bool = False
    ) -> bytes:
        """Consecutive samples, shape (n_samples, n_channels); `lost` are missing before them."""
        return b"".join(self._packets(rows, first_sample, lost, restart))

    def _packets(
        self, rows: NDArray[np.float32], first_sample: int, lost: int, restart: bool
    ) -> Iterator[bytes]:
        self._dropped += lost
        for begin in range(0, len(rows), self._per_packet):
            part = rows[begin : begin + self._per_packet]
            at = first_sample + begin
            if at >= self._info_due or (restart and begin == 0):
                self._info_due = at + max(1, round(self._info.fs_hz))
                yield from self._pages()
                yield self._sent(
                    Heartbeat(self._seq, 0, 1, round(at / self._info.fs_hz * 1e6), at, self._dropped, 0)
                )
            flags = (Flag.OVERRUN if lost and not begin else 0) | (Flag.FIRST if restart and not begin else 0)
            t_us = round(at / self._info.fs_hz * 1e6)
            payload = np.ascontiguousarray(part, dtype="<f4").tobytes()
            yield self._sent(
                Data(
                    self._seq, int(flags), at & 0xFFFFFFFF, t_us & 0xFFFFFFFF, self._info.n_channels, len(part), 0,
                    payload, sample_type=FLOAT32,
                )
            )  # fmt: skip

    def _pages(self) -> Iterator[bytes]:
        n = self._info.n_channels
        labels = tuple(name.encode()[:MAX_LABEL].decode(errors="ignore") for name in self._info.channels)
        device = re.sub(r"[^\x20-\x7e]", "_", self._info.device)[:DEVICE_BYTES]
        starts = range(0, n, MAX_PAGE_CHANNELS)
        for page, first in enumerate(starts):
            here = labels[first : first + MAX_PAGE_CHANNELS]
            yield self._sent(
                Info(
                    self._seq, 0, page, len(starts), first, device, "", 1, 1,
                    self._info.rate.numerator, self._info.rate.denominator, 0, n, self._per_packet,
                    here, (1.0,) * len(here), sample_type=FLOAT32,
                )
            )  # fmt: skip

    def _sent(self, frame: Data | Info | Heartbeat) -> bytes:
        self._seq = self._seq + 1 & 0xFFFF
        return encode(frame)
