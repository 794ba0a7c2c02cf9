"""The Riemannian potato: is this window's covariance like the clean ones?"""

from __future__ import annotations

import numpy as np

from bci.chunks import F64
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
            self._mean = _geometric_mean(c[inside])
            value, vector = np.linalg.eigh(self._mean)
            self._whiten = vector / np.sqrt(value) @ vector.T
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

    def is_clean(self, covs: F64) -> np.ndarray:
        """True where a covariance lies within the potato."""
        return self.z_score(covs) < self.z_limit

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
