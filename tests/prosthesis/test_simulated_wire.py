"""The simulated hand's own lines, and its adapter."""

from __future__ import annotations

import json

import pytest

from bci.prosthesis.hand import Command, Reply
from bci.prosthesis.hand_dialects import WireDialect
from bci.prosthesis.simulated import SimulatedHand
from bci.prosthesis.simulated_wire import WireHand, answer_line, read_reply, read_request, request_line

COMMAND = Command(7, 40_000, "move", (0.0, 0.1, 0.2, 0.3, 0.4, 1.0))
REPLY = Reply(
    (0.0, 0.1, 0.2, 0.3, 0.4, 1.0),
    (0.02, 0.5, 0.0, 0.0, 0.0, 0.1),
    (0.0, 1.5, 0.0, 0.0, 0.0, 2.0),
    (False, True, False, False, False, True),
    31.5,
)


def test_a_frame_and_an_answer_byte_by_byte():
    assert request_line(COMMAND) == b'{"n":7,"do":"move","to":[0.0,0.1,0.2,0.3,0.4,1.0]}\n'
    assert answer_line(REPLY) == (
        b'{"at":[0.0,0.1,0.2,0.3,0.4,1.0],"a":[0.02,0.5,0.0,0.0,0.0,0.1],"newton":[0.0,1.5,0.0,0.0,0.0,2.0],'
        b'"touch":[false,true,false,false,false,true],"celsius":31.5}\n'
    )
    assert answer_line(None) == b""


def test_what_is_written_reads_back():
    assert read_request(request_line(COMMAND), 40_000) == COMMAND
    assert read_reply(answer_line(REPLY)) == REPLY


def spoilt(line, **changes):
    return json.dumps({**json.loads(line), **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"to": [0.0] * 5},
        {"to": [0.0] * 7},
        {"to": [0.0] * 5 + [1.1]},
        {"to": [-0.1] + [0.0] * 5},
        {"to": [float("nan")] * 6},
        {"to": ["x"] * 6},
        {"to": 3},
        {"n": "x"},
        {"n": None},
    ],
)
def test_frames_that_make_no_sense_are_none(changes):
    assert read_request(spoilt(request_line(COMMAND), **changes), 0) is None


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"3", b"{}", b'{"n":1}', b"\xff"])
def test_lines_that_are_something_else_are_neither_frames_nor_answers(line):
    assert read_request(line, 0) is None
    assert read_reply(line) is None


@pytest.mark.parametrize(
    "changes",
    [
        *({key: [0.0] * n} for key in ("at", "a", "newton", "touch") for n in (5, 7)),
        *({key: ["x"] * 6} for key in ("at", "a", "newton")),
        {"celsius": "warm"},
        {"touch": 1},
    ],
)
def test_answers_that_make_no_sense_are_none(changes):
    assert read_reply(spoilt(answer_line(REPLY), **changes)) is None


class Wire:
    """A link whose other side is the dialect; what it sends comes in pieces."""

    def __init__(self, dialect):
        self.dialect, self.now_us, self.pending, self.closed = dialect, 0, b"", False

    def write(self, data):
        self.pending += self.dialect.receive(data, self.now_us)

    def read(self, timeout_s):
        piece, self.pending = self.pending[:150], self.pending[150:]
        return piece

    def close(self):
        self.closed = True


def test_the_adapter_drives_the_hand_and_reads_answers_that_come_in_pieces():
    wire = Wire(WireDialect(SimulatedHand(object_at=(2.0, 0.3, 2.0, 2.0, 2.0, 2.0))))
    hand = WireHand(wire)
    assert (hand.name, hand.baud, hand.answer_s) == ("simulated", 460_800, 0.0)
    newest = None
    for n in range(200):
        wire.now_us += 20_000
        newest = hand.exchange(Command(n, 0, "move", (0.4, 0.4, 0.5, 0.6, 0.7, 0.8))) or newest
    assert newest.position == pytest.approx((0.4, 0.3, 0.5, 0.6, 0.7, 0.8), abs=1e-3)
    assert newest.contact == (False, True, False, False, False, False)
    assert newest.temperature_c == 30.0
    assert wire.dialect.frames == 200
    hand.close()
    assert wire.closed


def test_each_frame_waits_for_its_answer_where_it_is_told_to():
    wire = Wire(WireDialect(SimulatedHand(position=(0.5,) * 6)))
    hand = WireHand(wire)
    hand.answer_s = 5.0
    assert hand.exchange(Command(1, 0, "look", (0.0,) * 6)).position == (0.5,) * 6
    wire.pending = answer_line(REPLY) + b"noise\n" + wire.pending
    assert hand.exchange(Command(2, 0, "look", (0.0,) * 6)) == REPLY
