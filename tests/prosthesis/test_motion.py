"""Set points, one tick at a time."""

from __future__ import annotations

import pytest

from bci.prosthesis.motion import advance, hold_at, reach_of

FREE = (False,) * 6


def six(value):
    return (value,) * 6


def go(setpoint, target, actual=None, *, speed=0.0, contact=FREE, rate=1.0, slew=100.0, dt_s=0.02):
    return advance(
        six(setpoint),
        six(speed),
        six(target),
        six(setpoint if actual is None else actual),
        contact,
        rate=six(rate),
        slew=six(slew),
        reach=reach_of(six(rate)),
        dt_s=dt_s,
    )


def test_reach_is_90_ms_at_each_rate():
    assert reach_of((0.5, 1.0, 2.0, 0.1, 0.0, 1.0)) == pytest.approx((0.045, 0.09, 0.18, 0.009, 0.0, 0.09))


@pytest.mark.parametrize(("target", "direction"), [(1.0, 1.0), (0.0, -1.0)])
def test_a_tick_goes_as_far_as_rate_and_slew_allow(target, direction):
    points, speeds, done = go(0.5, target)
    assert points == pytest.approx(six(0.5 + direction * 0.02))
    assert speeds == pytest.approx(six(direction * 1.0))
    assert not done
    points, speeds, _ = go(0.5, target, slew=10.0)
    assert points == pytest.approx(six(0.5 + direction * 0.004))
    assert speeds == pytest.approx(six(direction * 0.2))
    _, speeds, _ = go(0.5, target, speed=direction * 0.3, slew=10.0)
    assert speeds == pytest.approx(six(direction * 0.5))
    _, speeds, _ = go(0.5, target, speed=-direction * 0.3, slew=10.0)  # reversing starts from rest
    assert speeds == pytest.approx(six(direction * 0.2))


@pytest.mark.parametrize(("start", "target"), [(0.995, 1.0), (0.005, 0.0), (0.49, 0.5), (0.51, 0.5)])
def test_the_last_stride_ends_exactly_at_the_target(start, target):
    points, speeds, done = go(start, target)
    assert points == six(target)
    assert speeds == pytest.approx(six((target - start) / 0.02))
    assert not done
    points, speeds, done = go(target, target, speed=1.0)
    assert (points, speeds, done) == (six(target), six(0.0), True)


def test_what_is_nearer_than_any_hand_can_tell_has_arrived():
    for off, there in ((0.9e-9, True), (-0.9e-9, True), (2e-9, False), (-2e-9, False)):
        done = go(0.5 + off, 0.5, slew=0.0)[2]
        assert done == there
    points, _, _ = go(0.5 + 0.9e-9, 0.5)
    assert points == six(0.5)


@pytest.mark.parametrize(("target", "actual", "stop"), [(1.0, 0.41, 0.5), (0.0, 0.59, 0.5)])
def test_a_set_point_waits_for_a_finger_that_lags(target, actual, stop):
    points, speeds, done = go(stop, target, actual)
    assert (points, speeds, done) == (six(stop), six(0.0), False)
    toward = 0.01 if target else -0.01
    points, _, _ = go(stop - toward, target, actual)
    assert points == pytest.approx(six(stop))
    points, _, _ = go(stop + 5 * toward, target, actual)  # already further ahead: it stays
    assert points == six(stop + 5 * toward)


def test_a_finger_in_contact_is_done_when_its_reach_is_used_up():
    assert go(0.5, 1.0, 0.41, contact=(True,) * 6)[2]
    assert not go(0.5, 1.0, 0.41, contact=(True, True, True, False, True, True))[2]
    assert not go(0.49, 1.0, 0.41, contact=(True,) * 6)[2]


def test_each_degree_of_freedom_has_its_own_numbers():
    rates, slews = (1.0, 2.0, 0.5, 1.0, 1.0, 0.1), (100.0, 100.0, 100.0, 10.0, 1.0, 100.0)
    points, _, _ = advance(
        six(0.5), six(0.0), six(1.0), six(0.5), FREE, rate=rates, slew=slews, reach=reach_of(rates), dt_s=0.02
    )
    assert points == pytest.approx((0.52, 0.54, 0.51, 0.504, 0.5004, 0.502))


@pytest.mark.parametrize(
    ("setpoint", "actual", "touches", "held"),
    [
        (0.5, 0.45, False, 0.45),  # a free finger stops where it is
        (0.5, 0.45, True, 0.5),  # a grip is kept
        (0.5, 0.0, False, 0.4),  # a hand that lies opens by its reach and no more
        (0.5, 0.7, False, 0.5),  # never more closed than commanded
        (0.05, -0.1, False, 0.0),  # never beyond the hand
        (0.5, 0.4, False, 0.4),
    ],
)
def test_holding_stops_a_finger_without_ever_closing_it(setpoint, actual, touches, held):
    assert hold_at(six(setpoint), six(actual), (touches,) * 6, reach=six(0.1)) == six(held)


def test_holding_takes_each_finger_by_itself():
    contact = (True, False, True, False, True, False)
    reach = (0.1, 0.1, 0.1, 0.02, 0.1, 0.0)
    assert hold_at(six(0.5), six(0.45), contact, reach=reach) == (0.5, 0.45, 0.5, 0.48, 0.5, 0.5)


def test_six_numbers_are_expected_everywhere():
    five = (0.1,) * 5
    with pytest.raises(ValueError, match="zip"):
        hold_at(six(0.5), five, FREE, reach=six(0.1))
    with pytest.raises(ValueError, match="zip"):
        advance(
            six(0.5), six(0.0), six(1.0), five, FREE, rate=six(1.0), slew=six(1.0), reach=six(0.1), dt_s=0.02
        )
