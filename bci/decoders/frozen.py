"""The part of a decoder that runs: arrays in a model file, a pure function of covariances.

Needs numpy and numba alone. Each window of a stack is treated by itself, so the same covariances give the same bits
alone, in a batch, online and offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders.calibration import Calibration
from bci.decoders.riemann import log_whitened
from bci.dsp import covariances
from bci.errors import ShapeError

__all__ = ["BANDS_HZ", "PARTS", "FrozenCsp", "FrozenEnsemble", "View", "mix", "view_covariances", "views_of"]

#: Mu and beta as a whole, all of it, and half-overlapping bands in between.
BANDS_HZ = (
    (8.0, 30.0),
    (4.0, 40.0),
    (4.0, 8.0),
    (6.0, 10.0),
    (8.0, 12.0),
    (10.0, 14.0),
    (12.0, 16.0),
    (14.0, 18.0),
    (16.0, 22.0),
    (18.0, 24.0),
    (22.0, 30.0),
    (24.0, 32.0),
    (30.0, 40.0),
)
PARTS = ((0.0, 1.0), (0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0))


@dataclass(frozen=True, slots=True)
class View:
    """What one member of an ensemble sees: one band of the filter bank, one part of the window.

    Parameters
    ----------
    band : int
        Number of the band.
    start, stop : float
        Fractions of the window, 0 ≤ start < stop ≤ 1.
    """

    band: int
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        if not (self.band >= 0 and 0.0 <= self.start < self.stop <= 1.0):
            raise ShapeError(f"{self} is no part of a window")

    @property
    def whole(self) -> bool:
        """Whether it is all of the window, as the sliding covariance gives it."""
        return self.start == 0.0 and self.stop == 1.0


def views_of(n_bands: int, parts: Sequence[tuple[float, float]] = PARTS) -> tuple[View, ...]:
    """Every band by every part, band after band."""
    return tuple(View(band, *part) for band in range(n_bands) for part in parts)


def view_covariances(windows: F64, views: Sequence[View]) -> F64:
    """Shrunk (OAS) covariances (n_windows, m, n, n), µV², of windows in bands (n_windows, n_bands, n, n_samples)."""
    n_samples = windows.shape[3]
    covs = np.empty((len(windows), len(views), windows.shape[2], windows.shape[2]))
    for j, view in enumerate(views):
        first, end = round(view.start * n_samples), round(view.stop * n_samples)
        covs[:, j] = covariances(windows[:, view.band, :, first:end], shrinkage="oas")
    return covs


@dataclass(frozen=True, slots=True, eq=False)
class FrozenEnsemble:
    """Weighted sum of tangent-space decoders, each on its own view of the window; one member is a special case.

    A member's score of a class is a linear function of the logarithm of its covariance, seen from the training mean.
    The member's scores, less their mean over the classes, are bounded by `clip`, so that no member outvotes the others
    by one wild window, and added up with the member's share.

    Parameters
    ----------
    classes : tuple of str
        Names in the order of all results.
    views : tuple of View, length m
        One per member.
    whitening : ndarray, shape (m, n, n), 1/µV
        Inverse square root of each member's reference, the Riemannian mean of its training covariances.
    weights : ndarray, shape (m, n_classes, n, n)
        Symmetric. Score of a class is the sum of its matrix times the logarithm, plus its bias.
    bias : ndarray, shape (m, n_classes)
    shares : ndarray, shape (m,)
        Not negative, sum 1.
    clip : float
        Positive; infinity for no bound.
    calibration : Calibration
    outlier_distance : float
        Root mean square, over the members, of the Riemannian distance from the reference beyond which a window counts
        as unlike everything seen.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """

    classes: tuple[str, ...]
    views: tuple[View, ...]
    whitening: F64
    weights: F64
    bias: F64
    shares: F64
    clip: float = np.inf
    calibration: Calibration = field(default_factory=Calibration)
    outlier_distance: float = np.inf

    def __post_init__(self) -> None:
        m, k = len(self.views), len(self.classes)
        n = self.whitening.shape[-1] if self.whitening.ndim == 3 else 0
        if (
            m == 0
            or n == 0
            or self.whitening.shape != (m, n, n)
            or self.weights.shape != (m, k, n, n)
            or self.bias.shape != (m, k)
            or self.shares.shape != (m,)
            or not self.calibration.fits(k)
        ):
            raise ShapeError(
                f"arrays of {m} tangent-space members with {k} classes do not fit: whitening {self.whitening.shape}, "
                f"weights {self.weights.shape}, bias {self.bias.shape}, shares {self.shares.shape}"
            )
        if not (self.clip > 0 and self.outlier_distance > 0):
            raise ShapeError(
                f"expected a positive clip and outlier distance, got {self.clip} and {self.outlier_distance}"
            )
        if not ((self.shares >= 0).all() and abs(float(self.shares.sum()) - 1.0) < 1e-6):
            raise ShapeError("the shares of the members are not non-negative numbers of sum 1")

    @property
    def n_members(self) -> int:
        return len(self.views)

    @property
    def n_channels(self) -> int:
        return int(self.whitening.shape[-1])

    def logarithms(self, covs: F64) -> F64:
        """What the members see of the covariances (n_windows, m, n, n), seen from their references; same shape."""
        n, m = self.n_channels, self.n_members
        if covs.ndim != 4 or covs.shape[1:] != (m, n, n):
            raise ShapeError(f"expected covariances of shape (n_windows, {m}, {n}, {n}), got {covs.shape}")
        return log_whitened(covs, self.whitening)

    def member_scores(self, logs: F64) -> tuple[F64, F64]:
        """Scores of each member, shape (n_windows, m, n_classes), and distances, of what `logarithms` gave."""
        flat = logs.reshape(*logs.shape[:2], self.n_channels**2)
        # Sums along the last axis, not a matrix product: BLAS adds in an order that depends on the number
        # of rows.
        distances = np.sqrt(np.mean(np.sum(flat * flat, axis=2), axis=1))
        each = np.empty((*logs.shape[:2], len(self.classes)))
        for j in range(len(self.classes)):
            each[:, :, j] = (
                np.sum(flat * self.weights[:, j].reshape(self.n_members, -1), axis=2) + self.bias[:, j]
            )
        return each, distances

    def scores(self, covs: F64) -> tuple[F64, F64]:
        """Raw scores before calibration, and distances from the training means.

        Parameters
        ----------
        covs : ndarray, shape (n_windows, m, n_channels, n_channels), float64, µV²
            One per member's view, shrunk the way the training covariances were.

        Returns
        -------
        scores : ndarray, shape (n_windows, n_classes)
        distances : ndarray, shape (n_windows,)
            Root mean square over the members of the Riemannian distance, dimensionless. Both are NaN where a covariance
            is not positive definite.
        """
        each, distances = self.member_scores(self.logarithms(covs))
        return mix(each, self.shares, self.clip), distances

    def probabilities(self, scores: F64, distances: F64) -> tuple[F64, NDArray[np.bool_]]:
        """Calibrated probabilities, shape (n_windows, n_classes), and outlier flags, of what `scores` gave."""
        return self.calibration.probabilities(scores), ~(distances <= self.outlier_distance)

    def predict_proba(self, covs: F64) -> tuple[F64, NDArray[np.bool_]]:
        """Calibrated probabilities, shape (n_windows, n_classes), and outlier flags, shape (n_windows,).

        Parameters and errors as in `scores`. A covariance that is not positive definite has NaN for
        probabilities and counts as an outlier.
        """
        return self.probabilities(*self.scores(covs))

    def calibrated(self, calibration: Calibration, *, outlier_distance: float) -> FrozenEnsemble:
        """The same decoder with the calibration that out-of-fold scores gave."""
        return replace(self, calibration=calibration, outlier_distance=outlier_distance)


def mix(each: F64, shares: F64, clip: float) -> F64:
    """Scores of an ensemble, shape (n_windows, n_classes), from those of its members (n_windows, m, n_classes)."""
    centred = each - each.mean(axis=2, keepdims=True)
    result: F64 = np.sum(np.clip(centred, -clip, clip) * shares[:, None], axis=1)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class FrozenCsp:
    """Linear functions of the log-variances of spatially filtered signals.

    Parameters
    ----------
    classes : tuple of str
    filters : ndarray, shape (f, n), 1/µV
        One spatial filter a row.
    weights : ndarray, shape (n_classes, f)
    bias : ndarray, shape (n_classes,)
    calibration : Calibration

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """

    classes: tuple[str, ...]
    filters: F64
    weights: F64
    bias: F64
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        k = len(self.classes)
        if self.filters.ndim != 2 or self.weights.shape != (k, len(self.filters)) or self.bias.shape != (k,):
            raise ShapeError(
                f"arrays of a CSP decoder with {k} classes do not fit: filters {self.filters.shape}, "
                f"weights {self.weights.shape}, bias {self.bias.shape}"
            )
        if not self.calibration.fits(k):
            raise ShapeError(f"the calibration is not for {k} classes")

    def scores(self, covs: F64) -> F64:
        """Scores before calibration, shape (n_windows, n_classes), of covariances (n_windows, n, n), µV².

        They are not shrunk.
        """
        n = self.filters.shape[1]
        if covs.ndim != 3 or covs.shape[1:] != (n, n):
            raise ShapeError(f"expected covariances of shape (n_windows, {n}, {n}), got {covs.shape}")
        powers = np.sum((self.filters @ covs) * self.filters, axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            features = np.log(powers)
        scores: F64 = np.sum(features[:, None, :] * self.weights, axis=2) + self.bias
        return scores

    def predict_proba(self, covs: F64) -> F64:
        """Calibrated probabilities, shape (n_windows, n_classes). Parameters and errors as in `scores`."""
        return self.calibration.probabilities(self.scores(covs))
