"""What is fuzzed: each target takes any bytes and raises only if the code under test is wrong.

`raw`: bytes as a wire, to the reference decoder, cut in two ways, and to the kernel.
`sealed`: bytes as a packet with a right CRC, so that every field may be hostile.
`device`: bytes as what a host sends, cut, with time passing, to the reference device.
`recording`: bytes as a file of a recording program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from firmware_protocol._simd import HARDWARE_CRC
from firmware_protocol.bulk import BulkDecoder
from firmware_protocol.codec import Decoder, encode, seal
from firmware_protocol.device import DeviceConfig, ReferenceDevice
from firmware_protocol.frames import Fault, Frame, Unknown
from firmware_protocol.host import wire_of
from firmware_protocol.limits import MAX_CODED

__all__ = ["NONCE", "TARGETS"]

NONCE = 0x1122334455667788
GOOD = Unknown(1, 0, 7, b"good")
GOOD_WIRE = encode(GOOD)
Events = list[Frame | Fault]


def raw(data: bytes) -> None:
    """The first byte chooses nonce, CRC and cut."""
    how, wire = (data[0], data[1:]) if data else (0, b"")
    pair = _Pair.of(NONCE if how & 1 else None, bool(HARDWARE_CRC and how & 2))
    begin = pair.reference.offset
    events = pair.events(wire, piece=1 + 16 * (how >> 2), middle=len(wire) * how // 256)
    _accounts_for_all(wire, begin, events)


def sealed(data: bytes) -> None:
    """A packet of any bytes, between two that are good; with a nonce where their number is odd."""
    pair = _Pair.of(NONCE if len(data) & 1 else None, bool(HARDWARE_CRC))
    wire = GOOD_WIRE + seal(data) + GOOD_WIRE
    events = pair.events(wire, piece=len(wire), middle=len(wire) - 3)
    if len(data) >= 4 and len(data) + 4 <= MAX_CODED - 3:
        assert len(events) == 3
        assert events[0] == events[2] == GOOD
    for event in events:
        if not isinstance(event, Fault) and event is not events[0] and event is not events[-1]:
            (again,) = Decoder(nonce=NONCE).feed(encode(event))
            assert repr(again) == repr(event).replace(f"offset={event.offset}", "offset=0")


@dataclass
class _Pair:
    """Reference decoder and kernel that have been fed the same: a finished decoder goes on with the next stream."""

    reference: Decoder
    kernel: BulkDecoder

    @staticmethod
    @cache
    def of(nonce: int | None, hardware: bool) -> _Pair:
        return _Pair(Decoder(nonce=nonce), BulkDecoder(nonce=nonce, hardware=hardware))

    def events(self, wire: bytes, *, piece: int, middle: int) -> Events:
        """Of a whole stream, cut in pieces for one and in two for the other."""
        events = [e for at in range(0, len(wire), piece) for e in self.reference.feed(wire[at : at + piece])]
        events += self.reference.finish()
        kernel = self.kernel
        batches = kernel.feed(wire[:middle]), kernel.feed(wire[middle:]), kernel.finish()
        got = [event for batch in batches for event in batch.unpack()]
        assert got == events
        assert (kernel.offset, kernel.discarded) == (self.reference.offset, self.reference.discarded)
        return events


def device(data: bytes) -> None:
    """Pairs of a length and a time step; each piece that follows is received then."""
    board = ReferenceDevice(
        DeviceConfig(labels=("C3", "C4"), has_status=False, rate=Fraction(250), queue_bytes=4000)
    )
    decoder = Decoder()
    now_us = at = 0
    rows = [[k, -k] for k in range(8)]
    while at < len(data):
        n, step = data[at] & 127, data[at] >> 7
        board.receive(data[at + 1 : at + 1 + n], now_us)
        at += 1 + n
        now_us += 40_000 if step else 1_000
        if board.streaming and step:
            board.push_samples(rows, now_us)
        for event in decoder.feed(board.poll(now_us, room=2000)):
            assert not isinstance(event, Fault), event
    assert decoder.finish() == []


def recording(data: bytes) -> None:
    """Cut anywhere, the wire that a recording holds is the same."""
    whole = b"".join(wire_of([data]))
    assert b"".join(wire_of([data[at : at + 7] for at in range(0, len(data), 7)])) == whole
    decoder = Decoder()
    _accounts_for_all(whole, 0, [*decoder.feed(whole), *decoder.finish()])


def _accounts_for_all(wire: bytes, begin: int, events: Events) -> None:
    """Faults hold the bytes that they speak of, in order, one behind the other. `begin`: offset of the first byte."""
    end = 0
    for event in events:
        at = event.offset - begin
        assert at >= end
        if isinstance(event, Fault):
            assert wire[at : at + event.length] == event.raw
            assert event.detail
            end = at + event.length


TARGETS: dict[str, Callable[[bytes], None]] = {
    "raw": raw,
    "sealed": sealed,
    "device": device,
    "recording": recording,
}
