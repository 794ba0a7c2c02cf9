"""What the safety monitor knows: its modes, the doubts there are, and `State`. What follows is in `safety`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bci.prosthesis.hand import Closures
from bci.prosthesis.user_profile import Profile

__all__ = ["CAUSES", "GONE", "HAND", "LASTING", "PASSING", "SIGNAL", "Mode", "Rules", "State"]


class Mode(StrEnum):
    DISARMED = "disarmed"
    IDLE = "idle"
    ARMED = "armed"
    MOVING = "moving"
    HOLD = "hold"
    FAULT = "fault"


#: Every doubt there is, gravest first, with the words people read.
CAUSES: dict[str, str] = {
    "stop": "STOP was pressed",
    "gone": "the decoder process is gone",
    "internal": "the monitor itself failed",
    "log": "events cannot be written to the log",
    "decoder": "the decoder reported an error",
    "nan": "an intent was not a number",
    "hand-link": "the hand does not answer",
    "hand-fault": "the hand reports an error or nonsense",
    "hand-limit": "current, force or temperature of the hand is over its limit",
    "time-limit": "one movement lasted too long",
    "late": "the monitor was not running in time",
    "stale": "no fresh signal",
    "loss": "too many samples were lost",
    "lead-off": "an electrode is off",
    "saturated": "an amplifier is saturated",
    "outlier": "the signal is unlike anything in the calibration",
}

#: Doubts that may clear by themselves while holding.
SIGNAL = frozenset({"stale", "loss", "lead-off", "saturated", "outlier"})
PASSING = SIGNAL | {"time-limit", "late"}

#: Doubts about the hand: with one of these it is not even opened.
HAND = frozenset({"hand-link", "hand-fault", "hand-limit"})

#: Doubts that the operator cannot acknowledge away.
LASTING = frozenset({"gone", "internal", "log", "hand-link"}) | SIGNAL

#: After so many unanswered frames, half a second, nobody knows where the hand stands.
GONE = 25

ZERO: Closures = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
FREE = (False, False, False, False, False, False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays the same for a session: the user's profile and what the certificate allows.

    `refusal` says why arming is out of the question ("" if it is not); `armable_until_us` is when the
    certificate runs out on the monitor's clock.
    """

    profile: Profile
    refusal: str = ""
    armable_until_us: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """All the monitor knows. Times in µs on the monitor's clock, closures 0–1."""

    rules: Rules
    mode: Mode = Mode.DISARMED
    doubts: frozenset[str] = frozenset({"stale", "hand-link"})
    t_us: int = 0
    ticked_us: int = 0  # newest tick
    doubted_us: int = 0  # newest moment with a doubt
    held_us: int = 0  # when HOLD was entered
    frames: int = 0  # commands sent
    # the signal
    sample: int = -1  # newest conversion the decoder has seen
    heard_us: int = -(10**12)  # when that was news
    lag_us: int | None = None  # smallest distance to the board's clock, slowly forgotten
    lost_milli: int = 0  # leaky bucket of lost samples, in thousandths
    # the hand
    answered: int = -GONE  # frames sent when it last answered
    actual: Closures = ZERO
    contact: tuple[bool, bool, bool, bool, bool, bool] = FREE
    setpoint: Closures = ZERO
    speed: Closures = ZERO
    # the movement
    intent: int = 0  # newest number seen
    grip: str = ""
    target: Closures = ZERO
    pace: float = 1.0  # share of the rate limit
    live_until: int = 0  # proportional control: sample after which the intent has faded
    moving_us: int = 0  # when this movement began

    @property
    def lost_sight(self) -> bool:
        """The hand has not answered for so long that its set points mean nothing any more."""
        return self.frames - self.answered >= GONE

    @property
    def cause(self) -> str:
        """All doubts in words, gravest first."""
        return "; ".join(words for name, words in CAUSES.items() if name in self.doubts)
