"""FP6xx: what the samples themselves show (SPEC 4.1)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.layout import DATA
from firmware_protocol.validator.findings import Hit, Level, rule
from firmware_protocol.validator.samples import SampleBlock
from firmware_protocol.validator.steps import End
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import WireTail

_MUST, _SHOULD, _INFO = Level.MUST, Level.SHOULD, Level.INFO
_HITS_PER_BLOCK = 20
STATUS_MASK, STATUS_NIBBLE = 0xF00000, 0xC00000


@rule(
    "FP601",
    "status-nibble",
    _MUST,
    "4.1",
    on=SampleBlock,
    hint="The bits that came over SPI are not where they belong: look at clock polarity and phase, at chip select, "
    "at the DMA length, and at what else talks on this bus.",
)
def status_nibble(block: SampleBlock, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A converter's status word begins with the bits 1100 in every conversion."""
    import numpy as np

    if not block.is_int or not block.first.has_status:
        return
    wrong = (block.status & STATUS_MASK) != STATUS_NIBBLE
    for count, (row, converter) in enumerate(np.argwhere(wrong)):
        if count == _HITS_PER_BLOCK:
            more = int(wrong.sum()) - count
            yield Hit((block.offset, block.offset + 1), f"{more} more status words like it in this stretch")
            return
        at = block.frame_of(int(row))
        word = int(np.flatnonzero(block.is_status)[converter])
        index = DATA.size + 3 * ((int(row) - at.row) * block.values.shape[1] + word)
        yield Hit(
            wire.span(at.offset, index, index + 1),
            f"status word of converter {int(converter) + 1}, conversion {int(row) - at.row + 1} of the frame",
            f"{int(block.status[row, converter]) >> 20:04b}",
            "1100",
            key=f"converter {int(converter) + 1}",
            t_us=at.t_us,
            packet=at.packet,
        )


@rule(
    "FP602",
    "float-on-wire",
    _SHOULD,
    "4.1",
    on=SampleBlock,
    hint="Send the converter's 24-bit words as they are; float32 is for recordings that a program has rewritten.",
)
def float_on_wire(block: SampleBlock, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """Sample type 1 (float32) is for transcodes, not for devices."""
    if not block.is_int:
        yield Hit(wire.span(block.offset, 14, 15), "float32 samples", "sample type 1", "0, int24")


@rule(
    "FP603",
    "dead-channel",
    _INFO,
    "4.1",
    on=End,
    hint="Zero: not read or not powered. Railed: electrode off, or gain too high. Stuck: the same word is read again. "
    "Identical: the channel index does not advance.",
)
def dead_channel(end: End, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A channel is zero, at full scale, stuck or identical to another over the whole capture."""
    channels = s.figures.channels
    for number, channel in enumerate(channels, 1):
        if channel.samples >= 32 and channel.state:
            like = f" to {channel.identical_to}" if channel.state == "identical" else ""
            at = s.data.offset if s.data is not None else 0
            yield Hit(
                (at, at + 1),
                f"channel {number} ({channel.label}) is {channel.state}{like}",
                key=channel.state,
            )
