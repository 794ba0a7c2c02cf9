"""Each rule of the search for an operating point by itself, on scores made up for it, and held against scipy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, chi2

from bci.decisions import Prediction
from bci.errors import PolicyRefusedError, ShapeError
from bci.evaluation import EventScore, TaskEvent, match_events, poisson_interval
from bci.prosthesis import IntentPolicy, PolicyParameters, choose_policy
from bci.prosthesis import operating_point as search
from bci.prosthesis.operating_point import _best, _Evidences, _luck, _Tried, _upper, _why_not

FS = 100.0
STEP = 10

#: Twenty minutes of idle time and forty events, nearly all answered in time: well within any budget here.
GOOD = EventScore(
    n_events=40, hits=36, false_positives=3, idle_s=1200.0, hit_window_s=160.0, latencies_s=(1.0,) * 36
)


def tried(threshold, *scores):
    return _Tried(PolicyParameters(threshold=threshold), list(scores))


def limit_per_min(false_positives, minutes):
    """One-sided 95 % upper limit of a Poisson rate (Garwood 1936)."""
    return chi2.ppf(0.95, 2 * (false_positives + 1)) / 2 / minutes


@pytest.mark.parametrize(
    ("hits", "n", "p"), [(0, 7, 0.3), (1, 7, 0.3), (5, 9, 0.41), (7, 7, 0.3), (12, 40, 0.2)]
)
def test_luck_is_the_upper_tail_of_the_binomial_distribution(hits, n, p):
    assert _luck(hits, n, p) == pytest.approx(binom.sf(hits - 1, n, p), rel=1e-12)


@pytest.mark.parametrize(("false_positives", "minutes"), [(0, 3.0), (2, 7.0), (30, 11.5)])
def test_the_limit_of_false_activations_is_the_exact_poisson_one(false_positives, minutes):
    score = EventScore(false_positives=false_positives, idle_s=60.0 * minutes)
    assert _upper(score) == pytest.approx(limit_per_min(false_positives, minutes), rel=1e-9)


def test_most_hits_win_then_fewest_false_activations_then_the_shortest_latency():
    fewer_hits = replace(GOOD, hits=35, false_positives=0, latencies_s=(0.1,) * 35)
    slow = replace(GOOD, latencies_s=(2.0,) * 36)
    hasty = replace(GOOD, false_positives=4, latencies_s=(0.1,) * 36)
    order = [tried(1.0, fewer_hits), tried(2.0, hasty), tried(3.0, slow), tried(4.0, GOOD), tried(5.0, GOOD)]
    assert _best(order, [0], 1.0).parameters.threshold == 4.0, (
        "and of equal ones the first, which is stricter"
    )
    assert _best(order[::-1], [0], 1.0).parameters.threshold == 5.0
    assert _best(order[:3], [0], 1.0).parameters.threshold == 3.0
    assert _best(order[:2], [0], 1.0).parameters.threshold == 2.0


def test_the_budget_itself_is_still_within_the_budget():
    budget = _upper(GOOD)
    assert _best([tried(1.0, GOOD)], [0], budget) is not None
    assert _best([tried(1.0, GOOD)], [0], math.nextafter(budget, 0.0)) is None


def test_points_that_break_the_budget_or_saw_nothing_are_passed_over():
    wild = replace(GOOD, hits=40, false_positives=500, latencies_s=(0.5,) * 40)
    no_idle = replace(GOOD, hits=40, idle_s=0.0, latencies_s=(0.5,) * 40)
    no_events = EventScore(idle_s=1200.0)
    order = [tried(n, score) for n, score in enumerate((wild, no_idle, no_events, GOOD), start=1)]
    assert _best(order, [0], 1.0).parameters.threshold == 4
    assert _best(order[:3], [0], 1.0) is None


def test_a_short_idle_time_counts_where_the_budget_is_wide():
    short = replace(GOOD, false_positives=0, idle_s=0.9, hit_window_s=4.0)
    assert _best([tried(1.0, short)], [0], 1000.0) is not None


def test_only_the_runs_named_have_a_say():
    here = tried(1.0, GOOD, replace(GOOD, false_positives=500))
    there = tried(2.0, replace(GOOD, hits=30, latencies_s=(1.0,) * 30), GOOD)
    assert _best([here, there], [0], 1.0) is here
    assert _best([here, there], [1], 1.0) is there


def test_hits_that_firing_at_random_would_reach_are_no_merit():
    """At the upper limit's rate, random firing hits a window of so many seconds with 1 - exp(-rate · window)."""
    rate_per_s = limit_per_min(3, 20.0) / 60.0
    blind = 1.0 - math.exp(-rate_per_s * 160.0 / 40.0)
    enough = next(k for k in range(41) if binom.sf(k - 1, 40, blind) <= search.LUCK)
    assert 1 < enough < 40
    for hits, wanted in ((enough, True), (enough - 1, False)):
        score = replace(GOOD, hits=hits, latencies_s=(1.0,) * hits)
        assert (_best([tried(1.0, score)], [0], 1.0) is not None) is wanted


