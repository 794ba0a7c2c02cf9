"""Putting back what a file leaves out: lost samples hold the value before them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bci.interop._door import PIECE, Counts

__all__ = ["with_gaps"]


def with_gaps(pieces: Iterable[Counts], gaps: Sequence[tuple[int, int]]) -> Iterator[Counts]:
    """Pieces of what is there, cut at the gaps and with them filled.

    Parameters
    ----------
    pieces : iterable of ndarray, shape (n_channels, n), none empty
    gaps : sequence of (first sample, number of samples)
        In order, on the axis that they are part of.
    """
    left = list(reversed(gaps))
    at = 0
    last: Counts | None = None
    for piece in pieces:
        begin, n = 0, piece.shape[1]
        while begin < n:
            while left and left[-1][0] == at:
                _, lost = left.pop()
                held = piece[:, :1] if last is None else last
                for done in range(0, lost, PIECE):
                    yield np.asfortranarray(np.repeat(held, min(lost - done, PIECE), axis=1))
                at += lost
            end = min(n, begin + left[-1][0] - at) if left else n
            part = np.asfortranarray(piece[:, begin:end])
            yield part
            last, at, begin = part[:, -1:], at + end - begin, end
