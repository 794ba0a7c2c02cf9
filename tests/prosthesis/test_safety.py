"""The safety monitor's `step`: what each event does in each mode."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from bci.prosthesis.events import (
    Arm,
    Disarm,
    Entered,
    HandLost,
    Heard,
    Rebased,
    Refused,
    Replied,
    Stop,
    Tick,
    Trouble,
)
from bci.prosthesis.hand import Command
from bci.prosthesis.monitor_state import CAUSES, GONE, PASSING, Mode, State
from bci.prosthesis.safety import TABLE, TICK_US, Trigger, step
from bci.prosthesis.user_profile import Grip, Limits, Opening, Profile

from .steps import (
    BRISK,
    EVERY_MODE,
    FREE,
    QUIET,
    ZERO,
    after,
    answer,
    armed,
    ask,
    beat,
    check,
    disarmed,
    fault,
    held,
    idle,
    moving,
    rules,
)


def commands(actions):
    return [a for a in actions if isinstance(a, Command)]


def test_every_mode_of_the_table_can_be_reached_and_stop_leads_to_hold_from_each():
    assert set(TABLE) == set(Mode) == set(EVERY_MODE)
    for mode, make in EVERY_MODE.items():
        state, actions = step(make(), Stop(make().t_us, "key"))
        assert state.mode is Mode.HOLD, mode
        nobody_saw_it = mode is Mode.DISARMED  # no hand has answered yet
        assert [c.kind for c in commands(actions)] == ["look" if nobody_saw_it else "hold"]


def test_stop_stays_until_the_operator_disarms_and_arms_again():
    state, _ = step(moving(), Stop(moving().t_us))
    for _ in range(200):
        state = beat(state)
        state, _ = after(state, ask(state), Arm(state.t_us))
        assert state.mode in (Mode.HOLD, Mode.FAULT)
    state, _ = step(state, Disarm(state.t_us))
    assert state.mode is Mode.DISARMED
    state, _ = step(state, ask(state))
    assert state.mode is Mode.DISARMED
    state, _ = step(beat(state), Arm(state.t_us))
    assert state.mode is Mode.ARMED


def test_a_second_stop_interrupts_the_slow_opening():
    state = fault()
    state, actions = step(state, Stop(state.t_us))
    assert state.mode is Mode.HOLD
    assert commands(actions)[0].setpoint == state.setpoint


@pytest.mark.parametrize("make", [armed, moving])
@pytest.mark.parametrize(
    ("cause", "event"),
    [
        ("gone", lambda s: Trouble(s.t_us, "gone")),
        ("internal", lambda s: Trouble(s.t_us, "internal")),
        ("internal", lambda s: Trouble(s.t_us, "something nobody has heard of")),
        ("log", lambda s: Trouble(s.t_us, "log")),
        ("decoder", lambda s: Trouble(s.t_us, "decoder")),
        ("nan", lambda s: ask(s, probability=math.nan)),
        ("nan", lambda s: ask(s, probability=math.inf)),
        ("nan", lambda s: ask(s, probability=1.5)),
        ("hand-link", lambda s: HandLost(s.t_us, "unplugged")),
        ("hand-fault", lambda s: Replied(s.t_us, answer(ZERO, error="overheated"))),
        ("hand-fault", lambda s: Replied(s.t_us, answer((math.nan, 0.0, 0.0, 0.0, 0.0, 0.0)))),
        ("hand-fault", lambda s: Replied(s.t_us, answer((9.0, 0.0, 0.0, 0.0, 0.0, 0.0)))),
        ("stale", lambda s: Tick(s.heard_us + 200_000)),
        ("stale", lambda s: Heard(s.t_us, s.sample + 1, s.t_us - 10**6)),
        ("loss", lambda s: Heard(s.t_us, s.sample + 30, s.t_us, lost=30)),
        ("lead-off", lambda s: Heard(s.t_us, s.sample + 1, s.t_us, lead_off=True)),
        ("saturated", lambda s: Heard(s.t_us, s.sample + 1, s.t_us, saturated=True)),
        ("outlier", lambda s: Heard(s.t_us, s.sample + 1, s.t_us, outlier=True)),
        ("stop", lambda s: Stop(s.t_us)),
    ],
)
def test_every_fault_leads_to_hold_in_one_step_and_sends_its_frame_at_once(make, cause, event):
    before = make()
    state, actions = step(before, event(before))
    assert state.mode is Mode.HOLD
    assert cause in state.doubts
    assert CAUSES[cause] in state.cause
    assert len(commands(actions)) == 1
    assert commands(actions)[0].kind == ("look" if isinstance(event(before), HandLost) else "hold")
    assert all(new <= old for new, old in zip(state.setpoint, before.setpoint, strict=True))
    check(before, event(before), state, actions)


@pytest.mark.parametrize("field", ["current_a", "force_n", "temperature_c"])
@pytest.mark.parametrize("value", [1e3, math.nan, math.inf])
def test_a_hand_over_its_own_limits_or_reporting_nonsense_is_held(field, value):
    before = moving()
    values = {"current_a": QUIET, "force_n": ZERO, "temperature_c": 30.0}
    values[field] = value if field == "temperature_c" else (0.0, 0.0, value, 0.0, 0.0, 0.0)
    reply = type(answer(ZERO))(ZERO, values["current_a"], values["force_n"], FREE, values["temperature_c"])
    state, _ = step(before, Replied(before.t_us, reply))
    assert state.mode is Mode.HOLD
    assert state.doubts == {"hand-limit" if math.isfinite(value) else "hand-fault"}


@pytest.mark.parametrize(
    ("field", "limit"), [("current_a", BRISK.limits.current_a), ("force_n", BRISK.limits.force_n)]
)
def test_a_hand_just_at_its_limits_goes_on(field, limit):
    before = moving()
    one = (0.0, 0.0, -limit, 0.0, 0.0, 0.0)
    reply = replace(answer(before.setpoint), temperature_c=BRISK.limits.temperature_c, **{field: one})
    state, _ = step(before, Replied(before.t_us, reply))
    assert state.mode is Mode.MOVING


@pytest.mark.parametrize(("position", "believed"), [(-0.1, True), (1.1, True), (-0.11, False), (1.11, False)])
def test_a_position_a_tenth_outside_is_calibration_and_more_is_nonsense(position, believed):
    before = moving()
    state, _ = step(before, Replied(before.t_us, answer((position, 0.0, 0.0, 0.0, 0.0, 0.0))))
    assert ("hand-fault" not in state.doubts) is believed


@pytest.mark.parametrize(("position", "setpoint"), [(1.05, 1.0), (-0.05, 0.0), (0.4, 0.4)])
def test_a_hand_that_comes_up_a_little_outside_its_range_is_held_at_the_end_of_it(position, setpoint):
    state, _ = step(disarmed(), Replied(0, answer((position, 0.0, 0.0, 0.0, 0.0, 0.0))))
    assert state.setpoint[0] == setpoint


def test_nonsense_from_a_hand_at_rest_is_a_doubt_beside_those_that_stood():
    state, _ = after(idle(), HandLost(TICK_US, "unplugged"), Replied(TICK_US, answer((9.0,) * 6)))
    assert state.doubts == {"hand-link", "hand-fault"}


def test_four_frames_without_an_answer_are_a_lost_hand():
    state = armed()
    for n in range(1, 5):
        assert state.mode is Mode.ARMED, n
        t = state.t_us + TICK_US
        state, _ = after(state, Heard(t, state.sample + 5, t), Tick(t))
    state, _ = step(state, Tick(state.t_us + TICK_US))
    assert state.doubts == {"hand-link"}
    assert state.mode is Mode.HOLD


def test_a_monitor_that_slept_during_a_movement_holds():
    before = moving()
    state, _ = step(before, Tick(before.ticked_us + 150_000))
    assert state.mode is Mode.HOLD
    assert "late" in state.doubts


def test_a_hundred_milliseconds_between_two_frames_are_late_and_no_less():
    before = moving()
    for gap_us, late in ((100_000, False), (100_001, True)):
        state, _ = after(before, Heard(before.ticked_us + gap_us, before.sample + 30, before.t_us + gap_us))
        state, _ = step(state, Tick(before.ticked_us + gap_us))
        assert ("late" in state.doubts) is late


@pytest.mark.parametrize("cause", ["late", "time-limit"])
@pytest.mark.parametrize("beside", [frozenset(), frozenset({"outlier"})])
def test_being_late_or_too_long_is_over_with_the_movement_and_other_doubts_stay(cause, beside):
    state = replace(moving(), doubts=frozenset({cause}) | beside)
    state, _ = step(state, Tick(state.t_us + TICK_US))
    assert state.mode is Mode.HOLD
    assert state.doubts == {cause} | beside, "the frame that holds still says why"
    t = state.t_us + TICK_US
    state, _ = after(state, Replied(t, answer(state.setpoint)), Tick(t))
    assert state.doubts == beside
    assert state.mode is Mode.HOLD


def test_a_signal_message_that_repeats_a_sample_number_is_no_news():
    state = armed()
    for _ in range(10):
        t = state.t_us + TICK_US
        state, _ = after(state, Heard(t, state.sample, t), Tick(t), Replied(t, answer(ZERO)))
    assert state.mode is Mode.HOLD
    assert state.doubts == {"stale"}


def test_a_boards_clock_two_percent_off_is_not_late():
    state = armed()
    for n in range(3000):
        t = state.t_us + TICK_US
        state, _ = after(
            state, Heard(t, state.sample + 5, int(n * TICK_US * 0.98)), Tick(t), Replied(t, answer(ZERO))
        )
    assert state.mode is Mode.ARMED


def test_a_change_of_clock_starts_the_distance_to_the_boards_clock_anew():
    state = armed()
    late = Heard(state.t_us, state.sample + 1, state.t_us - 10**6)
    assert step(state, late)[0].mode is Mode.HOLD
    state, _ = step(state, Rebased(state.t_us))
    assert step(state, late)[0].mode is Mode.ARMED


def test_a_passing_doubt_that_stays_away_leads_back_to_armed_and_the_movement_is_forgotten():
    state = moving()
    state, _ = step(state, Heard(state.t_us, state.sample + 1, state.t_us, outlier=True))
    assert state.mode is Mode.HOLD
    before = state.setpoint
    state, _ = step(state, Heard(state.t_us, state.sample + 1, state.t_us))
    for _ in range(9):
        state = beat(state)
        assert state.mode is Mode.HOLD
    for _ in range(2):
        state = beat(state)
    assert state.mode is Mode.ARMED
    assert state.setpoint == before


@pytest.mark.parametrize(
    "cause", sorted(set(CAUSES) - PASSING - {"stop", "nan", "hand-link", "hand-fault", "hand-limit"})
)
def test_other_doubts_wait_for_the_operator(cause):
    state = held(cause)
    for _ in range(20):
        state = beat(state)
    assert state.mode is Mode.HOLD
    state, _ = step(state, Arm(state.t_us))
    assert state.mode is Mode.HOLD


def test_a_doubt_that_outlasts_the_delay_opens_the_hand_slowly():
    state = fault()
    assert state.setpoint[1] > 0.0
    seen = [state.setpoint[1]]
    while state.setpoint[1] > 0.0:
        state = beat(state)
        seen.append(state.setpoint[1])
    steps = [a - b for a, b in itertools.pairwise(seen)]
    assert all(0.0 <= d <= 1.0 * 0.02 + 1e-9 for d in steps)
    assert state.mode is Mode.FAULT


def test_a_profile_that_says_never_keeps_the_hand_held():
    never = Profile(
        grips=BRISK.grips,
        limits=BRISK.limits,
        signal=BRISK.signal,
        opening=Opening(allowed=False, delay_s=0.5),
    )
    state = moving(never)
    state, _ = step(state, Trouble(state.t_us, "gone"))
    setpoint = state.setpoint
    for _ in range(500):
        state = beat(state)
    assert state.mode is Mode.FAULT
    assert state.setpoint == setpoint


def over_its_force(state, **values):
    """An answer of fingers that press with more than the user's profile allows, from 0.01 behind their set points."""
    strong = (0.0, BRISK.limits.force_n + 1.0, 0.0, 0.0, 0.0, 0.0)
    where = tuple(x - 0.01 for x in state.setpoint)
    return Replied(state.t_us, replace(answer(where), force_n=strong, contact=(True,) * 6, **values))


