"""Wires to decode: legal frames, packets with a right CRC and hostile fields, garbage, and damage done to them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from firmware_protocol import Command, Data, Event, Heartbeat, Host, Info, Log, Response, encode, seal
from firmware_protocol.frames import Frame

NONCE = 0xF00D_0000_0000_00F7

u8, u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
flags = st.integers(0, 127)  # without b7, must-understand


@st.composite
def sparse_bytes(draw: st.DrawFn, size: int) -> bytes:
    """Bytes with anything from no zeros at all, which makes full COBS blocks, to almost only zeros."""
    fill = draw(
        st.sampled_from([b"\x01", b"\xff", b"\x00\xff", b"\x00\x00\x07", bytes(range(1, 256)), b"\x00"])
    )
    body = bytearray((fill * (size // len(fill) + 1))[:size])
    for at, value in draw(st.lists(st.tuples(st.integers(0, max(size - 1, 0)), u8), max_size=6)):
        if size:
            body[at] = value
    return bytes(body)


@st.composite
def data_frames(draw: st.DrawFn) -> Data:
    has_status = draw(st.booleans())
    sample_type = draw(st.sampled_from([0, 0, 1]))
    per_converter = draw(st.sampled_from([8, 6, 4]))
    n_channels = per_converter * draw(st.integers(1, 3)) if has_status else draw(st.integers(1, 64))
    conversion = n_channels * (3, 4)[sample_type] + has_status * 3 * (n_channels // per_converter)
    n_samples = draw(st.integers(1, min(32, 635 // conversion)))
    return Data(
        draw(u16),
        draw(flags),
        draw(u32),
        draw(u32),
        n_channels,
        n_samples,
        draw(u8),
        draw(sparse_bytes(n_samples * conversion)),
        sample_type,
        has_status,
        per_converter,
    )


@st.composite
def info_frames(draw: st.DrawFn) -> Info:
    labels = draw(st.lists(st.sampled_from(["C3", "C4", "Cz", "µ", ""]), min_size=1, max_size=16))
    return Info(
        draw(u16),
        draw(flags),
        0,
        1,
        0,
        "board",
        "1.0",
        draw(u32),
        1,
        250,
        1,
        draw(u8),
        len(labels),
        1,
        tuple(labels),
        tuple(0.02235 for _ in labels),
    )


payloads = st.integers(0, 40).flatmap(sparse_bytes)
frames: st.SearchStrategy[Frame] = st.one_of(
    data_frames(),
    data_frames(),
    info_frames(),
    st.builds(Event, u16, flags, u32, u32, u8, u16, st.integers(-(1 << 31), (1 << 31) - 1)),
    st.builds(Response, u16, flags, u16, u8, u8, u64, payloads),
    st.builds(Heartbeat, u16, flags, u32, u64, u64, u64, u32, u16),
    st.builds(Log, u16, flags, u32, u8, st.integers(0, 639).map("x".__mul__)),
    st.builds(Command, u16, flags, u16, u8, payloads),
    st.builds(Host, u8, st.sampled_from([NONCE, 7]), st.integers(0, 635).flatmap(sparse_bytes)),
)


@st.composite
def hostile_packets(draw: st.DrawFn) -> bytes:
    """A wire packet with a right CRC whose header may be illegal, or whose length may not be the stated one."""
    head = draw(
        st.sampled_from([0x11, 0x11, 0x13, 0x14, 0x16, 0x18, 0x1F, 0x12, 0x15, 0x10, 0x17, 0x21, 0x01])
    )
    size = draw(
        st.sampled_from(
            [0, 3, 4, 7, 8, 12, 16, 20, 24, 30, 60, 76, 252, 253, 254, 255, 630, 647, 651, 653, 655]
        )
    )
    body = bytearray(draw(sparse_bytes(max(size, 0))))
    if head == 0x1F and draw(st.booleans()):
        body[:8] = struct.pack("<Q", NONCE)[: len(body)]
    for at in (8, 9, 10):  # n_channels, n_samples, format of DATA
        if len(body) > at:
            body[at] = draw(st.integers(0, 70))
    return seal(bytes([head, draw(u8), draw(u8), draw(u8)]) + bytes(body))


@st.composite
def wires(draw: st.DrawFn) -> bytes:
    """Some packets and garbage, with some damage."""
    pieces = draw(
        st.lists(
            st.one_of(
                frames.map(encode),
                frames.map(encode),
                hostile_packets(),
                st.integers(1, 700).flatmap(sparse_bytes),
                st.binary(max_size=40),
            ),
            max_size=8,
        )
    )
    wire = bytearray(b"".join(pieces))
    for kind, where, value in draw(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1), u8), max_size=6)):
        if not wire:
            break
        at = min(int(where * len(wire)), len(wire) - 1)
        if kind == 0:
            wire[at] ^= 1 << (value & 7)
        elif kind == 1:
            del wire[at]
        elif kind == 2:
            wire.insert(at, value)
        elif kind == 3:
            wire[at] = 0
        elif kind == 4:
            del wire[at : at + value]
        else:  # a delimiter goes missing
            at = wire.find(0, at)
            if at >= 0:
                del wire[at]
    return bytes(wire)


def cut(wire: bytes, sizes: list[int]) -> list[bytes]:
    """`wire` in pieces of these sizes, taken round and round."""
    pieces = []
    at = k = 0
    while at < len(wire):
        pieces.append(wire[at : at + sizes[k % len(sizes)]])
        at += len(pieces[-1])
        k += 1
    return pieces


cuts = st.lists(
    st.sampled_from([1, 2, 7, 31, 32, 33, 64, 118, 657, 658, 659, 660, 1318, 5000]), min_size=1, max_size=5
)