def test_luck_at_the_very_line_is_still_merit(monkeypatch):
    blind = 1.0 - math.exp(-_upper(GOOD) / 60.0 * GOOD.hit_window_s / GOOD.n_events)
    monkeypatch.setattr(search, "LUCK", _luck(36, 40, blind))
    assert _best([tried(1.0, GOOD)], [0], 1.0) is not None


def test_the_random_rate_is_counted_per_minute_and_not_nearly_so(monkeypatch):
    blind = 1.0 - math.exp(-limit_per_min(3, 20.0) / 60.0 * 160.0 / 40.0)
    monkeypatch.setattr(search, "LUCK", 1.0001 * float(binom.sf(9, 40, blind)))
    ten = replace(GOOD, hits=10, latencies_s=(1.0,) * 10)
    assert _best([tried(1.0, ten)], [0], 1.0) is not None
    monkeypatch.setattr(search, "LUCK", 0.9999 * float(binom.sf(9, 40, blind)))
    assert _best([tried(1.0, ten)], [0], 1.0) is None


def test_a_refusal_says_how_much_to_record_or_that_recording_more_will_not_do():
    needed = limit_per_min(0, 1.0) / 0.5
    assert _why_not(1.5, 0.5) == (
        "1.5 min of idle signal cannot show 0.5 false activations a minute: record at least 6.0 min, "
        "or state a larger budget"
    )
    assert _why_not(math.nextafter(needed, 0.0), 0.5).startswith("6.0 min of idle signal cannot show")
    exactly = poisson_interval(0, 1.0, confidence=0.9).high / 0.5
    assert _why_not(exactly, 0.5).startswith("no operating point"), "so much is enough"
    assert _why_not(needed * (1 + 1e-12), 0.5) == (
        "no operating point keeps 0.5 false activations a minute over 6.0 min of idle signal and clearly hits "
        "more than chance: improve the calibration, or state a larger budget"
    )


# ---- the whole search, with few operating points


@pytest.fixture
def few_points(monkeypatch):
    monkeypatch.setattr(search, "SMOOTHING", (("mean", 0.5),))
    monkeypatch.setattr(search, "DWELL_S", (0.5,))
    monkeypatch.setattr(search, "THRESHOLDS", (3.0, 1.0, 0.5, -0.5))


