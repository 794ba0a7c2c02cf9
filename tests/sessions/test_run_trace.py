"""What is counted as a movement of the hand."""

from __future__ import annotations

from bci.decisions import Intent, Prediction
from bci.prosthesis import IntentPolicy, PolicyParameters
from bci.sessions.run_trace import RunTrace

PARAMETERS = PolicyParameters(
    threshold=1.0, release=0.0, dwell_s=0.0, smooth_s=0.0, refractory_s=0.0, control="hold"
)


def said(sample: int, p: float) -> Prediction:
    return Prediction(sample, ("rest", "grasp"), (1.0 - p, p))


def test_letting_go_of_a_held_grip_is_no_movement_of_its_own() -> None:
    """Else each grasp in the middle of a rest would be two false movements."""
    policy = IntentPolicy(PARAMETERS, fs_hz=250.0)
    intents = [policy.update(said(25 * i, 0.9 if 3 <= i < 6 else 0.1)) for i in range(10)]
    made: list[Intent] = [intent for intent in intents if intent is not None]
    trace = RunTrace("test", 250.0, 0)
    trace.intents = [(intent.number, intent.sample_index, intent.action) for intent in made]
    assert [action for _, _, action in trace.intents] == ["grasp", "release"]
    assert trace.moved(frozenset({1, 2})) == {75: "grasp"}
    assert trace.moved(frozenset({2})) == {}
