"""Every course an operator can take, as a list of events. No clock, no port."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bci.qualification.drawings import KINDS, drawing_svg, drawing_text
from bci.qualification.guide import (
    Abort,
    Again,
    Event,
    Go,
    Guide,
    Judged,
    Planned,
    PlannedTake,
    Progress,
    Skip,
    Stage,
    TakeDone,
    begin,
    plan,
    step,
)
from bci.qualification.measurements import MEASUREMENTS

FREE = (("kind", "nothing"),)
STRAP = (("kind", "shorted"),)
TONE = (("frequency_hz", 10.0), ("kind", "generator"))


def by_itself(name: str = "noise", n: int = 1) -> Planned:
    return Planned(name, name.title(), tuple(PlannedTake(f"{k}", "", FREE, 10.0) for k in range(n)))


def by_hand(name: str, *connects: tuple[tuple[str, float | str], ...]) -> Planned:
    return Planned(name, name.title(), tuple(PlannedTake(str(c), "Do it.", c, 5.0) for c in connects))


def after(guide: Guide, *events: Event) -> Guide:
    for event in events:
        guide = step(guide, event)
    return guide


def test_what_needs_no_hands_is_never_asked_about() -> None:
    guide = after(begin([by_itself(n=2), by_itself("gain")]), TakeDone(), TakeDone())
    assert guide.stage == Stage.JUDGE
    guide = after(guide, Judged("pass"), TakeDone(), Judged("fail", "Too high."))
    assert guide.stage == Stage.FINISHED
    assert [(o.name, o.verdict, o.sentence) for o in guide.outcomes] == [
        ("noise", "pass", ""),
        ("gain", "fail", "Too high."),
    ]


def test_one_instruction_at_a_time_and_the_same_connection_only_once() -> None:
    guide = begin([by_hand("a", STRAP, STRAP), by_hand("b", STRAP, TONE)])
    stages = []
    while not guide.over:
        stages.append(guide.stage)
        guide = step(
            guide, {Stage.INSTRUCT: Go(), Stage.MEASURE: TakeDone(), Stage.JUDGE: Judged("pass")}[guide.stage]
        )
    assert stages.count(Stage.INSTRUCT) == 2  # the strap, then the tone
    assert stages[:3] == [Stage.INSTRUCT, Stage.MEASURE, Stage.MEASURE]


def test_nothing_measured_with_hands_is_asked_about_and_may_be_tried_again() -> None:
    guide = after(begin([by_hand("a", TONE)]), Go(), TakeDone(), Judged("not measured", "No tone found."))
    assert (guide.stage, guide.sentence) == (Stage.ASK, "No tone found.")
    again = after(guide, Again())
    assert again.stage == Stage.INSTRUCT  # told once more what to connect
    done = after(again, Go(), TakeDone(), Judged("pass"))
    assert [o.verdict for o in done.outcomes] == ["pass"]
    left = after(guide, Skip())
    assert [(o.verdict, o.sentence) for o in left.outcomes] == [("not measured", "No tone found.")]


def test_nothing_measured_without_hands_is_not_asked_about() -> None:
    guide = after(begin([by_itself()]), TakeDone(), Judged("not measured", "Too short."))
    assert guide.stage == Stage.FINISHED


def test_a_failed_board_is_not_asked_about() -> None:
    guide = after(begin([by_hand("a", TONE)]), Go(), TakeDone(), Judged("fail", "Too high."))
    assert guide.stage == Stage.FINISHED


def test_an_early_end_leaves_the_other_takes_out() -> None:
    guide = after(begin([by_itself(n=5)]), TakeDone(last=True))
    assert guide.stage == Stage.JUDGE


def test_skipping_goes_to_the_next_measurement() -> None:
    guide = after(begin([by_hand("a", TONE), by_itself()]), Skip())
    assert (guide.at, guide.stage) == (1, Stage.MEASURE)
    assert guide.outcomes[0].verdict == "not measured"


def test_abort_ends_it_from_every_stage_and_nothing_comes_after() -> None:
    asked = after(begin([by_hand("a", TONE)]), Go(), TakeDone())
    for guide in (
        begin([by_hand("a", TONE)]),
        begin([by_itself()]),
        asked,
        step(asked, Judged("not measured")),
    ):
        ended = after(guide, Abort(), Go(), TakeDone(), Judged("pass"))
        assert ended.stage == Stage.ABORTED


def test_a_key_pressed_twice_changes_nothing() -> None:
    guide = after(begin([by_hand("a", TONE)]), Go())
    assert after(guide, Go(), Skip(), Again(), Judged("pass")) == guide


def test_time_left_follows_the_pace_so_far() -> None:
    guide = begin([by_itself(n=2), by_itself("gain")])
    assert guide.left_s == 30.0
    guide = after(guide, Progress(5.0, 1.0))  # five times as fast as real time
    assert guide.left_s == 25.0 / 5
    guide = after(guide, Progress(10.0, 2.0), TakeDone(), Progress(10.0, 4.0))
    assert guide.done_s == 20.0
    assert guide.left_s == 10.0 * 6.0 / 20.0


def test_an_empty_plan_is_finished() -> None:
    assert begin([]).stage == Stage.FINISHED


EVENTS = st.one_of(
    st.sampled_from([Go(), Skip(), Again(), Abort(), TakeDone(), TakeDone(last=True)]),
    st.builds(Progress, st.floats(0, 10), st.floats(0, 10)),
    st.builds(Judged, st.sampled_from(["pass", "fail", "not measured"]), st.just("why")),
)


@given(st.lists(EVENTS, max_size=60))
def test_no_order_of_events_breaks_the_guide(events: list[Event]) -> None:
    guide = begin([by_itself(n=2), by_hand("a", STRAP, TONE), by_hand("b", TONE)])
    for event in events:
        before, guide = guide, step(guide, event)
        assert guide.at in (before.at, before.at + 1)
        assert len(guide.outcomes) == guide.at
        assert guide.left_s >= 0
        assert (guide.now is None) == (guide.stage == Stage.FINISHED)


def test_everything_the_bench_asks_for_has_a_drawing_and_an_instruction() -> None:
    for planned in plan(MEASUREMENTS, 8):
        for take in planned.takes:
            connect = dict(take.connect)
            assert connect["kind"] in KINDS
            assert bool(take.instruction) == (connect["kind"] != "nothing"), (planned.name, take)
            assert drawing_svg(connect).startswith("<svg")
            lines = drawing_text(connect).split("\n")
            assert len(lines) == 8
            if connect["kind"] == "resistors":
                assert {line[33:35] for line in lines[1:7]} == {"-o"}  # wires meet the board
            assert len({len(line.rstrip()) for line in lines if line.rstrip().endswith(("+", "|"))}) == 1, (
                lines
            )
