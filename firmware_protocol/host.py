"""A recording is the wire: HOST packets between wire packets, and the way back to the wire bit for bit (SPEC 9).

A file is a run of delimited packets. Those of type HOST that carry the file's nonce are notes of the program that
recorded; everything else is wire, byte for byte. Bytes that came without a delimiter in time are kept inside RAW
notes and put back where they stood. The first packet of a file is START, which tells the nonce.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codec import encode
from firmware_protocol.codes import Dialect, HostKind, Type
from firmware_protocol.crc import crc32c
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Host
from firmware_protocol.layout import HOST, HOST_PAYLOADS
from firmware_protocol.limits import CRC_SIZE, MAX_CODED, MAX_HOST_PAYLOAD, VERSION

__all__ = [
    "Arrivals",
    "Gap",
    "HostWriter",
    "MarkerNote",
    "Note",
    "Raw",
    "Sent",
    "Splitter",
    "Start",
    "wire_of",
]

_HOST_BYTE = bytes([VERSION << 4 | Type.HOST])
_BEHIND_DELIMITER = re.compile(rb"\x00[^\x00]" + re.escape(_HOST_BYTE))
_PART = HOST_PAYLOADS[HostKind.START].struct
_PAIR = HOST_PAYLOADS[HostKind.ARRIVAL].struct
_TIME = HOST_PAYLOADS[HostKind.TX].struct  # of TX and GAP
_MARKER = HOST_PAYLOADS[HostKind.MARKER].struct
MAX_PAIRS = MAX_HOST_PAYLOAD // _PAIR.size
MAX_RAW = MAX_HOST_PAYLOAD - 1


@dataclass(frozen=True, slots=True)
class Start:
    """Facts about the recording: software, wall clock, free-text notes; no identity. JSON in the file."""

    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """(wire bytes before the block, host's monotonic ns when it came), one pair per block read."""

    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that the host sent, and when."""

    t_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MarkerNote:
    """A mark set by the host at a sample; `code` and `value` are free, `label` names it."""

    sample_index: int
    t_ns: int
    code: int
    value: int
    label: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The recording itself misses something here: the port was lost, or the disk was full."""

    t_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Wire bytes without a delimiter, or of a foreign wire; they are part of the wire at this place."""

    data: bytes
    dialect: int = Dialect.BFP


Note = Start | Arrivals | Sent | MarkerNote | Gap | Raw


class HostWriter:
    """Notes as packets of one recording.

    Parameters
    ----------
    nonce : int
        64 random bits, new for each recording.
    """

    def __init__(self, nonce: int) -> None:
        self.nonce = nonce

    def encode(self, note: Note) -> bytes:
        """One note as whole delimited packets; a long one takes several.

        Raises
        ------
        FrameError
            If a value does not fit its field.
        """
        return b"".join(encode(Host(kind, self.nonce, payload)) for kind, payload in _payloads(note))


def _payloads(note: Note) -> Iterator[tuple[HostKind, bytes]]:
    try:
        match note:
            case Start(facts):
                text = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
                parts = _pieces(text, MAX_HOST_PAYLOAD - _PART.size) or [b"{}"]
                for k, part in enumerate(parts):
                    yield HostKind.START, _PART.pack(k, len(parts)) + part
            case Arrivals(pairs):
                for k in range(0, len(pairs), MAX_PAIRS):
                    yield HostKind.ARRIVAL, b"".join(_PAIR.pack(*pair) for pair in pairs[k : k + MAX_PAIRS])
            case Sent(t_ns, data):
                for part in _pieces(data, MAX_HOST_PAYLOAD - _TIME.size):
                    yield HostKind.TX, _TIME.pack(t_ns) + part
            case MarkerNote(sample_index, t_ns, code, value, label):
                fixed = _MARKER.pack(sample_index, t_ns, code, value)
                yield HostKind.MARKER, fixed + label.encode()[: MAX_HOST_PAYLOAD - _MARKER.size]
            case Gap(t_ns, reason):
                yield HostKind.GAP, _TIME.pack(t_ns) + reason.encode()[: MAX_HOST_PAYLOAD - _TIME.size]
            case Raw(data, dialect):
                for part in _pieces(data, MAX_RAW):
                    yield HostKind.RAW, bytes([dialect]) + part
    except struct.error as err:
        raise FrameError(f"{note!r} does not fit a HOST packet: {err}") from err


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[k : k + size] for k in range(0, len(data), size)]


class Splitter:
    """Take a recording apart into wire bytes and notes, in order, however it is cut.

    Parameters
    ----------
    nonce : int, optional
        That of the recording. By default its first packet, a START, tells it; without one, all is wire.
    """

    def __init__(self, nonce: int | None = None) -> None:
        self.nonce = nonce
        self._at_start = True
        self._pending = b""
        self._start: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes | Note]:
        """Everything that `data` completes: wire bytes in pieces of whole packets, RAW ones as a `Raw`."""
        buffer = self._pending + data
        end = 0 if self._all_wire else buffer.rfind(b"\x00") + 1
        found = self._take(buffer, end)
        if self._all_wire or len(buffer) - end > MAX_CODED:  # no HOST packet is so long
            found.append(buffer[end:])
            self._at_start = False
            end = len(buffer)
        self._pending = buffer[end:]
        return [part for part in found if part != b""]

    @property
    def _all_wire(self) -> bool:
        return self.nonce is None and not self._at_start

    def finish(self) -> bytes:
        """Wire bytes that are left without a delimiter. A HOST packet that a cut file broke off is none."""
        rest, self._pending = self._pending, b""
        return b"" if self.nonce is not None and rest[1:2] == _HOST_BYTE else rest

    def _take(self, buffer: bytes, end: int) -> list[bytes | Note]:
        found: list[bytes | Note] = []
        wire_from = 0
        for at in _host_like(buffer, end):
            self._at_start &= at == 0
            after = buffer.index(b"\x00", at) + 1
            note = self._note(buffer[at : after - 1]) if after - at > HOST.size else None
            if note is not None:
                if wire_from < at:
                    found.append(buffer[wire_from:at])
                if not isinstance(note, Host):
                    found.append(note)
                wire_from = after
        self._at_start &= end == 0
        if wire_from < end:
            found.append(buffer[wire_from:end])
        return found

    def _note(self, coded: bytes) -> Note | Host | None:
        """The note in a packet; the packet itself where it is one but says nothing yet; None if it is wire."""
        packet = cobs_decode(coded)
        if packet is None or len(packet) < HOST.size + CRC_SIZE:
            return None
        body = packet[:-CRC_SIZE]
        if crc32c(body) != int.from_bytes(packet[-CRC_SIZE:], "little"):
            return None
        host = Host.unpack(packet)
        if self.nonce is None:
            if host.kind != HostKind.START or not self._at_start:
                return None
            self.nonce = host.nonce
        return self._meaning(host) if host.nonce == self.nonce else None

    def _meaning(self, host: Host) -> Note | Host:
        data = host.payload
        try:
            match host.kind:
                case HostKind.START:
                    part, parts = _PART.unpack_from(data)
                    self._start = [*self._start[:part], data[_PART.size :]]
                    return Start(json.loads(b"".join(self._start))) if part + 1 == parts else host
                case HostKind.ARRIVAL:
                    return Arrivals(tuple(_PAIR.iter_unpack(data)))
                case HostKind.TX:
                    return Sent(_TIME.unpack_from(data)[0], data[_TIME.size :])
                case HostKind.MARKER:
                    sample, t_ns, code, value = _MARKER.unpack_from(data)
                    label = data[_MARKER.size :].decode(errors="replace")
                    return MarkerNote(sample, t_ns, code, value, label)
                case HostKind.GAP:
                    return Gap(_TIME.unpack_from(data)[0], data[_TIME.size :].decode(errors="replace"))
                case HostKind.RAW:
                    return Raw(data[1:], data[0])
        except (struct.error, ValueError, IndexError):
            pass
        return host  # a kind of a later version, or one this program cannot read: a note all the same, never wire


def _host_like(buffer: bytes, end: int) -> Iterator[int]:
    """Where a packet begins whose first byte may be that of a HOST packet; gigabytes of wire are searched so.

    Type HOST is never 0, so it stands plainly behind the first code byte.
    """
    if end and buffer[1:2] == _HOST_BYTE:
        yield 0
    for match in _BEHIND_DELIMITER.finditer(buffer, 0, end):
        yield match.start() + 1


def wire_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The wire, bit for bit, from a recording given in blocks: HOST packets taken out, RAW put back."""
    splitter = Splitter()
    for block in pieces:
        for part in splitter.feed(block):
            if isinstance(part, Raw):
                yield part.data
            elif isinstance(part, bytes):
                yield part
    yield splitter.finish()
