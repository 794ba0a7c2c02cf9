"""Any stretch of a signal, in any order, with one piece of it in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bci.interop._door import Counts, Signal
from bci.interop._recorded import RecordedSignal

__all__ = ["AnyStretch"]


class AnyStretch:
    """Any stretch of a signal; one that follows the last one goes on from there."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._pieces: Iterator[tuple[int, Counts]] = iter(())
        self._at, self._counts = -1, np.empty((0, 0), np.int32)  # nowhere yet

    def __deepcopy__(self, memo: dict[int, Any]) -> AnyStretch:
        return AnyStretch(self._signal)

    def __reduce__(self) -> tuple[Any, ...]:
        return AnyStretch, (self._signal,)

    def between(self, start: int, stop: int) -> Counts:
        out = np.empty((len(self._signal.description.channels), stop - start), np.int32, order="F")
        near = self._at <= start <= self._at + self._counts.shape[1]
        if not near:
            self._pieces = self._from(start)
            self._at, self._counts = next(self._pieces)
        at = start
        while at < stop:
            end = self._at + self._counts.shape[1]
            if end <= at:
                self._at, self._counts = next(self._pieces)
                continue
            n = min(end, stop) - at
            out[:, at - start : at - start + n] = self._counts[:, at - self._at : at - self._at + n]
            at += n
        return out

    def _from(self, start: int) -> Iterator[tuple[int, Counts]]:
        if isinstance(self._signal, RecordedSignal):
            yield from self._signal.pieces_from(start)
            return
        at = 0
        for piece in self._signal.pieces():
            yield at, piece
            at += piece.shape[1]
