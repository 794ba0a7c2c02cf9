"""The default decoder: many small tangent-space decoders, one per band and part of the window, weighed by what they
showed on runs left out.

No band and no latency is chosen by hand. Each member sees one band, whole or a third of the window; half-overlapping
bands from 4 to 40 Hz and two wide ones leave no rhythm between two chairs. A member's share in the sum is its mean
margin over windows of runs that it was not trained on, and nothing where that is negative: the one number that a
gradient step from equal ignorance would give, with nothing to tune. Windows are seen from the class-balanced mean of
their own run, so that what differs between runs (gel, cap, a day) is not mistaken for what differs between classes; in
use, `predict_run` follows the reference causally, `predict` keeps that of the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.chunks import F64
from bci.decoders import riemann
from bci.decoders._checks import as_bands, as_labels
from bci.decoders.adaptation import AdaptationParameters, Recentring
from bci.decoders.frozen import BANDS_HZ, PARTS, View, mix, view_covariances, views_of
from bci.decoders.members import CLIP, RunWindows, train_ensemble
from bci.errors import ShapeError

__all__ = ["DefaultDecoder"]


class DefaultDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Ensemble of tangent-space decoders over bands and parts of the window; see the module for how and why.

    Follows scikit-learn's contract on windows in bands, shape (n_windows, n_bands, n_channels, n_samples) in µV, cut
    from a filtered signal; plain windows (n_windows, n_channels, n_samples) are filtered inside the window, which needs
    `fs_hz`.

    Parameters
    ----------
    bands_hz : sequence of (low, high), Hz
    parts : sequence of (start, stop)
        Fractions of the window.
    C : float
        Inverse strength of each member's ridge penalty.
    clip : float
        See `FrozenEnsemble`.
    prior, slack : float
        See `AdaptationParameters`.
    n_blocks : int
        Where there is one run, or `fit` is not told the runs, blocks of neighbouring windows stand in for them.
    outlier_quantile : float
        Share of the left-out windows that lies within `outlier_distance`.
    fs_hz : float, optional
        Sampling rate, needed for plain windows only.
    order : int
        Of the band-passes for plain windows.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    frozen_ : FrozenEnsemble
        The same decoder as plain arrays; all predictions come from it.
    left_out_ : LeftOut
        What members trained without a run said of it; shares and calibration come from there.

    Examples
    --------
    >>> decoder = DefaultDecoder().fit(windows_in_bands, labels, runs=run_of_each)   # doctest: +SKIP
    >>> decoder.predict_run(windows_of_the_next_run)                                 # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        bands_hz: Sequence[tuple[float, float]] = BANDS_HZ,
        parts: Sequence[tuple[float, float]] = PARTS,
        C: float = 1.0,
        clip: float = CLIP,
        prior: float = 10.0,
        slack: float = 10.0,
        n_blocks: int = 4,
        outlier_quantile: float = 0.99,
        fs_hz: float | None = None,
        order: int = 4,
    ) -> None:
        self.bands_hz = bands_hz
        self.parts = parts
        self.C = C
        self.clip = clip
        self.prior = prior
        self.slack = slack
        self.n_blocks = n_blocks
        self.outlier_quantile = outlier_quantile
        self.fs_hz = fs_hz
        self.order = order

    def fit(self, X: ArrayLike, y: ArrayLike, runs: ArrayLike | None = None) -> DefaultDecoder:
        """Train on windows, in bands or plain, and their classes.

        Parameters
        ----------
        X : array-like, shape (n_windows, n_bands, n_channels, n_samples) or (n_windows, n_channels, n_samples), µV
        y : array-like, shape (n_windows,)
        runs : array-like, shape (n_windows,), optional
            Run of each window. Shares and calibration come from leaving one run out at a time. By default all windows
            are of one run.

        Raises
        ------
        ShapeError, NonFiniteError, FlatSignalError
            If the windows have another shape, hold NaN, or a channel is constant.
        DesignError
            If plain windows come without a rate.
        TooFewTrialsError
            If there are fewer than 2 classes, or without one run fewer than 2 windows of a class remain.
        """
        return self.fit_covariances(self._covariances(X), y, runs)

    def fit_covariances(self, covs: ArrayLike, y: ArrayLike, runs: ArrayLike | None = None) -> DefaultDecoder:
        """Train on shrunk covariances of all views, shape (n_windows, m, n_channels, n_channels), µV²."""
        c = riemann.as_spd(covs)
        views = self.views
        if c.ndim != 4 or c.shape[1] != len(views):
            raise ShapeError(
                f"expected covariances (n_windows, {len(views)}, n_channels, n_channels), got {c.shape}"
            )
        self.classes_, columns = as_labels(y, len(c))
        self.n_features_in_ = c.shape[-1]
        numbers = np.zeros_like(columns) if runs is None else np.unique(runs, return_inverse=True)[1]
        if numbers.shape != columns.shape:
            raise ShapeError(f"expected one run per window {columns.shape}, got {numbers.shape}")
        parts = [np.flatnonzero(numbers == q) for q in range(int(numbers.max()) + 1)]
        self.frozen_, self.left_out_ = train_ensemble(
            [RunWindows(c[rows], columns[rows]) for rows in parts],
            classes=[str(name) for name in self.classes_],
            views=views,
            adaptation=self._adaptation,
            C=self.C,
            clip=self.clip,
            outlier_quantile=self.outlier_quantile,
            n_blocks=self.n_blocks,
        )
        self._trained_on = c, np.asarray(y), numbers
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> DefaultDecoder:
        """Learn from one more run, such as confirmed trials: the same as `fit` on all runs so far."""
        if not hasattr(self, "_trained_on"):
            return self.fit(X, y)
        covs, labels, numbers = self._trained_on
        new = self._covariances(X)
        more = np.full(len(new), int(numbers.max()) + 1)
        return self.fit_covariances(
            np.concatenate([covs, new]),
            np.concatenate([labels, np.asarray(y)]),
            np.concatenate([numbers, more]),
        )

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window, shape (n_windows,), by itself. Errors as in `fit`."""
        return self._named(self.predict_proba(X))

    def predict_proba(self, X: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), of each window by itself. Errors as in `fit`."""
        check_is_fitted(self, "frozen_")
        return self.frozen_.predict_proba(self._seen(self._covariances(X)))[0]

    def predict_run(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window of one run in its order, shape (n_windows,); see `predict_proba_run`."""
        return self._named(self.predict_proba_run(X))

    def predict_proba_run(self, X: ArrayLike) -> F64:
        """Probabilities, shape (n_windows, n_classes), of windows that follow each other in one run.

        The references follow the run: each window is decided, then may move them for those after it. Errors as in
        `fit`.
        """
        check_is_fitted(self, "frozen_")
        return self.predict_proba_run_covariances(self._covariances(X))

    def predict_proba_covariances(self, covs: ArrayLike) -> F64:
        """As `predict_proba`, of shrunk covariances of all views, shape (n_windows, m, n_channels, n_channels), µV²."""
        check_is_fitted(self, "frozen_")
        return self.frozen_.predict_proba(self._seen(riemann.as_spd(covs)))[0]

    def predict_proba_run_covariances(self, covs: ArrayLike) -> F64:
        """As `predict_proba_run`, of shrunk covariances of all views (n_windows, m, n_channels, n_channels), µV²."""
        check_is_fitted(self, "frozen_")
        each, _ = Recentring(self.frozen_, self._adaptation).run(self._seen(riemann.as_spd(covs)))
        return self.frozen_.calibration.probabilities(mix(each, self.frozen_.shares, self.frozen_.clip))

    @property
    def views(self) -> tuple[View, ...]:
        """What the members see, band after band."""
        return views_of(len(self.bands_hz), self.parts)

    @property
    def _adaptation(self) -> AdaptationParameters:
        return AdaptationParameters(prior=self.prior, slack=self.slack)

    def _seen(self, covs: F64) -> F64:
        """Of all views those that the frozen members look at."""
        views = self.views
        if covs.ndim != 4 or covs.shape[1] != len(views) or covs.shape[2] != self.n_features_in_:
            raise ShapeError(
                f"trained on {len(views)} views of {self.n_features_in_} channels, got covariances {covs.shape}"
            )
        return covs[:, [views.index(view) for view in self.frozen_.views]]

    def _named(self, probabilities: F64) -> NDArray[Any]:
        named: NDArray[Any] = self.classes_[np.argmax(probabilities, axis=1)]
        return named

    def _covariances(self, X: ArrayLike) -> F64:
        return view_covariances(as_bands(X, self.bands_hz, self.fs_hz, self.order), self.views)
