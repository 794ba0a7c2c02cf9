"""Numbers to lines of text and back: the loops of this room. 25 ns a number; Python's own formatting takes 400."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.jit import kernel

__all__ = ["csv_counts", "csv_lines"]

COMMA, POINT, MINUS, NEWLINE, ZERO = 44, 46, 45, 10, 48


@kernel
def _whole(out: NDArray[np.uint8], at: int, number: int, least: int) -> int:
    """Digits of a number that is not negative, at least so many; where they end."""
    n, rest = 1, number // 10
    while rest > 0 or n < least:
        n += 1
        rest //= 10
    for k in range(at + n - 1, at - 1, -1):
        out[k] = ZERO + number % 10
        number //= 10
    return at + n


@kernel
def _fixed(out: NDArray[np.uint8], at: int, number: Any, digits: Any) -> int:
    """A number of units of 10^-digits."""
    if number < 0:
        out[at] = MINUS
        at += 1
        number = -number
    end = _whole(out, at, number, digits + 1)
    if digits > 0:
        for k in range(end, end - digits, -1):
            out[k] = out[k - 1]
        out[end - digits] = POINT
        end += 1
    return end


@kernel
def csv_lines(
    counts: NDArray[np.int32],
    first: int,
    us_per_sample: float,
    steps: NDArray[np.float64],
    digits: NDArray[np.int64],
    tens: NDArray[np.float64],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """`sample,time_s,counts…,values…,` of each sample; `ends` takes where each line ends, the last one is returned."""
    at = 0
    n_channels, n_samples = counts.shape
    for t in range(n_samples):
        at = _whole(out, at, first + t, 1)
        out[at] = COMMA
        at = _fixed(out, at + 1, np.int64(np.rint((first + t) * us_per_sample)), 6)
        for c in range(n_channels):
            out[at] = COMMA
            at = _fixed(out, at + 1, np.int64(counts[c, t]), 0)
        for c in range(n_channels):
            out[at] = COMMA
            at = _fixed(out, at + 1, np.int64(np.rint(counts[c, t] * steps[c] * tens[c])), digits[c])
        out[at] = COMMA
        out[at + 1] = NEWLINE
        at += 2
        ends[t] = at
    return at


@kernel
def csv_counts(text: NDArray[np.uint8], counts: NDArray[np.int32]) -> int:
    """The counts in lines of `csv_lines`, (n_channels, n_samples); returns the lines read, -1 where one is none."""
    n_channels, n_samples = counts.shape
    at, size = 0, len(text)
    for t in range(n_samples):
        for _ in range(2):
            while at < size and text[at] != COMMA:
                at += 1
            at += 1
        for c in range(n_channels):
            sign = 1
            if at < size and text[at] == MINUS:
                sign = -1
                at += 1
            first, number = at, 0
            while at < size and 0 <= text[at] - ZERO <= 9:
                number = number * 10 + text[at] - ZERO
                at += 1
            if not first < at < size or text[at] != COMMA:
                return -1
            counts[c, t] = sign * number
            at += 1
        while at < size and text[at] != NEWLINE:
            at += 1
        at += 1
    return int(n_samples)
