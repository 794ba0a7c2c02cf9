"""Blinks and eye movements taken out by a fixed matrix, learnt once. Run it with `SpatialFilter`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.chunks import F64
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_signal, not_finite
from bci.errors import FlatSignalError, ShapeError, TooFewTrialsError

__all__ = ["blink_projection", "eye_regression"]


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
    x = _centred(x_uv)
    rows = list(frontal)
    if not rows or not all(0 <= r < len(x) for r in rows):
        raise ShapeError(f"frontal rows {rows} are not within the {len(x)} channels")
    width = max(1, round(0.1 * fs_hz))
    slow = np.convolve(x[rows].mean(axis=0), np.ones(width) / width, mode="same")
    slow -= np.median(slow)
    spread = 1.4826 * np.median(np.abs(slow))
    above = np.abs(slow) > 4.0 * spread
    reach = round(0.2 * fs_hz)
    at_blink = np.convolve(above, np.ones(2 * reach + 1), mode="same") > 0.5
    n_blinks = int(np.count_nonzero(np.diff(at_blink.astype(np.int8)) == 1))
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


def _centred(x_uv: F64) -> F64:
    x = checked_signal(x_uv, None, FLOAT64)
    if x.shape[1] < 2 * x.shape[0]:
        raise ShapeError(f"too few samples for {x.shape[0]} channels: {x.shape[1]}")
    if not np.isfinite(x).all():
        raise not_finite("learning the eyes' pattern")
    centred: F64 = x - x.mean(axis=1, keepdims=True)
    return centred
