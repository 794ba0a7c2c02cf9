"""Covariance matrices: of windows, sliding along a stream, and shrunk.

All are biased (divided by the number of samples) with each channel's mean over the window removed, as
scikit-learn's OAS and Ledoit-Wolf define them. Unit µV².
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _gram
from bci.errors import DesignError, NonFiniteError, ShapeError

__all__ = ["SlidingCovariance", "covariances", "ledoit_wolf", "oas", "shrink"]

I64 = NDArray[np.int64]

# Square of the mean over variance up to which the mean can be taken off afterwards and cost less than the last digit.
_SMALL_MEAN = 1e-2


class SlidingCovariance:
    """Covariance of the last `window_samples`, given whenever the sample number is a multiple of `step_samples`.

    The window is summed from blocks of `step_samples` that are anchored to the sample number, in an order that depends
    on nothing else, so any cut of the signal gives the same bits, and no running update drifts over hours. A covariance
    costs the same however long the window is. Nothing is given before a window is full; a jump in `first_sample` or a
    `reset` empties it, so no window ever spans a gap.

    Parameters
    ----------
    n_channels : int
    window_samples, step_samples : int
        The window is a whole number of steps.
    n_bands : int, optional
        Take `(n_bands, n_channels, n_samples)`, as a `FilterBank` gives it, and give one covariance per band.

    Raises
    ------
    DesignError
        If the window is not a positive multiple of the step.
    """

    def __init__(
        self, n_channels: int, *, window_samples: int, step_samples: int, n_bands: int | None = None
    ) -> None:
        if n_channels < 1 or (n_bands is not None and n_bands < 1):
            raise ShapeError(
                f"a covariance needs channels and bands, got {n_channels} channels, {n_bands} bands"
            )
        if step_samples < 1 or window_samples < step_samples or window_samples % step_samples:
            step = max(step_samples, 1)
            raise DesignError(
                f"a window of {window_samples} samples is not a whole number of steps of {step_samples}: "
                f"choose e.g. {max(1, round(window_samples / step)) * step}"
            )
        self.n_channels = int(n_channels)
        self.n_bands = n_bands
        self.window_samples = int(window_samples)
        self.step_samples = int(step_samples)
        n_blocks = self.window_samples // self.step_samples
        pitch = _gram.pitch_of(self.n_channels)
        self._ring = np.zeros((n_bands or 1, n_blocks + 2, pitch * (pitch + 1)))
        self._place = np.array([0, 0, self.step_samples, n_blocks], dtype=np.int64)
        self._next: int | None = None
        self._run = _gram.runner()

    def process(self, x_uv: F64, first_sample: int) -> tuple[I64, F64]:
        """Take the next samples and give the covariances that became due.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples) or (n_bands, n_channels, n_samples), float64, µV
        first_sample : int
            Conversion number of the first column.

        Returns
        -------
        end_samples : ndarray, shape (k,), int64
            Number of the sample that would follow each window: it covers `[end - window_samples, end)`.
        covs : ndarray, shape (k, n_channels, n_channels) or (k, n_bands, n_channels, n_channels), float64, µV²

        Raises
        ------
        ShapeError
            If the chunk has another number of channels or bands.
        NonFiniteError
            If it holds NaN or infinity; nothing has been taken.
        """
        x = np.asarray(x_uv, dtype=np.float64)
        if self.n_bands is None:
            x = x[None]
        n = self.n_channels
        if x.ndim != 3 or x.shape[0] != len(self._ring) or x.shape[1] != n:
            bands = () if self.n_bands is None else (self.n_bands,)
            raise ShapeError(f"expected a signal of shape {(*bands, n, 'n_samples')}, got {np.shape(x_uv)}")
        after = first_sample + x.shape[2]
        due = after // self.step_samples - first_sample // self.step_samples
        ends = np.empty(due, dtype=np.int64)
        covs = np.empty((due, len(x), n, n))
        if first_sample != self._next:
            self.reset()
        k = self._run(x, first_sample, self._ring, self._place, ends, covs)
        if k < 0:
            raise NonFiniteError("a covariance got NaN or infinity: fill the gap first (GapPolicy) or reset")
        self._next = after
        return ends[:k], covs[:k, 0] if self.n_bands is None else covs[:k]

    @property
    def kernel_arrays(self) -> tuple[NDArray[Any], I64]:
        """Sums of blocks and the place in them, as the kernel takes them: for one fused with others."""
        return self._ring, self._place

    def reset(self) -> None:
        """Empty the window."""
        self._place[:2] = 0
        self._next = None

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        after = -1 if self._next is None else self._next
        return {
            "ring": self._ring.copy(),
            "place": self._place.copy(),
            "n_channels": np.array(self.n_channels),
            "next": np.array(after, dtype=np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from another window or montage."""
        ring = np.asarray(state["ring"], dtype=np.float64)
        place = np.asarray(state["place"], dtype=np.int64)
        if int(state["n_channels"]) != self.n_channels:
            raise ShapeError(
                f"the saved covariance is of {state['n_channels']} channels, not {self.n_channels}"
            )
        if ring.shape != self._ring.shape or (place[2:] != self._place[2:]).any():
            raise ShapeError(
                f"the saved covariance state has shape {ring.shape} and steps {place[2:]}, "
                f"expected {self._ring.shape} and {self._place[2:]}"
            )
        self._ring[:] = ring
        self._place[:] = place
        self._next = None if int(state["next"]) < 0 else int(state["next"])


