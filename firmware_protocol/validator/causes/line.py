"""The line itself: another baud rate, single bytes damaged or lost, and streams that are something else altogether."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from firmware_protocol._fields import stated_length
from firmware_protocol.codes import Type
from firmware_protocol.limits import MAX_CODED, MIN_PACKET, VERSION
from firmware_protocol.validator.causes.evidence import NOTHING, Explained, sampled
from firmware_protocol.validator.causes.framing import text_share
from firmware_protocol.validator.causes.repair import Repair, repair
from firmware_protocol.validator.causes.search import header_of, stretches, whole_packet
from firmware_protocol.validator.findings import cause_rule
from firmware_protocol.validator.regions import Region

__all__ = ["ForeignStream", "LineDamage", "WrongBaud"]

cause_rule(
    "FP908",
    "wrong-baud",
    "2.1",
    "The bytes are no packets under any reading: receiver and device run at different baud rates.",
    hint="Set the same baud rate on both sides, 8 data bits, no parity; check the clock the UART divides.",
)
cause_rule(
    "FP909",
    "line-damage",
    "2.1",
    "Single bytes were changed, lost or added on the line, here and there and in no system.",
    hint="Look at ground, cable length and level; at receive overruns (lost bytes) and at a baud rate 2 % off (last "
    "bits of a byte). The protocol loses only the packets that were hit.",
)
cause_rule(
    "FP910",
    "foreign-stream",
    "1",
    "The bytes are something else: another device's protocol, a text file, a hex dump.",
    hint="Check that this is the right port or file; turn a hex dump back into bytes (xxd -r -p) first.",
)

_RATES = (
    9600,
    19200,
    38400,
    57600,
    115200,
    230400,
    460800,
    500000,
    921600,
    1000000,
    1500000,
    2000000,
    3000000,
)
_ENOUGH = 48  # bytes of rubbish that a judgement needs, if there is nothing else
_LONG = 700  # and among good packets: more than one damaged packet has
_DAMAGE_TRIES = 12
_FEW = 24  # bytes by which the length of a damaged packet may be off
_HEADS = frozenset(VERSION << 4 | type_ for type_ in Type)


class LineDamage:
    """Packets with one byte changed, lost or added, or cut by a single wrong zero."""

    name = "line-damage"

    def explain(self, region: Region) -> Explained:
        pieces = sampled(region)
        pieces = pieces[:: -(-len(pieces) // _DAMAGE_TRIES) or 1]
        kinds: Counter[str] = Counter()
        covered = 0
        first: tuple[int, Repair] | None = None
        parts = stretches(region.data)
        if len(parts) == 2 and (cut := _cut_by_zero(region.data)) is not None:
            at, should = cut
            return Explained(
                len(region.data),
                1,
                region.offset + at,
                region.offset + at + 1,
                _words(Repair("changed", at, 0, should)),
            )
        for piece in pieces:
            found = repair(piece.coded)
            if found is None:
                continue
            kinds[found.kind] += 1
            covered += len(piece.coded)
            if first is None:
                first = (piece.offset + found.at, found)
        if first is None:
            return self._burst(region)
        covered = covered * len(region.data) // max(sum(len(p.coded) for p in pieces), 1)
        return Explained(covered, kinds.total(), first[0], first[0] + 1, _words(first[1]))

    def _burst(self, region: Region) -> Explained:
        """Damage to more than one byte of a packet that begins or ends as it should."""
        if len(region.data) > 1400 or region.faults > 4 or (region.at_start and region.at_end):
            return NOTHING
        head = header_of(region.data[:64])
        if len(head) >= 4 and head[0] in range(0x11, 0x19):
            note = "several bytes of the packet are damaged or lost"
            return Explained(len(region.data) // 2, 0, region.offset, region.offset + len(region.data), note)
        return NOTHING


def _cut_by_zero(data: bytes) -> tuple[int, int] | None:
    """The place of a zero that was another byte, and that byte."""
    at = data.find(0)
    rest = data[at + 1 :].rstrip(b"\x00")
    if at <= 0 or 0 in rest or len(data) > 1400:
        return None
    for value in range(1, 256):
        if whole_packet(data[:at] + bytes([value]) + rest) is not None:
            return at, value
    return None


def _words(found: Repair) -> str:
    if found.was is None:
        return f"a byte 0x{found.should:02X} is missing here"
    if found.should is None:
        return f"this byte, 0x{found.was:02X}, is too many"
    bits = [k for k in range(8) if (found.was ^ found.should) >> k & 1]
    which = f"bit {bits[0]} is flipped" if len(bits) == 1 else f"bits {', '.join(map(str, bits))} are flipped"
    return f"this byte is 0x{found.was:02X}, it was sent as 0x{found.should:02X}: {which}"


class WrongBaud:
    """Rubbish: no packet under any other reading. A slow sender leaves a trace in the bits, a fast one does not."""

    name = "wrong-baud"

    def explain(self, region: Region) -> Explained:
        data = region.data
        alone = region.at_start and region.at_end
        if len(data) < (_ENOUGH if alone else _LONG) or text_share(data) > 0.85:
            return NOTHING
        parts = stretches(data)
        shaped = sum(len(part) for _, part in parts if _has_a_shape(part))
        if shaped > 0.3 * len(data):
            return NOTHING
        ratio = slower_by(data)
        note = "" if ratio is None else f"the device sends about {ratio:.3g} times slower than it is read"
        return Explained(
            len(data) if ratio else len(data) * 3 // 4, 0, region.offset, region.offset + 16, note
        )


def _has_a_shape(part: bytes) -> bool:
    """Whether a stretch looks like a packet of version 1, but for its CRC or a few bytes."""
    if not MIN_PACKET < len(part) <= MAX_CODED + _FEW or part[1] not in _HEADS:
        return False
    return abs(stated_length(header_of(part)) - len(part)) <= _FEW


@cache
def _possible(ratio: float) -> frozenset[int]:
    """Bytes that a receiver can see that runs `ratio` times faster than the sender.

    It wakes on a falling edge and samples the middle of its own bits; the sender's bits last `ratio` of them, so
    the first are the start bit again, and neighbours are equal. Samples within 10 % of an edge may fall either way.
    """
    found = set()
    for word in range(512):
        levels = [0] + [word >> k & 1 for k in range(9)]  # what the line does after the falling edge

        def bits(shift: float, levels: list[int] = levels) -> int:
            value = 0
            for k in range(8):
                place = int((k + 1.5 + shift) / ratio)
                value |= (levels[place] if place < len(levels) else 1) << k
            return value

        found |= {bits(shift) for shift in (-0.1, 0.0, 0.1)}
    return frozenset(found)


def slower_by(data: bytes) -> float | None:
    """How many times slower than it is read a device sends, if the bits show it."""
    usual = sorted({fast / slow for slow in _RATES for fast in _RATES if 1.4 < fast / slow < 32})
    counts = Counter(data)
    best: tuple[int, float] | None = None
    for ratio in usual:
        possible = _possible(ratio)
        inside = sum(n for value, n in counts.items() if value in possible)
        if len(possible) <= 96 and inside >= 0.985 * len(data):
            best = min(best or (len(possible), ratio), (len(possible), ratio))
    return None if best is None else best[1]


class ForeignStream:
    """Streams that people take for this protocol by mistake."""

    name = "foreign-stream"

    def explain(self, region: Region) -> Explained:
        data = region.data
        if len(data) < _ENOUGH:
            return NOTHING
        if re.fullmatch(rb"[0-9A-Fa-fxX\s,:]+", data) and len(data) >= 64:
            return Explained(
                len(data), 0, region.offset, region.offset + 1, "a hex dump, not the bytes themselves"
            )
        frames = sum(
            1
            for k in range(0, len(data) - 33)
            if data[k] == 0xA0 and data[k + 32] >> 4 == 0xC and data[k + 33] == 0xA0
        )
        if frames * 33 > 0.6 * len(data):
            return Explained(
                len(data), 0, region.offset, region.offset + 33, "the stream of an OpenBCI Cyton"
            )
        return NOTHING
