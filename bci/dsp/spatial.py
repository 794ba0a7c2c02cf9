"""Spatial filters: matrices that mix channels, and the stage that applies them sample by sample.

A design is a matrix (n_out, n_in); `SpatialFilter` runs it. Matrices are joined by `@`. Those that need positions of
electrodes on the head are in `bci.dsp.geometry`, which asks MNE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _loops
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_signal, not_finite
from bci.errors import MontageMismatchError, ShapeError

__all__ = ["SpatialFilter", "bipolar", "common_average", "find_bad_channels"]


class SpatialFilter:
    """Multiply every sample with a fixed matrix; no memory, any cut gives the same bits.

    Parameters
    ----------
    matrix : array_like, shape (n_out, n_in)

    Raises
    ------
    ShapeError
        If the matrix is not 2-D, empty or not finite.
    """

    def __init__(self, matrix: object) -> None:
        m = np.array(matrix, dtype=np.float64)
        if m.ndim != 2 or not m.size or not np.isfinite(m).all():
            raise ShapeError(f"expected a finite matrix of shape (n_out, n_in), got shape {m.shape}")
        self.matrix = m
        self._columns = np.ascontiguousarray(m.T)
        self._scratch = np.empty(len(m))

    def process(self, x_uv: F64) -> F64:
        """Mix the channels.

        Parameters
        ----------
        x_uv : ndarray, shape (n_in, n_samples), float64, µV

        Returns
        -------
        y_uv : ndarray, shape (n_out, n_samples), float64, Fortran order

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity.
        """
        x = checked_signal(x_uv, self.matrix.shape[1], FLOAT64)
        y = np.empty((len(self.matrix), x.shape[1]), order="F")
        if _loops.apply_matrix(x, self._columns, y, self._scratch):
            raise not_finite("a spatial filter")
        return y

    def reset(self) -> None:
        """There is nothing to forget."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Empty: a spatial filter has no memory."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to restore."""


def common_average(n_channels: int, *, bad: Sequence[int] = ()) -> F64:
    """Matrix that subtracts the average of the good channels from every channel.

    Parameters
    ----------
    n_channels : int
    bad : sequence of int
        Channels left out of the average (see `find_bad_channels`): one broken electrode would spread to all.

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels)

    Raises
    ------
    ShapeError
        If fewer than two good channels are left.
    """
    good = np.ones(n_channels)
    good[list(bad)] = 0.0
    if good.sum() < 2:
        raise ShapeError(
            f"a common average needs two good channels, {int(good.sum())} of {n_channels} are left"
        )
    matrix: F64 = np.eye(n_channels) - good / good.sum()
    return matrix


def bipolar(pairs: Sequence[tuple[str, str]], channels: Sequence[str]) -> F64:
    """Matrix of differences `first - second` of pairs of channels.

    Parameters
    ----------
    pairs : sequence of (str, str)
    channels : sequence of str
        Labels in the order of the signal's rows.

    Returns
    -------
    matrix : ndarray, shape (n_pairs, n_channels), for `SpatialFilter`

    Raises
    ------
    MontageMismatchError
        If a label is not among the channels.
    """
    place = {label: k for k, label in enumerate(channels)}
    missing = sorted({label for pair in pairs for label in pair} - set(place))
    if missing:
        raise MontageMismatchError(
            f"no channel {', '.join(missing)} in the montage: it has {', '.join(channels)}",
            got=channels,
            expected=missing,
        )
    matrix = np.zeros((len(pairs), len(channels)))
    for row, (a, b) in enumerate(pairs):
        matrix[row, place[a]] += 1.0
        matrix[row, place[b]] -= 1.0
    return matrix


def find_bad_channels(
    x_uv: F64, *, z_limit: float = 5.0, flat_uv: float = 0.1, correlation: float = 0.4
) -> dict[int, str]:
    """Channels that should not take part in an average, each with the reason in plain words.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        Some seconds, high-passed.
    z_limit : float
        Robust z-score of the amplitude beyond which a channel is too loud.
    flat_uv : float, µV
        Robust amplitude below which a channel is flat.
    correlation : float
        A channel whose largest correlation with any other is below this follows nothing on the head.

    References
    ----------
    .. [1] Bigdely-Shamlo et al., Front. Neuroinform. 9:16, 2015 (PREP). doi:10.3389/fninf.2015.00016
    """
    x = checked_signal(x_uv, None, FLOAT64)
    if x.shape[1] < 2:
        raise ShapeError(f"expected some seconds of signal, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise not_finite("the search for bad channels")
    quarters = np.quantile(x, [0.25, 0.75], axis=1)
    amplitude = 0.7413 * (quarters[1] - quarters[0])  # standard deviation of a normal with these quartiles
    level = np.median(amplitude)
    spread = max(0.7413 * float(np.diff(np.quantile(amplitude, [0.25, 0.75]))[0]), 0.1 * float(level), 1e-12)
    centred = x - x.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1))
    similar = np.abs(centred @ centred.T) / np.maximum(np.outer(norm, norm), 1e-300)
    np.fill_diagonal(similar, 0.0)
    bad = {}
    for c in range(len(x)):
        if amplitude[c] < flat_uv:
            bad[c] = f"flat: {amplitude[c]:.2g} µV"
        elif (amplitude[c] - level) / spread > z_limit:
            bad[c] = f"too loud: {amplitude[c]:.3g} µV where {level:.3g} µV is usual"
        elif len(x) > 2 and similar[c].max() < correlation:
            bad[c] = f"follows no other channel: largest correlation {similar[c].max():.2f}"
    return bad
