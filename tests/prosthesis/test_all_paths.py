"""Every path through the monitor's states, with time abstracted to what its rules compare it with."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
from collections import deque
from dataclasses import fields, is_dataclass, replace

import pytest

from bci.prosthesis import monitor_state, motion, safety, verdicts
from bci.prosthesis.events import Arm, Disarm, Event, HandLost, Heard, Replied, Stop, Tick, Trouble
from bci.prosthesis.monitor_state import CAUSES, GONE, Mode, Rules, State
from bci.prosthesis.safety import UNANSWERED, step
from bci.prosthesis.user_profile import Grip, Limits, Opening, Signal

from .steps import BRISK, answer, ask, check, rules

STEP_US = 100_000

#: A grip of two ticks, so that only three postures are possible.
TINY = replace(BRISK, grips={"open": Grip(*(0.0,) * 5), "power": Grip(*(0.04,) * 5)})

#: Every way in which a profile can change what follows what; see `test_no_profile_has_a_path_to_a_grip_on_doubt`.
SHAPES = {
    "opens never": replace(TINY, opening=Opening(allowed=False, delay_s=0.6, rate_per_s=0.5), closing="open"),
    "opens before a passing doubt could pass": replace(
        TINY,
        control="hold",
        intents={"close": "power", "release": "open"},
        signal=Signal(stale_s=0.15, recover_s=0.8),
    ),
    "proportional": replace(
        TINY,
        control="proportional",
        intents={"close": "power", "open": "open"},
        grips={"open": Grip(*(0.0,) * 5), "power": Grip(*(0.016,) * 5)},  # one tick of a nearly sure intent
    ),
    "narrow limits": replace(
        TINY,
        intents={},
        sequences={"close": "power", "close open": "toggle"},
        grips={**TINY.grips, "part": Grip(index=0.04)},
        closing="part",
        limits=Limits(
            lowest=(0.0, 0.02, 0.0, 0.0, 0.0, 0.0),
            highest=(1.0, 0.02, 0.02, 1.0, 1.0, 1.0),
            rate_per_s=(1.0, 0.5, 1.0, 1.0, 1.0, 1.0),
            slew_per_s2=60.0,
            movement_s=0.7,
            current_a=0.5,
            force_n=5.0,
            temperature_c=40.0,
        ),
    ),
    "no loss allowed": replace(TINY, signal=replace(TINY.signal, loss_fraction=0.0, loss_burst_samples=0)),
}

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
        *((ask(s, action),) for action in s.rules.profile.actions if action != "grasp"),
        (Arm(t),),
        (Disarm(t),),
        (Stop(t),),
    ]


def canonical(s: State) -> State:
    """The same state with every time counted from now, clipped where the rules see no difference."""
    profile = s.rules.profile

    def age(then: int, limit_s: float) -> int:
        return -min(s.t_us - then, int(limit_s * 1e6) + STEP_US)

    fades = profile.control == "proportional" and s.mode is Mode.MOVING
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
        live_until=max(s.live_until - s.sample, -1) if fades else 0,
        lag_us=None if s.lag_us is None else 0,
        lost_milli=30_000 if s.lost_milli > 1000 * profile.signal.loss_burst_samples else 0,
        actual=s.setpoint if s.mode is Mode.DISARMED else s.actual,
    )


def key(s: State) -> tuple[object, ...]:
    return tuple(getattr(s, name) for name in State.__slots__ if name != "rules")


def explore(*causes: str, under: Rules | None = None) -> tuple[int, set[Mode], set[str]]:
    start = canonical(State(under or rules(TINY), sample=0))
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


#: What each shape is explored with: the doubt that it treats differently, or one that may pass and may outlast.
IN_SHAPE = {"no loss allowed": "loss"}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_profile_has_a_path_to_a_grip_on_doubt(shape):
    """Why a handful of profiles stands for all of them.

    A profile changes what follows what only where a rule of `step` compares something with one of its settings, and
    each such comparison has two outcomes. The times (freshness, recovery, delay of opening, longest movement) decide
    nothing but which comes first. Their ranges leave one pair whose order is free, recovery and delay (freshness is
    never longer than the others), and both orders are here: TINY recovers before the delay is over, one shape after
    it. A delay of three seconds or of a minute is the same order as TINY's half second, with more ticks that change
    nothing in between. Limits decide where a set point ends, how many ticks it takes, and where the hand's own numbers
    become a doubt; the rules that are checked at every step take them from the profile. What remains are choices, and
    each one is made in both ways: the hand opens after a fault or never does, samples may be lost or not one, an
    intent moves to its end or fades, it closes, toggles or spells a sequence, a grip has all fingers or leaves some
    where they are, limits are one number or one for each finger.

    The next test holds the argument to the code: every setting that `step` reads has different values in these shapes.
    """
    cause = IN_SHAPE.get(shape, "lead-off")
    states, modes, doubts = explore(cause, under=rules(SHAPES[shape]))
    assert modes == set(Mode)
    assert cause in doubts
    assert states > 300


def settings(profile: object, where: str = "") -> dict[str, object]:
    """Every value that a profile holds, by name."""
    found: dict[str, object] = {}
    for field in fields(profile):  # type: ignore[arg-type]
        value = getattr(profile, field.name)
        name = f"{where}{field.name}"
        found.update(settings(value, f"{name}.") if is_dataclass(value) else {name: value})
    return found


def test_every_setting_that_a_step_reads_differs_between_the_shapes():
    unread = {"user", "budget_per_min", "sequence_within_s"}  # the policy's, in the decoder's process
    named = {
        node.attr
        for module in (safety, verdicts, motion, monitor_state)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Attribute)
    }
    assert not unread & named
    seen = [settings(profile) for profile in (TINY, *SHAPES.values())]
    same = {name for name, value in seen[0].items() if all(other[name] == value for other in seen)}
    assert same == unread


def test_without_a_certificate_no_path_leads_to_an_armed_hand():
    _, modes, doubts = explore("lead-off", under=rules(TINY, refusal="not calibrated"))
    assert modes == set(Mode) - {Mode.ARMED, Mode.MOVING}
    assert "lead-off" in doubts


@pytest.mark.nightly
@pytest.mark.parametrize("cause", sorted(CAUSES))
@pytest.mark.parametrize("shape", SHAPES)
def test_no_profile_has_a_path_to_a_grip_on_any_doubt(shape, cause):
    _, modes, doubts = explore(cause, "lead-off", under=rules(SHAPES[shape]))
    assert modes == set(Mode)
    assert "lead-off" in doubts


@pytest.mark.nightly
@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(sorted(CAUSES), 2)))
def test_no_path_with_two_kinds_of_fault_leads_to_a_grip_on_doubt(first, second):
    _, modes, doubts = explore(first, second)
    assert modes == set(Mode)
    assert {first, second} <= doubts
