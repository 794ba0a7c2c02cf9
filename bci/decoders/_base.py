"""scikit-learn's contract, once, for every decoder that works on one covariance per window."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.chunks import F64
from bci.decoders._checks import as_labels, as_windows
from bci.errors import ShapeError

__all__ = ["CovarianceDecoder"]

Self = TypeVar("Self", bound="CovarianceDecoder")


class CovarianceDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Windows (n_windows, n_channels, n_samples) in µV, already band-passed → their covariances → classes.

    It works in pipelines, grid search and cross-validation; `predict` is stateless. Every method has a twin that takes
    covariances, so that folds need not compute them anew.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    n_features_in_ : int
        Channels.
    """

    def fit(self: Self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on windows.

        Parameters
        ----------
        X : array-like, shape (n_windows, n_channels, n_samples), µV
        y : array-like, shape (n_windows,)
            Class of each window; two or more classes.

        Raises
        ------
        ShapeError, NonFiniteError
            If the windows are not 3-D or hold NaN, or a parameter is out of range.
        FlatSignalError
            If a channel is constant throughout a window.
        RankDeficientError
            If channels depend on each other and the decoder does not allow for it.
        TooFewTrialsError
            If there are fewer than 2 classes, or a class has fewer than 2 windows.
        """
        return self.fit_covariances(self._covariances(as_windows(X)), y)

    def fit_covariances(self: Self, covs: ArrayLike, y: ArrayLike) -> Self:
        """Train on covariances, shape (n_windows, n_channels, n_channels), µV², already shrunk. Errors as in `fit`."""
        c = self._checked(covs)
        self.classes_, columns = as_labels(y, len(c))
        self.n_features_in_ = c.shape[1]
        self._learn(c, columns)
        self._trained_on = c, np.asarray(y)
        return self

    def partial_fit(self: Self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from more windows, such as confirmed trials: the same as `fit` on all windows so far.

        The covariances of the training are kept for it; windows need not have the length of the earlier ones. A class
        may be new. Errors as in `fit`.
        """
        if not hasattr(self, "_trained_on"):
            return self.fit(X, y)
        old, labels = self._trained_on
        new = self._checked(self._covariances(as_windows(X, n_channels=old.shape[1])))
        return self.fit_covariances(np.concatenate([old, new]), np.concatenate([labels, np.asarray(y)]))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window, shape (n_windows,). Errors as in `fit`."""
        return self._named(self.predict_proba(X))

    def predict_proba(self, X: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), in the order of `classes_`. Errors as in `fit`."""
        check_is_fitted(self, "classes_")
        return self.predict_proba_covariances(self._covariances(as_windows(X, n_channels=self._n_channels)))

    def predict_covariances(self, covs: ArrayLike) -> NDArray[Any]:
        """Most probable class of each covariance, shape (n_windows,)."""
        return self._named(self.predict_proba_covariances(covs))

    def predict_proba_covariances(self, covs: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), of covariances (n_windows, n, n), µV²."""
        check_is_fitted(self, "classes_")
        c = self._checked(covs)
        if c.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"expected covariances of {self.n_features_in_} channels, as in the training, got {c.shape}"
            )
        return self._probabilities(c)

    def _named(self, probabilities: F64) -> NDArray[Any]:
        named: NDArray[Any] = self.classes_[np.argmax(probabilities, axis=1)]
        return named

    @property
    def _n_channels(self) -> int:
        """Channels of a window, which need not be those of its covariance."""
        return int(self.n_features_in_)

    def _covariances(self, windows: F64) -> F64:
        raise NotImplementedError

    def _checked(self, covs: ArrayLike) -> F64:
        c = np.asarray(covs, dtype=np.float64)
        if c.ndim != 3 or c.shape[1] != c.shape[2] or len(c) == 0:
            raise ShapeError(f"expected covariances (n_windows, n_channels, n_channels), got {c.shape}")
        return c

    def _learn(self, covs: F64, columns: NDArray[np.int64]) -> None:
        raise NotImplementedError

    def _probabilities(self, covs: F64) -> F64:
        raise NotImplementedError
