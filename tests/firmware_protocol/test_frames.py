from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from firmware_protocol import (
    Command,
    Data,
    Event,
    Frame,
    FrameError,
    Heartbeat,
    Host,
    Info,
    Log,
    Response,
    Type,
    Unknown,
    encode,
    encode_command,
    pack_counts,
    status_word,
)
from firmware_protocol._fields import stated_length
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.frames import frame_type, unpack
from tests.firmware_protocol.feeding import decoded
from tests.firmware_protocol.strategies import frames

INFO = Info(
    0x0102, 0, 0, 1, 0, "id", "1.0", 0xDDCCBBAA, 1, 500, 3, 7, 2, 4, ("C3", "电极"), (0.5, -2.0), lead_off=2
)
DATA = Data(0x0201, 0x02, 0x06050403, 0x0A090807, 2, 1, 9, bytes.fromhex("010203 fffffe"))
#: Packets before COBS, without their CRC, written out by hand from SPEC 4, 5 and 9.
GOLDEN: list[tuple[Frame, str]] = [
    (DATA, "11 02 0102 03040506 0708090a 02 01 00 09 010203 fffffe"),
    (
        Data(0, 0, 0, 0, 4, 1, 0, bytes(15), has_status=True, channels_per_converter=4),
        "11 00 0000 00000000 00000000 04 01 24 00" + "00" * 15,
    ),
    (
        Data(0, 0, 0, 0, 1, 2, 0, struct.pack("<2f", 1.5, -1.5), sample_type=1),
        "11 00 0000 00000000 00000000 01 02 01 00 0000c03f 0000c0bf",
    ),
    (Event(1, 0, 2, 3, 1, 769, -2), "12 00 0100 02000000 03000000 01 00 0103 feffffff"),
    (
        INFO,
        "13 00 0201 00 01 00 02 aabbccdd 07 01 02 00 f4010000 03000000 04 02 0000"
        + "6964" + "00" * 22 + "312e30" + "00" * 13
        + "4333" + "00" * 14 + "000000000000e03f"
        + "e794b5e69e81" + "00" * 10 + "00000000000000c0",
    ),
    (Response(1, 0, 0xBEEF, 2, 4, 0x0102030405060708, b"\x55"), "14 00 0100 efbe 02 04 0807060504030201 01 000000 55"),
    (
        Heartbeat(1, 0, 2, 3, 4, 5, 6, 3300, -1.5),
        "15 00 0100 02000000 0300000000000000 0400000000000000 0500000000000000 06000000 e40c f1ff",
    ),
    (Heartbeat(0, 0, 0, 0, 0, 0, 0), "15 00 0000 " + "00" * 32 + "0000 0080"),
    (Log(1, 0, 2, 3, "µV"), "16 00 0100 02000000 03 00 0300 c2b556"),
    (Command(1, 0, 0xBEEF, 6, b"\x01\x02"), "18 00 0100 efbe 06 02 0102"),
    (Host(6, 0x0102030405060708, b"\x00", 9), "1f 00 0900 0807060504030201 06 00 0100 00"),
    (Unknown(1, 0, 9, b"\x07"), "19 00 0100 07"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "golden"), GOLDEN, ids=[type(f).__name__ for f, _ in GOLDEN])
def test_packet_is_the_golden_one_in_both_directions(frame: Frame, golden: str) -> None:
    body = bytes.fromhex(golden)
    assert frame.pack() == body
    assert unpack(body + bytes(4)) == frame
    assert frame_type(frame) == body[0] & 15
    assert stated_length(body + bytes(4)) in (len(body) + 4, 0 if isinstance(frame, Unknown) else -1)


def test_wire_form_of_a_command_by_hand() -> None:
    """CRC-32C of 18 00 01 00 ef be 04 00 is 0xD999D551 by google-crc32c."""
    assert encode(Command(1, 0, 0xBEEF, 4)) == bytes.fromhex("02 18 02 01 04 ef be 04 05 51 d5 99 d9 00")
    assert encode_command(Command(1, 0, 0xBEEF, 4))[:3] == bytes.fromhex("00 02 18")


@settings(max_examples=150)
@given(frames)
def test_every_frame_comes_back_from_its_wire_form(frame: Frame) -> None:
    wire = encode(frame)
    assert wire.index(0) == len(wire) - 1 <= 658
    assert stated_length(cobs_decode(wire[:-1]) or b"") in (
        0 if isinstance(frame, Unknown) else len(frame.pack()) + 4,
    )
    assert decoded(wire) == [frame]


def test_offset_is_no_part_of_a_frames_value() -> None:
    assert replace(DATA, offset=100) == DATA


def bad(frame: Frame, **changes: Any) -> Any:
    return pytest.param(
        replace(frame, **changes), next(iter(changes)), id=f"{type(frame).__name__} {changes}"[:60]
    )


