"""Random and hostile events, step by step, against what must always hold."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bci.prosthesis.events import Asked, Disarm, Heard, Replied, Stop, Tick
from bci.prosthesis.hand import Command
from bci.prosthesis.monitor_state import Mode
from bci.prosthesis.safety import TICK_US, step
from bci.prosthesis.user_profile import Profile
from bci.selftest._safety_steps import RULES, random_event, violations, walk

from .steps import ZERO, answer, armed, ask, fault, held, idle, moving


def test_a_hundred_thousand_random_steps_violate_nothing_and_visit_every_mode():
    done = walk(100_000, seed=7)
    assert not done.broken
    assert set(done.modes) == set(Mode)
    assert done.modes[Mode.MOVING] > 2_000


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(100))
def test_ten_million_random_steps_violate_nothing(seed):
    assert not walk(100_000, seed=1000 + seed).broken


def closer(setpoint, by):
    return tuple(x + by for x in setpoint)


#: For every rule a step that breaks it: a rule that nothing can break watches nothing.
BROKEN = {
    "range": (
        moving(),
        lambda s: Tick(s.t_us + TICK_US),
        lambda n: replace(n, setpoint=closer(n.setpoint, 0.5)),
    ),
    "rate": (
        moving(),
        lambda s: Tick(s.t_us + TICK_US),
        lambda n: replace(n, setpoint=closer(n.setpoint, 0.02)),
    ),
    "slew": (
        replace(moving(Profile()), speed=ZERO),
        lambda s: Tick(s.t_us + TICK_US),
        lambda n: replace(n, setpoint=closer(n.setpoint, 0.01)),
    ),
    "look-ahead": (
        moving(),
        lambda s: Tick(s.t_us + TICK_US),
        lambda n: replace(n, setpoint=closer(n.setpoint, 0.2)),
    ),
    "stale is held": (
        armed(),
        lambda s: Tick(s.heard_us + 300_000),
        lambda n: replace(n, mode=Mode.ARMED, doubts=frozenset()),
    ),
    "doubt holds in one step": (
        armed(),
        lambda s: Heard(s.t_us, s.sample + 1, s.t_us, lead_off=True),
        lambda n: replace(n, mode=Mode.ARMED),
    ),
    "STOP latched": (
        step(moving(), Stop(moving().t_us))[0],
        lambda s: Tick(s.t_us + TICK_US),
        lambda n: replace(n, mode=Mode.ARMED, doubts=frozenset()),
    ),
    "never a grip without ARMED": (idle(), ask, lambda n: replace(n, mode=Mode.MOVING)),
    "armed by somebody": (
        held(),
        lambda s: Disarm(s.t_us),
        lambda n: replace(n, mode=Mode.ARMED, doubts=frozenset()),
    ),
    "kind of frame": (
        fault(),
        lambda s: Tick(s.t_us + TICK_US),
        lambda n: replace(n, doubts=n.doubts | {"hand-fault"}),
    ),
    "between ticks nothing closes": (
        armed(),
        lambda s: Replied(s.t_us, answer((0.5,) * 6)),
        lambda n: replace(n, setpoint=(0.5,) * 6),
    ),
    "time": (armed(), lambda s: Tick(s.t_us + TICK_US), lambda n: replace(n, t_us=0)),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_step_that_breaks_a_rule_is_found_out(rule):
    before, make, spoil = BROKEN[rule]
    event = make(before)
    now, actions = step(before, event)
    assert violations(before, event, now, actions) == []
    spoilt = spoil(now)
    told = [replace(a, setpoint=spoilt.setpoint) if isinstance(a, Command) else a for a in actions]
    assert rule in violations(before, event, spoilt, told)


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


def test_the_walk_is_hostile_enough():
    """Every kind of event, and intents that are accepted as well as ones that are refused."""
    rng = random.Random(5)
    state, kinds, asked = armed(), set(), 0
    for _ in range(20_000):
        event = random_event(state, rng)
        kinds.add(type(event).__name__)
        before = state
        state, _ = step(state, event)
        asked += isinstance(event, Asked) and before.mode is Mode.ARMED and state.mode is Mode.MOVING
        if "gone" in state.doubts or "log" in state.doubts:
            state = armed()
    assert len(kinds) == 10
    assert asked > 30


@pytest.mark.parametrize("by", [0.01, -0.1])
def test_an_operator_who_disarms_neither_closes_a_hand_nor_opens_it_by_more_than_its_reach(by):
    before = moving()
    now, _ = step(before, Disarm(before.t_us))
    spoilt = replace(now, setpoint=closer(before.setpoint, by))
    assert violations(before, Disarm(before.t_us), spoilt, []) == ["between ticks nothing closes"]


@pytest.mark.parametrize(("x", "back"), [(1.1, 0.0), (0.6, 0.0), (0.3, 0.072), (0.0, 0.072), (-0.1, 0.072)])
def test_a_hostile_position_moves_a_set_point_by_its_reach_at_most(x, back):
    """Halfway to a grip the hand lies about where it stands, and is stopped: nothing closes, and little opens."""
    state = moving(Profile(), ticks=32)
    begun = state.setpoint
    assert 0.4 < begun[1] < 0.5
    lied, actions = step(state, Replied(state.t_us, answer((x,) * 6)))
    assert (lied.setpoint, actions) == (begun, [])
    held_there, _ = step(lied, Stop(state.t_us))
    assert held_there.setpoint == pytest.approx(tuple(point - back for point in begun))
