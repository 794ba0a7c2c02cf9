"""A stretch of a recording: a view from one second to another that reads what it is asked for, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bci.acquisition._player import Placed
from bci.chunks import F64, Chunk, Marker, SignalInfo
from bci.errors import RateMismatchError
from bci.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bci.acquisition.recording import Recording

__all__ = ["Stretch"]

LATE_S = 1.0  # how much later than its sample a marker may arrive
ROUNDING = 1e-6  # samples; 10.1 s × 250 Hz is not a whole number in binary


@dataclass(frozen=True)
class Stretch:
    """What a recording holds from `start_s` up to, and without, `stop_s`.

    Seconds count from the first conversion; lost samples are time, pauses between runs are not.

    Examples
    --------
    >>> stretch = recording[10:20]                                                  # doctest: +SKIP
    >>> stretch.signal_uv().shape, [marker.label for marker in stretch.markers]     # doctest: +SKIP
    ((8, 2500), ['rest', 'right'])
    """

    recording: Recording
    start_s: float
    stop_s: float

    @property
    def info(self) -> SignalInfo:
        """Of the whole recording."""
        return self.recording.info

    def __iter__(self) -> Iterator[Chunk]:
        """Its samples and markers in order; the first and last chunk are cut."""
        for placed in self._cut():
            yield placed.chunk

    chunks = __iter__

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Cues, triggers and notes whose sample lies in it."""
        return tuple(marker for chunk in self for marker in chunk.markers)

    def marker_times(self) -> list[tuple[float, Marker]]:
        """Each marker with its second of the recording."""
        return [(placed.time_of(m), m) for placed in self._cut() for m in placed.chunk.markers]

    def signal_uv(self) -> F64:
        """All of it as one array, shape (n_channels, n_samples), µV; lost samples are NaN.

        Raises
        ------
        RateMismatchError
            If the sampling rate changes within it.
        """
        parts: list[F64] = []
        fs_hz = 0.0
        for placed in self._cut():
            if fs_hz and placed.fs_hz != fs_hz:
                raise RateMismatchError(
                    _(
                        "the rate changes from {fs_hz:g} to {new_hz:g} Hz {start_s:.1f} s into {path}; "
                        "take the parts one by one"
                    ).format(
                        fs_hz=fs_hz, new_hz=placed.fs_hz, start_s=placed.start_s, path=self.recording.path
                    ),
                    got_hz=placed.fs_hz,
                    expected_hz=fs_hz,
                )
            fs_hz = placed.fs_hz
            if placed.chunk.lost_before:
                parts.append(np.full((self.info.n_channels, placed.chunk.lost_before), np.nan))
            parts.append(placed.chunk.data_uv)
        if not parts:
            return np.empty((self.info.n_channels, 0), order="F")
        return np.asfortranarray(np.concatenate(parts, axis=1))

    def plot(self) -> Figure:
        """Channels below each other, lost samples as gaps, markers as lines."""
        from bci.acquisition._plot import plot_stretch

        return plot_stretch(self)

    def _cut(self) -> Iterator[Placed]:
        for placed in self.recording.walk(max(self.start_s - LATE_S, 0.0)):
            if placed.gap_s >= self.stop_s + LATE_S:
                return
            cut = self._inside(placed)
            if cut.chunk.n_samples or cut.chunk.lost_before or cut.chunk.markers:
                yield cut

    def _inside(self, placed: Placed) -> Placed:
        """What of a chunk, and of the gap before it, lies in this stretch; perhaps nothing."""
        chunk, fs_hz = placed.chunk, placed.fs_hz
        markers = tuple(m for m in chunk.markers if self.start_s <= placed.time_of(m) < self.stop_s)
        begin, end = (self._sample(at_s, placed) for at_s in (self.start_s, self.stop_s))
        first, stop = max(begin, 0), max(end, begin, 0)
        lost = max(0, min(0, end) - begin)
        # where the part, or the end of its gap, is
        at = first if stop > first else min(end, 0) if lost else first
        part = Chunk(
            chunk.data_uv[:, first:stop],
            chunk.first_sample + at,
            lost,
            chunk.restart and first == 0 and stop > 0,
            markers,
            None if chunk.status is None else chunk.status[:, first:stop],
        )
        return Placed(part, placed.start_s + (at / fs_hz if fs_hz else 0.0), fs_hz)

    def _sample(self, at_s: float, placed: Placed) -> int:
        """The first sample of a chunk that does not lie before `at_s`; below 0 in the gap before it."""
        n = (at_s - placed.start_s) * placed.fs_hz - ROUNDING
        return int(min(max(np.ceil(n), -placed.chunk.lost_before), placed.chunk.n_samples))

    @cached_property
    def _title(self) -> str:
        stop = "end" if np.isinf(self.stop_s) else f"{self.stop_s:g} s"
        return f"{self.recording.path}, {self.start_s:g} s to {stop}"

    def __repr__(self) -> str:
        return f"<Stretch of {self._title}>"
