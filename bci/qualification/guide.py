"""Leading an operator through a board's measurements: one thing at a time. States and events, no clock and no port.

`Guide` is a value; `step(guide, event)` gives the next one. The bench turns what happens into events (an answer of the
operator, seconds of signal, a verdict), a view draws whatever the guide is. So every course an operator can take is a
list of events in a test.

    INSTRUCT ──go──▶ MEASURE ──last take──▶ JUDGE ──verdict──▶ next, or ASK if only hands can help
       └──skip──▶ next          (at any time: abort ──▶ ABORTED)         └──again──▶ INSTRUCT
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from bci.qualification.result import Measurement, Verdict

__all__ = [
    "Abort",
    "Again",
    "Event",
    "Go",
    "Guide",
    "Judged",
    "Outcome",
    "Planned",
    "PlannedTake",
    "Progress",
    "Resumed",
    "Skip",
    "Stage",
    "TakeDone",
    "begin",
    "plan",
    "step",
]


class Stage(StrEnum):
    INSTRUCT = "instruct"  # the operator has to put something at the board
    MEASURE = "measure"
    JUDGE = "judge"
    ASK = "ask"  # nothing could be measured; the operator may put it right
    FINISHED = "finished"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class PlannedTake:
    """`connect` is what must lie at the inputs, as a sorted tuple so that two of them can be compared."""

    name: str
    instruction: str
    connect: tuple[tuple[str, float | str], ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Planned:
    """A measurement as the operator sees it."""

    name: str
    title: str
    takes: tuple[PlannedTake, ...]

    @property
    def by_hand(self) -> bool:
        """The operator had a part in it, so trying again can help."""
        return any(take.instruction for take in self.takes)

    @property
    def seconds(self) -> float:
        return sum(take.seconds for take in self.takes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a measurement; `sentence` says why it failed or was not measured."""

    name: str
    title: str
    verdict: Verdict
    sentence: str = ""


# ---- events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Go:
    """The operator did what was asked."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The operator goes without this measurement."""


@dataclass(frozen=True, slots=True)
class Again:
    """The operator wants to try it again."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Esc, or whatever else ends it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """So much signal of the present take is there; it took `passed_s` seconds of the operator's life."""

    signal_s: float
    passed_s: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """So many takes were there before the program was interrupted. `last`: no further one is wanted."""

    n_takes: int
    last: bool = False


@dataclass(frozen=True, slots=True)
class TakeDone:
    """A take is complete. `last`: no further one is wanted, e.g. because it has failed already."""

    last: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """All results are there and stored."""

    verdict: Verdict
    sentence: str = ""


Event: TypeAlias = Go | Skip | Again | Abort | Progress | Resumed | TakeDone | Judged


# ---- the state -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Guide:
    """Where the operator is. Made by `begin`, changed by `step`."""

    plan: tuple[Planned, ...]
    stage: Stage = Stage.MEASURE
    at: int = 0
    take: int = 0
    connected: tuple[tuple[str, float | str], ...] | None = None
    signal_s: float = 0.0
    outcomes: tuple[Outcome, ...] = ()
    sentence: str = ""  # of the last verdict, while it is asked about
    _paced: tuple[float, float] = field(default=(0.0, 0.0))  # signal and life of all takes before this one
    _passed_s: float = 0.0

    @property
    def over(self) -> bool:
        return self.stage in (Stage.FINISHED, Stage.ABORTED)

    @property
    def now(self) -> Planned | None:
        return None if self.at >= len(self.plan) else self.plan[self.at]

    @property
    def present(self) -> PlannedTake | None:
        return None if self.now is None or self.take >= len(self.now.takes) else self.now.takes[self.take]

    @property
    def done_s(self) -> float:
        """Seconds of signal taken of the present measurement."""
        before = 0.0 if self.now is None else sum(take.seconds for take in self.now.takes[: self.take])
        return before + self.signal_s

    @property
    def left_s(self) -> float:
        """How long the rest will take, hands not counted, at the pace so far."""
        signal, passed = self._paced[0] + self.signal_s, self._paced[1] + self._passed_s
        pace = passed / signal if signal > 0 else 1.0
        to_come = sum(planned.seconds for planned in self.plan[self.at :]) - self.done_s
        return max(to_come, 0.0) * pace

    @property
    def answers(self) -> tuple[type[Event], ...]:
        """What the operator may say now."""
        answers: dict[Stage, tuple[type[Event], ...]] = {
            Stage.INSTRUCT: (Go, Skip, Abort),
            Stage.ASK: (Again, Skip, Abort),
            Stage.MEASURE: (Abort,),
            Stage.JUDGE: (Abort,),
        }
        return answers.get(self.stage, ())