def recorded(seed, *, good=2.5, minutes=4.0, stray_per_min=0.0):
    """A run in which grasps of 4 s every 12 s show clearly, and `stray_per_min` others were not asked for."""
    rng = np.random.default_rng(seed)
    n = int(minutes * 60 * FS / STEP)
    cues = [TaskEvent(c, c + 400, "grasp") for c in range(300, n * STEP - 500, 1200)]
    odds = rng.normal(-good, 0.3, n)
    for cue in cues:
        odds[cue.cue_sample // STEP + 10 : cue.end_sample // STEP] += 2 * good
    for at in np.arange(stray_per_min * minutes) * 60 / max(stray_per_min, 1) * FS / STEP + 85:
        odds[int(at) : int(at) + 15] = good
    p = 1.0 / (1.0 + np.exp(-odds))
    return [Prediction(i * STEP, ("rest", "grasp"), (1.0 - x, x)) for i, x in enumerate(p.tolist())], cues


def choose(runs, budget_per_min, **options):
    return choose_policy(
        [p for p, _ in runs], [c for _, c in runs], fs_hz=FS, budget_per_min=budget_per_min, **options
    )


def test_a_pause_of_a_second_is_the_default_and_another_can_be_asked_for(few_points):
    runs = [recorded(1)]
    assert choose(runs, 1.5).parameters.refractory_s == 1.0
    assert choose(runs, 1.5, refractory_s=2.5).parameters.refractory_s == 2.5


def test_what_is_promised_was_scored_by_points_chosen_without_the_run(few_points):
    runs = [recorded(seed, minutes=m) for seed, m in ((2, 4.0), (3, 3.0), (4, 5.0))]
    choice = choose(runs, 2.0)
    assert choice.expected is not None
    assert choice.expected.n_events == choice.training.n_events == sum(len(cues) for _, cues in runs)
    assert choice.upper_per_min == pytest.approx(_upper(choice.training))
    pair = choose(runs[:2], 2.0)
    assert pair.expected is not None
    assert pair.expected.n_events == pair.training.n_events


def test_each_run_of_the_promise_is_scored_by_the_point_that_the_others_chose(monkeypatch):
    """The lenient point hits more and breaks the budget in the last run alone: all runs together choose the strict
    one, the first two alone would have chosen the lenient one, and the promise has to pay for that."""
    strict = replace(GOOD, hits=30, false_positives=0, latencies_s=(2.0,) * 30)
    lenient, broken = replace(GOOD, false_positives=0), replace(GOOD, false_positives=90)
    points = [tried(2.0, strict, strict, strict), tried(1.0, lenient, lenient, broken)]
    monkeypatch.setattr(search, "_try_all", lambda *_: iter(points))
    choice = choose([recorded(5, minutes=1.0)] * 3, 1.0)
    assert choice.parameters.threshold == 2.0
    assert choice.training == strict + strict + strict
    assert choice.expected == strict + strict + broken


def test_one_run_promises_nothing_and_so_do_runs_that_cannot_stand_alone(few_points):
    assert choose([recorded(8)], 1.5).expected is None
    together = choose([recorded(9, minutes=3.0), recorded(10, minutes=3.0)], 1.0)
    assert together.expected is None, "each leaves the other too short to show one a minute"


def test_thresholds_below_a_hopeless_one_are_not_tried(few_points):
    noise = recorded(11, good=0.0)
    with pytest.raises(PolicyRefusedError, match=r"^no operating point keeps 2 "):
        choose([noise], 2.0)
    quiet = [recorded(12)]
    assert choose(quiet, 2.0).variants == 4
    many = [recorded(13, stray_per_min=10.0)]
    seen = list(search._try_all([many[0][0]], [many[0][1]], FS, 1.0, 4.0))
    beyond = [_upper(sum(t.scores, EventScore())) > 4.0 for t in seen]
    assert beyond[:-1] == [False] * (len(seen) - 1)
    assert beyond[-1]
    assert len(seen) < 4


def test_how_far_the_search_goes_grows_with_the_budget(few_points, monkeypatch):
    strays = [recorded(14, stray_per_min=6.0)]
    asked = []

    def record(runs, cues, fs_hz, refractory_s, hopeless_per_min):
        asked.append(hopeless_per_min)
        return iter([tried(1.0, GOOD)])

    monkeypatch.setattr(search, "_try_all", record)
    choose(strays, 0.5)
    choose(strays, 2.0)
    assert asked == [2.0, 8.0]


def test_a_refused_budget_is_told_with_the_idle_minutes_of_all_runs(few_points):
    runs = [recorded(15, minutes=5.0), recorded(16, minutes=5.0)]
    idle_s = sum(
        (
            s
            for t in search._try_all([p for p, _ in runs], [c for _, c in runs], FS, 1.0, 4.0)
            for s in t.scores
        ),
        EventScore(),
    ).idle_s / len(search.THRESHOLDS)
    with pytest.raises(PolicyRefusedError, match=rf"^{idle_s / 60:.1f} min of idle signal cannot show 0\.1 "):
        choose(runs, 0.1)


@pytest.mark.parametrize("smoothing", [("mean", 1.0), ("mean", 0.2), ("leaky", 0.3)])
def test_every_point_was_scored_as_the_running_policy_would_have_done(monkeypatch, smoothing):
    monkeypatch.setattr(search, "SMOOTHING", (smoothing,))
    monkeypatch.setattr(search, "DWELL_S", (0.0, 1.0))
    monkeypatch.setattr(search, "THRESHOLDS", (1.2, 0.3))
    predictions, cues = recorded(18, good=1.4, minutes=1.0, stray_per_min=4.0)
    points = list(search._try_all([predictions], [cues], FS, 0.4, math.inf))
    assert len(points) == 4
    for point in points:
        policy = IntentPolicy(point.parameters, fs_hz=FS)
        output = ["rest" if policy.update(p) is None else "grasp" for p in predictions]
        at = [p.sample_index for p in predictions]
        assert point.scores == [match_events(at, output, cues, fs_hz=FS)]
        assert (point.parameters.smoothing, point.parameters.smooth_s) == smoothing
    assert {p.parameters.dwell_s for p in points} == {0.0, 1.0}
    assert len({p.scores[0] for p in points}) == 4, "each point does something of its own"


def test_evidence_exactly_at_threshold_or_release_counts_in_the_search_too():
    """At rest, up to the very threshold, back into between, down to the very release, and up again: two movements."""
    low, between, level = 0.1, 0.55, 0.9
    predictions = [
        Prediction(i * STEP, ("rest", "grasp"), (1.0 - p, p))
        for i, p in enumerate((low, low, level, between, 0.5, between, level, low))
    ]
    plain = PolicyParameters(smooth_s=0.0)
    threshold = search.Evidence(plain, fs_hz=FS).update(predictions[2])[1]
    parameters = replace(plain, threshold=threshold, release=0.0, dwell_s=0.0, refractory_s=0.0)
    fired = _Evidences(predictions, parameters, (1,), FS).fired(
        parameters, [p.sample_index for p in predictions]
    )
    assert fired.tolist() == [-1, -1, 1, -1, -1, -1, 1, -1]


def test_a_hopeless_threshold_ends_its_shape_and_the_next_shape_is_tried(monkeypatch):
    monkeypatch.setattr(search, "SMOOTHING", (("mean", 0.5),))
    monkeypatch.setattr(search, "DWELL_S", (0.0, 1.0))
    monkeypatch.setattr(search, "THRESHOLDS", (3.9, 1.0, 0.5, -0.5))
    predictions, cues = recorded(19, stray_per_min=10.0, minutes=2.0)
    points = list(search._try_all([predictions], [cues], FS, 1.0, 4.0))
    tried_per_dwell = [sum(p.parameters.dwell_s == dwell_s for p in points) for dwell_s in (0.0, 1.0)]
    assert 0 < tried_per_dwell[0] < 4
    assert tried_per_dwell[1] > 0
    none_wrong = _upper(EventScore(idle_s=points[0].scores[0].idle_s))
    calm = recorded(20, minutes=2.0)
    at_the_line = list(search._try_all([calm[0]], [calm[1]], FS, 1.0, none_wrong))
    assert sum(p.parameters.dwell_s == 0.0 for p in at_the_line) > 1, (
        "what just reaches the line is not beyond it"
    )


@pytest.mark.parametrize(
    ("idle_s", "told"),
    [(0.0, r"^the runs hold no idle time or no cued movement"), (0.8, r"^0\.0 min of idle")],
)
def test_a_run_without_idle_time_is_told_from_one_with_too_little(few_points, idle_s, told):
    predictions, _ = recorded(21, minutes=0.5)
    last = predictions[-1].sample_index + STEP
    cue = TaskEvent(predictions[0].sample_index + round(idle_s * FS), last, "grasp")
    with pytest.raises(PolicyRefusedError, match=told):
        choose([(predictions, [cue])], 1.0)


def test_two_predictions_are_a_run_and_one_is_none(few_points):
    predictions, cues = recorded(17)
    with pytest.raises(ShapeError, match=r"^expected at least 2 predictions in every run$"):
        choose([(predictions[:1], cues)], 1.0)
    with pytest.raises(PolicyRefusedError):
        choose([(predictions[:2], cues[:1])], 1.0)
