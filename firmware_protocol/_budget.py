"""What a serial link can carry (SPEC 8): 8N1, ten bits a byte, planned for at most 90 % load.

INFO and HEARTBEAT count. The rest of the link is for RESPONSEs, EVENTs and LOGs, and for boards whose clock runs fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from firmware_protocol._fields import INT24, Format, check_samples, require, wire_size
from firmware_protocol.errors import FrameError
from firmware_protocol.layout import CHANNEL, DATA, HEARTBEAT, INFO
from firmware_protocol.limits import (
    HEARTBEAT_PERIOD_MS,
    INFO_PERIOD_MS,
    MAX_LOAD_PERCENT,
    MAX_PAGE_CHANNELS,
    MAX_SAMPLES,
)

__all__ = ["Budget", "budget"]

_BITS_PER_BYTE = 10  # 8N1: start bit, eight bits, stop bit


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes a stream needs and a link has."""

    n_channels: int
    rate_hz: float
    baud: int
    samples_per_frame: int
    has_status: bool
    channels_per_converter: int
    sample_type: int = INT24

    @property
    def packet_bytes(self) -> int:
        """Wire bytes of one full DATA packet, at their most."""
        return wire_size(DATA.size + self.samples_per_frame * self._format().frame_size(self.n_channels))

    @property
    def data_bytes_per_s(self) -> float:
        return self.rate_hz / self.samples_per_frame * self.packet_bytes

    @property
    def other_bytes_per_s(self) -> float:
        """INFO and HEARTBEAT."""
        sizes = [
            min(MAX_PAGE_CHANNELS, self.n_channels - first)
            for first in range(0, self.n_channels, MAX_PAGE_CHANNELS)
        ]
        info = sum(wire_size(INFO.size + n * CHANNEL.size) for n in sizes)
        return info * 1000 / INFO_PERIOD_MS + wire_size(HEARTBEAT.size) * 1000 / HEARTBEAT_PERIOD_MS

    @property
    def usable_bytes_per_s(self) -> float:
        """What may be planned for: 90 % of the link."""
        return self.baud / _BITS_PER_BYTE * MAX_LOAD_PERCENT / 100

    @property
    def load(self) -> float:
        """Share of the whole link; 1 is all of it."""
        return (self.data_bytes_per_s + self.other_bytes_per_s) * _BITS_PER_BYTE / self.baud

    @property
    def fits(self) -> bool:
        return self.data_bytes_per_s + self.other_bytes_per_s <= self.usable_bytes_per_s

    @property
    def max_rate_hz(self) -> float:
        """Highest sampling rate that fits with this many samples in a packet; 0 if none does."""
        room = self.usable_bytes_per_s - self.other_bytes_per_s
        return max(0.0, room * self.samples_per_frame / self.packet_bytes)

    @property
    def min_baud(self) -> int:
        """Lowest baud rate that carries this stream."""
        needed = self.data_bytes_per_s + self.other_bytes_per_s
        return math.ceil(needed * _BITS_PER_BYTE * 100 / MAX_LOAD_PERCENT)

    @property
    def latency_s(self) -> float:
        """From a packet's first conversion to its last byte on a link that is otherwise free."""
        return (self.samples_per_frame - 1) / self.rate_hz + self.packet_bytes * _BITS_PER_BYTE / self.baud

    def best(self) -> Budget:
        """The same stream with the fewest samples in a packet that fit; if none do, with those that need least."""
        choices = []
        for n in range(1, MAX_SAMPLES + 1):
            try:
                check_samples(self.n_channels, n, self._format())
            except FrameError:
                break  # longer packets do not exist
            choices.append(replace(self, samples_per_frame=n))
        fitting = [choice for choice in choices if choice.fits]
        return fitting[0] if fitting else min(choices, key=lambda choice: choice.load)

    def advice(self) -> str:
        """In words: what is needed, what there is, and what would fit."""
        n_samples = f"{self.samples_per_frame} sample{'s' if self.samples_per_frame > 1 else ''} a packet"
        text = (
            f"{self.n_channels} channels × {self.rate_hz:g} SPS ({n_samples}) take {self.load:.0%} of {self.baud} "
            f"baud with INFO and HEARTBEAT; {MAX_LOAD_PERCENT} % may be used"
        )
        if self.fits:
            return text
        best = self.best()
        ways = [f"at least {self.min_baud} baud"]
        if best.fits:
            ways.append(f"{best.samples_per_frame} samples a packet")
        if best.max_rate_hz >= 1:
            ways.append(f"at most {int(best.max_rate_hz)} SPS with {best.samples_per_frame} samples a packet")
        return f"{text}. What would fit: {', or '.join(ways)}"

    def _format(self) -> Format:
        return Format(self.sample_type, self.has_status, self.channels_per_converter)


def budget(
    n_channels: int,
    rate_hz: float | Fraction,
    baud: int,
    samples_per_frame: int | None = None,
    *,
    has_status: bool | None = None,
    channels_per_converter: int = 8,
    sample_type: int = INT24,
) -> Budget:
    """Whether a link carries a stream, and with what margin.

    Parameters
    ----------
    n_channels, rate_hz, baud :
        Channels 1–64, sampling rate in Hz, bits per second of the link.
    samples_per_frame : int, optional
        Conversions in one DATA packet; by default the fewest that fit.
    has_status : bool, optional
        Status words; by default where the channels fill whole converters.

    Raises
    ------
    FrameError
        If no DATA packet can hold this, or rate or baud is not above 0.

    Examples
    --------
    >>> link = budget(8, 250, 115200, samples_per_frame=4)
    >>> link.fits, int(link.max_rate_hz)
    (True, 309)
    """
    require(rate_hz > 0, "rate_hz", rate_hz, "above 0")
    require(baud > 0, "baud", baud, "above 0")
    if has_status is None:
        has_status = n_channels % channels_per_converter == 0
    form = Format(sample_type, has_status, channels_per_converter)
    check_samples(n_channels, 1 if samples_per_frame is None else samples_per_frame, form)
    link = Budget(
        n_channels,
        float(rate_hz),
        baud,
        samples_per_frame or 1,
        has_status,
        channels_per_converter,
        sample_type,
    )
    return link.best() if samples_per_frame is None else link