def test_a_hand_over_its_limits_is_held_as_it_is_and_opened_slowly_after_the_delay():
    """Otherwise a trapped finger would stay trapped for as long as it is pressed too hard."""
    state = moving()
    state, _ = step(state, over_its_force(state))
    setpoint = state.setpoint
    while state.mode is Mode.HOLD:
        assert state.setpoint == setpoint
        state = beat(state)
    assert state.mode is Mode.FAULT
    assert state.doubts == {"hand-limit"}
    for _ in range(20):
        state = beat(state)
    assert state.setpoint[:5] == ZERO[:5]


def test_an_operator_who_disarms_takes_the_squeeze_from_a_hand_over_its_limits_and_can_arm_again():
    never = replace(BRISK, opening=Opening(allowed=False, delay_s=0.5))
    state = moving(never)
    state, _ = step(state, over_its_force(state))
    while state.mode is Mode.HOLD:
        state, _ = after(state, Tick(state.t_us + TICK_US), over_its_force(state))
    where = state.actual
    assert state.mode is Mode.FAULT
    assert all(s > a for s, a in zip(state.setpoint, where, strict=True))
    before = state
    state, _ = step(state, Disarm(state.t_us))
    check(before, Disarm(state.t_us), state, [])
    assert state.setpoint == where
    state = beat(beat(beat(state)))
    assert state.mode is Mode.IDLE
    state, _ = after(state, Arm(state.t_us))
    state, _ = step(state, ask(state, "open"))
    assert state.mode is Mode.MOVING


