"""From masks, piece by piece, to stretches: which channel was marked from where to where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.interop._door import SignalEvent

__all__ = ["Stretches"]


class Stretches:
    """Stretches of one kind in all channels; those closer than `join` samples are one.

    Parameters
    ----------
    text : str
        What the events are called.
    names : tuple of str
        Channels.
    join : int, samples
    """

    def __init__(self, text: str, names: tuple[str, ...], join: int) -> None:
        self._text, self._names, self._join = text, names, join
        self._open: dict[int, tuple[int, int]] = {}
        self._done: list[SignalEvent] = []

    def mask(self, mask: NDArray[np.bool_], first: int) -> None:
        """(n_channels, n_samples), of the samples from `first` on."""
        for row in np.flatnonzero(mask.any(axis=1)):
            edges = np.flatnonzero(np.diff(mask[row].astype(np.int8), prepend=0, append=0))
            for begin, end in edges.reshape(-1, 2).tolist():
                self.add(int(row), first + begin, first + end)

    def add(self, channel: int, begin: int, end: int) -> None:
        """One stretch, not before those that were added to the channel already."""
        if channel in self._open:
            since, until = self._open[channel]
            if begin - until <= self._join:
                self._open[channel] = since, max(until, end)
                return
            self._end(channel)
        self._open[channel] = begin, end

    def events(self) -> list[SignalEvent]:
        for channel in list(self._open):
            self._end(channel)
        return self._done

    def _end(self, channel: int) -> None:
        begin, end = self._open.pop(channel)
        name = self._names[channel]
        self._done.append(SignalEvent(begin, self._text, end - begin, source="quality", channels=(name,)))
