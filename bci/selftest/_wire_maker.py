"""Wire of a board that never tires: DATA frames of the test ramp, as fast as a disk or a socket takes them.

For the checks that need more samples a second than a simulated board in Python makes. The frames are whole and right:
COBS, CRC-32C, conversion numbers, device time; the samples are the ramp of SPEC 6.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import Flag, Heartbeat, Info, encode
from firmware_protocol.bulk_encoder import data_headers, encode_data, int24_bytes
from firmware_protocol.limits import MAX_PAGE_CHANNELS
from firmware_protocol.patterns import RAMP_CHANNEL, RAMP_STEP

__all__ = ["WireMaker", "expected_counts"]

SCALE_UV = 4.5e6 / 24 / (2**23 - 1)


class WireMaker:
    """A board of `n_channels` at `rate_hz`, `n_samples` conversions in a packet, without status words."""

    def __init__(self, n_channels: int, rate_hz: int, n_samples: int, *, next_sample: int = 0) -> None:
        self.n_channels, self.rate_hz, self.n_samples = n_channels, rate_hz, n_samples
        self.next_sample = next_sample
        self._seq = 0
        self._flags = Flag.FIRST

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
        n_samples = n_frames * self.n_samples
        index = self.next_sample + np.arange(0, n_samples, self.n_samples)
        headers = data_headers(n_frames, n_channels=self.n_channels)
        headers["n_samples"], headers["sample_index"] = self.n_samples, index & 0xFFFFFFFF
        headers["t_us"] = (index * (1e6 / self.rate_hz)).astype(np.int64) & 0xFFFFFFFF
        headers["link_seq"] = (self._seq + np.arange(n_frames)) & 0xFFFF
        headers["flags"][:1] = self._flags
        counts = expected_counts(self.next_sample, n_samples, self.n_channels).astype(np.int32)
        self._flags = Flag(0)
        self._seq += n_frames
        self.next_sample += n_samples
        return encode_data(headers, int24_bytes(counts))[0].tobytes()


def expected_counts(first: int, n_samples: int, n_channels: int) -> NDArray[np.int64]:
    """What those samples are, (n_samples, n_channels)."""
    index = np.arange(first, first + n_samples, dtype=np.int64)[:, None]
    word = index * RAMP_STEP + np.arange(n_channels) * RAMP_CHANNEL & 0xFFFFFF
    return (word ^ 0x800000) - 0x800000
