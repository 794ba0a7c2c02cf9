"""Bytes in, events out. No port, no thread, no clock: callers own those. SPEC.md section 7 is this page in
prose.

The rules, which every other decoder reproduces event for event:

1. A *stretch* is a run of bytes other than 0. It is taken up when its delimiter (a 0) comes, or at the latest
   when MAX_CODED + 1 of its bytes are there without one. A delimiter that follows a delimiter is nothing.
2. A delimited stretch is tried whole: COBS, at least MIN_PACKET bytes, CRC. If that fails, its prefix is
   tried.
3. The prefix: decode block by block while code bytes stay inside the stretch (its first MAX_CODED bytes, if
   it is undelimited). The header decoded so far states a length (`stated_length`). If a block ends exactly
   there, not at the end of a delimited stretch, and the CRC is right, the packet is taken, a fault
   `missing-delimiter` of length 0 follows it, and what is left of the stretch goes back to rule 1. Of two
   such blocks the later counts: a code byte 1 behind a full block belongs to the packet before it.
4. Where neither works, a delimited stretch is one fault: `cobs` (a code byte points past the end), `short` or
   `crc`. An undelimited one is the fault `undelimited` of its first MAX_CODED bytes; all that follows, up to
   and including the next delimiter, is discarded and counted in `discarded`.
5. A packet with the right CRC is judged in this order: other version or b7 set: fault `unsupported`; type
   HOST without this decoder's nonce: `host-on-wire`; an illegal value in the header: `field`; another length
   than the header states, or above MAX_PACKET: `length`; an illegal value elsewhere: `field`; else it is a
   frame. An unknown type is the frame `Unknown`. Such a fault covers the packet's coded bytes; there is no
   search inside it.
6. `finish` takes what is pending as if its delimiter came, then adds `missing-delimiter` if that gave a
   packet; if not, the one fault left is `truncated`.

So any cut of the stream gives the same events, and memory is bounded by MAX_CODED bytes besides what is
returned.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_protocol._fields import check_header, stated_length
from firmware_protocol.cobs import cobs_decode, cobs_encode, cobs_prefix
from firmware_protocol.codes import FaultKind, Flag, Type
from firmware_protocol.crc import crc32c
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command, Fault, Frame, unpack
from firmware_protocol.layout import PACKETS
from firmware_protocol.limits import CRC_SIZE, MAX_CODED, MAX_PACKET, MIN_PACKET, VERSION

__all__ = ["Decoder", "encode", "encode_command", "fault", "seal"]

_MUST_UNDERSTAND = int(Flag.MUST_UNDERSTAND)  # operators of IntFlag cost 1 µs, a tenth of a whole packet


def seal(body: bytes) -> bytes:
    """Wire form of a packet without its CRC: CRC-32C appended, COBS, delimiter. For `body` of any content."""
    return cobs_encode(body + crc32c(body).to_bytes(CRC_SIZE, "little")) + b"\x00"


def encode(frame: Frame) -> bytes:
    """Wire form of a frame: COBS and the delimiter.

    Raises
    ------
    FrameError
        If a value does not fit its field: an illegal frame is our mistake, not the wire's.
    """
    return seal(frame.pack())


def encode_command(command: Command) -> bytes:
    """Wire form of a command, with a delimiter before it that ends whatever noise the device has heard."""
    return b"\x00" + encode(command)


class Decoder:
    """Find frames in a byte stream that may be cut, damaged or joined midway.

    Damage comes out as a `Fault` among the frames, never as an exception: one loose cable must not end a
    session.

    Parameters
    ----------
    nonce : int, optional
        The nonce of a recording, whose HOST packets then are frames. On a wire there is none, and a packet of
        type 15 is a fault.
    """

    def __init__(self, *, nonce: int | None = None) -> None:
        self.discarded = 0
        self._nonce = None if nonce is None else nonce.to_bytes(8, "little")
        self._pending = b""
        self._offset = 0  # stream position of _pending[0]
        self._discarding = False

    @property
    def offset(self) -> int:
        """Bytes fed so far."""
        return self._offset + len(self._pending)

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame | Fault]:
        """Events of all packets that `data` completes; any cut of the stream gives the same list."""
        events: list[Frame | Fault] = []
        buffer = self._pending + data
        searched = len(self._pending)  # no delimiter before this
        start = 0
        while True:
            if self._discarding:
                end = buffer.find(0, start)
                self._discarding = end < 0
                after = len(buffer) if end < 0 else end + 1
                self.discarded += after - start
                start = after
            end = buffer.find(0, max(start, searched), start + MAX_CODED + 1)
            if end >= 0:
                if end > start:
                    self._delimited(buffer[start:end], self._offset + start, events)
                start = end + 1
            elif len(buffer) - start > MAX_CODED:
                start += self._undelimited(buffer[start : start + MAX_CODED], self._offset + start, events)
            else:
                break
        self._pending = buffer[start:]
        self._offset += start
        return events

    def finish(self) -> list[Frame | Fault]:
        """Events of what is still pending, once no more bytes will come."""
        events: list[Frame | Fault] = []
        if self._pending:
            self._delimited(self._pending, self._offset, events)
            last = events[-1]
            end = self._offset + len(self._pending)
            if isinstance(last, Fault) and last.kind in _NO_PACKET:
                events[-1] = fault(FaultKind.TRUNCATED, last.raw, last.offset)
            else:
                events.append(fault(FaultKind.MISSING_DELIMITER, b"", end))
            self._offset = end
            self._pending = b""
        self._discarding = False
        return events

    def _delimited(self, coded: bytes, offset: int, events: list[Frame | Fault]) -> None:
        """Rules 2 to 5 for a stretch that its delimiter ends."""
        while True:
            packet = cobs_decode(coded)
            if packet is None:
                kind = FaultKind.COBS
            elif len(packet) < MIN_PACKET:
                kind = FaultKind.SHORT
            elif crc32c(packet[:-CRC_SIZE]) == int.from_bytes(packet[-CRC_SIZE:], "little"):
                events.append(self._judge(packet, coded, offset))
                return
            else:
                kind = FaultKind.CRC
            taken = self._prefix(coded, len(coded) - 1, offset, events)
            if not taken:
                events.append(fault(kind, coded, offset))
                return
            coded = coded[taken:]
            offset += taken

    def _undelimited(self, coded: bytes, offset: int, events: list[Frame | Fault]) -> int:
        """Rules 3 and 4 for MAX_CODED bytes without a delimiter; how many of them are done with."""
        taken = self._prefix(coded, len(coded), offset, events)
        if taken:
            return taken
        events.append(fault(FaultKind.UNDELIMITED, coded, offset))
        self._discarding = True
        return len(coded)

    def _prefix(self, coded: bytes, limit: int, offset: int, events: list[Frame | Fault]) -> int:
        """Rule 3: take the packet that `coded` begins with, if it ends within `limit` bytes; bytes taken."""
        blocks = coded[: _whole_blocks(coded)]
        decoded = cobs_decode(blocks) if blocks else None
        length = stated_length(decoded) if decoded else 0
        if not decoded or not length or length > len(decoded):
            return 0
        end = cobs_prefix(coded, length)
        if end is None or end > limit:
            return 0
        packet = decoded[:length]
        if crc32c(packet[:-CRC_SIZE]) != int.from_bytes(packet[-CRC_SIZE:], "little"):
            return 0
        events.append(self._judge(packet, coded[:end], offset))
        events.append(fault(FaultKind.MISSING_DELIMITER, b"", offset + end))
        return end

    def _judge(self, packet: bytes, coded: bytes, offset: int) -> Frame | Fault:
        """Rule 5: what a packet with the right CRC is."""
        if packet[0] >> 4 != VERSION or packet[1] & _MUST_UNDERSTAND:
            return fault(FaultKind.UNSUPPORTED, coded, offset)
        type_ = packet[0] & 15
        if type_ == Type.HOST and (self._nonce is None or packet[4:12] != self._nonce):
            return fault(FaultKind.HOST_ON_WIRE, coded, offset)
        length = stated_length(packet)
        if length != len(packet) and type_ in PACKETS:
            return fault(FaultKind.LENGTH if length else FaultKind.FIELD, coded, offset)
        if len(packet) > MAX_PACKET:
            return fault(FaultKind.LENGTH, coded, offset)
        try:
            return unpack(packet, offset)
        except FrameError:
            return fault(FaultKind.FIELD, coded, offset)


def fault(kind: FaultKind, coded: bytes, offset: int) -> Fault:
    """The fault of `kind` that the wire bytes `coded` at `offset` are, with the reason found in them."""
    return Fault(offset, len(coded), kind, _REASONS[kind](coded), coded)


def _whole_blocks(coded: bytes) -> int:
    """Bytes of the COBS blocks that lie wholly within `coded`."""
    at = end = 0
    while at < len(coded):
        at += coded[at]
        if at <= len(coded):
            end = at
    return end


def _packet(coded: bytes) -> bytes:
    packet = cobs_decode(coded)
    assert packet is not None
    return packet


def _why_cobs(coded: bytes) -> str:
    at = _whole_blocks(coded)
    return f"code byte 0x{coded[at]:02X} at byte {at} points {at + coded[at] - len(coded)} bytes past the end"


def _why_crc(coded: bytes) -> str:
    packet = _packet(coded)
    got = int.from_bytes(packet[-CRC_SIZE:], "little")
    return f"got 0x{got:08X}, computed 0x{crc32c(packet[:-CRC_SIZE]):08X}"


def _why_unsupported(coded: bytes) -> str:
    packet = _packet(coded)
    if packet[0] >> 4 != VERSION:
        return f"version {packet[0] >> 4}, this decoder knows version {VERSION}"
    return f"must-understand flag (b7) in a packet of type {packet[0] & 15}"


def _why_field(coded: bytes) -> str:
    packet = _packet(coded)
    reason = ""
    try:
        check_header(packet)
        unpack(packet)
    except FrameError as err:
        reason = str(err)
    return reason


def _why_length(coded: bytes) -> str:
    packet = _packet(coded)
    stated = stated_length(packet) or f"{MAX_PACKET} at most"
    return f"packet of {len(packet)} bytes, its header states {stated}"


_REASONS: dict[FaultKind, Callable[[bytes], str]] = {
    FaultKind.UNDELIMITED: lambda coded: f"{len(coded)} bytes without a delimiter",
    FaultKind.COBS: _why_cobs,
    FaultKind.SHORT: lambda coded: f"packet of {len(_packet(coded))} bytes, the shortest has {MIN_PACKET}",
    FaultKind.CRC: _why_crc,
    FaultKind.UNSUPPORTED: _why_unsupported,
    FaultKind.HOST_ON_WIRE: lambda coded: "packet of type 15 (HOST), which belongs in recordings only",
    FaultKind.FIELD: _why_field,
    FaultKind.LENGTH: _why_length,
    FaultKind.MISSING_DELIMITER: lambda coded: "packet not ended by a delimiter",
    FaultKind.TRUNCATED: lambda coded: f"stream ends {len(coded)} bytes into a packet",
}
_NO_PACKET = {FaultKind.COBS, FaultKind.SHORT, FaultKind.CRC}
