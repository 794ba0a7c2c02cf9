"""Samples of an XDF chunk to columns, by a compiled loop: each may or may not have a time stamp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.jit import kernel

__all__ = ["split"]

U8 = NDArray[np.uint8]


@kernel
def split(
    data: U8,
    at: int,
    n: int,
    period_s: float,
    last_s: float,
    stamps: F64,
    stamp_bytes: U8,
    values: U8,
    filled: int,
) -> tuple[int, int, float]:
    """Up to `n` samples from data[at:] to rows `filled` … of `stamps` and `values`, while whole ones are there.

    `stamp_bytes` is the memory of `stamps`, a row for each. Returns where it stopped, how many there were and the last
    time stamp; -1 in place of the first where a byte stands that no sample begins with.
    """
    width = values.shape[1]
    got = 0
    while got < n and filled + got < len(stamps) and at < len(data):
        stamped = int(data[at])
        if stamped not in (0, 8):
            return -1, got, last_s
        begin = at + 1 + stamped
        if begin + width > len(data):
            break
        row = filled + got
        if stamped:
            for k in range(8):
                stamp_bytes[row, k] = data[at + 1 + k]
        else:
            stamps[row] = last_s + period_s
        last_s = stamps[row]
        for k in range(width):
            values[row, k] = data[begin + k]
        got += 1
        at = begin + width
    return at, got, last_s
