"""Packets that are whole but for their CRC: which mistake in the CRC makes all of them right?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from firmware_protocol._fields import stated_length
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.crc import crc32c
from firmware_protocol.limits import CRC_SIZE
from firmware_protocol.validator.causes.crc_variants import Variant, find_variant, value_of
from firmware_protocol.validator.causes.evidence import NOTHING, Explained, Stretch, sampled
from firmware_protocol.validator.causes.search import stretches
from firmware_protocol.validator.findings import cause_rule
from firmware_protocol.validator.regions import Region
from firmware_protocol.validator.wire import coded_position

__all__ = ["WrongCrc"]

_HINT = (
    "CRC-32C: polynomial 0x1EDC6F41, initial value 0xFFFFFFFF, input and output reflected, final XOR 0xFFFFFFFF, over "
    "byte 0 to the last byte before it, least significant byte first. Check value of 123456789: 0xE3069283."
)

#: Parameter that differs → name of the cause.
CAUSE_OF = {
    "polynomial": "crc-polynomial",
    "reflection": "crc-reflection",
    "initial value": "crc-initial-value",
    "final XOR": "crc-final-xor",
    "byte order": "crc-byte-order",
    "range": "crc-range",
    "width": "crc-width",
    "missing": "crc-missing",
    "unknown": "crc-unknown",
}
for _id, _parameter, _text in (
    ("FP911", "initial value", "The CRC starts from another value than 0xFFFFFFFF."),
    (
        "FP912",
        "reflection",
        "The CRC is computed without reflecting input or output (the bit order of its bytes).",
    ),
    (
        "FP913",
        "final XOR",
        "The CRC is not inverted at its end, or XORed with something else than 0xFFFFFFFF.",
    ),
    (
        "FP914",
        "byte order",
        "The four bytes of the CRC are sent in another order than least significant first.",
    ),
    (
        "FP915",
        "range",
        "The CRC is taken over other bytes than the packet from byte 0 to the byte before it.",
    ),
    ("FP916", "polynomial", "The CRC is computed with another polynomial than CRC-32C (Castagnoli)."),
    ("FP917", "width", "The CRC has another width than 32 bits."),
    ("FP918", "missing", "No CRC is sent, or a constant stands in its place."),
    ("FP919", "unknown", "Packets are well-formed but for their CRC, and no known CRC fits it."),
):
    cause_rule(_id, CAUSE_OF[_parameter], "3.2", _text, hint=_HINT)


class _Packet(NamedTuple):
    """A stretch that decodes to a packet whose header states a length `size` bytes of CRC would make right."""

    stretch: Stretch
    packet: bytes
    size: int


def _packet(stretch: Stretch) -> _Packet | None:
    packet = cobs_decode(stretch.coded)
    if packet is None or len(packet) < 8 or packet[0] >> 4 != 1:
        return None
    short = stated_length(packet) - len(packet)
    return _Packet(stretch, packet, CRC_SIZE - short) if 0 <= short <= CRC_SIZE else None


class WrongCrc:
    """Packets whose CRC is wrong in the same way. The way is found once, from all regions.

    `systematic`: so many packets are damaged that a CRC nobody knows is likelier than a bad line.
    """

    def __init__(self, regions: Sequence[Region], *, systematic: bool) -> None:
        self.name = CAUSE_OF["unknown"]
        self.words: list[str] = []
        self._variant: Variant | None = None
        self._constant: int | None = None
        self._size = CRC_SIZE
        self._stale = False
        self._hopeless = False  # damage here and there: no CRC of its own
        packets = [p for region in regions for s in sampled(region) if (p := _packet(s)) is not None]
        if packets:
            sizes = [p.size for p in packets]
            self._size = max(set(sizes), key=sizes.count)
            self._find([p.packet for p in packets if p.size == self._size], regions, systematic)

    def _find(self, packets: list[bytes], regions: Sequence[Region], systematic: bool) -> None:
        if self._size == 0:
            self.name, self.words = (
                CAUSE_OF["missing"],
                ["every packet ends four bytes early: no CRC is sent"],
            )
            return
        values = {packet[-self._size :] for packet in packets}
        if len(values) == 1 and len(packets) > 2:
            self._constant = int.from_bytes(packets[0][-self._size :], "little")
            self.name, self.words = CAUSE_OF["missing"], [f"the CRC is always 0x{self._constant:08X}"]
            return
        for group in _groups(packets):
            self._variant = find_variant(group, size=self._size)
            if self._variant is not None:
                differences = self._variant.differences()
                self.name = CAUSE_OF[differences[0][0]]
                self.words = [words for _, words in differences]
                return
        if _stale(regions):
            self._stale = True
            self.name, self.words = CAUSE_OF["range"], ["each packet carries the CRC of the packet before it"]
            return
        self._hopeless = not (systematic and len(packets) >= 8)

    @property
    def proven(self) -> bool:
        return self._variant is not None or self._stale

    def explain(self, region: Region) -> Explained:
        if self._hopeless:
            return NOTHING
        pieces = sampled(region)
        covered = fitting = 0
        offset = stop = 0
        for piece in pieces:
            found = _packet(piece)
            if found is None or found.size != self._size or not self._fits(found.packet):
                continue
            fitting += 1
            covered += len(piece.coded)
            if fitting == 1:
                n = len(found.packet)
                offset = piece.offset + coded_position(piece.coded, max(n - self._size, 0))
                stop = piece.offset + coded_position(piece.coded, n - 1) + 1
        if not fitting:
            return NOTHING
        covered = covered * len(region.data) // max(sum(len(p.coded) for p in pieces), 1)
        return Explained(covered, fitting, offset, stop, "; ".join(self.words))

    def _fits(self, packet: bytes) -> bool:
        body, value = packet[: len(packet) - self._size], int.from_bytes(packet[-self._size :], "little")
        if self._variant is not None:
            return value_of(self._variant, body) == value
        if self._constant is not None:
            return value == self._constant
        return True


def _stale(regions: Sequence[Region]) -> bool:
    """Whether packets carry the CRC of the packet before them."""
    for region in regions:
        found = [_packet(Stretch(at, part)) for at, part in stretches(region.data)[:40]]
        for before, after in pairwise(found):
            if before is not None and after is not None and after.size == CRC_SIZE:
                right = crc32c(before.packet[:-CRC_SIZE])
                if right == int.from_bytes(after.packet[-CRC_SIZE:], "little"):
                    return True
    return False


def _groups(packets: list[bytes]) -> list[list[bytes]]:
    """Packets to try together: some of all, then by type, then two of one length, then single ones."""
    spread = packets[:: -(-len(packets) // 6)]
    types: dict[int, list[bytes]] = {}
    lengths: dict[int, list[bytes]] = {}
    for packet in packets:
        types.setdefault(packet[0], []).append(packet)
        lengths.setdefault(len(packet), []).append(packet)
    groups = [spread]
    groups += [group[:6] for group in types.values() if len(types) > 1]
    groups += [group[k : k + 2] for group in lengths.values() for k in range(0, min(len(group) - 1, 4), 2)][
        :6
    ]
    groups += [[packet] for packet in sorted(packets, key=len)[:: -(-len(packets) // 6)]]
    return groups
