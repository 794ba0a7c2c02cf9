"""Members of an ensemble: fitted on windows seen from the mean of their own run, weighed on runs left out.

What the default decoder and the asynchronous one share. A run's windows are centred once; what a fold leaves out costs
new linear classifiers, not new logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders import riemann
from bci.decoders.adaptation import AdaptationParameters, Recentring
from bci.decoders.calibration import Calibration, fit_calibration
from bci.decoders.frozen import FrozenEnsemble, View, mix
from bci.decoders.linear import fit_logistic, matrices_of
from bci.errors import TooFewTrialsError

__all__ = ["CLIP", "CentredRun", "LeftOut", "RunWindows", "centre_run", "fit_ensemble", "train_ensemble"]

I64 = NDArray[np.int64]

#: Bound of a member's score from the mean over the classes: log-odds of two classes stay within ±3 (95 %).
CLIP = 1.5
# A member below this share of the best one is left out of the frozen decoder: it costs time and says nothing.
_SPARE = 1e-3
# Windows of a class without which nothing can be fitted.
_LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class CentredRun:
    """The windows of one run, seen from their class-balanced mean.

    Parameters
    ----------
    reference : ndarray, shape (m, n, n), µV²
    vectors : ndarray, shape (m, n_windows, n (n + 1) / 2)
        Tangent vectors of each member.
    columns : ndarray of int, shape (n_windows,)
        Class of each window.
    """

    reference: F64
    vectors: F64
    columns: I64


def centre_run(covs: F64, columns: I64, *, spacing: int = 1) -> CentredRun:
    """Centre the windows of a run.

    Parameters
    ----------
    covs : ndarray, shape (n_windows, m, n, n), µV²
        Positive definite.
    columns : ndarray of int, shape (n_windows,)
    spacing : int
        Every so-many-th window makes the reference: neighbouring sliding windows say the same.
    """
    chosen = np.arange(0, len(covs), spacing)
    counts = np.bincount(columns[chosen])
    weights = 1.0 / counts[columns[chosen]]
    reference = riemann.mean(covs[chosen], weights=weights)
    logs = riemann.log_whitened(covs, riemann.inverse_sqrt(reference))
    n = covs.shape[-1]
    rows, across = np.triu_indices(n)
    vectors = logs[:, :, rows, across] * np.where(rows == across, 1.0, np.sqrt(2.0))
    return CentredRun(reference, np.ascontiguousarray(vectors.transpose(1, 0, 2)), columns)


def fit_ensemble(
    runs: Sequence[CentredRun],
    *,
    classes: Sequence[str],
    views: tuple[View, ...],
    C: float = 1.0,
    shares: F64 | None = None,
    clip: float = CLIP,
) -> FrozenEnsemble:
    """Fit every member on the windows of these runs. `shares` are equal by default.

    Raises
    ------
    TooFewTrialsError
        If the runs do not hold every class.
    """
    columns = np.concatenate([run.columns for run in runs])
    counts = np.bincount(columns, minlength=len(classes))
    if counts.min() < _LEAST:
        raise TooFewTrialsError(
            "with one run left out too few windows of "
            + ", ".join(name for name, n in zip(classes, counts, strict=True) if n < _LEAST)
            + " remain: record every class in every run",
            counts={name: int(n) for name, n in zip(classes, counts, strict=True)},
            needed=_LEAST,
        )
    m, n = len(views), runs[0].reference.shape[-1]
    shares = np.full(m, 1.0 / m) if shares is None else shares
    kept = np.flatnonzero(shares > _SPARE * shares.max())
    references = np.stack([run.reference[kept] for run in runs])
    weights, bias = [], []
    for j in kept:
        linear = fit_logistic(np.concatenate([run.vectors[j] for run in runs]), columns, C=C)
        weights.append(matrices_of(linear, n))
        bias.append(linear.bias)
    return FrozenEnsemble(
        classes=tuple(classes),
        views=tuple(views[j] for j in kept),
        whitening=riemann.inverse_sqrt(references[0] if len(runs) == 1 else riemann.mean(references)),
        weights=np.stack(weights),
        bias=np.stack(bias),
        shares=shares[kept] / shares[kept].sum(),
        clip=clip,
    )


@dataclass(frozen=True, slots=True, eq=False)
class RunWindows:
    """The windows of one run in order of time.

    Parameters
    ----------
    covs : ndarray, shape (n_windows, m, n, n), µV²
        One per member's view, shrunk.
    columns : ndarray of int, shape (n_windows,)
        Class; -1 where there is none.
    fitted : ndarray of bool, shape (n_windows,), optional
        Which windows teach; all by default. They have a class.
    moves : ndarray of bool, shape (n_windows,), optional
        Which windows may move the references; all by default.
    spacing : int
        See `centre_run`; counted in windows that teach.
    """

    covs: F64
    columns: I64
    fitted: NDArray[np.bool_] | None = None
    moves: NDArray[np.bool_] | None = None
    spacing: int = 1

    def centred(self) -> CentredRun:
        """Those that teach, seen from their mean."""
        rows = slice(None) if self.fitted is None else self.fitted
        return centre_run(self.covs[rows], self.columns[rows], spacing=self.spacing)


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """What decoders that had not seen a run said of its windows, run after run.

    Parameters
    ----------
    each : ndarray, shape (n_windows, m, n_classes)
        Scores of every member, less their mean over the classes, bounded.
    distances : ndarray, shape (n_windows,)
    columns, runs : ndarray of int, shape (n_windows,)
    """

    each: F64
    distances: F64
    columns: I64
    runs: I64

    def shares(self) -> F64:
        """Share of each member: its mean margin, classes counting alike, and 0 where that is negative."""
        n_classes = self.each.shape[2]
        margins = []
        for k in range(n_classes):
            own = self.each[self.columns == k, :, k]
            # Scores add up to 0: the mean of the others is -own / (n_classes - 1).
            margins.append(own.mean(axis=0) * n_classes / (n_classes - 1))
        shares = np.maximum(np.mean(margins, axis=0), 0.0)
        if not shares.any():  # nothing was shown: no member is better than another
            shares = np.ones_like(shares)
        result: F64 = shares / shares.sum()
        return result

    def scores(self, shares: F64) -> F64:
        """Scores of the ensemble, shape (n_windows, n_classes)."""
        return mix(self.each, shares, np.inf)

    def calibration(self, shares: F64) -> Calibration:
        """The map to probabilities that these scores ask for."""
        known = self.columns >= 0
        return fit_calibration(self.scores(shares)[known], self.columns[known], self.runs[known])


def train_ensemble(
    runs: Sequence[RunWindows],
    *,
    classes: Sequence[str],
    views: tuple[View, ...],
    adaptation: AdaptationParameters | None,
    C: float = 1.0,
    clip: float = CLIP,
    outlier_quantile: float = 0.99,
    n_blocks: int = 4,
) -> tuple[FrozenEnsemble, LeftOut]:
    """Fit on all runs; shares, calibration and outlier distance come from leaving one out at a time.

    Parameters
    ----------
    runs : sequence of RunWindows
        Where there is one only, or a run holds nearly all of a class, blocks of neighbouring windows are left out
        instead. That is good enough to weigh members, and flatters: neighbouring windows share the drift.
    classes : sequence of str
    views : tuple of View, length m
    adaptation : AdaptationParameters or None
        How references follow a run that is left out, as they will in use; None keeps those of the training.
    C, clip, outlier_quantile
        See `DefaultDecoder`.
    n_blocks : int

    Returns
    -------
    decoder : FrozenEnsemble
    left_out : LeftOut
        Of all windows, run after run; of those that teach where blocks had to be left out.

    Raises
    ------
    TooFewTrialsError
        If a class has fewer than 4 windows.
    """
    centred = [run.centred() for run in runs]
    if _each_can_be_left_out(centred, len(classes)):
        left_out = _leave_runs_out(
            centred, runs, classes=classes, views=views, adaptation=adaptation, C=C, clip=clip
        )
    else:
        blocks = _blocks(centred, runs, n_blocks)
        left_out = _leave_runs_out(*blocks, classes=classes, views=views, adaptation=None, C=C, clip=clip)
    shares = left_out.shares()
    decoder = fit_ensemble(centred, classes=classes, views=views, C=C, shares=shares, clip=clip)
    distance = float(np.quantile(left_out.distances, outlier_quantile))
    return decoder.calibrated(left_out.calibration(shares), outlier_distance=distance), left_out


def _leave_runs_out(
    centred: Sequence[CentredRun],
    runs: Sequence[RunWindows],
    *,
    classes: Sequence[str],
    views: tuple[View, ...],
    adaptation: AdaptationParameters | None,
    C: float,
    clip: float,
) -> LeftOut:
    """Train on all runs but one, decide the one left out in its order, each run in turn."""
    each, distances, numbers = [], [], []
    for q, run in enumerate(runs):
        rest = [other for i, other in enumerate(centred) if i != q]
        decoder = fit_ensemble(rest, classes=classes, views=views, C=C, clip=clip)
        if adaptation is None:
            scores, far = decoder.member_scores(decoder.logarithms(run.covs))
        else:
            scores, far = Recentring(decoder, adaptation).run(run.covs, moves=run.moves)
        each.append(np.clip(scores - scores.mean(axis=2, keepdims=True), -clip, clip))
        distances.append(far)
        numbers.append(np.full(len(run.covs), q, dtype=np.int64))
    columns = np.concatenate([run.columns for run in runs])
    return LeftOut(np.concatenate(each), np.concatenate(distances), columns, np.concatenate(numbers))


def _each_can_be_left_out(centred: Sequence[CentredRun], n_classes: int) -> bool:
    """Whether without any one run enough of every class remains."""
    counts = np.stack([np.bincount(run.columns, minlength=n_classes) for run in centred])
    return len(centred) > 1 and int((counts.sum(axis=0) - counts).min()) >= _LEAST


def _blocks(
    centred: Sequence[CentredRun], runs: Sequence[RunWindows], n_blocks: int
) -> tuple[list[CentredRun], list[RunWindows]]:
    """The windows that teach, in blocks of neighbours with every class in every block."""
    columns = np.concatenate([run.columns for run in centred])
    n_blocks = max(2, min(n_blocks, int(np.bincount(columns).min()) // 2))
    numbers = np.empty(len(columns), dtype=np.int64)
    for k in range(int(columns.max()) + 1):
        own = np.flatnonzero(columns == k)
        numbers[own] = np.arange(len(own)) * n_blocks // len(own)
    vectors = np.concatenate([run.vectors for run in centred], axis=1)
    covs = np.concatenate([run.covs if run.fitted is None else run.covs[run.fitted] for run in runs])
    reference = centred[0].reference
    if len(centred) > 1:
        reference = riemann.mean(np.stack([run.reference for run in centred]))
    parts = [np.flatnonzero(numbers == block) for block in range(n_blocks)]
    return (
        [CentredRun(reference, vectors[:, rows], columns[rows]) for rows in parts],
        [RunWindows(covs[rows], columns[rows]) for rows in parts],
    )
