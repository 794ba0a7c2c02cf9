"""Tangent space + linear classifier, on covariances of windows or of windows and their own past."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.chunks import F64
from bci.decoders import riemann
from bci.decoders._base import CovarianceDecoder
from bci.decoders.frozen import FrozenEnsemble, View
from bci.decoders.linear import fit_lda, fit_logistic, matrices_of
from bci.dsp import covariances
from bci.errors import ShapeError

__all__ = ["AugmentedTangentSpaceDecoder", "TangentSpaceDecoder"]


class TangentSpaceDecoder(CovarianceDecoder):
    """Covariance of each window → tangent space at the Riemannian mean → linear classifier.

    Follows scikit-learn's contract (see `CovarianceDecoder`).

    Parameters
    ----------
    classifier : "logistic" or "lda"
        Ridge logistic regression, multinomial, or shrinkage LDA.
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
    frozen_ : FrozenEnsemble
        The same decoder as plain arrays, an ensemble of one; all predictions come from it.

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
        classifier: Literal["logistic", "lda"] = "logistic",
        C: float = 1.0,
        shrinkage: Literal["oas", "ledoit_wolf", "none"] = "oas",
        outlier_quantile: float = 0.99,
    ) -> None:
        self.classifier = classifier
        self.C = C
        self.shrinkage = shrinkage
        self.outlier_quantile = outlier_quantile

    def _covariances(self, windows: F64) -> F64:
        return covariances(windows, shrinkage=self.shrinkage)

    def _checked(self, covs: ArrayLike) -> F64:
        return riemann.as_spd(super()._checked(covs))

    def _learn(self, covs: F64, columns: NDArray[np.int64]) -> None:
        if self.classifier not in ("logistic", "lda") or not self.C > 0:
            raise ShapeError(
                f"expected classifier 'logistic' or 'lda' and a positive C, got {self.classifier!r}, {self.C}"
            )
        self.reference_ = riemann.mean(covs)
        vectors = riemann.tangent_vectors(covs, self.reference_)
        linear = (
            fit_lda(vectors, columns)
            if self.classifier == "lda"
            else fit_logistic(vectors, columns, C=self.C)
        )
        self.frozen_ = FrozenEnsemble(
            classes=tuple(str(name) for name in self.classes_),
            views=(View(0),),
            whitening=riemann.inverse_sqrt(self.reference_)[None],
            weights=matrices_of(linear, covs.shape[1])[None],
            bias=linear.bias[None],
            shares=np.ones(1),
            outlier_distance=float(np.quantile(np.linalg.norm(vectors, axis=1), self.outlier_quantile)),
        )

    def _probabilities(self, covs: F64) -> F64:
        return self.frozen_.predict_proba(covs[:, None])[0]


class AugmentedTangentSpaceDecoder(TangentSpaceDecoder):
    """Tangent space of the covariance of a window together with its own past, which also shows rhythms and delays.

    Each window is stacked with copies of itself `lag`, 2 · `lag` … samples earlier. Covariances passed in directly are
    those of the stacked windows.

    Parameters
    ----------
    order : int
        Copies in all, the window itself among them.
    lag : int, samples
    classifier, C, shrinkage, outlier_quantile
        As of `TangentSpaceDecoder`.

    References
    ----------
    .. [1] Carrara and Papadopoulo, J. Neural Eng. 21(6):066040, 2024 (augmented covariance). arXiv:2302.04508
    """

    def __init__(
        self,
        *,
        order: int = 4,
        lag: int = 2,
        classifier: Literal["logistic", "lda"] = "logistic",
        C: float = 1.0,
        shrinkage: Literal["oas", "ledoit_wolf", "none"] = "oas",
        outlier_quantile: float = 0.99,
    ) -> None:
        super().__init__(classifier=classifier, C=C, shrinkage=shrinkage, outlier_quantile=outlier_quantile)
        self.order = order
        self.lag = lag

    @property
    def _n_channels(self) -> int:
        return int(self.n_features_in_ // self.order)

    def _covariances(self, windows: F64) -> F64:
        n = windows.shape[2] - (self.order - 1) * self.lag
        if self.order < 1 or self.lag < 1 or n < 2:
            raise ShapeError(
                f"windows of {windows.shape[2]} samples hold no {self.order} copies {self.lag} samples apart: "
                "take longer windows, a lower order or a shorter lag"
            )
        copies = [windows[:, :, k * self.lag : k * self.lag + n] for k in range(self.order)]
        return super()._covariances(np.concatenate(copies, axis=1))
