"""Damaged stretches of the wire, kept for whoever asks what happened to them.

A region runs from the end of a good packet to the start of the next one. Packets whose CRC is right but whose
content is wrong are no damage: they end a region like good ones. Long regions are cut, and of many regions an even
selection is kept, so memory is bounded whatever the capture.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_protocol.validator.thinned import Thinned
from firmware_protocol.validator.wire import WireTail

__all__ = ["Region", "Regions"]

_FIRST_REGIONS, _FIRST_BYTES = 2, 1 << 16
_LATER_BYTES = 1 << 13
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes between two good packets. `size` is its whole length, `data` may be cut; `packet`: number of its first."""

    offset: int
    size: int
    data: bytes
    packet: int
    faults: int
    at_start: bool  # nothing good came before it
    at_end: bool  # nothing good came after it


class Regions:
    """Collects regions while the capture goes by. `count` and `bytes` are of all, `kept` holds the selection."""

    def __init__(self, wire: WireTail) -> None:
        self.bytes = 0
        self._regions: Thinned[Region] = Thinned(_KEPT)
        self._wire = wire
        self._start: int | None = None
        self._packet = 0
        self._faults = 0
        self._cut: bytes | None = None
        self._seen_good = False

    @property
    def kept(self) -> list[Region]:
        """Regions with their bytes; of very many an even selection."""
        return self._regions.kept

    @property
    def count(self) -> int:
        """How often the stream was lost."""
        return self._regions.count

    def damage(self, offset: int, packet: int) -> None:
        """A fault at `offset`."""
        if self._start is None:
            self._start, self._packet, self._faults, self._cut = offset, packet, 0, None
            self._wire.keep_from = offset
        self._faults += 1
        limit = self._limit
        if self._cut is None and self._wire.end - self._start >= limit:
            self._cut = self._wire.part(self._start, self._start + limit)
            self._wire.keep_from = None

    def good(self, offset: int) -> bool:
        """A good packet begins at `offset`; whether it ends a region."""
        self._seen_good, seen = True, self._seen_good
        return self._close(offset, at_start=not seen, at_end=False)

    def finish(self, size: int) -> None:
        """The capture ends after `size` bytes."""
        self._close(size, at_start=not self._seen_good, at_end=True)

    @property
    def _limit(self) -> int:
        return _FIRST_BYTES if self.count < _FIRST_REGIONS else _LATER_BYTES

    def _close(self, stop: int, *, at_start: bool, at_end: bool) -> bool:
        if self._start is None:
            return False
        data = self._cut
        if data is None:
            data = self._wire.part(self._start, self._start + self._limit)
        data = data[: stop - self._start]
        size = stop - self._start
        self._regions.add(Region(self._start, size, data, self._packet, self._faults, at_start, at_end))
        self.bytes += stop - self._start
        self._start = None
        self._wire.keep_from = None
        return True
