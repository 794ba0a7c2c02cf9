"""The detector of slow potentials: finds the course that differs, on made-up and on recorded movement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_score

from bci.decoders import MovementPotentialDecoder
from bci.errors import ShapeError

F64 = NDArray[np.float64]


def slow_windows(n_each: int, *, seed: int) -> tuple[F64, NDArray[np.str_]]:
    """A ramp of −8 µV towards the end over the first two channels before a movement, in drifting noise."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["move", "rest"], n_each)
    noise = np.cumsum(rng.standard_normal((len(y), 6, 100)), axis=2)
    x = np.random.default_rng(9).standard_normal((6, 6)) @ noise
    x[y == "move", :2] -= np.linspace(0.0, 8.0, 100)
    return x, y


def test_a_readiness_potential_is_found_in_drift() -> None:
    decoder = MovementPotentialDecoder().fit(*slow_windows(60, seed=0))
    assert decoder.score(*slow_windows(60, seed=1)) > 0.7
    assert decoder.filters_.shape == (4, 6)


def test_without_a_potential_it_guesses() -> None:
    x, y = slow_windows(60, seed=0)
    new, truth = slow_windows(200, seed=1)
    shuffled = np.random.default_rng(0).permutation(y)
    assert abs(MovementPotentialDecoder().fit(x, shuffled).score(new, truth) - 0.5) < 0.15


def test_parameters_out_of_range_are_refused() -> None:
    x, y = slow_windows(5, seed=0)
    for bad in ({"n_points": 200}, {"n_filters": 0}, {"shrinkage": 0.0}):
        with pytest.raises(ShapeError, match="points"):
            MovementPotentialDecoder(**bad).fit(x, y)


def test_left_and_right_key_presses_are_told_apart_before_they_happen(
    shared_data: Callable[[str], Path],
) -> None:
    """Windows of 0.5 s that end 130 ms before the key is pressed."""
    from scipy.io import loadmat

    from bci.dsp import design_lowpass, filter_recording

    found = loadmat(shared_data("bci2_iv_selfpaced/sp1s_aa.mat"))
    x = np.asarray(found["x_train"], dtype=np.float64).transpose(2, 1, 0)
    y = np.asarray(found["y_train"]).ravel()
    sos = design_lowpass(7.0, fs_hz=100.0, order=2)
    x = np.stack([filter_recording(sos, window) for window in x])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)  # single key presses, no runs given
    assert cross_val_score(MovementPotentialDecoder(), x, y, cv=folds).mean() > 0.7
