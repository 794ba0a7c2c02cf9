"""What the streaming stages share: checks of what comes in, and memory that is used again.

`process` runs once per chunk, 250 times a second or more, and a kernel call for eight channels takes 30 ns; so the way
in is short. A chunk of the same shape and type as the last one needs no further check, and its output takes the memory
of the last output if nobody holds that any more.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bci.errors import DesignError, NonFiniteError, ShapeError

__all__ = [
    "F32",
    "F64",
    "UNSHARED",
    "Signal",
    "checked_channels",
    "checked_dtype",
    "checked_signal",
    "not_finite",
]

Signal = NDArray[Any]
F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)


class _Probe:
    """Counts the references of an array that only one attribute and the asking method hold, on this Python."""

    def __init__(self) -> None:
        self._y = np.empty(0)

    def count(self) -> int:
        y = self._y
        return getrefcount(y)


#: A filter's output with no more references than this is in nobody's hands. Allocating and wrapping a new one for every
#: chunk takes a third of the time of filtering one sample of eight channels.
UNSHARED = _Probe().count()


def checked_channels(n_channels: int) -> int:
    if n_channels < 1:
        raise ShapeError(f"a filter needs at least one channel, got n_channels = {n_channels}")
    return int(n_channels)


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The one instance of float64 or float32, so that `is` compares."""
    kind = np.dtype(dtype)
    if kind == F64:
        return F64
    if kind == F32:
        return F32
    raise DesignError(f"filters run in float64 or float32, not in {kind}")


def checked_signal(x_uv: object, n_channels: int | None, dtype: np.dtype[Any]) -> Signal:
    """As `bci.chunks.as_signal`, but leaves the memory order as it is: kernels take any."""
    x = np.asarray(x_uv, dtype=dtype)
    if x.dtype is not dtype:  # equal, but another instance
        x = x.view(dtype)
    if x.ndim != 2 or (n_channels is not None and x.shape[0] != n_channels):
        wanted = "n_channels" if n_channels is None else str(n_channels)
        raise ShapeError(f"expected a signal of shape ({wanted}, n_samples), got {x.shape}")
    return x


def not_finite(stage: str) -> NonFiniteError:
    return NonFiniteError(
        f"{stage} got NaN or infinity, which it would never lose again: fill the gap first (GapPolicy) or reset; "
        "its state is as before this chunk"
    )