def covariances(windows_uv: F64, *, shrinkage: Literal["none", "oas", "ledoit_wolf"] = "none") -> F64:
    """Covariance of each window, channel means removed.

    Parameters
    ----------
    windows_uv : ndarray, shape (n_windows, n_channels, n_samples), float64, µV
    shrinkage : "none", "oas" or "ledoit_wolf"

    Returns
    -------
    covs : ndarray, shape (n_windows, n_channels, n_channels), float64, µV²

    Raises
    ------
    ShapeError, NonFiniteError
        If the windows are not 3-D with at least 2 samples, or hold NaN or infinity.
    """
    if shrinkage == "ledoit_wolf":
        return ledoit_wolf(windows_uv)
    x = _windows(windows_uv)
    n_samples = x.shape[2]
    means = _finite(x.mean(axis=2))
    covs: F64 = x @ x.transpose(0, 2, 1) / n_samples
    if (means * means <= _SMALL_MEAN * np.diagonal(covs, axis1=1, axis2=2)).all():
        covs -= means[:, :, None] * means[:, None, :]
    else:  # the mean would take digits off the variance: a band-passed window has none to speak of, a raw one does
        x = x - means[:, :, None]
        covs = x @ x.transpose(0, 2, 1) / n_samples
    return oas(covs, n_samples) if shrinkage == "oas" else covs


def shrink(covs: F64, alpha: float | F64) -> F64:
    """`(1 − alpha) · cov + alpha · mean variance · identity`, for (..., n, n); `alpha` one number or one per matrix."""
    n = covs.shape[-1]
    a = np.asarray(alpha, dtype=np.float64)
    mean_variance = np.trace(covs, axis1=-2, axis2=-1) / n
    out: F64 = (1.0 - a)[..., None, None] * covs
    out[..., np.arange(n), np.arange(n)] += (a * mean_variance)[..., None]
    return out


def oas(covs: F64, n_samples: int) -> F64:
    """Oracle-approximating shrinkage of covariances of `n_samples` each.

    Parameters
    ----------
    covs : ndarray, shape (..., n_channels, n_channels), float64
        Biased covariances with the mean removed.
    n_samples : int
        Samples each was taken over.

    Returns
    -------
    shrunk : ndarray, same shape; positive definite wherever the mean variance is positive

    References
    ----------
    .. [1] Chen et al., IEEE Trans. Signal Process. 58(10):5016-5029, 2010, eq. 23. doi:10.1109/TSP.2010.2053029
    """
    n = covs.shape[-1]
    mean_square = np.mean(covs * covs, axis=(-2, -1))
    mean_variance = np.trace(covs, axis1=-2, axis2=-1) / n
    above = mean_square + mean_variance**2
    below = (n_samples + 1) * (mean_square - mean_variance**2 / n)
    alpha = np.where(below > above, above / np.where(below > above, below, 1.0), 1.0)
    return shrink(covs, alpha)


def ledoit_wolf(windows_uv: F64) -> F64:
    """Ledoit-Wolf shrunk covariance of each window.

    Parameters
    ----------
    windows_uv : ndarray, shape (n_windows, n_channels, n_samples), float64, µV

    Returns
    -------
    covs : ndarray, shape (n_windows, n_channels, n_channels), float64, µV²

    References
    ----------
    .. [1] Ledoit & Wolf, J. Multivar. Anal. 88(2):365-411, 2004. doi:10.1016/S0047-259X(03)00096-4
    """
    x = _centred(windows_uv)
    _, n, t = x.shape
    covs: F64 = x @ x.transpose(0, 2, 1) / t
    squares = x * x
    mean_variance = np.trace(covs, axis1=1, axis2=2) / n
    square_of_covs = np.sum(covs * covs, axis=(1, 2))
    fourth = np.sum(squares.sum(axis=1) ** 2, axis=1) / t  # sum over i, j of the mean of x_i² x_j²
    beta = (fourth - square_of_covs) / (n * t)
    delta = (square_of_covs - n * mean_variance**2) / n
    alpha = np.where(delta > 0, np.clip(beta / np.where(delta > 0, delta, 1.0), 0.0, 1.0), 0.0)
    return shrink(covs, alpha)


def _centred(windows_uv: F64) -> F64:
    x = _windows(windows_uv)
    out: F64 = x - _finite(x.mean(axis=2))[:, :, None]
    return out


def _windows(windows_uv: F64) -> F64:
    x = np.asarray(windows_uv, dtype=np.float64)
    if x.ndim != 3 or x.shape[2] < 2:
        raise ShapeError(f"expected windows of shape (n_windows, n_channels, n_samples >= 2), got {x.shape}")
    return x


def _finite(means: F64) -> F64:
    """The means of windows, which are finite where all samples are."""
    if not np.isfinite(means).all():
        raise NonFiniteError("a window holds NaN or infinity: leave windows that touch a gap out")
    return means
