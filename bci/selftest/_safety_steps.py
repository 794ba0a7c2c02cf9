"""Random and hostile events against what must hold of every step of the safety monitor.

`violation` states the rules once, apart from the code that keeps them; `walk` takes a seeded random walk and looks at
each of its steps.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bci.prosthesis.events import (
    Action,
    Arm,
    Asked,
    Disarm,
    Event,
    HandLost,
    Heard,
    Rebased,
    Replied,
    Stop,
    Tick,
    Trouble,
)
from bci.prosthesis.hand import Closures, Command, Reply
from bci.prosthesis.monitor_state import GONE, PASSING, UNKNOWN, Mode, Rules, State
from bci.prosthesis.motion import LOOK_AHEAD_S
from bci.prosthesis.safety import TICK_US, step
from bci.prosthesis.user_profile import Grip, Limits, Opening, Profile, Signal

__all__ = ["BRISK", "RULES", "Walk", "random_event", "violations", "walk"]

ZERO: Closures = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
QUIET: Closures = (0.02, 0.02, 0.02, 0.02, 0.02, 0.02)
FREE = (False, False, False, False, False, False)

NASTY = (math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 1.0, 1.05, 1e300, 5e-324)

#: Rounding of sums of floating point numbers, far below any hand's resolution.
EPSILON = 1e-9

#: Short times and a small grip, so that few steps lead through every mode.
BRISK = Profile(
    grips={"open": Grip(*ZERO), "power": Grip(0.05, 0.05, 0.05, 0.05, 0.05, 0.05)},
    intents={"close": "power", "open": "open", "grasp": "toggle"},
    limits=Limits(rate_per_s=1.0, slew_per_s2=100.0, movement_s=0.5),
    opening=Opening(delay_s=0.5, rate_per_s=1.0),
    signal=Signal(recover_s=0.2),
)

PROFILES = (
    BRISK,
    Profile(signal=Signal(recover_s=0.2), opening=Opening(delay_s=0.5)),
    Profile(
        control="proportional",
        limits=Limits(
            lowest=(0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
            highest=(0.7, 0.7, 0.7, 0.7, 0.7, 0.7),
            rate_per_s=(2.0, 0.01, 0.3, 1.0, 2.0, 0.5),
            slew_per_s2=(0.1, 100.0, 0.5, 4.0, 10.0, 1.0),
        ),
        opening=Opening(allowed=False),
    ),
)


# ---- what must hold


def violations(before: State, event: Event, now: State, actions: list[Action]) -> list[str]:
    """Names of the rules that this step broke; none of them may ever be."""
    commands = [action for action in actions if isinstance(action, Command)]
    return [name for name, holds in RULES.items() if not holds(before, event, now, commands)]


def _still(before: State, commands: list[Command]) -> bool:
    """No frame has other set points than were in force, and those were looked at when they came."""
    return all(command.setpoint == before.setpoint for command in commands)


def _range(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    if _still(before, commands):
        return True
    highest = before.rules.profile.limits.highest
    return all(
        0.0 <= new <= max(old, min(goal, high)) + EPSILON and new <= 1.0
        for command in commands
        for old, new, goal, high in zip(
            before.setpoint, command.setpoint, before.target, highest, strict=True
        )
    )


def _rate(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    """A frame that moves goes no further than its rate; one that holds takes back no more than its reach."""
    if _still(before, commands):
        return True
    rates = before.rules.profile.limits.rates
    dt_s = min(now.t_us - before.ticked_us, TICK_US) * 1e-6
    for command in commands:
        for old, new, rate in zip(before.setpoint, command.setpoint, rates, strict=True):
            if command.kind in ("move", "open"):
                fastest = rate if command.kind == "move" else before.rules.profile.opening.rate_per_s
                if abs(new - old) > fastest * dt_s + EPSILON:
                    return False
            elif not old - rate * LOOK_AHEAD_S - EPSILON <= new <= old:
                return False
    return True


def _slew(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    if _still(before, commands):
        return True
    slews = before.rules.profile.limits.slews
    dt_s = min(now.t_us - before.ticked_us, TICK_US) * 1e-6
    return all(
        abs(new - old) <= (abs(speed) + slew * dt_s) * dt_s + EPSILON
        for command in commands
        if command.kind in ("move", "open")
        for old, new, speed, slew in zip(before.setpoint, command.setpoint, before.speed, slews, strict=True)
    )


def _look_ahead(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    if _still(before, commands):
        return True
    rates = before.rules.profile.limits.rates
    return all(
        new <= max(old, actual + rate * LOOK_AHEAD_S) + EPSILON
        for command in commands
        for old, new, actual, rate in zip(
            before.setpoint, command.setpoint, before.actual, rates, strict=True
        )
    )


def _stale(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    stale_us = before.rules.profile.signal.stale_s * 1e6
    silent = type(event) is Tick and now.t_us - now.heard_us >= stale_us
    return not (silent and now.mode in (Mode.MOVING, Mode.ARMED))


def _doubt(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    """Every fault leads to HOLD (or, where nothing was armed, away from arming) in one step."""
    return not (now.doubts and now.mode in (Mode.IDLE, Mode.ARMED, Mode.MOVING))


def _stop(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    if type(event) is Stop:
        return now.mode is Mode.HOLD and "stop" in now.doubts
    released = "stop" in before.doubts and "stop" not in now.doubts
    return not released or (type(event) is Disarm and now.mode is Mode.DISARMED)


def _grip(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    """Only a tick of MOVING without doubt closes a finger; MOVING comes of an intent while ARMED, nothing else."""
    closing = not _still(before, commands) and any(
        new > old for command in commands for old, new in zip(before.setpoint, command.setpoint, strict=True)
    )
    if closing and not (before.mode is Mode.MOVING and type(event) is Tick and not before.doubts):
        return False
    begun = now.mode is Mode.MOVING and before.mode is not Mode.MOVING
    return not begun or (before.mode is Mode.ARMED and type(event) is Asked)


def _armed(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    """ARMED comes of the operator, with a certificate, or of a passing doubt that passed."""
    if now.mode is not Mode.ARMED or before.mode in (Mode.ARMED, Mode.MOVING):
        return True
    by_hand = before.mode is Mode.IDLE and type(event) is Arm and not before.rules.refusal
    return by_hand or (before.mode is Mode.HOLD and type(event) is Tick and before.doubts <= PASSING)


def _kinds(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    """Opening only in FAULT, where allowed, and only a hand of which somebody knows what it does; no set points for one
    that nobody has seen for long."""
    for command in commands:
        unanswered = command.number - 1 - now.answered
        if (command.kind == "look") != (unanswered >= GONE):
            return False
        if command.kind == "move" and before.mode is not Mode.MOVING:
            return False
        if command.kind == "open":
            allowed = before.rules.profile.opening.allowed and not now.doubts & UNKNOWN
            if before.mode is not Mode.FAULT or not allowed:
                return False
    return True


def _between(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    """Nothing but a tick raises a set point, unless the hand was lost from sight and says where it is: there it is
    held. What lowers one takes back its reach at most."""
    if type(event) is Tick or now.setpoint == before.setpoint:
        return True
    rates = before.rules.profile.limits.rates
    if all(
        old - rate * LOOK_AHEAD_S - EPSILON <= new <= old
        for old, new, rate in zip(before.setpoint, now.setpoint, rates, strict=True)
    ):
        return True
    if type(event) is not Replied:
        return False
    where = tuple(min(max(x, 0.0), 1.0) for x in event.reply.position)
    return (before.lost_sight or "hand-link" in before.doubts) and now.setpoint == where


def _time(before: State, event: Event, now: State, commands: list[Command]) -> bool:
    return now.t_us >= before.t_us and now.frames >= before.frames


RULES: dict[str, Callable[[State, Event, State, list[Command]], bool]] = {
    "range": _range,
    "rate": _rate,
    "slew": _slew,
    "look-ahead": _look_ahead,
    "stale is held": _stale,
    "doubt holds in one step": _doubt,
    "STOP latched": _stop,
    "never a grip without ARMED": _grip,
    "armed by somebody": _armed,
    "kind of frame": _kinds,
    "between ticks nothing closes": _between,
    "time": _time,
}


# ---- the walk


def random_event(s: State, rng: random.Random) -> Event:
    """Mostly what a good session sends, often enough something else."""
    t = s.t_us + rng.choice((0, 0, 0, 1, 7_000, TICK_US, -50_000))
    what = rng.random()
    if what < 0.45:
        late = rng.random()
        gap = TICK_US if late < 0.99 else rng.choice((1, 60_000, 150_000, 400_000, 10**7))
        return Tick(s.ticked_us + gap)
    if what < 0.65:
        ahead = 5 if rng.random() < 0.95 else rng.choice((-3, 0, 10**6))
        device = t if rng.random() < 0.99 else rng.choice((0, -(10**9), 10**15, t - 300_000))
        flags = {name: rng.random() < 0.003 for name in ("lead_off", "saturated", "outlier")}
        lost = 0 if rng.random() < 0.99 else rng.choice((1, 30, 10**6, -5))
        return Heard(t, s.sample + ahead, device, lost, **flags)
    if what < 0.85:
        return Replied(t, _random_reply(s, rng))
    if what < 0.94:
        number = s.intent + (1 if rng.random() < 0.9 else rng.choice((0, -1, 10**9)))
        action = rng.choice(("close", "open", "grasp", "open", "nonsense"))
        p = rng.random() if rng.random() < 0.98 else rng.choice(NASTY)
        rests_on, expires = s.sample + rng.choice((0, 0, 0, 9)), s.sample + rng.choice((100, 100, -1))
        return Asked(t, number, action, rests_on, expires, p, (1.0 - p, p))
    if what < 0.996:
        if s.mode is Mode.IDLE or rng.random() < 0.1:
            return Arm(t)
        if s.mode in (Mode.HOLD, Mode.FAULT, Mode.DISARMED) or rng.random() < 0.05:
            return Disarm(t)
        return Tick(s.ticked_us + TICK_US)
    return rng.choice(
        (
            Stop(t, "key"),
            Rebased(t),
            HandLost(t, "gone"),
            Trouble(t, rng.choice(("decoder", "decoder", "log", "gone", "?"))),
        )
    )


def _random_reply(s: State, rng: random.Random) -> Reply:
    if rng.random() < 0.99:
        actual: Any = tuple(x + rng.uniform(-0.01, 0.01) for x in s.setpoint)
        touches: Any = tuple(rng.random() < 0.1 for _ in range(6))
        return Reply(actual, QUIET, ZERO, touches, 30.0)
    at, current, force = (tuple(rng.choice(NASTY) for _ in range(6)) for _ in range(3))
    words: Any = rng.choice(("", "", "jammed"))
    return Reply(at, current, force, FREE, rng.choice(NASTY), words)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk met: steps taken, steps ending in each mode, broken rules and how often."""

    steps: int
    modes: Counter[Mode]
    broken: Counter[str]


def walk(n: int, seed: int) -> Walk:
    """Take `n` random steps, in sessions of 500: some doubts last for ever."""
    rng = random.Random(seed)
    modes: Counter[Mode] = Counter()
    broken: Counter[str] = Counter()
    state = State(Rules(BRISK, "", 10**15))
    for i in range(n):
        if i % 500 == 0:
            profile = rng.choice(PROFILES)
            limits = replace(profile.limits, movement_s=rng.choice((0.5, 10.0)))
            state = State(Rules(replace(profile, limits=limits), "", 10**15))
        event = random_event(state, rng)
        before = state
        state, actions = step(before, event)
        modes[state.mode] += 1
        broken.update(violations(before, event, state, actions))
    return Walk(n, modes, broken)
