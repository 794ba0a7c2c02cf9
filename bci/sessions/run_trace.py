"""What happened in control, kept for scoring and for the report's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bci.decisions import Prediction
from bci.evaluation import EventScore, TaskEvent, match_events
from bci.pipeline import Run
from bci.prosthesis import logged_intents
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Refused
from bci.prosthesis.user_profile import RELEASE
from bci.sessions.control import Decided

__all__ = ["RunTrace", "accepted_intents"]

REST = "rest"


@dataclass(slots=True)
class RunTrace:
    """Decisions of one control run, and the hand's closure beside each.

    `closure` is the mean of the five fingers as the monitor last said it, for pictures only.
    """

    name: str
    fs_hz: float
    first_sample: int
    predictions: list[Prediction] = field(default_factory=list)
    intents: list[tuple[int, int, str]] = field(default_factory=list)
    closure: list[float] = field(default_factory=list)

    def add(self, decided: Decided, closure: float) -> None:
        self.predictions.append(decided.prediction)
        self.closure.append(closure)
        if decided.intent is not None:
            self.intents.append((decided.intent.number, decided.intent.sample_index, decided.intent.action))

    def seconds(self, sample_index: int) -> float:
        """Device time since the start of the run."""
        return (sample_index - self.first_sample) / self.fs_hz

    def moved(self, accepted: frozenset[int]) -> dict[int, str]:
        """Movements that the monitor let happen, by sample; the end of a held one is no movement of its own."""
        return {at: action for number, at, action in self.intents if number in accepted and action != RELEASE}

    def score(self, run: Run, events: Sequence[TaskEvent], accepted: frozenset[int]) -> EventScore:
        """Count the movements that the monitor let happen against the cues of the run."""
        moved = self.moved(accepted)
        samples = [p.sample_index for p in self.predictions]
        return match_events(
            samples,
            [moved.get(sample, REST) for sample in samples],
            list(events),
            fs_hz=self.fs_hz,
            span=(run.first_sample, run.end_sample),
            rest=REST,
        )


def accepted_intents(log_path: Path) -> frozenset[int]:
    """Numbers of the intents that the safety monitor acted on, from its event log."""
    refused = {
        int(item.what.removeprefix("intent "))
        for item in read_log(log_path)
        if isinstance(item, Refused) and item.what.startswith("intent ")
    }
    return frozenset(intent.number for intent in logged_intents(log_path)) - refused
