"""Windows of cleaned signal: tied to a cue, or sliding on the sample grid.

Both come out of the same causal stages, so a window of a recording holds the same bits as the window that
was there live.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64, Chunk, Marker
from bci.dsp import Marks, SlidingCovariance
from bci.language import N_, _
from bci.pipeline.chain import FilterChain, rows_taken
from bci.pipeline.runs import Run, cues_of

__all__ = ["CuedWindows", "SlidingWindow", "SlidingWindows", "cued_windows", "say_reason"]

# An amplifier's own noise alone is a hundred times this (ADS1299: 1 µV peak to peak up to 65 Hz), so a
# filtered channel below it is not connected to anything.
_FLAT_UV2 = 1e-6

_NOT_FULL = N_("the window is not full yet")
_NO_SIGNAL = N_("no signal on {channels}")
#: Why no decision may rest on a window. What is logged stays English, whoever reads it; the others stand in `bci.dsp`.
_REASONS = (
    _NOT_FULL,
    _NO_SIGNAL,
    N_("the filters are settling after the start"),
    N_("{n} samples were lost; the filters start anew"),
    N_("{n} samples were lost and bridged by a line"),
    N_("NaN or infinity was held"),
)


@dataclass(frozen=True, slots=True, eq=False)
class CuedWindows:
    """Cleaned windows after cues.

    Parameters
    ----------
    bands_uv : ndarray, shape (n_windows, n_bands, n_channels, n_samples), µV
    labels : ndarray of str, shape (n_windows,)
    runs : ndarray of int, shape (n_windows,)
        Number of the run each was cut from.
    dropped : tuple of (Marker, str)
        Cues without a usable window, and why.
    """

    bands_uv: F64
    labels: NDArray[np.str_]
    runs: NDArray[np.int64]
    dropped: tuple[tuple[Marker, str], ...]

    @property
    def data_uv(self) -> F64:
        """The chain's first band alone, shape (n_windows, n_channels, n_samples), µV."""
        return self.bands_uv[:, 0]


def cued_windows(
    runs: Sequence[Run],
    chain: FilterChain,
    *,
    labels: Sequence[str],
    window_s: tuple[float, float] = (0.5, 3.5),
) -> CuedWindows:
    """Clean whole runs and cut a window after each cue.

    Parameters
    ----------
    runs : sequence of Run
    chain : FilterChain
    labels : sequence of str
        Marker labels that are cues.
    window_s : (start, end), s
        Relative to the cue. The default leaves out the first half second, in which the cue itself is seen.

    Raises
    ------
    ShapeError, LabelError
        If the runs do not belong together, or a label does not occur.
    RateMismatchError, MontageMismatchError
        If they do not fit the chain.
    """
    start, n_samples = chain.samples(window_s[0]), chain.samples(window_s[1] - window_s[0])
    data, names, numbers = [], [], []
    dropped: list[tuple[Marker, str]] = []
    cues = list(cues_of(runs, labels))
    for i, run in enumerate(runs):
        cleaned = _CleanedRun(run, chain)
        for marker in (m for number, m in cues if number == i):
            window, reason = cleaned.cut(marker.sample_index + start, n_samples)
            if window is None:
                dropped.append((marker, reason))
                continue
            data.append(window)
            names.append(marker.label)
            numbers.append(i)
    shape = (0, chain.n_bands, len(chain.channels), n_samples)
    return CuedWindows(
        np.stack(data) if data else np.empty(shape),
        np.array(names, dtype=np.str_),
        np.array(numbers, dtype=np.int64),
        tuple(dropped),
    )


