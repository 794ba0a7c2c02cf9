from __future__ import annotations

import pytest
from cobs import cobs as other
from hypothesis import given
from hypothesis import strategies as st

from firmware_protocol.cobs import cobs_decode, cobs_encode, cobs_prefix, coded_size
from firmware_protocol.limits import MAX_CODED, MAX_PACKET
from tests.firmware_protocol.strategies import BYTES

RUN = bytes(range(1, 255))  # 254 bytes: one full block


@pytest.mark.parametrize(
    ("packet", "coded"),
    [
        (b"", "01"),
        (b"\x00", "01 01"),
        (b"\x00\x00", "01 01 01"),
        (b"\x11\x22\x00\x33", "03 11 22 02 33"),
        (b"\x11\x00\x00\x00", "02 11 01 01 01"),
        (RUN, "ff" + RUN.hex()),
        (RUN + b"\x00", "ff" + RUN.hex() + "01 01"),
        (RUN + b"\x05", "ff" + RUN.hex() + "02 05"),
        (b"\x00" + RUN, "01 ff" + RUN.hex()),
        (RUN + RUN, "ff" + RUN.hex() + "ff" + RUN.hex()),
    ],
)
def test_spec_2_2_coded_form_of(packet: bytes, coded: str) -> None:
    assert cobs_encode(packet) == bytes.fromhex(coded)
    assert cobs_decode(bytes.fromhex(coded)) == packet


@given(BYTES)
def test_coding_agrees_with_another_library_in_both_directions(packet: bytes) -> None:
    coded = cobs_encode(packet)
    assert coded == other.encode(packet)
    assert 0 not in coded
    assert cobs_decode(coded) == packet
    assert len(coded) <= coded_size(len(packet))


@given(st.binary(min_size=1, max_size=600).map(lambda raw: raw.replace(b"\x00", b"\x01")))
def test_decoding_of_anything_agrees_with_another_library(coded: bytes) -> None:
    try:
        expected = other.decode(coded)
    except other.DecodeError:
        expected = None
    assert cobs_decode(coded) == expected


def test_a_code_byte_of_1_behind_a_full_block_at_the_end_changes_nothing() -> None:
    assert cobs_decode(b"\xff" + RUN + b"\x01") == RUN


@pytest.mark.parametrize("coded", ["02", "05 11 22", "ff" + RUN[:-1].hex()])
def test_a_code_byte_that_points_past_the_end_is_no_packet(coded: str) -> None:
    assert cobs_decode(bytes.fromhex(coded)) is None


@given(BYTES.filter(lambda packet: packet[:1] != b"\x00"), BYTES.filter(lambda packet: packet[:1] > b"\x00"))
def test_prefix_ends_where_the_first_of_two_joined_packets_ended(first: bytes, second: bytes) -> None:
    assert cobs_prefix(cobs_encode(first) + cobs_encode(second), len(first)) == len(cobs_encode(first))


def test_prefix_keeps_the_code_byte_that_some_encoders_add_behind_a_full_block() -> None:
    assert cobs_prefix(b"\xff" + RUN + b"\x01" + b"\x03ab", 254) == 256


@pytest.mark.parametrize("length", [3, 5, 100])
def test_there_is_no_prefix_where_no_block_ends(length: int) -> None:
    assert cobs_prefix(cobs_encode(b"abcd\x00efghij"), length) is None


def test_prefix_does_not_reach_past_the_end() -> None:
    assert cobs_prefix(b"\x05ab", 4) is None


def test_longest_packet_has_the_stated_longest_form() -> None:
    assert len(cobs_encode(b"\x01" * MAX_PACKET)) == coded_size(MAX_PACKET) == MAX_CODED == 658
    assert coded_size(0) == 1
