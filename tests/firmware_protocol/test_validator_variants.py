"""The same causes in other clothes: variants of a mistake that the gallery shows one of."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_protocol import Data, Event, Fault, Flag, Frame, Heartbeat, Info, crc32c, encode, seal
from firmware_protocol.cobs import cobs_encode
from firmware_protocol.patterns import RAMP_CHANNEL, RAMP_STEP
from firmware_protocol.validator import CaptureCheck

from .captures import (
    Board,
    Wire,
    crc_with,
    each_data,
    each_words,
    good,
    payload,
    sealed,
    stream,
    uart,
    wire_of,
    zero_mean,
)
from .gallery import early, late, newline_delimiter

PLAIN = Board(seconds=1.0)
STATUS = replace(PLAIN, has_status=True)
OFFSETS = np.array([9, -9, 7, -7, 5, -5, 8, -8], np.int32) * 20_000
OFF_ZERO = replace(PLAIN, signal=zero_mean(250, 8) + OFFSETS)
CENTRED = replace(PLAIN, signal=zero_mean(250, 8))
Words = NDArray[np.int64]


def causes_of(wire: Wire) -> dict[str, str]:
    check = CaptureCheck()
    check.feed(wire)
    return {cause.name: cause.text for cause in check.finish("capture").causes}


def crc(board: Board, **parameters: int | bool) -> Wire:
    compute = crc_with(**parameters)  # type: ignore[arg-type]
    return sealed(board, lambda body: compute(body).to_bytes(4, "little"))


def crc_of(part: Callable[[bytes], bytes]) -> Wire:
    return sealed(PLAIN, lambda body: crc32c(part(body)).to_bytes(4, "little"))


def stale_crc() -> Wire:
    bodies = [frame.pack() for frame in stream(PLAIN)]
    pairs = zip(bodies, [bodies[-1], *bodies], strict=False)
    return b"".join(cobs_encode(b + crc32c(a).to_bytes(4, "little")) + b"\x00" for b, a in pairs)


def changed(change: Callable[[Frame], Frame], board: Board = PLAIN) -> Wire:
    return wire_of(map(change, stream(board)))


def timed(pace: float, board: Board = PLAIN, *, info: bool = True, both: bool = True) -> Wire:
    """All times of the device run at another pace."""
    kinds = (Data, Heartbeat) if both else Data

    def slow(frame: Frame) -> Frame:
        if not isinstance(frame, kinds):
            return frame
        full = 2**32 if isinstance(frame, Data) else 2**64
        return replace(frame, t_us=int(frame.t_us * pace) % full)

    frames = [f for f in stream(board) if info or not isinstance(f, Info)]
    return wire_of(replace(slow(f), link_seq=k) for k, f in enumerate(frames))


def beats(change: Callable[[Heartbeat], Heartbeat]) -> Wire:
    return changed(lambda f: change(f) if isinstance(f, Heartbeat) else f, replace(PLAIN, seconds=4.0))


def data(change: Callable[[Data, int], Frame], board: Board = PLAIN) -> Wire:
    return each_data(board, change)


def byte(at: int, value: Callable[[Data], int], board: Board = PLAIN) -> Wire:
    """DATA with one byte of the header wrong, and a right CRC."""
    out = b""
    for frame in stream(board):
        packet = bytearray(frame.pack())
        if isinstance(frame, Data):
            packet[at] = value(frame)
        out += seal(bytes(packet))
    return out


def counted(rule: Callable[[int, list[Frame]], int], board: Board = PLAIN) -> Wire:
    frames = stream(board)
    return wire_of(replace(f, link_seq=rule(k, frames) & 0xFFFF) for k, f in enumerate(frames))


def per_type(k: int, frames: Sequence[Frame]) -> int:
    return sum(type(f) is type(frames[k]) for f in frames[:k])


def ramp(shift: int = 0, late: int = 0, change: Callable[[Words], Words] = lambda w: w) -> Wire:
    def fill(frame: Data, _: int) -> Frame:
        index = np.arange(frame.n_samples)[:, None] + frame.sample_index + late
        channel = np.arange(frame.n_channels)[None, :] + shift
        words = (index * RAMP_STEP + channel * RAMP_CHANNEL) & 0xFFFFFF
        return replace(frame, flags=frame.flags | Flag.TEST_SIGNAL, payload=payload(change(words)))

    return each_data(PLAIN, fill)


def swap(words: Words) -> Words:
    return (words & 0xFF) << 16 | words & 0xFF00 | words >> 16


def stuffed(stuff: Callable[[bytes], bytes]) -> Wire:
    packets = (f.pack() for f in stream(PLAIN))
    return b"".join(stuff(p + crc32c(p).to_bytes(4, "little")) for p in packets)


def slip_frame(packet: bytes) -> bytes:
    return packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def hdlc_frame(packet: bytes) -> bytes:
    return packet.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


def everywhere(change: Callable[[bytes], bytes]) -> Wire:
    return change(good(PLAIN))


def inside(text: bytes) -> Wire:
    """Text that breaks into a packet."""
    wires = [encode(f) for f in stream(PLAIN)]
    return b"".join(w[:20] + text + w[20:] if k % 9 == 4 else w for k, w in enumerate(wires))


def flip_unit(frame: Frame) -> Frame:
    return replace(frame, boot_id=frame.link_seq + 1) if isinstance(frame, Info | Heartbeat) else frame


def turned(board: Board) -> Wire:
    """From the middle on every channel carries its neighbour's samples."""
    return each_words(board, lambda w: np.roll(w, 1, axis=1), start=0.5)


