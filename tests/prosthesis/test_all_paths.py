"""Every path through the monitor's states, with time abstracted to what its rules compare it with."""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import replace

import pytest

from bci.prosthesis.events import Arm, Disarm, Event, HandLost, Heard, Replied, Stop, Tick, Trouble
from bci.prosthesis.monitor_state import CAUSES, GONE, Mode, State
from bci.prosthesis.safety import UNANSWERED, step
from bci.prosthesis.user_profile import Grip

from .steps import BRISK, answer, ask, check, rules

STEP_US = 100_000

#: A grip of two ticks, so that only three postures are possible.
TINY = replace(BRISK, grips={"open": Grip(*(0.0,) * 5), "power": Grip(*(0.04,) * 5)})

FAULTS = {
    "gone": lambda s: [Trouble(s.t_us, "gone")],
    "internal": lambda s: [Trouble(s.t_us, "internal")],
    "log": lambda s: [Trouble(s.t_us, "log")],
    "decoder": lambda s: [Trouble(s.t_us, "decoder")],
    "nan": lambda s: [ask(s, probability=math.nan)],
    "hand-link": lambda s: [HandLost(s.t_us)],
    "hand-fault": lambda s: [Replied(s.t_us, answer(s.setpoint, error="broken"))],
    "hand-limit": lambda s: [Replied(s.t_us, replace(answer(s.setpoint), temperature_c=99.0))],
    "lead-off": lambda s: [Heard(s.t_us, s.sample + 1, s.t_us, lead_off=True)],
    "saturated": lambda s: [Heard(s.t_us, s.sample + 1, s.t_us, saturated=True)],
    "outlier": lambda s: [Heard(s.t_us, s.sample + 1, s.t_us, outlier=True)],
    "loss": lambda s: [Heard(s.t_us, s.sample + 1, s.t_us, lost=40)],
    "late": lambda s: [Tick(s.t_us + 101_000)],
    # these come of everyday events alone
    "stale": lambda s: [],
    "time-limit": lambda s: [],
    "stop": lambda s: [],
}


def everyday(s: State) -> list[tuple[Event, ...]]:
    """What may happen in any state besides the fault under study."""
    t = s.t_us
    later = t + STEP_US
    return [
        (Tick(later), Replied(later, answer(s.setpoint))),
        (Heard(t, s.sample + 1000, t),),  # enough to forgive a lost burst
        (ask(s, "close"),),
        (ask(s, "open"),),
        (Arm(t),),
        (Disarm(t),),
        (Stop(t),),
    ]


def canonical(s: State) -> State:
    """The same state with every time counted from now, clipped where the rules see no difference."""
    profile = s.rules.profile

    def age(then: int, limit_s: float) -> int:
        return -min(s.t_us - then, int(limit_s * 1e6) + STEP_US)

    return replace(
        s,
        t_us=0,
        ticked_us=age(s.ticked_us, 0.2),
        doubted_us=age(s.doubted_us, profile.signal.recover_s),
        held_us=age(s.held_us, profile.opening.delay_s) if s.mode is Mode.HOLD else 0,
        heard_us=age(s.heard_us, profile.signal.stale_s),
        moving_us=age(s.moving_us, profile.limits.movement_s) if s.mode is Mode.MOVING else 0,
        frames=0,
        answered=-GONE if s.lost_sight else -min(s.frames - s.answered, UNANSWERED),
        sample=0,
        intent=0,
        live_until=0,
        lag_us=None if s.lag_us is None else 0,
        lost_milli=min(s.lost_milli, 30_000),
        actual=s.setpoint if s.mode is Mode.DISARMED else s.actual,
    )


def key(s: State) -> tuple[object, ...]:
    return tuple(getattr(s, name) for name in State.__slots__ if name != "rules")


def explore(*causes: str) -> tuple[int, set[Mode], set[str]]:
    start = canonical(State(rules(TINY), sample=0))
    seen = {key(start)}
    queue = deque([start])
    modes: set[Mode] = set()
    doubts: set[str] = set()
    while queue:
        origin = queue.popleft()
        modes.add(origin.mode)
        doubts |= origin.doubts
        faults = [(event,) for cause in causes for event in FAULTS[cause](origin)]
        for events in everyday(origin) + faults:
            before = origin
            for event in events:
                now, actions = step(before, event)
                check(before, event, now, actions)
                before = now
            now = canonical(before)
            if key(now) not in seen:
                seen.add(key(now))
                queue.append(now)
    return len(seen), modes, doubts


#: One of each kind; the nightly run takes all of them, and all pairs.
EACH_KIND = [
    "decoder",
    "gone",
    "hand-fault",
    "hand-link",
    "late",
    "lead-off",
    "loss",
    "nan",
    "stop",
    "time-limit",
]


@pytest.mark.parametrize("cause", EACH_KIND)
def test_no_path_leads_to_a_grip_on_doubt_or_out_of_stop(cause):
    states, modes, doubts = explore(cause)
    assert modes == set(Mode)
    assert cause in doubts
    assert states > 300


@pytest.mark.nightly
@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(sorted(CAUSES), 2)))
def test_no_path_with_two_kinds_of_fault_leads_to_a_grip_on_doubt(first, second):
    _, modes, doubts = explore(first, second)
    assert modes == set(Mode)
    assert {first, second} <= doubts
