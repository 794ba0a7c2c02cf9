"""FP1xx: from bytes to packets (SPEC 2, 3, 7). Most of them give a fault of the decoder its name and place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firmware_protocol._fields import stated_length
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codes import FaultKind, Type
from firmware_protocol.crc import crc32c
from firmware_protocol.frames import (
    Command,
    Event,
    Fault,
    Frame,
    Heartbeat,
    Info,
    Log,
    Response,
    Unknown,
    frame_type,
)
from firmware_protocol.layout import PACKETS
from firmware_protocol.limits import CRC_SIZE, MAX_CODED, VERSION
from firmware_protocol.validator.findings import Hit, Level, rule
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import WireTail, coded_position

_TYPES = frozenset(Type)
_MUST, _SHOULD, _INFO = Level.MUST, Level.SHOULD, Level.INFO


@dataclass(frozen=True, slots=True)
class Joined:
    """The capture began in the middle of a packet; `fault` is what is left of it."""

    fault: Fault


def _whole(fault: Fault) -> tuple[int, int]:
    return fault.offset, fault.offset + max(fault.length, 1)


def _at(fault: Fault, first: int, stop: int) -> tuple[int, int]:
    """Wire positions of bytes [first, stop) of the packet that a fault's bytes decode to."""
    return (
        fault.offset + coded_position(fault.raw, first),
        fault.offset + coded_position(fault.raw, stop - 1) + 1,
    )


def type_name(number: int) -> str:
    """DATA, EVENT, … or `type 9`."""
    return Type(number).name if number in _TYPES else f"type {number}"


