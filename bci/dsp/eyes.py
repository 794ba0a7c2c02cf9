"""Blinks and eye movements taken out by a fixed matrix, learnt once; `EyeFilter` runs it and marks what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_signal, not_finite
from bci.dsp.marks import Mark
from bci.dsp.spatial import SpatialFilter
from bci.errors import DesignError, FlatSignalError, ShapeError, TooFewTrialsError

__all__ = ["EyeFilter", "blink_projection", "eye_regression", "find_blinks"]


class EyeFilter:
    """Run the matrix of `eye_regression` or `blink_projection`, and mark the samples from which it took much.

    Blocks of a tenth of a second, anchored to the sample number, are marked, so any cut gives the same marks.

    Parameters
    ----------
    matrix : array_like, shape (n_channels, n_channels)
    fs_hz : float, Hz
    limit_uv : float, µV
        Peak-to-peak of the part taken out of any channel above which a block is marked.
    channels : sequence of str, optional
        Labels for the reasons; numbers otherwise.

    Raises
    ------
    ShapeError, DesignError
        If the matrix is not square and finite, or the rate is too low for blocks of a tenth of a second.
    """

    _next: int | None
    _whole: bool

    def __init__(
        self, matrix: object, *, fs_hz: float, limit_uv: float = 30.0, channels: Sequence[str] | None = None
    ) -> None:
        self._filter = SpatialFilter(matrix)
        n = len(self._filter.matrix)
        if self._filter.matrix.shape != (n, n):
            raise ShapeError(f"expected a square matrix, got shape {self._filter.matrix.shape}")
        if not fs_hz >= 20 or not limit_uv > 0:
            raise DesignError(f"a rate of {fs_hz:g} Hz or a limit of {limit_uv:g} µV does not fit")
        self.n_channels = n
        self.block_samples = round(0.1 * fs_hz)
        self.limit_uv = float(limit_uv)
        self._labels = [str(c) for c in (channels or range(n))]
        if len(self._labels) != n:
            raise ShapeError(f"{len(self._labels)} labels for {n} channels")
        self._low, self._high = np.empty(n), np.empty(n)
        self.reset()

    def process(self, x_uv: F64, first_sample: int) -> tuple[F64, list[Mark]]:
        """Clean the next samples; mark the blocks that they complete.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV, high-passed
        first_sample : int
            Conversion number of the first column; a jump starts marking anew with the next block.

        Returns
        -------
        y_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order
        marks : list of Mark
            Of kind "eyes", at most one per block.

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity.
        """
        y = self._filter.process(x_uv)
        if first_sample != self._next:
            self.reset()
        taken = np.asarray(x_uv, dtype=np.float64) - y
        marks: list[Mark] = []
        t = 0
        while t < y.shape[1]:
            phase = (first_sample + t) % self.block_samples
            if phase == 0:
                self._low[:], self._high[:], self._whole = np.inf, -np.inf, True
            m = min(y.shape[1] - t, self.block_samples - phase)
            part = taken[:, t : t + m]
            np.minimum(self._low, part.min(axis=1), out=self._low)
            np.maximum(self._high, part.max(axis=1), out=self._high)
            t += m
            if phase + m == self.block_samples and self._whole:
                marks += self._judge(first_sample + t)
        self._next = first_sample + y.shape[1]
        return y, marks

    def _judge(self, end: int) -> list[Mark]:
        swing = self._high - self._low
        rows = np.flatnonzero(swing > self.limit_uv)
        if not len(rows):
            return []
        most = int(rows[np.argmax(swing[rows])])
        reason = f"the eyes moved: up to {swing[most]:.3g} µV p-p taken out ({self._labels[most]})"
        return [Mark(end - self.block_samples, end, "eyes", reason, tuple(int(r) for r in rows))]

    def reset(self) -> None:
        """Forget the past; the next whole block is judged first."""
        self._next, self._whole = None, False
        self._low[:], self._high[:] = np.inf, -np.inf

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        place = np.array([-1 if self._next is None else self._next, self._whole], dtype=np.int64)
        return {"low": self._low.copy(), "high": self._high.copy(), "place": place}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, mark for mark. ShapeError if it is of another shape."""
        if np.shape(state["low"]) != self._low.shape:
            raise ShapeError(f"the saved state has {np.shape(state['low'])} channels, not {self.n_channels}")
        self._low[:], self._high[:] = state["low"], state["high"]
        after, whole = (int(v) for v in state["place"])
        self._next, self._whole = None if after < 0 else after, bool(whole)


def eye_regression(x_uv: F64, *, eog: Sequence[int]) -> F64:
    """Matrix that subtracts from every channel what the EOG channels explain of it.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        High-passed seconds with blinks and eye movements; EEG and EOG channels together.
    eog : sequence of int
        Rows of the EOG channels. They stay as they are.

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels)

    Raises
    ------
    ShapeError, NonFiniteError
        If the signal does not fit.
    FlatSignalError
        If the EOG channels are constant or copies of each other.

    References
    ----------
    .. [1] Schlögl et al., Clin. Neurophysiol. 118(1):98-104, 2007. doi:10.1016/j.clinph.2006.09.003
    """
    x = _centred(x_uv)
    rows = list(eog)
    if not rows or not all(0 <= r < len(x) for r in rows):
        raise ShapeError(f"rows {rows} of the EOG channels are not within the {len(x)} channels")
    eye = x[rows]
    gram = eye @ eye.T
    if np.linalg.cond(gram) > 1e12:
        raise FlatSignalError("the EOG channels are constant or copies of each other", channels=rows)
    weights = np.linalg.solve(gram, eye @ x.T).T
    weights[rows] = 0.0
    matrix = np.eye(len(x))
    matrix[:, rows] -= weights
    return matrix


