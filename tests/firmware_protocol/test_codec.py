"""Each case is fed whole, byte by byte and inside garbage; SPEC 7 has the rules."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import (
    Command,
    Data,
    Decoder,
    Event,
    Fault,
    FaultKind,
    Frame,
    Host,
    Log,
    Response,
    Unknown,
    crc32c,
    encode,
    encode_command,
    seal,
)
from firmware_protocol.cobs import cobs_encode
from tests.firmware_protocol.feeding import decoded, faults_in, frames_in, in_pieces
from tests.firmware_protocol.strategies import frames
from tests.firmware_protocol.test_frames import INFO

EVENT = Event(1, 0, 1000, 4_000_000, 1, 769, 5)
LOG = Log(2, 0, 4_000_100, 1, "supply low")
DATA = Data(3, 0, 1004, 4_016_000, 8, 4, 1, bytes(range(1, 109)), has_status=True)
#: 655 bytes, the longest packet; no zero among its samples, so that its COBS form is the longest too.
LONGEST = Unknown(0x0101, 1, 9, b"\x01" * 647)
#: A packet whose COBS form ends with a full block: 254 bytes without a zero from its start.
FULL = Unknown(0x0101, 1, 9, b"\x01" * 246)


def info_with(at: int, value: bytes) -> bytes:
    """Wire form of INFO with other bytes at `at`, its CRC right."""
    body = INFO.pack()
    return seal(body[:at] + value + body[at + len(value) :])


def with_byte(frame: Frame, at: int, value: int) -> bytes:
    body = frame.pack()
    return seal(body[:at] + bytes([value]) + body[at + 1 :])


def broken_crc(frame: Frame) -> bytes:
    body = frame.pack()
    return cobs_encode(body + (crc32c(body) ^ 0x10).to_bytes(4, "little")) + b"\x00"


@dataclass
class Case:
    """Wire bytes, and the fault that they are."""

    wire: bytes
    kind: str
    detail: str


FAULTS = {
    "code byte past the end": Case(b"\x09\x11\x22\x00", "cobs", "code byte 0x09 at byte 0 points 6 bytes past the end"),
    "second code byte past the end": Case(b"\x02\x11\x09\x22\x00", "cobs", "0x09 at byte 2 points 7 bytes"),
    "seven bytes": Case(cobs_encode(b"\x11" + bytes(6)) + b"\x00", "short", "packet of 7 bytes, the shortest has 8"),
    "nothing but a code byte": Case(b"\x01\x00", "short", "packet of 0 bytes"),
    "wrong crc": Case(broken_crc(EVENT), "crc", "got 0x"),
    "wrong crc of an unknown type": Case(broken_crc(Unknown(0, 0, 9, b"abc")), "crc", "computed 0x"),
    "wrong crc of another version": Case(cobs_encode(b"\x21" + bytes(20)) + b"\x00", "crc", "got 0x00000000"),
    "data too short for its header": Case(cobs_encode(b"\x11\0\0\0\1\1\1\1") + b"\x00", "crc", "got 0x01010101"),
    "version 2": Case(with_byte(EVENT, 0, 0x22), "unsupported", "version 2, this decoder knows version 1"),
    "version 0": Case(with_byte(EVENT, 0, 0x02), "unsupported", "version 0"),
    "must understand": Case(encode(replace(EVENT, flags=0x80)), "unsupported", "must-understand flag (b7)"),
    "host on a wire": Case(encode(Host(1, 7, b"x")), "host-on-wire", "type 15"),
    "host too short for its nonce": Case(seal(b"\x1f\x00\x00\x00"), "host-on-wire", "type 15"),
    "no channels": Case(with_byte(DATA, 12, 0), "field", "n_channels is 0, allowed: 1–64"),
    "65 channels": Case(with_byte(DATA, 12, 65), "field", "n_channels is 65"),
    "no samples": Case(with_byte(DATA, 13, 0), "field", "n_samples is 0"),
    "33 samples": Case(with_byte(DATA, 13, 33), "field", "n_samples is 33"),
    "longer than any packet": Case(with_byte(DATA, 13, 30), "field", "n_samples is 30, 830 bytes"),
    "sample type 2": Case(with_byte(DATA, 14, 0x02), "field", "format byte 0x02"),
    "converter code 3": Case(with_byte(DATA, 14, 0x34), "field", "format byte 0x34"),
    "half a converter": Case(with_byte(DATA, 12, 12), "field", "n_channels is 12, allowed: a multiple of 8"),
    "response of 41 bytes": Case(with_byte(Response(0, 0, 0, 0, 0, 0), 16, 41), "field", "length is 41, allowed: 0–40"),
    "command of 117 bytes": Case(with_byte(Command(0, 0, 0, 1), 7, 117), "field", "length is 117"),
    "log of 640 bytes": Case(seal(LOG.pack()[:10] + b"\x80\x02" + b"supply low"), "field", "length is 640"),
    "info page without channels": Case(info_with(7, b"\x00"), "field", "page_channels is 0, allowed: 1–16"),
    "info page of 17 channels": Case(info_with(7, b"\x11"), "field", "page_channels is 17"),
    "info format": Case(info_with(15, b"\x03"), "field", "format byte 0x03 is not defined"),
    "info page beyond pages": Case(info_with(4, b"\x01"), "field", "page is 1, allowed: below pages = 1"),
    "info without pages": Case(info_with(5, b"\x00"), "field", "pages is 0"),
    "info rate of zero": Case(info_with(16, b"\x00\x00"), "field", "rate_num is 0"),
    "info scale of zero": Case(info_with(68 + 16, bytes(8)), "field", "uv_per_count is 0.0"),
    "info label not text": Case(info_with(68, b"\xff"), "field", "labels is not UTF-8"),
    "info label with a hole": Case(info_with(68, b"C\x00D"), "field", "no NUL inside"),
    "log that is not text": Case(seal(LOG.pack()[:-1] + b"\xff"), "field", "text is not UTF-8"),
    "one sample too few": Case(seal(DATA.pack()[:-27]), "length", "packet of 101 bytes, its header states 128"),
    "one byte too many": Case(seal(EVENT.pack() + b"\x00"), "length", "packet of 25 bytes, its header states 24"),
    "event without its value": Case(seal(EVENT.pack()[:-4]), "length", "packet of 20 bytes, its header states 24"),
    "data without samples": Case(seal(DATA.pack()[:8]), "length", "packet of 12 bytes, its header states 20"),
    "unknown type of 656 bytes": Case(seal(b"\x19" + bytes(651)), "length", "656 bytes, its header states 655 at most"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_damage_is_one_fault_between_the_frames_around_it(name: str) -> None:
    case = FAULTS[name]
    before, after = encode(EVENT), encode(LOG)
    events = decoded(before + case.wire + after)
    assert frames_in(events) == [EVENT, LOG]
    (fault,) = (event for event in events if isinstance(event, Fault))
    assert (fault.kind, fault.offset, fault.length) == (case.kind, len(before), len(case.wire) - 1)
    assert fault.raw == case.wire[:-1]
    assert case.detail in fault.detail
    assert fault.kind in set(FaultKind)


@pytest.mark.parametrize(
    "frame", [EVENT, LOG, DATA, INFO, LONGEST, FULL], ids=lambda frame: type(frame).__name__
)
@pytest.mark.parametrize(
    "garbage", [b"", b"\x00\x00", b"\x07garbage\x00", b"no delimiter for a long time" * 40 + b"\x00"]
)
def test_a_frame_is_found_inside_garbage(frame: Frame, garbage: bytes) -> None:
    wire = garbage + encode(frame) + garbage
    events = decoded(wire)
    assert frames_in(events) == [frame]
    assert frames_in(events)[0].offset == len(garbage)


def test_delimiters_alone_are_nothing() -> None:
    assert decoded(b"\x00" * 50) == []


def test_a_command_ends_the_noise_before_it() -> None:
    command = Command(0, 0, 1, 1)
    assert frames_in(decoded(b"\x05\x06" + encode_command(command))) == [command]


def test_unknown_types_are_frames_to_be_skipped_and_counted() -> None:
    unknown = Unknown(4, 0, 12, b"of a later time")
    assert decoded(encode(unknown)) == [unknown]


def test_reserved_bits_and_bytes_are_ignored() -> None:
    assert decoded(with_byte(EVENT, 13, 0xFF)) == [EVENT]
    assert decoded(with_byte(DATA, 14, 0b1100_1100)) == [DATA]


def test_host_packets_are_frames_with_the_right_nonce_only() -> None:
    host = Host(3, 0x1122334455667788, b"x")
    wire = encode(host)
    assert decoded(wire, nonce=host.nonce) == [host]
    assert faults_in(decoded(wire, nonce=1)) == [("host-on-wire", 0, len(wire) - 1)]


# ---- missing delimiters ----


@pytest.mark.parametrize(
    "joined",
    [
        [EVENT, LOG],
        [DATA, DATA, DATA],
        [FULL, EVENT],
        [INFO, INFO, EVENT],
        [Command(0, 0, 1, 2)] * 40,
        [replace(DATA, link_seq=k) for k in range(20)],
        [Data(1, 0, 2, 3, 8, 26, 1, bytes([5]) * 624), EVENT],
    ],
    ids=["two", "three", "full block", "long", "many short", "many long", "longer than any packet"],
)
def test_a_missing_delimiter_costs_nothing(joined: list[Frame]) -> None:
    coded = [encode(frame)[:-1] for frame in joined]
    events = decoded(b"".join(coded) + b"\x00" + encode(EVENT))
    known = [frame for frame in joined if not isinstance(frame, Unknown)]
    if joined[0] is FULL:  # an unknown type states no length: nothing tells where it ends
        known = []
    assert frames_in(events) == [*known, EVENT]
    if known:
        ends = [sum(map(len, coded[: k + 1])) for k in range(len(coded) - 1)]
        assert faults_in(events) == [("missing-delimiter", end, 0) for end in ends]


def log_with_a_full_block_at_its_end() -> tuple[Log, bytes]:
    """250 bytes of text and a CRC without zeros, as an encoder writes it that adds a code byte 1 at the end."""
    for t_us in range(1000):
        log = Log(0, 0, t_us, 0, "x" * 250)
        coded = encode(log)[:-1]
        if coded[-255] == 255:
            return log, coded + b"\x01"
    raise AssertionError("no such packet")


def test_the_code_byte_behind_a_full_block_belongs_to_its_packet() -> None:
    log, coded = log_with_a_full_block_at_its_end()
    assert decoded(coded + b"\x00") == [log]
    events = decoded(coded + encode(EVENT))
    assert frames_in(events) == [log, EVENT]
    assert faults_in(events) == [("missing-delimiter", len(coded), 0)]


def test_a_joined_packet_that_is_unsupported_is_a_fault_and_the_next_one_is_found() -> None:
    wire = encode(replace(EVENT, flags=0x80))[:-1] + encode(LOG)
    end = len(wire) - len(encode(LOG))
    events = decoded(wire)
    assert frames_in(events) == [LOG]
    assert faults_in(events) == [("unsupported", 0, end), ("missing-delimiter", end, 0)]


def test_a_changed_delimiter_costs_the_second_packet_only() -> None:
    wire = bytearray(encode(EVENT) + encode(DATA) + encode(LOG))
    at = len(encode(EVENT)) - 1
    for value in range(1, 256):
        wire[at] = value
        assert frames_in(decoded(bytes(wire))) == [EVENT, LOG]


@pytest.mark.parametrize("second", [broken_crc(LOG), b"\x30text"], ids=["crc", "cobs"])
def test_behind_a_joined_packet_the_rest_is_judged_on_its_own(second: bytes) -> None:
    wire = encode(EVENT)[:-1] + second.rstrip(b"\x00")
    end = len(encode(EVENT)) - 1
    events = decoded(wire + b"\x00")
    assert frames_in(events) == [EVENT]
    (missing, rest) = faults_in(events)
    assert missing == ("missing-delimiter", end, 0)
    assert rest[1:] == (end, len(wire) - end)


def test_without_delimiter_a_damaged_packet_takes_the_one_behind_it_along() -> None:
    wire = broken_crc(EVENT)[:-1] + encode(LOG)
    assert faults_in(decoded(wire + encode(DATA))) == [("crc", 0, len(wire) - 1)]


# ---- no delimiter at all ----


def test_bytes_without_delimiter_are_one_fault_then_discarded() -> None:
    decoder = Decoder()
    noise = b"\x07" * 5000
    events = decoder.feed(noise) + decoder.feed(b"\x00" + encode(EVENT))
    assert faults_in(events) == [("undelimited", 0, 658)]
    assert events[0].detail == "658 bytes without a delimiter"  # type: ignore[union-attr]
    assert frames_in(events) == [EVENT]
    assert decoder.discarded == 5000 - 658 + 1
    assert decoder.offset == 5001 + len(encode(EVENT))


def test_the_fault_comes_as_soon_as_no_packet_can_be_so_long() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x07" * 658) == []
    assert faults_in(decoder.feed(b"\x07")) == [("undelimited", 0, 658)]
    assert decoder.feed(b"\x07" * 10_000) == []
    assert decoder.discarded == 10_001
    assert decoder.finish() == []


def test_the_longest_packet_is_no_undelimited_stretch() -> None:
    wire = encode(LONGEST)
    assert len(wire) == 659
    assert decoded(wire) == [LONGEST]


def test_memory_is_bounded_by_one_packet_whatever_comes() -> None:
    decoder = Decoder()
    noise = random.Random(1).randbytes(50_000).replace(b"\x00", b"\x01")
    for k in range(0, len(noise), 100):
        decoder.feed(noise[k : k + 100])
        assert len(decoder._pending) <= 658


# ---- the end of a stream ----


@pytest.mark.parametrize("kept", [1, 2, 5, 20])
def test_a_stream_that_ends_within_a_packet_is_truncated(kept: int) -> None:
    wire = encode(EVENT)
    events = decoded(wire + encode(LOG)[:kept])
    assert frames_in(events) == [EVENT]
    assert faults_in(events) == [("truncated", len(wire), kept)]


def test_a_stream_may_end_without_its_last_delimiter() -> None:
    wire = encode(EVENT)[:-1]
    events = decoded(wire)
    assert frames_in(events) == [EVENT]
    assert faults_in(events) == [("missing-delimiter", len(wire), 0)]


def test_a_stream_may_end_within_the_second_of_two_joined_packets() -> None:
    first = encode(EVENT)[:-1]
    events = decoded(first + encode(LOG)[:7])
    assert frames_in(events) == [EVENT]
    assert faults_in(events) == [("missing-delimiter", len(first), 0), ("truncated", len(first), 7)]


def test_a_whole_but_illegal_packet_at_the_end_stays_what_it_is() -> None:
    wire = encode(replace(EVENT, flags=0x80))[:-1]
    assert faults_in(decoded(wire)) == [("unsupported", 0, len(wire)), ("missing-delimiter", len(wire), 0)]


def test_finish_ends_a_stream_and_the_next_bytes_go_on_counting() -> None:
    decoder = Decoder()
    decoder.feed(b"\x07" * 1000)
    assert decoder.finish() == []
    (event,) = decoder.feed(encode(EVENT))
    assert isinstance(event, Event)
    assert event.offset == 1000


# ---- any stream, any cut ----

PIECES = st.one_of(
    frames.map(encode),
    frames.map(lambda frame: encode(frame)[:-1]),
    st.binary(max_size=60),
    st.sampled_from([b"\x00", b"\x01" * 300, b"\xff" * 300]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=8).map(b"".join), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_cut_of_any_stream_gives_the_same_events(wire: bytes, cuts: list[int]) -> None:
    whole = in_pieces(wire, [])
    cut = in_pieces(wire, cuts)
    assert [(e, e.offset) for e in cut] == [(e, e.offset) for e in whole]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_random_bytes_give_faults_and_account_for_every_byte(wire: bytes) -> None:
    decoder = Decoder()
    events = decoder.feed(wire) + decoder.finish()
    assert frames_in(events) == []
    n_bytes = sum(fault.length for fault in events if isinstance(fault, Fault))
    assert n_bytes + decoder.discarded + wire.count(0) >= len(wire)
    for fault in events:
        assert isinstance(fault, Fault)
        assert wire[fault.offset : fault.offset + fault.length] == fault.raw


def test_faults_show_their_kind_as_text() -> None:
    (fault,) = decoded(b"\x09\x11\x00")
    assert isinstance(fault, Fault)
    assert f"{fault.kind}" == "cobs"
