"""A test pattern of SPEC 6.6 follows from conversion number and channel alone, so that every mistake shows exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_protocol.patterns import RAMP_CHANNEL, RAMP_STEP
from firmware_protocol.validator.causes.suspicion import MASK, Suspicion
from firmware_protocol.validator.samples import SampleBlock

if TYPE_CHECKING:
    from firmware_protocol.validator.causes.suspicion import Ints

__all__ = ["pattern"]


def pattern(block: SampleBlock) -> tuple[bool, list[Suspicion]]:
    """Whether the block carries a test pattern of SPEC 6.6, and what is wrong with it.

    The patterns follow from conversion number and channel alone, so every mistake shows exactly.
    """
    import numpy as np

    rows = min(len(block.counts), 64)
    if rows < 4 or not block.is_int:
        return False, []
    counts = block.counts[:rows] & MASK
    n = counts.shape[1]
    index = block.indices()[:rows, None]
    channel = np.arange(n)[None, :]
    swapped = (counts & 0xFF) << 16 | counts & 0xFF00 | counts >> 16
    for make in (_ramp, _prbs):

        def fits(got: Ints, expected: Ints) -> bool:
            return got.size >= 4 and bool((got == expected & MASK).mean() > 0.9)

        expected = make(index, channel)
        if fits(counts, expected):
            return True, []
        if fits(swapped, expected):
            note = "the test pattern comes out with its bytes in reverse order"
            return True, [Suspicion("sample-byte-order", note, 3, len(block.values))]
        for shift in [s for s in (1, -1, 2, -2, n // 2) if abs(s) < n]:
            if fits(counts, make(index, (channel + shift) % n)) or fits(counts, make(index, channel + shift)):
                note = (
                    f"channel 1 carries the test pattern of channel {1 + shift % n}, and so on: "
                    f"off by {'one' if abs(shift) == 1 else abs(shift)}"
                )
                return True, [Suspicion("channel-off-by-one", note, 3, len(block.values))]
            if fits(counts[:, abs(shift) :], expected[:, : n - abs(shift)]) and shift > 0:
                note = f"channel {1 + shift} carries the test pattern of channel 1, and so on"
                return True, [Suspicion("channel-off-by-one", note, 3, len(block.values))]
        for late in (1, -1):
            if fits(counts, make(index + late, channel)):
                which = "the next" if late > 0 else "the previous"
                note = f"the samples are those of {which} sample_index: it is off by one against its samples"
                return True, [Suspicion("sample-index-off-by-one", note, 3, len(block.values))]
        for bits in (16, 23):
            mask = (1 << bits) - 1
            if fits(counts, expected & mask) and not fits(counts, expected):
                note = f"of the test pattern only the lower {bits} bits arrive"
                return True, [Suspicion("sign-extension", note, 3, len(block.values))]
        for bits in (1, 2, 3, 4, 8):
            if fits(counts >> bits, (expected << bits & MASK) >> bits) or fits(
                counts << bits, expected >> bits << bits
            ):
                note = f"the test pattern is shifted by {bits} bit{'s' if bits > 1 else ''}"
                return True, [Suspicion("spi-bit-slip", note, 3, len(block.values))]
    return False, []


def _ramp(index: Ints, channel: Ints) -> Ints:
    return (index * RAMP_STEP + channel * RAMP_CHANNEL) & MASK


def _prbs(index: Ints, channel: Ints) -> Ints:
    import numpy as np

    x = (index + (channel << 24)).astype(np.uint64) & np.uint64(0xFFFFFFFF)
    x = (x ^ x >> np.uint64(16)) * np.uint64(0x7FEB352D) & np.uint64(0xFFFFFFFF)
    x = (x ^ x >> np.uint64(15)) * np.uint64(0x846CA68B) & np.uint64(0xFFFFFFFF)
    return ((x ^ x >> np.uint64(16)) >> np.uint64(8)).astype(np.int64)
