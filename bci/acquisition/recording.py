"""Reading a recording (`.bfp`, SPEC 9): lazily, through the code that runs live.

Rules
-----
- What a recording gives is what its bytes gave when they came: splitter, decoder and assembler are those of the
  live path, so samples, losses, restarts and markers are the same bit for bit.
- A file that was cut off (power, `kill -9`) gives all its whole packets; `cut_bytes` is what is left of the last.
  A file without a START is no recording and is refused, with its reason.
- Nothing is read before it is asked for, and no more than a block at a time from a mapped file, so gigabytes take
  no memory. What was played once is entered again in the middle: every few megabytes the player is remembered.
- A file that another process still writes can be read; each look goes as far as it is then.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci.acquisition._account import Statistics
from bci.acquisition._player import Placed, Player, wire_in
from bci.acquisition._stretch import Stretch
from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import RecordingError
from bci.language import _, system_reason
from firmware_protocol import Arrivals, Gap, Note, Splitter, Start
from firmware_protocol.limits import MAX_CODED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Player", "Recording"]

BLOCK_BYTES = 1 << 18
HEAD_BYTES = 1 << 16  # START lies within this: 100 packets of notes
ENTRY_BYTES = 4 << 20  # between two places where the file can be entered


@dataclass(frozen=True, slots=True)
class _Entry:
    """The player as it was at a byte of the file."""

    at: int
    player: Player


@dataclass(frozen=True, slots=True)
class _Summary:
    """What one pass over the whole file tells."""

    size: int
    statistics: Statistics
    markers: tuple[Marker, ...]
    gaps: tuple[Gap, ...]
    duration_s: float
    cut_bytes: int


class Recording:
    """One `.bfp` file.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    path : Path
    facts : dict
        What START says: software, port, labels, notes.
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
    >>> recording[10:20].signal_uv().shape                                          # doctest: +SKIP
    (8, 2500)
    >>> for chunk in recording.chunks(max_samples=250):                             # doctest: +SKIP
    ...     print(chunk.first_sample, chunk.data_uv.std(axis=1))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._nonce, self.facts = _read_start(self.path)
        self.started = str(self.facts.get("wall_clock", ""))
        self.notes = _mapping(self.facts.get("notes"))
        self.labels = {
            int(k): str(v) for k, v in _mapping(self.facts.get("labels")).items() if str(k).isdigit()
        }
        self._entries = [_Entry(0, self.player())]
        self._summed: _Summary | None = None

    # ---- what it holds ----

    @cached_property
    def info(self) -> SignalInfo:
        """What the first samples mean; without any, what the board said last. RecordingError if it never spoke."""
        player = self.player()
        packets = (packet for block in self.blocks() for packet in _packets(block))
        # Packet by packet, because a block may hold a change of gain; `any` ends at the first samples.
        any(chunk.n_samples for packet in packets for chunk in player.feed(packet))
        if player.info is not None:
            return player.info
        raise RecordingError(
            _(
                "{path} holds no whole INFO packet, so its samples have no scale; the board was not heard. "
                "`frame-validator check {path}` lists what came"
            ).format(path=self.path),
            path=self.path,
        )

    def chunks(self, *, max_samples: int | None = None) -> Iterator[Chunk]:
        """All samples and markers in order; chunks of at most about `max_samples` samples."""
        player = self.player(max_samples=max_samples)
        for block in self.blocks():
            yield from player.feed(block)
        player.finish()
        yield from player.last_chunks

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks()

    def between(self, start_s: float = 0.0, stop_s: float = float("inf")) -> Stretch:
        """From one second to another; nothing is read before the stretch is asked.

        Raises
        ------
        ValueError
            If the seconds are negative or not in order.
        """
        if not 0 <= start_s <= stop_s:
            raise ValueError(f"expected 0 <= start <= stop in seconds, got {start_s:g} and {stop_s:g}")
        return Stretch(self, start_s, stop_s)

    def __getitem__(self, seconds: slice) -> Stretch:
        """`recording[10:20]`: the same as `recording.between(10, 20)`."""
        if not isinstance(seconds, slice) or seconds.step is not None:
            raise TypeError(f"expected seconds as recording[10:20], got recording[{seconds!r}]")
        start_s = 0.0 if seconds.start is None else float(seconds.start)
        return self.between(start_s, float("inf") if seconds.stop is None else float(seconds.stop))

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Cues, triggers and notes, in order of arrival."""
        return self._summary.markers

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where the recording itself misses something: the port was lost, or the disk took nothing."""
        return self._summary.gaps

    @property
    def statistics(self) -> Statistics:
        """What came and what was lost, to the end of the file."""
        return self._summary.statistics

    @property
    def duration_s(self) -> float:
        """Seconds of signal by the nominal rate, lost samples included."""
        return self._summary.duration_s

    @property
    def cut_bytes(self) -> int:
        """Bytes of an unfinished packet at the end; 0 for a recording that was closed."""
        return self._summary.cut_bytes

    def wire(self) -> Iterator[bytes]:
        """The wire, bit for bit, in blocks."""
        for piece in self._pieces():
            if (wire := wire_in(piece)) is not None:
                yield wire

    def arrivals(self) -> Iterator[tuple[int, int]]:
        """When the wire came: (bytes before a block, monotonic ns) of each block that was read."""
        for piece in self._pieces():
            if isinstance(piece, Arrivals):
                yield from piece.pairs

    # ---- how it is read ----

    def blocks(self, start: int = 0) -> Generator[bytes]:
        """The file's bytes, from byte `start` to where it ends now."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size > start:
                    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
                        for at in range(start, size, BLOCK_BYTES):
                            yield mapped[at : at + BLOCK_BYTES]
                            _forget(mapped, at)
        except OSError as err:
            raise _unreadable(self.path, err) from err

    def player(self, *, labels: Mapping[int, str] | None = None, max_samples: int | None = None) -> Player:
        """A live path for this recording's bytes; `labels` instead of its own."""
        return Player(
            nonce=self._nonce,
            labels=self.labels if labels is None else labels,
            facts=self.facts,
            max_samples=max_samples,
        )

    def walk(self, start_s: float = 0.0) -> Iterator[Placed]:
        """Chunks with their place in time, from a little before `start_s` on."""
        entry = self._entries[max(bisect_right(self._entries, start_s, key=lambda e: e.player.now_s) - 1, 0)]
        player = (entry.player.copy() if entry.at else None) or self.player()
        at = entry.at
        for block in self.blocks(at):
            if at - self._entries[-1].at >= ENTRY_BYTES:
                whole = block.rfind(b"\0") + 1
                yield from player.place(player.feed(block[:whole]))
                if (as_it_is := player.copy()) is not None:
                    self._entries.append(_Entry(at + whole, as_it_is))
                yield from player.place(player.feed(block[whole:]))
            else:
                yield from player.place(player.feed(block))
            at += len(block)
        player.finish()
        yield from player.place(player.last_chunks)

    def _pieces(self) -> Iterator[bytes | Note]:
        splitter = Splitter(self._nonce)
        for block in self.blocks():
            yield from splitter.feed(block)

    @property
    def _summary(self) -> _Summary:
        size = self.path.stat().st_size
        if self._summed is None or self._summed.size != size:
            player = self.player()
            markers: list[Marker] = []
            for block in self.blocks():
                for placed in player.place(player.feed(block)):
                    markers += placed.chunk.markers
            cut_bytes = player.finish()
            for placed in player.place(player.last_chunks):
                markers += placed.chunk.markers
            statistics = player.statistics
            at_end_s = (
                (statistics.samples_lost - player.lost_placed) / self.info.fs_hz if player.info else 0.0
            )
            self._summed = _Summary(
                size, statistics, tuple(markers), tuple(player.gaps), player.now_s + at_end_s, cut_bytes
            )
        return self._summed

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
        if self.cut_bytes:
            rows["end"] = (
                f"cut off within a packet; `bci recover {self.path}` takes {self.cut_bytes} bytes off"
            )
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
        return f"<table>{cells}</table>"

    def to_mne(self, *, rate: str = "measured", artefacts: bool = False, keep_date: bool = False) -> Any:
        """As a Raw of MNE that reads its samples when they are asked for.

        Parameters, annotations and errors are those of `bci.interop.to_mne`, which does the work.

        Returns
        -------
        raw : mne.io.BaseRaw
        """
        # handed on to a room above: the one such import, named in the test of arrows
        from bci.interop import to_mne

        return to_mne(self, rate=rate, artefacts=artefacts, keep_date=keep_date)

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
        return self.between(start_s, start_s + duration_s).plot()


