from __future__ import annotations

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st

from firmware_protocol import crc32c
from firmware_protocol.crc import CHECK, INITIAL, POLYNOMIAL, REFLECTED_POLYNOMIAL, RESIDUE


def bit_by_bit(data: bytes) -> int:
    register = INITIAL
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (REFLECTED_POLYNOMIAL if register & 1 else 0)
    return register ^ INITIAL


def test_spec_3_2_crc_of_the_check_string() -> None:
    assert crc32c(b"123456789") == CHECK == 0xE3069283


def test_spec_3_2_polynomial_and_its_reflection_are_the_same_one() -> None:
    assert POLYNOMIAL == 0x1EDC6F41
    assert int(f"{POLYNOMIAL:032b}"[::-1], 2) == REFLECTED_POLYNOMIAL


@given(st.binary(max_size=700))
def test_crc_agrees_with_a_bit_by_bit_one_and_with_another_library(data: bytes) -> None:
    assert crc32c(data) == bit_by_bit(data) == google_crc32c.value(data)


@given(st.binary(max_size=100))
def test_crc_over_a_packet_with_its_crc_is_the_residue(data: bytes) -> None:
    sealed = data + crc32c(data).to_bytes(4, "little")
    assert crc32c(sealed) ^ INITIAL == RESIDUE


@given(st.binary(max_size=64))
def test_crc_takes_any_kind_of_bytes(data: bytes) -> None:
    assert crc32c(bytearray(data)) == crc32c(memoryview(data)) == crc32c(data)
