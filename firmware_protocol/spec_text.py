"""The parts of SPEC.md that follow from code: tables of `layout.py`, lists of `codes.py`, limits, worked frames.

`python -m firmware_protocol.spec_text` writes them between their marks in SPEC.md; a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import TypeVar

from firmware_protocol._budget import budget
from firmware_protocol._samples import pack_counts, status_word
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codec import encode, encode_command
from firmware_protocol.codes import (
    DeviceState,
    FaultKind,
    Flag,
    HostKind,
    Opcode,
    Status,
    Type,
)
from firmware_protocol.frames import Command, Data, Event, Frame, Heartbeat, Host, Info, Log, Response
from firmware_protocol.layout import COMMANDS, HOST_PAYLOADS, PACKETS, Field
from firmware_protocol.limits import CRC_SIZE, LIMITS

__all__ = [
    "FAULT_TEXT",
    "FLAG_TEXT",
    "STATE_TEXT",
    "STATUS_TEXT",
    "TYPE_TEXT",
    "kind_name",
    "spec_tables",
    "with_tables",
    "worked_frames",
]

_Code = TypeVar("_Code", bound=IntEnum | IntFlag)

SPEC = Path(__file__).with_name("SPEC.md")
_MARKED = re.compile(r"(<!-- (table|frame) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

TYPE_TEXT = {
    Type.DATA: "samples",
    Type.EVENT: "something that happened at a conversion",
    Type.INFO: "what the device is and what its samples mean",
    Type.RESPONSE: "answer to a COMMAND",
    Type.HEARTBEAT: "the device's counters, once a second",
    Type.LOG: "text for people",
    Type.COMMAND: "request of the host",
    Type.HOST: "note of a recording program; never on a wire",
}
FLAG_TEXT = {
    Flag.OVERRUN: "conversions were dropped directly before these samples",
    Flag.FIRST: "first samples after START",
    Flag.TEST_SIGNAL: "test signal or test pattern in place of the electrodes",
    Flag.AC_LEAD_OFF: "AC lead-off excitation is on",
    Flag.COMMAND_ACTED: "a command took effect with the first of these samples",
    Flag.TRIGGER: "the trigger line was active during one of these samples",
    Flag.CLOCK_STEPPED: "t_us does not continue that of the samples before",
    Flag.MUST_UNDERSTAND: "whoever does not know every part of this packet must not use it; any type",
}
STATUS_TEXT = {
    Status.OK: "done",
    Status.UNKNOWN_OPCODE: "the device does not know this opcode",
    Status.BAD_LENGTH: "the arguments are too short or too long for the opcode",
    Status.BAD_ARGUMENT: "an argument is out of its range",
    Status.BUSY: "not while streaming",
    Status.ID_REUSED: "another request carried this request_id less than 1 s ago",
    Status.UNSUPPORTED: "known, but this device or its present setting cannot do it",
    Status.FAILED: "the hardware did not do it",
}
FAULT_TEXT = {
    FaultKind.UNDELIMITED: "658 bytes without a delimiter, and no packet begins them",
    FaultKind.COBS: "a code byte points past the end",
    FaultKind.SHORT: "fewer than 8 bytes after COBS",
    FaultKind.CRC: "the CRC does not fit",
    FaultKind.UNSUPPORTED: "another version, or flag b7",
    FaultKind.HOST_ON_WIRE: "type 15 without the nonce of this recording",
    FaultKind.FIELD: "a value out of its range",
    FaultKind.LENGTH: "another length than the header states",
    FaultKind.MISSING_DELIMITER: "a whole packet that no delimiter ends; length 0, nothing is lost",
    FaultKind.TRUNCATED: "the stream ends within a packet",
}
STATE_TEXT = {
    DeviceState.IDLE: "no conversions",
    DeviceState.STREAMING: "the converter runs, DATA flows",
    DeviceState.WATCHDOG: "as idle; the stream was ended by the watchdog",
}

_PLANS = ((8, 115200, 4), (8, 921600, 4), (8, 3_000_000, 4), (64, 3_000_000, 2))


def spec_tables() -> dict[str, str]:
    """Markdown of each generated table, by the name in its mark."""
    tables = {packet.type.name: _fields(packet.fields, packet.tail, crc=True) for packet in PACKETS.values()}
    for kind, payload in HOST_PAYLOADS.items():
        tables[f"HOST-{kind.name}"] = _fields(payload.fields, payload.tail)
    tables["types"] = _list("number", "type", TYPE_TEXT)
    tables["flags"] = _list("bit", "flag", FLAG_TEXT, bits=True)
    tables["statuses"] = _list("number", "status", STATUS_TEXT)
    tables["states"] = _list("number", "state", STATE_TEXT)
    tables["faults"] = _table(
        ("kind", "what was found"), ((f"`{k}`", text) for k, text in FAULT_TEXT.items())
    )
    tables["commands"] = _commands()
    tables["limits"] = _table(
        ("limit", "value", "what"),
        ((name, f"{value:,} {unit}".strip(), text) for name, (value, unit, text) in LIMITS.items()),
    )
    tables["budget"] = _budget()
    return tables


def worked_frames() -> dict[str, Frame]:
    """Example of each packet type that section 11 shows in hex, by the name in its mark."""
    rows = [[1, -1, 8_388_607, -8_388_608, 256, 0, -256, 100_000]]
    samples = pack_counts(rows, status=[status_word(lead_off_p=0b101)])
    return {
        "DATA": Data(7, Flag.FIRST, 1000, 4_000_000, 8, 1, 3, samples, has_status=True),
        "EVENT": Event(8, 0, 1004, 4_016_000, 1, 769, 0),
        "INFO": Info(
            link_seq=0,
            flags=0,
            page=0,
            pages=1,
            first_channel=0,
            device_id="0123456789abcdef01234567",
            firmware="1.4.2",
            boot_id=0xC0FFEE01,
            state=0,
            rate_num=250,
            rate_den=1,
            config_id=3,
            n_channels=2,
            n_samples=8,
            labels=("C3", "C4"),
            uv_per_count=(4.5e6 / 24 / 8_388_607,) * 2,
        ),
        "COMMAND": Command(0, 0, 0x1234, Opcode.START, (2000).to_bytes(4, "little")),
        "RESPONSE": Response(1, 0, 0x1234, Opcode.START, Status.OK, 3_990_000, (1000).to_bytes(8, "little")),
        "HEARTBEAT": Heartbeat(9, 0, 0xC0FFEE01, 5_000_000, 1250, 4, 0, 3300, 36.5),
        "LOG": Log(10, 0, 5_000_100, 2, "supply low"),
        "HOST": Host(HostKind.TX, 0x1122334455667788, (10**9).to_bytes(8, "little") + b"\x00"),
    }


def with_tables(text: str) -> str:
    """The text of SPEC.md with every marked part made anew."""
    tables, frames = spec_tables(), worked_frames()

    def made(match: re.Match[str]) -> str:
        start, what, name, end = match.groups()
        return f"{start}{tables[name] if what == 'table' else _worked(frames[name])}\n{end}"

    return _MARKED.sub(made, text)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _list(number: str, name: str, texts: Mapping[_Code, str], *, bits: bool = False) -> str:
    rows = []
    for code, text in texts.items():
        shown = f"b{int(code).bit_length() - 1}" if bits else str(int(code))
        rows.append((shown, str(code.name), text))
    return _table((number, name, "meaning"), rows)


def _fields(fields: tuple[Field, ...], tail: str = "", *, crc: bool = False) -> str:
    rows = [(str(f.offset), str(f.size), f.name, kind_name(f.code), f.unit, f.text) for f in fields]
    end = sum(f.size for f in fields)
    if tail:
        rows.append((str(end), "…", "", "", "", tail))
    if crc:
        rows.append(("end" if tail else str(end), str(CRC_SIZE), "CRC", "u32", "", "section 3.2"))
    return _table(("offset", "size", "field", "kind", "unit", "rule"), rows)


def kind_name(code: str) -> str:
    """What the specification calls a `struct` code."""
    kinds = {
        "B": "u8",
        "H": "u16",
        "I": "u32",
        "Q": "u64",
        "h": "i16",
        "i": "i32",
        "q": "i64",
        "d": "binary64",
    }
    return kinds.get(code, "text" if code.endswith("s") else "0")


def _commands() -> str:
    rows = []
    for opcode, command in COMMANDS.items():
        streaming = "yes" if command.while_streaming else "BUSY"
        arguments = _names(command.arguments, command.more_arguments)
        if command.optional:
            arguments += "; or nothing"
        answer = "none" if opcode == Opcode.KEEPALIVE else _names(command.results, command.more_results)
        rows.append((f"0x{opcode:02X}", opcode.name, arguments, answer, streaming, command.text))
    return _table(("opcode", "name", "arguments", "results", "while streaming", "what it does"), rows)


def _names(fields: tuple[Field, ...], more: str) -> str:
    parts = []
    for f in fields:
        text = f" ({f.text})" if f.text and len(fields) < 6 else ""
        parts.append(f"{f.name} {kind_name(f.code)}{text}")
    return ", ".join([*parts, *([more] if more else [])]) or "—"


def _budget() -> str:
    rows = []
    for n_channels, baud, samples in _PLANS:
        link = budget(n_channels, 250, baud, samples_per_frame=samples)
        alone = link.usable_bytes_per_s * samples / link.packet_bytes
        rows.append(
            (
                f"{n_channels}",
                f"{baud:,}",
                f"{samples}",
                f"{link.packet_bytes}",
                f"{int(alone):,}",
                f"{int(link.max_rate_hz):,}",
            )
        )
    heads = (
        "channels",
        "baud",
        "samples a packet",
        "wire bytes a packet",
        "SPS, DATA alone",
        "SPS with INFO and HEARTBEAT",
    )
    return _table(heads, rows)


def _worked(frame: Frame) -> str:
    """The packet field by field, then its wire form."""
    wire = encode_command(frame) if isinstance(frame, Command) else encode(frame)
    packet = cobs_decode(wire.strip(b"\x00")) or b""
    layout = PACKETS[Type(packet[0] & 15)]
    parts = [(f.offset, f.size, f.name) for f in layout.fields]
    if len(packet) > layout.size + CRC_SIZE:
        parts.append((layout.size, len(packet) - CRC_SIZE - layout.size, "(what follows)"))
    parts.append((len(packet) - CRC_SIZE, CRC_SIZE, "CRC"))
    lines = ["```"]
    for offset, size, name in parts:
        rows = [packet[k : min(k + 24, offset + size)].hex(" ") for k in range(offset, offset + size, 24)]
        lines.append(f"{offset:4}  {name:<16}{rows[0]}")
        lines += [" " * 22 + row for row in rows[1:]]
    lines += ["", "on the wire:", *(wire[k : k + 24].hex(" ") for k in range(0, len(wire), 24)), "```"]
    return "\n".join(lines)


if __name__ == "__main__":
    SPEC.write_text(with_tables(SPEC.read_text(encoding="utf-8")), encoding="utf-8")
