"""False movements per minute with the minutes they rest on: what the hand did while rest or movement was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.evaluation import EventScore, TaskEvent, match_events
from bci.pipeline import Model
from bci.sessions.control import Decided
from bci.sessions.run_trace import REST, RunTrace, accepted_intents
from bci.sessions.summary import movement_figures

__all__ = ["Measured"]

#: Modes in which the hand follows, or would if no doubt held it.
FOLLOWING = frozenset({"armed", "moving", "hold"})


@dataclass(slots=True)
class _Stretch:
    """Part of a measured check: `following` throughout, or not; `held` samples of it in a doubt."""

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
    _cues: list[TaskEvent] = field(default_factory=list)
    _stretches: list[_Stretch] = field(default_factory=list)
    _running: bool = False
    _at: int = 0

    def __post_init__(self) -> None:
        self.trace = RunTrace("measured check", self.fs_hz, 0)

    def begin(self, sample: int) -> None:
        """A check begins at this sample."""
        self._running, self._at = True, sample

    def end(self, sample: int) -> None:
        """It is over."""
        self._running = False

    def cue(self, label: str, sample: int) -> None:
        """A cue was shown."""
        if self._running:
            self._cues.append(TaskEvent(sample, sample + round(self.model.timing.task_s * self.fs_hz), label))

    def add(self, decided: Decided, mode: str, closure: float) -> None:
        """A decision, and the monitor's mode when it was made."""
        if not self._running:
            return
        self.trace.add(decided, closure)
        end = decided.prediction.sample_index + 1
        following = mode in FOLLOWING
        if (
            not self._stretches
            or self._stretches[-1].following != following
            or self._stretches[-1].end < self._at
        ):
            self._stretches.append(_Stretch(self._at, end, following))
        self._stretches[-1].end = end
        if mode == "hold":
            self._stretches[-1].held += end - self._at
        self._at = end

    def score(self, accepted: frozenset[int]) -> EventScore:
        """Count the movements that the monitor let happen."""
        moved = {sample: action for number, sample, action in self.trace.intents if number in accepted}
        samples = [p.sample_index for p in self.trace.predictions]
        total = EventScore()
        for stretch in self._stretches:
            if not stretch.following:
                continue
            inside = [s for s in samples if stretch.first <= s < stretch.end]
            events = [
                e
                for e in self._cues
                if e.label != REST and stretch.first <= e.cue_sample and e.end_sample <= stretch.end
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
