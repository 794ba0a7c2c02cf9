"""What damage costs: nothing but the packet it hit, and never a wrong frame."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import Command, Data, Decoder, Event, Fault, Frame, Heartbeat, encode, pack_counts
from tests.firmware_protocol.feeding import Events, frames_in

EVENT = Event(1, 0, 1000, 4_000_000, 1, 769, 0)
DATA = Data(
    2,
    0,
    1004,
    4_016_000,
    8,
    1,
    1,
    pack_counts([[3, -70, 0, 500, -1, 0, 255, -256]], status=[0xC00000]),
    has_status=True,
)
HEARTBEAT = Heartbeat(3, 0, 7, 5_000_000, 1250, 0, 0)
SHORT = [EVENT, Command(1, 0, 0x1234, 4), DATA]
STREAM = [EVENT, HEARTBEAT, DATA, EVENT, DATA]


def events_of(wire: bytes) -> Events:
    decoder = Decoder()
    return decoder.feed(wire) + decoder.finish()


def flipped(wire: bytes, bits: tuple[int, ...]) -> bytes:
    damaged = bytearray(wire)
    for bit in bits:
        damaged[bit >> 3] ^= 1 << (bit & 7)
    return bytes(damaged)


def is_part_of(found: list[Frame], sent: list[Frame]) -> bool:
    """Whether `found` is `sent` with some left out."""
    rest: Iterator[Frame] = iter(sent)
    return all(frame in rest for frame in found)


@pytest.mark.parametrize("frame", SHORT, ids=lambda frame: type(frame).__name__)
def test_no_flip_of_one_or_two_bits_gives_a_wrong_frame(frame: Frame) -> None:
    wire = encode(frame)
    bits = range(8 * len(wire))
    for chosen in [(bit,) for bit in bits] + list(combinations(bits, 2)):
        for event in events_of(flipped(wire, chosen)):
            assert isinstance(event, Fault) or event == frame, chosen


def test_a_flipped_bit_costs_the_packet_it_hit() -> None:
    wires = [encode(frame) for frame in STREAM]
    edges = [sum(map(len, wires[:k])) for k in range(len(wires) + 1)]
    wire = b"".join(wires)
    for bit in range(8 * len(wire)):
        hit = next(k for k in range(len(wires)) if edges[k + 1] > bit >> 3)
        found = frames_in(events_of(flipped(wire, (bit,))))
        spared = STREAM[:hit] + STREAM[hit + 1 :]
        if bit >> 3 == edges[hit + 1] - 1:  # a delimiter: the packet before it is still found
            spared = STREAM[: hit + 1] + STREAM[hit + 2 :]
        assert found == spared, bit


def test_a_lost_byte_costs_the_packet_it_hit_and_a_lost_delimiter_nothing() -> None:
    wires = [encode(frame) for frame in STREAM]
    edges = [sum(map(len, wires[:k])) for k in range(len(wires) + 1)]
    wire = b"".join(wires)
    for at in range(len(wire)):
        hit = next(k for k in range(len(wires)) if edges[k + 1] > at)
        found = frames_in(events_of(wire[:at] + wire[at + 1 :]))
        assert found == (STREAM if at == edges[hit + 1] - 1 else STREAM[:hit] + STREAM[hit + 1 :]), at


@pytest.mark.parametrize("value", [0, 1, 2, 13, 17, 255])
def test_an_inserted_byte_costs_at_most_the_packet_it_hit(value: int) -> None:
    wires = [encode(frame) for frame in STREAM]
    edges = [sum(map(len, wires[:k])) for k in range(len(wires) + 1)]
    wire = b"".join(wires)
    for at in range(len(wire)):
        hit = next(k for k in range(len(wires)) if edges[k + 1] > at)
        found = frames_in(events_of(wire[:at] + bytes([value]) + wire[at:]))
        assert found in (STREAM, STREAM[:hit] + STREAM[hit + 1 :]), at


@pytest.mark.parametrize("value", range(1, 256, 23))
def test_a_changed_delimiter_costs_at_most_two_packets(value: int) -> None:
    wire = b"".join(map(encode, STREAM))
    for at in [k for k, byte in enumerate(wire) if byte == 0]:
        found = frames_in(events_of(wire[:at] + bytes([value]) + wire[at + 1 :]))
        assert len(found) >= len(STREAM) - 2
        assert is_part_of(found, STREAM)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_bursts_cost_only_what_they_touch(data: st.DataObject) -> None:
    wires = [encode(frame) for frame in STREAM * 3]
    wire = b"".join(wires)
    start = data.draw(st.integers(0, len(wire) - 1))
    burst = data.draw(st.binary(max_size=120))
    damaged = wire[:start] + burst + wire[start + data.draw(st.integers(0, 120)) :]
    assert is_part_of(frames_in(events_of(damaged)), STREAM * 3)


def test_ten_thousand_random_errors_of_3_to_32_bits_give_no_wrong_frame() -> None:
    rng = random.Random(3)
    wire = b"".join(map(encode, STREAM))
    for _ in range(10_000):
        bits = tuple(rng.sample(range(8 * len(wire)), rng.randint(3, 32)))
        assert is_part_of(frames_in(events_of(flipped(wire, bits))), STREAM), bits


def test_a_quarter_million_bytes_of_noise_give_no_frame() -> None:
    rng = random.Random(5)
    decoder = Decoder()
    for density in (0.0, 0.004, 0.05, 0.3):
        noise = bytearray(rng.randbytes(60_000))
        for k in range(len(noise)):
            if rng.random() < density:
                noise[k] = 0
        assert frames_in(decoder.feed(noise)) == []
