"""Captures of a good device and of one with each mistake that the validator knows by name.

`GALLERY` maps the name of a cause to a function that spoils a good capture. Captures come from the reference device,
so they are what a device that keeps the specification would have sent; a mistake is then made in one place only.

    python -m tests.firmware_protocol.gallery --write docs/validator.md
    python -m tests.firmware_protocol.gallery --captures captures/

The first writes the table of that page anew: cause, what was done to the capture, what the validator printed. The
second writes the captures to files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import Data, Frame, Heartbeat, Info, crc32c
from firmware_protocol.cobs import cobs_encode
from firmware_protocol.codec import encode, encode_command
from firmware_protocol.codes import Opcode
from firmware_protocol.frames import Command, Host
from firmware_protocol.validator import CaptureCheck, Report
from tests.firmware_protocol.captures import (
    Board,
    Wire,
    bodies,
    crc_with,
    data_of,
    each_data,
    each_words,
    gain_change,
    good,
    payload,
    renumbered,
    sealed,
    stream,
    uart,
    wire_of,
    with_crc,
    words,
    zero_mean,
)

# ---- framing -----------------------------------------------------------------------------------------------------


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


def slow_sender(board: Board) -> Wire:
    return uart(good(board), ratio=2.0)


def xon_xoff(board: Board) -> Wire:
    return good(board).replace(b"\x11", b"").replace(b"\x13", b"")


def lf_to_crlf(board: Board) -> Wire:
    return good(board).replace(b"\n", b"\r\n")


def noisy_line(board: Board) -> Wire:
    rng = np.random.default_rng(3)
    data = bytearray(good(board))
    for at in rng.integers(0, len(data), len(data) // 1300).tolist():
        data[at] ^= 1 << int(rng.integers(8))
    return bytes(data)


# ---- counters and time ------------------------------------------------------------------------------------------


def per_frame(board: Board) -> Wire:
    return each_data(board, lambda f, k: replace(f, sample_index=board.sample_index + k))


def milliseconds(board: Board) -> Wire:
    return each_data(board, lambda f, _: replace(f, t_us=f.t_us // 1000))


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
    """A brown-out at the very moment sample_index would have wrapped: all counters begin anew, with another boot_id."""
    n = int(board.seconds * board.rate * 2 / 3) // board.n_samples * board.n_samples
    first = 2**32 - n
    before = stream(replace(board, seconds=n / float(board.rate), sample_index=first, start_us=400_000_000))
    after = stream(replace(board, seconds=board.seconds / 3, start_us=200_000, boot_id=0x99887766, seed=n))
    return wire_of(before + after)


# ---- configuration ------------------------------------------------------------------------------------------------


def no_info(board: Board) -> Wire:
    """The gain changes; INFO of the new config_id never comes."""
    return renumbered(
        f for f in stream(gain_change(board, 0.25)) if not (isinstance(f, Info) and f.config_id == 1)
    )


def late_info(board: Board) -> Wire:
    """The gain changes; INFO of the new config_id comes 20 packets late."""
    frames = stream(gain_change(board, 0.35))
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
    "line-damage": ("single bits flipped here and there", noisy_line),
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
    "device-reset": ("the device restarts just where sample_index would have wrapped", reset),
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

BOARD = Board(has_status=True)  # whose captures the table shows
_BEGIN, _END = "<!-- table of causes -->", "<!-- end -->"


@cache
def report(name: str) -> Report:
    """What the validator says of the capture with this mistake."""
    check = CaptureCheck()
    check.feed(GALLERY[name][1](BOARD))
    return check.finish("capture.bin")


def table() -> str:
    """Cause, what was done to the capture, what `frame-validator check` says of it; in Markdown."""
    rows = ["| cause | what was done | what it printed |", "| --- | --- | --- |"]
    for name, (done, _) in GALLERY.items():
        cause = next(cause for cause in report(name).causes if cause.name == name)
        said = f"{cause.rule.id} {name} ({cause.certainty_word}), byte {cause.offset}: {cause.text}"
        rows.append(f"| `{name}` | {done} | {said.replace('|', '&#124;')} |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """The page with its table made anew."""
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{rest.split(_END, 1)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table of this page anew")
    parser.add_argument("--captures", type=Path, metavar="FOLDER", help="write the captures there")
    args = parser.parse_args()
    if args.write:
        args.write.write_text(with_table(args.write.read_text(encoding="utf-8")), encoding="utf-8")
    if args.captures:
        args.captures.mkdir(parents=True, exist_ok=True)
        (args.captures / "good.bin").write_bytes(good(BOARD))
        for name, (_, spoil) in GALLERY.items():
            (args.captures / f"{name}.bin").write_bytes(spoil(BOARD))


if __name__ == "__main__":
    main()