def blink_projection(x_uv: F64, *, frontal: Sequence[int], fs_hz: float) -> F64:
    """Matrix that removes the blink's pattern where no EOG was recorded.

    Blinks are the largest slow waves of the frontal channels. Of all spatial filters the one whose power at blinks is
    largest relative to its power elsewhere gives the blink's course; every channel's regression on it is taken out.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        High-passed, with a few blinks.
    frontal : sequence of int
        Rows near the eyes, e.g. of Fp1 and Fp2.
    fs_hz : float, Hz

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels), of rank n_channels - 1

    Raises
    ------
    TooFewTrialsError
        If fewer than three blinks are found.

    References
    ----------
    .. [1] de Cheveigné & Parra, NeuroImage 98:487-505, 2014 (joint decorrelation). doi:10.1016/j.neuroimage.2014.05.068
    """
    x, rows = _frontal(x_uv, frontal, fs_hz)
    at_blink = _near_blinks(x[rows], fs_hz)
    n_blinks = _count(at_blink)
    if n_blinks < 3:
        raise TooFewTrialsError(
            f"found {n_blinks} blinks, at least 3 are needed: ask for some blinks and record again",
            counts={"blink": n_blinks},
            needed=3,
        )
    during = x[:, at_blink] @ x[:, at_blink].T / np.count_nonzero(at_blink)
    elsewhere = x[:, ~at_blink] @ x[:, ~at_blink].T / np.count_nonzero(~at_blink)
    value, vector = np.linalg.eigh(elsewhere)
    keep = value > 1e-10 * value[-1]
    whiten = vector[:, keep] / np.sqrt(value[keep])
    weights = whiten @ np.linalg.eigh(whiten.T @ during @ whiten)[1][:, -1]
    pattern = during @ weights / (weights @ during @ weights)
    matrix: F64 = np.eye(len(x)) - np.outer(pattern, weights)
    return matrix


def find_blinks(x_uv: F64, *, frontal: Sequence[int], fs_hz: float, first_sample: int = 0) -> list[Mark]:
    """Where the frontal channels show blinks: slow waves more than four robust deviations high.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        High-passed seconds.
    frontal : sequence of int
        Rows near the eyes, e.g. of Fp1 and Fp2.
    fs_hz : float, Hz
    first_sample : int
        Conversion number of the first column.

    Returns
    -------
    marks : list of Mark
        Of kind "blink", each reaching a fifth of a second beyond the wave on both sides.

    Raises
    ------
    ShapeError, NonFiniteError
        If the signal or the rows do not fit.
    """
    x, rows = _frontal(x_uv, frontal, fs_hz)
    edges = np.flatnonzero(np.diff(np.pad(_near_blinks(x[rows], fs_hz), 1).astype(np.int8)))
    marks = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        height = float(np.ptp(x[rows, a:b].mean(axis=0)))
        reason = f"blink: a slow wave of {height:.3g} µV p-p near the eyes"
        marks.append(Mark(first_sample + int(a), first_sample + int(b), "blink", reason, tuple(rows)))
    return marks


def _frontal(x_uv: F64, frontal: Sequence[int], fs_hz: float) -> tuple[F64, list[int]]:
    x, rows = _centred(x_uv), list(frontal)
    if not rows or not all(0 <= r < len(x) for r in rows):
        raise ShapeError(f"frontal rows {rows} are not within the {len(x)} channels")
    if x.shape[1] < fs_hz:
        raise ShapeError(f"blinks are looked for in a second of signal or more, got {x.shape[1]} samples")
    return x, rows


def _near_blinks(frontal: F64, fs_hz: float) -> NDArray[np.bool_]:
    """True for samples within a fifth of a second of a large slow wave of the frontal mean."""
    width, reach = max(1, round(0.1 * fs_hz)), round(0.2 * fs_hz)
    slow = np.convolve(frontal.mean(axis=0), np.ones(width) / width, mode="same")
    slow -= np.median(slow)
    spread = 1.4826 * np.median(np.abs(slow))
    above = np.abs(slow) > 4.0 * spread
    near: NDArray[np.bool_] = np.convolve(above, np.ones(2 * reach + 1), mode="same") > 0.5
    return near


def _count(near: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(np.diff(np.pad(near, 1).astype(np.int8)) == 1))


def _centred(x_uv: F64) -> F64:
    x = checked_signal(x_uv, None, FLOAT64)
    if x.shape[1] < 2 * x.shape[0]:
        raise ShapeError(f"too few samples for {x.shape[0]} channels: {x.shape[1]}")
    if not np.isfinite(x).all():
        raise not_finite("learning the eyes' pattern")
    centred: F64 = x - x.mean(axis=1, keepdims=True)
    return centred
