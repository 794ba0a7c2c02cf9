"""Captures of a good device and of one with each mistake that the validator knows by name.

`GALLERY` maps the name of a cause to a function that spoils a good capture. Captures come from the reference device,
so they are what a device that keeps the specification would have sent; a mistake is then made in one place only.

    python -m tests.firmware_protocol.gallery --write docs/validator.md

writes the table of that page anew: cause, what was done to the capture, what the validator printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import (
    Data,
    Decoder,
    DeviceConfig,
    Fault,
    Frame,
    Heartbeat,
    Info,
    ReferenceDevice,
    crc32c,
)
from firmware_protocol.cobs import cobs_encode
from firmware_protocol.codec import encode, encode_command
from firmware_protocol.codes import Opcode, Pattern
from firmware_protocol.frames import Command, Event, Host, Log

Wire = bytes
FIRST_SCALE = 4.5e6 / 24 / (2**23 - 1)  # µV per count at the gain of 24 that a device begins with
Packets = list[bytes]


@dataclass(frozen=True)
class Board:
    """What a good capture is taken from. `signal`: counts (n_samples, n_channels); made up if left out."""

    n_channels: int = 8
    rate: Fraction = Fraction(250)
    n_samples: int = 4
    has_status: bool = False
    per_converter: int = 8
    seconds: float = 4.0
    seed: int = 1
    sample_index: int = 0
    link_seq: int = 0
    signal: NDArray[np.int32] | None = None
    start_us: int = 1_000_000
    boot_id: int = 0x1A2B3C4D
    commands: tuple[tuple[float, Command], ...] = ()  # at this second of streaming


def eeg(n_samples: int, n_channels: int, *, seed: int = 1, rate_hz: float = 250.0) -> NDArray[np.int32]:
    """Counts that look like EEG: 1/f background common in part, alpha, mains, an offset for each electrode."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((n_samples + 64, n_channels + 2))
    slow = np.empty_like(white)
    level = np.zeros(n_channels + 2)
    for k, row in enumerate(white):
        level = 0.97 * level + row
        slow[k] = level
    slow = slow[64:]
    t = np.arange(n_samples)[:, None] / rate_hz
    alpha = 8.0 * np.sin(2 * np.pi * 10.2 * t + rng.uniform(0, 6, n_channels))
    mains = 3.0 * np.sin(2 * np.pi * 50 * t)
    uv = 4.0 * slow[:, :n_channels] + 5.0 * slow[:, n_channels:][:, :1] + alpha + mains
    offset = rng.uniform(-6000, 6000, n_channels)
    uv += np.where(np.arange(n_channels) % 3 == 0, offset, rng.uniform(-30, 30, n_channels))
    counts: NDArray[np.int32] = np.rint(uv / 0.022352).astype(np.int32)
    return counts


def zero_mean(n_samples: int, n_channels: int, *, seed: int = 1) -> NDArray[np.int32]:
    """The same without offsets, as band-passed recordings are."""
    x = eeg(n_samples, n_channels, seed=seed).astype(np.float64)
    return np.rint(x - x.mean(axis=0)).astype(np.int32)


def stream(board: Board) -> list[Frame]:
    """Frames that the reference device sends: INFO, HEARTBEAT, START's answer, DATA."""
    device = ReferenceDevice(
        DeviceConfig(
            labels=tuple(f"E{k + 1}" for k in range(board.n_channels)),
            rate=board.rate,
            rates=frozenset({board.rate}),
            samples_per_frame=board.n_samples,
            channels_per_converter=board.per_converter,
            has_status=board.has_status,
            boot_id=board.boot_id,
            link_seq=board.link_seq,
            sample_index=board.sample_index,
            queue_bytes=1 << 20,
        )
    )
    n = int(board.seconds * board.rate)
    counts = board.signal if board.signal is not None else eeg(n, board.n_channels, seed=board.seed)
    now = board.start_us
    wire = device.poll(now)
    device.receive(encode_command(Command(0, 0, 7, Opcode.START, b"\x00\x00\x00\x00")), now)
    wire += device.poll(now)
    pending = sorted(board.commands, key=lambda c: c[0])
    for k in range(0, len(counts), board.n_samples):
        t = now + int(k * 1_000_000 / board.rate)
        while pending and pending[0][0] * 1e6 <= t - now:
            device.receive(encode_command(pending.pop(0)[1]), t)
        rows = counts[k : k + board.n_samples] * (FIRST_SCALE / np.array(device.uv_per_count))
        device.push_samples(np.rint(rows).astype(int), t)
        wire += device.poll(t)
    return [frame for frame in Decoder().feed(wire) if not isinstance(frame, Fault)]