@pytest.mark.parametrize("lost", [lambda s: HandLost(s.t_us), lambda s: over_its_force(s, error="broken")])
def test_a_hand_of_which_nobody_knows_what_it_does_is_not_even_opened(lost):
    state = moving()
    state, _ = step(state, lost(state))
    setpoint = state.setpoint
    for _ in range(100):
        state = beat(state)
    assert state.mode is Mode.FAULT
    assert state.setpoint == setpoint


def test_opening_never_closes_a_finger_that_stands_beyond_the_users_range():
    profile = Profile(
        grips=BRISK.grips,
        limits=Limits(lowest=(0.5,) * 6),
        opening=Opening(delay_s=0.5, rate_per_s=1.0),
    )
    state = armed(profile)
    state, _ = step(state, Trouble(state.t_us, "decoder"))
    for _ in range(100):
        state = beat(state)
    assert state.mode is Mode.FAULT
    assert state.setpoint == ZERO


def test_arming_is_refused_without_certificate_and_after_it_ran_out():
    state = idle(refusal="no certificate")
    state, actions = step(state, Arm(state.t_us))
    assert state.mode is Mode.IDLE
    assert actions == [Refused(state.t_us, "arm", "no certificate")]
    late = idle()
    state, actions = step(late, Arm(10**15 + 1))
    assert state.mode is Mode.IDLE
    assert "run out" in actions[0].reason


