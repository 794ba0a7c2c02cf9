"""False movements per minute with the minutes they rest on: what the hand did while rest or movement was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.evaluation import EventScore, TaskEvent, match_events
from bci.pipeline import Model
from bci.report.visit import MeasuredRun
from bci.sessions.control import Decided
from bci.sessions.run_trace import REST, RunTrace, accepted_intents
from bci.sessions.summary import movement_figures

__all__ = ["Measured"]

#: Modes in which the hand follows, or would if no doubt held it.
FOLLOWING = frozenset({"armed", "moving", "hold"})


@dataclass(slots=True)
class _Stretch:
    """Part of a measured check: `following` throughout, or not; `held` samples of it in a doubt."""

    run: int  # which check
    row: int  # its first decision among all
    first: int
    end: int
    following: bool
    held: int = 0


@dataclass(slots=True)
class Measured:
    """Gathers decisions and cues of measured checks; time in which the hand was not armed counts for nothing.

    Parameters
    ----------
    model : Model
    fs_hz : float
    """

    model: Model
    fs_hz: float
    trace: RunTrace = field(init=False)
    _cues: list[tuple[int, TaskEvent]] = field(default_factory=list)  # each with the number of its check
    _stretches: list[_Stretch] = field(default_factory=list)
    _running: bool = False
    _at: int = 0
    _begun: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trace = RunTrace("measured check", self.fs_hz, 0)

    def begin(self, sample: int) -> None:
        """A check begins at this sample."""
        self._running, self._at = True, sample
        self._begun.append(sample)

    def end(self, sample: int) -> None:
        """It is over."""
        self._running = False

    def cue(self, label: str, sample: int) -> None:
        """A cue was shown."""
        if self._running:
            event = TaskEvent(sample, sample + round(self.model.timing.task_s * self.fs_hz), label)
            self._cues.append((len(self._begun) - 1, event))

    def add(self, decided: Decided, mode: str, closure: float) -> None:
        """A decision, and the monitor's mode when it was made."""
        if not self._running:
            return
        self.trace.add(decided, closure)
        end = decided.prediction.sample_index + 1
        following = mode in FOLLOWING
        run = len(self._begun) - 1
        newest = self._stretches[-1] if self._stretches else None
        if newest is None or (newest.run, newest.following) != (run, following) or newest.end < self._at:
            row = len(self.trace.predictions) - 1
            self._stretches.append(_Stretch(run, row, self._at, end, following))
        self._stretches[-1].end = end
        if mode == "hold":
            self._stretches[-1].held += end - self._at
        self._at = end

    def score(self, accepted: frozenset[int], run: int | None = None) -> EventScore:
        """Count the movements that the monitor let happen, in all checks or in this one."""
        moved = self.trace.moved(accepted)
        samples = [p.sample_index for p in self.trace.predictions]
        total = EventScore()
        ends = [*(stretch.row for stretch in self._stretches[1:]), len(samples)]
        for stretch, end_row in zip(self._stretches, ends, strict=True):
            if not stretch.following or run not in (None, stretch.run):
                continue
            inside = samples[stretch.row : end_row]
            if len(inside) < 2:  # a tenth of a second tells nothing
                continue
            events = [
                e
                for number, e in self._cues
                if number == stretch.run
                and e.label != REST
                and stretch.first <= e.cue_sample
                and e.end_sample <= stretch.end
            ]
            score = match_events(
                inside,
                [moved.get(s, REST) for s in inside],
                events,
                fs_hz=self.fs_hz,
                span=(stretch.first, stretch.end),
                rest=REST,
            )
            held_s = min(stretch.held / self.fs_hz, score.idle_s)  # a hand that is held cannot move falsely
            total += EventScore(
                score.n_events,
                score.hits,
                score.false_positives,
                score.idle_s - held_s,
                score.hit_window_s,
                score.latencies_s,
            )
        return total

    def figures(self, log: Path) -> dict[str, Any] | None:
        """As `movement_figures`; None where nothing was measured."""
        if not any(stretch.following for stretch in self._stretches):
            return None
        found = self.score(accepted_intents(log))
        return movement_figures(found) if found.idle_s > 0 else None

    def runs(self, log: Path, *, begun: int) -> tuple[MeasuredRun, ...]:
        """Each check by itself, in their order; those in which nothing was measured are left out.

        `begun`: the sample from which seconds count.
        """
        accepted = accepted_intents(log)
        scores = [(first, self.score(accepted, run)) for run, first in enumerate(self._begun)]
        return tuple(
            MeasuredRun(
                second=round((first - begun) / self.fs_hz, 1),
                hits=score.hits,
                cued_movements=score.n_events,
                false_movements=score.false_positives,
                idle_minutes=score.idle_s / 60.0,
            )
            for first, score in scores
            if score.idle_s > 0
        )
