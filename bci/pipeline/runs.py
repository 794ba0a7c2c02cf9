"""Runs: what was recorded between one START and the STOP after it, with its cues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bci.chunks import F64, Chunk, Marker, SignalInfo, as_signal
from bci.errors import LabelError, ShapeError
from bci.evaluation import TaskEvent
from bci.language import _

__all__ = ["Run", "cues_of", "split_runs", "task_events"]


@dataclass(frozen=True, slots=True)
class Run:
    """One uninterrupted recording. Filters and windows start anew in each.

    Parameters
    ----------
    info : SignalInfo
    chunks : tuple of Chunk
        In order of time; lost samples are said by the chunks.
    markers : tuple of Marker
        Cues and whatever else was marked.
    """

    info: SignalInfo
    chunks: tuple[Chunk, ...]
    markers: tuple[Marker, ...] = ()

    @classmethod
    def from_array(
        cls, data_uv: F64, info: SignalInfo, markers: Iterable[Marker] = (), *, first_sample: int = 0
    ) -> Run:
        """A run from one array, shape (n_channels, n_samples), µV, e.g. as MNE reads it (times 1e6).

        Raises
        ------
        ShapeError
            If the array does not have the channels of `info`.
        """
        data = as_signal(data_uv, n_channels=info.n_channels)
        return cls(info, (Chunk(data, first_sample, restart=True),), tuple(markers))

    @property
    def first_sample(self) -> int:
        return self.chunks[0].first_sample

    @property
    def end_sample(self) -> int:
        """Number of the sample that would follow the last one."""
        return _end(self.chunks)

    @property
    def duration_s(self) -> float:
        """Device time from the first to the last sample, lost ones included."""
        return (self.end_sample - self.first_sample) / self.info.fs_hz


def split_runs(info: SignalInfo, chunks: Iterable[Chunk]) -> list[Run]:
    """Cut a stream of chunks at every START of the board.

    Markers go to the run that their sample number lies in, also where they arrived a little later; after a reset, with
    which the board counts anew, to a run of the same count.
    """
    parts: list[list[Chunk]] = []
    for chunk in chunks:
        if chunk.restart or not parts:
            parts.append([])
        parts[-1].append(chunk)
    starts = np.array([part[0].first_sample for part in parts], dtype=np.int64)
    counts = np.cumsum([0, *(start < _end(before) for start, before in zip(starts[1:], parts, strict=False))])
    markers: list[list[Marker]] = [[] for _part in parts]
    for part, count in zip(parts, counts, strict=False):
        alike = np.flatnonzero(counts == count)
        for marker in (marker for chunk in part for marker in chunk.markers):
            place = int(np.searchsorted(starts[alike], marker.sample_index, side="right")) - 1
            markers[alike[max(place, 0)]].append(marker)
    return [Run(info, tuple(part), tuple(its)) for part, its in zip(parts, markers, strict=True)]


def _end(chunks: Sequence[Chunk]) -> int:
    """Number of the sample after the last; the news of a reset may come behind it, in a chunk of the new count."""
    return max(chunk.end_sample for chunk in chunks)


def cues_of(runs: Sequence[Run], labels: Sequence[str]) -> list[tuple[int, Marker]]:
    """Number of the run and marker of every cue in `labels`, in order of time.

    Raises
    ------
    ShapeError
        If there is no run, or runs differ in montage or rate.
    LabelError
        If a label occurs in no run; the message names the labels that do.
    """
    if not runs:
        raise ShapeError("expected at least one run, got none")
    for run in runs:
        if (run.info.channels, run.info.rate) != (runs[0].info.channels, runs[0].info.rate):
            raise ShapeError("all runs must have the same channels and the same rate")
    found = sorted({marker.label for run in runs for marker in run.markers})
    missing = [label for label in labels if label not in found]
    if missing:
        raise LabelError(
            _(
                "no cue {missing} in {n} run(s): found {found}. Map the recording's own names to these."
            ).format(
                missing=", ".join(missing), n=len(runs), found=", ".join(found) or _("no labels at all")
            ),
            found=found,
            expected=tuple(labels),
        )
    return [
        (i, m) for i, run in enumerate(runs) for m in sorted(run.markers, key=_sample) if m.label in labels
    ]


def task_events(run: Run, movements: Sequence[str], *, task_s: float) -> list[TaskEvent]:
    """The cued movements of a run, each from its cue until `task_s` later."""
    length = round(task_s * run.info.rate)
    cues = sorted((m for m in run.markers if m.label in movements), key=_sample)
    return [TaskEvent(m.sample_index, m.sample_index + length, m.label) for m in cues]


def _sample(marker: Marker) -> int:
    return marker.sample_index