def wire_of(frames: Iterable[Frame]) -> Wire:
    return b"".join(encode(frame) for frame in frames)


def renumbered(frames: Iterable[Frame]) -> Wire:
    """The same, link_seq counted anew: what the device would send, not what a line would lose."""
    return wire_of(replace(frame, link_seq=k & 0xFFFF) for k, frame in enumerate(frames))


def good(board: Board = Board()) -> Wire:
    """A capture with nothing wrong in it."""
    return wire_of(stream(board))


def data_of(frames: list[Frame]) -> list[int]:
    """Positions of the DATA frames."""
    return [k for k, frame in enumerate(frames) if isinstance(frame, Data)]


def each_data(board: Board, change: Callable[[Data, int], Frame], *, start: float = 0.0) -> Wire:
    """A capture with `change(frame, number)` done to every DATA frame from a part of it on."""
    frames = stream(board)
    places = data_of(frames)
    for number, k in enumerate(places):
        if number >= start * len(places):
            frame = frames[k]
            assert isinstance(frame, Data)
            frames[k] = change(frame, number)
    return wire_of(frames)


def payload(words: NDArray[np.int64]) -> bytes:
    """24-bit words as they are sent."""
    wide = (words & 0xFFFFFF).astype(">u4").reshape(-1)
    return wide.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def words(frame: Data) -> NDArray[np.int64]:
    """(n_samples, n_words) unsigned, status words included."""
    raw = np.frombuffer(frame.payload, np.uint8).reshape(frame.n_samples, -1, 3).astype(np.int64)
    return raw[:, :, 0] << 16 | raw[:, :, 1] << 8 | raw[:, :, 2]


def each_words(
    board: Board, change: Callable[[NDArray[np.int64]], NDArray[np.int64]], *, start: float = 0.0
) -> Wire:
    """A capture with something done to the words of every DATA frame."""
    return each_data(board, lambda f, _: replace(f, payload=payload(change(words(f)))), start=start)


# ---- framing -----------------------------------------------------------------------------------------------------


def bodies(board: Board) -> Packets:
    """Packets without CRC and COBS."""
    return [frame.pack() for frame in stream(board)]


def with_crc(body: bytes) -> bytes:
    return body + crc32c(body).to_bytes(4, "little")


def sealed(board: Board, crc: Callable[[bytes], bytes], *, start: float = 0.0) -> Wire:
    """A capture whose packets carry another CRC from a part of it on."""
    packets = bodies(board)
    first = start * len(packets)
    return b"".join(
        cobs_encode(body + (crc(body) if k >= first else crc32c(body).to_bytes(4, "little"))) + b"\x00"
        for k, body in enumerate(packets)
    )


def crc_with(
    *,
    init: int = 0xFFFFFFFF,
    refin: bool = True,
    refout: bool = True,
    xorout: int = 0xFFFFFFFF,
    poly: int = 0x1EDC6F41,
) -> Callable[[bytes], int]:
    """A bit-by-bit CRC: slow, and written from the definition."""

    def crc(data: bytes) -> int:
        register = init
        for byte in data:
            register ^= (int(f"{byte:08b}"[::-1], 2) if refin else byte) << 24
            for _ in range(8):
                register = (register << 1 ^ (poly if register >> 31 else 0)) & 0xFFFFFFFF
        return (int(f"{register:032b}"[::-1], 2) if refout else register) ^ xorout

    return crc


def crc_wrong(**parameters: int | bool) -> Callable[[Board], Wire]:
    crc = crc_with(**parameters)  # type: ignore[arg-type]
    return lambda board: sealed(board, lambda body: crc(body).to_bytes(4, "little"))


def no_cobs(board: Board) -> Wire:
    return b"".join(with_crc(body) + b"\x00" for body in bodies(board))


def no_delimiter(board: Board) -> Wire:
    return b"".join(cobs_encode(with_crc(body)) for body in bodies(board))


def newline_delimiter(board: Board) -> Wire:
    return b"".join(cobs_encode(with_crc(body)) + b"\n" for body in bodies(board))


def printf(board: Board) -> Wire:
    out = bytearray()
    for k, frame in enumerate(stream(board)):
        out += encode(frame)
        if k % 40 == 17:
            out += b"adc: overrun, dropped %d\r\n" % k
    return bytes(out)


