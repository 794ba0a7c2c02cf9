"""What packets mean: one frozen dataclass per type, with its `pack` and `unpack` (SPEC 4, 5.1).

A packet here is without COBS; `pack` gives it without its CRC, `unpack` takes it with. `unpack` relies on the
decoder having compared the length with `stated_length`. Both raise `FrameError` on an illegal value; the
decoder turns that of `unpack` into a `Fault`. `offset` is the stream position of the first wire byte and no
part of a frame's value: two frames that say the same are equal.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TypeAlias

from firmware_protocol import limits
from firmware_protocol._fields import pack_fixed, require, utf8
from firmware_protocol._samples import Data, Info
from firmware_protocol.codes import Type
from firmware_protocol.layout import COMMAND, EVENT, HEARTBEAT, HOST, LOG, PACKETS, RESPONSE
from firmware_protocol.limits import CRC_SIZE, VERSION

__all__ = [
    "Command",
    "Data",
    "Event",
    "Fault",
    "Frame",
    "Heartbeat",
    "Host",
    "Info",
    "Log",
    "Response",
    "Unknown",
    "frame_type",
    "unpack",
]

_NOT_MEASURED = -32768  # temperature
_read_heartbeat = HEARTBEAT.struct.unpack_from


@dataclass(frozen=True, slots=True)
class Fault:
    """Damage on the wire, as a value (SPEC 7.3).

    `offset` is the stream position of its first byte, `raw` the bytes as they came (`length` of them), `kind`
    a `FaultKind`, `detail` says in words what was found.
    """

    offset: int
    length: int
    kind: str
    detail: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a conversion (SPEC 4.2)."""

    link_seq: int
    flags: int
    sample_index: int
    t_us: int
    source: int
    code: int
    value: int
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        return pack_fixed(
            EVENT, self.flags, self.link_seq, self.sample_index, self.t_us, self.source, self.code, self.value
        )

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Event:
        _, flags, link_seq, index, t_us, source, code, value = EVENT.struct.unpack_from(packet)
        return cls(link_seq, flags, index, t_us, source, code, value, offset)


@dataclass(frozen=True, slots=True)
class Response:
    """Answer to a COMMAND (SPEC 4.4). `t_us`, 64 bits: device time when the COMMAND's last byte came."""

    link_seq: int
    flags: int
    request_id: int
    opcode: int
    status: int
    t_us: int
    payload: bytes = b""
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        n = len(self.payload)
        require(n <= limits.MAX_RESPONSE_PAYLOAD, "payload", f"{n} bytes", "at most 40 bytes")
        return pack_fixed(
            RESPONSE, self.flags, self.link_seq, self.request_id, self.opcode, self.status, self.t_us, n
        ) + bytes(self.payload)

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Response:
        _, flags, link_seq, request_id, opcode, status, t_us, _ = RESPONSE.struct.unpack_from(packet)
        payload = packet[RESPONSE.size : -CRC_SIZE]
        return cls(link_seq, flags, request_id, opcode, status, t_us, payload, offset)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The device's counters, taken together between two packets (SPEC 4.5).

    Every conversion below `sample_index` was sent before this packet or is counted in `dropped`.
    """

    link_seq: int
    flags: int
    boot_id: int
    t_us: int
    sample_index: int
    dropped: int
    rx_errors: int
    supply_mv: int = 0
    temperature_c: float | None = None
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        temperature = _NOT_MEASURED if self.temperature_c is None else round(self.temperature_c * 10)
        return pack_fixed(
            HEARTBEAT,
            self.flags,
            self.link_seq,
            self.boot_id,
            self.t_us,
            self.sample_index,
            self.dropped,
            self.rx_errors,
            self.supply_mv,
            temperature,
        )

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Heartbeat:
        _, flags, link_seq, boot_id, t_us, index, dropped, rx_errors, supply, raw = _read_heartbeat(packet)
        temperature_c = None if raw == _NOT_MEASURED else raw / 10
        return cls(link_seq, flags, boot_id, t_us, index, dropped, rx_errors, supply, temperature_c, offset)

    def counters(self) -> bytes:
        """Results of STOP and RESET_COUNTERS: this packet from byte 4 on (SPEC 5.3)."""
        return self.pack()[4:]

    @classmethod
    def from_counters(cls, response: Response) -> Heartbeat:
        """The counters in a RESPONSE to STOP or RESET_COUNTERS. Raises FrameError if it holds none."""
        expected = HEARTBEAT.size - 4
        n = len(response.payload)
        require(n == expected, "payload", f"{n} bytes", f"{expected} bytes of counters")
        head = struct.pack("<BBH", VERSION << 4 | Type.HEARTBEAT, response.flags, response.link_seq)
        return cls.unpack(head + response.payload, response.offset)


@dataclass(frozen=True, slots=True)
class Log:
    """Text for people (SPEC 4.6)."""

    link_seq: int
    flags: int
    t_us: int
    level: int
    text: str
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        text = self.text.encode()
        require(len(text) <= limits.MAX_LOG_TEXT, "text", f"{len(text)} bytes", "at most 639 bytes")
        return pack_fixed(LOG, self.flags, self.link_seq, self.t_us, self.level, len(text)) + text

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Log:
        _, flags, link_seq, t_us, level, _ = LOG.struct.unpack_from(packet)
        return cls(link_seq, flags, t_us, level, utf8(packet[LOG.size : -CRC_SIZE], "text"), offset)


@dataclass(frozen=True, slots=True)
class Command:
    """A request of the host (SPEC 5.1). `link_seq` counts the host's packets."""

    link_seq: int
    flags: int
    request_id: int
    opcode: int
    payload: bytes = b""
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        n = len(self.payload)
        require(n <= limits.MAX_COMMAND_PAYLOAD, "payload", f"{n} bytes", "at most 116 bytes")
        return pack_fixed(COMMAND, self.flags, self.link_seq, self.request_id, self.opcode, n) + bytes(
            self.payload
        )

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Command:
        _, flags, link_seq, request_id, opcode, _ = COMMAND.struct.unpack_from(packet)
        return cls(link_seq, flags, request_id, opcode, packet[COMMAND.size : -CRC_SIZE], offset)


