from __future__ import annotations

import pytest

from firmware_protocol import limits
from firmware_protocol.codes import Flag, HostKind, Opcode, Type
from firmware_protocol.layout import CHANNEL, COMMANDS, HOST_PAYLOADS, PACKETS, Field

TABLES: dict[str, tuple[Field, ...]] = {
    **{f"packet {packet.type.name}": packet.fields for packet in PACKETS.values()},
    **{f"arguments {c.opcode.name}": c.arguments for c in COMMANDS.values()},
    **{f"results {c.opcode.name}": c.results for c in COMMANDS.values()},
    **{f"host {h.kind.name}": h.fields for h in HOST_PAYLOADS.values()},
}


@pytest.mark.parametrize("table", TABLES)
def test_fields_follow_each_other_without_gap_or_overlap(table: str) -> None:
    at = 0
    for field in TABLES[table]:
        assert (field.name, field.offset) == (field.name, at)
        at += field.size


@pytest.mark.parametrize("packet", PACKETS.values(), ids=lambda packet: packet.type.name)
def test_numbers_lie_on_multiples_of_their_size_up_to_four_bytes(packet: object) -> None:
    for field in packet.fields:  # type: ignore[attr-defined]
        if field.code in "HIQhiq":
            assert field.offset % min(field.size, 4) == 0, field


def test_every_type_opcode_and_kind_has_its_table() -> None:
    assert set(PACKETS) == set(Type)
    assert set(COMMANDS) == set(Opcode)
    assert set(HOST_PAYLOADS) == set(HostKind)


@pytest.mark.parametrize("packet", PACKETS.values(), ids=lambda packet: packet.type.name)
def test_every_packet_begins_with_the_common_header(packet: object) -> None:
    assert [(f.name, f.offset, f.size) for f in packet.fields[:3]] == [  # type: ignore[attr-defined]
        ("head", 0, 1),
        ("flags", 1, 1),
        ("link_seq", 2, 2),
    ]


def test_fixed_sizes_are_those_of_the_specification() -> None:
    sizes = {packet.type.name: packet.size for packet in PACKETS.values()}
    assert sizes == {
        "DATA": 16,
        "EVENT": 20,
        "INFO": 68,
        "RESPONSE": 20,
        "HEARTBEAT": 40,
        "LOG": 12,
        "COMMAND": 8,
        "HOST": 16,
    }
    assert CHANNEL.size == 24


def test_payload_limits_fill_the_packet_limits_exactly() -> None:
    def room(type_: Type, most: int) -> int:
        return most - PACKETS[type_].size - limits.CRC_SIZE

    assert room(Type.COMMAND, limits.MAX_COMMAND) == limits.MAX_COMMAND_PAYLOAD
    assert room(Type.RESPONSE, limits.MAX_RESPONSE) == limits.MAX_RESPONSE_PAYLOAD
    assert room(Type.LOG, limits.MAX_PACKET) == limits.MAX_LOG_TEXT
    assert room(Type.HOST, limits.MAX_PACKET) == limits.MAX_HOST_PAYLOAD
    assert room(Type.INFO, limits.MAX_PACKET) >= limits.MAX_PAGE_CHANNELS * CHANNEL.size
    assert all(c.struct.size <= limits.MAX_COMMAND_PAYLOAD for c in COMMANDS.values())
    assert all(c.result_struct.size <= limits.MAX_RESPONSE_PAYLOAD for c in COMMANDS.values())


def test_flags_are_the_eight_bits_of_a_byte() -> None:
    assert [int(flag) for flag in Flag] == [1 << k for k in range(8)]


def test_every_limit_is_listed_with_its_value() -> None:
    named = {name for name in vars(limits) if name.isupper()} - {"LIMITS", "VERSION", "CRC_SIZE"}
    assert set(limits.LIMITS) == named
    assert all(value == getattr(limits, name) for name, (value, _, _) in limits.LIMITS.items())
