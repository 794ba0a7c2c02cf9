"""The parts of the C files that follow from code: numbers, offsets, structs, tables, writers and readers.

`python -m firmware_protocol.c_text` writes them between their marks in c/bfp.h, c/bfp.c and c/bfp_check.c; a test
compares. `frame-validator header` hands out these files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import IntEnum, IntFlag
from pathlib import Path
from struct import pack

from firmware_protocol import _fields, codes, crc
from firmware_protocol._configuration import DeviceConfig
from firmware_protocol.converter import GAINS
from firmware_protocol.layout import CHANNEL, COMMANDS, PACKETS, Field, PacketLayout
from firmware_protocol.limits import CRC_SIZE, LIMITS, MAX_LABEL, VERSION
from firmware_protocol.patterns import FULL_SCALE
from firmware_protocol.spec_text import FAULT_TEXT, FLAG_TEXT, STATE_TEXT, STATUS_TEXT, TYPE_TEXT, kind_name

__all__ = ["FILES", "with_parts", "written"]

FOLDER = Path(__file__).with_name("c")
FILES = ("bfp.h", "bfp.c", "bfp_check.c")

_MARKED = re.compile(
    r"^(?P<mark>(?P<indent>[ *]*)(/\* )?made: (?P<name>\w+)( \*/)?\n).*?(?P<end>^[ *]*(/\* )?end( \*/)?$)",
    re.DOTALL | re.MULTILINE,
)
_PLAIN = str.maketrans({"µ": "u", "–": "-", "−": "-", "×": "x", "…": "...", "°": "deg ", "²": "2"})
_KINDS = {"B": "uint8_t", "H": "uint16_t", "I": "uint32_t", "Q": "uint64_t", "h": "int16_t", "i": "int32_t"}
_BITS = {"H": 16, "I": 32, "Q": 64, "h": 16, "i": 32}

#: Types that a board sends or hears: HOST is for recordings, its packets have no struct.
_BOARD = [packet for packet in PACKETS.values() if packet.type != codes.Type.HOST]


def written(name: str) -> str:
    """The C file `name` as it is handed out."""
    return with_parts((FOLDER / name).read_text(encoding="utf-8"))


def with_parts(text: str) -> str:
    """The text of a C file with every marked part made anew."""

    def made(match: re.Match[str]) -> str:
        lines = (
            f"{match['indent']}{line}".rstrip() + "\n"
            for part in PARTS[match["name"]]()
            for line in part.split("\n")
        )
        return match["mark"] + "".join(lines) + match["end"]

    return _MARKED.sub(made, text)


# ---- numbers -------------------------------------------------------------------------------------------------


def _define(name: str, value: str, text: str = "") -> str:
    return _remarked(f"#define BFP_{name:<34} {value}", text, 60)


def _remarked(code: str, text: str, column: int) -> str:
    """A line of code and what it means, above it where both do not fit."""
    if not text:
        return code
    remark = f"/* {text.translate(_PLAIN)} */"
    line = f"{code:<{column}} {remark}"
    indent = code[: len(code) - len(code.lstrip())]
    return line if len(line) <= 118 else f"{indent}{remark}\n{code}"


def _codes() -> Iterable[str]:
    yield _define("VERSION", f"{VERSION}u")
    yield _define("CRC_SIZE", f"{CRC_SIZE}u")
    yield _define("CRC_RESIDUE", f"0x{crc.RESIDUE:08X}u", "register behind a packet with its CRC")
    groups: tuple[tuple[str, str, type[IntEnum | IntFlag], dict[int, str]], ...] = (
        ("TYPE", "Types [3.1]", codes.Type, {int(k): v for k, v in TYPE_TEXT.items()}),
        ("FLAG", "Flags [3.3]", codes.Flag, {int(k): v for k, v in FLAG_TEXT.items()}),
        ("OP", "Opcodes [5.3]", codes.Opcode, {int(k): c.text for k, c in COMMANDS.items()}),
        ("STATUS", "Statuses [5.4]", codes.Status, {int(k): v for k, v in STATUS_TEXT.items()}),
        ("STATE", "States [6.1]", codes.DeviceState, {int(k): v for k, v in STATE_TEXT.items()}),
        ("SOURCE", "Sources of an EVENT [4.2]", codes.EventSource, {}),
        ("EVENT_CODE", "Codes of an EVENT of source DEVICE [4.2]", codes.EventCode, {}),
        ("LEVEL", "Levels of a LOG [4.6]", codes.LogLevel, {}),
        ("LEAD_OFF", "Lead-off excitation [5.3]", codes.LeadOff, {}),
        ("TEST_SIGNAL", "Internal test signals [5.3]", codes.TestSignal, {}),
        ("PATTERN", "Test patterns [6.6]", codes.Pattern, {}),
    )
    for prefix, title, numbers, texts in groups:
        yield ""
        yield f"/* {title}. */"
        for code in numbers:
            shown = f"0x{int(code):02X}u" if prefix in ("FLAG", "OP") else f"{int(code)}u"
            yield _define(f"{prefix}_{code.name}", shown, texts.get(int(code), ""))
    yield ""
    yield "/* Faults, in the order of the decoder's tests [7.3]. */"
    yield _define("FAULT_NONE", "0u", "a frame")
    for number, (kind, text) in enumerate(FAULT_TEXT.items(), 1):
        yield _define(f"FAULT_{kind.name}", f"{number}u", text)
    yield ""
    yield "/* Arguments and results of commands: offsets in the payload, and bytes of all [5.3]. */"
    for opcode, command in COMMANDS.items():
        for what, fields in (("ARG", command.arguments), ("RESULT", command.results)):
            for f in fields:
                text = f"{kind_name(f.code)} {f.unit} {f.text}".replace("  ", " ").strip()
                yield _define(f"{opcode.name}_{what}_{f.name.upper()}", f"{f.offset}u", text)
            if fields:
                yield _define(f"{opcode.name}_{what}S_SIZE", f"{sum(f.size for f in fields)}u")


def _limits() -> Iterable[str]:
    for name, (value, unit, text) in LIMITS.items():
        yield _define(name, f"{value}u", f"{unit}: {text}" if unit else text)


# ---- packets -------------------------------------------------------------------------------------------------


def _named(packet: PacketLayout) -> list[Field]:
    """Fields of the struct: all but the head and what is reserved."""
    return [f for f in packet.fields[1:] if not _is_reserved(f)]


def _is_reserved(f: Field) -> bool:
    return f.code.endswith("x")


def _packets() -> Iterable[str]:
    for packet in PACKETS.values():
        name = packet.type.name
        yield ""
        yield f"/* {name} [{packet.section}]: {TYPE_TEXT[packet.type]}. */".translate(_PLAIN)
        yield _define(f"{name}_SIZE", f"{packet.size}u", "fixed part, without the CRC")
        for f in packet.fields[3:]:
            if not _is_reserved(f):
                yield _define(f"{name}_AT_{f.name.upper()}", f"{f.offset}u")
                if f.code.endswith("s"):
                    yield _define(f"{name}_{f.name.upper()}_BYTES", f"{f.size}u")
        if packet.type == codes.Type.INFO:
            yield _define("CHANNEL_SIZE", f"{CHANNEL.size}u", "label and uV per count of one channel")
            yield _define("CHANNEL_LABEL_BYTES", f"{MAX_LABEL + 1}u", "the last of them 0")
        if packet not in _BOARD:
            continue
        yield "typedef struct {"
        for f in _named(packet):
            text = f"{f.unit}: {f.text}" if f.unit and f.text else f.unit or f.text
            yield _remarked(f"    {_declared(f)};", text, 32)
        if packet.tail:
            yield _remarked("    const uint8_t *payload;", packet.tail, 32)
        yield f"}} bfp_{name.lower()};"
        yield f"size_t bfp_write_{name.lower()}(const bfp_{name.lower()} *frame, uint8_t *wire, size_t room);"
        yield f"void bfp_read_{name.lower()}(const bfp_found *found, bfp_{name.lower()} *frame);"


def _declared(f: Field) -> str:
    return f"uint8_t {f.name}[{f.size}]" if f.code.endswith("s") else f"{_KINDS[f.code]} {f.name}"


def _writers() -> Iterable[str]:
    for packet in _BOARD:
        name = packet.type.name
        yield ""
        yield f"size_t bfp_write_{name.lower()}(const bfp_{name.lower()} *frame, uint8_t *wire, size_t room)"
        yield "{"
        yield f"    uint8_t head[BFP_{name}_SIZE];"
        yield ""
        yield f"    head[0] = BFP_VERSION << 4 | BFP_TYPE_{name};"
        for f in packet.fields[1:]:
            if _is_reserved(f):
                yield from (f"    head[{at}] = 0;" for at in range(f.offset, f.offset + f.size))
            else:
                yield f"    {_put(f, _at(packet, f))}"
        payload = "frame->payload" if packet.tail else "NULL"
        yield f"    return write_stated(head, sizeof head, {payload}, wire, room);"
        yield "}"


def _readers() -> Iterable[str]:
    for packet in _BOARD:
        name = packet.type.name
        yield ""
        yield f"void bfp_read_{name.lower()}(const bfp_found *found, bfp_{name.lower()} *frame)"
        yield "{"
        yield "    const uint8_t *packet = found->packet;"
        yield ""
        for f in _named(packet):
            yield f"    {_get(f, _at(packet, f))}"
        if packet.tail:
            yield f"    frame->payload = packet + BFP_{name}_SIZE;"
        yield "}"


def _at(packet: PacketLayout, f: Field) -> str:
    return f"BFP_{packet.type.name}_AT_{f.name.upper()}" if f.offset >= 4 else str(f.offset)


def _put(f: Field, at: str) -> str:
    if f.code.endswith("s"):
        return f"copy(head + {at}, frame->{f.name}, sizeof frame->{f.name});"
    if f.code == "B":
        return f"head[{at}] = frame->{f.name};"
    cast = f"(uint{_BITS[f.code]}_t)" if f.code.islower() else ""
    return f"bfp_put_u{_BITS[f.code]}(head + {at}, {cast}frame->{f.name});"


def _get(f: Field, at: str) -> str:
    if f.code.endswith("s"):
        return f"copy(frame->{f.name}, packet + {at}, sizeof frame->{f.name});"
    if f.name == "format":  # reserved bits are ignored by receivers (SPEC 3.4)
        return f"frame->{f.name} = packet[{at}] & BFP_FORMAT_BITS;"
    if f.code == "B":
        return f"frame->{f.name} = packet[{at}];"
    cast = f"(int{_BITS[f.code]}_t)" if f.code.islower() else ""
    return f"frame->{f.name} = {cast}bfp_get_u{_BITS[f.code]}(packet + {at});"


# ---- tables --------------------------------------------------------------------------------------------------


def _rows(values: Iterable[str], each: int) -> Iterable[str]:
    listed = list(values)
    for k in range(0, len(listed), each):
        yield ", ".join(listed[k : k + each]) + ","


def _scales() -> Iterable[str]:
    """µV of one count: reference / gain / (2^23 - 1), as `DeviceConfig` has it."""
    vref_uv = DeviceConfig(labels=("C3",), has_status=False).vref_uv
    for gain in GAINS:
        scale = vref_uv / gain / (FULL_SCALE - 1)
        yield (
            "{"
            + ", ".join(f"0x{byte:02X}" for byte in pack("<d", scale))
            + f"}}, /* gain {gain}: {scale:.6g} */"
        )


def _lengths() -> Iterable[str]:
    for type_ in range(16):
        shortest = _fields._SHORTEST.get(type_, 0)
        c = _fields._COUNTED.get(type_)
        rule = (c.at, c.size, c.each, c.minimum, c.maximum) if c else (0,) * 5
        if shortest:
            name = codes.Type(type_).name
            yield f"[BFP_TYPE_{name}] = {{{', '.join(map(str, (shortest, *rule)))}}},"


def _commands() -> Iterable[str]:
    for opcode, command in COMMANDS.items():
        rules = [
            name
            for name, holds in (
                ("WHILE_STREAMING", command.while_streaming),
                ("MORE_FOLLOWS", bool(command.more_arguments)),
                ("MAY_BE_LEFT_OUT", command.optional),
            )
            if holds
        ]
        yield f"{{BFP_OP_{opcode.name}, {command.struct.size}, {' | '.join(rules) or '0'}}},"


# ---- sizes, as measured --------------------------------------------------------------------------------------

#: What a board takes: writers of all that it sends, decoder and checks of COMMANDs, counters of nothing else.
BOARD_SENDS = ("data", "event", "info", "response", "heartbeat", "log")
BOARD_HEARS = ("bfp_decoder_init", "bfp_receive", "bfp_next", "bfp_read_command", "bfp_check_command")
SIZE_OPTIONS = ("-std=c99", "-Os", "-mthumb", "-ffunction-sections", "-fdata-sections", "-DBFP_BOARD")
COMPILER = "arm-none-eabi-gcc 12.2.1"
#: Processor -> flash with the CRC table of 256 and of 16 entries. A test measures again where that compiler is.
FLASH: dict[str, tuple[int, int]] = {"cortex-m0plus": (3308, 2352), "cortex-m4": (3252, 2344)}
RAM_BOARD, RAM_WHOLE = 148, 676  # bytes of a bfp_decoder where pointers have 4 bytes


def _sizes() -> Iterable[str]:
    yield f"Flash of a board's share, all packets sent and COMMANDs heard, in bytes ({COMPILER} -Os -DBFP_BOARD,"
    yield "what is not called left out by the linker):"
    yield ""
    yield "                    256 entries    16 entries"
    for processor, (large, small) in FLASH.items():
        yield f"  {processor:<18}{large:>8}{small:>14}"
    yield ""
    yield f"RAM: a decoder takes {RAM_BOARD} bytes ({RAM_WHOLE} without -DBFP_BOARD), an encoder none; stack up to 200."


# ---- the driver for golden vectors ---------------------------------------------------------------------------


def _shown() -> Iterable[str]:
    """Print the fields of a frame, in the form of docs/vectors.md."""
    for packet in _BOARD:
        name = packet.type.name.lower()
        yield f"case BFP_TYPE_{packet.type.name}: {{"
        yield f"    bfp_{name} f;"
        yield f"    bfp_read_{name}(found, &f);"
        for f in _named(packet):
            if f.code.endswith("s"):
                yield f'    say_hex("{f.name}", f.{f.name}, sizeof f.{f.name});'
            else:
                sign = "signed" if f.code.islower() else "unsigned"
                yield f'    say_{sign}("{f.name}", f.{f.name});'
        if packet.tail:
            yield '    say_hex("payload", f.payload, bfp_payload_size(found));'
        yield "    break;"
        yield "}"


def _taken() -> Iterable[str]:
    """Fill a frame from such a line and write it."""
    for packet in _BOARD:
        name = packet.type.name.lower()
        yield f'if (is_type("{packet.type.name}")) {{'
        yield f"    bfp_{name} f;"
        for f in _named(packet):
            if f.code.endswith("s"):
                yield f'    hear_hex("{f.name}", f.{f.name}, sizeof f.{f.name});'
            else:
                sign = "signed" if f.code.islower() else "unsigned"
                yield f'    f.{f.name} = ({_KINDS[f.code]})hear_{sign}("{f.name}");'
        if packet.tail:
            yield "    f.payload = payload;"
        yield f"    return bfp_write_{name}(&f, wire, room);"
        yield "}"


PARTS: dict[str, Callable[[], Iterable[str]]] = {
    "codes": _codes,
    "commands": _commands,
    "crc16": lambda: _rows((f"0x{entry:08X}u" for entry in crc._table(4, 0, 4)), 4),
    "crc256": lambda: _rows((f"0x{entry:08X}u" for entry in crc._table(8, 0, 8)), 8),
    "lengths": _lengths,
    "limits": _limits,
    "packets": _packets,
    "readers": _readers,
    "scales": _scales,
    "shown": _shown,
    "sizes": _sizes,
    "taken": _taken,
    "writers": _writers,
}


if __name__ == "__main__":
    for _name in FILES:
        _path = FOLDER / _name
        _path.write_text(written(_name), encoding="utf-8")
