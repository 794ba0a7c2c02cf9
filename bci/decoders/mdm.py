"""Minimum distance to the mean: the nearest class centre on the curved space of covariances decides."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.chunks import F64
from bci.decoders import riemann
from bci.decoders._base import CovarianceDecoder
from bci.decoders.calibration import softmax
from bci.decoders.linear import fit_lda
from bci.dsp import covariances

__all__ = ["FgMdmDecoder", "MdmDecoder"]


class MdmDecoder(CovarianceDecoder):
    """Covariance of each window → class of the nearest Riemannian mean.

    Follows scikit-learn's contract (see `CovarianceDecoder`). Probabilities are the softmax of the negative squared
    distances. It has nothing to tune and learns from few windows.

    Parameters
    ----------
    shrinkage : "oas", "ledoit_wolf" or "none"
        How covariances of windows are regularised.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    means_ : ndarray, shape (n_classes, n_channels, n_channels), µV²

    References
    ----------
    .. [1] Barachant et al., IEEE Trans. Biomed. Eng. 59(4):920-928, 2012. doi:10.1109/TBME.2011.2172210
    """

    def __init__(self, *, shrinkage: Literal["oas", "ledoit_wolf", "none"] = "oas") -> None:
        self.shrinkage = shrinkage

    def distances(self, covs: ArrayLike) -> F64:
        """Riemannian distance of each covariance from each mean, shape (n_windows, n_classes)."""
        seen = self._seen(self._checked(covs))
        return np.stack([riemann.distance(seen, mean) for mean in self.means_], axis=1)

    def _covariances(self, windows: F64) -> F64:
        return covariances(windows, shrinkage=self.shrinkage)

    def _checked(self, covs: ArrayLike) -> F64:
        return riemann.as_spd(super()._checked(covs))

    def _learn(self, covs: F64, columns: NDArray[np.int64]) -> None:
        self.means_ = np.stack([riemann.mean(covs[columns == k]) for k in range(len(self.classes_))])

    def _probabilities(self, covs: F64) -> F64:
        return softmax(-(self.distances(covs) ** 2))

    def _seen(self, covs: F64) -> F64:
        return covs


class FgMdmDecoder(MdmDecoder):
    """MDM after geodesic filtering: in the tangent space only the directions that LDA finds to tell classes apart
    stay.

    Parameters as of `MdmDecoder`.

    Attributes
    ----------
    reference_ : ndarray, shape (n_channels, n_channels), µV²
        Where the tangent space touches.
    projection_ : ndarray, shape (n_features, n_features)
        Of tangent vectors onto the span of the discriminant directions.

    References
    ----------
    .. [1] Barachant et al., LVA/ICA 2010, LNCS 6365, 629-636. doi:10.1007/978-3-642-15995-4_78
    """

    def _learn(self, covs: F64, columns: NDArray[np.int64]) -> None:
        self.reference_ = riemann.mean(covs)
        weights = fit_lda(riemann.tangent_vectors(covs, self.reference_), columns).weights
        # Only differences between the classes' scores tell them apart: one direction fewer than there are classes.
        directions = weights[1:] - weights[:1]
        self.projection_ = np.linalg.pinv(directions) @ directions
        super()._learn(self._seen(covs), columns)

    def _seen(self, covs: F64) -> F64:
        vectors = riemann.tangent_vectors(covs, self.reference_) @ self.projection_
        return riemann.spd_from_tangent(vectors, self.reference_)
