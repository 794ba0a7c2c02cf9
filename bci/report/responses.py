"""Event-related desynchronisation: how band power changes after cues, against the time before them.

Power is averaged over trials first, then set in relation to the reference interval:
ERD(t, f) = (A(t, f) - R(f)) / R(f) · 100 %, negative where a rhythm is desynchronised [1]_.

References
----------
.. [1] Pfurtscheller & Lopes da Silva, Clin. Neurophysiol. 110(11):1842-1857, 1999, eq. in section 2.1.
   doi:10.1016/S1388-2457(99)00141-8
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bci.chunks import F64
from bci.pipeline import Run
from bci.report.with_mne import morlet_power

__all__ = ["BETA_HZ", "MU_HZ", "REFERENCE_S", "Responses", "event_related_power"]

MU_HZ, BETA_HZ = (8.0, 13.0), (14.0, 30.0)
#: Reference interval, s before the cue.
REFERENCE_S = (-1.5, -0.5)
#: From where to where after a cue a map is taken; the end is that of the task.
MAP_FROM_S = 0.5
# what is cut out before the cue and after the task; wavelets need 0.5 s of margin
BEFORE_S, AFTER_S = 2.0, 1.0
FREQUENCIES_HZ = np.arange(6.0, 31.0)
TARGET_HZ = 200.0  # enough for 30 Hz
STEP_S = 0.04
BATCH = 8  # trials at once: 64 channels at 1 kHz stay below 100 MB
SPOILT = "spoilt"  # the marker after a trial that is repeated


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Change of power against the reference interval, in per cent.

    Parameters
    ----------
    change : dict of str to ndarray, shape (n_channels, n_frequencies, n_times), %
        By class, mean over its trials.
    seconds : ndarray, shape (n_times,), s after the cue
    frequencies_hz : ndarray, shape (n_frequencies,)
    channels : tuple of str
    trials : dict of str to int
        Trials that the means rest on.
    left_out : int
        Cues whose trial touches a loss, was spoilt, or lies too near an edge of its run.
    task_s : float
    averaged : bool
        Whether the common average of all channels was subtracted.
    """

    change: dict[str, F64]
    seconds: F64
    frequencies_hz: F64
    channels: tuple[str, ...]
    trials: dict[str, int]
    left_out: int
    task_s: float
    averaged: bool

    def band(self, label: str, band_hz: tuple[float, float]) -> F64:
        """Mean change of a class in a band over the task, shape (n_channels,), %."""
        rows = (self.frequencies_hz >= band_hz[0]) & (self.frequencies_hz <= band_hz[1])
        times = (self.seconds >= MAP_FROM_S) & (self.seconds <= self.task_s)
        mean: F64 = self.change[label][:, rows][:, :, times].mean(axis=(1, 2))
        return mean


def event_related_power(runs: Sequence[Run], *, labels: Sequence[str], task_s: float) -> Responses | None:
    """How power changes after the cues of `labels`.

    Parameters
    ----------
    runs : sequence of Run
        Of one montage and rate.
    labels : sequence of str
    task_s : float, s
        How long the task lasts after its cue.

    Returns
    -------
    responses : Responses or None
        None where a class has no whole trial.
    """
    fs_hz = runs[0].info.fs_hz
    factor = max(int(fs_hz // TARGET_HZ), 1)
    sums: dict[str, F64] = {}
    counts = dict.fromkeys(labels, 0)
    cues = 0
    averaged = runs[0].info.n_channels >= 8  # of fewer electrodes the mean is no neutral reference
    decim = max(round(STEP_S * fs_hz / factor), 1)
    for run in runs:
        cues += sum(marker.label in labels for marker in run.markers)
        for label in labels:
            for epochs in _batches(run, label, task_s=task_s, factor=factor, averaged=averaged):
                power = morlet_power(epochs, fs_hz / factor, FREQUENCIES_HZ, decim=decim).sum(axis=0)
                sums[label] = sums[label] + power if label in sums else power
                counts[label] += len(epochs)
    if any(count == 0 for count in counts.values()):
        return None
    n_times = next(iter(sums.values())).shape[-1]
    seconds = np.arange(n_times) * decim * factor / fs_hz - BEFORE_S
    kept = (seconds >= REFERENCE_S[0]) & (seconds <= task_s + 0.5)
    change = {}
    for label, total in sums.items():
        mean = total / counts[label]
        before = (seconds >= REFERENCE_S[0]) & (seconds <= REFERENCE_S[1])
        reference = mean[:, :, before].mean(axis=2, keepdims=True)
        change[label] = 100.0 * (mean - reference)[:, :, kept] / np.maximum(reference, 1e-12)
    return Responses(
        change,
        seconds[kept],
        FREQUENCIES_HZ,
        runs[0].info.channels,
        counts,
        cues - sum(counts.values()),
        task_s,
        averaged,
    )


def _batches(run: Run, label: str, *, task_s: float, factor: int, averaged: bool) -> Iterator[F64]:
    """Whole, unspoilt trials of a class: (n_trials, n_channels, n_times) at the lower rate, few at a time."""
    from scipy.signal import decimate, detrend

    trials: list[F64] = []
    for cue in _cues(run, label):
        fs_hz = run.info.fs_hz
        begin = cue - round(BEFORE_S * fs_hz)
        data = _cut(run, begin, begin + round((BEFORE_S + task_s + AFTER_S) * fs_hz))
        if data is None:
            continue
        data = detrend(data, axis=1)
        data = data - data.mean(axis=0) if averaged else data
        trials.append(decimate(data, factor, ftype="fir", axis=1) if factor > 1 else data)
        if len(trials) == BATCH:
            yield np.stack(trials)
            trials = []
    if trials:
        yield np.stack(trials)


def _cues(run: Run, label: str) -> Iterator[int]:
    """Cues of a class that no "spoilt" follows before the next cue."""
    ordered = sorted(run.markers, key=lambda marker: marker.sample_index)
    for marker, following in zip(ordered, [*ordered[1:], None], strict=True):
        if marker.label == label and (following is None or following.label != SPOILT):
            yield marker.sample_index


def _cut(run: Run, begin: int, end: int) -> F64 | None:
    """The samples from `begin` to `end`, None if one of them is missing."""
    parts = []
    at = begin
    for chunk in run.chunks:
        if chunk.end_sample <= at or chunk.first_sample >= end:
            continue
        if chunk.first_sample > at:
            return None
        parts.append(chunk.data_uv[:, at - chunk.first_sample : end - chunk.first_sample])
        at = min(chunk.end_sample, end)
    return np.concatenate(parts, axis=1) if parts and at == end else None
