"""The Ability Hand's frames, and its adapter against a simulated hand that speaks them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.prosthesis.ability import (
    ORDER,
    AbilityHand,
    Unstuffer,
    grip_frame,
    parse_reply,
    position_frame,
    stuff,
    velocity_frame,
)
from bci.prosthesis.hand import Command
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
