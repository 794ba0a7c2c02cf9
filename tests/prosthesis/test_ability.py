"""The Ability Hand's frames, and its adapter against a simulated hand that speaks them."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.prosthesis.ability import (
    CONTACT_A,
    ORDER,
    STILL_DEG_S,
    AbilityHand,
    Unstuffer,
    grip_frame,
    look_frame,
    parse_reply,
    position_frame,
    stuff,
    velocity_frame,
)
from bci.prosthesis.hand import Command, Reply
from bci.prosthesis.hand_dialects import AbilityDialect
from bci.prosthesis.simulated import SimulatedHand


class Wire:
    """A link whose other side is a dialect; time passes by hand."""

    def __init__(self, dialect):
        self.dialect, self.now_us, self.pending = dialect, 0, b""
        self.closed = False

    def write(self, data):
        self.pending += self.dialect.receive(data, self.now_us)

    def read(self, timeout_s):
        data, self.pending = self.pending, b""
        return data

    def close(self):
        self.closed = True


#: What PSYONIC's own library makes of the same numbers; the file names version and modules.
GOLDEN = json.loads((Path(__file__).parent / "golden" / "ability_hand.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GOLDEN["position"], ids=str)
def test_position_frames_are_the_makers_own(case):
    assert position_frame(case["degrees"], reply_mode=case["reply_mode"]).hex() == case["wire"]


@pytest.mark.parametrize("case", GOLDEN["velocity"], ids=str)
def test_velocity_frames_are_the_makers_own(case):
    assert velocity_frame(case["degrees_per_s"], reply_mode=case["reply_mode"]).hex() == case["wire"]


@pytest.mark.parametrize("case", GOLDEN["grip"], ids=str)
def test_grip_and_look_frames_are_the_makers_own(case):
    assert grip_frame(case["grip"], speed=case["speed"]).hex() == case["wire"]
    assert look_frame().hex() == GOLDEN["look"]


@pytest.mark.parametrize("case", GOLDEN["reply"], ids=lambda case: case["wire"][:16])
def test_replies_read_as_the_makers_library_reads_them(case):
    (packet,) = Unstuffer().feed(bytes.fromhex(case["wire"]))
    reply = parse_reply(packet)
    signs = (1, 1, 1, 1, 1, -1)
    assert [s * 100.0 * reply.position[d] for s, d in zip(signs, ORDER, strict=True)] == pytest.approx(
        case["degrees"], abs=1e-8
    )
    assert [reply.current_a[d] for d in ORDER] == pytest.approx(case["ampere"], abs=1e-8)
    pressing = [
        abs(a) >= CONTACT_A and abs(v) <= STILL_DEG_S
        for a, v in zip(case["ampere"], case["degrees_per_s"], strict=True)
    ]
    assert [reply.contact[d] for d in ORDER] == pressing


def test_golden_frames_hold_both_reserved_bytes():
    wires = [case["wire"] for name in ("position", "velocity", "grip", "reply") for case in GOLDEN[name]]
    assert any("7d5e" in wire for wire in wires)
    assert any("7d5d" in wire for wire in wires)


def test_golden_frames():
    assert position_frame([10, 20, 30, 40, 50, -60]).hex() == "7e50128808101199192122aa2acecc8a7e"
    assert grip_frame(3, speed=255).hex() == "7e501d03ff917e"


def test_degrees_truncate_towards_zero():
    for degrees, counts in ((0.0045, 0), (0.0092, 2), (100.0, 21844), (33.3, 7274)):
        packet = Unstuffer().feed(position_frame([degrees, 0, 0, 0, 0, -degrees]))[0]
        numbers = struct.unpack("<6h", packet[2:])
        assert (numbers[0], numbers[5]) == (counts, -counts)


@pytest.mark.parametrize(
    "degrees", [[-1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [101, 0, 0, 0, 0, 0], [math.nan] * 6, [0] * 5]
)
def test_angles_out_of_the_hands_range_are_never_encoded(degrees):
    with pytest.raises(ValueError, match="expected five angles"):
        position_frame(degrees)


def test_velocities_and_grips_are_checked_too():
    packet = Unstuffer().feed(velocity_frame([3000, -3000, 0, 0, 0, 1]))[0]
    assert struct.unpack("<BB6h", packet) == (0x50, 0x22, 32766, -32766, 0, 0, 0, 10)
    for wrong in (lambda: velocity_frame([4000] * 6), lambda: velocity_frame([0]), lambda: grip_frame(256)):
        with pytest.raises(ValueError, match="expected"):
            wrong()


@given(st.lists(st.binary(min_size=2, max_size=60), max_size=6), st.integers(1, 40))
def test_stuffed_packets_come_out_again_however_the_wire_is_cut(bodies, size):
    packets = [body + bytes((-sum(body) & 0xFF,)) for body in bodies]
    wire = b"".join(stuff(p) for p in packets)
    assert wire.count(0x7E) == 2 * len(packets)
    unstuffer = Unstuffer()
    got = [p for i in range(0, len(wire), size) for p in unstuffer.feed(wire[i : i + size])]
    assert got == bodies
    assert unstuffer.damaged == 0


@given(st.binary(max_size=400))
def test_garbage_on_the_wire_is_counted_and_never_raised(data):
    unstuffer = Unstuffer()
    for packet in unstuffer.feed(data):
        parse_reply(packet)
    assert unstuffer.feed(b"\x7e" + stuff(b"\x50\xb0"))[-1:] == [b"\x50"]


def test_an_endless_frame_does_not_fill_the_memory():
    unstuffer = Unstuffer()
    unstuffer.feed(b"\x01" * 100_000)
    assert unstuffer.damaged > 500


def test_a_reply_is_read_in_closures_and_amperes():
    numbers = []
    for i in range(6):
        numbers += [round((10 * i if i < 5 else -50) * 32767 / 150), round(0.1 * i * 620.606079)]
    body = struct.pack("<B18hB", 0x12, *numbers, *[0] * 6, 0)
    reply = parse_reply(body)
    assert [reply.position[d] for d in ORDER] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-4)
    assert [reply.current_a[d] for d in ORDER] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-3)
    assert [reply.contact[d] for d in ORDER] == [False, False, False, True, True, True]
    assert "hot" in parse_reply(body[:-1] + b"\x05").error
    assert parse_reply(body[:-1]) is None
    assert parse_reply(b"\x11" + body[1:]) is None


def test_the_adapter_drives_the_hand_and_reports_one_frame_behind():
    wire = Wire(AbilityDialect(SimulatedHand(object_at=(2.0, 0.3, 2.0, 2.0, 2.0, 2.0))))
    hand = AbilityHand(wire)
    replies = []
    for n in range(60):
        wire.now_us += 20_000
        replies.append(hand.exchange(Command(n, n * 20_000, "move", (0.4, 0.4, 0.5, 0.6, 0.7, 0.8))))
    assert replies[-1].position == pytest.approx((0.4, 0.3, 0.5, 0.6, 0.7, 0.8), abs=2e-4)
    assert replies[-1].contact == (False, True, False, False, False, False)
    hand.close()
    assert wire.closed


def test_a_client_that_falls_silent_does_not_feed_the_watchdog():
    wire = Wire(AbilityDialect())
    hand = AbilityHand(wire)
    for n in range(5):
        wire.now_us += 20_000
        hand.exchange(Command(n, 0, "move", (1.0,) * 6))
    wire.dialect.idle(wire.now_us + 400_000)
    assert wire.dialect.hand.watchdog_trips == 1
    assert not wire.dialect.hand.moving


def test_a_look_asks_where_the_hand_is_and_does_not_move_it():
    wire = Wire(AbilityDialect(SimulatedHand(position=(0.5,) * 6)))
    hand = AbilityHand(wire)
    for n in range(20):
        wire.now_us += 20_000
        reply = hand.exchange(Command(n, 0, "look", (0.0,) * 6))
    assert reply.position == pytest.approx((0.5,) * 6, abs=1e-4)


def test_in_accelerated_time_each_frame_waits_for_its_own_answer():
    class Slow(Wire):
        """The answer is there only when somebody waits for it."""

        def read(self, timeout_s):
            return super().read(timeout_s) if timeout_s else b""

    hand = AbilityHand(Slow(AbilityDialect(SimulatedHand(position=(0.5,) * 6))))
    command = Command(1, 0, "hold", (0.5,) * 6)
    assert hand.exchange(command) is None
    hand.answer_s = 5.0
    assert hand.exchange(command).position == pytest.approx((0.5,) * 6, abs=1e-4)


@pytest.mark.parametrize("number", range(6))
def test_each_number_of_a_frame_is_taken_up_to_its_limit_and_refused_beyond(number):
    def with_one(value):
        return [value if i == number else 0.0 for i in range(6)]

    velocity_frame(with_one(3000.0))
    velocity_frame(with_one(-3000.0))
    for beyond in (3000.5, -3000.5, math.nan):
        with pytest.raises(ValueError, match=r"expected six velocities of at most 3000 °/s, got \("):
            velocity_frame(with_one(beyond))
    sign = -1.0 if number == 5 else 1.0
    position_frame(with_one(sign * 100.0))
    for beyond in (sign * 100.5, sign * -0.5, math.nan):
        with pytest.raises(
            ValueError, match=r"expected five angles of 0…100° and a rotator of −100…0°, got \("
        ):
            position_frame(with_one(beyond))


def test_grips_and_speeds_are_bytes():
    for good in ((0, 0), (255, 255)):
        grip_frame(good[0], speed=good[1])
    assert grip_frame(7) == grip_frame(7, speed=255)
    for grip, speed in ((-1, 0), (256, 0), (0, -1), (0, 256)):
        with pytest.raises(ValueError, match=f"expected grip and speed of 0…255, got {grip} and {speed}"):
            grip_frame(grip, speed=speed)


def test_damage_is_counted_once_for_each_damaged_frame():
    unstuffer = Unstuffer()
    assert unstuffer.damaged == 0
    good, bad = stuff(b"\x50\xb0"), stuff(b"\x50\xb1")
    assert unstuffer.feed(good + bad + good + bad + b"\x7e" + good) == [b"\x50"] * 3
    assert unstuffer.damaged == 2


def test_an_escape_at_the_end_of_a_frame_does_not_reach_into_the_next():
    unstuffer = Unstuffer()
    assert unstuffer.feed(b"\x7e\x50\x7d" + stuff(b"\x50\xb0")) == [b"\x50"]


def test_the_longest_frame_is_taken_and_a_longer_one_is_damage():
    body = bytes(159)
    unstuffer = Unstuffer()
    assert unstuffer.feed(stuff(body + b"\x00")) == [body]
    assert unstuffer.damaged == 0
    unstuffer.feed(b"\x7e" + bytes(161))
    assert unstuffer.damaged == 1


def reply_bytes(*, position=0.0, ampere=0.0, speed=0.0, hot=0):
    counts = [round(position * 32767 / 150), round(ampere * 620.606079)] * 6
    return struct.pack("<B18hB", 0x12, *counts, *[round(speed * 4 * 32767 / 3000)] * 6, hot)


def test_a_quiet_reply_says_nothing_it_does_not_know():
    reply = parse_reply(reply_bytes())
    assert reply == Reply((0.0,) * 6, (0.0,) * 6, (0.0,) * 6, (False,) * 6, 0.0, "")


@pytest.mark.parametrize(
    ("counts", "speed_counts", "touches"),
    [
        (156, 0, True),
        (155, 0, False),
        (-156, 0, True),
        (156, 218, True),
        (156, 219, False),
        (156, -219, False),
    ],
)
def test_a_finger_that_draws_a_quarter_ampere_and_stands_still_presses(counts, speed_counts, touches):
    body = struct.pack("<B18hB", 0x12, *[0, counts] * 6, *[speed_counts] * 6, 0)
    assert parse_reply(body).contact == (touches,) * 6


def test_only_replies_of_mode_2_are_read():
    body = reply_bytes()
    for first in (0x12, 0x22, 0xA2):
        assert parse_reply(bytes((first,)) + body[1:]) is not None
    for first in (0x10, 0x11, 0x13):
        assert parse_reply(bytes((first,)) + body[1:]) is None
    assert parse_reply(reply_bytes(hot=0x21)).error == "motors too hot (flags 0x21)"


def test_the_newest_of_several_answers_counts():
    wire = Wire(AbilityDialect())
    hand = AbilityHand(wire)
    wire.pending = b"".join(
        stuff(body + bytes((-sum(body) & 0xFF,)))
        for body in (reply_bytes(position=10), reply_bytes(position=20), b"\x11")
    )
    wire.dialect.receive = lambda data, now: b""
    assert hand.exchange(Command(1, 0, "hold", (0.0,) * 6)).position[1] == pytest.approx(0.2, abs=1e-4)
