"""Digital test patterns: numbers a host can check before it trusts a sample (SPEC 6.6).

Each number follows from conversion number and channel alone, so a lost packet does not lose the place. Ramp:
wrong byte order, missing sign extension, a channel off by one and swapped channels each give other numbers.
Pseudo-random: every bit of every channel changes all the time, which crosstalk between channels or SPI bit
slips cannot survive.
"""

from __future__ import annotations

from firmware_protocol.codes import Pattern

__all__ = ["FULL_SCALE", "RAMP_CHANNEL", "RAMP_STEP", "pattern_counts", "prbs", "ramp"]

FULL_SCALE = 1 << 23  # counts go from -FULL_SCALE to FULL_SCALE - 1
RAMP_STEP = 0x010203  # three different bytes, so that their order shows
RAMP_CHANNEL = 0x610000  # odd in its upper byte: 64 different starts, both signs among any three neighbours


def ramp(sample_index: int, channel: int) -> int:
    """Counts of the ramp: steps of 66,051 that wrap from positive to negative full scale."""
    return _signed((sample_index * RAMP_STEP + channel * RAMP_CHANNEL) & 0xFFFFFF)


def prbs(sample_index: int, channel: int) -> int:
    """Counts of the pseudo-random pattern: upper 24 bits of a 32-bit mix of number and channel.

    The mix alternates xor-shifts and multiplications, which any 32-bit processor does in a few cycles; its
    constants are those of Mueller's and Wellons' searches for mixes of low bias (lowbias32).
    """
    x = (sample_index + (channel << 24)) & 0xFFFFFFFF
    x = ((x ^ x >> 16) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ x >> 15) * 0x846CA68B) & 0xFFFFFFFF
    return _signed((x ^ x >> 16) >> 8)


def pattern_counts(pattern: Pattern, sample_index: int, n_channels: int) -> list[int]:
    """One conversion of `pattern` (RAMP or PRBS) in all channels."""
    of = ramp if pattern == Pattern.RAMP else prbs
    return [of(sample_index, channel) for channel in range(n_channels)]


def _signed(word: int) -> int:
    return word - (1 << 24) if word & FULL_SCALE else word
