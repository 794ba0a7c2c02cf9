"""The moving picture of all channels: filtered as the viewer chose, and reduced to one minimum and maximum per pixel.

A column is a fixed stretch of sample numbers, so a picture does not depend on how the signal was cut into chunks, and
a column in which a sample is missing is NaN: a gap is seen as a gap.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import SosFilter, cascade, design_bandpass, design_highpass, design_notch
from bci.web._wire import Samples

__all__ = ["BANDS", "SECONDS", "History", "Sweep", "View", "columns_of", "display_filter", "frame_bytes"]

F32 = NDArray[np.float32]

#: Display filters by name, Hz.
BANDS = {"none": (0.0, 0.0), "0.5-40": (0.5, 40.0), "8-30": (8.0, 30.0)}
NOTCHES = (0, 50, 60)
SECONDS = (5, 10, 20, 30)
MOST_COLUMNS = 4000

#: Signal kept to fill a new picture at once: s, and bytes whatever the rate.
KEPT_S, KEPT_BYTES = 30.0, 32 << 20

_FRAME = struct.Struct("<BBHIIIdd")


@dataclass(frozen=True, slots=True)
class View:
    """What one viewer wants to see: filter, mains notch in Hz, seconds across, pixels across."""

    band: str = "0.5-40"
    notch_hz: int = 0
    seconds: int = 10
    pixels: int = 1000

    def __post_init__(self) -> None:
        if self.band not in BANDS or self.notch_hz not in NOTCHES or self.seconds not in SECONDS:
            raise ValueError(f"no such view: {self.band!r}, {self.notch_hz!r} Hz, {self.seconds!r} s")
        if not 1 <= self.pixels <= MOST_COLUMNS:
            raise ValueError(f"a view is 1 to {MOST_COLUMNS} pixels wide, not {self.pixels}")


def columns_of(view: View, fs_hz: float) -> tuple[int, int]:
    """Samples in a column, and columns in a sweep: at most one column per pixel."""
    samples = view.seconds * fs_hz
    per_column = max(1, math.ceil(samples / view.pixels))
    return per_column, max(1, round(samples / per_column))


def display_filter(view: View, *, n_channels: int, fs_hz: float) -> SosFilter | None:
    """The filter that a view asks for, as far as the rate allows; None where it asks for none."""
    low, high = BANDS[view.band]
    parts = []
    if high:
        top = 0.45 * fs_hz
        parts.append(
            design_bandpass(low, high, fs_hz=fs_hz, order=2)
            if high < top
            else design_highpass(low, fs_hz=fs_hz, order=2)
        )
    if 0 < view.notch_hz < fs_hz / 2:
        parts.append(design_notch(view.notch_hz, fs_hz=fs_hz, q=15.0))
    return SosFilter(cascade(*parts), n_channels=n_channels) if parts else None


class Sweep:
    """The newest columns of one view, in a ring as wide as the picture.

    Parameters
    ----------
    view : View
    n_channels : int
    fs_hz : float, Hz

    Attributes
    ----------
    low, high : ndarray, shape (n_channels, n_columns), float32, µV
        Column k of the signal lies at k modulo `n_columns`.
    begin, end : int
        Columns that the ring holds now; `end` is the one still growing.
    """

    def __init__(self, view: View, *, n_channels: int, fs_hz: float) -> None:
        self.view = view
        self.per_column, self.n_columns = columns_of(view, fs_hz)
        self._filter = display_filter(view, n_channels=n_channels, fs_hz=fs_hz)
        self.low: F32 = np.full((n_channels, self.n_columns), np.nan, np.float32)
        self.high = self.low.copy()
        self._part: F64 = np.empty((n_channels, 0))  # of the growing column, from its first sample on
        self._held = np.zeros((n_channels, 1))
        self._next = -1
        self.begin = self.end = 0

    def process(self, samples: Samples) -> None:
        """Take the next samples. A jump in their numbers leaves a gap; one backwards begins anew."""
        x, first = samples.data_uv, samples.first_sample
        if first != self._next:
            self._jump(first)
        self._next = samples.end_sample
        block = np.concatenate([self._part, self._filtered(x)], axis=1)
        whole = block.shape[1] // self.per_column
        if whole:
            columns = block[:, : whole * self.per_column].reshape(len(block), whole, self.per_column)
            self._put(columns.min(axis=2), columns.max(axis=2))
        self._part = block[:, whole * self.per_column :]

    def _filtered(self, x: F64) -> F64:
        bad = ~np.isfinite(x)
        if bad.any():  # a recursive filter would never lose it again: hold the value before
            x = x.copy()
            x[bad] = np.broadcast_to(self._held, x.shape)[bad]
        self._held = x[:, -1:].copy()
        if self._filter is None:
            return np.where(bad, np.nan, x)
        y = np.ascontiguousarray(self._filter.process(x))
        y[bad] = np.nan
        return y

    def _jump(self, first: int) -> None:
        """The signal goes on at another place."""
        if self._filter is not None:
            self._filter.reset()
        column = first // self.per_column
        if self._next < 0 or column < self.end or column - self.end >= self.n_columns:
            self.low[:], self.high[:] = np.nan, np.nan
            self.begin = self.end = column
        else:
            gap = np.full((len(self.low), column - self.end), np.nan)
            self._put(gap, gap)
        self._part = np.full((len(self.low), first % self.per_column), np.nan)

    def _put(self, low: F64, high: F64) -> None:
        low, high = low[:, -self.n_columns :], high[:, -self.n_columns :]
        at = np.arange(self.end, self.end + low.shape[1]) % self.n_columns
        self.low[:, at], self.high[:, at] = low, high
        self.end += low.shape[1]
        self.begin = max(self.begin, self.end - self.n_columns)

    def since(self, column: int) -> tuple[int, F32, F32]:
        """Whole columns from `column` on that the ring still has: the first one's number, minima, maxima."""
        first = max(self.begin, column)
        at = np.arange(first, self.end) % self.n_columns
        return first, self.low[:, at], self.high[:, at]


