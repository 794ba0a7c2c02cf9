"""Common spatial patterns: spatial filters whose power differs most between classes, then shrinkage LDA."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders._base import CovarianceDecoder
from bci.decoders.frozen import FrozenCsp
from bci.decoders.linear import fit_lda
from bci.dsp import covariances, shrink
from bci.errors import RankDeficientError, ShapeError

__all__ = ["CspDecoder", "csp_filters"]

# Directions of the pooled covariance below this share of its largest eigenvalue hold no signal: average reference and
# rejected independent components leave exact zeros that rounding lifts to about 1e-16.
_RANK = 1e-10


class CspDecoder(CovarianceDecoder):
    """Spatial filters by common spatial patterns → log-variance → shrinkage LDA.

    Follows scikit-learn's contract (see `CovarianceDecoder`); takes covariances that are not shrunk. Windows that lost
    rank (average reference, rejected components) are decoded in the space that is left.

    Parameters
    ----------
    n_filters : int
        In all, taken in turn from the classes; fewer where the rank allows no more.
    regularisation : float
        0 to 1: share of the identity, at the same mean variance, in each class's covariance.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    filters_ : ndarray, shape (n_filters, n_channels), 1/µV
        One spatial filter a row; of pooled variance 1.
    frozen_ : FrozenCsp
        The same decoder as plain arrays; all predictions come from it.

    References
    ----------
    .. [1] Ramoser et al., IEEE Trans. Rehabil. Eng. 8(4):441-446, 2000. doi:10.1109/86.895946
    .. [2] Blankertz et al., IEEE Signal Process. Mag. 25(1):41-56, 2008. doi:10.1109/MSP.2008.4408441
    .. [3] Lotte and Guan, IEEE Trans. Biomed. Eng. 58(2):355-362, 2011 (regularisation). doi:10.1109/TBME.2010.2082539
    """

    def __init__(self, *, n_filters: int = 6, regularisation: float = 0.0) -> None:
        self.n_filters = n_filters
        self.regularisation = regularisation

    def _covariances(self, windows: F64) -> F64:
        return covariances(windows)

    def _learn(self, covs: F64, columns: NDArray[np.int64]) -> None:
        if not (self.n_filters >= 1 and 0.0 <= self.regularisation <= 1.0):
            raise ShapeError(
                f"expected at least one filter and a regularisation of 0 to 1, got {self.n_filters} and "
                f"{self.regularisation}"
            )
        self.filters_ = csp_filters(
            covs, columns, n_filters=self.n_filters, regularisation=self.regularisation
        )
        lda = fit_lda(np.log(np.sum((self.filters_ @ covs) * self.filters_, axis=2)), columns)
        names = tuple(str(name) for name in self.classes_)
        self.frozen_ = FrozenCsp(names, self.filters_, lda.weights, lda.bias)

    def _probabilities(self, covs: F64) -> F64:
        return self.frozen_.predict_proba(covs)


def csp_filters(covs: F64, columns: NDArray[np.int64], *, n_filters: int, regularisation: float = 0.0) -> F64:
    """Spatial filters, shape (n_filters, n_channels), 1/µV, that tell each class from the others.

    Parameters
    ----------
    covs : ndarray, shape (n_windows, n_channels, n_channels), µV²
    columns : ndarray of int, shape (n_windows,)
        Number of each window's class.
    n_filters : int
        Taken in turn: the best of the first class, the best of the second, the second best of the first …
    regularisation : float
        See `CspDecoder`.

    Raises
    ------
    RankDeficientError
        If the windows span fewer than 2 dimensions.
    """
    means = np.stack([covs[columns == k].mean(axis=0) for k in range(int(columns.max()) + 1)])
    values, vectors = np.linalg.eigh(means.sum(axis=0))
    kept = values > _RANK * values[-1]
    if kept.sum() < 2:
        raise RankDeficientError(
            f"only {int(kept.sum())} of {len(values)} directions hold a signal: check electrodes and reference"
        )
    basis = vectors[:, kept]
    means = basis.T @ means @ basis  # without the lost directions, where a ratio of powers would be 0 / 0
    if regularisation:
        means = shrink(means, regularisation)
    eigenvalues, vectors = np.linalg.eigh(means.sum(axis=0))
    whitening = vectors / np.sqrt(eigenvalues)
    rankings = []
    for k in range(len(means)) if len(means) > 2 else (0,):
        share, directions = np.linalg.eigh(whitening.T @ means[k] @ whitening)
        filters = (basis @ whitening @ directions).T
        order = np.argsort(-share)
        # Two classes share one decomposition: the smallest of the one is the largest of the other.
        rankings += [filters[order], filters[order[::-1]]] if len(means) == 2 else [filters[order]]
    n = min(n_filters, len(eigenvalues))
    turns = [ranking[i] for i in range(n) for ranking in rankings][:n]
    return np.stack(turns)
