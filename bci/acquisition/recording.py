"""Reading a recording (`.bfp`, SPEC 9): lazily, through the code that runs live.

Rules
-----
- What a recording gives is what its bytes gave when they came: splitter, decoder and assembler are those of the
  live path, so samples, losses, restarts and markers are the same bit for bit.
- A file that was cut off (power, `kill -9`) gives all its whole packets; `cut_bytes` is what is left of the last.
  A file without a START is no recording and is refused, with its reason.
- Nothing is loaded before it is asked for, and no more than a block at a time, so gigabytes are fine. A file that
  another process still writes can be read; each look goes as far as it is then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci.acquisition.assembler import Assembler, Statistics
from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import RecordingError
from firmware_protocol import Arrivals, Decoder, Dialect, Gap, MarkerNote, Note, Raw, Splitter, Start
from firmware_protocol.limits import MAX_CODED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Player", "Recording"]

BLOCK_BYTES = 1 << 18
HEAD_BYTES = 1 << 16  # START lies within this: 100 packets of notes


class Player:
    """The live path over the bytes of a file: blocks in, chunks out.

    Keeps count while it plays; `finish` once the last block is in.
    """

    def __init__(self, *, nonce: int, labels: dict[int, str], max_samples: int | None = None) -> None:
        self.gaps: list[Gap] = []
        self._splitter = Splitter(nonce)
        self._decoder = Decoder()
        self._assembler = Assembler(labels=labels, max_samples=max_samples)
        self._unfinished = 0  # bytes behind the last delimiter

    @property
    def info(self) -> SignalInfo | None:
        return self._assembler.info

    @property
    def statistics(self) -> Statistics:
        return replace(self._assembler.statistics, bytes=self._decoder.offset)

    def feed(self, block: bytes) -> list[Chunk]:
        end = block.rfind(b"\0") + 1
        self._unfinished = len(block) - end + (0 if end else self._unfinished)
        chunks: list[Chunk] = []
        for piece in self._splitter.feed(block):
            if isinstance(piece, MarkerNote):
                self._assembler.mark(Marker(piece.sample_index, piece.label, piece.code, piece.value, "host"))
                chunks += self._assembler.feed(())
            elif isinstance(piece, Gap):
                self.gaps.append(piece)
            elif (wire := _wire_in(piece)) is not None:
                chunks += self._assembler.feed(self._decoder.feed(wire))
        return chunks

    def finish(self) -> int:
        """The file ends here; returns the bytes of a packet that was cut off."""
        self._assembler.finish()
        return self._unfinished


@dataclass(frozen=True, slots=True)
class _Summary:
    """What one pass over the whole file tells."""

    statistics: Statistics
    markers: tuple[Marker, ...]
    cut_bytes: int


class Recording:
    """One `.bfp` file.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    path : Path
    notes : dict
        What was noted when it was made: free text, lists, numbers.
    labels : dict of int to str
        Names of the codes of the trigger line.
    started : str
        Wall clock at the beginning, ISO 8601.

    Raises
    ------
    RecordingError
        If the file is missing, empty, cut within its first packet, or no recording.

    Examples
    --------
    >>> recording = Recording("session.bfp")                                        # doctest: +SKIP
    >>> for chunk in recording.chunks(max_samples=250):                             # doctest: +SKIP
    ...     print(chunk.first_sample, chunk.data_uv.std(axis=1))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._nonce, facts = _read_start(self.path)
        self.started = str(facts.get("wall_clock", ""))
        self.notes = _mapping(facts.get("notes"))
        self.labels = {int(k): str(v) for k, v in _mapping(facts.get("labels")).items() if str(k).isdigit()}

    # ---- what it holds ----

    @cached_property
    def info(self) -> SignalInfo:
        """What the samples mean, as the board first said. RecordingError if it never did."""
        player = self.player()
        for block in self.blocks():
            player.feed(block)
            if player.info is not None:
                return player.info
        raise RecordingError(
            f"{self.path} holds no whole INFO packet, so its samples have no scale; the board was not heard. "
            f"`frame-validator check {self.path}` lists what came",
            path=self.path,
        )

    def chunks(self, *, max_samples: int | None = None) -> Iterator[Chunk]:
        """All samples and markers in order; chunks of at most about `max_samples` samples."""
        player = self.player(max_samples=max_samples)
        for block in self.blocks():
            yield from player.feed(block)

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks()

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Cues, triggers and notes, in order of arrival."""
        return self._summary.markers

    @property
    def statistics(self) -> Statistics:
        """What came and what was lost, to the end of the file."""
        return self._summary.statistics

    @property
    def duration_s(self) -> float:
        """Seconds of signal by the nominal rate, lost samples included."""
        statistics = self.statistics
        return (statistics.samples + statistics.samples_lost) / self.info.fs_hz

    @property
    def cut_bytes(self) -> int:
        """Bytes of an unfinished packet at the end; 0 for a recording that was closed."""
        return self._summary.cut_bytes

    def wire(self) -> Iterator[bytes]:
        """The wire, bit for bit, in blocks."""
        for piece in self._pieces():
            if (wire := _wire_in(piece)) is not None:
                yield wire

    def arrivals(self) -> Iterator[tuple[int, int]]:
        """When the wire came: (bytes before a block, monotonic ns) of each block that was read."""
        for piece in self._pieces():
            if isinstance(piece, Arrivals):
                yield from piece.pairs

    # ---- how it is read ----

    def blocks(self) -> Generator[bytes]:
        """The file's bytes."""
        try:
            with self.path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
        except OSError as err:
            raise _unreadable(self.path, err) from err

    def player(self, *, labels: dict[int, str] | None = None, max_samples: int | None = None) -> Player:
        """A live path for this recording's bytes; `labels` instead of its own."""
        return Player(
            nonce=self._nonce, labels=self.labels if labels is None else labels, max_samples=max_samples
        )

    def _pieces(self) -> Iterator[bytes | Note]:
        splitter = Splitter(self._nonce)
        for block in self.blocks():
            yield from splitter.feed(block)

    @cached_property
    def _summary(self) -> _Summary:
        player = self.player()
        markers: list[Marker] = []
        for block in self.blocks():
            for chunk in player.feed(block):
                markers += chunk.markers
        cut_bytes = player.finish()
        return _Summary(player.statistics, tuple(markers), cut_bytes)

    # ---- for people ----

    def __repr__(self) -> str:
        return f"Recording({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        info, statistics = self.info, self.statistics
        labels = Counter(marker.label for marker in self.markers)
        rows = {
            "file": str(self.path),
            "started": self.started,
            "device": info.device,
            "channels": f"{info.n_channels}: {', '.join(info.channels)}",
            "rate": f"{info.fs_hz:g} Hz",
            "duration": f"{self.duration_s:.1f} s",
            "samples lost": f"{statistics.samples_lost} ({statistics.samples_lost_device} by the board)",
            "markers": ", ".join(f"{label} × {n}" for label, n in labels.items()) or "none",
            **{key: str(value) for key, value in self.notes.items()},
        }
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
        return f"<table>{cells}</table>"

    def plot(self, *, start_s: float = 0.0, duration_s: float = 10.0) -> Figure:
        """Channels below each other, lost samples as gaps, markers as lines.

        Parameters
        ----------
        start_s, duration_s : float
            Stretch to show, in seconds after the first sample.

        Returns
        -------
        figure : matplotlib Figure
        """
        from bci.acquisition._plot import plot_chunks

        return plot_chunks(self.info, self.chunks(), start_s=start_s, duration_s=duration_s)


