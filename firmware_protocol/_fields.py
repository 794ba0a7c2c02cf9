"""What a packet's header states: length, sample format, fixed-size texts. Shared by all frames."""

from __future__ import annotations

import struct
from typing import NamedTuple

from firmware_protocol import limits
from firmware_protocol.cobs import coded_size
from firmware_protocol.codes import Type
from firmware_protocol.errors import FrameError
from firmware_protocol.layout import CHANNEL, DATA, EVENT, HEARTBEAT, PACKETS, PacketLayout
from firmware_protocol.limits import CRC_SIZE, VERSION

INT24, FLOAT32 = 0, 1
SAMPLE_SIZE = (3, 4)  # bytes, by sample type
STATUS_SIZE = 3
_PER_CONVERTER = (8, 6, 4)  # by b4–5 of the format byte


class Format(NamedTuple):
    """What the format byte of DATA and INFO says. Reserved bits are ignored by receivers (SPEC 3.4)."""

    sample_type: int
    has_status: bool
    channels_per_converter: int

    def frame_size(self, n_channels: int) -> int:
        """Bytes of one conversion."""
        size = n_channels * SAMPLE_SIZE[self.sample_type]
        return size + n_channels // self.channels_per_converter * STATUS_SIZE if self.has_status else size

    def byte(self) -> int:
        code = _PER_CONVERTER.index(self.channels_per_converter)
        return code << 4 | self.has_status << 2 | self.sample_type


def _format(byte: int) -> Format | None:
    sample_type, code = byte & 3, byte >> 4 & 3
    if sample_type > FLOAT32 or code >= len(_PER_CONVERTER):
        return None
    return Format(sample_type, byte & 4 != 0, _PER_CONVERTER[code])


#: By format byte; None where it is illegal.
FORMATS = [_format(byte) for byte in range(256)]


class _Counted(NamedTuple):
    """A packet whose length follows from one number in its header."""

    at: int
    size: int  # bytes of that number
    each: int  # bytes a unit of it stands for
    minimum: int
    maximum: int
    name: str


def _counted(type_: Type, name: str, each: int, minimum: int, maximum: int) -> _Counted:
    found = next(f for f in PACKETS[type_].fields if f.name == name)
    return _Counted(found.offset, found.size, each, minimum, maximum, name)


_COUNTED: dict[int, _Counted] = {
    Type.INFO: _counted(Type.INFO, "page_channels", CHANNEL.size, 1, limits.MAX_PAGE_CHANNELS),
    Type.RESPONSE: _counted(Type.RESPONSE, "length", 1, 0, limits.MAX_RESPONSE_PAYLOAD),
    Type.LOG: _counted(Type.LOG, "length", 1, 0, limits.MAX_LOG_TEXT),
    Type.COMMAND: _counted(Type.COMMAND, "length", 1, 0, limits.MAX_COMMAND_PAYLOAD),
    Type.HOST: _counted(Type.HOST, "length", 1, 0, limits.MAX_HOST_PAYLOAD),
}
_FIXED: dict[int, int] = {p.type: p.size + CRC_SIZE for p in (EVENT, HEARTBEAT)}
_SHORTEST: dict[int, int] = {p.type: p.size + CRC_SIZE for p in PACKETS.values()}


def stated_length(packet: bytes) -> int:
    """Length in bytes, CRC included, that a packet's header states (SPEC 7.2).

    0 where it states none: unknown type or version, a number out of its range. A packet too short for its
    type's fixed part states the length of that part, which it does not have.
    """
    type_ = packet[0] & 15
    shortest = _SHORTEST.get(type_, 0)
    if packet[0] >> 4 != VERSION or not shortest:
        return 0
    if len(packet) < shortest:
        return shortest
    if type_ == Type.DATA:
        n_channels, n_samples, form = packet[12], packet[13], FORMATS[packet[14]]
        if form is None or not (1 <= n_channels <= 64 and 1 <= n_samples <= 32):
            return 0
        if form.has_status and n_channels % form.channels_per_converter:
            return 0
        length = DATA.size + CRC_SIZE + n_samples * form.frame_size(n_channels)
        return length if length <= limits.MAX_PACKET else 0
    counted = _COUNTED.get(type_)
    if counted is None:
        return _FIXED[type_]
    n = int.from_bytes(packet[counted.at : counted.at + counted.size], "little")
    if not counted.minimum <= n <= counted.maximum:
        return 0
    return shortest + n * counted.each


def check_header(packet: bytes) -> None:
    """Raise FrameError with the reason for which `stated_length` of a known type is 0."""
    type_ = packet[0] & 15
    if type_ == Type.DATA:
        byte = packet[14]
        form = FORMATS[byte]
        if form is None:
            raise FrameError(f"format byte 0x{byte:02X} is not defined", field="format")
        check_samples(packet[12], packet[13], form)
    else:
        counted = _COUNTED[type_]
        n = int.from_bytes(packet[counted.at : counted.at + counted.size], "little")
        low, high = counted.minimum, counted.maximum
        require(low <= n <= high, counted.name, n, f"{low}–{high}")


def check_samples(n_channels: int, n_samples: int, form: Format) -> None:
    """Raise FrameError unless a DATA packet may hold this (SPEC 4.1)."""
    require(1 <= n_channels <= limits.MAX_CHANNELS, "n_channels", n_channels, "1–64")
    require(1 <= n_samples <= limits.MAX_SAMPLES, "n_samples", n_samples, "1–32")
    require(form.sample_type in (INT24, FLOAT32), "sample_type", form.sample_type, "0 or 1")
    c = form.channels_per_converter
    require(c in _PER_CONVERTER, "channels_per_converter", c, "8, 6 or 4")
    whole = not form.has_status or n_channels % c == 0
    require(whole, "n_channels", n_channels, f"a multiple of {c} with status words")
    length = DATA.size + CRC_SIZE + n_samples * form.frame_size(n_channels)
    require(length <= limits.MAX_PACKET, "n_samples", f"{n_samples}, {length} bytes", "655 bytes at most")


def wire_size(length: int) -> int:
    """Wire bytes of a packet of `length` bytes without CRC: CRC, COBS at its worst, delimiter."""
    return coded_size(length + CRC_SIZE) + 1


def require(holds: bool, name: str, got: object, allowed: str) -> None:
    if not holds:
        raise FrameError(f"{name} is {got}, allowed: {allowed}", field=name)


def pack_fixed(packet: PacketLayout, *values: int | bytes) -> bytes:
    """The fixed part of a packet; `values` are its fields after byte 0, reserved ones left out."""
    try:
        return packet.struct.pack(VERSION << 4 | packet.type, *values)
    except struct.error as err:
        names = [f.name for f in packet.fields if f.code.strip("0123456789") != "x"][1:]
        given = ", ".join(f"{n}={v!r}" for n, v in zip(names, values, strict=True))
        raise FrameError(f"{packet.type.name} with {given}: {err}") from err


def text_bytes(text: str, size: int, name: str) -> bytes:
    raw = text.encode()
    fits = len(raw) <= size and b"\x00" not in raw
    require(fits, name, repr(text), f"at most {size} bytes of UTF-8, no NUL")
    return raw


def text_of(raw: bytes, name: str) -> str:
    """Text filled up with zeros."""
    text = utf8(raw.rstrip(b"\x00"), name)
    require("\x00" not in text, name, repr(text), "no NUL inside")
    return text


def utf8(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as err:
        raise FrameError(f"{name} is not UTF-8: {err}", field=name) from err
