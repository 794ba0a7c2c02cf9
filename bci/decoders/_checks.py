"""What every estimator asks of its windows and labels before it trains: the same words for the same mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.chunks import F64
from bci.errors import DesignError, FlatSignalError, NonFiniteError, ShapeError, TooFewTrialsError

__all__ = ["as_bands", "as_labels", "as_windows"]

_MIN_EACH = 2


def as_windows(X: ArrayLike, *, n_channels: int | None = None, banded: bool = False) -> F64:
    """Windows as float64, checked.

    Parameters
    ----------
    X : array-like, shape (n_windows, n_channels, n_samples), or with `banded` also (n_windows, n_bands, n_channels,
        n_samples), µV
    n_channels : int, optional
        Channels of the training.

    Raises
    ------
    ShapeError, NonFiniteError, FlatSignalError
        The message names what came and which channel it is.
    """
    x = np.asarray(X, dtype=np.float64)
    if x.ndim not in ((3, 4) if banded else (3,)) or x.shape[0] == 0 or x.shape[-1] < 2:
        form = "(n_windows, [n_bands,] n_channels, n_samples >= 2)" if banded else ""
        form = form or "(n_windows, n_channels, n_samples >= 2)"
        raise ShapeError(f"expected windows {form}, got an array of shape {x.shape}")
    if n_channels is not None and x.shape[-2] != n_channels:
        raise ShapeError(
            f"got windows of {x.shape[-2]} channels, but the decoder was trained on {n_channels}: "
            "use the montage of the training or train anew"
        )
    if not np.isfinite(x).all():
        raise NonFiniteError("a window holds NaN or infinity: leave windows that touch a gap out")
    flat = np.flatnonzero((np.ptp(x, axis=-1) == 0).reshape(-1, x.shape[-2]).any(axis=0))
    if len(flat):
        raise FlatSignalError(
            f"channel {', '.join(map(str, flat))} is constant throughout a window: check its electrode, "
            "or leave it out of the montage",
            channels=[int(c) for c in flat],
        )
    return x


def as_labels(y: ArrayLike, n_windows: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Classes, sorted, and for each window the column of its class.

    Raises
    ------
    ShapeError
        If there is not one label per window.
    TooFewTrialsError
        If there are fewer than 2 classes, or a class has fewer than 2 windows.
    """
    labels = np.asarray(y)
    if labels.shape != (n_windows,):
        raise ShapeError(f"expected one label per window ({n_windows}), got labels of shape {labels.shape}")
    counts = Counter(labels.tolist())
    if len(counts) < 2 or min(counts.values()) < _MIN_EACH:
        raise TooFewTrialsError(
            f"training needs at least 2 classes with at least {_MIN_EACH} windows each, got "
            + (", ".join(f"{n} of {name}" for name, n in counts.items()) or "none"),
            counts={str(name): n for name, n in counts.items()},
            needed=_MIN_EACH,
        )
    classes, columns = np.unique(labels, return_inverse=True)
    return classes, columns


def as_bands(X: ArrayLike, bands_hz: Sequence[tuple[float, float]], fs_hz: float | None, order: int) -> F64:
    """Windows in bands, (n_windows, n_bands, n_channels, n_samples), from windows or from windows already in bands.

    Windows that come in bands were cut from a signal that was filtered as a whole, the way it is done live. Plain
    windows are filtered inside the window, causally, from a steady state at its first sample; they have no past, so
    their first tenths of a second say less.

    Raises
    ------
    DesignError
        If plain windows come without a sampling rate, or the bands do not fit it.
    Others as of `as_windows`.
    """
    x = as_windows(X, banded=True)
    if x.ndim == 4:
        if x.shape[1] != len(bands_hz):
            raise ShapeError(f"expected windows in {len(bands_hz)} bands, got {x.shape[1]}")
        return x
    if fs_hz is None:
        raise DesignError(
            "windows that are not yet in bands need fs_hz, the sampling rate; or cut them from a filtered signal"
        )
    from bci.dsp import FilterBank, design_bandpass

    bank = FilterBank(
        [design_bandpass(*b, fs_hz=fs_hz, order=order) for b in bands_hz], n_channels=x.shape[1]
    )
    out = np.empty((len(x), len(bands_hz), *x.shape[1:]))
    for i, window in enumerate(x):
        bank.reset()
        out[i] = bank.process(np.asfortranarray(window))
    return out
