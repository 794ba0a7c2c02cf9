"""Consistent overhead byte stuffing (SPEC 2.2): packets without the byte 0, which then can end them.

Cheshire and Baker, IEEE/ACM Trans. Networking 7(2):159-172, 1999. A code byte n is followed by n - 1 bytes
without zeros and stands for them and, unless n is 255 or the packet ends there, one zero.
"""

from __future__ import annotations

__all__ = ["cobs_decode", "cobs_encode", "cobs_prefix", "coded_size"]

_CODE = [bytes([n]) for n in range(256)]
_FULL = 254  # data bytes of a block that stands for no zero


def cobs_encode(packet: bytes) -> bytes:
    """Coded form of `packet`, without the delimiter. At most one byte in 254 longer, plus one."""
    *runs, last = packet.split(b"\x00")
    out: list[bytes] = []
    for run in runs:
        while len(run) >= _FULL:  # a full block stands for no zero: the block behind it, possibly empty, does
            out += (b"\xff", run[:_FULL])
            run = run[_FULL:]
        out += (_CODE[len(run) + 1], run)
    while len(last) > _FULL:
        out += (b"\xff", last[:_FULL])
        last = last[_FULL:]
    out += (_CODE[len(last) + 1], last)
    return b"".join(out)


def cobs_decode(coded: bytes) -> bytes | None:
    """The packet; None where a code byte points past the end. `coded` holds no zero and is not empty."""
    out = bytearray(coded)
    end = len(out)
    at = 0
    full: list[int] = []  # where a code byte stands for nothing, because a full block came before it
    while at < end:
        code = out[at]
        out[at] = 0
        at += code
        if code == 255:
            full.append(at)
    if at != end:
        return None
    for position in reversed(full):
        del out[position : position + 1]
    del out[0]
    return bytes(out)


def cobs_prefix(coded: bytes, length: int) -> int | None:
    """Bytes of `coded` that whole blocks take to give exactly `length` decoded bytes; None if no block ends
    there.

    Where a full block ends at `length` and the next code byte is 1, that byte still belongs to the prefix:
    some encoders write it, and no packet begins with a zero byte.
    """
    at = 0
    decoded = 0
    best: int | None = None
    zero = 0  # the zero that the last block stands for, once another block follows
    while at < len(coded) and decoded <= length:
        code = coded[at]
        decoded += zero + code - 1
        zero = 0 if code == 255 else 1
        at += code
        if at > len(coded):
            break
        if decoded == length:
            best = at
    return best


def coded_size(length: int) -> int:
    """Longest coded form of a packet of `length` bytes, without the delimiter."""
    return length + max(1, -(-length // _FULL))