@dataclass(frozen=True, slots=True)
class Host:
    """A note of the recording program between wire packets (SPEC 9). `host.py` knows the payloads."""

    kind: int
    nonce: int
    payload: bytes = b""
    link_seq: int = 0
    flags: int = 0
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        n = len(self.payload)
        require(n <= limits.MAX_HOST_PAYLOAD, "payload", f"{n} bytes", "at most 635 bytes")
        return pack_fixed(HOST, self.flags, self.link_seq, self.nonce, self.kind, n) + bytes(self.payload)

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Host:
        _, flags, link_seq, nonce, kind, _ = HOST.struct.unpack_from(packet)
        return cls(kind, nonce, packet[HOST.size : -CRC_SIZE], link_seq, flags, offset)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A whole packet of a type this version does not know: to be skipped and counted (SPEC 3.4)."""

    link_seq: int
    flags: int
    type: int
    body: bytes
    offset: int = field(default=-1, compare=False)

    def pack(self) -> bytes:
        known = self.type in PACKETS or not 0 <= self.type <= 15
        require(not known, "type", self.type, "a type of four bits that version 1 does not know")
        n = len(self.body)
        require(n <= limits.MAX_PACKET - limits.MIN_PACKET, "body", f"{n} bytes", "at most 647 bytes")
        return struct.pack("<BBH", VERSION << 4 | self.type, self.flags, self.link_seq) + self.body

    @classmethod
    def unpack(cls, packet: bytes, offset: int = -1) -> Unknown:
        head, flags, link_seq = struct.unpack_from("<BBH", packet)
        return cls(link_seq, flags, head & 15, packet[4:-CRC_SIZE], offset)


Frame: TypeAlias = Data | Event | Info | Response | Heartbeat | Log | Command | Host | Unknown

_CLASSES: dict[int, type[Frame]] = {
    Type.DATA: Data,
    Type.EVENT: Event,
    Type.INFO: Info,
    Type.RESPONSE: Response,
    Type.HEARTBEAT: Heartbeat,
    Type.LOG: Log,
    Type.COMMAND: Command,
    Type.HOST: Host,
}


def frame_type(frame: Frame) -> int:
    """Number of a frame's type (SPEC 3.1)."""
    return frame.type if isinstance(frame, Unknown) else Type[type(frame).__name__.upper()]


def unpack(packet: bytes, offset: int = -1) -> Frame:
    """The frame of a version-1 packet whose CRC and length are right. FrameError on an illegal value."""
    return _CLASSES.get(packet[0] & 15, Unknown).unpack(packet, offset)
