"""Sessions frozen step by step: what the monitor and the policy do changes only on purpose.

Who changes it looks at the difference first (`print` the trace of both versions) and then freezes the new digest.
"""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from bci.decisions import Prediction
from bci.prosthesis import IntentPolicy, PolicyParameters, Profile
from bci.prosthesis.event_log import _encode
from bci.prosthesis.events import Arm, Asked, Disarm, Heard, Replied, Stop, Tick, to_record
from bci.prosthesis.hand import Reply
from bci.prosthesis.monitor_state import State
from bci.prosthesis.safety import TICK_US, step
from bci.selftest._safety_steps import PROFILES, QUIET, ZERO, random_event

from .steps import rules


def digest(lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def told(state):
    """All that the state holds but the rules."""
    return repr(
        tuple(sorted(v) if isinstance(v := getattr(state, n), frozenset) else v for n in State.__slots__[1:])
    )


def random_trace(profile, seed, n=1500):
    rng, lines = random.Random(seed), []
    state = State(rules(profile))
    for i in range(n):
        if i % 250 == 0:
            state = State(rules(profile))
        event = random_event(state, rng)
        state, actions = step(state, event)
        lines += [_encode(to_record(x)) for x in (event, *actions)]
        lines.append(told(state))
    return lines


@pytest.mark.parametrize(
    ("number", "frozen"), [(0, "021a4e0171c10a82"), (1, "71e52e64d1cc89fa"), (2, "82a3c76f61f34842")]
)
def test_hostile_sessions_go_as_they_went(number, frozen):
    assert digest(random_trace(PROFILES[number], seed=number)) == frozen


def quiet_trace(profile):
    """A good session: arm, close on an object, a bad second, again, open, STOP, disarm."""
    state, lines, t, number = State(rules(profile)), [], 0, 0

    def feed(*events):
        nonlocal state
        for event in events:
            state, actions = step(state, event)
            lines.extend(_encode(to_record(x)) for x in (event, *actions))
        lines.append(told(state))

    def beats(n, **flags):
        nonlocal t
        for _ in range(n):
            t += TICK_US
            where = tuple(min(s, 0.6) for s in state.setpoint)
            touches = tuple(s > 0.6 for s in state.setpoint)
            feed(
                Tick(t), Replied(t, Reply(where, QUIET, ZERO, touches, 30.0)), Heard(t, t // 4000, t, **flags)
            )

    def ask(action, p=0.9, ahead=100):
        nonlocal number
        number += 1
        feed(Asked(t, number, action, state.sample, state.sample + ahead, p, (1.0 - p, p)))

    beats(3)
    feed(Arm(t))
    ask("grasp")
    beats(40)
    beats(3, outlier=True)
    beats(70)
    for p in (0.7, 0.55, 1.0):
        ask("close", p, ahead=30)
        beats(8)
    ask("grasp")
    beats(30)
    ask("juggle")
    ask("close", 0.9, -1)
    feed(Stop(t, "key"))
    beats(200)
    feed(Arm(t), Disarm(t))
    beats(3)
    feed(Arm(t))
    return lines


@pytest.mark.parametrize(
    ("number", "frozen"), [(0, "c501d65f013951a3"), (1, "d881789290f0bf53"), (2, "90d986891f753937")]
)
def test_a_good_session_goes_as_it_went(number, frozen):
    assert digest(quiet_trace(PROFILES[number])) == frozen


def policy_trace(parameters, profile=None, n=4000):
    """Intents on three classes that come and go, to nine digits: the last bits of a logarithm differ by machine."""
    rng, lines = random.Random(1), []
    policy = IntentPolicy.for_profile(parameters, profile or Profile(control=parameters.control), fs_hz=250.0)
    level = [0.0, 0.0, 0.0]
    for i in range(n):
        level = [0.95 * x + rng.gauss(0.0, 0.4) for x in level]
        weights = [2.718281828**x for x in level]
        p = tuple(w / sum(weights) for w in weights)
        outlier, valid = rng.random() < 0.004, rng.random() > 0.004
        if rng.random() < 0.003:
            p = (p[0], p[1], float("nan"))
        intent = policy.update(Prediction(25 * i, ("left", "rest", "right"), p, valid=valid, outlier=outlier))
        if i % 100 == 0 and policy.evidence is not None:
            lines.append(json.dumps({k: round(v, 9) for k, v in policy.evidence.items()}))
        if intent is not None:
            rounded = [round(x, 9) for x in (intent.probability, *intent.probabilities)]
            lines.append(
                f"{intent.number} {intent.action} {intent.sample_index} {intent.expires_sample} {rounded}"
            )
    assert len(lines) > 40
    return lines


CODES = Profile(sequences={"left": "open", "right": "power", "right left": "pinch", "left left": "key"})
POLICIES = {
    "switch": (PolicyParameters(threshold=0.3, release=-0.2, dwell_s=0.3), None),
    "leaky": (PolicyParameters(threshold=0.3, release=0.3, dwell_s=0.0, smoothing="leaky"), None),
    "unsmoothed": (
        PolicyParameters(threshold=0.5, dwell_s=0.2, smooth_s=0.0, smoothing="leaky", freeze_s=0.0),
        None,
    ),
    "hold": (
        PolicyParameters(threshold=0.2, release=-0.3, dwell_s=0.1, refractory_s=0.4, control="hold"),
        None,
    ),
    "proportional": (
        PolicyParameters(threshold=0.4, release=0.1, expiry_s=0.3, control="proportional"),
        None,
    ),
    "sequences": (
        PolicyParameters(threshold=0.0, release=-0.4, dwell_s=0.0, refractory_s=0.2, smooth_s=0.2),
        CODES,
    ),
}


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("switch", "aa01f7293ed57eb9"),
        ("leaky", "346e6a02ec749efa"),
        ("unsmoothed", "78633131632dd2eb"),
        ("hold", "3b1c6984181c6624"),
        ("proportional", "640d927afb48f3e5"),
        ("sequences", "765688f4cb7841ab"),
    ],
)
def test_policies_decide_as_they_decided(name, frozen):
    assert digest(policy_trace(*POLICIES[name])) == frozen
