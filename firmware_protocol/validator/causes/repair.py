"""Undo small damage to one packet: find the single byte that was changed, lost or added, with the CRC as judge.

The CRC is linear: wrong CRC XOR right CRC depends on the error alone. Run backwards from the packet's end, the
register shows at the place of the error exactly the changed byte's bits and nothing else. So one pass finds the byte
and what it was, and a chance hit has a probability of a packet's length in 2^24.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from firmware_protocol._fields import stated_length
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.crc import REFLECTED_POLYNOMIAL, crc32c
from firmware_protocol.limits import CRC_SIZE, MIN_PACKET
from firmware_protocol.validator.causes.search import crc_is_right, header_of, whole_packet
from firmware_protocol.validator.wire import coded_position

__all__ = ["Repair", "repair"]


class Repair(NamedTuple):
    """`kind`: "changed", "lost", "added"; `at`: position in the coded bytes; `was`: the byte as it came (None if
    lost), `should`: as it was sent (None if added)."""

    kind: str
    at: int
    was: int | None
    should: int | None


@lru_cache(maxsize=1024)  # several hypotheses ask about the same bytes
def repair(coded: bytes) -> Repair | None:
    """The one byte of a damaged packet's COBS form that was changed, lost or added, if it is one."""
    if not 8 <= len(coded) <= 700:
        return None
    packet = cobs_decode(coded) if 0 not in coded else None
    if packet is not None and len(packet) >= MIN_PACKET and (found := _changed(packet)) is not None:
        index, error = found
        at = coded_position(coded, index)
        return Repair("changed", at, coded[at], packet[index] ^ error)
    return _code_changed(coded) or _lost(coded) or _added(coded)


@cache
def _back() -> list[int]:
    """By the register's top byte: the table entry that put it there, with its index in the low byte."""
    found = [0] * 256
    for index in range(256):
        register = index
        for _ in range(8):
            register = register >> 1 ^ (REFLECTED_POLYNOMIAL if register & 1 else 0)
        found[register >> 24] = register << 8 & 0xFFFFFFFF | index
    return found


def _changed(packet: bytes) -> tuple[int, int] | None:
    """Index and XOR of the single byte that differs from what the CRC was computed of."""
    register = crc32c(packet[:-CRC_SIZE]) ^ int.from_bytes(packet[-CRC_SIZE:], "little")
    for k in range(CRC_SIZE):  # an error in the CRC itself
        if register == register & 0xFF << 8 * k:
            return len(packet) - CRC_SIZE + k, register >> 8 * k
    back = _back()
    for index in range(len(packet) - CRC_SIZE - 1, -1, -1):
        register = (register << 8 & 0xFFFFFFFF) ^ back[register >> 24]
        if register < 256:
            return index, register
    return None


def _code_changed(coded: bytes) -> Repair | None:
    """A code byte was changed, so that the blocks behind it are cut wrong."""
    at = 0
    while at < len(coded):
        for code in range(1, min(255, len(coded) - at) + 1):
            if code != coded[at] and whole_packet(coded[:at] + bytes([code]) + coded[at + 1 :]) is not None:
                return Repair("changed", at, coded[at], code)
        if coded[at] == 0:
            return None
        at += coded[at]
        if at > 64:  # a damaged code byte further on is found as a byte inside the last good block
            return None
    return None


def _lost(coded: bytes) -> Repair | None:
    """One byte is missing: put one in at each place, and see whether the CRC then finds it."""
    for at in range(len(coded) + 1):
        tried = coded[:at] + b"\x01" + coded[at:]
        packet = cobs_decode(tried)
        if packet is None or len(packet) < MIN_PACKET or stated_length(packet) not in (0, len(packet)):
            continue
        if crc_is_right(packet):
            return Repair("lost", at, None, 1)
        found = _changed(packet)
        if found is not None and coded_position(tried, found[0]) == at and packet[found[0]] ^ found[1]:
            return Repair("lost", at, None, packet[found[0]] ^ found[1])
    return None


def _added(coded: bytes) -> Repair | None:
    """One byte is too many."""
    if stated_length(header_of(coded)[:700] or b"\x00") == 0 and coded[0] > 64:
        return None
    for at in range(len(coded)):
        if whole_packet(coded[:at] + coded[at + 1 :]) is not None:
            return Repair("added", at, coded[at], None)
    return None
