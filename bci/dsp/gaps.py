"""What happens to a signal at its gaps. A gap is never closed in silence.

A short gap is filled so that recursive filters run on; a long one, or the board's restart, resets them. Filled
samples, and those a filter still rings in after them, are marked: no decision rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64, Chunk
from bci.dsp.marks import Mark
from bci.errors import DesignError, ShapeError

__all__ = ["GapPolicy", "Patched"]


@dataclass(frozen=True, slots=True)
class Patched:
    """A chunk without holes.

    Parameters
    ----------
    data_uv : ndarray, shape (n_channels, n_filled + n_samples), float64, µV, Fortran order
        Finite throughout. After a short gap it begins with the filled samples.
    first_sample : int
        Conversion number of the first column.
    reset : bool
        True where the stages behind must `reset()` before they take `data_uv`.
    marks : tuple of Mark
        What was filled or must settle.
    """

    data_uv: F64
    first_sample: int
    reset: bool
    marks: tuple[Mark, ...]


class GapPolicy:
    """Fill short gaps, reset after long ones, mark both.

    Lost samples become a straight line per channel from the last sample before to the first one after; a NaN or
    infinity inside a chunk takes the value before it. Both depend on nothing but the signal, so the result is the same
    however it was cut into chunks.

    Parameters
    ----------
    n_channels : int
    fs_hz : float, Hz
    reset_after_ms : float
        Gaps longer than this are not filled: the stages behind reset.
    settle_ms : float
        How long after a fill or a reset (the first samples of a stream included) samples stay marked.

    Raises
    ------
    DesignError
        If a duration is negative or the rate is not positive.
    """

    def __init__(
        self, n_channels: int, *, fs_hz: float, reset_after_ms: float = 40.0, settle_ms: float = 500.0
    ) -> None:
        if not fs_hz > 0 or reset_after_ms < 0 or settle_ms < 0:
            raise DesignError(
                f"a gap policy needs a positive rate and no negative time, got fs_hz = {fs_hz}, "
                f"reset_after_ms = {reset_after_ms}, settle_ms = {settle_ms}"
            )
        self.n_channels = int(n_channels)
        self.max_fill = int(reset_after_ms * 1e-3 * fs_hz)
        self.settle = round(settle_ms * 1e-3 * fs_hz)
        self._last = np.zeros(self.n_channels)
        self._next: int | None = None

    def process(self, chunk: Chunk) -> Patched:
        """Make one chunk safe for recursive stages.

        Raises
        ------
        ShapeError
            If the chunk has another number of channels, or overlaps the samples before it.
        """
        x = np.array(chunk.data_uv, dtype=np.float64, order="F", ndmin=2)
        if x.shape[0] != self.n_channels:
            raise ShapeError(f"expected a chunk of {self.n_channels} channels, got shape {x.shape}")
        first = chunk.first_sample
        if x.shape[1] == 0:
            # Markers alone: after a reset of the board numbered anew already, ahead of the restart's samples.
            return Patched(x, first, False, ())
        lost = 0 if self._next is None or chunk.restart else first - self._next
        if lost < 0:
            raise ShapeError(f"chunk starts at sample {first}, but samples up to {self._next} came already")

        marks: list[Mark] = []
        fresh = self._next is None or chunk.restart
        reset = fresh or lost > self.max_fill
        if fresh:
            marks.append(
                Mark(first, first + self.settle, "settling", "the filters are settling after the start")
            )
        elif lost > self.max_fill:
            marks.append(
                Mark(
                    first - lost,
                    first + self.settle,
                    "gap",
                    f"{lost} samples were lost; the filters start anew",
                )
            )
        elif lost:
            marks.append(
                Mark(
                    first - lost,
                    first + self.settle,
                    "gap",
                    f"{lost} samples were lost and bridged by a line",
                )
            )
        if reset:
            self._last[:] = 0.0  # what stands before the first finite sample
        marks += self._hold(x, first)
        if lost and not reset:
            ramp = np.arange(1, lost + 1) / (lost + 1.0)
            line = self._last[:, None] + (x[:, :1] - self._last[:, None]) * ramp
            x = np.asfortranarray(np.concatenate([line, x], axis=1))
            first -= lost
        self._last[:] = x[:, -1]
        self._next = first + x.shape[1]
        return Patched(x, first, reset, tuple(marks))

    def _hold(self, x: F64, first: int) -> list[Mark]:
        """Replace what is not finite by the value before it, in place."""
        bad = ~np.isfinite(x)
        if not bad.any():
            return []
        marks = []
        for t in np.flatnonzero(bad.any(axis=0)):
            rows = bad[:, t]
            x[rows, t] = (self._last if t == 0 else x[:, t - 1])[rows]
            channels = tuple(int(c) for c in np.flatnonzero(rows))
            marks.append(
                Mark(
                    first + int(t),
                    first + int(t) + 1 + self.settle,
                    "not finite",
                    "NaN or infinity was held",
                    channels,
                )
            )
        return marks

    def reset(self) -> None:
        """Forget the past; the next chunk is the first."""
        self._last[:] = 0.0
        self._next = None

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        following = -1 if self._next is None else self._next
        return {"last": self._last.copy(), "next": np.array(following, dtype=np.int64)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`. ShapeError if it is of another shape."""
        last = np.asarray(state["last"], dtype=np.float64)
        if last.shape != self._last.shape:
            raise ShapeError(f"the saved gap state has shape {last.shape}, expected {self._last.shape}")
        self._last[:] = last
        self._next = None if int(state["next"]) < 0 else int(state["next"])