def uart(data: bytes, *, ratio: float, gap_bits: float = 0.0) -> Wire:
    """What a receiver hears that samples `ratio` times faster than the sender sends. 8N1, framing errors ignored."""
    levels: list[int] = []
    for byte in data:
        levels += [0, *(byte >> k & 1 for k in range(8)), 1] + [1] * round(gap_bits)
    line = np.array(levels + [1] * 40, dtype=np.int8)
    out = bytearray()
    at = 0.0  # in the sender's bits
    falling = np.flatnonzero((line[1:] == 0) & (line[:-1] == 1)) + 1
    edges = np.concatenate([[0], falling]) if line[0] == 0 else falling
    while True:
        k = np.searchsorted(edges, at)
        if k >= len(edges):
            break
        start = float(edges[k])
        places = [int(start + (n + 1.5) / ratio) for n in range(9)]
        if places[-1] >= len(line):
            break
        out.append(sum(int(line[p]) << n for n, p in enumerate(places[:8])))
        at = start + 9.5 / ratio
    return bytes(out)


def slow_sender(board: Board) -> Wire:
    return uart(good(board), ratio=2.0)


def fast_sender(board: Board) -> Wire:
    return uart(good(board), ratio=0.5)


def xon_xoff(board: Board) -> Wire:
    return good(board).replace(b"\x11", b"").replace(b"\x13", b"")


def lf_to_crlf(board: Board) -> Wire:
    return good(board).replace(b"\n", b"\r\n")


def cr_to_lf(board: Board) -> Wire:
    return good(board).replace(b"\r", b"\n")


def noisy_line(board: Board) -> Wire:
    rng = np.random.default_rng(3)
    data = bytearray(good(board))
    for at in rng.integers(0, len(data), 25).tolist():
        data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


# ---- counters and time ------------------------------------------------------------------------------------------


def per_frame(board: Board) -> Wire:
    return each_data(board, lambda f, k: replace(f, sample_index=board.sample_index + k))


