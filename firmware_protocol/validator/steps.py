"""What lies between one packet and the next, and what is known of a configuration: the values that rules look at.

Counters are 32 bits and wrap; a difference is taken modulo 2^32 and read as signed, so a wrap is a step like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from firmware_protocol.codes import Flag
from firmware_protocol.frames import Command, Data, Info

__all__ = [
    "End",
    "LinkStep",
    "Received",
    "Restart",
    "Setting",
    "Step",
    "as_stated",
    "fell_back",
    "is_odd",
    "on_time",
    "signed32",
]

_U32 = 0xFFFFFFFF
_PLAUSIBLE_LOSS = 1 << 24  # conversions; more in one step is no loss but another number
_PAUSE_US = 60_000_000  # between two frames of one boot, at the very moment sample_index wraps
_OLD_FRAME_US = 20_000  # a frame that came again is not older
_LONGEST_FRAME_US = 2_000_000  # 32 conversions at the lowest rate anyone would use
_TIME_SLACK_US = 200  # an interrupt that waits for another; longer ones show in the jitter percentiles


def signed32(difference: int) -> int:
    """A difference of two 32-bit counters as the shorter way round."""
    return (difference + 0x80000000 & _U32) - 0x80000000


@dataclass(frozen=True, slots=True)
class End:
    """The capture is over. `size`: its wire bytes."""

    size: int


@dataclass(slots=True)
class Setting:
    """One config_id within one boot: its INFO pages so far, and the DATA that uses it."""

    config_id: int
    pages: dict[int, Info] = field(default_factory=dict)
    data_frames: int = 0
    first_data: Data | None = None
    first_data_packet: int = 0
    conversions_before_info: int = 0
    reported: bool = False  # that DATA came without INFO
    gaps: int = 0  # places before its first DATA where packets are missing or damaged
    excused: bool = False  # its INFO may lie before the capture, or in packets that were lost

    @property
    def info(self) -> Info | None:
        """Any of its pages: all of them agree on what is not per channel."""
        return next(iter(self.pages.values()), None)

    @property
    def complete(self) -> bool:
        info = self.info
        return info is not None and len(self.pages) == info.pages

    @property
    def rate(self) -> Fraction | None:
        info = self.info
        return None if info is None else Fraction(info.rate_num, info.rate_den)

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        """Per channel; empty while INFO is not complete."""
        if not self.complete:
            return ()
        return tuple(uv for page in sorted(self.pages) for uv in self.pages[page].uv_per_count)

    @property
    def labels(self) -> tuple[str, ...]:
        """Per channel; empty while INFO is not complete."""
        return () if not self.complete else tuple(x for p in sorted(self.pages) for x in self.pages[p].labels)


@dataclass(frozen=True, slots=True)
class Step:
    """From one DATA frame to the next that was received."""

    before: Data
    after: Data
    packet: int  # number of `after` on the wire
    missing: int  # packets missing between them by link_seq
    damaged: int  # faults between them
    between: int  # whole packets of other types between them
    period_us: float | None  # nominal, by INFO

    @property
    def ahead(self) -> int:
        """Conversions between the end of `before` and the start of `after`; negative: it goes back."""
        return signed32(self.after.sample_index - self.before.sample_index - self.before.n_samples)

    @property
    def dt_us(self) -> int:
        """Time passed by the 32-bit counters, signed."""
        return signed32(self.after.t_us - self.before.t_us)

    @property
    def whole(self) -> bool:
        """Nothing can have been lost on the link between the two."""
        return self.missing == 0 and self.damaged == 0


class LinkStep(NamedTuple):
    """link_seq that is not the one after the packet before. `same_type`: link_seq of the last packet of this type."""

    before: int
    after: int
    same_type: int | None
    n_samples_before: int | None  # of a DATA packet before
    damaged: int
    packet: int
    offset: int


@dataclass(slots=True)
class Restart:
    """The device began anew in the middle of the capture. `before`, `after`: the DATA next to it, once known."""

    offset: int
    packet: int
    boot_before: int | None
    boot_after: int | None  # None until an INFO or HEARTBEAT says it
    before: Data | None
    after: Data | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A COMMAND seen in the capture (TX of a recording, or a wire that carries both directions)."""

    command: Command
    packet: int
    host_ns: int | None = None


def as_stated(frame: Data, info: Info) -> bool:
    """Whether a DATA frame has the shape that INFO states."""
    same_words = frame.has_status == info.has_status and (
        not frame.has_status or frame.channels_per_converter == info.channels_per_converter
    )
    same_samples = frame.n_channels == info.n_channels and frame.sample_type == info.sample_type
    return same_words and same_samples and frame.n_samples <= info.n_samples


def on_time(dt_us: int, expected_us: float, share: float = 0.02) -> bool:
    """Whether a step of time is what its conversions take, but for an interrupt that waited for another."""
    return abs(dt_us - expected_us) <= _TIME_SLACK_US + expected_us * share


def fell_back(step: Step) -> bool:
    """Whether both counters of DATA began anew: neither a wrap, nor a loss, nor an old frame that came again.

    After a restart both counters are smaller numbers than before. A wrap makes them smaller, too, but its step modulo
    2^32 is small; where sample_index alone could have wrapped, the time that passed tells.
    """
    before, after = step.before, step.after
    if after.flags & Flag.CLOCK_STEPPED:
        return False
    if after.sample_index >= before.sample_index or after.t_us >= before.t_us:
        return False
    if 0 <= step.ahead < _PLAUSIBLE_LOSS:
        expected_us = (before.n_samples + step.ahead) * (step.period_us or 0.0)
        return abs(step.dt_us - expected_us) > _PAUSE_US
    return abs(step.ahead) > 8 * before.n_samples and abs(step.dt_us) > _OLD_FRAME_US


def is_odd(step: Step) -> bool:
    """Whether counters or time of a step are not what they should be."""
    if step.ahead:
        return True
    if step.after.flags & (Flag.FIRST | Flag.CLOCK_STEPPED):
        return False
    if step.period_us is None:
        return not 0 < step.dt_us < _LONGEST_FRAME_US
    return not on_time(step.dt_us, step.period_us * step.before.n_samples, 0.1)