def _forget(mapped: mmap.mmap, at: int) -> None:
    """Let the system take back the pages of a block that is done with, where it can be told so."""
    if hasattr(mmap, "MADV_DONTNEED"):
        begin = at & -mmap.PAGESIZE
        mapped.madvise(mmap.MADV_DONTNEED, begin, min(BLOCK_BYTES, len(mapped) - begin))


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
        why = _("is empty; the recording never began")
    elif len(head) <= MAX_CODED and b"\0" not in head:
        why = _("ends after {n} bytes, within its first packet; nothing can be recovered from it").format(
            n=len(head)
        )
    else:
        why = _(
            "does not begin with a START packet (its first bytes: {shown}), so it is no .bfp recording. A "
            "bare "
            "capture of a wire is read by `frame-validator check`, files of other systems by `bci import`"
        ).format(shown=head[:8].hex(" "))
    raise RecordingError(_("{path} {why}").format(path=path, why=why), path=path)


def _unreadable(path: Path, err: OSError) -> RecordingError:
    if isinstance(err, FileNotFoundError):
        return RecordingError(
            _("there is no file {path}; check name and folder").format(path=path), path=path
        )
    if isinstance(err, IsADirectoryError):
        return RecordingError(
            _("{path} is a directory; expected a .bfp recording in it").format(path=path), path=path
        )
    return RecordingError(
        _("cannot read {path}: {reason}").format(path=path, reason=system_reason(err)), path=path
    )


def _packets(block: bytes) -> Iterator[bytes]:
    """A block cut behind each delimiter."""
    at = 0
    while at < len(block):
        end = block.find(b"\0", at) + 1 or len(block)
        yield block[at:end]
        at = end
