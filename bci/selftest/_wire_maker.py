"""Wire of a board that never tires: DATA frames of the test ramp, as fast as a disk or a socket takes them.

For the checks that need more samples a second than a simulated board in Python makes. The frames are whole and right:
COBS, CRC-32C, conversion numbers, device time; the samples are the ramp of SPEC 6.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.jit import kernel
from firmware_protocol import Flag, Heartbeat, Info, Type, encode
from firmware_protocol.crc import REFLECTED_POLYNOMIAL
from firmware_protocol.layout import DATA
from firmware_protocol.limits import CRC_SIZE, MAX_PAGE_CHANNELS, VERSION
from firmware_protocol.patterns import RAMP_CHANNEL, RAMP_STEP

__all__ = ["WireMaker", "expected_counts"]

U8 = NDArray[np.uint8]
SCALE_UV = 4.5e6 / 24 / (2**23 - 1)


@kernel
def _make(
    out: U8,
    packet: U8,
    table: NDArray[np.int64],
    n_frames: int,
    first: int,
    seq: int,
    us_per_sample: float,
    n_channels: int,
    n_samples: int,
    step: int,
    per_channel: int,
) -> int:
    """Write `n_frames` packets from conversion `first` on; bytes written."""
    at = 0
    for k in range(n_frames):
        index = first + k * n_samples
        t_us = np.int64(index * us_per_sample)
        for byte in range(2):
            packet[2 + byte] = (seq + k) >> (8 * byte) & 255
        for byte in range(4):
            packet[4 + byte] = index >> (8 * byte) & 255
            packet[8 + byte] = t_us >> (8 * byte) & 255
        size = 16
        for sample in range(n_samples):
            for channel in range(n_channels):
                word = (index + sample) * step + channel * per_channel
                packet[size] = word >> 16 & 255
                packet[size + 1] = word >> 8 & 255
                packet[size + 2] = word & 255
                size += 3
        register = 0xFFFFFFFF
        for i in range(size):
            register = table[(register ^ packet[i]) & 255] ^ register >> 8
        register ^= 0xFFFFFFFF
        for byte in range(4):
            packet[size + byte] = register >> (8 * byte) & 255
        size += 4
        code_at = at
        at += 1
        code = 1
        for i in range(size):
            if packet[i] != 0:
                out[at] = packet[i]
                at += 1
                code += 1
            if packet[i] == 0 or (code == 255 and i + 1 < size):
                out[code_at] = code
                code_at = at
                at += 1
                code = 1
        out[code_at] = code
        out[at] = 0
        at += 1
    return at


class WireMaker:
    """A board of `n_channels` at `rate_hz`, `n_samples` conversions in a packet, without status words."""

    def __init__(self, n_channels: int, rate_hz: int, n_samples: int, *, next_sample: int = 0) -> None:
        self.n_channels, self.rate_hz, self.n_samples = n_channels, rate_hz, n_samples
        self.next_sample = next_sample
        self._seq = 0
        self._first = True
        self._packet = np.zeros(DATA.size + 3 * n_samples * n_channels + CRC_SIZE, np.uint8)
        self._packet[0] = VERSION << 4 | Type.DATA
        self._packet[12], self._packet[13] = n_channels, n_samples
        register = np.arange(256, dtype=np.int64)
        for _ in range(8):
            register = np.where(register & 1, register >> 1 ^ REFLECTED_POLYNOMIAL, register >> 1)
        self._table = register

    def info(self) -> bytes:
        """All pages of its INFO."""
        starts = range(0, self.n_channels, MAX_PAGE_CHANNELS)
        pages = [
            Info(
                0, 0, page, len(starts), first, "wire maker", "1.0", 1, 0,
                self.rate_hz, 1, 0, self.n_channels, self.n_samples,
                tuple(f"E{c + 1}" for c in range(first, min(first + MAX_PAGE_CHANNELS, self.n_channels))),
                (SCALE_UV,) * min(MAX_PAGE_CHANNELS, self.n_channels - first),
            )
            for page, first in enumerate(starts)
        ]  # fmt: skip
        return b"".join(encode(page) for page in pages)

    def heartbeat(self) -> bytes:
        t_us = self.next_sample * 1_000_000 // self.rate_hz
        return encode(Heartbeat(0, 0, 1, t_us, self.next_sample, 0, 0))

    def data(self, n_frames: int) -> bytes:
        """The next packets; the first one ever carries flag b1."""
        out = np.empty(n_frames * (self._packet.size + self._packet.size // 254 + 3), np.uint8)
        done = 0
        for part in (1, n_frames - 1) if self._first else (n_frames,):
            self._packet[1] = Flag.FIRST if self._first else 0
            done += _make(
                out[done:],
                self._packet,
                self._table,
                part,
                self.next_sample,
                self._seq,
                1e6 / self.rate_hz,
                self.n_channels,
                self.n_samples,
                RAMP_STEP,
                RAMP_CHANNEL,
            )
            self._first = False
            self._seq += part
            self.next_sample += part * self.n_samples
        return out[:done].tobytes()


def expected_counts(first: int, n_samples: int, n_channels: int) -> NDArray[np.int64]:
    """What those samples are, (n_samples, n_channels)."""
    index = np.arange(first, first + n_samples, dtype=np.int64)[:, None]
    word = index * RAMP_STEP + np.arange(n_channels) * RAMP_CHANNEL & 0xFFFFFF
    return (word ^ 0x800000) - 0x800000