def test_a_certificate_allows_arming_up_to_its_last_moment():
    for late_us, mode in ((0, Mode.ARMED), (1, Mode.IDLE)):
        state = idle()
        state = replace(state, rules=replace(state.rules, armable_until_us=state.t_us))
        assert step(state, Arm(state.t_us + late_us))[0].mode is mode


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (disarmed, "no fresh signal"),
        (armed, "already armed"),
        (moving, "already moving"),
        (held, "disarm first"),
        (fault, "disarm first"),
    ],
)
def test_arming_out_of_turn_is_refused_with_its_reason(make, words):
    before = make()
    state, actions = step(before, Arm(before.t_us))
    assert state.mode is before.mode
    assert words in actions[0].reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"number": 0}, "number"),
        ({"action": "juggle"}, "juggle"),
        ({"expires_sample": 99}, "expired"),
        ({"sample_index": 10**6}, "newest known"),
    ],
)
def test_an_intent_that_is_old_unknown_expired_or_from_the_future_is_refused(change, words):
    before = armed()
    state, actions = step(before, ask(before, **change))
    assert state.mode is Mode.ARMED
    assert words in actions[0].reason


def test_the_number_of_a_refused_intent_cannot_be_used_again():
    state = armed()
    first = ask(state, expires_sample=0)
    state, _ = step(state, first)
    state, actions = step(state, ask(state, number=first.number))
    assert state.mode is Mode.ARMED
    assert isinstance(actions[0], Refused)


