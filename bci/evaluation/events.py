"""Asynchronous scoring: what a policy's output did over whole runs, cues and pauses alike.

Rules, per run
- The output is a class name at each decision; "rest" is off. A rising edge is a change into a movement
  class, or between two of them. Before the first decision the output is off.
- The hit window of an event reaches from its cue to the end of its task plus a grace of 0.5 s, and ends
  earlier where the next event's cue comes. All other time is idle, rest cues included.
- Hit: the first rising edge inside the hit window, if it is into the cued class. Later edges inside are
  ignored. An output already on at the cue is a miss, whatever it does then.
- False positive: every rising edge in idle time, a first edge into a wrong class inside a hit window, and
  one more for every full 2 s that the output stays on in idle time.
- Latency is counted from the cue to the decision with the edge.

Cued accuracy never stands in for these figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import ShapeError
from bci.evaluation.intervals import Interval, poisson_interval

__all__ = ["EventScore", "TaskEvent", "match_events"]

_TRUE_NEGATIVE_S = 2.0  # idle time counts as one refusal per 2 s, the length of one independent window


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """A cued movement: what was asked for, from when, until when (sample numbers of one run)."""

    cue_sample: int
    end_sample: int
    label: str


@dataclass(frozen=True, slots=True)
class EventScore:
    """Counts of one or more runs; runs are joined with ``+`` (or ``sum(scores, EventScore())``).

    Parameters
    ----------
    n_events : int
        Cued movements.
    hits : int
        Events answered in time by the right class.
    false_positives : int
        Movements nobody asked for, and long ones counted again every 2 s.
    idle_s : float
        Seconds of device time outside hit windows.
    hit_window_s : float
        Seconds of device time inside hit windows.
    latencies_s : tuple of float
        Cue to rising edge, of the hits.
    """

    n_events: int = 0
    hits: int = 0
    false_positives: int = 0
    idle_s: float = 0.0
    hit_window_s: float = 0.0
    latencies_s: tuple[float, ...] = ()

    def __add__(self, other: EventScore) -> EventScore:
        return EventScore(
            self.n_events + other.n_events,
            self.hits + other.hits,
            self.false_positives + other.false_positives,
            self.idle_s + other.idle_s,
            self.hit_window_s + other.hit_window_s,
            self.latencies_s + other.latencies_s,
        )

    @property
    def true_positive_rate(self) -> float:
        """Hits per event; NaN without events."""
        return self.hits / self.n_events if self.n_events else math.nan

    @property
    def false_positives_per_min(self) -> float:
        """False positives per minute of idle device time; NaN without idle time."""
        return 60.0 * self.false_positives / self.idle_s if self.idle_s > 0 else math.nan

    @property
    def false_positives_interval(self) -> Interval:
        """Exact 95 % Poisson interval of `false_positives_per_min`."""
        return poisson_interval(self.false_positives, self.idle_s / 60.0)

    @property
    def latency_s_median(self) -> float:
        """Median seconds from cue to hit; NaN without hits."""
        return float(np.median(self.latencies_s)) if self.latencies_s else math.nan

    @property
    def blind_true_positive_rate(self) -> float:
        """What firing at random at the same false-positive rate would hit: 1 - exp(-rate · hit window)."""
        if not self.n_events or not self.idle_s > 0:
            return math.nan
        return 1.0 - math.exp(-self.false_positives / self.idle_s * self.hit_window_s / self.n_events)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where there was nothing to find and nothing was claimed."""
        denominator = self.hits + self.false_positives + self.n_events
        return 2.0 * self.hits / denominator if denominator else math.nan

    @property
    def normalised_mcc(self) -> float:
        """Matthews correlation mapped from -1..1 to 0..1; a true negative is 2 s of idle time without a
        false positive.

        References
        ----------
        .. [1] Chicco and Jurman, BMC Genomics 21:6, 2020. doi:10.1186/s12864-019-6413-7
        """
        tp, fp, fn = self.hits, self.false_positives, self.n_events - self.hits
        tn = max(0.0, self.idle_s // _TRUE_NEGATIVE_S - fp)
        denominator = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        mcc = (tp * tn - fp * fn) / denominator if denominator else 0.0
        return (mcc + 1.0) / 2.0


def match_events(
    sample_index: ArrayLike,
    output: ArrayLike,
    events: Sequence[TaskEvent],
    *,
    fs_hz: float,
    span: tuple[int, int] | None = None,
    rest: str = "rest",
    grace_s: float = 0.5,
    hold_s: float = 2.0,
) -> EventScore:
    """Score a policy's output over one run.

    Parameters
    ----------
    sample_index : array-like of int, shape (n_decisions,)
        Sample number of each decision, strictly increasing. A decision holds until the next one.
    output : array-like of str or bool, shape (n_decisions,)
        Name of the active class at each decision, `rest` where nothing moves. Booleans are allowed where
        all events have one label.
    events : sequence of TaskEvent
        Cued movements of this run (rest cues are no events), in any order.
    fs_hz : float
        Sampling rate.
    span : (first_sample, end_sample), optional
        Extent of the run; by default from the first decision to one decision period after the last.
    rest : str
        The class that moves nothing.
    grace_s : float
        How long after the task's end an edge still answers the cue.
    hold_s : float
        An output that stays on in idle time counts once more for every full `hold_s`.

    Returns
    -------
    EventScore

    Raises
    ------
    ShapeError
        If the lists differ in length, decisions do not go forward in time, or an event ends before its cue.
    """
    times = np.asarray(sample_index, dtype=np.int64)
    ordered = sorted(events, key=lambda event: event.cue_sample)
    names = _as_names(np.asarray(output), ordered, rest)
    if times.ndim != 1 or len(times) < 2 or names.shape != times.shape or np.any(np.diff(times) <= 0):
        raise ShapeError(
            "expected at least 2 decisions at strictly increasing sample numbers and one output each, "
            f"got {times.shape} and {names.shape}"
        )
    ends = np.append(times[1:], 2 * times[-1] - times[-2])
    first, stop = span if span is not None else (int(times[0]), int(ends[-1]))
    on = names != rest
    changed = np.append(True, names[1:] != names[:-1])
    edges = np.flatnonzero(on & changed)
    edge_times = times[edges]

    idle_edge = np.ones(len(edges), dtype=bool)
    idle_bounds = [first]  # alternating: start of an idle stretch, end of it, start of the next …
    false_positives = 0
    latencies: list[float] = []
    for i, event in enumerate(ordered):
        if event.end_sample < event.cue_sample:
            raise ShapeError(f"event at sample {event.cue_sample} ends before it, at {event.end_sample}")
        limit = event.end_sample + round(grace_s * fs_hz)
        if i + 1 < len(ordered):
            limit = min(limit, ordered[i + 1].cue_sample - 1)
        idle_bounds += [event.cue_sample, limit + 1]
        low, high = np.searchsorted(edge_times, [event.cue_sample, limit + 1])
        idle_edge[low:high] = False
        before_cue = np.searchsorted(times, event.cue_sample) - 1
        if low == high or (before_cue >= 0 and on[before_cue]):
            continue
        if names[edges[low]] == event.label:
            latencies.append(float(edge_times[low] - event.cue_sample) / fs_hz)
        else:
            false_positives += 1
    idle_bounds.append(stop)
    idle = np.clip(np.asarray(idle_bounds, dtype=np.int64).reshape(-1, 2), first, stop)

    false_positives += int(idle_edge.sum())
    false_positives += _held_on(times, ends, on, idle, hold_samples=round(hold_s * fs_hz))
    idle_samples = int(np.maximum(idle[:, 1] - idle[:, 0], 0).sum())
    return EventScore(
        n_events=len(ordered),
        hits=len(latencies),
        false_positives=false_positives,
        idle_s=idle_samples / fs_hz,
        hit_window_s=(stop - first - idle_samples) / fs_hz,
        latencies_s=tuple(latencies),
    )


def _held_on(
    times: NDArray[np.int64],
    ends: NDArray[np.int64],
    on: NDArray[np.bool_],
    idle: NDArray[np.int64],
    *,
    hold_samples: int,
) -> int:
    """How often a full hold period fits into the stretches that the output spends on without a break in
    idle time.
    """
    step = np.diff(np.concatenate(([0], on.astype(np.int8), [0])))
    stretches = zip(times[np.flatnonzero(step == 1)], ends[np.flatnonzero(step == -1) - 1], strict=True)
    count = 0
    for start, end in stretches:
        overlap = np.minimum(idle[:, 1], end) - np.maximum(idle[:, 0], start)
        count += int((overlap[overlap > 0] // hold_samples).sum())
    return count


def _as_names(output: NDArray[np.generic], events: Sequence[TaskEvent], rest: str) -> NDArray[np.generic]:
    """Class names; booleans stand for the one label that all events share."""
    if output.dtype != np.bool_:
        return output
    labels = {event.label for event in events} or {"movement"}
    if len(labels) > 1:
        raise ShapeError(f"a boolean output cannot tell {sorted(labels)} apart: give class names")
    return np.where(output, labels.pop(), rest)
