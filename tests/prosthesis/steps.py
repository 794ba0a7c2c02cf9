"""A safety monitor brought into any mode, and what must hold of every step it takes."""

from __future__ import annotations

from dataclasses import replace

from bci.prosthesis.events import Action, Arm, Asked, Event, Heard, Replied, Stop, Tick, Trouble
from bci.prosthesis.hand import Closures, Command, Reply
from bci.prosthesis.monitor_state import HAND, PASSING, Mode, Rules, State
from bci.prosthesis.motion import LOOK_AHEAD_S
from bci.prosthesis.safety import TICK_US, step
from bci.prosthesis.user_profile import Grip, Limits, Opening, Profile, Signal

ZERO: Closures = (0.0,) * 6
QUIET = (0.02,) * 6
FREE = (False,) * 6

#: Short times and a small grip, so that few steps lead through every mode.
BRISK = Profile(
    grips={"open": Grip(*ZERO), "power": Grip(*(0.05,) * 6)},
    closing="power",
    intents={"close": "power", "open": "open", "grasp": "toggle"},
    limits=Limits(rate_per_s=1.0, slew_per_s2=100.0, movement_s=0.5),
    opening=Opening(delay_s=0.5, rate_per_s=1.0),
    signal=Signal(recover_s=0.2),
)


def rules(profile: Profile = BRISK, *, refusal: str = "") -> Rules:
    return Rules(profile, refusal, 10**15)


def answer(position: Closures, **values: object) -> Reply:
    return Reply(position, QUIET, ZERO, FREE, 30.0, **values)  # type: ignore[arg-type]


def after(state: State, *events: Event) -> tuple[State, list[Action]]:
    """The state after all of them, and the actions of the last."""
    actions: list[Action] = []
    for event in events:
        state, actions = step(state, event)
    return state, actions


def idle(profile: Profile = BRISK, *, refusal: str = "") -> State:
    state, _ = after(
        State(rules(profile, refusal=refusal)),
        Heard(0, 100, 0),
        Replied(0, answer(ZERO)),
        Tick(TICK_US),
    )
    assert state.mode is Mode.IDLE
    return state


def armed(profile: Profile = BRISK) -> State:
    state, _ = step(idle(profile), Arm(TICK_US))
    assert state.mode is Mode.ARMED
    return state


def ask(state: State, action: str = "close", **values: object) -> Asked:
    wanted = Asked(state.t_us, state.intent + 1, action, state.sample, state.sample + 100, 0.9)
    return replace(wanted, **values)  # type: ignore[arg-type]


def moving(profile: Profile = BRISK, *, ticks: int = 2) -> State:
    state, _ = step(armed(profile), ask(armed(profile)))
    for _ in range(ticks):
        state = beat(state)
    assert state.mode is Mode.MOVING
    return state


def beat(state: State, *, fresh: bool = True) -> State:
    """One tick with an obedient hand and, if `fresh`, a signal."""
    t = state.t_us + TICK_US
    state, _ = step(state, Tick(t))
    state, _ = step(state, Replied(t, answer(state.setpoint)))
    if fresh:
        state, _ = step(state, Heard(t, state.sample + 5, t))
    return state


def held(cause: str = "decoder") -> State:
    state = moving()
    state, _ = step(state, Trouble(state.t_us, cause))
    assert state.mode is Mode.HOLD
    return state


def fault() -> State:
    state = held()
    while state.mode is Mode.HOLD:
        state = beat(state)
    assert state.mode is Mode.FAULT
    return state


def disarmed() -> State:
    return State(rules())


EVERY_MODE = {
    Mode.DISARMED: disarmed,
    Mode.IDLE: idle,
    Mode.ARMED: armed,
    Mode.MOVING: moving,
    Mode.HOLD: held,
    Mode.FAULT: fault,
}


def check(before: State, event: Event, now: State, actions: list[Action]) -> None:
    """What must hold of every single step, whatever came."""
    limits = before.rules.profile.limits
    for command in (a for a in actions if isinstance(a, Command)):
        rate = limits.rate_per_s
        dt_s = min(now.t_us - before.ticked_us, TICK_US) * 1e-6
        reach = rate * LOOK_AHEAD_S
        for i, (old, new) in enumerate(zip(before.setpoint, command.setpoint, strict=True)):
            assert 0.0 <= new <= 1.0, "range"
            if new > old:
                assert (before.mode, type(event)) == (Mode.MOVING, Tick), "a grip without MOVING"
                assert command.kind == "move"
                assert not before.doubts, "a grip on doubt"
                assert new <= max(old, min(before.target[i], limits.highest[i])) + 1e-9, "range"
                assert new <= max(old, before.actual[i] + reach) + 1e-9, "look-ahead"
            if command.kind != "hold":
                assert abs(new - old) <= rate * dt_s + 1e-9, "rate"
                speed_before = abs(before.speed[i])
                speed = abs(new - old) / dt_s if dt_s else 0.0
                assert speed <= speed_before + limits.slew_per_s2 * dt_s + 1e-6, "slew"
            else:
                assert new >= old - reach - 1e-9, "a hold that throws the hand open"
                assert new <= old, "a hold that closes"
        if command.kind == "open":
            assert before.mode is Mode.FAULT
            assert before.rules.profile.opening.allowed
            assert not now.doubts & HAND
        if command.kind == "move":
            assert before.mode is Mode.MOVING
    stale_us = before.rules.profile.signal.stale_s * 1e6
    if type(event) is Tick and now.t_us - now.heard_us >= stale_us:
        assert now.mode not in (Mode.MOVING, Mode.ARMED), "stale and not held"
    if now.doubts and now.mode in (Mode.MOVING, Mode.ARMED):
        raise AssertionError(f"doubts {set(now.doubts)} in {now.mode}")
    if now.mode is Mode.MOVING and before.mode is not Mode.MOVING:
        assert (before.mode, type(event)) == (Mode.ARMED, Asked), "MOVING without ARMED"
    if now.mode is Mode.ARMED and before.mode not in (Mode.ARMED, Mode.MOVING):
        by_hand = before.mode is Mode.IDLE and type(event) is Arm and not before.rules.refusal
        by_itself = before.mode is Mode.HOLD and type(event) is Tick and before.doubts <= PASSING
        assert by_hand or by_itself, "armed by nobody"
    if type(event) is Stop:
        assert now.mode is Mode.HOLD, "STOP did not hold"
        assert "stop" in now.doubts
    if "stop" in before.doubts and "stop" not in now.doubts:
        assert now.mode is Mode.DISARMED, "STOP did not latch"
    assert now.t_us >= before.t_us
    assert now.frames >= before.frames
