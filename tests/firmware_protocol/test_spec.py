from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import pytest

from firmware_protocol import Decoder, FaultKind, Flag, Status, Type
from firmware_protocol.codes import DeviceState
from firmware_protocol.layout import HOST_PAYLOADS, PACKETS
from firmware_protocol.spec_text import (
    FAULT_TEXT,
    FLAG_TEXT,
    SPEC,
    STATE_TEXT,
    STATUS_TEXT,
    TYPE_TEXT,
    spec_tables,
    with_tables,
    worked_frames,
)

TEXT = SPEC.read_text(encoding="utf-8")


def test_tables_of_the_specification_are_those_of_the_code() -> None:
    """If this fails: python -m firmware_protocol.spec_text"""
    assert with_tables(TEXT) == TEXT


def test_every_table_and_worked_frame_stands_in_the_specification() -> None:
    marks = re.findall(r"<!-- (table|frame) ([\w-]+) -->", TEXT)
    assert sorted(name for kind, name in marks if kind == "table") == sorted(spec_tables())
    assert sorted(name for kind, name in marks if kind == "frame") == sorted(worked_frames())
    assert TEXT.count("<!-- end -->") == len(marks)


def test_a_changed_layout_would_change_the_specification() -> None:
    assert with_tables(TEXT.replace("| 12 | 1 | n_channels |", "| 13 | 1 | n_channels |")) == TEXT


@pytest.mark.parametrize("packet", [*PACKETS.values(), *HOST_PAYLOADS.values()], ids=lambda p: p.section)
def test_the_section_of_a_layout_holds_its_table(packet: Any) -> None:
    name = packet.type.name if hasattr(packet, "type") else f"HOST-{packet.kind.name}"
    section = re.search(rf"### {re.escape(packet.section)} .*?(?=\n##)", TEXT, re.DOTALL)
    assert section is not None
    assert f"<!-- table {name} -->" in section.group()


@pytest.mark.parametrize(
    ("texts", "codes"),
    [
        (FLAG_TEXT, Flag),
        (STATUS_TEXT, Status),
        (FAULT_TEXT, FaultKind),
        (TYPE_TEXT, Type),
        (STATE_TEXT, DeviceState),
    ],
    ids=["flags", "statuses", "faults", "types", "states"],
)
def test_every_number_with_a_name_has_its_meaning(texts: Mapping[Enum, str], codes: type[Enum]) -> None:
    assert set(texts) == set(codes)


@pytest.mark.parametrize("name", worked_frames())
def test_worked_hex_decodes_to_its_frame(name: str) -> None:
    """The bytes are read from the page, as a firmware engineer would."""
    block = re.search(rf"<!-- frame {name} -->\n```\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    wire = bytes.fromhex(block.group(1).split("on the wire:")[1])
    frame = worked_frames()[name]
    assert Decoder(nonce=getattr(frame, "nonce", None)).feed(wire) == [frame]


def test_worked_fields_of_the_data_frame_are_its_packet() -> None:
    block = re.search(r"<!-- frame DATA -->\n```\n(.*?)\n\non the wire", TEXT, re.DOTALL)
    assert block is not None
    rows = [line[22:] for line in block.group(1).splitlines()]
    assert bytes.fromhex("".join(rows))[:-4] == worked_frames()["DATA"].pack()


def test_sections_are_numbered_without_gaps() -> None:
    numbers = re.findall(r"^##+ (\d+)(?:\.(\d+))?\.? ", TEXT, re.MULTILINE)
    expected, chapter, section = [], 0, 0
    for _, sub in numbers:
        chapter, section = (chapter, section + 1) if sub else (chapter + 1, 0)
        expected.append((str(chapter), str(section) if sub else ""))
    assert numbers == expected


def test_every_section_the_code_refers_to_exists() -> None:
    sections = {m.rstrip(".") for m in re.findall(r"^##+ ([\d.]+) ", TEXT, re.MULTILINE)}
    for path in SPEC.parent.glob("*.py"):
        for listed in re.findall(
            r"SPEC(?:\.md section)? ((?:\d+(?:\.\d+)?(?:, )?)+)", path.read_text(encoding="utf-8")
        ):
            for number in listed.rstrip(", ").split(", "):
                assert number in sections, f"{path.name} refers to SPEC {number}"