class _CleanedRun:
    """All of a run behind the causal stages, in pieces without a gap."""

    def __init__(self, run: Run, chain: FilterChain) -> None:
        rows = chain.rows(run.info)
        stage = chain.start()
        pieces: list[list[F64]] = []
        self._starts: list[int] = []
        self._marks = Marks()
        for chunk in run.chunks:
            clean = stage.process(rows_taken(chunk, rows))
            if clean.reset or not pieces:
                pieces.append([])
                self._starts.append(clean.first_sample)
            pieces[-1].append(clean.data_uv)
            self._marks.add(clean.marks)
        self._pieces = [np.concatenate(piece, axis=2) for piece in pieces]

    def cut(self, first: int, n_samples: int) -> tuple[F64 | None, str]:
        """The window of `n_samples` from `first`, or None and the reason."""
        end = first + n_samples
        touching = self._marks.touching(first, end)
        if touching:
            return None, touching[0].reason
        for start, piece in zip(self._starts, self._pieces, strict=True):
            if start <= first and end <= start + piece.shape[2]:
                return piece[:, :, first - start : end - start], ""
        return None, "the run ends before the window does"


@dataclass(frozen=True, slots=True, eq=False)
class SlidingWindow:
    """One point of the decision grid.

    Parameters
    ----------
    end_sample : int
        Number of the sample that follows the window; a multiple of the step.
    covariances : ndarray, shape (n_bands, n_channels, n_channels), µV², or None
        Of the cleaned window in each band, channel means removed, not shrunk; None where no decision may rest on
        the window.
    reason : str
        Why there is none.
    """

    end_sample: int
    covariances: F64 | None
    reason: str = ""


class SlidingWindows:
    """Everything of the online step before the decoder: chunks in, covariances on the decision grid out.

    Parameters
    ----------
    chain : FilterChain
    window_samples, step_samples : int
        The window is a whole number of steps.
    """

    def __init__(self, chain: FilterChain, *, window_samples: int, step_samples: int) -> None:
        self._chain = chain
        self._window = window_samples
        self._step = step_samples
        self._clean = chain.start()
        self._covariance = SlidingCovariance(
            len(chain.channels),
            window_samples=window_samples,
            step_samples=step_samples,
            n_bands=chain.n_bands,
        )
        self._marks = Marks()

    def process(self, chunk: Chunk) -> list[SlidingWindow]:
        """Grid points that this chunk completes; any cut of the stream gives the same ones, bit for bit.

        Raises
        ------
        ShapeError
            If the chunk has another number of channels or overlaps the samples before it.
        """
        clean = self._clean.process(chunk)
        n_samples = clean.data_uv.shape[2]
        if not n_samples:
            return []
        if clean.reset:
            self._covariance.reset()
        self._marks.add(clean.marks)
        first, after = clean.first_sample, clean.first_sample + n_samples
        ends, covs = self._covariance.process(clean.data_uv, first)
        ready = dict(zip(ends.tolist(), covs, strict=True))
        grid = range(first // self._step * self._step + self._step, after + 1, self._step)
        windows = [self._window_at(end, ready.get(end)) for end in grid]
        self._marks.forget_before(after - self._window)
        return windows

    def reset(self) -> None:
        """Forget the past; the next chunk is the first."""
        self._clean.reset()
        self._covariance.reset()
        self._marks = Marks()

    def _window_at(self, end: int, covariances: F64 | None) -> SlidingWindow:
        touching = self._marks.touching(end - self._window, end)
        if touching:
            return SlidingWindow(end, None, touching[-1].reason)
        if covariances is None:
            return SlidingWindow(end, None, _NOT_FULL)
        flat = flat_channels(covariances)
        if len(flat):
            return SlidingWindow(end, None, no_signal(self._chain.channels, flat))
        return SlidingWindow(end, covariances)


def flat_channels(covariances: F64) -> NDArray[np.int64]:
    """Channels without a signal in any band, of covariances (n_bands, n_channels, n_channels), µV²."""
    variance = np.diagonal(covariances, axis1=1, axis2=2).max(axis=0)
    flat: NDArray[np.int64] = np.flatnonzero(~(variance > _FLAT_UV2))
    return flat


def no_signal(channels: Sequence[str], flat: NDArray[np.int64]) -> str:
    """The reason, in plain words."""
    return _NO_SIGNAL.format(channels=" ".join(channels[i] for i in flat))


def say_reason(reason: str) -> str:
    """A window's reason in the language spoken now."""
    for sentence in _REASONS:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(sentence))
        if found := re.fullmatch(pattern, reason):
            return _(sentence).format(**found.groupdict())
    return reason
