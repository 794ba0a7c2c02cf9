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
from firmware_protocol.validator.causes.search import crc_is_right, whole_packet
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
    if not 8 <= len(coded) <= 700 or 0 in coded:
        return None
    packet = cobs_decode(coded)
    if packet is not None and len(packet) >= MIN_PACKET:
        if (found := _changed(packet)) is not None:
            index, error = found
            at = coded_position(coded, index)
            return Repair("changed", at, coded[at], packet[index] ^ error)
        if stated_length(packet) == len(packet):
            return None  # well-formed: more than one byte is wrong
    ends_well = _ends_well(coded)
    starts = _starts(coded)
    return _code_changed(coded, starts, ends_well) or _lost(coded, starts, ends_well) or _added(coded, starts, ends_well)


def _ends_well(coded: bytes) -> list[bool]:
    """Whether code bytes lead from each position exactly to the end."""
    n = len(coded)
    ends = [False] * n + [True] + [False] * 256
    for at in range(n - 1, -1, -1):
        ends[at] = ends[at + coded[at]]
    return ends


def _starts(coded: bytes) -> list[int]:
    """Positions of code bytes, as far as they lead inside."""
    starts, at = [], 0
    while at < len(coded):
        starts.append(at)
        at += coded[at]
    return starts


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


def _code_changed(coded: bytes, starts: list[int], ends_well: list[bool]) -> Repair | None:
    """A code byte was changed, so that the blocks behind it are cut wrong."""
    for at in starts:
        for code in range(1, min(255, len(coded) - at) + 1):
            if code != coded[at] and ends_well[at + code]:
                if whole_packet(coded[:at] + bytes([code]) + coded[at + 1 :]) is not None:
                    return Repair("changed", at, coded[at], code)
    return None


def _lost(coded: bytes, starts: list[int], ends_well: list[bool]) -> Repair | None:
    """One byte is missing: put one in at each place, and see whether the CRC then finds it."""
    for start in starts:
        end = start + coded[start] - 1  # where the next code byte stands, if the byte is missing in this block
        if end > len(coded) or not ends_well[end]:
            continue
        for at in range(start + 1, end + 1):
            tried = coded[:at] + b"\x01" + coded[at:]
            packet = cobs_decode(tried)
            if packet is None or len(packet) < MIN_PACKET or stated_length(packet) not in (0, len(packet)):
                break  # the same for every place in this block
            if crc_is_right(packet):
                return Repair("lost", at, None, 1)
            found = _changed(packet)
            if found is not None and coded_position(tried, found[0]) == at:
                return Repair("lost", at, None, packet[found[0]] ^ found[1])
    return None


def _added(coded: bytes, starts: list[int], ends_well: list[bool]) -> Repair | None:
    """One byte is too many."""
    for start in starts:
        end = start + coded[start] + 1
        if end > len(coded) or not ends_well[end]:
            continue
        for at in range(start + 1, end):
            if whole_packet(coded[:at] + coded[at + 1 :]) is not None:
                return Repair("added", at, coded[at], None)
    return Repair("added", 0, coded[0], None) if whole_packet(coded[1:]) is not None else None