EVENT, COMMAND = Event(0, 0, 0, 0, 1, 2, 3), Command(0, 0, 0, 1)
STATUS = replace(DATA, n_channels=8, has_status=True, payload=bytes(27))


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        bad(DATA, n_channels=0),
        bad(DATA, n_channels=65, payload=bytes(195)),
        bad(DATA, n_samples=0),
        bad(DATA, n_samples=33),
        bad(replace(DATA, n_channels=64), n_samples=4, payload=bytes(768)),
        bad(DATA, sample_type=2),
        bad(DATA, channels_per_converter=5),
        bad(STATUS, n_channels=12),
        bad(DATA, payload=bytes(5)),
        bad(INFO, pages=0),
        bad(INFO, pages=65),
        bad(INFO, page=1),
        bad(INFO, first_channel=1),
        bad(INFO, rate_num=0),
        bad(INFO, rate_den=0),
        bad(INFO, uv_per_count=(1.0,)),
        bad(INFO, uv_per_count=(1.0, 0.0)),
        bad(INFO, uv_per_count=(1.0, float("nan"))),
        bad(INFO, labels=("C3", "sixteen bytes !!")),
        bad(INFO, labels=("C3", "C\x004")),
        bad(INFO, device_id="x" * 25),
        bad(INFO, firmware="x" * 17),
        bad(INFO, n_channels=0),
        bad(Response(0, 0, 0, 0, 0, 0), payload=bytes(41)),
        bad(COMMAND, payload=bytes(117)),
        bad(Log(0, 0, 0, 0, ""), text="x" * 640),
        bad(Host(1, 2), payload=bytes(636)),
        bad(Unknown(0, 0, 9, b""), type=Type.DATA),
        bad(Unknown(0, 0, 9, b""), type=16),
        bad(Unknown(0, 0, 9, b""), body=bytes(648)),
    ],
)  # fmt: skip
def test_an_illegal_frame_is_refused_with_the_name_of_its_field(frame: Frame, field: str) -> None:
    with pytest.raises(FrameError) as caught:
        encode(frame)
    assert caught.value.field == field
    assert field in str(caught.value)


def test_more_than_16_channels_do_not_go_on_one_page() -> None:
    with pytest.raises(FrameError, match="page_channels is 17"):
        encode(replace(INFO, n_channels=17, labels=("C",) * 17, uv_per_count=(1.0,) * 17))


def test_info_without_channels_is_refused() -> None:
    with pytest.raises(FrameError, match="page_channels is 0"):
        encode(replace(INFO, labels=(), uv_per_count=()))


@pytest.mark.parametrize("changes", [{"value": 2**31}, {"sample_index": -1}, {"code": 65536}])
def test_a_number_too_large_for_its_field_is_refused_and_shown(changes: dict[str, int]) -> None:
    frame = replace(EVENT, **changes)
    with pytest.raises(FrameError, match=f"code={frame.code}, value={frame.value}"):
        encode(frame)


def test_counts_keep_order_sign_and_width() -> None:
    rows = [[0, 1, -1, 8_388_607], [-8_388_608, 256, -256, 0x010203]]
    data = replace(DATA, n_channels=4, n_samples=2, payload=pack_counts(rows))
    assert data.payload[9:12] == b"\x7f\xff\xff"
    assert data.counts() == rows
    assert data.status_words() == [[], []]


@pytest.mark.parametrize(("c", "n_converters"), [(8, 2), (6, 3), (4, 1)])
def test_status_words_stand_in_front_of_each_converters_samples(c: int, n_converters: int) -> None:
    status = [status_word(k + 1, k + 2, k) for k in range(n_converters)]
    rows = [[100 * row + channel for channel in range(c * n_converters)] for row in range(2)]
    data = replace(
        DATA,
        n_channels=c * n_converters,
        n_samples=2,
        payload=pack_counts(rows, status=status, channels_per_converter=c),
        has_status=True,
        channels_per_converter=c,
    )
    encode(data)
    assert data.payload[:3] == bytes.fromhex("c01020")
    assert data.counts() == rows
    assert data.status_words() == [status, status]


def test_status_word_has_its_fields_where_the_converter_puts_them() -> None:
    assert status_word(0x81, 0x7E, 0x5) == 0b1100_10000001_01111110_0101


@pytest.mark.parametrize("has_status", [False, True])
def test_float_samples_are_little_endian_counts(has_status: bool) -> None:
    samples = [[0.5 * k + row for k in range(8)] for row in range(2)]
    status = b"\xc0\x00\x01" if has_status else b""
    payload = b"".join(status + struct.pack("<8f", *row) for row in samples)
    data = Data(0, 0, 0, 0, 8, 2, 0, payload, sample_type=1, has_status=has_status)
    assert decoded(encode(data)) == [data]
    assert data.values() == samples
    assert data.status_words() == ([[0xC00001]] * 2 if has_status else [[], []])
    with pytest.raises(FrameError, match="sample_type is 1"):
        data.counts()
    with pytest.raises(FrameError, match="sample_type is 0"):
        DATA.values()


def test_info_tells_how_many_converters_there_are() -> None:
    assert (INFO.converters, replace(INFO, n_channels=17).converters) == (1, 3)


def test_heartbeat_and_the_results_of_stop_are_the_same_bytes() -> None:
    heartbeat = Heartbeat(5, 0, 1, 2, 3, 4, 5, 6, 7.5)
    response = Response(9, 0, 1, 3, 0, 100, heartbeat.counters(), offset=50)
    found = Heartbeat.from_counters(response)
    assert found == replace(heartbeat, link_seq=9)
    assert found.offset == 50


def test_counters_of_another_length_are_refused() -> None:
    with pytest.raises(FrameError, match="36 bytes of counters"):
        Heartbeat.from_counters(Response(0, 0, 0, 3, 0, 0, bytes(8)))