@pytest.mark.parametrize("mode", [m for m in Mode if m not in (Mode.ARMED, Mode.MOVING)])
def test_an_intent_moves_nothing_in_other_modes(mode):
    before = EVERY_MODE[mode]()
    state, actions = step(before, ask(before))
    assert state.mode is mode
    assert "not armed" in actions[0].reason


def test_a_movement_ends_armed_at_its_grip_and_toggle_opens_again():
    state, _ = step(armed(), ask(armed(), "grasp"))
    assert state.grip == "power"
    while state.mode is Mode.MOVING:
        state = beat(state)
    assert state.setpoint == (0.05,) * 6
    state, _ = step(state, ask(state, "grasp"))
    assert state.grip == "open"


def test_a_finger_in_contact_arrives_with_a_bounded_squeeze():
    state, _ = step(armed(Profile()), ask(armed(Profile())))
    for _ in range(60):
        t = state.t_us + TICK_US
        state, _ = step(state, Tick(t))
        stuck = type(answer(ZERO))((0.0,) * 6, QUIET, ZERO, (True,) * 6, 30.0)
        state, _ = after(state, Replied(t, stuck), Heard(t, state.sample + 5, t))
    assert state.mode is Mode.ARMED
    assert state.setpoint == pytest.approx((0.072,) * 6)


def test_a_finger_that_does_not_follow_ends_at_the_time_limit():
    slow = Profile(
        grips={**BRISK.grips, "power": Profile().grips["power"]}, limits=BRISK.limits, signal=BRISK.signal
    )
    state = armed(slow)
    state, _ = step(state, ask(state))
    started = state.t_us
    while state.mode is Mode.MOVING:
        t = state.t_us + TICK_US
        state, _ = after(state, Heard(t, state.sample + 5, t), Replied(t, answer(ZERO)), Tick(t))
    assert state.mode is Mode.HOLD
    assert state.doubts == {"time-limit"}
    assert state.t_us - started == 500_000


def test_proportional_control_moves_only_while_intents_keep_coming():
    profile = Profile(control="proportional")
    state = armed(profile)
    state, _ = step(state, ask(state, probability=0.6, expires_sample=state.sample + 12))
    start = state.setpoint[1]
    for _ in range(5):
        state = beat(state)
    assert state.mode is Mode.ARMED
    assert start < state.setpoint[1] <= 5 * 0.02 * 0.8 * 0.2 + 1e-9


@pytest.mark.parametrize(("control", "share"), [("switch", 1.0), ("proportional", 0.2)])
def test_only_proportional_control_is_slower_for_a_less_sure_intent(control, share):
    state = armed(Profile(control=control))
    state, _ = step(state, ask(state, probability=0.6, expires_sample=10**6))
    for _ in range(20):
        before = state.setpoint[1]
        state = beat(state)
    assert (state.setpoint[1] - before) / 0.02 == pytest.approx(0.8 * share)


def test_the_surest_doubtful_intent_still_moves_at_a_tenth_of_the_speed():
    state = armed(Profile(control="proportional"))
    state, _ = step(state, ask(state, probability=0.5))
    assert state.pace == 0.1
    state, _ = step(state, ask(state, probability=1.0))
    assert state.pace == 1.0


def test_a_proportional_intent_lives_up_to_its_last_sample_and_no_longer():
    before = moving(Profile(control="proportional"))
    for ahead, mode in ((0, Mode.MOVING), (1, Mode.ARMED)):
        state, _ = step(before, Heard(before.t_us, before.live_until + ahead, before.t_us))
        assert step(state, Tick(state.t_us + TICK_US))[0].mode is mode


@pytest.mark.parametrize(("lost", "held"), [(25, False), (26, True)])
def test_as_many_samples_may_be_lost_as_the_profile_says(lost, held):
    state, _ = step(armed(), Heard(armed().t_us, armed().sample + 1, armed().t_us, lost=lost))
    assert ("loss" in state.doubts) == held


def test_steady_loss_above_the_stated_fraction_holds_and_below_does_not():
    for per_hundred, too_many in ((4, False), (7, True)):
        state = armed()
        for _ in range(40):
            state, _ = step(state, Heard(state.t_us, state.sample + 100, state.t_us, lost=per_hundred))
        assert ("loss" in state.doubts) == too_many


