"""The RH56's registers, and its adapter against a simulated hand that speaks Modbus RTU."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.prosthesis.hand import Command
from bci.prosthesis.hand_dialects import Rh56Dialect, crc16
from bci.prosthesis.simulated import SimulatedHand

pytest.importorskip("pymodbus")

from bci.prosthesis.rh56 import (
    ANGLE_ACT,
    ANGLE_SET,
    FORCE_ACT,
    FORCE_SET,
    READS,
    SPEED_SET,
    STATUS,
    TIMEOUT_S,
    Rh56Hand,
)


class Wire:
    """A link with its own time: reading costs what it waits."""

    def __init__(self, dialect):
        self.dialect, self.now_s, self.pending = dialect, 0.0, b""
        self.written, self.mute, self.noise = [], False, b""

    def clock(self):
        return self.now_s

    def write(self, data):
        self.written.append(data)
        if not self.mute:
            self.pending += self.noise + self.dialect.receive(data, int(self.now_s * 1e6))

    def read(self, timeout_s):
        data, self.pending = self.pending, b""
        self.now_s += 0.002 if data else timeout_s
        return data

    def close(self):
        self.mute = True


def connected(**values):
    wire = Wire(Rh56Dialect(SimulatedHand(**values)))
    return wire, Rh56Hand(wire, clock=wire.clock, force_g=300, speed=500)


def drive(wire, hand, setpoint, ticks):
    reply = None
    for n in range(ticks):
        wire.now_s = max(wire.now_s, round(wire.now_s / 0.02 + 1) * 0.02)
        reply = hand.exchange(Command(n, 0, "move", setpoint)) or reply
    return reply


def test_the_checksum_of_the_check_string():
    assert crc16(b"123456789") == 0x4B37


def test_force_and_speed_limits_are_written_before_the_first_set_point():
    wire, hand = connected()
    hand.exchange(Command(1, 0, "hold", (0.0,) * 6))
    registers = [struct.unpack(">H", w[2:4])[0] for w in wire.written]
    assert registers[:3] == [FORCE_SET, SPEED_SET, ANGLE_SET]
    assert [wire.dialect.registers[FORCE_SET + i] for i in range(6)] == [300] * 6
    assert [wire.dialect.registers[SPEED_SET + i] for i in range(6)] == [500] * 6


def test_the_first_set_point_on_the_wire_byte_by_byte():
    wire, hand = connected()
    hand.exchange(Command(1, 0, "hold", (0.5, 0.0, 0.25, 0.75, 1.0, 0.0)))
    expected = bytes.fromhex("01 10 05ce 0006 0c 0000 00fa 02ee 03e8 01f4 03e8".replace(" ", ""))
    assert wire.written[2] == expected + struct.pack("<H", crc16(expected))


def test_the_adapter_drives_the_hand_and_reports_in_closures_and_newtons():
    wire, hand = connected(object_at=(2.0, 0.3, 2.0, 2.0, 2.0, 2.0))
    reply = drive(wire, hand, (0.4, 0.38, 0.5, 0.6, 0.7, 0.8), 80)
    assert reply.position == pytest.approx((0.4, 0.3, 0.5, 0.6, 0.7, 0.8), abs=1e-3)
    assert reply.contact == (False, True, False, False, False, False)
    assert reply.force_n[1] > 1.0
    assert reply.error == ""


def test_a_hand_that_does_not_answer_costs_one_time_out_and_no_retry():
    wire, hand = connected()
    drive(wire, hand, (0.2,) * 6, 10)
    wire.mute = True
    begun, sent = wire.now_s, len(wire.written)
    assert hand.exchange(Command(1, 0, "hold", (0.2,) * 6)) is None
    assert wire.now_s - begun <= TIMEOUT_S + 1e-9
    assert len(wire.written) == sent + 1
    assert hand.timeouts == 1


def test_limits_are_written_again_after_the_hand_was_away():
    wire, hand = connected()
    drive(wire, hand, (0.2,) * 6, 3)
    wire.mute = True
    hand.exchange(Command(1, 0, "hold", (0.2,) * 6))
    wire.mute = False
    wire.written.clear()
    drive(wire, hand, (0.2,) * 6, 1)
    assert struct.unpack(">H", wire.written[0][2:4])[0] == FORCE_SET


def test_errors_come_from_three_registers_as_six_bytes_low_byte_first():
    wire, hand = connected()
    wire.dialect.error = [0, 2, 0, 0, 4, 0]  # ring and thumb bend in the hand's order
    reply = drive(wire, hand, (0.0,) * 6, len(READS))
    assert reply.error == "ring: error 0x02, thumb: error 0x04"


def test_a_late_answer_is_not_taken_for_the_next_one():
    wire, hand = connected()
    drive(wire, hand, (0.5,) * 6, 60)
    stale = Rh56Dialect().receive(wire.written[-1], 0)
    wire.pending = stale
    reply = drive(wire, hand, (0.5,) * 6, 4)
    assert reply.position == pytest.approx((0.5,) * 6, abs=1e-3)


@given(st.binary(max_size=60))
def test_noise_on_the_wire_is_no_answer(noise):
    wire, hand = connected()
    wire.noise = noise
    for n in range(3):
        reply = hand.exchange(Command(n, 0, "hold", (0.0,) * 6))
        assert reply is None or reply.position == (0.0,) * 6


def test_nothing_moves_before_its_limits_are_set():
    wire, hand = connected()
    wire.mute = True
    assert hand.exchange(Command(1, 0, "move", (1.0,) * 6)) is None
    assert all(struct.unpack(">H", w[2:4])[0] == FORCE_SET for w in wire.written)


def test_an_answer_to_something_else_is_no_answer():
    wire, hand = connected()
    drive(wire, hand, (0.5,) * 6, 60)
    frames = [
        struct.pack(">BBHH", 1, 16, ANGLE_SET, 5),  # another count
        struct.pack(">BBB2H", 1, 3, 4, 1, 2),  # another function, and too few registers
        struct.pack(">BBB", 1, 0x90, 2),  # refused
    ]
    for body in frames:
        wire.dialect.receive = lambda data, now, body=body: body + struct.pack("<H", crc16(body))
        assert hand.exchange(Command(1, 0, "hold", (0.5,) * 6)) is None


def test_too_few_registers_are_no_answer():
    wire, hand = connected()
    drive(wire, hand, (0.5,) * 6, 60)
    obey = wire.dialect.receive
    short = struct.pack(">BBB2H", 1, 3, 4, 1, 2)
    wire.dialect.receive = lambda data, now: (
        obey(data, now) if data[1] == 16 else short + struct.pack("<H", crc16(short))
    )
    assert hand.exchange(Command(1, 0, "hold", (0.5,) * 6)) is None


def test_a_hand_whose_motor_fails_says_so_and_closing_closes_the_link():
    wire, hand = connected()
    drive(wire, hand, (0.0,) * 6, 4)
    answer = wire.dialect._value
    wire.dialect._value = lambda register: 0x0705 if register == 1612 else answer(register)
    reply = drive(wire, hand, (0.0,) * 6, len(READS))
    assert reply.error == "little: current protection, ring: actuator fault"
    hand.close()
    assert wire.mute


def test_limits_out_of_range_are_refused():
    with pytest.raises(ValueError, match="force_g"):
        Rh56Hand(Wire(Rh56Dialect()), force_g=2000)


def test_the_simulated_hand_keeps_what_minus_one_says_and_refuses_other_functions():
    dialect = Rh56Dialect()
    write = struct.pack(">BBHHB6h", 1, 16, ANGLE_SET, 6, 12, 500, -1, 500, 500, 500, 500)
    dialect.receive(write + struct.pack("<H", crc16(write)), 0)
    dialect.idle(3_000_000)
    dialect.idle(6_000_000)
    assert dialect.hand.position[3] == 0.0
    assert dialect.hand.position[4] == pytest.approx(0.5)
    odd = struct.pack(">BBHH", 1, 6, ANGLE_ACT, 1)
    assert dialect.receive(odd + struct.pack("<H", crc16(odd)), 7_000_000)[1] == 0x86
    assert dialect.receive(odd + b"\0\0", 7_000_000) == b""


def test_angles_are_read_every_second_time_and_force_every_fourth():
    assert READS[0] == ANGLE_ACT
    assert READS[::2] == (ANGLE_ACT,) * (len(READS) // 2)
    assert [i for i, register in enumerate(READS) if register == FORCE_ACT] == list(range(1, len(READS), 4))
    assert [i for i, register in enumerate(READS) if register == STATUS] == [3, 11, 19]


def test_current_and_temperature_come_in_amperes_and_degrees():
    wire, hand = connected(object_at=(2.0, 0.3, 2.0, 2.0, 2.0, 2.0))
    reply = drive(wire, hand, (0.4, 0.38, 0.5, 0.6, 0.7, 0.8), 80 + len(READS))
    assert reply.temperature_c == 30.0
    assert reply.current_a[1] == pytest.approx(0.02 + 8.0 * 0.08, abs=2e-3)
    assert reply.current_a[0] == pytest.approx(0.02)


def test_a_link_that_breaks_forgets_what_the_hand_said_and_sets_its_limits_again():
    for breaks_in in ("write", "read"):
        wire, hand = connected()
        drive(wire, hand, (0.2,) * 6, len(READS))
        whole = getattr(wire, breaks_in)

        def broken(*_):
            raise ConnectionResetError

        setattr(wire, breaks_in, broken)
        with pytest.raises(ConnectionResetError):
            hand.exchange(Command(1, 0, "hold", (0.2,) * 6))
        setattr(wire, breaks_in, whole)
        wire.written.clear()
        reply = drive(wire, hand, (0.2,) * 6, 1)
        assert struct.unpack(">H", wire.written[0][2:4])[0] == FORCE_SET
        assert reply.temperature_c == 0.0  # not asked for yet


def test_a_look_moves_nothing():
    wire, hand = connected(position=(0.5,) * 6)
    for n in range(20):
        wire.now_s += 0.02
        reply = hand.exchange(Command(n, 0, "look", (0.0,) * 6))
    assert reply.position == pytest.approx((0.5,) * 6)
    assert not wire.dialect.frames


def test_each_limit_is_refused_from_just_beyond_its_range():
    for name in ("force_g", "speed"):
        for value in (0, 1000):
            Rh56Hand(Wire(Rh56Dialect()), **{name: value})
        for value in (-1, 1001):
            with pytest.raises(ValueError, match=f"{name} = {value}: expected 0 to 1000"):
                Rh56Hand(Wire(Rh56Dialect()), **{name: value})


def test_well_formed_nonsense_is_no_answer_and_is_not_waited_on():
    """A frame whose check is right and whose contents the library cannot read."""
    wire, hand = connected()
    drive(wire, hand, (0.5,) * 6, 3)
    body = bytes.fromhex("010c00")
    wire.dialect.receive = lambda data, now: body + struct.pack("<H", crc16(body))
    begun = wire.now_s
    assert hand.exchange(Command(1, 0, "hold", (0.5,) * 6)) is None
    assert wire.now_s - begun < TIMEOUT_S
    assert hand.timeouts == 1


def test_numbers_of_sixteen_bits_are_signed():
    wire, hand = connected()
    answer = wire.dialect._value
    for raw, value in ((0x7FFF, 32767), (0x8000, -32768), (0xFFFF, -1)):
        wire.dialect._value = lambda register, raw=raw: raw if register == FORCE_ACT else answer(register)
        reply = drive(wire, hand, (0.0,) * 6, len(READS))
        assert reply.force_n[4] == pytest.approx(value * 9.80665e-3)
