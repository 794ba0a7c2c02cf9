"""Looks at every block of samples as it goes by and remembers which causes it speaks for."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_protocol.codes import Flag
from firmware_protocol.layout import DATA
from firmware_protocol.validator.causes.patterns import pattern
from firmware_protocol.validator.causes.places import channel_shift, status
from firmware_protocol.validator.causes.signs import sign_extension
from firmware_protocol.validator.causes.spanning import Spanning, spanning_frame
from firmware_protocol.validator.causes.suspicion import Suspicion, roughness
from firmware_protocol.validator.causes.words import late_bits, misread
from firmware_protocol.validator.findings import cause_rule
from firmware_protocol.validator.samples import SampleBlock

__all__ = ["SampleWatch", "Suspected"]

cause_rule(
    "FP941",
    "sample-byte-order",
    "4.1",
    "The bytes of the samples come in another order than most significant first.",
    hint="Send the converter's bytes as it shifts them out: most significant first. Do not copy them through an int32.",
)
cause_rule(
    "FP942",
    "sign-extension",
    "4.1",
    "Negative samples come out as large positive ones: the sign was not copied into the upper bits.",
    hint="Extend the sign when a sample is widened: x = (int32_t)(raw << 8) >> 8, with raw unsigned; or send the "
    "converter's three bytes untouched.",
)
cause_rule(
    "FP943",
    "channel-off-by-one",
    "4.1",
    "Samples stand in the place of their neighbours: the words of a conversion are shifted by one.",
    hint="Each conversion begins with the status word (b2 of the format byte set), or with channel 1 (b2 clear). Look "
    "at the first index of the loop over channels and at the start of the DMA transfer.",
)
cause_rule(
    "FP944",
    "spi-bit-slip",
    "4.1",
    "The bits of the converter are read too early or too late, so every word holds bits of its neighbour.",
    hint="Check SPI mode (ADS1299: CPOL 0, CPHA 1), clock edges, and that chip select stays low for the whole burst.",
)
cause_rule(
    "FP945",
    "sample-index-off-by-one",
    "4.1",
    "The samples belong to the neighbouring conversion number.",
    hint="sample_index is that of the frame's first conversion: take it before the counter is advanced.",
)

_FIRST = 4  # blocks that every test looks at
_JUMP_BITS = 3.0  # a block rougher than the smoothest by this is looked at, too
_ROUGH_BITS = 17.0


@dataclass(slots=True)
class Suspected:
    """A cause that samples speak for, over the whole capture. `span`: wire bytes of the first place."""

    name: str
    note: str
    certainty: int
    rows: int
    packet: int
    offset: int
    packet_bytes: tuple[int, int]  # bytes of that packet that show it


class SampleWatch:
    """Feed it blocks in order; `suspected` and `spanning` hold what came of it, `rows` how much was seen."""

    def __init__(self) -> None:
        self.rows = 0
        self.suspected: dict[str, Suspected] = {}
        self.spanning: list[Spanning] = []
        self._seen = 0
        self._smoothest: float | None = None
        self._last: SampleBlock | None = None

    def take(self, block: SampleBlock) -> None:
        last, self._last = self._last, block
        if last is not None and last.first.config_id != block.first.config_id and len(self.spanning) < 16:
            found = spanning_frame(last, block)
            if found is not None:
                self.spanning.append(found)
        self.rows += len(block.values)
        self._seen += 1
        of_block: dict[str, Suspicion] = {}
        for suspicion in self._judge(block):  # two tests may see the same mistake
            known = of_block.get(suspicion.name)
            if known is None or (suspicion.certainty, suspicion.rows) > (known.certainty, known.rows):
                of_block[suspicion.name] = suspicion
        for suspicion in of_block.values():
            self._remember(block, suspicion)

    def _judge(self, block: SampleBlock) -> list[Suspicion]:
        live = block.live
        rough = roughness(block.counts[:, live])
        if live.any() and (self._smoothest is None or rough < self._smoothest):
            self._smoothest = rough
        jumped = self._smoothest is not None and rough > self._smoothest + _JUMP_BITS
        closely = self._seen <= _FIRST or jumped or rough > _ROUGH_BITS
        if closely or block.first.flags & Flag.TEST_SIGNAL:
            is_pattern, wrong = pattern(block)
            if is_pattern:
                return wrong
        found = [*sign_extension(block)] or [*status(block), *late_bits(block)] or [*channel_shift(block)]
        if not found and closely:
            found += misread(block)
        return found

    def _remember(self, block: SampleBlock, suspicion: Suspicion) -> None:
        known = self.suspected.get(suspicion.name)
        if known is not None:
            known.rows += suspicion.rows
            known.certainty = max(known.certainty, suspicion.certainty)
            return
        at = block.frame_of(suspicion.row)
        n_words = block.values.shape[1]
        size = 3 if block.is_int else 4
        first = DATA.size + size * ((suspicion.row - at.row) * n_words + suspicion.word)
        self.suspected[suspicion.name] = Suspected(
            suspicion.name,
            suspicion.note,
            suspicion.certainty,
            suspicion.rows,
            at.packet,
            at.offset,
            (first, first + size),
        )
