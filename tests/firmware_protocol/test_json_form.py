from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from firmware_protocol import Data, Fault, Frame, FrameError, Unknown, encode, pack_counts, status_word
from firmware_protocol.codes import Opcode
from firmware_protocol.describe import describe, name_of
from firmware_protocol.json_form import from_json, to_json
from tests.firmware_protocol.strategies import frames
from tests.firmware_protocol.test_frames import GOLDEN


@settings(max_examples=80)
@given(frames)
def test_every_frame_comes_back_from_its_json_form(frame: Frame) -> None:
    text = json.dumps(to_json(frame), allow_nan=False)
    assert from_json(json.loads(text)) == frame


def test_an_event_by_hand() -> None:
    form = {"type": "EVENT", "sample_index": 1, "t_us": 2, "source": 1, "code": 3, "value": -4}
    assert encode(from_json(form)).hex(" ").startswith("02 12 01 01 02 01 01 01 02 02")


def test_a_fault_is_an_object_with_its_kind() -> None:
    form = to_json(Fault(5, 2, "crc", "why", b"\x01\x02"))
    assert form == {"fault": "crc", "offset": 5, "length": 2, "detail": "why", "raw": "0102"}


def test_rows_of_counts_stand_for_a_payload() -> None:
    rows = [[1, -2] * 4, [3, -4] * 4]
    head = {"type": "DATA", "sample_index": 0, "t_us": 0, "config_id": 0}
    plain = from_json(head | {"counts": rows})
    assert isinstance(plain, Data)
    assert (plain.counts(), plain.n_channels, plain.n_samples) == (rows, 8, 2)
    with_status = from_json(head | {"counts": rows, "has_status": True})
    assert isinstance(with_status, Data)
    assert with_status.payload == pack_counts(rows, status=[status_word()])
    assert from_json(to_json(with_status) | {"counts": [[0]]}) == with_status


EVENT: dict[str, Any] = {"type": "EVENT", "sample_index": 1, "t_us": 2, "source": 1, "code": 3, "value": -4}
DATA: dict[str, Any] = {"type": "DATA", "sample_index": 0, "t_us": 0, "config_id": 0}
INFO = to_json(GOLDEN[4][0])


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({}, "type is None, expected one of COMMAND, DATA"),
        ({"type": "event"}, "type is 'event'"),
        (EVENT | {"colour": 1}, "EVENT has no field colour"),
        ({"type": "EVENT", "source": 1}, "EVENT needs sample_index, t_us, code, value"),
        (EVENT | {"value": "4"}, "value is '4', expected int"),
        (EVENT | {"value": True}, "value is True, expected int"),
        (DATA | {"n_channels": 1, "n_samples": 1, "payload": "xyz"}, "payload is 'xyz'"),
        (DATA | {"n_channels": 1, "n_samples": 1, "payload": 5}, "payload is 5"),
        (DATA | {"counts": [[1], 2]}, "counts are not rows"),
        (DATA | {"counts": []}, "counts are not rows"),
        (DATA | {"counts": [["x"]]}, "counts are not rows"),
        (DATA | {"counts": [[1]], "channels_per_converter": 0, "has_status": True}, "counts are not rows"),
        (DATA | {"counts": [[1]], "has_status": 1}, "has_status is 1, expected bool"),
        (INFO | {"labels": [1, 2]}, "labels is"),
        (INFO | {"uv_per_count": ["x"]}, "uv_per_count is"),
        (INFO | {"device_id": 7}, "device_id is 7, expected str"),
        (to_json(GOLDEN[6][0]) | {"temperature_c": []}, "temperature_c is"),
    ],
)
def test_a_form_that_is_no_frame_is_refused_with_the_reason(form: dict[str, Any], says: str) -> None:
    with pytest.raises(FrameError) as caught:
        encode(from_json(form))
    assert says in str(caught.value)


def test_counts_that_are_too_large_are_refused() -> None:
    with pytest.raises(FrameError, match="counts is"):
        from_json(DATA | {"counts": [[2**23]]})
    with pytest.raises(FrameError, match="counts are not rows"):
        from_json(DATA | {"counts": [[1.5]]})


@pytest.mark.parametrize(("frame", "golden"), GOLDEN, ids=[type(f).__name__ for f, _ in GOLDEN])
def test_every_frame_has_one_line(frame: Frame, golden: str) -> None:
    line = describe(frame)
    assert "\n" not in line
    name = type(frame).__name__.upper()
    assert f"{name} " in line


def test_lines_name_what_has_a_name() -> None:
    lines = "\n".join(describe(frame) for frame, _ in GOLDEN)
    for word in (
        "TRIGGER 769",
        "BUSY",
        "SET_CHANNEL",
        "ERROR: 'µV'",
        "boot ddccbbaa",
        "166.667 SPS: C3 电极",
        "[first]",
        "RAW",
    ):
        assert word in lines
    assert "type 9" in describe(Unknown(0, 0, 9, b""))
    assert (name_of(Opcode, 2), name_of(Opcode, 200)) == ("START", "200")


def test_a_fault_shows_where_it_is_and_how_it_begins() -> None:
    line = describe(Fault(18224, 20, "crc", "got 0x1, computed 0x2", bytes(range(20))))
    assert (
        line
        == "     18224  fault crc: got 0x1, computed 0x2  [20 bytes: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f …]"
    )
    assert (
        describe(Fault(3, 0, "missing-delimiter", "why", b"")) == "         3  fault missing-delimiter: why"
    )
