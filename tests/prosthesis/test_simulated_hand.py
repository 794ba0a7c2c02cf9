"""The simulated hand and its pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bci.prosthesis import DOFS, Command, SimulatedHand, hand_lines, hand_svg

ZERO = (0.0,) * 6


def drive(hand, setpoint, ticks, start=0):
    reply = None
    for n in range(start + 1, start + ticks + 1):
        reply = hand.exchange(Command(n, n * 20_000, "move", setpoint))
    return reply


def test_fingers_have_inertia_and_arrive():
    hand = SimulatedHand()
    early = drive(hand, (0.5,) * 6, 3)
    assert 0.0 < early.position[1] < 0.5
    late = drive(hand, (0.5,) * 6, 100, start=3)
    assert late.position == (0.5,) * 6
    assert not hand.moving


def test_no_finger_is_faster_than_its_motor():
    hand = SimulatedHand()
    before = hand.position
    for n in range(1, 60):
        hand.exchange(Command(n, n * 20_000, "move", (1.0,) * 6))
        assert all(b - a <= 2.5 * 0.02 + 1e-9 for a, b in zip(before, hand.position, strict=True))
        before = hand.position


def test_a_finger_stops_at_an_object_and_says_so_with_current_and_force():
    hand = SimulatedHand(object_at=(2.0, 0.3, 2.0, 2.0, 2.0, 2.0))
    reply = drive(hand, (0.38,) * 6, 100)
    assert reply.position[1] == 0.3
    assert reply.contact == (False, True, False, False, False, False)
    assert reply.current_a[1] > 0.5 > reply.current_a[2]
    assert 1.0 < reply.force_n[1] < 15.0
    assert not drive(hand, ZERO, 100, start=100).contact[1]


def test_its_watchdog_stops_it_300_ms_after_the_last_frame():
    hand = SimulatedHand()
    drive(hand, (1.0,) * 6, 5)
    hand.advance(5 * 20_000 + 299_000)
    assert hand.moving
    hand.advance(5 * 20_000 + 300_001)
    stopped = hand.position
    hand.advance(10**7)
    assert hand.position == stopped
    assert hand.watchdog_trips == 1


def test_the_same_frames_give_the_same_motion():
    one, two = SimulatedHand(), SimulatedHand()
    assert drive(one, (0.7,) * 6, 33) == drive(two, (0.7,) * 6, 33)


@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_drawing_keeps_its_size_and_shows_the_hand_closing(ascii_only):
    ink = []
    for x in (0.0, 0.5, 1.0):
        lines = hand_lines((x,) * 6, ascii_only=ascii_only)
        assert len({len(line) for line in lines}) == 1
        assert len(lines) == 7
        ink.append(sum(not c.isspace() for line in lines[:4] for c in line))
        assert all(f"{round(100 * x):3d}" in lines[-1] for _ in DOFS)
    assert ink[0] > ink[1] > ink[2]
    if ascii_only:
        assert "".join(hand_lines((0.3,) * 6, contact=(True,) * 6, ascii_only=True)).isascii()


def test_a_finger_in_contact_is_marked():
    assert "●" in "".join(hand_lines(ZERO, contact=(False, True, False, False, False, False)))
    assert "●" not in "".join(hand_lines(ZERO))


def test_the_picture_is_well_formed_and_differs_between_postures():
    for position in (ZERO, (1.0,) * 6, (float("nan"),) * 6):
        root = ET.fromstring(hand_svg(position, title='P<07> & "x"'))
        assert root.tag.endswith("svg")
    assert hand_svg(ZERO) != hand_svg((1.0,) * 6)
    assert "thumb 0 %" in hand_svg(ZERO)
