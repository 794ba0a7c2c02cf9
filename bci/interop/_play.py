"""`write_play_file`: recorded runs as the arrays that a simulated board plays.

The layout is that of `bci.acquisition.simulator.Played`: plain numpy arrays in an uncompressed npz, no
pickle.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bci.errors import LabelError, MontageMismatchError, RateMismatchError, RecordingError
from bci.interop._files import SignalFile

__all__ = ["write_play_file"]

_MAX_CHANNELS = 64


def write_play_file(runs: Sequence[SignalFile], path: str | os.PathLike[str]) -> Path:
    """Lay down runs of one person for the board; each START of the board plays the next one.

    Parameters
    ----------
    runs : sequence of SignalFile
        Same channels, same rate, same classes.
    path : path
        The npz to write, readable by its owner only.

    Raises
    ------
    RecordingError
        If there are no runs, or more channels than a board has.
    RateMismatchError, MontageMismatchError, LabelError
        If a run differs from the first one; the message names both files.
    """
    path = Path(path)
    if not runs:
        raise RecordingError("no runs to play", path=path)
    first = runs[0]
    if len(first.channels) > _MAX_CHANNELS:
        raise RecordingError(
            f"{first.path} has {len(first.channels)} channels, a board at most {_MAX_CHANNELS}; "
            "choose with channels=",
            path=first.path,
        )
    for run in runs[1:]:
        _check_alike(first, run)
    starts = np.cumsum([0] + [run.data_uv.shape[1] for run in runs[:-1]], dtype=np.int64)
    events = [
        (int(start) + marker.sample_index, marker.code)
        for start, run in zip(starts, runs, strict=True)
        for marker in run.markers
    ]
    sample, code = np.array(events, dtype=np.int64).reshape(-1, 2).T
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        np.savez(
            file,
            data_uv=np.concatenate([run.data_uv for run in runs], axis=1),
            run_starts=starts,
            fs_num=np.int64(first.rate.numerator),
            fs_den=np.int64(first.rate.denominator),
            channels=np.array(first.channels),
            event_sample=sample,
            event_code=code,
            label_codes=np.arange(1, len(first.classes) + 1, dtype=np.int64),
            label_names=np.array(first.classes),
        )
    return path


def _check_alike(first: SignalFile, run: SignalFile) -> None:
    if run.rate != first.rate:
        raise RateMismatchError(
            f"{first.path} has {first.fs_hz:g} samples per second and {run.path} {run.fs_hz:g}; "
            "play runs of one rate, or resample the odd one",
            got_hz=run.fs_hz,
            expected_hz=first.fs_hz,
        )
    if run.channels != first.channels:
        raise MontageMismatchError(
            f"{run.path}: channels {', '.join(run.channels)}; {first.path} has {', '.join(first.channels)}",
            got=run.channels,
            expected=first.channels,
        )
    if run.classes != first.classes:
        raise LabelError(
            f"{run.path} is about {', '.join(run.classes)}; {first.path} about {', '.join(first.classes)}",
            found=run.classes,
            expected=first.classes,
        )
