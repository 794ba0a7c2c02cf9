"""Undo small damage to one packet: find the single byte that was changed, lost or added, with the CRC as judge.

A CRC register can be run forwards from a packet's first byte, and backwards from its end, where it is the residue
whatever the packet. Undamaged, both runs agree at every place. Where one byte is wrong, they agree on either side of
it once it is undone, so one pass tries all places; and where a code byte of COBS is wrong, each other way to cut the
blocks is one comparison. A chance hit has a probability of a packet's length in 2^24.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from firmware_protocol._fields import stated_length
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.crc import INITIAL, REFLECTED_POLYNOMIAL, RESIDUE
from firmware_protocol.limits import MIN_PACKET

__all__ = ["Repair", "repair"]

_LONGEST = 700  # coded bytes; a packet has 658 at most
_FULL = 255


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
    if not MIN_PACKET <= len(coded) <= _LONGEST or 0 in coded:
        return None
    return next(_Search(coded).found(), None)


def _tables() -> tuple[list[int], list[int]]:
    """Forwards: by the low byte. Backwards: by the top byte, the entry that put it there, its index in the low byte."""
    forwards, backwards = [], [0] * 256
    for index in range(256):
        register = index
        for _ in range(8):
            register = register >> 1 ^ (REFLECTED_POLYNOMIAL if register & 1 else 0)
        forwards.append(register)
        backwards[register >> 24] = register << 8 & 0xFFFFFFFF | index
    return forwards, backwards


_FORWARDS, _BACKWARDS = _tables()


def _ahead(register: int, byte: int) -> int:
    return _FORWARDS[(register ^ byte) & 0xFF] ^ register >> 8


def _back(register: int, byte: int) -> int:
    return (register << 8 & 0xFFFFFFFF) ^ _BACKWARDS[register >> 24] ^ byte


class _Search:
    """`coded` is cut into blocks from its start as far as it goes; `ends[p]`: code bytes lead from p to the end."""

    def __init__(self, coded: bytes) -> None:
        self._coded = coded
        self._n = len(coded)
        self._ends = [False] * self._n + [True] + [False] * 256
        for at in range(self._n - 1, -1, -1):
            self._ends[at] = self._ends[at + coded[at]]
        self._needed: dict[int, int] = {self._n: RESIDUE}

    def found(self) -> Iterator[Repair]:
        blocks = list(self._blocks())
        if self._ends[0]:
            for start, register in blocks[:-1]:
                yield from self._changed(start, register)
            packet = cobs_decode(self._coded)
            if packet and stated_length(packet) == len(packet):
                return  # well-formed: more than one byte is wrong
        for start, register in blocks:
            if start < self._n:
                yield from self._other_code(start, register)
                yield from self._lost(start, register)
                yield from self._added(start, register)
            yield from self._lost_code(start, register)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Position of each code byte, and the register before the data behind it."""
        register, at = INITIAL, 0
        while at < self._n:
            yield at, register
            code = self._coded[at]
            for byte in self._coded[at + 1 : at + code]:
                register = _ahead(register, byte)
            if code < _FULL:
                register = _ahead(register, 0)
            at += code
        if at == self._n:
            yield at, register

    def _need(self, start: int) -> int:
        """The register that there must be before the data of the block at `start`."""
        chain = []
        while start not in self._needed:
            chain.append(start)
            start += self._coded[start]
        for at in reversed(chain):
            register = self._behind(at + self._coded[at], self._coded[at])
            for byte in reversed(self._coded[at + 1 : at + self._coded[at]]):
                register = _back(register, byte)
            self._needed[at] = register
        return self._needed[chain[0] if chain else start]

    def _behind(self, end: int, code: int) -> int:
        """The register that there must be behind the data of a block that ends at `end`."""
        need = self._need(end)
        return _back(need, 0) if code < _FULL and end < self._n else need

    def _changed(self, start: int, register: int) -> Iterator[Repair]:
        """A data byte of this block is another."""
        data = self._coded[start + 1 : start + self._coded[start]]
        ahead = _run_ahead(register, data)
        needed = _run_back(self._behind(start + len(data) + 1, len(data) + 1), data)
        for k, byte in enumerate(data):
            error = ahead[k] ^ needed[k]
            if error < 256:
                yield Repair("changed", start + 1 + k, byte, byte ^ error)

    def _other_code(self, start: int, register: int) -> Iterator[Repair]:
        """The code byte is another: does the packet go on right at another place?"""
        for end in range(start + 1, min(start + _FULL, self._n) + 1):
            code = end - start
            if code != self._coded[start] and self._ends[end] and self._behind(end, code) == register:
                yield Repair("changed", start, self._coded[start], code)
            if end < self._n:
                register = _ahead(register, self._coded[end])

    def _lost_code(self, start: int, register: int) -> Iterator[Repair]:
        """The code byte of a block that should begin here is missing."""
        for end in range(start, min(start + _FULL - 1, self._n) + 1):
            if self._ends[end] and self._behind(end, end - start + 1) == register:
                yield Repair("lost", start, None, end - start + 1)
            if end < self._n:
                register = _ahead(register, self._coded[end])

    def _lost(self, start: int, register: int) -> Iterator[Repair]:
        """A data byte of this block is missing; the next code byte then stands one place too early."""
        end = start + self._coded[start] - 1
        if end <= start or not self._ends[end]:
            return
        data = self._coded[start + 1 : end]
        ahead = _run_ahead(register, data)
        needed = _run_back(self._behind(end, self._coded[start]), data)
        for k in range(len(data) + 1):
            should = _back(needed[k], 0) ^ ahead[k]
            if 0 < should < 256:
                yield Repair("lost", start + 1 + k, None, should)

    def _added(self, start: int, register: int) -> Iterator[Repair]:
        """A byte of this block, or in front of it, is too many; the next code byte then stands one place too late."""
        if self._ends[start + 1] and self._need(start + 1) == register:
            yield Repair("added", start, self._coded[start], None)
        end = start + self._coded[start] + 1
        if self._coded[start] == _FULL or not self._ends[end]:
            return
        data = self._coded[start + 1 : end]
        ahead = _run_ahead(register, data)
        needed = _run_back(self._behind(end, self._coded[start]), data)
        for k, byte in enumerate(data):
            if ahead[k] == needed[k + 1]:
                yield Repair("added", start + 1 + k, byte, None)


def _run_ahead(register: int, data: bytes) -> list[int]:
    """The register before each byte, and behind the last."""
    out = [register]
    for byte in data:
        register = _ahead(register, byte)
        out.append(register)
    return out


def _run_back(register: int, data: bytes) -> list[int]:
    """The same, from the register behind the last byte."""
    out = [register]
    for byte in reversed(data):
        register = _back(register, byte)
        out.append(register)
    out.reverse()
    return out
