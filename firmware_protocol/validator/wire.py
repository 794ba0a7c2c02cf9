"""The newest wire bytes, kept so that a finding can show its bytes and a damaged stretch can be searched.

Positions are stream positions. COBS moves a packet's bytes: byte i of a packet is found on the wire at 1 + i, plus
one for every full block of 254 before it; a zero byte is found where the next code byte stands.
"""

from __future__ import annotations

from firmware_protocol.layout import PacketLayout

__all__ = ["KEPT", "WireTail", "coded_position", "field_bytes"]

KEPT = 1 << 17  # bytes before the newest that stay


def field_bytes(layout: PacketLayout, name: str) -> tuple[int, int]:
    """Packet bytes [first, stop) of a field of the fixed part."""
    found = next(f for f in layout.fields if f.name == name)
    return found.offset, found.offset + found.size


def coded_position(coded: bytes, index: int) -> int:
    """Where byte `index` of a packet lies in its COBS form, or would lie, had it as many bytes."""
    at = decoded = 0
    while at < len(coded):
        code = coded[at]
        if code == 0 or index < decoded + code - 1:
            break
        decoded += code - 1
        at += code
        if code < 255:
            if index == decoded:
                return at
            decoded += 1
    return at + 1 + index - decoded


class WireTail:
    """Bytes [start, end) of the stream; the oldest go as new ones come, but none behind `keep_from`."""

    def __init__(self, start: int = 0, data: bytes = b"") -> None:
        self.start = start
        self.keep_from: int | None = None
        self._bytes = bytearray(data)

    @property
    def end(self) -> int:
        return self.start + len(self._bytes)

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Bytes that come after those added before."""
        self._bytes += data

    def trim(self) -> None:
        """Let go of what nobody needs any more."""
        until = self.end - KEPT
        if self.keep_from is not None:
            until = min(until, self.keep_from)
        if until > self.start + KEPT:
            del self._bytes[: until - self.start]
            self.start = until

    def part(self, first: int, stop: int) -> bytes:
        """What is still there of positions [first, stop)."""
        first = max(first, self.start)
        return bytes(self._bytes[first - self.start : max(stop - self.start, 0)])

    def stretch(self, offset: int) -> bytes:
        """Bytes from `offset` up to the next delimiter, which is left out; at most 659."""
        at = max(offset - self.start, 0)
        end = self._bytes.find(0, at, at + 659)
        return bytes(self._bytes[at : end if end >= 0 else at + 659])

    def span(self, offset: int, first: int, stop: int) -> tuple[int, int]:
        """Stream positions [first, stop) of bytes [first, stop) of the packet that begins at `offset`."""
        coded = self.stretch(offset)
        return offset + coded_position(coded, first), offset + coded_position(coded, stop - 1) + 1