@rule(
    "FP101",
    "undelimited",
    _MUST,
    "2.1",
    on=Fault,
    hint="End every packet with one byte 0x00. If there are delimiters on your side, look at what else is sent here.",
)
def undelimited(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A packet has at most 658 coded bytes, so a delimiter (0x00) comes at the latest as the 659th byte.

    The receiver gives up after 658 bytes without one and discards everything up to the next delimiter.
    """
    if fault.kind == FaultKind.UNDELIMITED:
        yield Hit(_whole(fault), "no delimiter", "no 0x00", f"0x00 within {MAX_CODED + 1} bytes")


@rule(
    "FP102",
    "cobs",
    _MUST,
    "2.2",
    on=Fault,
    hint="A code byte n is followed by n - 1 bytes other than 0. One wrong frame: a byte was lost or flipped on the "
    "line. All of them: look at the COBS encoder.",
)
def cobs(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """Consistent overhead byte stuffing: each code byte points at the next one, the last at the delimiter.

    Here a code byte points beyond the delimiter, so at least one byte between it and the packet's start is wrong,
    missing or too many.
    """
    if fault.kind == FaultKind.COBS:
        at = 0
        while at + fault.raw[at] < fault.length:
            at += fault.raw[at]
        over = at + fault.raw[at] - fault.length
        yield Hit(
            (fault.offset + at, fault.offset + at + 1),
            f"code byte 0x{fault.raw[at]:02X} points {over} bytes past the delimiter",
            f"0x{fault.raw[at]:02X}",
            f"at most 0x{fault.length - at:02X}",
            key=_seen_type(fault),
        )


@rule(
    "FP103",
    "short",
    _MUST,
    "3.1",
    on=Fault,
    hint="No packet is shorter than 8 bytes. Send nothing between delimiters but whole packets.",
)
def short(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The shortest packet is the common header (4 bytes) and the CRC (4 bytes)."""
    if fault.kind == FaultKind.SHORT:
        length = len(cobs_decode(fault.raw) or b"")
        yield Hit(_whole(fault), "too short for a packet", f"{length} bytes", "at least 8 bytes")


@rule(
    "FP104",
    "crc-mismatch",
    _MUST,
    "3.2",
    on=Fault,
    hint="Single frames: damage on the line. All frames: compare the firmware's CRC with the check value, "
    "CRC-32C of the nine digits 123456789 is 0xE3069283.",
)
def crc_mismatch(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The last four bytes are CRC-32C (Castagnoli) of all bytes before them, least significant byte first.

    Polynomial 0x1EDC6F41, initial value 0xFFFFFFFF, input and output reflected, final XOR 0xFFFFFFFF. It is
    computed before COBS, over the whole packet from byte 0 to the last byte before the CRC.
    """
    if fault.kind == FaultKind.CRC:
        packet = cobs_decode(fault.raw) or b""
        body, tail = packet[:-CRC_SIZE], packet[-CRC_SIZE:]
        yield Hit(
            _at(fault, len(body), len(packet)),
            f"CRC of {_article(_seen_type(fault))} packet of {len(packet)} bytes is wrong",
            f"0x{int.from_bytes(tail, 'little'):08X}",
            f"0x{crc32c(body):08X}",
            key=_seen_type(fault),
        )


@rule(
    "FP105",
    "unsupported",
    _MUST,
    "3.4",
    on=Fault,
    hint="Byte 0 is version << 4 | type with version 1; b7 of the flags is for features that this version has not.",
)
def unsupported(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A receiver of version 1 must not guess at another version, nor at a packet that says it must be understood."""
    if fault.kind == FaultKind.UNSUPPORTED:
        packet = cobs_decode(fault.raw) or b""
        if packet[0] >> 4 != VERSION:
            yield Hit(
                _at(fault, 0, 1), "another protocol version", f"0x{packet[0]:02X}", "0x1n", key="version"
            )
        else:
            flags = f"0x{packet[1]:02X}"
            yield Hit(_at(fault, 1, 2), "must-understand flag (b7) is set", flags, "b7 clear", key="flag")


@rule(
    "FP106",
    "host-on-wire",
    _MUST,
    "9.1",
    on=Fault,
    hint="Type 15 belongs to recording programs. Use another type, and do not echo recordings onto the line.",
)
def host_on_wire(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """HOST packets (type 15) exist in recordings only, with the recording's own nonce in bytes 4–11.

    One on the wire would be taken for a note of the recording program by a reader that did not check the nonce.
    """
    if fault.kind == FaultKind.HOST_ON_WIRE:
        packet = cobs_decode(fault.raw) or b""
        yield Hit(_at(fault, 0, 1), "packet of type 15 on the wire", f"0x{packet[0]:02X}", "a device's type")


@rule(
    "FP107",
    "field",
    _MUST,
    "4",
    on=Fault,
    hint="The CRC is right, so the device meant this value: look at the code that fills this field.",
)
def field_value(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A field holds a value that its table in SPEC.md does not allow, in a packet whose CRC is right."""
    if fault.kind == FaultKind.FIELD:
        name = fault.detail.split(" ", 1)[0].rstrip(",")
        got, _, allowed = fault.detail.partition(", allowed: ")
        layout = PACKETS[Type((cobs_decode(fault.raw) or b"")[0] & 15)]
        found = next((f for f in layout.fields if f.name == name), None)
        span = _whole(fault) if found is None else _at(fault, found.offset, found.offset + found.size)
        yield Hit(span, f"{layout.type.name}: {got}", "", allowed, key=f"{layout.type.name}.{name}")


@rule(
    "FP108",
    "length",
    _MUST,
    "7.2",
    on=Fault,
    hint="The header must state what follows it. Of DATA: n_channels, n_samples and the format byte give the length.",
)
def length(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The length that a packet's header implies must be the length it has, in a packet whose CRC is right."""
    if fault.kind == FaultKind.LENGTH:
        packet = cobs_decode(fault.raw) or b""
        stated = stated_length(packet)
        span = _at(fault, 12, 15) if packet[0] & 15 == Type.DATA else _whole(fault)
        name = type_name(packet[0] & 15)
        text = f"{name}: the header states another length"
        yield Hit(span, text, f"{len(packet)} bytes", f"{stated} bytes", key=name)


@rule(
    "FP109",
    "no-delimiter",
    _MUST,
    "2.1",
    on=Fault,
    hint="Send 0x00 after every packet, also after the last one before a pause.",
)
def missing_delimiter(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A whole packet with a right CRC is followed by something else than its delimiter.

    The packet is not lost, since its header states its length; but a receiver that joins here loses the next one.
    """
    after = wire.part(fault.offset, fault.offset + 1)
    if fault.kind == FaultKind.MISSING_DELIMITER and after:  # else the capture was stopped before it came
        kind = type_name(frame_type(s.previous)) if s.previous is not None else ""
        got = f"0x{after[0]:02X}"
        yield Hit(_whole(fault), f"no delimiter after {_article(kind)} packet", got, "0x00", key=kind)


@rule(
    "FP110",
    "truncated",
    _INFO,
    "2.1",
    on=Fault,
    hint="Nothing to change: the capture was stopped in the middle of a packet.",
)
def truncated(fault: Fault, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The capture ends inside a packet."""
    if fault.kind == FaultKind.TRUNCATED:
        yield Hit(_whole(fault), f"the capture ends {fault.length} bytes into a packet")


@rule(
    "FP113",
    "joined-midway",
    _INFO,
    "2.1",
    on=Joined,
    hint="Nothing to change: the capture was begun in the middle of a packet.",
)
def joined_midway(joined: Joined, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The capture begins inside a packet, which therefore cannot be read."""
    fault = joined.fault
    yield Hit(_whole(fault), f"the capture begins inside a packet, {fault.length} bytes before its end")


@rule(
    "FP111",
    "unknown-type",
    _INFO,
    "3.4",
    on=Unknown,
    hint="Receivers of version 1 skip it. If it was meant to be DATA or another known type, byte 0 is wrong.",
)
def unknown_type(frame: Unknown, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A whole packet of a type that version 1 does not know: allowed, skipped and counted."""
    head = VERSION << 4 | frame.type
    span = wire.span(frame.offset, 0, 1)
    yield Hit(span, f"packet of unknown type {frame.type}", f"0x{head:02X}", "", key=str(frame.type))


@rule(
    "FP112",
    "reserved",
    _SHOULD,
    "3.4",
    on=(Event, Info, Response, Heartbeat, Log, Command),
    hint="Send reserved bits and bytes as 0: a later version will give them a meaning.",
)
def reserved(frame: Frame, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """Flags b0–b6 speak of samples and are 0 in packets other than DATA; reserved bytes are sent 0."""
    if frame.flags:
        span = wire.span(frame.offset, 1, 2)
        name = type_name(frame_type(frame))
        yield Hit(
            span, f"flags of {_article(name)} packet", f"0x{frame.flags:02X}", "0x00", key=f"{name}.flags"
        )
    packet = cobs_decode(wire.stretch(frame.offset)) or b""
    layout = PACKETS[Type(frame_type(frame))]
    for field in layout.fields:
        if field.name == "reserved" and (sent := packet[field.offset : field.offset + field.size]).strip(
            b"\x00"
        ):
            span = wire.span(frame.offset, field.offset, field.offset + field.size)
            text = f"reserved bytes of {_article(layout.type.name)} packet"
            yield Hit(span, text, sent.hex(" "), "00", key=f"{layout.type.name}.reserved")


def _article(name: str) -> str:
    if not name:
        return "a"
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


def _seen_type(fault: Fault) -> str:
    """The type that damaged bytes claim to be; empty if they claim none."""
    head = fault.raw[1] if len(fault.raw) > 1 else 0
    return type_name(head & 15) if head >> 4 == VERSION and head & 15 in _TYPES else ""
