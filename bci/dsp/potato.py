"""The Riemannian potato: is this window's covariance like the clean ones?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp.marks import Mark
from bci.errors import NonFiniteError, ShapeError, TooFewTrialsError

__all__ = ["RiemannianPotato"]


class RiemannianPotato:
    """A region around the geometric mean of clean covariances; what lies outside is an artefact.

    The z-score is that of the logarithm of the Riemannian distance to the mean. While fitting, covariances beyond the
    limit are left out and the mean taken anew, until none is.

    Parameters
    ----------
    z_limit : float
        Largest z-score of a clean covariance.

    References
    ----------
    .. [1] Barachant, Andreev & Congedo, TOBI Workshop IV:19-20, 2013 (the potato).
    .. [2] Barthélemy et al., IEEE Trans. Neural Syst. Rehabil. Eng. 27(2):244-255, 2019. doi:10.1109/TNSRE.2019.2893113
    """

    def __init__(self, *, z_limit: float = 3.0) -> None:
        self.z_limit = float(z_limit)
        self._mean = np.empty((0, 0))
        self._whiten = np.empty((0, 0))
        self._log_mean = self._log_spread = np.nan

    def fit(self, covs: F64) -> RiemannianPotato:
        """Learn from clean covariances, shape (n_windows, n_channels, n_channels), positive definite.

        Raises
        ------
        ShapeError, NonFiniteError
            If they are not a set of square matrices, or not finite and positive definite.
        TooFewTrialsError
            If fewer than 8 are given.
        """
        c = _checked(covs)
        if len(c) < 8:
            raise TooFewTrialsError(
                f"{len(c)} clean windows are too few: give 8", counts={"clean": len(c)}, needed=8
            )
        inside = np.ones(len(c), dtype=bool)
        for _ in range(100):
            self._settle(_geometric_mean(c[inside]))
            logs = np.log(self._distances(c))
            self._log_mean, self._log_spread = float(logs[inside].mean()), float(logs[inside].std())
            now = np.abs(logs - self._log_mean) / self._log_spread < self.z_limit
            if (now == inside).all():
                break
            inside = now & inside
        return self

    @property
    def mean(self) -> F64:
        """Geometric mean of the clean covariances, shape (n_channels, n_channels), µV²."""
        return self._mean.copy()

    def z_score(self, covs: F64) -> F64:
        """How many standard deviations each covariance (n, n_channels, n_channels) lies off; negative is nearer."""
        c = _checked(covs)
        if c.shape[1:] != self._mean.shape:
            raise ShapeError(f"fitted on matrices of shape {self._mean.shape}, got {c.shape[1:]}")
        out: F64 = (np.log(np.maximum(self._distances(c), 1e-12)) - self._log_mean) / self._log_spread
        return out

    def is_clean(self, covs: F64) -> NDArray[np.bool_]:
        """True where a covariance lies within the potato."""
        return self.z_score(covs) < self.z_limit

    def judge(self, end_samples: NDArray[np.int64], covs: F64, *, window_samples: int) -> list[Mark]:
        """Mark the windows of a `SlidingCovariance` (its two results) that lie outside the potato.

        Parameters
        ----------
        end_samples : ndarray, shape (k,), int64
        covs : ndarray, shape (k, n_channels, n_channels), µV², positive definite: shrink them (`oas`) first
        window_samples : int
            Length of the windows.

        Returns
        -------
        marks : list of Mark
            Of kind "covariance", one for each window outside.
        """
        return [
            Mark(
                int(end) - window_samples,
                int(end),
                "covariance",
                f"channels go together unlike in clean signal: {z:.1f} deviations off, {self.z_limit:g} allowed",
            )
            for end, z in zip(end_samples, self.z_score(covs) if len(covs) else (), strict=True)
            if z >= self.z_limit
        ]

    def state(self) -> dict[str, NDArray[Any]]:
        """What `fit` learnt, as arrays that `restore` takes."""
        return {"mean": self._mean.copy(), "logs": np.array([self._log_mean, self._log_spread])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what another potato learnt. ShapeError if it is no square matrix."""
        mean = np.array(state["mean"], dtype=np.float64)
        if mean.ndim != 2 or mean.shape[0] != mean.shape[1]:
            raise ShapeError(f"the saved mean has shape {mean.shape}, expected (n_channels, n_channels)")
        self._settle(mean)
        self._log_mean, self._log_spread = (float(v) for v in state["logs"])

    def _settle(self, mean: F64) -> None:
        value, vector = np.linalg.eigh(mean)
        self._mean, self._whiten = mean, vector / np.sqrt(value) @ vector.T

    def _distances(self, covs: F64) -> F64:
        logs = np.log(np.linalg.eigvalsh(self._whiten @ covs @ self._whiten))
        out: F64 = np.sqrt((logs**2).sum(axis=1))
        return out


def _checked(covs: F64) -> F64:
    c = np.asarray(covs, dtype=np.float64)
    if c.ndim != 3 or c.shape[1] != c.shape[2]:
        raise ShapeError(f"expected covariances of shape (n_windows, n_channels, n_channels), got {c.shape}")
    if not np.isfinite(c).all() or not (np.linalg.eigvalsh(c)[:, 0] > 0).all():
        raise NonFiniteError(
            "a covariance is not finite and positive definite: shrink it (oas) or drop its window"
        )
    return c


def _geometric_mean(covs: F64) -> F64:
    """Karcher mean by gradient steps from the arithmetic mean."""
    mean: F64 = covs.mean(axis=0)
    for _ in range(50):
        value, vector = np.linalg.eigh(mean)
        root, inverse = vector * np.sqrt(value) @ vector.T, vector / np.sqrt(value) @ vector.T
        v, u = np.linalg.eigh(inverse @ covs @ inverse)
        tangent = ((u * np.log(v)[:, None, :]) @ u.transpose(0, 2, 1)).mean(axis=0)
        v, u = np.linalg.eigh(tangent)
        mean = root @ (u * np.exp(v) @ u.T) @ root
        mean = (mean + mean.T) / 2
        if np.sqrt((tangent**2).sum()) < 1e-10:
            break
    return mean