def milliseconds(board: Board) -> Wire:
    return each_data(board, lambda f, _: replace(f, t_us=f.t_us // 1000))


def cycles(board: Board) -> Wire:
    return each_data(board, lambda f, _: replace(f, t_us=f.t_us * 168 & 0xFFFFFFFF))


def wrong_n_samples(board: Board) -> Wire:
    out = bytearray()
    for frame in stream(board):
        body = bytearray(frame.pack())
        if isinstance(frame, Data):
            body[13] = board.n_samples - 1
        out += cobs_encode(with_crc(bytes(body))) + b"\x00"
    return bytes(out)


def big_endian_header(board: Board) -> Wire:
    out = bytearray()
    for frame in stream(board):
        body = bytearray(frame.pack())
        if isinstance(frame, Data):
            body[4:8], body[8:12] = body[4:8][::-1], body[8:12][::-1]
        out += cobs_encode(with_crc(bytes(body))) + b"\x00"
    return bytes(out)


def reset(board: Board) -> Wire:
    """A brown-out after two thirds: all counters begin anew, the boot id is another one."""
    n = int(board.seconds * board.rate)
    before = stream(replace(board, seconds=board.seconds * 2 / 3, sample_index=100_000, start_us=400_000_000))
    after = stream(replace(board, seconds=board.seconds / 3, start_us=200_000, boot_id=0x99887766, seed=n))
    return wire_of(before + after)


# ---- configuration ------------------------------------------------------------------------------------------------


def gain_change(board: Board, at_s: float = 2.0) -> Board:
    command = Command(0, 0, 9, Opcode.SET_CHANNEL, bytes([255, 12, 0, 1]))
    return replace(board, commands=((at_s, command),))


def no_info(board: Board) -> Wire:
    """The gain changes; INFO of the new config_id never comes."""
    return renumbered(
        f for f in stream(gain_change(board, 1.0)) if not (isinstance(f, Info) and f.config_id == 1)
    )


def late_info(board: Board) -> Wire:
    """The gain changes; INFO of the new config_id comes 20 packets late."""
    frames = stream(gain_change(board))
    k = next(k for k, f in enumerate(frames) if isinstance(f, Info) and f.config_id == 1)
    frames.insert(k + 20, frames.pop(k))
    return renumbered(frames)


def spanning(board: Board) -> Wire:
    """The gain is halved in the middle of a frame, which keeps the old config_id."""
    frames = stream(gain_change(board))
    last = [k for k in data_of(frames) if frames[k].config_id == 0][-1]  # type: ignore[union-attr]
    frame = frames[last]
    assert isinstance(frame, Data)
    rows = words(frame)
    signed = (rows ^ 0x800000) - 0x800000
    half = frame.n_samples // 2
    channels = np.ones(rows.shape[1], bool)
    if board.has_status:
        channels[:: board.per_converter + 1] = False
    signed[half:, channels] //= 2
    frames[last] = replace(frame, payload=payload(signed))
    return wire_of(frames)


def type_15(board: Board) -> Wire:
    frames = stream(board)
    frames.insert(len(frames) // 2, Host(1, 0x1122334455667788, b"trace"))
    return wire_of(frames)


# ---- samples -----------------------------------------------------------------------------------------------------


def swapped(board: Board) -> Wire:
    return each_words(board, lambda w: (w & 0xFF) << 16 | w & 0xFF00 | w >> 16)


def no_sign(board: Board) -> Wire:
    """The firmware keeps 16 bits and widens them as if they were unsigned."""
    n = int(board.seconds * board.rate)
    board = replace(board, signal=zero_mean(n, board.n_channels, seed=board.seed))
    return each_words(board, lambda w: w & 0xFFFF)


def off_by_one(board: Board) -> Wire:
    """The status word is taken for channel 1, and every channel comes one place late."""
    return each_words(board, lambda w: np.concatenate([np.full((len(w), 1), 0xC00000), w[:, :-1]], axis=1))


def off_by_one_status(board: Board) -> Wire:
    return each_words(replace(board, has_status=True), lambda w: np.roll(w, 1, axis=1))


def bit_slip(board: Board) -> Wire:
    """The words are read one clock late, in the second half of the capture."""
    return each_words(replace(board, has_status=True), late, start=0.5)


def late(w: NDArray[np.int64]) -> NDArray[np.int64]:
    following = np.concatenate([w[:, 1:], np.zeros((len(w), 1), np.int64)], axis=1)
    return (w << 1 | following >> 23) & 0xFFFFFF


def early(w: NDArray[np.int64]) -> NDArray[np.int64]:
    before = np.concatenate([np.zeros((len(w), 1), np.int64), w[:, :-1]], axis=1)
    return (w >> 1 | before << 23) & 0xFFFFFF


def unanswered(board: Board) -> Wire:
    """Both directions of a line: the host asks three times."""
    frames: list[Frame] = [f for f in stream(board) if isinstance(f, Info | Heartbeat | Data)]
    wires = [encode(replace(frame, link_seq=k & 0xFFFF)) for k, frame in enumerate(frames)]
    wires[10:10] = [encode_command(Command(k, 0, 77, Opcode.IDENTIFY)) for k in range(3)]
    return b"".join(wires)


GALLERY: dict[str, tuple[str, Callable[[Board], Wire]]] = {
    "missing-cobs": ("packets are sent without COBS", no_cobs),
    "missing-delimiter": ("no 0x00 between packets", no_delimiter),
    "text-in-stream": ("a printf after every 40th packet", printf),
    "wrong-baud": ("read at twice the baud rate", slow_sender),
    "flow-control": ("XON/XOFF: 0x11 and 0x13 swallowed", xon_xoff),
    "newline-translation": ("LF turned into CR LF", lf_to_crlf),
    "line-damage": ("25 single bits flipped on the line", noisy_line),
    "crc-initial-value": ("CRC begins with 0", crc_wrong(init=0)),
    "crc-reflection": ("CRC without reflection", crc_wrong(refin=False, refout=False)),
    "crc-final-xor": ("CRC without final XOR", crc_wrong(xorout=0)),
    "crc-byte-order": (
        "CRC most significant byte first",
        lambda b: sealed(b, lambda x: crc32c(x).to_bytes(4, "big")),
    ),
    "crc-range": ("CRC from byte 4 on", lambda b: sealed(b, lambda x: crc32c(x[4:]).to_bytes(4, "little"))),
    "crc-polynomial": ("CRC-32 of zlib", crc_wrong(poly=0x04C11DB7)),
    "counter-per-frame": ("sample_index counts frames", per_frame),
    "header-byte-order": ("sample_index and t_us big-endian", big_endian_header),
    "time-unit": ("t_us in milliseconds", milliseconds),
    "device-reset": ("the device restarts after two thirds", reset),
    "wrong-n-samples": ("n_samples one too small", wrong_n_samples),
    "type-15-on-wire": ("a packet of type 15", type_15),
    "no-info": ("no INFO after a change of gain", no_info),
    "late-info": ("INFO 20 packets after a change of gain", late_info),
    "frame-spans-configurations": ("gain halved in the middle of a frame", spanning),
    "no-answer": ("three commands and no answer", unanswered),
    "sample-byte-order": ("samples least significant byte first", swapped),
    "sign-extension": ("16 bits widened as unsigned", no_sign),
    "channel-off-by-one": ("the status word taken for channel 1", off_by_one),
    "spi-bit-slip": ("words read one clock late, in the second half", bit_slip),
}

__all__ = [
    "GALLERY",
    "Board",
    "Event",
    "Fault",
    "Log",
    "Path",
    "Pattern",
    "argparse",
    "good",
    "stream",
    "sys",
]
