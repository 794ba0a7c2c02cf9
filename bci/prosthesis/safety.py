"""The safety monitor: one pure function, `step(state, event) -> (state, actions)`. Time is an event.

What may follow what is `TABLE` below, and nothing else changes the mode. In words:

- DISARMED  Held. Something is missing (no fresh signal, no electrode contact, no hand), or nobody asked yet.
- IDLE      Held. All is well; the operator may arm, if a calibration certificate says the decoder beats
  chance.
- ARMED     Held. Waiting for an intent.
- MOVING    The only mode in which a set point may move towards closing.
- HOLD      Held, because of a doubt. A passing doubt (signal, a late tick, a movement that lasted too long) that
            stays away for the profile's recovery time leads back to ARMED, and the interrupted movement is forgotten;
            any other waits for the operator.
- FAULT     A doubt that outlasted the profile's delay. The hand opens slowly if the profile allows, else it
            stays held; so does one that does not answer or says that it is broken. Only the operator leads out
            of it: disarm, then arm.

STOP leads to HOLD from every mode, is never passing, and only disarming and arming again leads to a movement.
A frame is decided anew at each tick and HOLD is commanded explicitly; entering HOLD sends its frame at once.
A hand that has not answered for half a second may have been moved or switched off meanwhile: it is only looked
at, and once it answers it is held where it stands. What counts as a doubt, and what an intent means, is in `verdicts`.
Arming, intents and replies that are malformed, late or old are refused or doubted, never obeyed: on doubt the
hand holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any

from bci.prosthesis.events import (
    Action,
    Arm,
    Asked,
    Disarm,
    Entered,
    Event,
    HandLost,
    Heard,
    Rebased,
    Refused,
    Replied,
    Stop,
    Tick,
    Trouble,
)
from bci.prosthesis.hand import Closures, Command
from bci.prosthesis.monitor_state import FREE, GONE, HAND, LASTING, SIGNAL, UNKNOWN, ZERO, Mode, State
from bci.prosthesis.motion import advance, hold_at, reach_of
from bci.prosthesis.verdicts import (
    arming_refusal,
    grip_of,
    intent_refusal,
    plausible,
    reply_doubts,
    signal_doubts,
    target_of,
)

__all__ = ["TABLE", "TICK_US", "UNANSWERED", "Trigger", "step"]

TICK_US = 20_000

#: A gap between two ticks longer than this during a movement is itself a doubt: the monitor was not running.
LATE_US = 100_000

#: So many frames without an answer: the link is lost. Frames, not time, so that a monitor that slept does not
#: blame the hand; an adapter that hands on each answer with the next frame is always one behind.
UNANSWERED = 4


class Trigger(Enum):
    READY = "no doubt is left"
    DOUBT = "a doubt arose"
    CLEAR = "all doubts stayed away for the recovery time"
    OVERDUE = "a doubt outlasted the profile's delay"
    ARM = "the operator armed, and nothing spoke against it"
    DISARM = "the operator disarmed"
    STOP = "STOP"
    INTENT = "a valid intent was accepted"
    ARRIVED = "the movement is over"


#: mode → what leads where. What is not listed changes nothing.
TABLE: dict[Mode, dict[Trigger, Mode]] = {
    Mode.DISARMED: {
        Trigger.READY: Mode.IDLE,
        Trigger.DISARM: Mode.DISARMED,
        Trigger.STOP: Mode.HOLD,
    },
    Mode.IDLE: {
        Trigger.DOUBT: Mode.DISARMED,
        Trigger.ARM: Mode.ARMED,
        Trigger.DISARM: Mode.DISARMED,
        Trigger.STOP: Mode.HOLD,
    },
    Mode.ARMED: {
        Trigger.INTENT: Mode.MOVING,
        Trigger.DOUBT: Mode.HOLD,
        Trigger.DISARM: Mode.DISARMED,
        Trigger.STOP: Mode.HOLD,
    },
    Mode.MOVING: {
        Trigger.INTENT: Mode.MOVING,
        Trigger.ARRIVED: Mode.ARMED,
        Trigger.DOUBT: Mode.HOLD,
        Trigger.DISARM: Mode.DISARMED,
        Trigger.STOP: Mode.HOLD,
    },
    Mode.HOLD: {
        Trigger.CLEAR: Mode.ARMED,
        Trigger.OVERDUE: Mode.FAULT,
        Trigger.DISARM: Mode.DISARMED,
        Trigger.STOP: Mode.HOLD,
    },
    Mode.FAULT: {
        Trigger.DISARM: Mode.DISARMED,
        Trigger.STOP: Mode.HOLD,
    },
}


def step(state: State, event: Event) -> tuple[State, list[Action]]:
    """The next state, and what to do: pure, total, and the same for the same arguments on every run.

    Events must come in the order of their `t_us`; an older time is taken as the newest seen.
    """
    return _HANDLERS[type(event)](state, event, max(event.t_us, state.t_us))


Result = tuple[State, list[Action]]


# ---- time --------------------------------------------------------------------------------------------------


def _tick(s: State, _: Tick, t: int) -> Result:
    profile = s.rules.profile
    doubts = s.doubts
    if "stale" not in doubts and t - s.heard_us >= profile.signal.stale_s * 1e6:
        doubts = doubts | {"stale"}
    if "hand-link" not in doubts and s.frames - s.answered >= UNANSWERED:
        doubts = doubts | {"hand-link"}
    if s.mode is Mode.MOVING:
        if t - s.ticked_us > LATE_US:
            doubts = doubts | {"late"}
        if t - s.moving_us >= profile.limits.movement_s * 1e6:
            doubts = doubts | {"time-limit"}
    elif doubts and ("late" in doubts or "time-limit" in doubts):  # nothing moves any more
        doubts = doubts - {"late", "time-limit"}
    dt_s = min(t - s.ticked_us, TICK_US) * 1e-6  # a late tick never makes a longer stride
    setpoint, speed, kind, done = s.setpoint, ZERO, _resting(s), False

    trigger = _standing(s, doubts, t)
    if trigger is None and dt_s > 0.0:
        limits = profile.limits
        if s.mode is Mode.MOVING:
            faded = profile.control == "proportional" and s.sample > s.live_until
            if faded:
                done = True
            else:
                kind = "move"
                setpoint, speed, done = advance(
                    setpoint,
                    s.speed,
                    s.target,
                    s.actual,
                    s.contact,
                    rate=tuple(rate * s.pace for rate in limits.rates),  # type: ignore[arg-type]
                    slew=limits.slews,
                    reach=reach_of(limits.rates),
                    dt_s=dt_s,
                )
        elif s.mode is Mode.FAULT and profile.opening.allowed and not doubts & UNKNOWN:
            kind = "open"
            rates = profile.opening.rates
            setpoint, speed, _done = advance(
                setpoint,
                s.speed,
                _opened(setpoint, limits.lowest),
                s.actual,
                FREE,
                rate=rates,
                slew=limits.slews,
                reach=reach_of(rates),
                dt_s=dt_s,
            )
    after = replace(
        s,
        t_us=t,
        ticked_us=t,
        doubts=doubts,
        doubted_us=t if doubts else s.doubted_us,
        setpoint=setpoint,
        speed=speed,
        frames=s.frames + (trigger is None),
    )
    if trigger is not None:
        after, actions = _fire(after, trigger)
        if after.mode is Mode.HOLD:
            return after, actions  # entering HOLD has sent this tick's frame
        after = replace(after, frames=after.frames + 1)
    elif done:
        after, actions = _fire(after, Trigger.ARRIVED)
    else:
        actions = []
    actions.append(Command(after.frames, t, kind, after.setpoint))
    return after, actions


def _opened(setpoint: Closures, lowest: Closures) -> Closures:
    """The open hand, as far as the user's range goes; the thumb's rotation stays. No finger closes for it."""
    opened = [min(s, low) for s, low in zip(setpoint[:5], lowest[:5], strict=True)]
    return (*opened, setpoint[5])  # type: ignore[return-value]


def _standing(s: State, doubts: frozenset[str], t: int) -> Trigger | None:
    """What the doubts lead to as things stand."""
    if s.mode is Mode.HOLD:
        opening, signal = s.rules.profile.opening, s.rules.profile.signal
        if doubts:
            return Trigger.OVERDUE if t - s.held_us >= opening.delay_s * 1e6 else None
        return Trigger.CLEAR if t - s.doubted_us >= signal.recover_s * 1e6 else None
    if s.mode is Mode.DISARMED:
        return None if doubts else Trigger.READY
    if s.mode is Mode.FAULT:
        return None
    return Trigger.DOUBT if doubts else None


def _fire(s: State, trigger: Trigger, cause: str = "") -> Result:
    """Follow `TABLE`. Whatever ends a movement halfway stops the fingers where they are."""
    mode = TABLE[s.mode][trigger]
    setpoint = s.setpoint
    if s.mode is Mode.MOVING and trigger in (Trigger.DOUBT, Trigger.STOP, Trigger.DISARM):
        reach = reach_of(s.rules.profile.limits.rates)
        setpoint = hold_at(setpoint, s.actual, s.contact, reach=reach)
    entered = Entered(s.t_us, s.mode.value, mode.value, cause or s.cause or trigger.value)
    speed = s.speed if mode is Mode.MOVING else ZERO
    action = s.action if mode in (Mode.ARMED, Mode.MOVING) else ""  # what was held is forgotten
    after = replace(s, mode=mode, setpoint=setpoint, speed=speed, action=action)
    if mode is not Mode.HOLD:
        return after, [entered]
    after = replace(after, held_us=s.t_us, frames=s.frames + 1)
    return after, [entered, Command(after.frames, s.t_us, _resting(s), setpoint)]


def _resting(s: State) -> str:
    """The kind of a frame that moves nothing."""
    return "look" if s.lost_sight else "hold"


def _with_doubts(s: State, doubts: frozenset[str], t: int, **changes: Any) -> Result:
    """The state with these doubts and what follows from them at once. A doubt never waits for the next
    tick."""
    new = doubts - s.doubts
    changes["doubted_us"] = t if doubts or s.doubts else s.doubted_us
    after = replace(s, t_us=t, doubts=doubts, **changes)
    if new and s.mode in (Mode.IDLE, Mode.ARMED, Mode.MOVING):
        return _fire(after, Trigger.DOUBT)
    if new and s.mode in (Mode.HOLD, Mode.FAULT):
        return after, [Entered(t, s.mode.value, s.mode.value, after.cause)]
    return after, []


# ---- the signal --------------------------------------------------------------------------------------------


def _heard(s: State, e: Heard, t: int) -> Result:
    if e.sample <= s.sample:
        return replace(s, t_us=t), []  # seen before: a hung decoder repeats itself, and that is no news
    found, known = signal_doubts(s, e, t)
    return _with_doubts(s, (s.doubts - SIGNAL) | found, t, **known)


def _rebased(s: State, _: Rebased, t: int) -> Result:
    return replace(s, t_us=t, lag_us=None), []


# ---- requests ----------------------------------------------------------------------------------------------


def _asked(s: State, e: Asked, t: int) -> Result:
    what = f"intent {e.number}"
    if e.number <= s.intent:
        return replace(s, t_us=t), [Refused(t, what, f"number not above {s.intent}")]
    s = replace(s, t_us=t, intent=e.number)
    stated = (e.probability, *e.probabilities)
    if not all(0.0 <= p <= 1.0 for p in stated):  # a comparison with NaN is false
        after, actions = _with_doubts(s, s.doubts | {"nan"}, t)
        return after, [Refused(t, what, f"probabilities {stated!r}"), *actions]
    if reason := intent_refusal(s, e):
        return s, [Refused(t, what, reason)]
    grip = grip_of(s, e)
    proportional = s.rules.profile.control == "proportional"
    after = replace(
        s,
        action=e.action,
        grip=grip,
        target=target_of(s, grip),
        pace=min(1.0, max(0.1, 2.0 * e.probability - 1.0)) if proportional else 1.0,
        live_until=e.expires_sample,
        moving_us=s.moving_us if s.mode is Mode.MOVING else t,
    )
    return _fire(after, Trigger.INTENT, f"intent {e.number}: {e.action} -> {grip}")


def _arm(s: State, _: Arm, t: int) -> Result:
    s = replace(s, t_us=t)
    if reason := arming_refusal(s):
        return s, [Refused(t, "arm", reason)]
    return _fire(s, Trigger.ARM)


def _disarm(s: State, _: Disarm, t: int) -> Result:
    """The operator acknowledges. A hand over its limits lets go of its squeeze and of nothing else: it would stay over
    them otherwise, and could never be armed again to be opened."""
    if "hand-limit" in s.doubts:
        reach = reach_of(s.rules.profile.limits.rates)
        s = replace(s, setpoint=hold_at(s.setpoint, s.actual, FREE, reach=reach))
    return _fire(replace(s, t_us=t, doubts=s.doubts & LASTING), Trigger.DISARM, "the operator disarmed")


def _stop(s: State, e: Stop, t: int) -> Result:
    return _fire(replace(s, t_us=t, doubts=s.doubts | {"stop"}, doubted_us=t), Trigger.STOP)


# ---- the hand ----------------------------------------------------------------------------------------------


def _replied(s: State, e: Replied, t: int) -> Result:
    reply = e.reply
    at_rest = s.mode in (Mode.DISARMED, Mode.IDLE)  # here doubts about the hand come and go with what it says
    if not plausible(reply):
        return _with_doubts(s, s.doubts | {"hand-fault"}, t)
    doubts = (s.doubts - HAND if at_rest else s.doubts) | reply_doubts(reply, s.rules.profile.limits)
    changes: dict[str, Any] = {"answered": s.frames, "actual": reply.position, "contact": reply.contact}
    if s.lost_sight or (at_rest and "hand-link" in s.doubts):  # it has come up, or back: held where it is
        changes["setpoint"] = tuple(min(max(x, 0.0), 1.0) for x in reply.position)
    if doubts == s.doubts:
        return replace(s, t_us=t, **changes), []
    return _with_doubts(s, doubts, t, **changes)


def _hand_lost(s: State, _: HandLost, t: int) -> Result:
    return _with_doubts(replace(s, answered=s.frames - GONE), s.doubts | {"hand-link"}, t)


def _trouble(s: State, e: Trouble, t: int) -> Result:
    cause = e.cause if e.cause in ("decoder", "gone", "log") else "internal"
    return _with_doubts(s, s.doubts | {cause}, t)


_HANDLERS: dict[type, Callable[[State, Any, int], Result]] = {
    Tick: _tick,
    Heard: _heard,
    Rebased: _rebased,
    Asked: _asked,
    Arm: _arm,
    Disarm: _disarm,
    Stop: _stop,
    Replied: _replied,
    HandLost: _hand_lost,
    Trouble: _trouble,
}
