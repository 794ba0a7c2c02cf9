"""A recording as a source: the same chunks again, at the pace of life, faster, or as fast as they are read.

The bytes go through the live path whatever the pace is. Where chunks are cut depends on it, as it does on a port; what
they hold does not, so every decision is the same bit for bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from bci.acquisition.assembler import Statistics
from bci.acquisition.recording import Recording
from bci.acquisition.source import Source
from bci.chunks import Chunk, SignalInfo

__all__ = ["RecordingSource"]

CHUNK_S = 0.02  # of real time; longest chunk of a paced replay


class RecordingSource(Source):
    """Plays a recording. `start` and `stop` do nothing: the recorded runs follow each other, each with its restart.

    Parameters
    ----------
    path : path
    labels : mapping of int to str, optional
        Instead of those kept in the recording.
    speed : float
        1 is the pace at which it was recorded, by its nominal rate; 0 as fast as it is read. Pauses between runs are
        left out.
    clock_ns, sleep : callable
        Monotonic ns, and how to wait some seconds; for a paced replay.

    Raises
    ------
    RecordingError
        If the file is no recording.
    ValueError
        If the speed is negative.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        labels: Mapping[int, str] | None = None,
        speed: float = 0.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed is 0 (as fast as it is read) or more, got {speed:g}")
        self.recording = Recording(path)
        self.recording_path = self.recording.path
        self.labels = dict(self.recording.labels if labels is None else labels)
        self._info = self.recording.info
        self._speed = speed
        self._clock_ns, self._sleep = clock_ns, sleep
        longest = max(1, round(CHUNK_S * speed * self._info.fs_hz)) if speed else None
        self._player = self.recording.player(labels=self.labels, max_samples=longest)
        self._blocks = self.recording.blocks()
        self._waiting: deque[tuple[float, Chunk]] = deque()  # (seconds of signal at its end, chunk)
        self._began_ns: int | None = None
        self._last_ns = 0
        self._played_all = False
        self._closed = False

    @property
    def info(self) -> SignalInfo:
        return self._player.info or self._info

    @property
    def statistics(self) -> Statistics:
        return self._player.statistics

    @property
    def last_byte_ns(self) -> int:
        return self._last_ns

    @property
    def ended(self) -> bool:
        return self._closed or (self._played_all and not self._waiting)

    def start(self) -> None:
        """The recording holds its own."""

    def stop(self) -> None:
        """The recording holds its own."""

    def read(self, timeout_s: float) -> list[Chunk]:
        """The next chunks. Without a pace empty only at the end, whatever the time-out."""
        if not self._speed:
            chunks = self._play()
            return chunks if not self._closed else []
        if self._began_ns is None:
            self._began_ns = self._clock_ns()
        deadline_ns = self._clock_ns() + round(timeout_s * 1e9)
        while not self.ended:
            if not self._waiting:
                for placed in self._player.place(self._play()):
                    self._waiting.append((placed.end_s, placed.chunk))
            now_ns = self._clock_ns()
            due: list[Chunk] = []
            while self._waiting and self._due_ns(self._waiting[0][0]) <= now_ns:
                due.append(self._waiting.popleft()[1])
            if due:
                self._last_ns = now_ns
                return due
            if now_ns >= deadline_ns:
                return []
            if self._waiting:
                self._sleep((min(self._due_ns(self._waiting[0][0]), deadline_ns) - now_ns) / 1e9)
        return []

    def _due_ns(self, signal_s: float) -> int:
        return (self._began_ns or 0) + round(signal_s / self._speed * 1e9)

    def _play(self) -> list[Chunk]:
        """Chunks of the next blocks that hold any."""
        while not self._closed and not self._played_all:
            block = next(self._blocks, b"")
            if not block:
                self._player.finish()
                self._played_all = True
                return self._player.last_chunks
            if chunks := self._player.feed(block):
                return chunks
        return []

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        """Raises ValueError: a recording is not written to."""
        raise ValueError(f"{self.recording_path} is a recording; markers are set while it is made")

    def close(self) -> None:
        self._blocks.close()
        self._closed = True
