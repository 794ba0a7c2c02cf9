"""The guided calibration as a state machine: sample numbers and events in, no clock, no signal."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from bci.errors import DesignError
from bci.sessions.guided import CalibrationPlan, CueTiming, GuidedCalibration, Shown, spans_of

FS = 250.0
TIMING = CueTiming(between_s=5.0)


def plan(**options: object) -> CalibrationPlan:
    return CalibrationPlan(**{"blocks": 2, "trials_per_class": 3, "timing": TIMING, **options})  # type: ignore[arg-type]


class Session:
    """Steps a machine from change to change, as somebody with a perfect clock would."""

    def __init__(self, **options: object) -> None:
        self.guide = GuidedCalibration(plan(**options), fs_hz=FS)
        self.sample = 1000
        self.seen: list[tuple[int, Shown]] = []
        self.say("")

    def say(self, event: str) -> Shown:
        shown = self.guide.step(self.sample, event)
        self.seen.append((self.sample, shown))
        return shown

    @property
    def shown(self) -> Shown:
        return self.seen[-1][1]

    def next(self) -> Shown:
        assert self.shown.until is not None, "waits for an event, not for time"
        self.sample = self.shown.until
        return self.say("")

    def until(self, phase: str) -> Shown:
        while self.shown.phase != phase:
            self.next()
        return self.shown

    def finish(self) -> None:
        while not self.guide.done:
            self.next()


def test_every_class_is_asked_equally_often_in_every_block() -> None:
    session = Session()
    session.finish()
    asked = session.guide.asked
    assert Counter((t.block, t.label) for t in asked) == {
        (b, c): 3 for b in (1, 2) for c in ("rest", "right")
    }
    assert len(session.guide.kept) == 12


def test_a_trial_is_baseline_cue_task_pause_with_the_stated_lengths() -> None:
    session = Session()
    session.until("rest")
    at = {session.shown.phase: session.sample}
    for _ in range(3):
        shown = session.next()
        at[shown.phase] = session.sample
    assert list(at) == ["rest", "cue", "task", "pause"]
    assert at["cue"] - at["rest"] == round(3.0 * FS)
    assert at["task"] - at["cue"] == round(1.25 * FS)
    assert at["pause"] - at["cue"] == round(4.0 * FS)
    low, high = TIMING.pause_s
    assert low <= session.shown.left_s <= high


def test_pauses_are_drawn_anew_so_that_nothing_periodic_can_be_learnt() -> None:
    session = Session()
    session.finish()
    cues = [t.cue_sample for t in session.guide.asked if t.block == 1]
    gaps = {b - a for a, b in pairwise(cues)}
    assert len(gaps) == len(cues) - 1


def test_the_cue_is_marked_at_its_very_sample_and_beeps() -> None:
    session = Session()
    session.finish()
    marks = [(sample, shown.mark) for sample, shown in session.seen if shown.mark in ("rest", "right")]
    assert marks == [(t.cue_sample, t.label) for t in session.guide.asked]
    assert all(shown.beep == (shown.mark in ("rest", "right")) for _, shown in session.seen)


def test_time_left_counts_down_to_the_true_end() -> None:
    session = Session()
    session.finish()
    end = session.sample
    for sample, shown in session.seen:
        true_s = (end - sample) / FS
        # pauses are drawn between 1.5 and 3 s, so the sum of what is to come is known to that
        assert abs(shown.total_left_s - true_s) <= 0.75 * (shown.total - shown.done + 1) + 0.01
    assert session.guide.plan.seconds == pytest.approx((end - 1000) / FS, abs=0.75 * 12)


def test_spoilt_trials_are_asked_again_at_the_end_and_once_only() -> None:
    session = Session()
    spoilt = []
    while not session.guide.done:
        session.next()
        trial = session.guide.asked[-1] if session.guide.asked else None
        if (
            session.shown.phase == "pause"
            and trial
            and not trial.spoilt
            and (trial.block == 3 or trial.trial == 2)
        ):
            session.say("spoilt: artefact")
            spoilt.append(trial.label)
    again = [t for t in session.guide.asked if t.repeated]
    assert [t.label for t in again] == spoilt[:2]  # one of each block
    assert {t.block for t in again} == {3}
    assert session.guide.asked[-2:] == again, "asked at the end"
    assert len(session.guide.kept) == 12 - 2  # the repeats were spoilt too, and that is the end of it


def test_nothing_is_repeated_where_nothing_was_spoilt() -> None:
    session = Session()
    session.finish()
    assert max(t.block for t in session.guide.asked) == 2


def test_a_pause_in_the_baseline_acts_at_once_and_the_trial_comes_later() -> None:
    session = Session()
    session.until("rest")
    first = session.guide._blocks[0][0]
    assert session.say("pause").phase == "paused"
    assert session.shown.until is None
    session.sample += 10_000
    assert session.say("resume").phase == "lead-in"
    session.until("cue")
    assert session.shown.label == first
    session.finish()
    assert len(session.guide.kept) == 12


def test_a_pause_in_the_task_waits_for_its_end() -> None:
    session = Session()
    session.until("task")
    said = session.say("pause")
    assert (said.phase, said.pausing) == ("task", True)
    session.until("paused")
    assert not session.shown.pausing
    assert session.guide.asked[0].spoilt == ""
    session.say("resume")
    session.finish()
    assert len(session.guide.kept) == 12


def test_a_lost_board_spoils_the_trial_and_pauses_until_it_is_back() -> None:
    session = Session()
    session.until("task")
    assert session.say("lost").phase == "paused"
    assert session.guide.asked[0].spoilt == "lost"
    session.sample += 2000
    session.say("resume")
    session.finish()
    assert len(session.guide.kept) == 12  # asked again at the end
    assert session.guide.asked[-1].repeated


def test_ending_it_keeps_what_was_done() -> None:
    session = Session()
    for _ in range(9):
        session.next()
    session.until("task")
    shown = session.say("quit")
    assert shown.phase == "done"
    assert shown.ends_block
    assert session.guide.asked[-1].spoilt == "interrupted"
    assert len(session.guide.kept) == len(session.guide.asked) - 1
    assert session.guide.step(session.sample + 999).phase == "done"


def test_the_rest_between_blocks_can_be_cut_short() -> None:
    session = Session()
    session.until("between")
    before = session.sample
    assert session.say("next").phase == "lead-in"
    assert session.sample == before
    assert session.shown.block == 2


def test_a_late_step_shifts_what_follows_and_loses_no_trial() -> None:
    """A live loop looks every 50 ms or so: each change comes a little late."""
    session = Session()
    while not session.guide.done:
        assert session.shown.until is not None
        session.sample = session.shown.until + 11
        session.say("")
    assert len(session.guide.kept) == 12
    assert all(t.end_sample - t.cue_sample <= round(4.0 * FS) + 11 for t in session.guide.asked)


def test_spans_of_spoilt_trials_reach_past_their_end() -> None:
    session = Session()
    session.until("pause")
    session.say("spoilt: lead-off")
    trial = session.guide.asked[0]
    assert spans_of(session.guide.asked, after_s=1.0, fs_hz=FS) == [
        (trial.cue_sample, trial.end_sample + 250)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CueTiming(cue_s=5.0, task_s=4.0),
        lambda: CueTiming(pause_s=(3.0, 1.0)),
        lambda: CueTiming(baseline_s=0.2),
        lambda: CalibrationPlan(classes=("rest",)),
        lambda: CalibrationPlan(classes=("right", "right")),
        lambda: CalibrationPlan(blocks=0),
    ],
)
def test_impossible_plans_are_refused_with_a_sentence(wrong: object) -> None:
    with pytest.raises(DesignError, match=r"\w+ .* \w+"):
        wrong()  # type: ignore[operator]


def test_the_default_is_four_blocks_of_ten_trials_per_class_in_twelve_to_fifteen_minutes() -> None:
    usual = CalibrationPlan()
    assert (usual.blocks, usual.trials_per_class, usual.n_trials) == (4, 10, 80)
    assert 12 * 60 <= usual.seconds <= 15 * 60
