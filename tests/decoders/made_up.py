"""Seeded windows in µV whose classes differ in the power of one source each, or in their slow course."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def windows(
    n_each: int, classes: tuple[str, ...], *, n_channels: int = 6, n_samples: int = 150, seed: int = 0
) -> tuple[F64, NDArray[np.str_]]:
    """Each class weakens another source, as movement of another limb would."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((n_channels, n_channels))
    y = np.repeat(classes, n_each)
    sources = 10.0 * rng.standard_normal((len(y), n_channels, n_samples))
    for k, name in enumerate(classes):
        sources[y == name, k] *= 0.6
    return mixing @ sources, y


def banded_runs(
    n_runs: int, *, seed: int = 0, n_each: int = 12, depth: float = 0.5, drift: float = 0.4
) -> tuple[F64, NDArray[np.str_], NDArray[np.int64]]:
    """Windows in two bands (n_windows, 2, 4, 120), classes and runs; each run is mixed a little differently.

    The classes differ in the second band only, in the last third of the window.
    """
    rng = np.random.default_rng(seed)
    data, labels, runs = [], [], []
    for run in range(n_runs):
        mixing = np.eye(4) + drift * rng.standard_normal((4, 4)) / 2.0
        y = rng.permutation(["grasp", "rest"] * n_each)
        sources = 10.0 * rng.standard_normal((len(y), 2, 4, 120))
        sources[y == "grasp", 1, 0, 80:] *= depth
        data.append(mixing @ sources)
        labels.append(y)
        runs.append(np.full(len(y), run))
    return np.concatenate(data), np.concatenate(labels), np.concatenate(runs)
