"""The part of a tangent-space decoder that runs: arrays in a model file, a pure function of a covariance.

Needs numpy alone. Each covariance of a stack is treated by itself, so the same covariance gives the same
bits alone, in a batch, online and offline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders.riemann import log_whitened
from bci.errors import ShapeError

__all__ = ["FrozenTangentSpace"]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenTangentSpace:
    """Softmax of linear functions of a covariance's logarithm, seen from the training mean.

    Parameters
    ----------
    classes : tuple of str
        Names in the order of all results.
    whitening : ndarray, shape (n, n), 1/µV
        Inverse square root of the Riemannian mean of the training covariances.
    weights : ndarray, shape (n_classes, n, n)
        Symmetric. Score of a class is the sum of its matrix times the logarithm, plus its bias.
    bias : ndarray, shape (n_classes,)
    temperature : float
        Scores are divided by it; above 1 it takes back the confidence that fitting put in.
    outlier_distance : float
        Riemannian distance from the training mean beyond which a covariance counts as unlike everything seen.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """

    classes: tuple[str, ...]
    whitening: F64
    weights: F64
    bias: F64
    temperature: float = 1.0
    outlier_distance: float = np.inf

    def __post_init__(self) -> None:
        n, k = len(self.whitening), len(self.classes)
        if self.whitening.shape != (n, n) or self.weights.shape != (k, n, n) or self.bias.shape != (k,):
            raise ShapeError(
                f"arrays of a tangent-space decoder with {k} classes do not fit: "
                f"whitening {self.whitening.shape}, weights {self.weights.shape}, bias {self.bias.shape}"
            )
        if not (self.temperature > 0 and self.outlier_distance > 0):
            raise ShapeError(
                f"expected a positive temperature and outlier distance, got {self.temperature} and "
                f"{self.outlier_distance}"
            )

    @property
    def n_channels(self) -> int:
        return len(self.whitening)

    def scores(self, covs: F64) -> tuple[F64, F64]:
        """Raw scores before temperature and softmax, and distances from the training mean.

        Parameters
        ----------
        covs : ndarray, shape (n_windows, n_channels, n_channels), float64, µV²
            Shrunk the way the training covariances were.

        Returns
        -------
        scores : ndarray, shape (n_windows, n_classes)
        distances : ndarray, shape (n_windows,)
            Dimensionless Riemannian distance. Both are NaN where a covariance is not positive definite.
        """
        n, k = self.n_channels, len(self.classes)
        if covs.ndim != 3 or covs.shape[1:] != (n, n):
            raise ShapeError(f"expected covariances of shape (n_windows, {n}, {n}), got {covs.shape}")
        logs = log_whitened(covs, self.whitening).reshape(len(covs), n * n)
        # Sums along the last axis, not a matrix product: BLAS adds in an order that depends on the number
        # of rows.
        distances = np.sqrt(np.sum(logs * logs, axis=1))
        scores = np.empty((len(covs), k))
        for j in range(k):
            scores[:, j] = np.sum(logs * self.weights[j].reshape(n * n), axis=1) + self.bias[j]
        return scores, distances

    def predict_proba(self, covs: F64) -> tuple[F64, NDArray[np.bool_]]:
        """Calibrated probabilities, shape (n_windows, n_classes), and outlier flags, shape (n_windows,).

        Parameters and errors as in `scores`. A covariance that is not positive definite has NaN for
        probabilities and counts as an outlier.
        """
        scores, distances = self.scores(covs)
        return softmax(scores / self.temperature), ~(distances <= self.outlier_distance)

    def calibrated(self, *, temperature: float, outlier_distance: float) -> FrozenTangentSpace:
        """The same decoder with the calibration that out-of-fold scores gave."""
        return replace(self, temperature=temperature, outlier_distance=outlier_distance)


def softmax(scores: F64) -> F64:
    """Probabilities, shape (n_windows, n_classes), from scores of the same shape."""
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    result: F64 = e / np.sum(e, axis=1, keepdims=True)
    return result
