"""Runs of the project's own recordings (`.bfp`), as decoders take them.

Rules
-----
- A run begins at a START of the board. Where blocks are marked (guided calibrations do), a START within a block, after
  the cable was out, begins none.
- A trial that is marked as spoilt is a gap, as in the calibration itself. Lost samples stay lost.
- Runs without a cue (the electrodes were looked at, somebody tried something) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bci.acquisition import Recording
from bci.chunks import F64, Chunk, Marker, SignalInfo
from bci.errors import LabelError, MontageMismatchError, RateMismatchError, RecordingError
from bci.pipeline import Run, split_runs
from bci.pipeline.chain import rows_taken
from bci.sessions.guided import AFTER_S
from bci.sessions.readiness import training_run

__all__ = ["longest_stretch", "own_runs"]

BLOCK, SPOILT = "block", "spoilt"


def own_runs(path: Path, *, labels: Mapping[str, str] | None = None) -> tuple[list[Run], tuple[str, ...]]:
    """The runs of a recording that have cues.

    Parameters
    ----------
    path : Path
        A `.bfp`.
    labels : mapping of str to str, optional
        Class name → marker; by default "rest", "left" and "right" as calibrations mark them, and what is known of the
        recordings that `bci import` takes.

    Returns
    -------
    runs : list of Run
        EEG channels alone; their markers are cues.
    classes : tuple of str

    Raises
    ------
    RecordingError
        If it is no recording, or holds no signal.
    LabelError
        If there are no such cues; the message lists what was marked.
    RateMismatchError, MontageMismatchError
        If rate or channels change on the way.
    """
    from bci.interop import name_cues

    runs = _blocks(_read(path))
    marked = [(k, marker) for k, run in enumerate(runs) for marker in sorted(run.markers, key=_sample)]
    if not marked:
        raise LabelError(
            f"{path} has no cues: nothing is marked in it, so there is no trial to score. Take the recording of a "
            "`bci calibrate`, or mark cues with keys in `bci record`",
            found=(),
            expected=tuple(labels or ()),
        )
    # named by their place among the markers: samples count anew where the board did
    named, classes = name_cues(path, [(i, marker.label) for i, (_, marker) in enumerate(marked)], labels)
    cues: list[list[Marker]] = [[] for _ in runs]
    for one in named:
        k, marker = marked[one.sample_index]
        cues[k].append(Marker(marker.sample_index, one.label, one.code, source=marker.source))
    return [_without_spoilt(run, its) for run, its in zip(runs, cues, strict=True) if its], classes


def longest_stretch(path: Path) -> tuple[SignalInfo, F64]:
    """The longest part of a recording in which no sample is missing: what it is, and (n_channels, n_samples) in µV."""
    stretches: list[list[Chunk]] = []
    runs = _read(path)
    for run in runs:
        for number, chunk in enumerate(run.chunks):
            if number == 0 or chunk.lost_before or chunk.restart:
                stretches.append([])
            stretches[-1].append(chunk)
    longest = max(stretches, key=lambda chunks: sum(chunk.n_samples for chunk in chunks))
    return runs[0].info, np.concatenate([chunk.data_uv for chunk in longest], axis=1)


def _read(path: Path) -> list[Run]:
    """From START to START, with signal; markers bear the text that was set, and only the EEG is kept."""
    recording = Recording(path)
    info = recording.info
    imported: Mapping[str, Any] = recording.notes.get("imported", {})
    kinds: Mapping[str, str] = imported.get("kinds", {})
    rows = np.array([kinds.get(name, "eeg") == "eeg" for name in info.channels])
    player = recording.player()
    chunks: list[Chunk] = []
    for block in recording.blocks():
        chunks += player.feed(block)
        _check(path, info, player.info)
    player.finish()
    chunks += player.last_chunks
    taken = SignalInfo(tuple(np.array(info.channels)[rows].tolist()), info.rate)
    runs = [
        Run(
            taken,
            tuple(rows_taken(chunk, None if rows.all() else rows) for chunk in run.chunks),
            # what was imported may name channels behind a marker's text
            tuple(replace(m, label=m.label.partition("@@")[0]) if imported else m for m in run.markers),
        )
        for run in split_runs(info, chunks)
        if any(chunk.n_samples for chunk in run.chunks)
    ]
    if not runs or not rows.any():
        raise RecordingError(f"{path} holds no sample of an EEG channel", path=path)
    return runs


def _check(path: Path, first: SignalInfo, now: SignalInfo | None) -> None:
    if now is None or (now.rate, now.channels) == (first.rate, first.channels):
        return
    if now.rate != first.rate:
        raise RateMismatchError(
            f"the rate of {path} changes from {first.fs_hz:g} to {now.fs_hz:g} Hz; evaluate recordings of one rate",
            got_hz=now.fs_hz,
            expected_hz=first.fs_hz,
        )
    raise MontageMismatchError(
        f"the channels of {path} change on the way; evaluate recordings of one montage",
        got=now.channels,
        expected=first.channels,
    )


def _blocks(runs: Sequence[Run]) -> list[Run]:
    """Runs from block to block where blocks are marked."""
    begins = [any(marker.label == BLOCK for marker in run.markers) for run in runs]
    joined: list[Run] = []
    for run, begin in zip(runs, begins, strict=True):
        # a board that lost its power counts anew, and then one run cannot hold both
        if joined and any(begins) and not begin and run.first_sample >= joined[-1].end_sample:
            before = joined[-1]
            joined[-1] = Run(run.info, before.chunks + run.chunks, before.markers + run.markers)
        else:
            joined.append(run)
    return joined


def _without_spoilt(run: Run, cues: Sequence[Marker]) -> Run:
    """Cues instead of markers; the trial before each mark "spoilt" is missing."""
    spans = []
    for mark in (marker for marker in run.markers if marker.label == SPOILT):
        before = [cue for cue in cues if cue.sample_index < mark.sample_index]
        if before:
            end = mark.sample_index + round(AFTER_S * run.info.fs_hz)
            spans.append((before[-1].sample_index, end))
    if not spans:
        return replace(run, markers=tuple(cues))
    kept = [cue for cue in cues if not any(first <= cue.sample_index < end for first, end in spans)]
    return training_run(run.info, run.chunks, spans, kept)


def _sample(marker: Marker) -> int:
    return marker.sample_index
