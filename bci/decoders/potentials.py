"""Movement-related cortical potentials: the slow negative shift over motor cortex before and while one moves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.chunks import F64
from bci.decoders._checks import as_labels, as_windows
from bci.decoders.calibration import softmax
from bci.decoders.linear import fit_lda
from bci.dsp import shrink
from bci.errors import ShapeError

__all__ = ["MovementPotentialDecoder"]


class MovementPotentialDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Spatial filters for what differs between the classes' average courses → few points in time → shrinkage LDA.

    Follows scikit-learn's contract on windows of shape (n_windows, n_channels, n_samples) in µV, band-passed to about
    0.1 to 3 Hz. It says something only where electrodes do not drift: on dry or hobby electrodes the band holds mostly
    their half-cell potential.

    Parameters
    ----------
    n_filters : int
    n_points : int
        Means over this many equal parts of the window are the features of each filter.
    shrinkage : float
        0 to 1: share of the identity in the covariance of what is not the average course.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    filters_ : ndarray, shape (n_filters, n_channels)
        One spatial filter a row.

    References
    ----------
    .. [1] Jiang et al., IEEE Trans. Neural Syst. Rehabil. Eng. 23(2):294-303, 2015. doi:10.1109/TNSRE.2014.2360391
    .. [2] Rivet et al., IEEE Trans. Biomed. Eng. 56(8):2035-2043, 2009 (signal-to-noise filters).
       doi:10.1109/TBME.2009.2012869
    """

    def __init__(self, *, n_filters: int = 4, n_points: int = 10, shrinkage: float = 0.1) -> None:
        self.n_filters = n_filters
        self.n_points = n_points
        self.shrinkage = shrinkage

    def fit(self, X: ArrayLike, y: ArrayLike) -> MovementPotentialDecoder:
        """Train on windows (n_windows, n_channels, n_samples), µV, and their classes.

        Raises
        ------
        ShapeError, NonFiniteError, FlatSignalError
            If the windows are not 3-D, hold NaN, a channel is constant, or a parameter is out of range.
        TooFewTrialsError
            If there are fewer than 2 classes, or a class has fewer than 2 windows.
        """
        x = as_windows(X)
        if not (self.n_filters >= 1 and 2 <= self.n_points <= x.shape[2] and 0.0 < self.shrinkage <= 1.0):
            raise ShapeError(
                f"expected at least one filter, 2 to {x.shape[2]} points and a shrinkage above 0 up to 1, got "
                f"{self.n_filters}, {self.n_points} and {self.shrinkage}"
            )
        self.classes_, columns = as_labels(y, len(x))
        self.n_features_in_ = x.shape[1]
        points = self._points(x)
        courses = np.stack([points[columns == k].mean(axis=0) for k in range(len(self.classes_))])
        differing = courses - courses.mean(axis=0)
        rest = points - courses[columns]
        signal = np.einsum("kct,kdt->cd", differing, differing) / len(courses)
        noise = np.einsum("wct,wdt->cd", rest, rest) / len(points)
        noise = shrink(noise[None], self.shrinkage)[0]
        values, vectors = np.linalg.eigh(noise)
        whitening = vectors / np.sqrt(values)
        _, directions = np.linalg.eigh(whitening.T @ signal @ whitening)
        self.filters_ = (whitening @ directions[:, ::-1][:, : self.n_filters]).T
        self._lda = fit_lda(self._features(points), columns)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window, shape (n_windows,). Errors as in `fit`."""
        named: NDArray[Any] = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return named

    def predict_proba(self, X: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), in the order of `classes_`. Errors as in `fit`."""
        check_is_fitted(self, "classes_")
        x = as_windows(X, n_channels=self.n_features_in_)
        return softmax(self._lda.scores(self._features(self._points(x))))

    def _points(self, x: F64) -> F64:
        edges = np.linspace(0, x.shape[2], self.n_points + 1).round().astype(int)
        return np.stack([x[:, :, a:b].mean(axis=2) for a, b in pairwise(edges)], axis=2)

    def _features(self, points: F64) -> F64:
        features: F64 = (self.filters_ @ points).reshape(len(points), -1)
        return features
