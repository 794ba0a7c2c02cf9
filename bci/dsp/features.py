"""Numbers a decoder reads from one window."""

from __future__ import annotations

import numpy as np

from bci.chunks import F64
from bci.errors import FlatSignalError, ShapeError

__all__ = ["log_variance"]


def log_variance(window_uv: F64) -> F64:
    """Log of each channel's share of the window's variance.

    Parameters
    ----------
    window_uv : ndarray, shape (..., n_channels, n_samples), float64, µV
        One band-passed window, or a set of them. A gain common to all channels cancels out.

    Returns
    -------
    features : ndarray, shape (..., n_channels), dimensionless
        Natural log. NaN throughout if the window holds a lost (NaN) sample.

    Raises
    ------
    ShapeError
        If there are fewer than 2 axes or fewer than 2 samples.
    FlatSignalError
        If a channel is constant; the message names it.

    References
    ----------
    .. [1] Ramoser et al., IEEE Trans. Rehabil. Eng. 8(4):441-446, 2000. doi:10.1109/86.895946

    Examples
    --------
    >>> np.exp(log_variance(np.array([[1.0, -1.0], [3.0, -3.0]]))).round(2)
    array([0.1, 0.9])
    """
    x = np.asarray(window_uv, dtype=np.float64)
    if x.ndim < 2 or x.shape[-1] < 2:
        raise ShapeError(f"expected a window of shape (n_channels, n_samples >= 2), got {x.shape}")
    variance = x.var(axis=-1)
    flat = np.flatnonzero((variance == 0).reshape(-1, x.shape[-2]).any(axis=0))
    if len(flat):
        raise FlatSignalError(
            f"channel {', '.join(map(str, flat))} is constant: no log variance can be taken; check its electrode",
            channels=[int(c) for c in flat],
        )
    share: F64 = variance / variance.sum(axis=-1, keepdims=True)
    return np.log(share)
