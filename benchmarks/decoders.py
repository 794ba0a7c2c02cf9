"""Decoders against pyRiemann, MNE and scikit-learn: decisions, fits, means, the whole default fit. Made-up windows.

Rivals do what their users do: MNE's CSP takes windows and computes covariances in every fold; ours takes covariances
that were computed once for all folds, and that one pass is counted. Fold accuracies are compared first.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoders import BANDS_HZ, CspDecoder, DefaultDecoder, TangentSpaceDecoder, riemann
from bci.decoders.frozen import views_of
from bci.dsp import covariances
from benchmarks import _decoders_step
from benchmarks._measure import Row, compare, median_time, say

F64 = NDArray[np.float64]

FOLDS = 5


def run(quick: bool = False) -> list[Row]:
    rounds = 3 if quick else 9
    fits = [_mean(rounds), _csp_folds(rounds), _tangent_folds(rounds), _default_fit(quick)]
    return [*_decoders_step.rows(rounds), *fits, *_growth(quick)]


def plot(path: Path) -> None:
    """Seconds of a default fit over channels and over trials."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, sizes, label in (
        (axes[0], [(n, 80) for n in (4, 8, 16, 32, 64)], "channels, 80 trials"),
        (axes[1], [(16, k) for k in (40, 80, 160, 320)], "trials, 16 channels"),
    ):
        x = [n if axis is axes[0] else k for n, k in sizes]
        axis.loglog(x, [_fit_time(n, k) for n, k in sizes], "o-")
        axis.set(xlabel=label, xticks=x, xticklabels=[str(v) for v in x])
        axis.minorticks_off()
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("seconds of one default fit")
    figure.suptitle("Cost of training the default decoder (52 members, 2 runs)")
    figure.savefig(path, dpi=150)


def made_up(
    n_windows: int, n_channels: int, n_samples: int, *, seed: int = 0
) -> tuple[F64, NDArray[np.int64]]:
    """Windows of mixed noise in µV, without a mean; one source is weaker in the second class."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_channels)) / math.sqrt(n_channels) + np.eye(n_channels)
    y = np.arange(n_windows) % 2
    sources = 10.0 * rng.standard_normal((n_windows, n_channels, n_samples))
    sources *= np.exp(0.3 * rng.standard_normal((n_windows, n_channels, 1)))
    sources[y == 1, 0] *= 0.7
    x = mixing @ sources
    return x - x.mean(axis=2, keepdims=True), y


def _folds(n: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    numbers = np.arange(n) * FOLDS // n
    return [(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in range(FOLDS)]


def _mean(rounds: int) -> Row:
    from pyriemann.geometry.mean import mean_riemann

    x, _ = made_up(230, 22, 500)
    covs = covariances(x, shrinkage="oas")

    def equal(ours: Any, theirs: Any) -> None:
        assert np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max()

    return compare(
        "Riemannian mean, 230 of 22 × 22",
        lambda: riemann.mean(covs),
        lambda: mean_riemann(covs),
        rival_name="pyRiemann mean_riemann",
        target=4.0,
        equal=equal,
        rounds=rounds,
    )


def _csp_folds(rounds: int) -> Row:
    import mne
    from mne.decoding import CSP
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    mne.set_log_level("error")
    x, y = made_up(230, 22, 500)
    folds = _folds(len(y))

    def ours() -> F64:
        covs = covariances(x)
        right = [
            np.mean(CspDecoder().fit_covariances(covs[a], y[a]).predict_covariances(covs[b]) == y[b])
            for a, b in folds
        ]
        return np.array(right)

    def theirs() -> F64:
        right = []
        for a, b in folds:
            lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
            pipeline = make_pipeline(CSP(n_components=6, component_order="alternate"), lda)
            right.append(np.mean(pipeline.fit(x[a], y[a]).predict(x[b]) == y[b]))
        return np.array(right)

    def equal(a: Any, b: Any) -> None:
        assert (a == b).all(), (a, b)

    return compare(
        "CSP + LDA, 5 folds of 230 × 22 × 500",
        ours,
        theirs,
        rival_name="MNE CSP + scikit-learn",
        target=50.0,
        equal=equal,
        rounds=rounds,
    )


def _tangent_folds(rounds: int) -> Row:
    from pyriemann.estimation import Covariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    x, y = made_up(230, 22, 500)
    folds = _folds(len(y))

    def ours() -> F64:
        covs = covariances(x, shrinkage="oas")
        right = []
        for a, b in folds:
            decoder = TangentSpaceDecoder().fit_covariances(covs[a], y[a])
            right.append(np.mean(decoder.predict_covariances(covs[b]) == y[b]))
        return np.array(right)

    def theirs() -> F64:
        right = []
        for a, b in folds:
            pipeline = make_pipeline(Covariances("oas"), TangentSpace(), LogisticRegression(max_iter=1000))
            right.append(np.mean(pipeline.fit(x[a], y[a]).predict(x[b]) == y[b]))
        return np.array(right)

    def equal(a: Any, b: Any) -> None:
        assert (a == b).all(), (a, b)

    return compare(
        "tangent space + LR, 5 folds of 230 × 22 × 500",
        ours,
        theirs,
        rival_name="pyRiemann + scikit-learn",
        target=math.nan,
        equal=equal,
        rounds=rounds,
    )


def _default_fit(quick: bool) -> Row:
    seconds = _fit_time(16, 160, n_runs=4, rounds=1 if quick else 5)
    return Row(
        "default fit, 160 trials × 16 channels, 4 runs", "3 s allowed", seconds, 3.0, 3.0 / seconds, 1.0
    )


def _growth(quick: bool) -> list[Row]:
    sizes = [(8, 80), (32, 80)] if quick else [(8, 80), (32, 80), (64, 80), (16, 320)]
    return [
        Row(f"default fit, {k} trials × {n} channels", "", seconds, math.nan, math.nan, math.nan)
        for n, k in sizes
        for seconds in (_fit_time(n, k),)
    ]


def _fit_time(n_channels: int, n_trials: int, *, n_runs: int = 2, rounds: int = 1) -> float:
    say(f"default fit, {n_trials} trials × {n_channels} channels")
    views = views_of(len(BANDS_HZ))
    rng = np.random.default_rng(0)
    x, y = made_up(n_trials, n_channels, 3 * n_channels + 60)
    covs = covariances(x, shrinkage="oas")
    # Members see different bands: the same windows scaled a little and mixed anew stand for them.
    gains = np.exp(0.1 * rng.standard_normal((n_trials, len(views), n_channels)))
    stack = covs[:, None] * gains[..., :, None] * gains[..., None, :]
    runs = np.arange(n_trials) * n_runs // n_trials
    return median_time(lambda: DefaultDecoder().fit_covariances(stack, y, runs), rounds=rounds, round_s=0.0)
