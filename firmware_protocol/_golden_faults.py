"""Golden vectors that hold damage: each kind of fault, what leads to it, and what is still found around it."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator

from firmware_protocol._golden_frames import EEG, Sent, _ends_with_a_full_block, data, info
from firmware_protocol.cobs import cobs_encode
from firmware_protocol.codec import encode, seal
from firmware_protocol.crc import REFLECTED_POLYNOMIAL, crc32c
from firmware_protocol.frames import Command, Event, Heartbeat, Host, Log, Response, Unknown
from firmware_protocol.limits import CRC_SIZE

__all__ = ["damage"]

GOOD = encode(data([EEG], link_seq=7))
NEXT = encode(Event(8, 0, 1004, 4_016_000, 1, 769, 0))


def damage() -> Iterator[Sent]:
    """Name, what it shows, wire bytes. What a decoder must find in them is told by the reference decoder."""
    yield from _framing()
    yield from _crc()
    yield from _versions()
    yield from _headers()
    yield from _contents()
    yield from _delimiters()
    yield from _line()


def _framing() -> Iterator[Sent]:
    yield "cobs-past-the-end", "a code byte points past the end", b"\x05\x11\x22\x00" + NEXT
    yield "cobs-one-missing", "the last byte was lost", GOOD[:-2] + b"\x00" + NEXT
    yield "cobs-first-missing", "the first byte was lost", GOOD[1:] + NEXT
    for n in range(1, 8):
        yield f"short-{n}", f"{n} byte(s) after COBS", cobs_encode(bytes(range(1, n + 1))) + b"\x00" + NEXT
    yield "short-empty", "one code byte that stands for nothing", b"\x01\x00" + NEXT
    yield "short-zeros", "seven zeros in COBS", b"\x01" * 8 + b"\x00" + NEXT
    yield (
        "undelimited",
        "700 bytes without a delimiter: one fault, and what follows is discarded",
        b"\x55" * 700 + b"\x00" + NEXT,
    )
    yield (
        "undelimited-658",
        "exactly as many bytes as the longest packet, and a delimiter",
        b"\x55" * 658 + b"\x00" + NEXT,
    )
    yield "undelimited-659", "one more than that, and a delimiter", b"\x55" * 659 + b"\x00" + NEXT
    yield (
        "undelimited-5000",
        "a discarded stretch is one fault however long it is",
        b"\x77" * 5000 + b"\x00" + NEXT,
    )
    yield (
        "undelimited-behind-a-packet",
        "a packet whose delimiter was lost, and noise",
        GOOD[:-1] + b"\x55" * 900 + b"\x00" + NEXT,
    )
    yield "truncated", "the stream ends within a packet", NEXT + GOOD[:20]
    yield "truncated-code-byte", "the stream ends behind a code byte", NEXT + GOOD[:1]
    yield (
        "truncated-delimiter",
        "the stream ends before the last delimiter: nothing is lost",
        NEXT + GOOD[:-1],
    )


def _crc() -> Iterator[Sent]:
    body = data([EEG], link_seq=7).pack()
    right = crc32c(body)
    for at, what in ((1, "a flag"), (5, "sample_index"), (20, "a sample"), (len(body), "the CRC itself")):
        packet = bytearray(body + right.to_bytes(CRC_SIZE, "little"))
        packet[at] ^= 0x10
        yield (
            f"crc-flipped-bit-{at}",
            f"a bit of {what} was flipped",
            cobs_encode(bytes(packet)) + b"\x00" + NEXT,
        )
    variants: dict[str, tuple[str, bytes]] = {
        "big-endian": ("the CRC is sent most significant byte first", right.to_bytes(CRC_SIZE, "big")),
        "no-final-xor": ("the CRC is not complemented", (right ^ 0xFFFFFFFF).to_bytes(CRC_SIZE, "little")),
        "initial-0": ("the register begins with 0", _crc_from(0, body)),
        "header-left-out": (
            "the CRC covers what follows the common header only",
            _crc_from(0xFFFFFFFF, body[4:]),
        ),
        "of-zlib": (
            "CRC-32 with the polynomial of Ethernet and zlib",
            _crc_from(0xFFFFFFFF, body, 0xEDB88320),
        ),
        "zero": ("no CRC at all", bytes(CRC_SIZE)),
    }
    for name, (about, check) in variants.items():
        yield f"crc-{name}", about, cobs_encode(body + check) + b"\x00" + NEXT
    yield "crc-over-cobs", "the CRC was made over the coded bytes", _over_cobs(body) + NEXT
    yield (
        "crc-delimiter-inside",
        "a zero in place of a byte cuts a packet in two",
        GOOD[:20] + b"\x00" + GOOD[21:] + NEXT,
    )


def _crc_from(register: int, data: bytes, polynomial: int = REFLECTED_POLYNOMIAL) -> bytes:
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return (register ^ 0xFFFFFFFF).to_bytes(CRC_SIZE, "little")


def _over_cobs(body: bytes) -> bytes:
    return cobs_encode(body + crc32c(cobs_encode(body)).to_bytes(CRC_SIZE, "little")) + b"\x00"


def _versions() -> Iterator[Sent]:
    for version in (0, 2, 15):
        packet = bytearray(Event(8, 0, 1004, 0, 1, 769, 0).pack())
        packet[0] = version << 4 | packet[0] & 15
        yield f"unsupported-version-{version}", f"version {version}", seal(bytes(packet)) + NEXT
    for name, body in (
        ("data", data([EEG], flags=0x80).pack()),
        ("log", Log(1, 0x80, 0, 1, "x").pack()),
        ("unknown", Unknown(1, 0x80, 7, b"later").pack()),
    ):
        yield f"unsupported-b7-{name}", "whoever does not know every part must not use it", seal(body) + NEXT
    yield "host-on-wire", "type 15 belongs in recordings only", encode(Host(3, 1, b"note")) + NEXT
    yield "host-on-wire-short", "the same, too short for a nonce", seal(b"\x1f\x00\x00\x00") + NEXT


def _changed(frame: bytes, at: int, value: int) -> bytes:
    return seal(frame[:at] + bytes([value]) + frame[at + 1 :]) + NEXT


def _headers() -> Iterator[Sent]:
    """Numbers that state the length."""
    plain, words = data([EEG]).pack(), data([EEG], status=[0xC00000]).pack()
    for at, value, name in (
        (12, 0, "no channels"),
        (12, 65, "65 channels"),
        (13, 0, "no conversions"),
        (13, 33, "33 conversions"),
        (14, 2, "sample type 2"),
        (14, 3, "sample type 3"),
        (14, 0x30, "converter code 3"),
    ):
        yield f"field-data-{name.replace(' ', '-')}", f"DATA: {name}", _changed(plain, at, value)
    yield (
        "field-data-part-of-a-converter",
        "7 channels with status words of converters of 8",
        _changed(words, 12, 7),
    )
    yield (
        "field-data-above-655",
        "64 channels × 4 would be 788 bytes",
        _changed(data([EEG * 8] * 3).pack(), 13, 4),
    )
    for about, frame, at, value in (
        ("INFO without channels", info(1).pack(), 7, 0),
        ("INFO with 17 channels on a page", info(16).pack(), 7, 17),
        ("RESPONSE with 41 bytes", Response(1, 0, 2, 3, 0, 4, bytes(40)).pack(), 16, 41),
        ("COMMAND with 117 bytes", Command(1, 0, 2, 3, bytes(116)).pack(), 7, 117),
    ):
        name = about.split()[0].lower()
        yield f"field-{name}-{'none' if value == 0 else value}", about, _changed(frame, at, value)
    log = bytearray(Log(1, 0, 2, 1, "x" * 639).pack())
    log[10:12] = struct.pack("<H", 640)
    yield "field-log-640", "LOG with 640 bytes", seal(bytes(log)) + NEXT
    for name, frame in (
        ("data", plain),
        ("event", Event(8, 0, 1004, 0, 1, 769, 0).pack()),
        ("info", info(1).pack()),
        ("response", Response(1, 0, 2, 3, 0, 4, b"ab").pack()),
        ("heartbeat", Heartbeat(1, 0, 2, 3, 4, 5, 6).pack()),
        ("log", Log(1, 0, 2, 1, "text").pack()),
        ("command", Command(1, 0, 2, 3, b"ab").pack()),
    ):
        yield f"length-{name}-one-more", "one byte more than the header states", seal(frame + b"\x01") + NEXT
        yield f"length-{name}-one-less", "one byte less", seal(frame[:-1]) + NEXT
        yield f"length-{name}-header-only", "shorter than its type's fixed part", seal(frame[:4]) + NEXT
    yield (
        "length-unknown-656",
        "a type of a later version, one byte above the longest packet",
        seal(b"\x17" + bytes(651)) + NEXT,
    )


def _contents() -> Iterator[Sent]:
    """Values of INFO and LOG that do not state the length."""
    page = info(2, has_status=False).pack()
    for name, at, value in (
        ("no-pages", 5, b"\x00"),
        ("65-pages", 5, b"\x41"),
        ("page-not-below-pages", 4, b"\x01"),
        ("channels-beyond-n-channels", 6, b"\x01"),
        ("no-channels", 14, b"\x00"),
        ("65-channels", 14, b"\x41"),
        ("format-not-defined", 15, b"\x02"),
        ("part-of-a-converter", 15, b"\x04"),
        ("no-conversions", 24, b"\x00"),
        ("33-conversions", 24, b"\x21"),
        ("rate-0", 16, bytes(4)),
        ("rate-denominator-0", 20, bytes(4)),
        ("device-id-no-utf-8", 28, b"\xff"),
        ("device-id-nul-inside", 30, b"\x00"),
        ("firmware-no-utf-8", 52, b"\x80"),
        ("label-no-utf-8", 68, b"\xc3\x28"),
        ("label-nul-inside", 68, b"\x00"),
        ("label-of-16-bytes", 68, b"x" * 16),
        ("scale-0", 84, bytes(8)),
        ("scale-minus-0", 84, struct.pack("<d", -0.0)),
        ("scale-infinite", 84, struct.pack("<d", -math.inf)),
        ("scale-nan", 84, struct.pack("<d", math.nan)),
    ):
        yield (
            f"field-info-{name}",
            f"INFO: {name.replace('-', ' ')}",
            seal(page[:at] + value + page[at + len(value) :]) + NEXT,
        )
    for name, text in (
        ("lone-continuation", b"a\x80"),
        ("cut-short", b"a\xe6\x9d"),
        ("overlong-2", b"\xc0\xaf"),
        ("overlong-3", b"\xe0\x9f\xbf"),
        ("overlong-4", b"\xf0\x8f\xbf\xbf"),
        ("surrogate", b"\xed\xa0\x80"),
        ("above-10ffff", b"\xf4\x90\x80\x80"),
        ("ff", b"\xff"),
        ("bad-third", b"\xe6\x9d\x41"),
    ):
        body = Log(1, 0, 2, 1, "").pack()
        body = body[:10] + struct.pack("<H", len(text)) + text
        yield f"field-log-{name}", f"LOG text that is not UTF-8: {name.replace('-', ' ')}", seal(body) + NEXT


def _delimiters() -> Iterator[Sent]:
    third = encode(Log(9, 0, 0, 1, "still here"))
    yield "missing-delimiter", "two packets without one between them: both are found", GOOD[:-1] + NEXT
    yield "missing-delimiters", "three packets", GOOD[:-1] + NEXT[:-1] + third
    yield (
        "missing-delimiter-and-damage",
        "the second is damaged: the first is found",
        GOOD[:-1] + NEXT[:9] + b"\x7f" + NEXT[10:] + third,
    )
    yield (
        "missing-delimiter-and-garbage",
        "a packet, and bytes that are none",
        GOOD[:-1] + b"\x09\x11" + b"\x00" + NEXT,
    )
    for value in (1, 2, 27, 255):
        wire = GOOD[:-1] + bytes([value]) + NEXT + third
        yield f"changed-delimiter-{value}", f"{value} in place of a delimiter: at most two packets", wire
    full = _ends_with_a_full_block()
    for name, joint in (("none", b""), ("1", b"\x01"), ("2", b"\x02")):
        wire = full[:-1] + joint + NEXT
        yield f"missing-delimiter-full-block-{name}", "behind a packet that ends with a full COBS block", wire
    yield (
        "extra-delimiter",
        "a packet cut in two by a delimiter that does not belong there",
        GOOD[:15] + b"\x00" + GOOD[15:] + NEXT,
    )


def _line() -> Iterator[Sent]:
    """What lines and firmware do to a stream."""
    edits: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
        ("printf", "text of a printf between packets", lambda w: b"temp=36.5\r\n" + w),
        ("printf-inside", "text of a printf within a packet", lambda w: w[:11] + b"ok\r\n" + w[11:]),
        ("xon-xoff", "a line that swallows 0x11 and 0x13", lambda w: w.translate(None, b"\x11\x13")),
        ("lf-to-crlf", "a line that puts 0D before 0A", lambda w: w.replace(b"\n", b"\r\n")),
        ("seven-bits", "a line that clears the eighth bit", lambda w: bytes(byte & 0x7F for byte in w)),
        ("no-cobs", "packets sent without COBS", lambda w: data([EEG]).pack() + b"\x00"),
        ("byte-twice", "a byte came twice", lambda w: w[:9] + w[8:]),
        ("bytes-swapped", "two bytes changed places", lambda w: w[:9] + w[10:11] + w[9:10] + w[11:]),
    )
    wire = encode(data([[10, 17, 19, 2570, -1, 0, 255, -256]], link_seq=7))
    for name, about, edit in edits:
        yield f"line-{name}", about, edit(wire) + NEXT
    yield "line-joined-midway", "listening begins within a packet", GOOD[20:] + GOOD + NEXT
    yield "line-noise", "noise between packets", GOOD + bytes(range(255, 40, -3)) + b"\x00" + NEXT
