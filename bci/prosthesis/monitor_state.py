"""What the safety monitor knows: its modes, the doubts there are, and `State`. What follows is in `safety`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bci.language import N_, _
from bci.prosthesis.hand import Closures
from bci.prosthesis.user_profile import Profile

__all__ = [
    "ALREADY",
    "CAUSES",
    "DISARM_FIRST",
    "GONE",
    "HAND",
    "LASTING",
    "NOT_READY",
    "PASSING",
    "RUN_OUT",
    "SIGNAL",
    "UNKNOWN",
    "Mode",
    "Rules",
    "State",
    "say_cause",
]


class Mode(StrEnum):
    DISARMED = "disarmed"
    IDLE = "idle"
    ARMED = "armed"
    MOVING = "moving"
    HOLD = "hold"
    FAULT = "fault"


#: Every doubt there is, gravest first, with the words people read; whoever shows them says them through `_`.
CAUSES: dict[str, str] = {
    "stop": N_("STOP was pressed"),
    "gone": N_("the decoder process is gone"),
    "internal": N_("the monitor itself failed"),
    "log": N_("events cannot be written to the log"),
    "decoder": N_("the decoder reported an error"),
    "nan": N_("an intent was not a number"),
    "hand-link": N_("the hand does not answer"),
    "hand-fault": N_("the hand reports an error or nonsense"),
    "hand-limit": N_("current, force or temperature of the hand is over its limit"),
    "time-limit": N_("one movement lasted too long"),
    "late": N_("the monitor was not running in time"),
    "stale": N_("no fresh signal"),
    "loss": N_("too many samples were lost"),
    "lead-off": N_("an electrode is off"),
    "saturated": N_("an amplifier is saturated"),
    "outlier": N_("the signal is unlike anything in the calibration"),
}


#: Why arming is refused, besides doubts; what is logged stays English, whoever reads it.
NOT_READY = N_("the hand was not ready yet")
DISARM_FIRST = "disarm first: "
RUN_OUT = N_("the calibration certificate has run out: calibrate again")
ALREADY: dict[Mode, str] = {Mode.ARMED: N_("already armed"), Mode.MOVING: N_("already moving")}


def say_cause(cause: str) -> str:
    """A cause as `State.cause` gives it, one doubt or several, in the language spoken now."""
    if cause.startswith(DISARM_FIRST):
        return _("disarm first: {cause}").format(cause=say_cause(cause.removeprefix(DISARM_FIRST)))
    return _("; ").join(_(doubt) for doubt in cause.split("; ") if doubt)


#: Doubts that may clear by themselves while holding.
SIGNAL = frozenset({"stale", "loss", "lead-off", "saturated", "outlier"})
PASSING = SIGNAL | {"time-limit", "late"}

#: Doubts about the hand.
HAND = frozenset({"hand-link", "hand-fault", "hand-limit"})

#: With one of these it is not even opened: nobody knows what it would do.
UNKNOWN = frozenset({"hand-link", "hand-fault"})

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
    action: str = ""  # what was accepted last, until it is interrupted
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
