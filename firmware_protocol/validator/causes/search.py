"""Find whole packets where the decoder does not look: at any byte, with or without COBS.

A packet is believed only if its CRC is right, so nothing here can be fooled by chance: one false packet in four
billion tries.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from firmware_protocol._fields import stated_length
from firmware_protocol.cobs import cobs_decode, cobs_prefix
from firmware_protocol.codec import Decoder
from firmware_protocol.crc import crc32c
from firmware_protocol.frames import Fault
from firmware_protocol.limits import CRC_SIZE, MAX_CODED, MAX_PACKET, MIN_PACKET

__all__ = [
    "Found",
    "crc_is_right",
    "find_coded",
    "find_plain",
    "header_of",
    "readable",
    "stretches",
    "whole_packet",
]

_CODED_HEAD = re.compile(rb"(?=[\x02-\xff][\x11-\x16\x18])", re.DOTALL)
_PLAIN_HEAD = re.compile(rb"(?=[\x11-\x16\x18])", re.DOTALL)


class Found(NamedTuple):
    """A whole packet at positions [start, stop) of the bytes that were searched."""

    start: int
    stop: int
    packet: bytes


def stretches(data: bytes) -> list[tuple[int, bytes]]:
    """Runs of bytes other than 0, each with its position."""
    found, at = [], 0
    for part in data.split(b"\x00"):
        if part:
            found.append((at, part))
        at += len(part) + 1
    return found


def crc_is_right(packet: bytes) -> bool:
    return len(packet) >= MIN_PACKET and crc32c(packet[:-CRC_SIZE]) == int.from_bytes(
        packet[-CRC_SIZE:], "little"
    )


def whole_packet(coded: bytes) -> bytes | None:
    """The packet that `coded` is, if its CRC is right."""
    if not coded or 0 in coded:
        return None
    packet = cobs_decode(coded)
    return packet if packet is not None and crc_is_right(packet) else None


def header_of(coded: bytes) -> bytes:
    """What can be decoded from the start of `coded`, damaged or not, as far as its blocks stay inside."""
    out = bytearray()
    at = 0
    while at < len(coded) and coded[at]:
        code = coded[at]
        out += coded[at + 1 : at + code]
        at += code
        if code < 255:
            out.append(0)
    return bytes(out)


def find_coded(data: bytes) -> list[Found]:
    """Whole COBS-coded packets, wherever they begin and whatever follows them; they do not overlap."""
    found: list[Found] = []
    done = 0
    for match in _CODED_HEAD.finditer(data):
        at = match.start()
        if at < done:
            continue
        window = data[at : at + MAX_CODED]
        zero = window.find(0)
        if zero >= 0:
            window = window[:zero]
        decoded = header_of(window)
        length = stated_length(decoded) if len(decoded) >= MIN_PACKET else 0
        if not length or length > len(decoded):
            continue
        end = cobs_prefix(window, length)
        if end is not None and crc_is_right(decoded[:length]):
            found.append(Found(at, at + end, decoded[:length]))
            done = at + end
    return found


def find_plain(data: bytes) -> list[Found]:
    """Whole packets that stand in `data` without COBS; they do not overlap."""
    found: list[Found] = []
    done = 0
    for match in _PLAIN_HEAD.finditer(data):
        at = match.start()
        if at < done:
            continue
        window = data[at : at + MAX_PACKET]
        length = stated_length(window) if len(window) >= MIN_PACKET else 0
        if length and length <= len(window) and crc_is_right(window[:length]):
            found.append(Found(at, at + length, window[:length]))
            done = at + length
    return found


def readable(data: bytes) -> tuple[int, int]:
    """Packets that the decoder finds in `data`, and the bytes that belong to none."""
    decoder = Decoder()
    events = decoder.feed(data) + decoder.finish()
    lost = decoder.discarded
    packets = 0
    for event in events:
        if isinstance(event, Fault) and event.kind in ("undelimited", "cobs", "short", "crc", "truncated"):
            lost += event.length
        elif not isinstance(event, Fault) or event.length:
            packets += 1
    return packets, lost
