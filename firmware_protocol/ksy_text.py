"""The description of packets for Kaitai Struct, made from the layout.

`python -m firmware_protocol.ksy_text` writes bfp.ksy beside this file; a test compares, and interprets it on the golden
vectors. It describes one packet after COBS, CRC included: Kaitai Struct has no COBS and checks no CRC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path

from firmware_protocol import codes
from firmware_protocol._fields import FLOAT32
from firmware_protocol.codes import HostKind, Status, Type
from firmware_protocol.layout import COMMANDS, HOST_PAYLOADS, PACKETS, Field, PacketLayout
from firmware_protocol.limits import MAX_LABEL
from firmware_protocol.spec_text import TYPE_TEXT

__all__ = ["FILE", "ksy"]

FILE = Path(__file__).with_name("bfp.ksy")

_TYPES = {"B": "u1", "H": "u2", "I": "u4", "Q": "u8", "h": "s2", "i": "s4", "q": "s8"}
#: Fields whose numbers have names.
_ENUMS: dict[str, type[IntEnum]] = {
    "opcode": codes.Opcode,
    "status": codes.Status,
    "state": codes.DeviceState,
    "source": codes.EventSource,
    "level": codes.LogLevel,
    "lead_off": codes.LeadOff,
    "pattern": codes.Pattern,
    "dialect": codes.Dialect,
}
_HEAD = """\
# Made by: python -m firmware_protocol.ksy_text
meta:
  id: bfp
  title: BFP, the BCI frame protocol, version 1
  license: MIT
  ks-version: 0.9
  endian: le
doc: |
  One packet without COBS and delimiter, its CRC included. SPEC.md says what the fields mean; doc-ref names its
  sections. The CRC-32C is not checked here: whoever removes COBS checks it before.
seq:
  - {id: head, type: u1, doc: version << 4 | type}
  - {id: flags, type: u1, doc-ref: SPEC 3.3}
  - {id: link_seq, type: u2, doc-ref: SPEC 3.1}
  - id: body
    size: _io.size - 8
    type:
      switch-on: packet_type
      cases:"""
_INSTANCES = """\
  - {id: crc, type: u4, doc-ref: SPEC 3.2}
instances:
  version: {value: head >> 4}
  packet_type: {value: head & 15, enum: type}
types:"""
_SAMPLES = """\
  conversion:
    doc: One sample of each channel, and with status words one in front of each converter's share.
    seq:
      - {id: groups, type: group, repeat: expr, repeat-expr: _parent.n_groups}
  group:
    seq:
      - {id: status, type: status_word, if: _parent._parent.has_status}
      - id: samples
        type:
          switch-on: _parent._parent.sample_type
          cases:
            0: int24
            1: f4
        repeat: expr
        repeat-expr: _parent._parent.group_size
  int24:
    meta: {endian: be}
    seq:
      - {id: high, type: s1}
      - {id: low, type: u2}
    instances:
      value: {value: high * 65536 + low}
  status_word:
    meta: {bit-endian: be}
    doc-ref: SPEC 4.1
    seq:
      - {id: mark, type: b4, doc: "1100"}
      - {id: lead_off_p, type: b8}
      - {id: lead_off_n, type: b8}
      - {id: gpio, type: b4}"""
_FORMAT = """\
    instances:
      sample_type: {value: format & 3}
      has_status: {value: (format & 4) != 0}
      per_converter: {value: 8 - 2 * (format >> 4 & 3)}
      n_groups: {value: "has_status ? n_channels / per_converter : 1"}
      group_size: {value: "has_status ? per_converter : n_channels"}"""


def ksy() -> str:
    """The text of bfp.ksy."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield _HEAD
    for packet in PACKETS.values():
        yield f"        type::{packet.type.name.lower()}: {packet.type.name.lower()}"
    yield _INSTANCES
    for packet in PACKETS.values():
        yield from _packet(packet)
    yield _SAMPLES
    yield "  channel:"
    yield "    seq:"
    yield f"      - {{id: label, size: {MAX_LABEL + 1}, type: strz, encoding: UTF-8}}"
    yield "      - {id: uv_per_count, type: f8}"
    for opcode, command in COMMANDS.items():
        name = opcode.name.lower()
        if command.arguments:
            yield from _type(f"{name}_arguments", "5.3", command.arguments, more=bool(command.more_arguments))
        if command.results or command.more_results:
            yield from _type(f"{name}_results", "5.3", command.results, more=bool(command.more_results))
    for kind, payload in HOST_PAYLOADS.items():
        if kind == HostKind.ARRIVAL:
            yield from _type("arrival", payload.section, payload.fields)
            yield from ("  host_arrival:", "    seq:", "      - {id: arrivals, type: arrival, repeat: eos}")
        else:
            yield from _type(f"host_{kind.name.lower()}", payload.section, payload.fields, more=True)
    yield "enums:"
    enums: dict[str, type[IntEnum]] = {"type": Type, "host_kind": HostKind, **_ENUMS}
    for name, numbers in enums.items():
        yield f"  {name}:"
        yield from (f"    {int(code)}: {code.name.lower()}" for code in numbers)