def test_a_signal_is_stale_from_200_ms_behind_the_board_and_not_before():
    for late_us, stale in ((199_999, False), (200_000, True)):
        state = armed()
        state, _ = step(state, Heard(state.t_us, state.sample + 1, state.t_us))
        base = state.lag_us
        state, _ = step(state, Heard(state.t_us, state.sample + 1, state.t_us - base - late_us))
        assert ("stale" in state.doubts) == stale


def test_a_backlog_is_not_forgotten_faster_than_boards_drift():
    state = armed()
    for n in range(100):
        t = state.t_us + 10_000
        state, _ = step(state, Heard(t, state.sample + 1, t - 400_000 if n else t))
    assert "stale" in state.doubts


def test_a_lost_burst_is_forgiven_when_the_signal_stays_whole():
    state = armed()
    state, _ = step(state, Heard(state.t_us, state.sample + 1, state.t_us, lost=30))
    assert "loss" in state.doubts
    for _ in range(30):
        state, _ = step(state, Heard(state.t_us, state.sample + 50, state.t_us))
    assert "loss" not in state.doubts


def test_a_hand_that_comes_up_is_held_where_it_is():
    state, _ = after(State(rules()), Heard(0, 1, 0), Replied(0, answer((0.3,) * 6)), Tick(TICK_US))
    assert state.setpoint == (0.3,) * 6
    state, actions = step(state, Tick(2 * TICK_US))
    assert commands(actions)[0].setpoint == (0.3,) * 6


def test_the_decoder_that_failed_before_arming_must_be_acknowledged():
    state, _ = step(idle(), Trouble(idle().t_us, "decoder"))
    assert state.mode is Mode.DISARMED
    state = beat(beat(state))
    assert state.mode is Mode.DISARMED
    state, _ = step(state, Disarm(state.t_us))
    assert beat(state).mode is Mode.IDLE


def test_doubts_about_a_hand_at_rest_come_and_go_with_what_it_says():
    state, _ = step(idle(), Replied(idle().t_us, answer(ZERO, error="cold")))
    assert state.mode is Mode.DISARMED
    state, _ = step(state, Replied(state.t_us, answer((math.nan,) * 6)))
    assert "hand-fault" in state.doubts
    state = beat(beat(state))
    assert state.mode is Mode.IDLE


def test_a_new_cause_while_holding_is_told():
    before = held()
    state, actions = step(before, Trouble(before.t_us, "log"))
    assert isinstance(actions[0], Entered)
    assert CAUSES["log"] in actions[0].cause
    assert state.mode is Mode.HOLD


def test_time_never_goes_back():
    before = moving()
    state, _ = step(before, Tick(0))
    assert state.t_us == before.t_us


def test_every_trigger_stands_in_the_table():
    assert {trigger for row in TABLE.values() for trigger in row} == set(Trigger)


def test_rate_and_slew_hold_for_each_degree_of_freedom():
    rates, slews = (0.2, 0.4, 0.6, 0.8, 1.0, 0.1), (1.0, 2.0, 3.0, 4.0, 5.0, 50.0)
    profile = Profile(limits=Limits(rate_per_s=rates, slew_per_s2=slews))
    state = moving(profile, ticks=1)
    assert state.speed[:5] == pytest.approx([slew * 0.02 for slew in slews[:5]])
    for _ in range(20):
        state = beat(state)
    assert state.speed[:5] == pytest.approx(rates[:5])


def test_a_grip_beyond_the_users_range_ends_at_its_border():
    limits = Limits(lowest=(0.1,) * 6, highest=(0.3, 0.2, 1.0, 0.3, 0.3, 0.3))
    state = armed(Profile(limits=limits))
    for action, ends in (("close", (0.3, 0.2, 0.9, 0.3, 0.3, 0.3)), ("open", (0.1,) * 6)):
        state, _ = step(state, ask(state, action))
        while state.mode is Mode.MOVING:
            state = beat(state)
        assert state.setpoint == ends


