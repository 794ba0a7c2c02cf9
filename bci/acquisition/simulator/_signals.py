"""What a board can play: `Signal` is the door, `PlayedSignal` the recorded kind, `quantise` the converter
behind it.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bci.acquisition.simulator._config import Bench, Played, Synthetic
from bci.acquisition.simulator._front_end import FrontEnd
from bci.chunks import F64
from bci.errors import RecordingError

__all__ = ["UV_PER_COUNT", "Asked", "BenchSignal", "PlayedSignal", "Signal", "open_signal", "quantise"]

#: ADS1299 at gain 24: 4.5 V reference over 2**23 - 1 counts (datasheet SBAS499C, section 9.5.1).
UV_PER_COUNT = 4.5e6 / 24 / (2**23 - 1)
_FULL_SCALE = 2**23 - 1


class Signal(Protocol):
    """Runs of samples with cues. Run numbers count from 0; `n_runs` is None where there is always another."""

    channels: tuple[str, ...]
    rate: Fraction
    labels: dict[int, str]
    n_runs: int | None

    def run_samples(self, run: int) -> int:
        """Length of a run in samples."""

    def cues(self, run: int) -> list[tuple[int, int]]:
        """(sample within the run, code) of every cue of a run, in order."""

    def read(self, run: int, first: int, n: int) -> F64:
        """Samples `first` to `first + n` of a run, shape (n_channels, n), µV, as many as there are."""


@runtime_checkable
class Asked(Protocol):
    """A signal whose wearer does what is asked while it streams."""

    def ask(self, run: int, at: int, label: str, task_s: float) -> None:
        """From sample `at` of a run on."""


def open_signal(source: Synthetic | Played | Bench) -> Signal:
    """The signal of a configuration. A synthetic one loads MNE, the others do not."""
    if isinstance(source, Bench):
        return BenchSignal(source)
    if isinstance(source, Played):
        return PlayedSignal(source)
    from bci.acquisition.simulator._eeg import SyntheticEeg

    return SyntheticEeg(source)


def quantise(uv: F64, uv_per_count: float | F64 = UV_PER_COUNT) -> NDArray[np.int32]:
    """Counts of the 24-bit converter: nearest step, held at the ends of its range (±187.5 mV at gain 24)."""
    return np.clip(np.rint(uv / uv_per_count), -_FULL_SCALE - 1, _FULL_SCALE).astype(np.int32)


class BenchSignal:
    """No signal of its own: what a bench board converts is made by its `front_end`, as the board is set."""

    labels: dict[int, str] = {}  # noqa: RUF012
    n_runs: int | None = None

    def __init__(self, bench: Bench) -> None:
        self.channels = bench.channels
        self.rate = Fraction(bench.rate_hz)
        self.front_end = FrontEnd(bench.channels, seed=bench.seed)

    def run_samples(self, run: int) -> int:
        return 1 << 62

    def cues(self, run: int) -> list[tuple[int, int]]:
        return []

    def read(self, run: int, first: int, n: int) -> F64:
        return np.zeros((len(self.channels), n))


class PlayedSignal:
    """Runs from an npz with these arrays (`bci.interop.write_play_file` writes it)

    ``data_uv`` (n_channels, n_samples) of all runs one after another, ``run_starts`` (n_runs,), ``fs_num``
    and ``fs_den``, ``channels``, ``event_sample`` and ``event_code`` (n_events,), ``label_codes`` and
    ``label_names``.

    Raises
    ------
    RecordingError
        If the file is missing, no such npz, or its arrays do not fit together.
    """

    def __init__(self, played: Played) -> None:
        path = Path(played.path)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._data_uv = np.asarray(arrays["data_uv"])
                starts = arrays["run_starts"]
                self.rate = Fraction(int(arrays["fs_num"]), int(arrays["fs_den"]))
                self.channels = tuple(str(name) for name in arrays["channels"])
                sample, code = arrays["event_sample"], arrays["event_code"]
                codes, names = arrays["label_codes"], arrays["label_names"]
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as err:
            raise RecordingError(
                f"{path} is not a file that bci.interop.write_play_file has written: {err}", path=path
            ) from err
        n_samples = self._data_uv.shape[-1]
        if self._data_uv.ndim != 2 or len(self._data_uv) != len(self.channels) or not len(starts):
            raise RecordingError(
                f"{path}: data of shape {self._data_uv.shape} for {len(self.channels)} channels", path=path
            )
        self.labels = {int(c): str(name) for c, name in zip(codes, names, strict=True)}
        self._bounds = [*(int(start) for start in starts), n_samples]
        self._events = sorted(zip(sample.tolist(), code.tolist(), strict=True))
        self._runs_there = len(starts)
        self.n_runs = None if played.repeat else self._runs_there

    def run_samples(self, run: int) -> int:
        start, stop = self._span(run)
        return stop - start

    def cues(self, run: int) -> list[tuple[int, int]]:
        start, stop = self._span(run)
        return [(sample - start, code) for sample, code in self._events if start <= sample < stop]

    def read(self, run: int, first: int, n: int) -> F64:
        start, stop = self._span(run)
        return np.asarray(self._data_uv[:, start + first : min(start + first + n, stop)], dtype=np.float64)

    def _span(self, run: int) -> tuple[int, int]:
        k = run % self._runs_there
        return self._bounds[k], self._bounds[k + 1]
