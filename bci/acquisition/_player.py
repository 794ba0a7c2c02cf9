"""The live path over the bytes of a recording: blocks in, chunks out, each with its place in time.

A player is a value of what has been played so far: `copy` at the end of a packet gives one that goes on from there,
which is how a recording of gigabytes is entered in its middle.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bci.acquisition._account import Statistics
from bci.acquisition.assembler import Assembler
from bci.chunks import Chunk, Marker, SignalInfo
from firmware_protocol import Arrivals, Dialect, Gap, MarkerNote, Note, Raw, Sent, Splitter
from firmware_protocol.bulk import BulkDecoder

__all__ = ["Placed", "Player", "wire_in"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A chunk, and the seconds from the recording's first conversion to that of its first sample.

    Lost conversions count; the pauses between runs, in which the board converts nothing, do not.
    """

    chunk: Chunk
    start_s: float
    fs_hz: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.chunk.n_samples / self.fs_hz

    @property
    def gap_s(self) -> float:
        """Where the gap before it begins; without one, the chunk."""
        return self.start_s - (self.chunk.lost_before / self.fs_hz if self.chunk.lost_before else 0.0)

    def time_of(self, marker: Marker) -> float:
        return self.start_s + (marker.sample_index - self.chunk.first_sample) / self.fs_hz


class _Path(Protocol):
    """What turns the wire of one dialect into chunks."""

    dialect: Dialect

    @property
    def info(self) -> SignalInfo | None: ...
    @property
    def statistics(self) -> Statistics: ...
    @property
    def resting(self) -> bool:
        """Nothing is half decoded, so a copy of this goes on like the original."""

    def wire(self, data: bytes) -> list[Chunk]: ...
    def arrived(self, arrivals: Arrivals) -> list[Chunk]: ...
    def sent(self, sent: Sent) -> list[Chunk]: ...
    def mark(self, marker: Marker) -> list[Chunk]: ...
    def gap(self) -> None:
        """Wire is missing here."""

    def finish(self) -> list[Chunk]: ...


class _BoardPath:
    """This project's own protocol."""

    dialect = Dialect.BFP

    def __init__(self, *, labels: Mapping[int, str], max_samples: int | None) -> None:
        self._decoder = BulkDecoder()
        self._assembler = Assembler(labels=labels, max_samples=max_samples)
        self._bytes = 0
        self.resting = True

    @property
    def info(self) -> SignalInfo | None:
        return self._assembler.info

    @property
    def statistics(self) -> Statistics:
        return replace(self._assembler.statistics, bytes=self._bytes)

    def wire(self, data: bytes) -> list[Chunk]:
        self._bytes += len(data)
        self.resting = data.endswith(b"\0")
        return self._assembler.feed(self._decoder.feed(data))

    def arrived(self, arrivals: Arrivals) -> list[Chunk]:
        return []  # this wire carries its own time

    def sent(self, sent: Sent) -> list[Chunk]:
        return []  # and its own restarts

    def gap(self) -> None:
        self._decoder = BulkDecoder()  # a packet that was broken off has no other half
        self.resting = True

    def mark(self, marker: Marker) -> list[Chunk]:
        self._assembler.mark(marker)
        return self._assembler.chunks()

    def finish(self) -> list[Chunk]:
        self._assembler.finish()
        return []

    def __deepcopy__(self, memo: dict[int, Any]) -> _BoardPath:
        other = copy.copy(self)
        other._decoder = BulkDecoder()  # at rest it holds nothing
        other._assembler = copy.deepcopy(self._assembler, memo)
        return other