def test_each_finger_runs_ahead_by_90_ms_of_its_own_rate():
    rates = (0.2, 0.4, 0.6, 0.8, 1.0, 0.1)
    state = moving(Profile(limits=Limits(rate_per_s=rates)))
    for _ in range(100):
        t = state.t_us + TICK_US
        state, _ = after(state, Heard(t, state.sample + 5, t), Replied(t, answer(ZERO)), Tick(t))
    assert state.setpoint[:5] == pytest.approx([rate * 0.09 for rate in rates[:5]])


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_every_probability_of_an_intent_is_checked(bad):
    state, actions = step(armed(), ask(armed(), probabilities=(0.1, bad)))
    assert state.mode is Mode.HOLD
    assert state.doubts == {"nan"}
    assert "probabilities" in actions[0].reason


def test_with_sequences_only_they_move_the_hand():
    profile = Profile(intents={}, sequences={"left right": "power", "left left": "open"})
    before = armed(profile)
    assert step(before, ask(before, "left"))[0].mode is Mode.ARMED
    state, _ = step(before, ask(before, "left right"))
    assert (state.mode, state.grip) == (Mode.MOVING, "power")


# ---- a hand that was away


def unanswered(state, frames):
    """Ticks that nothing answers, with a fresh signal; the kinds of the frames."""
    kinds = []
    for _ in range(frames):
        t = state.t_us + TICK_US
        state, _ = step(state, Heard(t, state.sample + 5, t))
        state, actions = step(state, Tick(t))
        kinds += [c.kind for c in commands(actions)]
    return state, kinds


def test_until_a_hand_has_answered_it_is_only_looked_at():
    state, kinds = unanswered(disarmed(), 3)
    assert kinds == ["look"] * 3
    state, _ = step(state, Replied(state.t_us, answer((0.7,) * 6)))
    state, actions = step(state, Tick(state.t_us + TICK_US))
    assert commands(actions)[0].kind == "hold"
    assert commands(actions)[0].setpoint == (0.7,) * 6


def test_a_hand_silent_for_half_a_second_is_held_explicitly_and_then_only_looked_at():
    _, kinds = unanswered(held(), GONE + 5)
    assert kinds[: GONE - 1] == ["hold"] * (GONE - 1)
    assert set(kinds[GONE:]) == {"look"}


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_a_hand_that_comes_back_is_held_where_it_stands_and_never_driven_to_where_it_was(where):
    state, _ = step(moving(), HandLost(moving().t_us))
    state, kinds = unanswered(state, 3)
    assert kinds == ["look"] * 3
    state, _ = step(state, Replied(state.t_us, answer((where,) * 6)))
    assert state.mode is Mode.HOLD
    assert state.setpoint == (where,) * 6
    state, actions = step(state, Tick(state.t_us + TICK_US))
    assert [(c.kind, c.setpoint) for c in commands(actions)] == [("hold", (where,) * 6)]


def test_a_hand_that_comes_back_waits_for_the_operator():
    state, _ = step(moving(), HandLost(moving().t_us))
    for _ in range(20):  # twice the time after which a passing doubt would be forgotten
        state = beat(state)
    assert state.mode is Mode.HOLD
    state, _ = step(state, Disarm(state.t_us))
    state = beat(beat(state))
    assert state.mode is Mode.IDLE
    state, _ = step(state, Arm(state.t_us))
    assert state.mode is Mode.ARMED


@pytest.mark.parametrize("closing", ["power", "pinch", "key", "point"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.49, 0.51, 1.0])
def test_a_toggle_opens_from_half_way_to_its_own_grip(closing, share):
    """A pinch has three fingers open, and yet it is closed."""
    limits = Limits(lowest=(0.1,) * 6, highest=(0.85,) * 6)
    profile = Profile(closing=closing, limits=limits)
    target = profile.grips[closing].target
    where = (*(0.1 + share * (min(max(x, 0.1), 0.85) - 0.1) for x in target[:5]), 0.3)
    state = State(rules(profile), mode=Mode.ARMED, doubts=frozenset(), setpoint=where, sample=5)
    assert step(state, ask(state, "grasp"))[0].grip == ("open" if share > 0.5 else closing)


