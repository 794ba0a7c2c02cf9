"""Signals and cuts for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

F64 = NDArray[np.float64]
FS = 250.0


def eeg(n_channels: int, n_samples: int, seed: int = 0) -> F64:
    """Coloured noise of some 20 µV on half-cell potentials of tens of millivolts, Fortran order."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=(n_channels, n_samples + 8))
    smooth = sum(white[:, k : k + n_samples] for k in range(8)) * 7.0
    return np.asfortranarray(smooth + rng.normal(size=(n_channels, 1)) * 20_000.0)


def pieces(x: F64, cuts: list[int]) -> Iterator[tuple[int, F64]]:
    """(first sample, piece) of a signal cut at `cuts`, in memory orders that change from piece to piece."""
    edges = [0, *sorted(cuts), x.shape[1]]
    for k, (a, b) in enumerate(pairwise(edges)):
        piece = x[:, a:b]
        yield (
            a,
            (
                np.ascontiguousarray(piece)
                if k % 3 == 1
                else np.asfortranarray(piece)
                if k % 3 == 2
                else piece
            ),
        )


def cuts_of(n_samples: int) -> st.SearchStrategy[list[int]]:
    """Where to cut: empty pieces and single samples included."""
    return st.lists(st.integers(0, n_samples), max_size=6)
