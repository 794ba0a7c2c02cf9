"""Good captures of boards of any shape, and ways to change what is in them.

They come from the reference device, so they are what a device that keeps the specification would have sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import Data, Decoder, DeviceConfig, Fault, Frame, ReferenceDevice, crc32c
from firmware_protocol.cobs import cobs_encode
from firmware_protocol.codec import encode, encode_command
from firmware_protocol.codes import Opcode
from firmware_protocol.frames import Command

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


def gain_change(board: Board, part: float = 0.5) -> Board:
    """The gain is changed after a part of the capture."""
    command = Command(0, 0, 9, Opcode.SET_CHANNEL, bytes([255, 12, 0, 1]))
    return replace(board, commands=((part * board.seconds, command),))
