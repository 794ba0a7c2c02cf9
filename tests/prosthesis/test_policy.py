"""From predictions to intents, and the choice of an operating point."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.decisions import Intent, Prediction
from bci.errors import DesignError, PolicyRefusedError, ShapeError
from bci.evaluation import EventScore, TaskEvent, match_events
from bci.prosthesis import IntentPolicy, PolicyParameters, Profile, Sequences, choose_policy
from bci.prosthesis.operating_point import THRESHOLDS, _Evidences
from bci.prosthesis.policy import Evidence, Firing

FS = 100.0
STEP = 10
TWO = ("rest", "grasp")


def predict(n, p, **values):
    return Prediction(n * STEP, TWO, (1.0 - p, p), **values)


def run(policy, probabilities, start=0):
    return [policy.update(predict(start + i, p)) for i, p in enumerate(probabilities)]


def fired(intents):
    return [i for i, intent in enumerate(intents) if intent is not None]


PLAIN = PolicyParameters(
    threshold=1.0, release=0.0, dwell_s=0.3, refractory_s=1.0, freeze_s=0.5, smooth_s=0.5
)


def test_an_intent_comes_after_smoothing_and_dwell_and_says_what_it_rests_on():
    intents = run(IntentPolicy(PLAIN, fs_hz=FS), [0.9] * 20)
    assert fired(intents) == [8]
    intent = intents[8]
    assert intent == Intent(1, "grasp", 80, 130, intent.probability, intent.probabilities)
    assert intent.probability == pytest.approx(0.9)
    assert intent.probabilities == pytest.approx((0.1, 0.9))


def test_it_does_not_fire_again_before_the_evidence_was_released():
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    assert len(fired(run(policy, [0.9] * 200))) == 1
    assert len(fired(run(policy, [0.1] * 10 + [0.9] * 50, start=200))) == 1


def test_it_does_not_fire_again_within_the_refractory_time():
    slow = PolicyParameters(threshold=1.0, release=0.9, dwell_s=0.0, refractory_s=5.0, smooth_s=0.0)
    intents = run(IntentPolicy(slow, fs_hz=FS), [0.9, 0.1] * 60)
    at = fired(intents)
    assert len(at) > 1
    assert all(b - a >= 50 for a, b in itertools.pairwise(at))


def test_wavering_evidence_restarts_the_dwell():
    quick = PolicyParameters(threshold=1.0, release=0.0, dwell_s=0.3, smooth_s=0.0)
    assert fired(run(IntentPolicy(quick, fs_hz=FS), [0.9, 0.9, 0.9, 0.6] * 10)) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"valid": False},
        {"outlier": True},
        {"probabilities": (math.nan, math.nan)},
        {"probabilities": (0.9, 0.9)},
        {"probabilities": (-0.5, 1.5)},
        {"probabilities": (0.1, 0.8, 0.1)},
        {"probabilities": (1.0,)},
        {"sample_index": 0},
    ],
)
def test_an_artefact_wipes_the_evidence_and_freezes(bad):
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    assert fired(run(policy, [0.9] * 7)) == []
    values = {"sample_index": 70, "classes": TWO, "probabilities": (0.1, 0.9), **bad}
    assert policy.update(Prediction(**values)) is None
    assert policy.evidence is None
    later = fired(run(policy, [0.9] * 40, start=8))
    assert later == [11 if "sample_index" in bad else 12] or later[0] >= 11


def test_one_overconfident_prediction_does_not_outvote_the_rest():
    policy = IntentPolicy(PolicyParameters(threshold=1.5, dwell_s=0.0), fs_hz=FS)
    assert fired(run(policy, [0.3] * 10 + [1.0] + [0.3] * 10)) == []


def test_rest_never_fires_and_the_strongest_class_wins():
    policy = IntentPolicy(PolicyParameters(threshold=0.1, dwell_s=0.0), fs_hz=FS, actions={"right": "close"})
    classes = ("left", "rest", "right")
    intents = [policy.update(Prediction(i * STEP, classes, (0.1, 0.2, 0.7))) for i in range(20)]
    assert [intents[i].action for i in fired(intents)] == ["close"]
    resting = IntentPolicy(PolicyParameters(threshold=0.1, dwell_s=0.0), fs_hz=FS)
    assert all(resting.update(Prediction(i * STEP, classes, (0.1, 0.8, 0.1))) is None for i in range(50))


def test_proportional_control_repeats_itself_with_new_numbers_until_released():
    parameters = PolicyParameters(threshold=1.0, release=0.0, dwell_s=0.0, control="proportional")
    policy = IntentPolicy(parameters, fs_hz=FS)
    intents = [i for i in run(policy, [0.9] * 30 + [0.05] * 20) if i is not None]
    assert [i.number for i in intents] == list(range(1, len(intents) + 1))
    assert 25 <= len(intents) <= 30


def test_leaky_evidence_follows_and_forgets():
    leaky = PolicyParameters(threshold=1.5, release=0.0, dwell_s=0.0, smoothing="leaky")
    policy = IntentPolicy(leaky, fs_hz=FS)
    assert fired(run(policy, [0.1] * 10 + [0.9] * 20)) != []
    assert policy.evidence["grasp"] == pytest.approx(math.log(9.0), rel=0.1)


def test_leaky_evidence_is_the_exponential_average_of_its_time_constant():
    evidence = Evidence(PolicyParameters(smoothing="leaky", smooth_s=0.5), fs_hz=FS)
    level, before, late = 0.0, None, 0
    for at, p in ((0, 0.9), (10, 0.9), (40, 0.2), (55, 0.6), (60, 0.95), (120, 0.3), (125, 0.3)):
        odds = math.log(p / (1.0 - p))
        level = odds if before is None else odds + (level - odds) * math.exp(-(at - before) / 50.0)
        before = at
        seen = evidence.update(Prediction(at, TWO, (1.0 - p, p)))
        assert (seen is None) == (at < 50), "a full time constant comes first"
        if seen is not None:
            assert seen == pytest.approx((-level, level))
            late += 1
    assert late == 4
    forgetful = Evidence(PolicyParameters(smoothing="leaky", smooth_s=0.0), fs_hz=FS)
    for at, p in ((0, 0.9), (10, 0.2)):
        assert forgetful.update(Prediction(at, TWO, (1.0 - p, p)))[1] == pytest.approx(
            math.log(p / (1.0 - p))
        )


def test_the_mean_holds_the_last_half_second_and_nothing_older():
    evidence = Evidence(PolicyParameters(smooth_s=0.5), fs_hz=FS)
    for n, p in enumerate((0.95, 0.2, 0.2, 0.2, 0.2, 0.2)):
        seen = evidence.update(predict(n, p))
    assert seen[1] == pytest.approx(math.log(0.2 / 0.8)), "the first of them is half a second old"


def test_numbers_go_on_after_a_reset():
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    run(policy, [0.9] * 20)
    policy.reset()
    intents = run(policy, [0.9] * 20)
    assert intents[fired(intents)[0]].number == 2


@given(st.lists(st.floats(0.0, 1.0) | st.just(math.nan), max_size=120))
@settings(max_examples=60, deadline=None)
def test_no_intent_without_a_full_time_of_evidence_above_threshold(probabilities):
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    for i, p in enumerate(probabilities):
        if policy.update(predict(i, p)) is not None:
            recent = probabilities[i - 5 : i + 1]
            assert all(x == x for x in recent)
            assert policy.evidence["grasp"] >= PLAIN.threshold


def test_parameters_survive_json():
    assert PolicyParameters(**json.loads(json.dumps(PLAIN.to_dict()))) == PLAIN


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": math.nan},
        {"release": 9.0},
        {"dwell_s": -1.0},
        {"smoothing": "magic"},
        {"control": "magic"},
    ],
)
def test_parameters_out_of_range_are_refused(values):
    with pytest.raises(DesignError):
        PolicyParameters(**values)


def test_certainty_counts_as_much_as_the_clip_allows_in_either_direction():
    policy = IntentPolicy(PolicyParameters(smooth_s=0.0, threshold=3.0), fs_hz=FS)
    policy.update(Prediction(0, TWO, (0.0, 1.0)))
    assert policy.evidence == {"rest": -4.0, "grasp": 4.0}
    policy.update(Prediction(STEP, TWO, (1.0, 0.0)))
    assert policy.evidence == {"rest": 4.0, "grasp": -4.0}


def test_evidence_at_the_threshold_fires_and_at_the_release_releases():
    firing = Firing(PolicyParameters(threshold=1.0, release=0.5, dwell_s=0.0, refractory_s=0.0), fs_hz=FS)
    assert firing.update(0, (0.0, math.nextafter(1.0, 0.0)), (1,)) == -1
    assert firing.update(10, (0.0, 1.0), (1,)) == 1
    assert firing.update(20, (0.0, math.nextafter(0.5, 1.0)), (1,)) == -1
    assert firing.active == 1
    assert firing.update(30, (0.0, 0.5), (1,)) == -1
    assert firing.active == -1
    assert firing.update(40, (0.0, 1.0), (1,)) == 1
    assert firing.update(50, (0.0, 0.0), (1,)) == -1


def test_what_does_not_fire_says_so_in_every_case():
    """The search for an operating point takes the answer as an index, so any other number would be another class."""
    firing = Firing(PolicyParameters(threshold=1.0, release=0.5, dwell_s=0.2, refractory_s=0.0), fs_hz=FS)
    assert firing.active == -1, "nothing to release at the start"
    answers = [firing.update(t, e, (1,)) for t, e in ((0, None), (10, (0.0, 0.9)), (20, (0.0, 1.0)))]
    assert answers == [-1, -1, -1]
    assert [firing.update(t, (0.0, 1.0), (1,)) for t in (30, 40, 50)] == [-1, 1, -1]


def test_the_first_dwell_is_counted_from_when_the_evidence_rose_whichever_class_it_is():
    for best in (0, 1, 2):
        firing = Firing(PolicyParameters(threshold=1.0, dwell_s=0.2), fs_hz=FS)
        evidence = tuple(2.0 * (i == best) for i in range(3))
        answers = [firing.update(t, evidence, (0, 1, 2)) for t in (1000, 1010, 1020)]
        assert answers == [-1, -1, best]


def test_evidence_that_lies_at_threshold_and_release_at_once_dwells_anew_each_time():
    firing = Firing(PolicyParameters(threshold=1.0, release=1.0, dwell_s=0.2, refractory_s=0.0), fs_hz=FS)
    at = [t for t in range(0, 100, STEP) if firing.update(t, (0.0, 1.0), (1,)) == 1]
    assert at == [20, 50, 80]


def test_nothing_fires_within_the_pause_whatever_the_first_sample_number_was():
    firing = Firing(PolicyParameters(threshold=1.0, release=0.5, dwell_s=0.0), fs_hz=FS)
    assert firing.update(-500, (0.0, 2.0), (1,)) == 1, "a stream may begin at any number"
    firing.update(-490, (0.0, 0.0), (1,))
    assert firing.update(-410, (0.0, 2.0), (1,)) == -1
    assert firing.update(-400, (0.0, 2.0), (1,)) == 1
    evidence = Evidence(PolicyParameters(smooth_s=0.0), fs_hz=FS)
    assert evidence.update(Prediction(-500, TWO, (0.5, 0.5))) is not None


def test_a_refused_parameter_is_named_with_what_was_expected():
    for values, told in (
        ({"threshold": 0.5, "release": 1.0}, "threshold 0.5 and release 1.0: expected release ≤ threshold"),
        ({"dwell_s": 60.5}, "dwell_s = 60.5: expected 0 to 60 s"),
        ({"smoothing": "none"}, "smoothing = 'none': expected 'mean' or 'leaky'"),
        ({"control": "auto"}, "control = 'auto': expected one of switch, hold, proportional"),
    ):
        with pytest.raises(DesignError) as refused:
            PolicyParameters(**values)
        assert str(refused.value) == told
    assert PolicyParameters(dwell_s=60.0, freeze_s=0.0).dwell_s == 60.0


def test_a_sample_that_comes_twice_is_doubt_like_one_that_comes_late():
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    assert policy.evidence is None
    assert fired(run(policy, [0.9] * 7)) == []
    assert policy.evidence is not None
    assert policy.update(predict(6, 0.9)) is None
    assert policy.evidence is None
    # 0.5 s frozen, then 0.5 s of new evidence, then the dwell of 0.3 s
    assert fired(run(policy, [0.9] * 40, start=7)) == [12]


@pytest.mark.parametrize("classes", [("grasp", "rest"), ("rest", "grasp")])
def test_proportional_control_goes_on_wherever_the_moving_class_stands(classes):
    parameters = PolicyParameters(threshold=1.0, release=0.0, dwell_s=0.0, control="proportional")
    policy = IntentPolicy(parameters, fs_hz=FS)
    p = (0.9, 0.1) if classes[0] == "grasp" else (0.1, 0.9)
    intents = [policy.update(Prediction(i * STEP, classes, p)) for i in range(20)]
    assert [i.action for i in intents if i is not None] == ["grasp"] * 15
    assert [i.probability for i in intents if i is not None] == pytest.approx([0.9] * 15)


def test_a_policy_serves_one_decoder_at_one_rate():
    assert IntentPolicy(PLAIN, fs_hz=0.5).update(predict(0, 0.5)) is None
    with pytest.raises(DesignError, match="positive rate"):
        IntentPolicy(PLAIN, fs_hz=0.0)
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    policy.update(predict(0, 0.5))
    with pytest.raises(DesignError, match="one decoder"):
        policy.update(Prediction(10, ("a", "b"), (0.5, 0.5)))
    with pytest.raises(DesignError, match="moves anything"):
        IntentPolicy(PLAIN, fs_hz=FS).update(Prediction(0, ("rest",), (1.0,)))


# ---- sequences


def hear(coder, *at_and_action):
    heard = dict(at_and_action)
    out = []
    for sample in range(0, 2000, STEP):
        action = heard.get(sample)
        intent = None if action is None else Intent(1, action, sample, sample + 50, 0.8)
        meant = coder.update(sample, intent)
        if meant is not None:
            out.append((sample, meant.action, meant.number))
    return out


MEANINGS = {("left",): "open", ("right",): "power", ("right", "left"): "pinch"}


def test_short_sequences_of_intents_stand_for_more_grips_than_classes():
    coder = Sequences(MEANINGS, within_s=2.0, fs_hz=FS)
    assert hear(coder, (100, "left"), (500, "right"), (1000, "right"), (1100, "left")) == [
        (100, "open", 1),
        (710, "power", 2),
        (1100, "pinch", 3),
    ]


def test_a_sequence_that_means_nothing_moves_nothing():
    coder = Sequences({("right", "left"): "pinch"}, within_s=2.0, fs_hz=FS)
    assert hear(coder, (100, "left"), (500, "right"), (600, "right")) == []
    for meanings in ({}, {(): "pinch"}):
        with pytest.raises(DesignError, match=r"^expected at least one sequence of at least one action$"):
            Sequences(meanings, within_s=1.0, fs_hz=FS)


# ---- the operating point


def recorded(rng, *, good, minutes=6.0):
    """A run of predictions: grasps of 4 s every 12 s, seen with log-odds `good` above rest."""
    n = int(minutes * 60 * FS / STEP)
    cues = [TaskEvent(c, c + 400, "grasp") for c in range(300, int(minutes * 60 * FS) - 500, 1200)]
    odds = np.zeros(n)
    noise = 0.0
    for i in range(n):
        noise = 0.9 * noise + rng.normal(0.0, 0.44)
        inside = any(c.cue_sample + 100 <= i * STEP < c.end_sample for c in cues)
        odds[i] = noise + (good if inside else -good)
    return [predict(i, 1.0 / (1.0 + math.exp(-x))) for i, x in enumerate(odds)], cues


def test_the_operating_point_keeps_the_budget_with_confidence_and_hits():
    rng = np.random.default_rng(1)
    runs = [recorded(rng, good=2.0, minutes=3.0) for _ in range(2)]
    choice = choose_policy([p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=1.0)
    assert choice.upper_per_min <= 1.0
    assert choice.training.true_positive_rate > 0.8
    assert choice.training.n_events == 2 * len(runs[0][1])
    again = choose_policy([p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=1.0)
    assert again == choice


def test_the_chosen_policy_running_live_does_what_the_search_counted():
    rng = np.random.default_rng(2)
    predictions, cues = recorded(rng, good=1.0)
    choice = choose_policy([predictions], [cues], fs_hz=FS, budget_per_min=2.0)
    policy = IntentPolicy(choice.parameters, fs_hz=FS)
    edges = [p.sample_index for p in predictions if policy.update(p) is not None]
    hits = sum(any(c.cue_sample <= e <= c.end_sample + 50 for e in edges) for c in cues)
    assert hits == choice.training.hits


@pytest.mark.parametrize("seed", range(3, 7))
def test_a_decoder_that_knows_nothing_is_refused(seed):
    rng = np.random.default_rng(seed)
    runs = [recorded(rng, good=0.0) for _ in range(2)]
    with pytest.raises(PolicyRefusedError, match="no operating point"):
        choose_policy([p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=0.5)


def test_too_little_idle_time_for_the_budget_is_refused_with_the_minutes_needed():
    predictions, cues = recorded(np.random.default_rng(4), good=2.0, minutes=1.5)
    with pytest.raises(PolicyRefusedError, match=r"at least 6\.0 min"):
        choose_policy([predictions], [cues], fs_hz=FS, budget_per_min=0.5)


def test_runs_without_cues_or_of_unequal_number_are_refused():
    predictions, cues = recorded(np.random.default_rng(4), good=2.0, minutes=1.0)
    with pytest.raises(PolicyRefusedError, match="no cued movement"):
        choose_policy([predictions], [[]], fs_hz=FS, budget_per_min=1.0)
    with pytest.raises(ShapeError, match="1 and 2 runs"):
        choose_policy([predictions], [cues, cues], fs_hz=FS, budget_per_min=1.0)
    with pytest.raises(ShapeError, match="2 predictions"):
        choose_policy([[]], [[]], fs_hz=FS, budget_per_min=1.0)


def test_the_promise_comes_from_runs_that_the_choice_did_not_see():
    rng = np.random.default_rng(8)
    runs = [recorded(rng, good=1.1, minutes=2.5) for _ in range(3)]
    choice = choose_policy([p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=2.0)
    alone = []
    for left_out in range(3):
        others = [run for i, run in enumerate(runs) if i != left_out]
        fold = choose_policy([p for p, _ in others], [c for _, c in others], fs_hz=FS, budget_per_min=2.0)
        policy = IntentPolicy(fold.parameters, fs_hz=FS)
        predictions, cues = runs[left_out]
        fired_at = [policy.update(p) is not None for p in predictions]
        alone.append(match_events([p.sample_index for p in predictions], np.array(fired_at), cues, fs_hz=FS))
    assert choice.expected == sum(alone, EventScore())
    assert choice.expected_hit_rate == choice.expected.hits / choice.expected.n_events
    low, high = choice.expected_hit_interval
    assert low < choice.expected_hit_rate < high


def test_one_run_alone_promises_nothing():
    predictions, cues = recorded(np.random.default_rng(9), good=2.0)
    choice = choose_policy([predictions], [cues], fs_hz=FS, budget_per_min=1.0)
    assert choice.expected is None
    assert math.isnan(choice.expected_hit_rate)
    assert choice.expected_hit_interval is None


def test_runs_that_show_the_budget_only_together_promise_nothing():
    rng = np.random.default_rng(10)
    runs = [recorded(rng, good=2.0, minutes=3.0) for _ in range(2)]
    choice = choose_policy([p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=1.0)
    assert choice.expected is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [-0.5, 0.3, 1.1])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_the_search_sees_what_the_running_policy_does(seed, threshold, gap):
    """The search calls `Firing` only where its state can change; here it is called at every decision."""
    rng = np.random.default_rng(seed)
    run, level = [], np.zeros(3)
    for i in range(3000):
        level = 0.9 * level + rng.normal(0.0, 0.5, 3)
        p = np.exp(level) / np.exp(level).sum()
        outlier = bool(rng.random() < 0.01)
        run.append(Prediction(i * STEP, ("left", "rest", "right"), tuple(p.tolist()), outlier=outlier))
    at = [p.sample_index for p in run]
    for dwell_s in (0.0, 0.4):
        parameters = PolicyParameters(threshold=threshold, release=threshold - gap, dwell_s=dwell_s)
        seen = _Evidences(run, parameters, (0, 2), FS).fired(parameters, at)
        evidence, firing = Evidence(parameters, fs_hz=FS), Firing(parameters, fs_hz=FS)
        each = [firing.update(t, evidence.update(p), (0, 2)) for t, p in zip(at, run, strict=True)]
        assert seen.tolist() == each
        assert any(fired >= 0 for fired in each)


def test_a_tighter_budget_never_takes_a_more_lenient_point():
    rng = np.random.default_rng(11)
    runs = [recorded(rng, good=1.0, minutes=3.0) for _ in range(2)]
    hits = []
    for budget in (1.0, 5.0):
        choice = choose_policy([p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=budget)
        assert choice.upper_per_min <= budget
        hits.append(choice.training.hits)
    assert hits == sorted(hits)
    assert tuple(sorted(THRESHOLDS, reverse=True)) == THRESHOLDS


# ---- modes

HOLD = PolicyParameters(threshold=1.0, release=0.0, dwell_s=0.0, refractory_s=0.0, control="hold")


def test_a_held_intent_ends_with_a_release_and_begins_again():
    policy = IntentPolicy(HOLD, fs_hz=FS)
    intents = [i for i in run(policy, [0.9] * 20 + [0.1] * 20 + [0.9] * 20) if i is not None]
    assert [(i.number, i.action) for i in intents] == [(1, "grasp"), (2, "release"), (3, "grasp")]
    assert intents[1].probability > 0.5
    assert intents[1].probability == pytest.approx(1.0 - intents[1].probabilities[1])


def test_an_artefact_releases_nothing_until_the_evidence_is_back():
    policy = IntentPolicy(HOLD, fs_hz=FS)
    run(policy, [0.9] * 20)
    assert policy.update(predict(20, 0.9, outlier=True)) is None
    quiet = run(policy, [0.1] * 40, start=21)
    assert [i.action for i in quiet if i is not None] == ["release"]
    assert fired(quiet)[0] >= 5  # the freeze, and a full time of evidence after it


def test_the_next_class_takes_over_from_a_held_one_without_a_release():
    policy = IntentPolicy(HOLD, fs_hz=FS)
    classes = ("left", "rest", "right")
    out = []
    for i in range(60):
        p = (0.9, 0.05, 0.05) if i < 30 else (0.02, 0.02, 0.96)
        if (intent := policy.update(Prediction(i * STEP, classes, p))) is not None:
            out.append(intent.action)
    assert out in (["left", "right"], ["left", "release", "right"])
    assert out[-1] == "right"


@pytest.mark.parametrize(
    ("classes", "p", "action"),
    [
        (("left", "right"), (0.9, 0.1), "left"),
        (("left", "right"), (0.1, 0.9), "right"),
        (("left", "rest", "right"), (0.9, 0.05, 0.05), "left"),
        (("left", "rest", "right"), (0.05, 0.05, 0.9), "right"),
        (("left", "rest", "right"), (0.05, 0.9, 0.05), None),
    ],
)
def test_two_and_three_classes_each_mean_their_own(classes, p, action):
    policy = IntentPolicy(PLAIN, fs_hz=FS)
    intents = [policy.update(Prediction(i * STEP, classes, p)) for i in range(30)]
    assert [i.action for i in intents if i is not None] == ([] if action is None else [action])
    for intent in filter(None, intents):
        assert intent.probabilities == pytest.approx(p)


def test_the_profile_decides_how_intents_steer():
    held = IntentPolicy.for_profile(PLAIN, Profile(control="hold"), fs_hz=FS)
    assert held.parameters == replace(PLAIN, control="hold")
    coded = IntentPolicy.for_profile(
        PLAIN, Profile(sequences={"grasp grasp": "open", "grasp": "power"}, sequence_within_s=4.0), fs_hz=FS
    )
    twice = run(coded, [0.9] * 12 + [0.05] * 15 + [0.9] * 12 + [0.05] * 60)
    assert [(i.number, i.action) for i in twice if i is not None] == [(1, "grasp grasp")]
    once = run(coded, [0.9] * 12 + [0.05] * 60, start=200)
    assert [(i.number, i.action) for i in once if i is not None] == [(2, "grasp")]


def test_an_artefact_in_the_middle_of_a_sequence_drops_it():
    coded = IntentPolicy.for_profile(
        PLAIN, Profile(sequences={"grasp grasp": "toggle"}, sequence_within_s=10.0), fs_hz=FS
    )
    run(coded, [0.9] * 12 + [0.05] * 15)
    coded.update(predict(27, 0.5, valid=False))
    assert fired(run(coded, [0.05] * 10 + [0.9] * 30, start=28)) == []
    coded.reset()
    assert fired(run(coded, [0.9] * 12 + [0.05] * 15 + [0.9] * 12, start=200)) != []


def test_sequences_are_made_of_single_intents():
    sequences = Sequences({("grasp",): "power"}, within_s=1.0, fs_hz=FS)
    with pytest.raises(DesignError, match="single intents: control is 'hold'"):
        IntentPolicy(HOLD, fs_hz=FS, sequences=sequences)


def test_a_sequence_says_what_it_rests_on():
    coder = Sequences(MEANINGS, within_s=2.0, fs_hz=FS)
    first = Intent(7, "right", 100, 150, 0.8, (0.2, 0.8))
    assert coder.update(100, first) is None
    assert coder.update(300, None) is None
    meant = coder.update(301, None)
    assert meant == Intent(1, "power", 301, 351, 0.8, (0.2, 0.8))
