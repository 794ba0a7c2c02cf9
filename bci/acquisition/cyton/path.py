"""A recorded Cyton: RAW wire, its times of arrival and the bytes that were sent, back to the chunks it gave live."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from bci.acquisition._account import Statistics
from bci.acquisition.cyton.assembler import CytonAssembler
from bci.acquisition.cyton.wire import ChannelSetting
from bci.chunks import Chunk, Marker, SignalInfo
from firmware_protocol import Arrivals, Dialect, Sent

__all__ = ["BEGIN", "END", "CytonPath"]

BEGIN, END = b"b", b"s"


class CytonPath:
    """Wire waits until it is known when it came: ARRIVAL notes follow it within 100 ms.

    Parameters
    ----------
    facts : mapping
        What START says: `daisy`, `channels`, `device`.
    """

    dialect = Dialect.CYTON
    resting = False

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._assembler = CytonAssembler(
            daisy=bool(facts.get("daisy")),
            channels=tuple(facts.get("channels") or ()),
            device=str(facts.get("device", "OpenBCI Cyton")),
        )
        self._waiting = b""
        self._begins_at = 0  # stream position of _waiting[0]
        self._sent: list[tuple[int, bytes]] = []  # (stream position, bytes)
        self._last_ns = 0

    @property
    def info(self) -> SignalInfo:
        return self._assembler.info

    @property
    def statistics(self) -> Statistics:
        return replace(self._assembler.statistics, bytes=self._begins_at + len(self._waiting))

    def wire(self, data: bytes) -> list[Chunk]:
        self._waiting += data
        return []

    def sent(self, sent: Sent) -> list[Chunk]:
        self._sent.append((self._begins_at + len(self._waiting), sent.data))
        return []

    def arrived(self, arrivals: Arrivals) -> list[Chunk]:
        end = self._begins_at + len(self._waiting)
        chunks: list[Chunk] = []
        pairs = [*arrivals.pairs, (end, 0)]
        for (begin, at_ns), (stop, _) in pairwise(pairs):
            chunks += self._block(stop - max(begin, self._begins_at), at_ns)
        return chunks

    def gap(self) -> None:
        """Time and counters tell what is missing."""

    def mark(self, marker: Marker) -> list[Chunk]:
        self._assembler.mark(marker)
        return []

    def finish(self) -> list[Chunk]:
        chunks = self._block(len(self._waiting), self._last_ns)
        chunks += self._told(self._begins_at + 1) + self._assembler.end()
        return chunks + self._assembler.feed(b"", self._last_ns)  # a marker that nothing followed

    def _block(self, n_bytes: int, at_ns: int) -> list[Chunk]:
        """The next bytes, which came at `at_ns`, cut where something was sent."""
        self._last_ns = at_ns
        chunks: list[Chunk] = []
        end = self._begins_at + n_bytes
        while self._begins_at < end:
            chunks += self._told(self._begins_at + 1)
            stop = min([end, *(at for at, _ in self._sent)])
            block, self._waiting = (
                self._waiting[: stop - self._begins_at],
                self._waiting[stop - self._begins_at :],
            )
            self._begins_at = stop
            chunks += self._assembler.feed(block, at_ns)
        return chunks

    def _told(self, before: int) -> list[Chunk]:
        """Act on what was sent before stream position `before`."""
        chunks: list[Chunk] = []
        while self._sent and self._sent[0][0] < before:
            _, data = self._sent.pop(0)
            chunks += obey(self._assembler, data)
        return chunks

    def __deepcopy__(self, memo: dict[int, Any]) -> CytonPath:
        other = copy.copy(self)
        other._sent = list(self._sent)
        other._assembler = copy.deepcopy(self._assembler, memo)
        return other


def obey(assembler: CytonAssembler, data: bytes) -> list[Chunk]:
    """What bytes to the board mean for those from it."""
    if data == BEGIN:
        return assembler.begin()
    if data == END:
        return []  # frames are still on their way
    chunks = assembler.end()
    for setting in ChannelSetting.all_in(data):
        assembler.set_gain(setting)
    return chunks