def _wire_in(piece: bytes | Note) -> bytes | None:
    """Wire bytes of this project's own dialect; None if the piece holds none."""
    if isinstance(piece, Raw):
        return piece.data if piece.dialect == Dialect.BFP else None
    return piece if isinstance(piece, bytes) else None


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _read_start(path: Path) -> tuple[int, dict[str, Any]]:
    """Nonce and facts of a recording, or why it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as err:
        raise _unreadable(path, err) from err
    splitter = Splitter()
    pieces = splitter.feed(head)
    if pieces and isinstance(pieces[0], Start) and splitter.nonce is not None:
        return splitter.nonce, _mapping(pieces[0].facts)
    if not head:
        why = "is empty; the recording never began"
    elif len(head) <= MAX_CODED and b"\0" not in head:
        why = f"ends after {len(head)} bytes, within its first packet; nothing can be recovered from it"
    else:
        why = (
            f"does not begin with a START packet (its first bytes: {head[:8].hex(' ')}), so it is no .bfp "
            "recording. A bare capture of a wire is read by `frame-validator check`, files of other systems by "
            "`bci import`"
        )
    raise RecordingError(f"{path} {why}", path=path)


def _unreadable(path: Path, err: OSError) -> RecordingError:
    if isinstance(err, FileNotFoundError):
        return RecordingError(f"there is no file {path}; check name and folder", path=path)
    if isinstance(err, IsADirectoryError):
        return RecordingError(f"{path} is a directory; expected a .bfp recording in it", path=path)
    return RecordingError(f"cannot read {path}: {err.strerror or err}", path=path)