def plan(measurements: Sequence[Measurement], n_channels: int) -> tuple[Planned, ...]:
    """What an operator will see of these measurements, in the language spoken."""
    return tuple(
        Planned(
            m.name,
            m.title(),
            tuple(
                PlannedTake(take.name, take.instruction, _key(take.connect), take.seconds + take.settle_s)
                for take in m.takes(n_channels)
            ),
        )
        for m in measurements
    )


def begin(planned: Sequence[Planned]) -> Guide:
    """At the first measurement, or finished if there is none."""
    return _arrived(Guide(tuple(planned)))


def step(guide: Guide, event: Event) -> Guide:
    """The guide after `event`. What does not fit the stage, e.g. a key pressed twice, changes nothing."""
    if guide.over:
        return guide
    match guide.stage, event:
        case _, Abort():
            return replace(guide, stage=Stage.ABORTED)
        case Stage.INSTRUCT, Go():
            assert guide.present is not None
            return replace(guide, stage=Stage.MEASURE, connected=guide.present.connect)
        case Stage.INSTRUCT, Skip():
            return _next(guide, Outcome(*_named(guide), "not measured"))
        case Stage.MEASURE, Progress(signal_s, passed_s):
            return replace(guide, signal_s=signal_s, _passed_s=passed_s)
        case Stage.MEASURE, Resumed(n_takes, last):
            assert guide.now is not None
            guide = replace(guide, take=min(n_takes, len(guide.now.takes)))
            return replace(guide, stage=Stage.JUDGE) if last else _arrived(guide)
        case Stage.MEASURE, TakeDone(last):
            return _taken(guide, last=last)
        case Stage.JUDGE, Judged(verdict, sentence):
            assert guide.now is not None
            if verdict == "not measured" and guide.now.by_hand:
                return replace(guide, stage=Stage.ASK, sentence=sentence)
            return _next(guide, Outcome(*_named(guide), verdict, sentence))
        case Stage.ASK, Again():
            return _arrived(replace(guide, take=0, connected=None, sentence=""))
        case Stage.ASK, Skip():
            return _next(guide, Outcome(*_named(guide), "not measured", guide.sentence))
    return guide


def _taken(guide: Guide, *, last: bool) -> Guide:
    assert guide.now is not None
    paced = (guide._paced[0] + guide.signal_s, guide._paced[1] + guide._passed_s)
    guide = replace(guide, take=guide.take + 1, signal_s=0.0, _paced=paced, _passed_s=0.0)
    if last or guide.take >= len(guide.plan[guide.at].takes):
        return replace(guide, stage=Stage.JUDGE)
    return _arrived(guide)


def _next(guide: Guide, outcome: Outcome) -> Guide:
    outcomes = (*guide.outcomes, outcome)
    return _arrived(replace(guide, at=guide.at + 1, take=0, signal_s=0.0, outcomes=outcomes, sentence=""))


def _arrived(guide: Guide) -> Guide:
    """At a take: the operator is asked only if something else has to lie at the inputs."""
    take = guide.present
    if guide.now is None:
        return replace(guide, stage=Stage.FINISHED)
    if take is None:
        return replace(guide, stage=Stage.JUDGE)
    asks = bool(take.instruction) and take.connect != guide.connected
    return replace(guide, stage=Stage.INSTRUCT if asks else Stage.MEASURE, signal_s=0.0)


def _named(guide: Guide) -> tuple[str, str]:
    assert guide.now is not None
    return guide.now.name, guide.now.title


def _key(connect: Mapping[str, float | str]) -> tuple[tuple[str, float | str], ...]:
    return tuple(sorted(connect.items()))
