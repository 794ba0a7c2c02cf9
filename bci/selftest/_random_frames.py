"""Frames of every type that a board sends or hears, with values anywhere in their range, and streams of them."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable

from firmware_protocol import (
    Command,
    Data,
    Event,
    Frame,
    Heartbeat,
    Info,
    Log,
    Response,
    Unknown,
    encode,
    seal,
)
from firmware_protocol._fields import Format
from firmware_protocol.limits import MAX_LOG_TEXT

__all__ = ["damaged_row", "damaged_wire", "random_frame"]

_LETTERS = "abcXYZ 0189µß…板腦𝛼\n"
_KINDS: tuple[Callable[[random.Random], Frame], ...]


def random_frame(rng: random.Random) -> Frame:
    """A frame of any type but HOST."""
    return rng.choice(_KINDS)(rng)


def damaged_wire(rng: random.Random, n_frames: int) -> bytes:
    """Frames, packets with a right CRC and anything inside, and garbage; some of the bytes changed, lost or added."""
    return _damaged(rng, [_piece(rng) for _ in range(n_frames)], rng.randrange(n_frames))


def damaged_row(rng: random.Random, n_frames: int) -> bytes:
    """DATA of one shape, as a board sends it: what a decoder sees that takes several packets together."""
    n_channels, n_samples = rng.choice(((8, 4), (8, 4), (1, 1), (16, 3), (64, 3)))
    payloads = [_bytes(rng, 3 * n_channels * n_samples) for _ in range(4)]
    shape = n_channels, n_samples
    pieces = [encode(Data(k, 0, k, k, *shape, 0, payloads[k % 4])) for k in range(n_frames)]
    pieces[rng.randrange(n_frames)] += rng.choice((b"", b"\x00", _piece(rng)))
    return _damaged(rng, pieces, rng.randrange(4))


def _damaged(rng: random.Random, pieces: list[bytes], n: int) -> bytes:
    """The pieces, with `n` bytes or so changed, lost or added."""
    wire = bytearray(b"".join(pieces))
    for _ in range(n):
        at = rng.randrange(len(wire))
        match rng.randrange(5):
            case 0:
                wire[at] ^= 1 << rng.randrange(8)
            case 1:
                del wire[at : at + rng.choice((1, 1, 1, 2, 50))]
            case 2:
                wire.insert(at, rng.randrange(256))
            case 3:
                wire[at] = 0
            case _:  # a delimiter goes missing
                at = wire.find(0, at)
                if at >= 0:
                    del wire[at]
        if not wire:
            break
    return bytes(wire)


def _piece(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.7:
        return encode(random_frame(rng))
    if kind < 0.85:
        packet = bytearray(random_frame(rng).pack())
        for _ in range(rng.randrange(1, 4)):
            packet[rng.randrange(min(len(packet), 30))] = rng.choice((0, 1, 0x80, 0xFF, rng.randrange(256)))
        if rng.random() < 0.2:
            del packet[rng.randrange(4, len(packet) + 1) :]
        return seal(bytes(packet))
    n = rng.choice((1, 5, 40, 700))
    return bytes(rng.choice((0, 1, 2, 0x55, 255, rng.randrange(256))) for _ in range(n))


def _bytes(rng: random.Random, n: int) -> bytes:
    """From no zero at all, which makes full COBS blocks, to almost only zeros."""
    share = rng.choice((0.0, 0.004, 0.1, 0.5, 0.95))
    raw = bytearray(rng.randbytes(n))
    for k, byte in enumerate(raw):
        if share and rng.random() < share:
            raw[k] = 0
        elif not share and byte == 0:
            raw[k] = 1
    return bytes(raw)


def _text(rng: random.Random, most: int) -> str:
    text = "".join(rng.choice(_LETTERS) for _ in range(rng.randrange(most + 1)))
    while len(text.encode()) > most:
        text = text[:-1]
    return text


def _number(rng: random.Random, bits: int) -> int:
    return rng.choice(
        (0, 1, (1 << bits) - 1, rng.getrandbits(bits), rng.getrandbits(rng.randrange(1, bits + 1)))
    )


def _head(rng: random.Random) -> tuple[int, int]:
    return _number(rng, 16), rng.randrange(0x80)


def _data(rng: random.Random) -> Data:
    form = Format(rng.choice((0, 0, 0, 1)), rng.random() < 0.5, rng.choice((8, 6, 4)))
    c = form.channels_per_converter
    n_channels = rng.randrange(1, 64 // c + 1) * c if form.has_status else rng.randrange(1, 65)
    size = form.frame_size(n_channels)
    n_samples = rng.randrange(1, min(32, 635 // size) + 1)
    return Data(
        *_head(rng),
        sample_index=_number(rng, 32),
        t_us=_number(rng, 32),
        n_channels=n_channels,
        n_samples=n_samples,
        config_id=_number(rng, 8),
        payload=_bytes(rng, n_samples * size),
        sample_type=form.sample_type,
        has_status=form.has_status,
        channels_per_converter=c,
    )


def _event(rng: random.Random) -> Event:
    value = rng.choice((0, -1, -(2**31), 2**31 - 1, rng.randrange(-(2**31), 2**31)))
    return Event(*_head(rng), _number(rng, 32), _number(rng, 32), _number(rng, 8), _number(rng, 16), value)


def _info(rng: random.Random) -> Info:
    n_channels = rng.randrange(1, 65)
    first = rng.randrange(n_channels)
    n_here = rng.randrange(1, min(16, n_channels - first) + 1)
    pages = rng.randrange(1, 65)
    link_seq, flags = _head(rng)
    return Info(
        link_seq=link_seq,
        flags=flags,
        page=rng.randrange(pages),
        pages=pages,
        first_channel=first,
        device_id=_text(rng, 24),
        firmware=_text(rng, 16),
        boot_id=_number(rng, 32),
        state=rng.randrange(256),
        rate_num=_number(rng, 32) or 250,
        rate_den=_number(rng, 32) or 1,
        config_id=_number(rng, 8),
        n_channels=n_channels,
        n_samples=rng.randrange(1, 4),
        labels=tuple(_text(rng, 15) for _ in range(n_here)),
        uv_per_count=tuple(_scale(rng) for _ in range(n_here)),
        lead_off=rng.randrange(256),
    )


def _scale(rng: random.Random) -> float:
    value: float = struct.unpack("<d", rng.randbytes(8))[0]
    return value if math.isfinite(value) and value else 0.02235


def _response(rng: random.Random) -> Response:
    n = rng.randrange(41)
    return Response(
        *_head(rng), _number(rng, 16), _number(rng, 8), rng.randrange(9), _number(rng, 64), _bytes(rng, n)
    )


def _heartbeat(rng: random.Random) -> Heartbeat:
    temperature = rng.choice((None, rng.randrange(-32767, 32768) / 10))
    u64 = _number(rng, 64), _number(rng, 64), _number(rng, 64)
    return Heartbeat(*_head(rng), _number(rng, 32), *u64, _number(rng, 32), _number(rng, 16), temperature)


def _log(rng: random.Random) -> Log:
    most = rng.choice((0, 20, 250, 255, 510, MAX_LOG_TEXT))
    return Log(*_head(rng), _number(rng, 32), rng.randrange(5), _text(rng, most))


def _command(rng: random.Random) -> Command:
    return Command(*_head(rng), _number(rng, 16), rng.randrange(14), _bytes(rng, rng.randrange(117)))


def _unknown(rng: random.Random) -> Unknown:
    n = rng.choice((0, 1, 12, 250, 254, 255, rng.randrange(648)))
    return Unknown(*_head(rng), rng.choice((0, 7, *range(9, 15))), _bytes(rng, n))


_KINDS = (_data, _data, _event, _info, _response, _heartbeat, _log, _command, _unknown)
