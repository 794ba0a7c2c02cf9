"""Asynchronous scoring against cases counted by hand. 100 Hz, one decision every 10 samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ShapeError
from bci.evaluation import EventScore, TaskEvent, match_events, poisson_interval

FS_HZ = 100.0
RUN_S = 60.0
EVENT = TaskEvent(1000, 1400, "grasp")  # 10 s to 14 s; hit window to 14.5 s


def score(
    *on_s: tuple[float, float], events: tuple[TaskEvent, ...] = (EVENT,), label: str = "grasp"
) -> EventScore:
    """Output that is `label` in each half-open span of seconds."""
    times = np.arange(0, int(RUN_S * FS_HZ), 10)
    output = np.full(len(times), "rest", dtype="<U8")
    for start, end in on_s:
        output[(times >= start * FS_HZ) & (times < end * FS_HZ)] = label
    return match_events(times, output, events, fs_hz=FS_HZ)


def test_an_edge_inside_the_hit_window_is_a_hit_with_its_latency_from_the_cue() -> None:
    result = score((11.2, 13.0))
    assert (result.hits, result.n_events, result.false_positives) == (1, 1, 0)
    assert result.latencies_s == (pytest.approx(1.2),)


def test_an_edge_in_the_grace_after_the_task_is_a_hit_and_one_after_it_is_false() -> None:
    assert (score((14.5, 14.7)).hits, score((14.5, 14.7)).false_positives) == (1, 0)
    assert (score((14.6, 14.7)).hits, score((14.6, 14.7)).false_positives) == (0, 1)


def test_later_edges_inside_a_hit_window_are_ignored() -> None:
    result = score((11.0, 11.5), (12.0, 12.5), (13.0, 13.5))
    assert (result.hits, result.false_positives, result.latencies_s) == (1, 0, (1.0,))


def test_an_output_already_on_at_the_cue_is_a_miss_and_its_edge_before_is_false() -> None:
    result = score((9.5, 10.5), (12.0, 12.5))
    assert (result.hits, result.false_positives) == (0, 1)


def test_an_edge_at_the_cue_itself_is_a_hit_without_latency() -> None:
    assert score((10.0, 11.0)).latencies_s == (0.0,)


def test_every_idle_edge_is_false_and_every_full_two_seconds_on_count_again() -> None:
    assert score((20.0, 21.9)).false_positives == 1
    assert score((20.0, 22.0)).false_positives == 2
    assert score((20.0, 25.9)).false_positives == 3
    assert score((20.0, 21.0), (22.0, 23.0)).false_positives == 2


def test_only_the_idle_part_of_a_long_output_counts_again() -> None:
    assert score((14.0, 16.5)).false_positives == 0  # hit in the window, then 1.99 s of idle time
    assert score((14.0, 16.6)).false_positives == 1


def test_the_output_at_the_end_of_a_run_counts_until_one_decision_later() -> None:
    assert score((58.0, 60.0)).false_positives == 2


def test_idle_time_is_the_run_without_hit_windows() -> None:
    result = score()
    assert result.idle_s == pytest.approx(RUN_S - 4.51)  # the window's last sample belongs to it
    assert result.hit_window_s == pytest.approx(4.51)
    whole = match_events([0, 10], ["rest", "rest"], [], fs_hz=FS_HZ, span=(-500, 6000))
    assert whole.idle_s == pytest.approx(65.0)


def test_the_wrong_class_is_a_miss_and_a_false_movement() -> None:
    result = score((11.0, 12.0), label="open")
    assert (result.hits, result.false_positives) == (0, 1)


def test_a_change_between_two_movements_is_an_edge() -> None:
    output = ["rest", "grasp", "open", "open", "rest"]
    assert match_events(range(5), output, [], fs_hz=FS_HZ).false_positives == 2


def test_a_hit_window_ends_where_the_next_cue_comes() -> None:
    events = (TaskEvent(1000, 1400, "grasp"), TaskEvent(1420, 1820, "grasp"))
    result = score((14.3, 14.8), events=events)
    assert (result.hits, result.latencies_s) == (1, (pytest.approx(0.1),))
    assert result.hit_window_s == pytest.approx(4.2 + 4.51)


def test_figures_of_a_hand_counted_session() -> None:
    total = EventScore(10, 8, 2, idle_s=60.0, hit_window_s=45.0, latencies_s=(1.0, 2.0, 4.0))
    assert total.true_positive_rate == 0.8
    assert total.false_positives_per_min == 2.0
    assert total.false_positives_interval == poisson_interval(2, 1.0)
    assert total.latency_s_median == 2.0
    assert total.f1 == pytest.approx(2 * 8 / (2 * 8 + 2 + 2))
    tp, fp, fn, tn = 8, 2, 2, 28
    mcc = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert total.normalised_mcc == pytest.approx((mcc + 1) / 2)
    assert total.blind_true_positive_rate == pytest.approx(1 - math.exp(-2 / 60 * 4.5))


def test_runs_add_up() -> None:
    a, b = score((11.0, 12.0)), score((20.0, 23.0))
    both = a + b
    assert (both.n_events, both.hits, both.false_positives) == (2, 1, 2)
    assert sum([a, b], EventScore()) == both
    assert math.isnan(EventScore().true_positive_rate)


def test_a_blind_activator_hits_as_often_as_stated() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(0, 360_000, 10)
    events = [TaskEvent(c, c + 400, "grasp") for c in range(1000, 359_000, 1500)]
    total = match_events(times, rng.random(len(times)) < 0.005, events, fs_hz=FS_HZ, hold_s=1e6)
    assert total.true_positive_rate == pytest.approx(total.blind_true_positive_rate, abs=0.08)


@given(st.lists(st.booleans(), min_size=2, max_size=300), st.integers(0, 2500))
@settings(max_examples=60, deadline=None)
def test_booleans_count_like_names_and_no_edge_counts_twice(output: list[bool], cue: int) -> None:
    times = np.arange(len(output)) * 10
    event = TaskEvent(cue, cue + 400, "grasp")
    result = match_events(times, output, [event], fs_hz=FS_HZ, hold_s=1e6)
    names = ["grasp" if on else "rest" for on in output]
    assert result == match_events(times, names, [event], fs_hz=FS_HZ, hold_s=1e6)
    edges = sum(on and not before for on, before in zip(output, [False, *output], strict=False))
    assert result.hits + result.false_positives <= edges


def test_decisions_that_do_not_go_forward_or_fit_are_refused() -> None:
    for times, output in (
        ([0, 0], ["rest"] * 2),
        ([10, 0], ["rest"] * 2),
        ([0], ["rest"]),
        ([0, 1], ["rest"]),
    ):
        with pytest.raises(ShapeError):
            match_events(times, output, [], fs_hz=FS_HZ)
    with pytest.raises(ShapeError, match="ends before"):
        match_events([0, 10], [False, True], [TaskEvent(50, 40, "grasp")], fs_hz=FS_HZ)
    with pytest.raises(ShapeError, match="class names"):
        match_events([0, 10], [False, True], [EVENT, TaskEvent(2000, 2400, "open")], fs_hz=FS_HZ)
