"""Wires to decode: legal frames, packets with a right CRC and hostile fields, garbage, and damage done to them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from firmware_protocol import Data, Host, Log, encode, seal
from tests.firmware_protocol.strategies import U8, frames

NONCE = 0xF00D_0000_0000_00F7


@st.composite
def sparse_bytes(draw: st.DrawFn, size: int) -> bytes:
    """Bytes with anything from no zeros at all, which makes full COBS blocks, to almost only zeros."""
    fill = draw(
        st.sampled_from([b"\x01", b"\xff", b"\x00\xff", b"\x00\x00\x07", bytes(range(1, 256)), b"\x00"])
    )
    body = bytearray((fill * (size // len(fill) + 1))[:size])
    for where, value in draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), U8), max_size=6)):
        if size:
            body[int(where * size)] = value
    return bytes(body)


hosts = st.builds(Host, U8, st.sampled_from([NONCE, 7]), st.integers(0, 635).flatmap(sparse_bytes))
long_logs = st.integers(200, 639).map(lambda n: Log(0, 0, 0, 0, "x" * n))


@st.composite
def hostile_packets(draw: st.DrawFn) -> bytes:
    """A wire packet with a right CRC whose header may be illegal, or whose length may not be the stated one."""
    head = draw(
        st.sampled_from([0x11, 0x11, 0x13, 0x14, 0x16, 0x18, 0x1F, 0x12, 0x15, 0x10, 0x17, 0x21, 0x01])
    )
    sizes = [0, 3, 4, 7, 8, 12, 16, 20, 24, 30, 60, 76, 252, 253, 254, 255, 630, 647, 648, 649, 651, 655]
    body = bytearray(draw(sparse_bytes(draw(st.sampled_from(sizes)))))
    if head == 0x1F and draw(st.booleans()):
        body[:8] = struct.pack("<Q", NONCE)[: len(body)]
    for at in (8, 9, 10):  # n_channels, n_samples, format of DATA
        if len(body) > at:
            body[at] = draw(st.integers(0, 70))
    return seal(bytes([head, draw(U8), draw(U8), draw(U8)]) + bytes(body))


def damaged(wire: bytearray, damage: list[tuple[int, float, int]]) -> bytes:
    """Each (kind, where from 0 to 1, value) changes, takes away or adds something."""
    for kind, where, value in damage:
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


damages = st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1), U8), max_size=6)
legal = st.one_of(frames, hosts, long_logs).map(encode)


@st.composite
def wires(draw: st.DrawFn) -> bytes:
    """Some packets and garbage, with some damage."""
    garbage = st.one_of(st.integers(1, 700).flatmap(sparse_bytes), st.binary(max_size=40))
    pieces = draw(st.lists(st.one_of(legal, hostile_packets(), garbage), max_size=8))
    return damaged(bytearray(b"".join(pieces)), draw(damages))


SHAPES = [(8, 4), (1, 1), (64, 3), (11, 2)]


@st.composite
def calm_wires(draw: st.DrawFn) -> bytes:
    """Many DATA packets in a row, as a board sends them, with something else here and there.

    The kernel takes four of them together where nothing is odd.
    """
    n_channels, n_samples = draw(st.sampled_from(SHAPES))
    size = 3 * n_channels * n_samples
    payloads = draw(st.lists(sparse_bytes(size), min_size=1, max_size=4))
    pieces = [
        encode(Data(k, 0, k, k, n_channels, n_samples, 0, payloads[k % len(payloads)]))
        for k in range(5000 // size + 12)
    ]
    odd = st.one_of(
        legal, hostile_packets(), st.lists(st.sampled_from([0, 0, 1, 2, 3]), max_size=9).map(bytes)
    )
    for where, piece in draw(st.lists(st.tuples(st.floats(0, 1), odd), max_size=4)):
        pieces.insert(int(where * len(pieces)), piece)
    return damaged(bytearray(b"".join(pieces)), draw(damages))


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
    st.sampled_from([1, 2, 7, 31, 32, 33, 64, 118, 657, 658, 659, 660, 1318, 9999]), min_size=1, max_size=5
)
