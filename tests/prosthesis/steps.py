"""A safety monitor brought into any mode, and what must hold of every step it takes."""

from __future__ import annotations

from dataclasses import replace

from bci.prosthesis.events import Action, Arm, Asked, Event, Heard, Replied, Tick, Trouble
from bci.prosthesis.hand import Closures, Reply
from bci.prosthesis.monitor_state import Mode, Rules, State
from bci.prosthesis.safety import TICK_US, step
from bci.prosthesis.user_profile import Profile
from bci.selftest._safety_steps import BRISK, violations

ZERO: Closures = (0.0,) * 6
QUIET = (0.02,) * 6
FREE = (False,) * 6


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
    assert violations(before, event, now, actions) == []