def frame_bytes(view_number: int, first: int, low: F32, high: F32, age_ms: float) -> bytes:
    """Columns as the page takes them: a head of 32 bytes, then all minima and all maxima, channel by channel.

    Little-endian: 1, 0, channels u16, number of the view u32, columns u32, 0 u32, first column f64, age of the newest
    sample in ms f64; then float32 µV, NaN where signal is missing.
    """
    n_channels, n_columns = low.shape
    head = _FRAME.pack(1, 0, n_channels, view_number, n_columns, 0, float(first), age_ms)
    return head + low.astype("<f4").tobytes() + high.astype("<f4").tobytes()


class History:
    """The last half minute of signal, to fill the picture of a viewer who comes, or who changes the filter."""

    def __init__(self, n_channels: int, fs_hz: float) -> None:
        self._most = round(min(KEPT_S * fs_hz, KEPT_BYTES / (8 * n_channels)))
        self._kept: deque[Samples] = deque()
        self._n = 0

    def add(self, samples: Samples) -> None:
        """Keep these, forget the oldest."""
        if self._kept and samples.first_sample < self._kept[-1].end_sample:
            self._kept.clear()  # the board began anew
            self._n = 0
        self._kept.append(samples)
        self._n += samples.data_uv.shape[1]
        while self._n - self._kept[0].data_uv.shape[1] >= self._most:
            self._n -= self._kept.popleft().data_uv.shape[1]

    def pieces(self) -> list[Samples]:
        """All that is kept, joined where it hangs together."""
        return joined(self._kept)


def joined(pieces: Iterable[Samples]) -> list[Samples]:
    """Pieces whose numbers follow each other made one: one pass of a filter over much costs less than many."""
    groups: list[list[Samples]] = []
    for piece in pieces:
        if groups and groups[-1][-1].end_sample == piece.first_sample:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [
        group[0]
        if len(group) == 1
        else Samples(
            np.concatenate([p.data_uv.T for p in group]).T, group[0].first_sample, group[-1].handed_ns
        )
        for group in groups
    ]