def turned_heads() -> Wire:
    """Type and version change places; those of DATA are equal."""
    return b"".join(
        seal(bytes([f.pack()[0] >> 4 | (f.pack()[0] & 15) << 4]) + f.pack()[1:]) for f in stream(PLAIN)
    )


def lost_zero(wire: Wire) -> Wire:
    """A byte in the middle of a packet becomes 0."""
    out = bytearray(wire)
    for at in (2000, 3000, 4000):
        out[at] = 0
    return bytes(out)


COUNT_STATUS = np.arange(0, 72) % 9 == 0

VARIANTS: list[tuple[str, str, Callable[[], Wire]]] = [
    ("crc-initial-value", "0x00000001", lambda: crc(PLAIN, init=1)),
    ("crc-initial-value", "0x12345678", lambda: crc(PLAIN, init=0x12345678)),
    ("crc-final-xor", "0xDEADBEEF", lambda: crc(PLAIN, xorout=0xDEADBEEF)),
    ("crc-reflection", "output is not", lambda: crc(PLAIN, refout=False)),
    ("crc-reflection", "input is not", lambda: crc(PLAIN, refin=False)),
    ("crc-polynomial", "zlib", lambda: sealed(PLAIN, lambda b: zlib.crc32(b).to_bytes(4, "little"))),
    ("crc-range", "with four zero bytes", lambda: crc_of(lambda b: b + bytes(4))),
    ("crc-range", "after COBS", lambda: crc_of(cobs_encode)),
    (
        "crc-range",
        "what follows the header",
        lambda: crc_of(lambda b: b[{1: 16, 3: 68, 5: 40, 4: 20}[b[0] & 15] :]),
    ),
    ("crc-range", "the packet before", stale_crc),
    ("wrong-stuffing", "SLIP", lambda: stuffed(slip_frame)),
    ("wrong-stuffing", "HDLC", lambda: stuffed(hdlc_frame)),
    ("wrong-stuffing", "twice", lambda: stuffed(lambda p: cobs_encode(cobs_encode(p) + b"\x00") + b"\x00")),
    (
        "wrong-stuffing",
        "without its CRC",
        lambda: stuffed(lambda p: cobs_encode(p[:-4]) + p[-4:].replace(b"\x00", b"\x01") + b"\x00"),
    ),
    ("missing-delimiter", "0a stands", lambda: newline_delimiter(PLAIN)),
    ("text-in-stream", "watchdog", lambda: inside(b"watchdog fed, all is well\n")),
    (
        "text-in-stream",
        "ok",
        lambda: b"".join(encode(f) + (b"ok\r\n" if f.link_seq % 7 == 3 else b"") for f in stream(PLAIN)),
    ),
    ("wrong-baud", "", lambda: uart(good(PLAIN)[:4000], ratio=0.5)),
    ("wrong-baud", "8 times", lambda: uart(good(PLAIN)[:4000], ratio=8.0)),
    ("newline-translation", "CR has become LF", lambda: everywhere(lambda w: w.replace(b"\r", b"\n"))),
    ("newline-translation", "LF (0x0A) is dropped", lambda: everywhere(lambda w: w.replace(b"\n", b""))),
    ("byte-translation", "inverted", lambda: everywhere(lambda w: bytes(b ^ 0xFF for b in w))),
    ("byte-translation", "UTF-8", lambda: everywhere(lambda w: w.decode("latin-1").encode())),
    ("byte-translation", "top bit", lambda: everywhere(lambda w: bytes(b & 0x7F for b in w))),
    (
        "flow-control",
        "put into the stream",
        lambda: b"".join(
            encode(f)[:9] + b"\x13\x11" * (f.link_seq % 9 == 4) + encode(f)[9:] for f in stream(PLAIN)
        ),
    ),
    ("foreign-stream", "Cyton", lambda: (b"\xa0" + bytes(range(31)) + b"\xc0") * 40),
    ("time-unit", "nanoseconds", lambda: timed(1000)),
    ("time-unit", "168 MHz", lambda: timed(168)),
    ("time-unit", "32,768 Hz", lambda: timed(0.032768)),
    ("time-unit", "0.1 µs", lambda: timed(10)),
    ("wrong-rate", "0.5 times", lambda: timed(2.0)),
    ("no-time", "stands still", lambda: timed(0.0)),
    ("time-unit", "once a second", lambda: timed(0.1, replace(PLAIN, seconds=3.5), info=False)),
    ("time-unit", "milliseconds (250", lambda: timed(0.001, info=False)),
    ("no-time", "over", lambda: timed(0.0, info=False)),
    ("time-unit", "no EEG rate", lambda: timed(7777.7, replace(PLAIN, seconds=0.6), info=False)),
    ("time-unit", "HEARTBEAT", lambda: beats(lambda f: replace(f, t_us=f.t_us // 1000))),
    (
        "counter-unit",
        "all 8 channels",
        lambda: data(lambda f, k: replace(f, sample_index=f.sample_index * 8)),
    ),
    (
        "counter-unit",
        "payload bytes",
        lambda: data(lambda f, k: replace(f, sample_index=f.sample_index * 24)),
    ),
    ("counter-unit", "stays", lambda: data(lambda f, k: replace(f, sample_index=7))),
    ("counter-unit", "while t_us", lambda: data(lambda f, k: replace(f, sample_index=f.sample_index * 3))),
    (
        "wrong-n-samples",
        "not sent",
        lambda: data(lambda f, k: replace(f, n_samples=3, payload=f.payload[: len(f.payload) // 4 * 3])),
    ),
    (
        "narrow-counter",
        "kept in 16 bits",
        lambda: data(lambda f, k: replace(f, t_us=f.t_us & 0xFFFF), replace(PLAIN, rate=Fraction(1000))),
    ),
    ("narrow-counter", "8 bits", lambda: counted(lambda k, _: k & 0xFF, replace(PLAIN, seconds=9.0))),
    ("link-seq-counting", "a counter of its own", lambda: counted(per_type, replace(PLAIN, seconds=6.0))),
    ("link-seq-counting", "steps of two", lambda: counted(lambda k, _: 2 * k)),
    ("link-seq-counting", "stands still", lambda: counted(lambda k, _: 5)),
    ("link-seq-counting", "conversions", lambda: counted(lambda k, _: 4 * k)),
    ("header-byte-order", "two bytes are swapped", lambda: counted(lambda k, _: k >> 8 | (k & 0xFF) << 8)),
    ("packets-lost", "without a trace", lambda: wire_of([*stream(PLAIN)[:30], *stream(PLAIN)[33:]])),
    ("boot-id-unstable", "go on", lambda: changed(flip_unit, replace(PLAIN, seconds=4.0))),
    ("wrong-n-channels", "n_channels", lambda: byte(12, lambda f: 9)),
    ("wrong-format", "no status words", lambda: byte(14, lambda f: 4)),
    (
        "wrong-length",
        "more",
        lambda: b"".join(seal(f.pack() + b"!" * isinstance(f, Data)) for f in stream(PLAIN)),
    ),
    ("wrong-version", "version 2", lambda: byte(0, lambda f: 0x21)),
    ("wrong-version", "swapped", turned_heads),
    ("line-damage", "0x00", lambda: lost_zero(good(PLAIN))),
    ("sample-byte-order", "least significant", lambda: each_words(STATUS, swap)),
    ("sample-byte-order", "test pattern", lambda: ramp(change=swap)),
    ("channel-off-by-one", "test pattern of channel 2", lambda: ramp(shift=1)),
    ("channel-off-by-one", "rotated", lambda: each_words(STATUS, lambda w: np.roll(w, 1, axis=1))),
    (
        "channel-off-by-one",
        "stands a sample",
        lambda: each_words(STATUS, lambda w: np.concatenate([w[:, 1:], 0 * w[:, :1]], axis=1)),
    ),
    ("channel-off-by-one", "moved one place up", lambda: turned(replace(PLAIN, seconds=2.0, n_channels=8))),
    ("sample-index-off-by-one", "next", lambda: ramp(late=1)),
    ("sign-extension", "lower 16 bits", lambda: ramp(change=lambda w: w & 0xFFFF)),
    ("spi-bit-slip", "shifted by 1 bit", lambda: ramp(change=lambda w: w >> 1)),
    ("spi-bit-slip", "too late on the wire", lambda: each_words(STATUS, early)),
    ("spi-bit-slip", "read 1 bit later", lambda: each_words(replace(PLAIN, seconds=2.0), early)),
    ("spi-bit-slip", "too late", lambda: each_words(PLAIN, late)),
    (
        "spi-bit-slip",
        "one clock",
        lambda: each_words(STATUS, lambda w: np.where(COUNT_STATUS[: w.shape[1]], w << 1, w)),
    ),
    ("sign-extension", "above it", lambda: each_words(CENTRED, lambda w: w & 0x7FFFFF)),
    ("sign-extension", "offset binary", lambda: each_words(CENTRED, lambda w: w ^ 0x800000)),
    ("sign-extension", "always set", lambda: each_words(CENTRED, lambda w: w | 0xFF0000)),
    ("sign-extension", "no sample is negative", lambda: each_words(OFF_ZERO, lambda w: w & 0x7FFFFF)),
    ("sign-extension", "no sample is near zero", lambda: each_words(OFF_ZERO, lambda w: w ^ 0x800000)),
]


@pytest.mark.parametrize(
    ("name", "says", "make"),
    VARIANTS,
    ids=[f"{name}-{says or k}" for k, (name, says, _) in enumerate(VARIANTS)],
)
def test_a_variant_is_named_with_what_was_found(name: str, says: str, make: Callable[[], Wire]) -> None:
    found = causes_of(make())
    assert name in found
    assert says in found[name]


def test_commands_and_events_among_the_data_change_nothing() -> None:
    frames = stream(PLAIN)
    frames.insert(30, Event(0, 0, 100, 1_400_000, 1, 2, 3))
    assert causes_of(wire_of(replace(f, link_seq=k) for k, f in enumerate(frames))) == {}
    assert not any(isinstance(f, Fault) for f in frames)
