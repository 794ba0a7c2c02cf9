"""Random and hostile events, step by step, against what must always hold."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from bci.prosthesis.events import (
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
from bci.prosthesis.hand import Reply
from bci.prosthesis.monitor_state import Mode, State
from bci.prosthesis.safety import TICK_US, step
from bci.prosthesis.user_profile import Limits, Opening, Profile, Signal

from .steps import BRISK, FREE, QUIET, ZERO, answer, check, idle, rules

NASTY = (math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 1.0, 1.05, 1e300, 5e-324)

PROFILES = (
    BRISK,
    Profile(signal=Signal(recover_s=0.2), opening=Opening(delay_s=0.5)),
    Profile(
        control="proportional",
        limits=Limits(lowest=(0.1,) * 6, highest=(0.7,) * 6, rate_per_s=3.0, slew_per_s2=0.1),
        opening=Opening(allowed=False),
    ),
)


def random_event(s: State, rng: random.Random) -> Event:
    """Mostly what a good session sends, often enough something else."""
    t = s.t_us + rng.choice((0, 0, 0, 1, 7_000, TICK_US, -50_000))
    what = rng.random()
    if what < 0.45:
        late = rng.random()
        gap = TICK_US if late < 0.97 else rng.choice((1, 60_000, 150_000, 400_000, 10**7))
        return Tick(s.ticked_us + gap)
    if what < 0.65:
        ahead = 5 if rng.random() < 0.95 else rng.choice((-3, 0, 10**6))
        device = t if rng.random() < 0.97 else rng.choice((0, -(10**9), 10**15, t - 300_000))
        flags = {name: rng.random() < 0.01 for name in ("lead_off", "saturated", "outlier")}
        lost = 0 if rng.random() < 0.98 else rng.choice((1, 30, 10**6, -5))
        return Heard(t, s.sample + ahead, device, lost, **flags)
    if what < 0.85:
        if rng.random() < 0.97:
            actual = tuple(x + rng.uniform(-0.01, 0.01) for x in s.setpoint)
            touches = tuple(rng.random() < 0.1 for _ in range(6))
            return Replied(t, Reply(actual, QUIET, ZERO, touches, 30.0))
        values = [tuple(rng.choice(NASTY) for _ in range(6)) for _ in range(3)]
        error = rng.choice(("", "", "jammed"))
        return Replied(t, Reply(*values, FREE, rng.choice(NASTY), error))
    if what < 0.94:
        number = s.intent + (1 if rng.random() < 0.9 else rng.choice((0, -1, 10**9)))
        action = rng.choice(("close", "open", "grasp", "open", "nonsense"))
        p = rng.random() if rng.random() < 0.98 else rng.choice(NASTY)
        return Asked(
            t, number, action, s.sample + rng.choice((0, 0, 0, 9)), s.sample + rng.choice((100, 100, -1)), p
        )
    if what < 0.975:
        return Arm(t)
    if what < 0.99:
        return Disarm(t)
    return rng.choice(
        (
            Stop(t, "key"),
            Rebased(t),
            HandLost(t, "gone"),
            Trouble(t, rng.choice(("decoder", "decoder", "log", "gone", "?"))),
        )
    )


def walk(n: int, seed: int) -> set[Mode]:
    rng = random.Random(seed)
    seen: set[Mode] = set()
    state = State(rules())
    for i in range(n):
        if i % 2000 == 0:  # a new session: some doubts last for ever
            profile = rng.choice(PROFILES)
            state = idle(replace(profile, limits=replace(profile.limits, movement_s=rng.choice((0.5, 10.0)))))
        event = random_event(state, rng)
        before = state
        state, actions = step(before, event)
        check(before, event, state, actions)
        seen.add(state.mode)
    return seen


def test_a_hundred_thousand_random_steps_violate_nothing_and_visit_every_mode():
    assert walk(100_000, seed=7) == set(Mode)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(100))
def test_ten_million_random_steps_violate_nothing(seed):
    assert walk(100_000, seed=1000 + seed) == set(Mode)


def test_the_same_events_give_the_same_actions_bit_for_bit():
    rng = random.Random(3)
    state, events = idle(), []
    first = []
    for _ in range(3000):
        events.append(random_event(state, rng))
        state, actions = step(state, events[-1])
        first += actions
    again = []
    state = idle()
    for event in events:
        state, actions = step(state, event)
        again += actions
    assert again == first


def test_a_hostile_position_moves_a_set_point_by_its_reach_at_most():
    state = idle()
    for x in (1.0, 0.0, 1.1, -0.1):
        state, _ = step(state, Replied(state.t_us, answer((x,) * 6)))
        state, _ = step(state, Stop(state.t_us))
        assert state.setpoint == ZERO