class Player:
    """Blocks of a recording in, chunks out; keeps count while it plays.

    Parameters
    ----------
    nonce : int
        The recording's.
    labels : mapping of int to str
        Names of the codes of the trigger line.
    facts : mapping
        What its START says.
    max_samples : int, optional
        Longest chunk, as of `Assembler`.
    """

    def __init__(
        self,
        *,
        nonce: int,
        labels: Mapping[int, str],
        facts: Mapping[str, Any] | None = None,
        max_samples: int | None = None,
    ) -> None:
        self.gaps: list[Gap] = []
        self._nonce = nonce
        self._splitter = Splitter(nonce)
        self._path = _path_of(facts or {}, labels, max_samples)
        self.last_chunks: list[Chunk] = []
        self.lost_placed = 0  # conversions that are missing before the chunks placed so far
        self._unfinished = 0  # bytes behind the last delimiter
        self._since_s = 0.0  # where the present rate began
        self._since = 0  # conversions since then
        self._fs_hz = 0.0

    @property
    def info(self) -> SignalInfo | None:
        return self._path.info

    @property
    def statistics(self) -> Statistics:
        return self._path.statistics

    @property
    def now_s(self) -> float:
        """Time of the sample that comes next."""
        return self._since_s + self._since / self._fs_hz if self._fs_hz else 0.0

    def feed(self, block: bytes) -> list[Chunk]:
        """Chunks of all packets that `block` completes."""
        end = block.rfind(b"\0") + 1
        self._unfinished = len(block) - end + (0 if end else self._unfinished)
        chunks: list[Chunk] = []
        for piece in _joined(self._splitter.feed(block), self._path.dialect):
            if isinstance(piece, bytes):
                chunks += self._path.wire(piece)
            elif isinstance(piece, MarkerNote):
                marker = Marker(piece.sample_index, piece.label, piece.code, piece.value, "host")
                chunks += self._path.mark(marker)
            elif isinstance(piece, Arrivals):
                chunks += self._path.arrived(piece)
            elif isinstance(piece, Sent):
                chunks += self._path.sent(piece)
            elif isinstance(piece, Gap):
                self.gaps.append(piece)
                self._path.gap()
        return chunks

    def place(self, chunks: list[Chunk]) -> Iterator[Placed]:
        """The chunks that `feed` just gave, each with its place in time."""
        for chunk in chunks:
            fs_hz = self.info.fs_hz if self.info is not None else 0.0
            if fs_hz != self._fs_hz:
                self._since_s, self._since, self._fs_hz = self.now_s, 0, fs_hz
            self._since += chunk.lost_before
            self.lost_placed += chunk.lost_before
            yield Placed(chunk, self.now_s, fs_hz)
            self._since += chunk.n_samples

    def finish(self) -> int:
        """The file ends here; returns the bytes of a packet that was cut off. `last_chunks` may hold some more."""
        self.last_chunks = self._path.finish()
        return self._unfinished

    def copy(self) -> Player | None:
        """One that goes on from here; None in the middle of a packet."""
        if self._unfinished or not self._path.resting:
            return None
        other = copy.copy(self)
        other.gaps = list(self.gaps)
        other._splitter = Splitter(self._nonce)
        other._path = copy.deepcopy(self._path)
        return other


def wire_in(piece: bytes | Note) -> bytes | None:
    """Wire bytes, of whatever dialect; None if the piece holds none."""
    if isinstance(piece, Raw):
        return piece.data
    return piece if isinstance(piece, bytes) else None


def _path_of(facts: Mapping[str, Any], labels: Mapping[int, str], max_samples: int | None) -> _Path:
    if facts.get("dialect") == Dialect.CYTON.name.lower():
        from bci.acquisition.cyton.path import CytonPath

        return CytonPath(facts)
    return _BoardPath(labels=labels, max_samples=max_samples)


def _joined(pieces: list[bytes | Note], dialect: Dialect) -> Iterator[bytes | Note]:
    """Wire of `dialect` in as few pieces as its notes allow: each costs a call of the decoder."""
    wire: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, Raw):
            if piece.dialect == dialect:
                wire.append(piece.data)
        elif isinstance(piece, bytes):
            if dialect == Dialect.BFP:
                wire.append(piece)
        elif isinstance(piece, MarkerNote | Gap) or (
            isinstance(piece, Arrivals | Sent) and dialect != Dialect.BFP
        ):
            if wire:
                yield b"".join(wire)
                wire = []
            yield piece
    if wire:
        yield b"".join(wire)
