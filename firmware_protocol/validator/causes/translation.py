"""Bytes that something on the way changed because it took the stream for text or for commands to itself.

XON/XOFF swallows 0x11 and 0x13; terminal drivers turn CR and LF into each other; text layers strip, double or encode
single bytes. Those that can be undone are undone; of those that lose bytes each packet is mended by trial, with the
CRC as judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

from firmware_protocol._fields import stated_length
from firmware_protocol.limits import VERSION
from firmware_protocol.validator.causes.evidence import NOTHING, Explained, Stretch, sampled
from firmware_protocol.validator.causes.repair import repair
from firmware_protocol.validator.causes.search import header_of, readable, stretches, whole_packet
from firmware_protocol.validator.findings import cause_rule
from firmware_protocol.validator.regions import Region

__all__ = ["FlowControl", "NewlineTranslation", "OtherTranslation"]

cause_rule(
    "FP905",
    "flow-control",
    "2.1",
    "Software flow control (XON/XOFF) is on: bytes 0x11 and 0x13 are taken out of the stream, or put into it. Every "
    "DATA packet begins with 0x11.",
    hint="Switch software flow control off on both sides (raw mode; Linux: stty raw -ixon -ixoff).",
)
cause_rule(
    "FP906",
    "newline-translation",
    "2.1",
    "Line ends are translated: carriage returns and line feeds are changed into each other, added or dropped.",
    hint='Open port and file in raw, binary mode (Linux: stty raw; C: "wb" and "rb"; no terminal program\'s log).',
)
cause_rule(
    "FP907",
    "byte-translation",
    "2.1",
    "Every byte goes through a translation on its way: a bit stripped, bytes doubled, text encoding, bits reversed.",
    hint="8 data bits, no parity, raw mode; log with a program that writes bytes and not text.",
)

_XON, _XOFF, _CR, _LF = 0x11, 0x13, 0x0D, 0x0A
_MAX_CHOICES = 9
_MAX_PLACES = 16  # of which one or two are tried without


class FlowControl:
    """0x11 and 0x13 missing from the stream, or too many in it."""

    name = "flow-control"

    def explain(self, region: Region) -> Explained:
        swallowed = _swallowed(region, (_XON, _XOFF), "0x11 and 0x13 are missing")
        added = _added(region)
        return max(swallowed, added)


class NewlineTranslation:
    """CR and LF changed into each other, added or dropped."""

    name = "newline-translation"

    def explain(self, region: Region) -> Explained:
        best = NOTHING
        for note, undo in _NEWLINES:
            best = max(best, _undone(region, undo, note))
        for was, became, note in ((_CR, _LF, "CR has become LF"), (_LF, _CR, "LF has become CR")):
            if was not in region.data:
                best = max(best, _chosen(region, became, bytes([was]), note))
        best = max(best, _chosen(region, _LF, b"\r\n", "CR LF has become LF"))
        for value, note in ((_CR, "CR (0x0D) is dropped"), (_LF, "LF (0x0A) is dropped")):
            if value not in region.data:
                best = max(best, _swallowed(region, (value,), note))
        return best


class OtherTranslation:
    """Any other change that each byte goes through by itself."""

    name = "byte-translation"

    def explain(self, region: Region) -> Explained:
        best = NOTHING
        for note, undo in _OTHERS:
            best = max(best, _undone(region, undo, note))
        if len(region.data) >= 64 and max(region.data) < 0x80:
            best = max(best, _seven_bits(region))
        return best


def _undone(region: Region, undo: Callable[[bytes], bytes | None], note: str) -> Explained:
    """A translation that can be undone."""
    plain = undo(region.data)
    if plain is None or plain == region.data:
        return NOTHING
    packets, lost = readable(plain)
    if not packets:
        return NOTHING
    covered = len(region.data) * (len(plain) - lost) // max(len(plain), 1)
    first = next((k for k, (a, b) in enumerate(zip(region.data, plain, strict=False)) if a != b), 0)
    return Explained(covered, packets, region.offset + first, region.offset + first + 1, note)


def _tried(region: Region, mend: Callable[[bytes], int | None], note: str) -> Explained:
    """A translation that loses something: `mend` gives the place of the first change in a stretch it can mend."""
    pieces: list[Stretch] = sampled(region)
    covered = packets = 0
    offset = -1
    for piece in pieces:
        at = mend(piece.coded)
        if at is not None:
            covered += len(piece.coded)
            packets += 1
            offset = piece.offset + at if offset < 0 else offset
    if not packets:
        return NOTHING
    covered = covered * len(region.data) // max(sum(len(p.coded) for p in pieces), 1)
    return Explained(covered, packets, offset, offset + 1, note)


def _swallowed(region: Region, values: tuple[int, ...], note: str) -> Explained:
    """Bytes of these values never arrive: put them back where the CRC wants them."""
    if any(value in region.data for value in values):
        return NOTHING
    result = _tried(region, lambda coded: refilled(coded, values), note)
    n = len(region.data)
    if result.packets and n >= 1024:  # what could not be mended lost several of them
        result = result._replace(covered=max(result.covered, n * 9 // 10))
    return result


def refilled(coded: bytes, values: tuple[int, ...]) -> int | None:
    """Where the first of at most two lost bytes of these values belongs; None if none or more are lost."""
    for value in values:  # byte 0 of a packet, behind the first code byte
        if value >> 4 == VERSION:
            with_head = coded[:1] + bytes([value]) + coded[1:]
            if whole_packet(with_head) is not None:
                return 1
            again = repair(with_head) if stated_length(header_of(with_head[:64])) else None
            if again is not None and again.kind == "lost" and again.should in values:
                return 1
    found = repair(coded)
    return found.at if found is not None and found.kind == "lost" and found.should in values else None


def _added(region: Region) -> Explained:
    """XON and XOFF characters that do not belong to the packets."""

    def without(coded: bytes) -> int | None:
        places = [k for k, byte in enumerate(coded) if byte in (_XON, _XOFF)]
        for first, second in combinations([*places[:_MAX_PLACES], None], 2):
            out = bytearray(coded)
            for place in (second, first):
                if place is not None:
                    del out[place]
            if whole_packet(bytes(out)) is not None:
                return first
        return None

    return _tried(region, without, "0x11 or 0x13 is put into the stream")


def _chosen(region: Region, became: int, was: bytes, note: str) -> Explained:
    """Some bytes of one value were something else: try which."""

    def mend(coded: bytes) -> int | None:
        places = [k for k, byte in enumerate(coded) if byte == became]
        if not places or len(places) > _MAX_CHOICES:
            return None
        for choice in _choices(len(places)):
            out = bytearray(coded)
            for place, changed in zip(reversed(places), reversed(choice), strict=True):
                if changed:
                    out[place : place + 1] = was
            if whole_packet(bytes(out)) is not None:
                return places[choice.index(True)]
        return None

    return _tried(region, mend, note)


def _choices(n: int) -> Iterator[tuple[bool, ...]]:
    return (choice for choice in product((False, True), repeat=n) if any(choice))


def _seven_bits(region: Region) -> Explained:
    """The top bit of every byte is gone: what is left has the shape of packets, but no CRC can be right."""
    heads = sum(1 for _, part in stretches(region.data) if len(part) > 8 and part[1] in range(0x11, 0x19))
    if not heads:
        return NOTHING
    note = "no byte is above 0x7F: the top bit is stripped (7 data bits, or a parity bit taken for data)"
    return Explained(len(region.data) * 9 // 10, 0, region.offset, region.offset + 1, note)


def _utf8(data: bytes) -> bytes | None:
    out = bytearray()
    at = 0
    while at < len(data):
        if data[at] < 0x80:
            out.append(data[at])
            at += 1
        elif data[at] in (0xC2, 0xC3) and at + 1 < len(data) and data[at + 1] >> 6 == 2:
            out.append((data[at] & 3) << 6 | data[at + 1] & 0x3F)
            at += 2
        else:
            return None
    return bytes(out)


_REVERSED = bytes(int(f"{k:08b}"[::-1], 2) for k in range(256))
_INVERTED = bytes(k ^ 0xFF for k in range(256))
_NIBBLES = bytes(k >> 4 | (k & 15) << 4 for k in range(256))

_NEWLINES: tuple[tuple[str, Callable[[bytes], bytes | None]], ...] = (
    ("LF has become CR LF", lambda data: data.replace(b"\r\n", b"\n")),
    ("CR has become CR LF", lambda data: data.replace(b"\r\n", b"\r")),
    ("LF has become LF CR", lambda data: data.replace(b"\n\r", b"\n")),
    ("CR and LF are swapped", lambda data: data.translate(bytes.maketrans(b"\r\n", b"\n\r"))),
)
_OTHERS: tuple[tuple[str, Callable[[bytes], bytes | None]], ...] = (
    (
        "0xFF is doubled (telnet, or parity marking of a terminal driver)",
        lambda d: d.replace(b"\xff\xff", b"\xff"),
    ),
    ("bytes above 0x7F are encoded as UTF-8 text", _utf8),
    ("all bits are inverted", lambda data: data.translate(_INVERTED)),
    ("bits are reversed, most significant first", lambda data: data.translate(_REVERSED)),
    ("bits are inverted and reversed", lambda data: data.translate(_REVERSED).translate(_INVERTED)),
    ("the two halves of each byte are swapped", lambda data: data.translate(_NIBBLES)),
)
