"""Filter-bank common spatial patterns: CSP in every band, the features that tell most about the class, LDA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.chunks import F64
from bci.decoders._checks import as_bands, as_labels
from bci.decoders.calibration import softmax
from bci.decoders.csp import csp_filters
from bci.decoders.linear import fit_lda
from bci.dsp import covariances
from bci.errors import ShapeError

__all__ = ["FBCSP_BANDS_HZ", "FilterBankDecoder", "mutual_information"]

#: Nine bands of 4 Hz.
FBCSP_BANDS_HZ = tuple((low, low + 4.0) for low in range(4, 40, 4))


class FilterBankDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Common spatial patterns per band → features of most mutual information with the class → shrinkage LDA.

    Follows scikit-learn's contract on windows in bands, shape (n_windows, n_bands, n_channels, n_samples) in µV, cut
    from a filtered signal; plain windows (n_windows, n_channels, n_samples) are filtered inside the window, which needs
    `fs_hz`.

    Parameters
    ----------
    bands_hz : sequence of (low, high), Hz
    n_filters : int
        Spatial filters per band.
    n_features : int
        Features to choose; with each its partner from the other end of the same decomposition comes along.
    regularisation : float
        See `CspDecoder`.
    fs_hz : float, optional
        Sampling rate, needed for plain windows only.
    order : int
        Of the band-passes for plain windows.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    filters_ : list of ndarray, shape (n_filters, n_channels)
        Per band.
    selected_ : ndarray of int
        Chosen features, numbered band by band.

    References
    ----------
    .. [1] Ang et al., Front. Neurosci. 6:39, 2012. doi:10.3389/fnins.2012.00039
    """

    def __init__(
        self,
        *,
        bands_hz: Sequence[tuple[float, float]] = FBCSP_BANDS_HZ,
        n_filters: int = 4,
        n_features: int = 4,
        regularisation: float = 0.0,
        fs_hz: float | None = None,
        order: int = 4,
    ) -> None:
        self.bands_hz = bands_hz
        self.n_filters = n_filters
        self.n_features = n_features
        self.regularisation = regularisation
        self.fs_hz = fs_hz
        self.order = order

    def fit(self, X: ArrayLike, y: ArrayLike) -> FilterBankDecoder:
        """Train on windows, in bands or plain, and their classes.

        Raises
        ------
        ShapeError, NonFiniteError, FlatSignalError
            If the windows have another shape, hold NaN, or a channel is constant.
        DesignError
            If plain windows come without a rate.
        TooFewTrialsError, RankDeficientError
            As of `CspDecoder`.
        """
        covs = self._covariances(X)
        self.classes_, columns = as_labels(y, len(covs))
        self.n_features_in_ = covs.shape[-1]
        self.filters_ = [
            csp_filters(covs[:, b], columns, n_filters=self.n_filters, regularisation=self.regularisation)
            for b in range(covs.shape[1])
        ]
        features = self._features(covs)
        told = mutual_information(features, columns)
        best = np.argsort(-told, kind="stable")[: self.n_features]
        partners = []
        start = 0
        for filters in self.filters_:
            # Filters come in turn from the two ends: 0 and 1, 2 and 3 … belong together.
            inside = best[(best >= start) & (best < start + len(filters))] - start
            partners += [start + min(int(i) ^ 1, len(filters) - 1) for i in inside]
            start += len(filters)
        self.selected_ = np.unique(np.concatenate([best, np.array(partners, dtype=best.dtype)]))
        self._lda = fit_lda(features[:, self.selected_], columns)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window, shape (n_windows,). Errors as in `fit`."""
        named: NDArray[Any] = self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return named

    def predict_proba(self, X: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), in the order of `classes_`. Errors as in `fit`."""
        check_is_fitted(self, "classes_")
        covs = self._covariances(X)
        if covs.shape[-1] != self.n_features_in_:
            raise ShapeError(f"trained on {self.n_features_in_} channels, got {covs.shape[-1]}")
        return softmax(self._lda.scores(self._features(covs)[:, self.selected_]))

    def _covariances(self, X: ArrayLike) -> F64:
        windows = as_bands(X, self.bands_hz, self.fs_hz, self.order)
        return np.stack([covariances(windows[:, b]) for b in range(windows.shape[1])], axis=1)

    def _features(self, covs: F64) -> F64:
        parts = [np.log(np.sum((f @ covs[:, b]) * f, axis=2)) for b, f in enumerate(self.filters_)]
        return np.concatenate(parts, axis=1)


def mutual_information(features: F64, columns: NDArray[np.int64]) -> F64:
    """What each feature tells about the class, in nats, shape (n_features,).

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_features)
    columns : ndarray of int, shape (n_windows,)
        Class of each window.

    References
    ----------
    .. [1] Ang et al. 2012, equations 5 to 9: Parzen windows with the normal-optimal width (see `FilterBankDecoder`).
    """
    n, k = len(columns), int(columns.max()) + 1
    prior = np.bincount(columns, minlength=k) / n
    entropy = -float(np.sum(prior * np.log(prior)))
    told = np.empty(features.shape[1])
    for f, x in enumerate(features.T):
        density = np.empty((n, k))
        for j in range(k):
            own = x[columns == j]
            width = max(float(own.std()) * (4.0 / (3.0 * len(own))) ** 0.2, 1e-12)
            density[:, j] = np.exp(-0.5 * ((x[:, None] - own) / width) ** 2).mean(axis=1) / width
        posterior = density * prior + 1e-300
        posterior /= posterior.sum(axis=1, keepdims=True)
        told[f] = entropy + float(np.mean(np.sum(posterior * np.log(posterior), axis=1)))
    return told
