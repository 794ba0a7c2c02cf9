"""Damage in how packets are laid on the wire: no COBS, other stuffing, no delimiter, text between packets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from firmware_protocol.cobs import cobs_decode
from firmware_protocol.limits import CRC_SIZE
from firmware_protocol.validator.causes.evidence import NOTHING, Explained, sampled
from firmware_protocol.validator.causes.search import (
    Found,
    crc_is_right,
    find_coded,
    find_plain,
    readable,
    whole_packet,
)
from firmware_protocol.validator.findings import cause_rule
from firmware_protocol.validator.regions import Region

__all__ = ["MissingCobs", "MissingDelimiter", "OtherStuffing", "Text", "text_share"]

cause_rule(
    "FP901",
    "missing-cobs",
    "2.2",
    "Packets are sent as they are, without COBS. Every zero byte inside them ends a packet for the receiver.",
    hint="Encode each packet, CRC included, with COBS before it goes to the UART, then send 0x00.",
)
cause_rule(
    "FP902",
    "missing-delimiter",
    "2.1",
    "Packets follow each other without the byte 0x00 between them, or with another byte in its place.",
    hint="Send one byte 0x00 after every packet and nothing else between packets.",
)
cause_rule(
    "FP903",
    "text-in-stream",
    "4.6",
    "Readable text stands among the packets: a printf, a boot loader or a log shares the UART with the protocol.",
    hint="Send text in LOG packets or on another UART; switch off the boot loader's greeting.",
)
cause_rule(
    "FP904",
    "wrong-stuffing",
    "2.2",
    "Packets are stuffed in another way than COBS over packet and CRC.",
    hint="COBS over the whole packet with its CRC: code byte, then up to 254 bytes other than 0; delimiter 0x00.",
)

_PRINTABLE = rb"\t\n\r\x1b\x20-\x7e"
_RUN = re.compile(rb"[" + _PRINTABLE + rb"]{4,}")
_WORDY = re.compile(rb"[A-Za-z0-9 ]")


def text_share(data: bytes) -> float:
    """Part of `data` that is readable."""
    return 1.0 - len(re.sub(rb"[" + _PRINTABLE + rb"]", b"", data)) / len(data) if data else 0.0


class MissingCobs:
    """Whole packets with a right CRC stand in the bytes as they are."""

    name = "missing-cobs"

    def explain(self, region: Region) -> Explained:
        found = find_plain(region.data)
        if not found:
            return NOTHING
        covered = sum(f.stop - f.start for f in found) + len(found)
        first = found[0]
        return Explained(
            min(covered, len(region.data)),
            len(found),
            region.offset + first.start,
            region.offset + first.start + 1,
        )


class MissingDelimiter:
    """COBS-coded packets lie end to end, or with the same other bytes after each."""

    name = "missing-delimiter"

    def explain(self, region: Region) -> Explained:
        found = find_coded(region.data)
        if len(found) < 2:
            return NOTHING
        gaps = Counter(region.data[a.stop : b.start] for a, b in pairwise(found) if b.start - a.stop <= 4)
        gaps.pop(b"\x00", None)
        if not gaps:
            return NOTHING
        gap, times = gaps.most_common(1)[0]
        if times < max(2, (len(found) - 1) // 2) or set(gap) & {0x11, 0x13}:
            return NOTHING
        covered = sum(f.stop - f.start for f in found) + times * len(gap)
        note = f"{gap.hex(' ')} stands in its place" if gap else "nothing stands between them"
        stop = region.offset + found[0].stop
        return Explained(covered, len(found), stop, stop + max(len(gap), 1), note)


class Text:
    """Readable runs; with them taken out, the packets around them are whole."""

    name = "text-in-stream"

    def explain(self, region: Region) -> Explained:
        covered = packets = 0
        offset, stop, sample = -1, -1, b""
        pieces = sampled(region)
        for piece in pieces:
            run, rest, runs_at = self._without_text(piece.coded)
            if not run:
                continue
            packets += rest
            covered += len(piece.coded) if rest or len(run) > 0.6 * len(piece.coded) else len(run)
            if offset < 0 or len(run) > len(sample) + 8:
                offset, stop, sample = piece.offset + runs_at, piece.offset + runs_at + len(run), run
        if offset < 0:
            return NOTHING
        covered = covered * len(region.data) // max(sum(len(p.coded) for p in pieces), 1)
        shown = sample.decode("ascii", "replace").strip()
        note = f"{shown[:60]!r}{' …' if len(shown) > 60 else ''}"
        return Explained(min(covered, len(region.data)), packets, offset, stop, note)

    def _without_text(self, coded: bytes) -> tuple[bytes, int, int]:
        """The text in a stretch, how many packets are whole without it, and where it begins."""
        found = find_coded(coded)
        if found:  # text before, between or after packets
            left = self._left_over(coded, found)
            return (left[1], len(found), left[0]) if left is not None else (b"", 0, 0)
        runs = [m for m in _RUN.finditer(coded) if len(_WORDY.findall(m[0])) >= 0.6 * len(m[0])]
        if not runs:
            return b"", 0, 0
        for match in runs:  # text inside a packet; its neighbours may be readable by chance
            for start in range(match.start(), min(match.start() + 6, match.end() - 3)):
                for end in range(match.end(), max(match.end() - 6, start + 3), -1):
                    if whole_packet(coded[:start] + coded[end:]) is not None:
                        return coded[start:end], 1, start
        longest = max(runs, key=lambda m: m.end() - m.start())
        sure = len(longest[0]) >= 16 or (len(longest[0]) >= 0.8 * len(coded) and len(longest[0]) >= 8)
        return (longest[0], 0, longest.start()) if sure else (b"", 0, 0)

    def _left_over(self, coded: bytes, found: list[Found]) -> tuple[int, bytes] | None:
        """What stands beside whole packets, if it is readable."""
        edges = [0, *(edge for f in found for edge in (f.start, f.stop)), len(coded)]
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            part = coded[start:stop]
            if len(part) >= 2 and text_share(part) > 0.9 and (len(part) > 2 or part.isalnum()):
                return start, part
        return None


def _slip(data: bytes) -> list[bytes]:
    return [p.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb") for p in data.split(b"\xc0")]


def _hdlc(data: bytes) -> list[bytes]:
    escaped = re.compile(rb"\x7d(.)", re.DOTALL)
    return [escaped.sub(lambda m: bytes([m[1][0] ^ 0x20]), p) for p in data.split(b"\x7e")]


def _cobs_reduced(data: bytes) -> list[bytes]:
    """COBS/R: where the last code byte points past the end, it is the last data byte itself."""
    out = []
    for part in data.split(b"\x00"):
        at = 0
        while at + (part[at] if at < len(part) else 0) < len(part):
            at += part[at]
        if at < len(part):
            decoded = cobs_decode(part[:at] + bytes([len(part) - at]) + part[at + 1 :])
            out.append((decoded or b"") + part[at : at + 1])
    return out


def _crc_after(data: bytes) -> list[bytes]:
    """COBS over the packet, then the CRC as it is, then the delimiter; without zeros in the CRC, that is."""
    out = []
    for part in data.split(b"\x00"):
        body = cobs_decode(part[:-CRC_SIZE]) if len(part) > CRC_SIZE else None
        if body is not None:
            out.append(body + part[-CRC_SIZE:])
    return out


def _long_blocks(data: bytes) -> list[bytes]:
    """A zero is taken to follow every block, also a full one of 254 bytes (code 255)."""
    out = []
    for part in data.split(b"\x00"):
        decoded, at = bytearray(), 0
        while at < len(part):
            decoded += part[at + 1 : at + part[at]] + b"\x00"
            at += part[at]
        out.append(bytes(decoded[:-1]))
    return out


def _code_counts_itself_not(data: bytes) -> list[bytes]:
    """Code bytes are one too small: they count the data bytes without themselves (and 0 would be a delimiter)."""
    out = []
    for part in data.split(b"\x00"):
        decoded, at = bytearray(), 0
        while at < len(part):
            decoded += part[at + 1 : at + 1 + part[at]] + b"\x00"
            at += part[at] + 1
        out.append(bytes(decoded[:-1]))
    return out


_STUFFINGS: tuple[tuple[str, Callable[[bytes], list[bytes]]], ...] = (
    ("SLIP (0xC0, escapes 0xDB)", _slip),
    ("HDLC (0x7E, escapes 0x7D)", _hdlc),
    ("COBS/R (the last code byte replaced by the last data byte)", _cobs_reduced),
    ("COBS over the packet without its CRC, which is added afterwards", _crc_after),
    ("COBS with a zero after full blocks too (code 0xFF stands for 254 bytes and no zero)", _long_blocks),
    ("COBS with code bytes that are one too small (they count themselves)", _code_counts_itself_not),
)


class OtherStuffing:
    """Another way to make packets free of a byte; tried one after the other."""

    name = "wrong-stuffing"

    def explain(self, region: Region) -> Explained:
        best = NOTHING
        for note, unstuff in _STUFFINGS:
            whole = [
                packet for packet in unstuff(region.data) if crc_is_right(packet) and packet[0] >> 4 == 1
            ]
            covered = min(sum(len(p) + 2 for p in whole), len(region.data))
            if covered > best.covered:
                best = Explained(covered, len(whole), region.offset, region.offset + 1, note)
        twice = cobs_twice(region.data)
        if twice > best.packets:
            best = Explained(len(region.data), twice, region.offset, region.offset + 1, "COBS applied twice")
        return best


def cobs_twice(data: bytes) -> int:
    """Whole packets under a second layer of COBS."""
    inner = [cobs_decode(part) for part in data.split(b"\x00") if part]
    return sum(readable(packet)[0] for packet in inner if packet)
