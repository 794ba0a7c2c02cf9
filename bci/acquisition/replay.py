"""A recording as a source: the same chunks again, as fast as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bci.acquisition.assembler import Statistics
from bci.acquisition.recording import Recording
from bci.acquisition.source import Source
from bci.chunks import Chunk, SignalInfo

__all__ = ["RecordingSource"]


class RecordingSource(Source):
    """Plays a recording. `start` and `stop` do nothing: the recorded runs follow each other, each with its restart.

    Parameters
    ----------
    path : path
    labels : mapping of int to str, optional
        Instead of those kept in the recording.

    Raises
    ------
    RecordingError
        If the file is no recording.
    """

    def __init__(self, path: str | Path, *, labels: Mapping[int, str] | None = None) -> None:
        self.recording = Recording(path)
        self.recording_path = self.recording.path
        self.labels = dict(self.recording.labels if labels is None else labels)
        self._info = self.recording.info
        self._player = self.recording.player(labels=self.labels)
        self._blocks = self.recording.blocks()
        self._ended = False

    @property
    def info(self) -> SignalInfo:
        return self._player.info or self._info

    @property
    def statistics(self) -> Statistics:
        return self._player.statistics

    @property
    def last_byte_ns(self) -> int:
        return 0

    @property
    def ended(self) -> bool:
        return self._ended

    def start(self) -> None:
        """The recording holds its own."""

    def stop(self) -> None:
        """The recording holds its own."""

    def read(self, timeout_s: float) -> list[Chunk]:
        """The next chunks; empty only at the end, whatever the time-out."""
        while not self._ended:
            block = next(self._blocks, b"")
            if not block:
                self._player.finish()
                self._ended = True
                return self._player.last_chunks
            if chunks := self._player.feed(block):
                return chunks
        return []

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        """Raises ValueError: a recording is not written to."""
        raise ValueError(f"{self.recording_path} is a recording; markers are set while it is made")

    def close(self) -> None:
        self._blocks.close()
        self._ended = True
