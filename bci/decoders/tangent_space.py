"""Tangent space + logistic regression, the default decoder. This file trains, so it loads scikit-learn."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from bci.chunks import F64
from bci.decoders import riemann
from bci.decoders.frozen import FrozenTangentSpace
from bci.dsp import covariances
from bci.errors import FlatSignalError, NonFiniteError, ShapeError, TooFewTrialsError

__all__ = ["TangentSpaceDecoder"]


class TangentSpaceDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Covariance of each window → tangent space at the Riemannian mean → multinomial logistic regression.

    Follows scikit-learn's contract on windows of shape (n_windows, n_channels, n_samples) in µV, already
    band-passed: it works in pipelines, grid search and cross-validation. `predict` is stateless.

    Parameters
    ----------
    C : float
        Inverse strength of the ridge penalty of the logistic regression.
    shrinkage : "oas", "ledoit_wolf" or "none"
        How covariances of windows are regularised. With "oas" windows whose channels depend on each other
        (average reference) still have a positive definite covariance.
    outlier_quantile : float
        Share of the training windows that lies within `outlier_distance`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    reference_ : ndarray, shape (n_channels, n_channels), µV²
        Riemannian mean of the training covariances.
    frozen_ : FrozenTangentSpace
        The same decoder as plain arrays; all predictions come from it.

    References
    ----------
    .. [1] Barachant et al., IEEE Trans. Biomed. Eng. 59(4):920-928, 2012. doi:10.1109/TBME.2011.2172210

    Examples
    --------
    >>> decoder = TangentSpaceDecoder().fit(windows_uv, labels)         # doctest: +SKIP
    >>> decoder.predict_proba(more_windows_uv)                          # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        shrinkage: Literal["oas", "ledoit_wolf", "none"] = "oas",
        outlier_quantile: float = 0.99,
    ) -> None:
        self.C = C
        self.shrinkage = shrinkage
        self.outlier_quantile = outlier_quantile

    def fit(self, X: ArrayLike, y: ArrayLike) -> TangentSpaceDecoder:
        """Train on windows.

        Parameters
        ----------
        X : array-like, shape (n_windows, n_channels, n_samples), µV
        y : array-like, shape (n_windows,)
            Class of each window; two or more classes.

        Raises
        ------
        ShapeError, NonFiniteError
            If the windows are not 3-D or hold NaN.
        FlatSignalError
            If a channel is constant throughout a window.
        RankDeficientError
            With shrinkage "none", if channels depend on each other.
        TooFewTrialsError
            If there are fewer than 2 classes, or a class has fewer than 2 windows.
        """
        return self.fit_covariances(self._covariances(X), y)

    def fit_covariances(
        self, covs: ArrayLike, y: ArrayLike, *, reference: F64 | None = None
    ) -> TangentSpaceDecoder:
        """Train on positive definite covariances, shape (n_windows, n_channels, n_channels), µV², already
        shrunk.

        `reference` is the point whose tangent space is used, by default their Riemannian mean. Errors as in
        `fit`.
        """
        spd, labels = riemann.as_spd(covs), np.asarray(y)
        if spd.ndim != 3 or labels.shape != (len(spd),):
            raise ShapeError(f"expected one label per covariance, got {spd.shape} and {labels.shape}")
        counts = Counter(labels.tolist())
        if len(counts) < 2 or min(counts.values()) < 2:
            raise TooFewTrialsError(
                "training needs at least 2 classes with at least 2 windows each, got "
                + (", ".join(f"{n} of {name}" for name, n in counts.items()) or "none"),
                counts={str(name): n for name, n in counts.items()},
                needed=2,
            )
        self.reference_ = riemann.mean(spd) if reference is None else riemann.as_spd(reference)
        vectors = riemann.tangent_vectors(spd, self.reference_)
        regression = LogisticRegression(C=self.C, max_iter=1000).fit(vectors, labels)
        self.classes_: NDArray[Any] = regression.classes_
        self.n_features_in_ = spd.shape[1]
        distance = float(np.quantile(np.linalg.norm(vectors, axis=1), self.outlier_quantile))
        self.frozen_ = _freeze(regression, self.reference_, outlier_distance=distance)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window, shape (n_windows,). Errors as in `fit`."""
        return self._named(self.predict_proba(X))

    def predict_proba(self, X: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), in the order of `classes_`. Errors as in `fit`."""
        check_is_fitted(self)
        return self.predict_proba_covariances(self._covariances(X))

    def predict_covariances(self, covs: ArrayLike) -> NDArray[Any]:
        """Most probable class of each covariance, shape (n_windows,)."""
        return self._named(self.predict_proba_covariances(covs))

    def predict_proba_covariances(self, covs: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), of positive definite covariances (n_windows, n, n),
        µV².
        """
        check_is_fitted(self)
        probabilities, _ = self.frozen_.predict_proba(riemann.as_spd(covs))
        return probabilities

    def _named(self, probabilities: F64) -> NDArray[Any]:
        named: NDArray[Any] = self.classes_[np.argmax(probabilities, axis=1)]
        return named

    def _covariances(self, windows: ArrayLike) -> F64:
        x = np.asarray(windows, dtype=np.float64)
        if x.ndim != 3 or x.shape[0] == 0 or x.shape[2] < 2:
            raise ShapeError(f"expected windows (n_windows, n_channels, n_samples >= 2), got {x.shape}")
        if not np.isfinite(x).all():
            raise NonFiniteError("a window holds NaN or infinity: leave windows that touch a gap out")
        flat = np.flatnonzero((np.ptp(x, axis=2) == 0).any(axis=0))
        if len(flat):
            raise FlatSignalError(
                f"channel {', '.join(map(str, flat))} is constant throughout a window: check its electrode, "
                "or leave it out of the montage",
                channels=[int(c) for c in flat],
            )
        return covariances(x, shrinkage=self.shrinkage)


def _freeze(regression: LogisticRegression, reference: F64, *, outlier_distance: float) -> FrozenTangentSpace:
    """Fold the coefficients of tangent vectors into symmetric matrices."""
    coefficients, bias = regression.coef_, regression.intercept_
    if len(coefficients) == 1:  # two classes: one score, that of the second class; the first one's is 0
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        bias = np.concatenate([np.zeros_like(bias), bias])
    n = len(reference)
    rows, columns = np.triu_indices(n)
    # A tangent coordinate is √2 times the off-diagonal entry, which stands in the matrix twice: √2 / 2 each.
    scaled = coefficients * np.where(rows == columns, 1.0, np.sqrt(0.5))
    weights = np.zeros((len(coefficients), n, n))
    weights[:, rows, columns] = weights[:, columns, rows] = scaled
    return FrozenTangentSpace(
        classes=tuple(str(name) for name in regression.classes_),
        whitening=riemann.inverse_sqrt(reference),
        weights=weights,
        bias=np.array(bias, dtype=np.float64),
        outlier_distance=outlier_distance,
    )