def _packet(packet: PacketLayout) -> Iterator[str]:
    yield f"  {packet.type.name.lower()}:"
    yield f"    doc: {TYPE_TEXT[packet.type]}"
    yield f"    doc-ref: SPEC {packet.section}"
    yield "    seq:"
    yield from _fields(packet.fields[3:], kind=packet.type == Type.HOST)
    match packet.type:
        case Type.DATA:
            yield "      - {id: conversions, type: conversion, repeat: expr, repeat-expr: n_samples}"
            yield _FORMAT
        case Type.INFO:
            yield "      - {id: channels, type: channel, repeat: expr, repeat-expr: page_channels}"
        case Type.LOG:
            yield "      - {id: text, size: length, type: str, encoding: UTF-8}"
        case Type.COMMAND:
            holds = [c.opcode.name.lower() for c in COMMANDS.values() if c.arguments]
            yield from _switched("opcode", "opcode", holds, "arguments", "if: length > 0")
        case Type.RESPONSE:
            holds = [c.opcode.name.lower() for c in COMMANDS.values() if c.results or c.more_results]
            yield from _switched(
                "opcode", "opcode", holds, "results", f"if: length > 0 and status == status::{_OK}"
            )
        case Type.HOST:
            yield from _switched("kind", "host_kind", [k.name.lower() for k in HostKind], "", "")


_OK = Status.OK.name.lower()


def _switched(field: str, enum: str, names: Iterable[str], suffix: str, condition: str) -> Iterator[str]:
    """A payload whose form depends on a number before it."""
    yield "      - id: payload"
    yield "        size: length"
    if condition:
        yield f"        {condition}"
    yield "        type:"
    yield f"          switch-on: {field}"
    yield "          cases:"
    for name in names:
        of = f"{name}_{suffix}" if suffix else f"host_{name}"
        yield f"            {enum}::{name}: {of}"


def _type(name: str, section: str, fields: tuple[Field, ...], *, more: bool = False) -> Iterator[str]:
    yield f"  {name}:"
    yield f"    doc-ref: SPEC {section}"
    yield "    seq:"
    yield from _fields(fields)
    if more:
        yield "      - {id: more, size-eos: true}"


def _fields(fields: Iterable[Field], *, kind: bool = False) -> Iterator[str]:
    for f in fields:
        words = [f"id: {f.name}"]
        if f.code.endswith("x"):
            words.append(f"size: {f.size}")
        elif f.code.endswith("s"):
            words.append(f"size: {f.size}, type: strz, encoding: UTF-8")
        else:
            words.append(f"type: {_TYPES[f.code]}")
            if f.name in _ENUMS:
                words.append(f"enum: {f.name}")
            elif kind and f.name == "kind":
                words.append("enum: host_kind")
        if f.unit or f.text:
            text = f"{f.unit}: {f.text}" if f.unit and f.text else f.unit or f.text
            words.append(f'doc: "{text}"')
        yield f"      - {{{', '.join(words)}}}"


assert FLOAT32 == 1  # the cases of `group` in _SAMPLES


if __name__ == "__main__":
    FILE.write_text(ksy(), encoding="utf-8")
