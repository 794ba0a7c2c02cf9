"""Folds that keep a run whole: what is tested was never in the same run as what was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import ShapeError, TooFewRunsError

__all__ = ["run_blocked_folds"]


def run_blocked_folds(runs: ArrayLike) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Leave one run out.

    Parameters
    ----------
    runs : array-like, shape (n_windows,)
        Number or name of the run each window was cut from.

    Returns
    -------
    list of (train, test)
        Index arrays, one pair per run, in sorted order of the runs.

    Raises
    ------
    ShapeError
        If `runs` is not a list.
    TooFewRunsError
        If there are fewer than 2 runs. There is no honest way to validate inside one run: its windows share
        drift, impedance and posture, and a split across it scores those.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in run_blocked_folds([1, 1, 2])]
    [([2], [0, 1]), ([0, 1], [2])]
    """
    run_of = np.asarray(runs)
    if run_of.ndim != 1:
        raise ShapeError(f"expected one run per window, got an array of shape {run_of.shape}")
    names = np.unique(run_of)
    if len(names) < 2:
        raise TooFewRunsError(
            f"validation needs windows of at least 2 runs, got {len(names)}: record another run. "
            "Splitting one run would measure its drift, not the decoder.",
            n_runs=len(names),
            needed=2,
        )
    return [(np.flatnonzero(run_of != name), np.flatnonzero(run_of == name)) for name in names]