@pytest.mark.parametrize(
    ("where", "grip"),
    [
        ((0.0, 0.0, 0.0, 0.0, 0.0, 1.0), "part"),  # the thumb's rotation is no closure
        ((0.3, 0.5, 0.5, 0.0, 0.0, 0.0), "open"),  # exactly half way
        ((0.3, 0.5, 0.4, 0.0, 0.0, 0.0), "part"),
        ((0.0, 1.0, 0.2, 0.0, 0.0, 0.0), "open"),
        ((0.6, 0.0, 0.0, 0.0, 0.0, 0.0), "part"),
        ((0.0, 0.0, 0.4, 0.0, 0.0, 0.0), "part"),
        ((0.0, 0.0, 0.4, 0.9, 0.9, 0.0), "open"),  # fingers that the grip leaves out are ways to open, too
    ],
)
def test_a_toggle_weighs_each_finger_by_the_way_it_goes(where, grip):
    part = Grip(thumb=0.6, index=1.0, middle=1.0, little=None, rotation=1.0)
    profile = Profile(closing="part", grips={**Profile().grips, "part": part})
    state = State(rules(profile), mode=Mode.ARMED, doubts=frozenset(), setpoint=where, sample=5)
    assert step(state, ask(state, "grasp"))[0].grip == grip


def keep_asking(state, n, action="grasp", **values):
    """So many intents, one every 100 ms, with an obedient hand."""
    for _ in range(n):
        state, _ = step(state, ask(state, action, **values))
        for _ in range(5):
            state = beat(state)
    return state


def test_a_proportional_toggle_goes_all_the_way_while_it_is_kept_up_and_turns_round_when_it_is_meant_anew():
    state = keep_asking(armed(Profile(control="proportional")), 30)
    assert state.grip == "power"
    assert state.setpoint[1:] == (0.9,) * 5
    for _ in range(25):  # it rests for longer than an intent lives
        state = beat(state)
    state = keep_asking(state, 30)
    assert state.grip == "open"
    assert state.setpoint == ZERO


def test_a_switched_toggle_is_decided_at_each_intent():
    state = keep_asking(armed(Profile()), 1)
    while state.setpoint[1] < 0.6:
        assert state.grip == "power"
        state = beat(state)
    state, _ = step(state, ask(state, "grasp"))
    assert (state.mode, state.grip) == (Mode.MOVING, "open")


@pytest.mark.parametrize("event", [Stop, Disarm, lambda t: Heard(t, 10**6, t, outlier=True)])
def test_a_toggle_that_was_interrupted_is_decided_anew(event):
    state = keep_asking(armed(Profile(control="proportional")), 15)
    assert (state.action, state.grip) == ("grasp", "power")
    assert state.setpoint[1] > 0.5
    state, _ = step(state, event(state.t_us))
    assert state.action == ""
    state = replace(state, mode=Mode.ARMED, doubts=frozenset())
    assert step(state, ask(state, "grasp"))[0].grip == "open"


@pytest.mark.parametrize(("late", "grip"), [(0, "power"), (1, "open")])
def test_a_toggle_is_kept_up_by_what_was_decided_while_the_intent_before_lived(late, grip):
    state = keep_asking(armed(Profile(control="proportional")), 15)
    sample = state.live_until + late
    state = replace(state, sample=sample)
    assert step(state, ask(state, "grasp", sample_index=sample))[0].grip == grip
    assert step(state, ask(state, "close", sample_index=sample))[0].grip == "power"


def test_stop_disarm_and_change_of_clock_happen_at_their_own_time():
    for event in (Stop, Disarm, Rebased):
        before = armed()
        state, actions = step(before, event(before.t_us + 7_000))
        assert state.t_us == before.t_us + 7_000
        assert all(action.t_us == state.t_us for action in actions)


@pytest.mark.parametrize(("ahead", "accepted"), [(0, True), (-1, False)])
def test_an_intent_is_good_up_to_the_sample_it_expires_at(ahead, accepted):
    before = armed()
    state, _ = step(before, ask(before, expires_sample=before.sample + ahead))
    assert (state.mode is Mode.MOVING) == accepted


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_certainty_is_a_probability(p):
    assert step(armed(), ask(armed(), probability=p))[0].mode is Mode.MOVING


def test_every_refusal_names_its_request_and_time():
    before = armed()
    for change in ({"number": 0}, {"action": "juggle"}, {"probability": math.nan}, {"expires_sample": -1}):
        event = ask(before, t_us=before.t_us + 3_000, **change)
        state, actions = step(before, event)
        assert (actions[0].t_us, actions[0].what) == (before.t_us + 3_000, f"intent {event.number}")
        assert state.t_us == before.t_us + 3_000
