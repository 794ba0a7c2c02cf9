"""Golden vectors that hold frames: every type, and the edges of what each may hold."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import replace

from firmware_protocol._samples import pack_counts, status_word
from firmware_protocol.codec import encode, encode_command, seal
from firmware_protocol.codes import (
    DeviceState,
    EventCode,
    EventSource,
    Flag,
    HostKind,
    LeadOff,
    LogLevel,
    Opcode,
    Pattern,
    Status,
)
from firmware_protocol.frames import (
    Command,
    Data,
    Event,
    Frame,
    Heartbeat,
    Host,
    Info,
    Log,
    Response,
    Unknown,
)
from firmware_protocol.layout import COMMANDS, PACKETS
from firmware_protocol.limits import MAX_COMMAND_PAYLOAD, MAX_HOST_PAYLOAD, MAX_LOG_TEXT, MAX_RESPONSE_PAYLOAD
from firmware_protocol.patterns import FULL_SCALE, pattern_counts
from firmware_protocol.spec_text import FLAG_TEXT, STATE_TEXT, worked_frames

__all__ = ["NONCE", "Sent", "frames", "recordings", "streams"]

NONCE = 0x1122334455667788
MAX32, MAX64 = 2**32 - 1, 2**64 - 1
TOP, BOTTOM = FULL_SCALE - 1, -FULL_SCALE
EEG = [3, -70, 1200, 65_536, -1, 0, 255, -256]

#: Name, what it shows, wire bytes.
Sent = tuple[str, str, bytes]


def data(rows: list[list[int]], *, status: list[int] | None = None, c: int = 8, **fields: int) -> Data:
    given = {"link_seq": 7, "flags": 0, "sample_index": 1000, "t_us": 4_000_000, "config_id": 3} | fields
    return Data(
        n_channels=len(rows[0]),
        n_samples=len(rows),
        payload=pack_counts(rows, status=status, channels_per_converter=c),
        has_status=status is not None,
        channels_per_converter=c,
        **given,
    )


def info(n_channels: int = 8, *, page: int = 0, **fields: object) -> Info:
    first = 16 * page
    n_here = min(16, n_channels - first)
    given: dict[str, object] = {
        "link_seq": 5,
        "flags": 0,
        "page": page,
        "pages": -(-n_channels // 16),
        "first_channel": first,
        "device_id": "0123456789abcdef01234567",
        "firmware": "1.4.2",
        "boot_id": 0xC0FFEE01,
        "state": DeviceState.IDLE,
        "rate_num": 250,
        "rate_den": 1,
        "config_id": 3,
        "n_channels": n_channels,
        "n_samples": 2,
        "labels": tuple(f"E{first + k + 1}" for k in range(n_here)),
        "uv_per_count": (4.5e6 / 24 / TOP,) * n_here,
    }
    return Info(**(given | fields))  # type: ignore[arg-type]


def frames() -> Iterator[tuple[str, str, Frame]]:
    """Name, what it shows, frame. The wire is what `encode` makes of it."""
    for name, frame in worked_frames().items():
        if not isinstance(frame, Host):
            yield f"spec-{name.lower()}", "worked frame of SPEC.md, section 11", frame
    yield from _data()
    yield from _float_data()
    yield from _event_frames()
    yield from _info_frames()
    yield from _responses()
    yield from _heartbeats()
    yield from _logs()
    yield from _commands()
    for number in (n for n in range(16) if n not in PACKETS):
        yield (
            f"unknown-{number}",
            "a type of a later version: skipped and counted",
            Unknown(9, 0, number, b"\x01\x00\x02"),
        )
    yield "unknown-shortest", "8 bytes, the shortest packet", Unknown(9, 0, 7, b"")
    yield "unknown-longest", "655 bytes, the longest packet", Unknown(9, 0, 7, bytes(647))


def _data() -> Iterator[tuple[str, str, Data]]:
    yield "data-1-channel", "one channel, one conversion, no status words", data([[-2]])
    yield "data-1-channel-32", "one channel, 32 conversions", data([[k * 1000 - 16_000] for k in range(32)])
    yield "data-8-channels", "no status words", data([EEG, EEG[::-1]])
    yield "data-8-channels-status", "one converter of 8 channels", data([EEG, EEG[::-1]], status=[0xC00000])
    yield "data-64-channels", "three conversions, 596 bytes", data([EEG * 8] * 3)
    words = [status_word(1 << k, 0x80 >> k, k) for k in range(8)]
    yield (
        "data-64-channels-status",
        "eight converters, each its own status word",
        data([EEG * 8] * 2, status=words),
    )
    for c in (6, 4):
        for n in (1, 2):
            row = [k * 100_000 - 300_000 for k in range(n * c)]
            words = [status_word(0b101, 0b010, 0b1001)] * n
            yield (
                f"data-{n}x{c}-channels-status",
                f"{n} converter(s) of {c} channels",
                data([row], status=words, c=c),
            )
    yield "data-6-channels", "converters of 6 without status words: b4-5 of format is 1", data([EEG[:6]], c=6)
    yield "data-5-channels", "without status words any number of channels goes", data([EEG[:5]])
    yield "data-longest", "30 conversions of 7 channels, 650 bytes: no DATA is longer", data([EEG[:7]] * 30)
    yield "data-full-scale", "positive and negative full scale", data([[TOP, BOTTOM] * 4, [BOTTOM, TOP] * 4])
    yield "data-minus-one", "all bits set", data([[-1] * 8], link_seq=0xFFFF, sample_index=MAX32, t_us=MAX32)
    yield "data-zeros", "all samples 0: as many COBS blocks as bytes", data([[0] * 8] * 4)
    yield (
        "data-no-zero-byte",
        "no byte is 0: full COBS blocks",
        data([[0x111111] * 40] * 4, link_seq=0x1111, flags=0x11, sample_index=0x11111111, t_us=0x11111111),
    )
    yield "data-link-seq-wrap", "link_seq at its end; the next is 0", data([EEG], link_seq=0xFFFF)
    wrap = data([EEG] * 4, sample_index=MAX32 - 1)
    yield "data-sample-index-wrap", "sample_index wraps within the packet: 4294967294, 4294967295, 0, 1", wrap
    yield "data-t-us-wrap", "t_us one step before its wrap", data([EEG], t_us=MAX32)
    yield "data-config-id-wrap", "config_id at its end; the next is 0", data([EEG], config_id=255)
    for k in range(8):
        word = status_word(1 << k, 0x80 >> k)
        about = f"positive input of channel {k + 1} and negative input of channel {8 - k} off"
        yield f"data-lead-off-{k + 1}", about, data([EEG], status=[word], flags=Flag.AC_LEAD_OFF)
    yield (
        "data-lead-off-all",
        "all inputs off, all GPIO bits set",
        data([EEG], status=[status_word(255, 255, 15)]),
    )
    yield (
        "data-status-slip",
        "status word without 1100 in front: still a frame, a slip on the converter's bus",
        data([EEG], status=[0x600000]),
    )
    for flag in list(Flag)[:7]:
        name = str(flag.name).lower().replace("_", "-")
        yield f"data-flag-{name}", f"b{flag.bit_length() - 1}: {FLAG_TEXT[flag]}", data([EEG], flags=flag)
    yield "data-all-flags", "b0 to b6", data([EEG], flags=0x7F)
    for pattern in (Pattern.RAMP, Pattern.PRBS):
        rows = [pattern_counts(pattern, 1000 + i, 8) for i in range(4)]
        about = f"test pattern {pattern} of SPEC 6.6, conversions 1000 to 1003"
        yield f"data-pattern-{pattern.name.lower()}", about, data(rows, flags=Flag.TEST_SIGNAL)


def _float_data() -> Iterator[tuple[str, str, Data]]:
    values = struct.pack("<4f", 1.0, -0.5, 8_388_607.0, -8_388_608.0)
    plain = data([[0, 0]] * 2)
    yield (
        "data-float32",
        "float32 samples, as programs store them",
        replace(plain, payload=values, sample_type=1),
    )
    words = b"\xc0\x00\x00" + struct.pack("<4f", 0.0, -0.0, math.inf, 1e-40)
    status = replace(data([[0] * 4], status=[0xC00000], c=4), payload=words, sample_type=1)
    yield (
        "data-float32-status",
        "float32 samples with a status word; -0, infinity, a subnormal number",
        status,
    )


def _event_frames() -> Iterator[tuple[str, str, Event]]:
    for name, value in (("largest", 2**31 - 1), ("smallest", -(2**31)), ("minus-one", -1)):
        yield (
            f"event-value-{name}",
            "value is signed",
            Event(8, 0, 1004, 4_016_000, EventSource.BUTTON, 3, value),
        )
    for code in EventCode:
        yield (
            f"event-{code.name.lower().replace('_', '-')}",
            "an event of the device",
            Event(8, 0, MAX32, MAX32, EventSource.DEVICE, code, 2000 if code == EventCode.WATCHDOG else 0),
        )
    yield "event-unknown-source", "a source of a later version is no fault", Event(8, 0, 0, 0, 200, 0xFFFF, 0)


def _info_frames() -> Iterator[tuple[str, str, Info]]:
    yield "info-1-channel", "one channel", info(1)
    for page in range(4):
        yield f"info-64-channels-page-{page}", "64 channels on four pages", info(64, page=page)
    yield (
        "info-one-channel-on-a-page",
        "pages need not be full",
        info(8, pages=8, first_channel=5, labels=("C3",), uv_per_count=(0.02235,), page=5),
    )
    for c in (8, 6, 4):
        yield (
            f"info-converters-of-{c}",
            "with status words",
            info(2 * c, has_status=True, channels_per_converter=c),
        )
    yield (
        "info-utf-8",
        "texts of more than one byte a character; a label of 15 bytes",
        info(2, device_id="板 µV", firmware="β", labels=("左前額葉一", "µ"), uv_per_count=(0.02235, 0.02235)),
    )
    yield "info-empty-texts", "no text at all", info(1, device_id="", firmware="", labels=("",))
    yield (
        "info-full-texts",
        "texts without a filling zero",
        info(1, firmware="0123456789abcdef", labels=("x" * 15,)),
    )
    yield (
        "info-scales",
        "negative, tiny and huge µV per count",
        info(3, uv_per_count=(-0.02235, 5e-324, 1.7e308)),
    )
    yield "info-rate", "500/3 Hz", info(1, rate_num=500, rate_den=3)
    yield (
        "info-numbers-at-their-ends",
        "largest rate, boot_id, config_id",
        info(1, rate_num=MAX32, rate_den=MAX32, boot_id=MAX32, config_id=255, link_seq=0xFFFF, n_samples=32),
    )
    for state in list(DeviceState)[1:]:
        yield f"info-{state.name.lower()}", f"state {state}: {STATE_TEXT[state]}", info(1, state=state)
    for mode in list(LeadOff)[1:]:
        name = mode.name.lower().replace("_", "-")
        yield f"info-lead-off-{name}", f"lead-off excitation {mode}", info(1, lead_off=mode)


def _responses() -> Iterator[tuple[str, str, Response]]:
    for status in Status:
        about = f"status {status}, no results"
        yield (
            f"response-{status.name.lower().replace('_', '-')}",
            about,
            Response(1, 0, 0x1234, Opcode.SET_RATE, status, 3_990_000),
        )
    full = bytes(range(MAX_RESPONSE_PAYLOAD))
    yield "response-longest", "64 bytes", Response(1, 0, 0xFFFF, Opcode.READ_REGISTER, Status.OK, MAX64, full)


def _heartbeats() -> Iterator[tuple[str, str, Heartbeat]]:
    yield (
        "heartbeat-zeros",
        "at boot; supply 0 and temperature -32768: not measured",
        Heartbeat(0, 0, 0, 0, 0, 0, 0),
    )
    ends = Heartbeat(0xFFFF, 0, MAX32, MAX64, MAX64, MAX64, MAX32, 0xFFFF, 3276.7)
    yield "heartbeat-largest", "every number at its end", ends
    yield "heartbeat-cold", "-0.1 °C", Heartbeat(9, 0, 1, 5_000_000, 1250, 4, 2, 3300, -0.1)
    wrapped = Heartbeat(9, 0, 1, 2**32, 2**32 + 5, 0, 0)
    yield "heartbeat-behind-a-wrap", "t_us and sample_index have all 64 bits here", wrapped


def _logs() -> Iterator[tuple[str, str, Log]]:
    for level in LogLevel:
        yield (
            f"log-{level.name.lower()}",
            f"level {level}",
            Log(10, 0, 5_000_100, level, "converter 1 is ready"),
        )
    yield "log-empty", "no text", Log(10, 0, 0, 0, "")
    yield (
        "log-longest",
        "639 bytes of text, a packet of 655",
        Log(10, 0, 1, 1, "0123456789" * 63 + "end of it"),
    )
    yield "log-utf-8", "one, two, three and four bytes a character", Log(10, 0, 0, 1, "a µ 板 𝛼")
    yield "log-nul", "the text may hold the byte 0", Log(10, 0, 0, 1, "a\0b\0")
    for n in (*range(238, 246), *range(492, 500)):
        text = "x" * n
        about = f"{n} letters, no zero but in the header: around the end of a full COBS block"
        yield f"log-{n}", about, Log(0x0A0A, 0, 0x01010101, 1, text)
    assert MAX_LOG_TEXT == 639


def _commands() -> Iterator[tuple[str, str, Command]]:
    for opcode, command in COMMANDS.items():
        name = opcode.name.lower().replace("_", "-")
        arguments = bytes(range(1, 1 + command.struct.size)) + (
            b"\x60\x61" if command.more_arguments else b""
        )
        yield f"command-{name}", command.text, Command(0, 0, 0x1234, opcode, arguments)
    yield "command-start-without-arguments", "the watchdog's default", Command(0, 0, 1, Opcode.START)
    full = bytes(range(MAX_COMMAND_PAYLOAD))
    yield "command-longest", "128 bytes", Command(0xFFFF, 0, 0xFFFF, Opcode.WRITE_REGISTER, full)
    yield (
        "command-unknown-opcode",
        "a frame; the device answers UNKNOWN_OPCODE",
        Command(0, 0, 2, 0xEE, b"\x00"),
    )


def streams() -> Iterator[Sent]:
    """More than one frame, or a form that an encoder need not make."""
    a, b = (
        data([EEG], link_seq=0xFFFF, sample_index=MAX32),
        data([EEG], link_seq=0, sample_index=0, t_us=4_004_000),
    )
    yield "stream-wraps", "link_seq and sample_index wrap from one packet to the next", encode(a) + encode(b)
    start = Command(0, 0, 1, Opcode.START)
    yield "stream-command", "a delimiter before a COMMAND means nothing", encode_command(start)
    yield (
        "stream-delimiters",
        "delimiters that follow each other mean nothing",
        bytes(3) + encode(a) + bytes(5) + encode(b),
    )
    full = _ends_with_a_full_block()
    yield "stream-full-block", "a packet that ends with a full COBS block, code 255", full
    yield (
        "stream-full-block-and-1",
        "the same with a code byte 1 behind it, which encoders may write",
        full[:-1] + b"\x01\x00",
    )
    for name, frame, at in (("event", Event(8, 0, 1004, 0, 1, 769, 0), 13), ("log", Log(1, 0, 2, 1, "x"), 9)):
        packet = bytearray(frame.pack())
        packet[at] = 0xA5
        yield f"stream-reserved-byte-{name}", "reserved bytes are ignored by receivers", seal(bytes(packet))
    for bit in (3, 6, 7):
        packet = bytearray(data([EEG]).pack())
        packet[14] |= 1 << bit
        yield (
            f"stream-reserved-bit-{bit}",
            f"b{bit} of format is reserved and ignored by receivers",
            seal(bytes(packet)),
        )
    flags = Heartbeat(9, 0x7F, 1, 5_000_000, 1250, 4, 2)
    yield "stream-flags-elsewhere", "b0 to b6 mean nothing outside DATA", encode(flags)


def _ends_with_a_full_block() -> bytes:
    for n in range(10_000):
        wire = encode(Log(0x0101, 0, 0x01010101, 1, "x" * 246 + f"{n:04d}"))
        if wire[-256] == 255:
            return wire
    raise AssertionError("no such packet")


def recordings() -> Iterator[tuple[str, str, Host]]:
    """HOST packets, which exist in recordings only; all carry NONCE."""
    yield "spec-host", "worked frame of SPEC.md, section 11", worked_frames()["HOST"]  # type: ignore[misc]
    for kind in HostKind:
        yield (
            f"host-{kind.name.lower()}",
            "a kind of note, its payload taken as bytes",
            Host(kind, NONCE, bytes(range(32))),
        )
    yield "host-longest", "655 bytes", Host(HostKind.RAW, NONCE, bytes(MAX_HOST_PAYLOAD))
    yield "host-unknown-kind", "receivers skip kinds they do not know", Host(99, NONCE, b"later")
