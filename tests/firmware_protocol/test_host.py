"""SPEC 9: a recording is the wire, bit for bit, with notes in between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import (
    Arrivals,
    Decoder,
    Dialect,
    Event,
    Fault,
    FrameError,
    Gap,
    Host,
    HostKind,
    HostWriter,
    MarkerNote,
    Note,
    Raw,
    Sent,
    Splitter,
    Start,
    encode,
    wire_of,
)
from firmware_protocol.limits import MAX_CODED, MAX_HOST_PAYLOAD

NONCE = 0x1122334455667788
WRITER = HostWriter(NONCE)
START = Start({"software": "test 1", "notes": {"montage": "10-20", "labels": {"1": "右手"}}})
EVENT = Event(1, 0, 1000, 4_000_000, 1, 769, 5)
NOTES: list[Note] = [
    START,
    Arrivals(((0, 10), (130, 2**63), (2**40, 12))),
    Sent(5, b"\x00\x01\x02\x00"),
    MarkerNote(-1, 7, 65_535, -(2**31), "右手"),
    MarkerNote(2**40, 2**64 - 1, 0, 2**31 - 1, ""),
    Gap(9, "the cable was out"),
    Raw(b"\x00half a packet"),
    Raw(b"\xa0\x01\xc0", Dialect.CYTON),
]


def parts_of(recording: bytes, cut: int = 1 << 20, nonce: int | None = None) -> list[bytes | Note]:
    """Parts of a recording, with neighbouring wire bytes joined."""
    splitter = Splitter(nonce)
    found: list[bytes | Note] = []
    for at in range(0, len(recording), cut):
        found += splitter.feed(recording[at : at + cut])
    found.append(splitter.finish())
    joined: list[bytes | Note] = []
    for part in found:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        elif part != b"":
            joined.append(part)
    return joined


@pytest.mark.parametrize("note", NOTES, ids=lambda note: type(note).__name__)
def test_every_note_comes_back_however_the_file_is_read(note: Note) -> None:
    recording = WRITER.encode(START) + encode(EVENT) + WRITER.encode(note) + encode(EVENT)
    for cut in (1, 7, 1 << 20):
        assert parts_of(recording, cut) == [START, encode(EVENT), note, encode(EVENT)]


def test_a_note_by_hand() -> None:
    """SPEC 9.5, the packet before COBS, without its CRC."""
    payload = bytes.fromhex("d204000000000000 0a00000000000000 0103 0000 feffffff 6869")
    host = Host(HostKind.MARKER, NONCE, payload)
    assert WRITER.encode(MarkerNote(1234, 10, 769, -2, "hi")) == encode(host)
    assert host.pack()[:16].hex() == "1f000000" + "8877665544332211" + "04001a00"


def test_long_notes_take_several_packets() -> None:
    long = Start({"notes": "x" * 3000})
    arrivals = Arrivals(tuple((k, k) for k in range(100)))
    raw = Raw(bytes(2000))
    recording = b"".join(map(WRITER.encode, (long, arrivals, raw)))
    first, *rest = parts_of(recording)
    assert first == long
    assert [pair for note in rest if isinstance(note, Arrivals) for pair in note.pairs] == list(
        arrivals.pairs
    )
    assert b"".join(note.data for note in rest if isinstance(note, Raw)) == raw.data
    assert max(len(packet) for packet in recording.split(b"\x00")) <= MAX_CODED


def test_a_label_too_long_for_its_packet_is_cut() -> None:
    note = MarkerNote(0, 0, 0, 0, "x" * 1000)
    (_, cut) = parts_of(WRITER.encode(START) + WRITER.encode(note))
    assert isinstance(cut, MarkerNote)
    assert cut.label == "x" * (MAX_HOST_PAYLOAD - 24)


@pytest.mark.parametrize(
    "note",
    [MarkerNote(0, -1, 0, 0, ""), MarkerNote(0, 0, 65_536, 0, ""), Sent(-1, b"x"), Arrivals(((-1, 0),))],
)
def test_a_value_that_does_not_fit_is_refused(note: Note) -> None:
    with pytest.raises(FrameError, match="does not fit"):
        WRITER.encode(note)


wires = st.lists(
    st.one_of(st.binary(max_size=40), st.just(encode(EVENT)), st.just(encode(Host(1, 7, b"not ours")))),
    max_size=6,
).map(b"".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(wires, st.sampled_from(NOTES)), max_size=6), st.integers(1, 60))
def test_the_wire_comes_back_bit_for_bit(pieces: list[tuple[bytes, Note]], cut: int) -> None:
    """A writer keeps whole packets as they came and puts what has no delimiter yet into RAW."""
    recording, wire = WRITER.encode(START), b""
    for piece, note in pieces:
        end = piece.rfind(b"\x00") + 1
        recording += piece[:end] + WRITER.encode(Raw(piece[end:])) + WRITER.encode(note)
        wire += piece + (note.data if isinstance(note, Raw) else b"")
    blocks = [recording[at : at + cut] for at in range(0, len(recording), cut)]
    assert b"".join(wire_of(blocks)) == wire


def test_a_bare_capture_is_all_wire_even_if_a_start_comes_later() -> None:
    wire = encode(EVENT) + WRITER.encode(START) + WRITER.encode(Sent(1, b"x")) + b"\x05rest"
    for cut in (1, 9, 1000):
        assert b"".join(wire_of([wire[at : at + cut] for at in range(0, len(wire), cut)])) == wire
    events = Decoder().feed(wire)
    assert [e.kind for e in events if isinstance(e, Fault)] == ["host-on-wire", "host-on-wire"]


def test_a_file_without_delimiters_passes_through_in_bounded_memory() -> None:
    splitter = Splitter()
    noise = b"\x07" * 1000
    assert splitter.feed(noise) == [noise]
    assert splitter.feed(noise) == [noise]
    assert splitter.finish() == b""


def test_packets_of_type_15_with_another_nonce_are_wire() -> None:
    foreign = HostWriter(1).encode(Sent(1, b"x"))
    assert parts_of(WRITER.encode(START) + foreign) == [START, foreign]


def test_a_known_nonce_lets_reading_begin_anywhere() -> None:
    recording = encode(EVENT) + WRITER.encode(Gap(1, "x"))
    assert parts_of(recording, nonce=NONCE) == [encode(EVENT), Gap(1, "x")]


def test_a_file_cut_anywhere_keeps_all_whole_packets() -> None:
    whole = WRITER.encode(START) + encode(EVENT) + WRITER.encode(Sent(1, b"abc")) + encode(EVENT)
    ends = [k + 1 for k, byte in enumerate(whole) if byte == 0]
    full = parts_of(whole)
    for at in range(ends[0], len(whole)):
        kept = parts_of(whole[:at])
        notes = [part for part in kept if not isinstance(part, bytes)]
        assert notes == [part for part in full if not isinstance(part, bytes)][: 1 + (at >= ends[2])]
        wire = b"".join(part for part in kept if isinstance(part, bytes))
        assert b"".join(part for part in full if isinstance(part, bytes)).startswith(
            wire[: wire.rfind(b"\x00") + 1]
        )


@pytest.mark.parametrize(
    "host",
    [
        Host(99, NONCE, b"of a later version"),
        Host(HostKind.TX, NONCE, b"short"),
        Host(HostKind.MARKER, NONCE, b"short"),
        Host(HostKind.RAW, NONCE, b""),
        Host(HostKind.START, NONCE, b""),
        Host(HostKind.START, NONCE, b"\x00\x01not json"),
        Host(HostKind.ARRIVAL, NONCE, bytes(17)),
    ],
    ids=lambda host: f"{host.kind} {host.payload!r}",
)
def test_a_note_that_cannot_be_read_is_skipped_and_never_wire(host: Host) -> None:
    assert parts_of(WRITER.encode(START) + encode(host) + encode(EVENT)) == [START, encode(EVENT)]


def test_damaged_host_packets_are_wire_for_the_decoder_to_judge() -> None:
    note = bytearray(WRITER.encode(Sent(1, b"abcdefgh")))
    note[-4] ^= 0x10
    assert parts_of(WRITER.encode(START) + bytes(note)) == [START, bytes(note)]


def test_wire_that_looks_like_a_host_packet_but_is_none_stays_wire() -> None:
    for piece in (
        b"\x09\x1f" + b"\x05" * 30 + b"\x00",
        b"\x0c\x1f" + b"\x07" * 10 + b"\x01\x01\x01\x01\x01\x01\x00",
    ):
        assert parts_of(WRITER.encode(START) + piece) == [START, piece]
