"""Your own filter and decoder in the place of ours, on runs they have not seen.

The filter is any object with process(x) and reset(); the decoder any
scikit-learn estimator, here a pipeline of pyRiemann where it is installed.
Windows are cut behind the causal filter, folds leave whole runs out, and what
guessing reaches stands beside. Give it a .bfp recording with cues, or nothing:
then a simulated wearer is recorded first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt, sosfilt_zi
from simulated_wearer import record_wearer
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bci.acquisition import Recording
from bci.decoders import TangentSpaceDecoder
from bci.errors import BciError
from bci.evaluation import (
    balanced_accuracy,
    balanced_accuracy_chance_threshold,
    balanced_accuracy_interval,
    run_blocked_folds,
)
from bci.pipeline import Run, split_runs

CLASSES, WINDOW_S = ("rest", "right"), (0.5, 3.5)


class MuFilter:
    """Your stage: causal, its state goes on from chunk to chunk; shape (n_channels, n_samples), µV."""

    def __init__(self, fs_hz: float) -> None:
        self._sos = butter(3, (7, 14), "bandpass", fs=fs_hz, output="sos")
        self.reset()

    def reset(self) -> None:
        self._zi = None

    def process(self, x: np.ndarray) -> np.ndarray:
        if self._zi is None:  # as if the first sample had stood for ever: electrodes lie on a potential
            self._zi = sosfilt_zi(self._sos)[:, None, :] * x[:, :1]
        y, self._zi = sosfilt(self._sos, x, axis=1, zi=self._zi)
        return y


def windows(runs: list[Run]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (n_windows, n_channels, n_samples), y and the run of each; windows that a loss touches are left out."""
    x, y, groups = [], [], []
    for number, run in enumerate(runs):
        stage, at, clean = MuFilter(run.info.fs_hz), run.first_sample, []
        for chunk in run.chunks:
            if chunk.lost_before:  # a recursive filter must not meet a hole
                stage.reset()
                clean.append(np.full((run.info.n_channels, chunk.lost_before), np.nan))
            if chunk.n_samples:
                clean.append(stage.process(chunk.data_uv))
        signal = np.concatenate(clean, axis=1)
        for cue in (m for m in run.markers if m.label in CLASSES):
            begin, end = (cue.sample_index - at + round(s * run.info.fs_hz) for s in WINDOW_S)
            window = signal[:, begin:end]
            if window.shape[1] == end - begin and np.isfinite(window).all():
                x.append(window), y.append(cue.label), groups.append(number)
    return np.array(x), np.array(y), np.array(groups)


def decoders() -> dict[str, object]:
    """Ours, and yours."""
    found: dict[str, object] = {"TangentSpaceDecoder": TangentSpaceDecoder()}
    try:
        from pyriemann.estimation import Covariances
        from pyriemann.tangentspace import TangentSpace

        found["pyRiemann TS + LR"] = make_pipeline(Covariances("oas"), TangentSpace(), LogisticRegression())
    except ImportError:
        print("pyRiemann is not installed (pip install pyriemann)", file=sys.stderr)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", nargs="?", type=Path, help="a .bfp file (default: a simulated wearer's)")
    parser.add_argument("--trials", type=int, default=15, help="of each class, for the simulated wearer")
    args = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = args.recording or record_wearer(Path(folder) / "wearer.bfp", runs=3, trials=args.trials)
            recording = Recording(path)
            x, y, groups = windows(split_runs(recording.info, recording))
        for name, decoder in decoders().items():
            said = np.empty_like(y)
            for training, testing in run_blocked_folds(groups):
                said[testing] = clone(decoder).fit(x[training], y[training]).predict(x[testing])
            low, high = balanced_accuracy_interval(y, said)
            print(
                f"{name:<20} balanced accuracy {balanced_accuracy(y, said):.2f} (95 % {low:.2f} to {high:.2f})"
            )
        counts = [int(np.sum(y == name)) for name in CLASSES]
        print(f"{len(y)} windows of {len(set(groups))} runs; guessing reaches "
              f"{balanced_accuracy_chance_threshold(counts):.2f} once in 20 such sets")  # fmt: skip
    except BciError as err:
        print(err, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
