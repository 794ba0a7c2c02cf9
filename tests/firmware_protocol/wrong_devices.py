"""Devices that are wrong in one place each, behind a line in memory: what `frame-validator conform` has to find.

`WRONG` maps the name of a mistake to a device that makes it, the steps that must fail, and the cause that must be
named where the bytes themselves show it. All else about a device is the reference device.

    python -m tests.firmware_protocol.wrong_devices --write docs/conformance.md

writes the tables of that page anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from firmware_protocol import (
    Command,
    Data,
    DeviceConfig,
    Info,
    Opcode,
    ReferenceDevice,
    Response,
    Status,
    crc32c,
)
from firmware_protocol._configuration import Outcome
from firmware_protocol._outbox import Account
from firmware_protocol.cobs import cobs_decode, cobs_encode
from firmware_protocol.codec import seal
from firmware_protocol.codes import DeviceState, Type
from firmware_protocol.conform import STEPS, Conformance, Plan, conform
from firmware_protocol.frames import Event, Heartbeat, Host
from tests.firmware_protocol.bench import LABELS, Desk
from tests.firmware_protocol.captures import crc_with, payload, uart, words
from tests.firmware_protocol.gallery import late

__all__ = ["WRONG", "Wrong", "step_table", "told", "tried"]

Bytes = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Wrong:
    """`what` is done, by the device at the desk that `make` sets up; `steps` must fail, `cause` must be named."""

    what: str
    make: Callable[[], Desk]
    steps: tuple[str, ...]
    cause: str = ""
    exit_status: int = 1
    baud: int = 115_200


WRONG: dict[str, Wrong] = {}


def device(kind: type[ReferenceDevice] = ReferenceDevice, **config: Any) -> ReferenceDevice:
    return kind(DeviceConfig(**({"labels": LABELS, "boot_id": 0xC0FFEE11} | config)))


# ---- what the device sends -----------------------------------------------------------------------------------------


def each_body(change: Bytes) -> Bytes:
    """Packets, without CRC, each turned into wire bytes by `change`."""

    def outward(block: bytes) -> bytes:
        out = b""
        for coded in block.split(b"\x00")[:-1]:
            packet = cobs_decode(coded)
            assert packet is not None
            out += change(packet[:-4])
        return out

    return outward


def each_data(change: Callable[[Data], Any]) -> Bytes:
    """DATA changed, the rest as it is."""

    def of(body: bytes) -> bytes:
        if body[0] & 15 != Type.DATA:
            return seal(body)
        changed = change(Data.unpack(body + bytes(4)))
        return seal(changed.pack() if isinstance(changed, Data) else changed)

    return each_body(of)


def each_words(change: Callable[[Any], Any]) -> Bytes:
    return each_data(lambda data: replace(data, payload=payload(change(words(data)))))


def wrong_wire(
    name: str, what: str, outward: Callable[[], Bytes], *steps: str, cause: str | None = None, **config: Any
) -> None:
    """A device whose bytes are changed on their way out; `cause` is `name` unless said otherwise."""
    WRONG[name] = Wrong(
        what, lambda: Desk(device(**config), outward=outward()), steps, name if cause is None else cause
    )


def crc_of(crc: Bytes) -> Callable[[], Bytes]:
    return lambda: each_body(lambda body: cobs_encode(body + crc(body)) + b"\x00")


def little(value: int) -> bytes:
    return value.to_bytes(4, "little")


for _name, _what, _crc in (
    ("crc-initial-value", "CRC begins with 0", lambda x: little(crc_with(init=0)(x))),
    ("crc-reflection", "CRC without reflection", lambda x: little(crc_with(refin=False, refout=False)(x))),
    ("crc-final-xor", "CRC without final XOR", lambda x: little(crc_with(xorout=0)(x))),
    ("crc-byte-order", "CRC most significant byte first", lambda x: crc32c(x).to_bytes(4, "big")),
    ("crc-range", "CRC from byte 4 on", lambda x: little(crc32c(x[4:]))),
):
    wrong_wire(_name, _what, crc_of(_crc), "answers")

wrong_wire(
    "missing-cobs",
    "packets are sent without COBS",
    lambda: each_body(lambda x: x + little(crc32c(x)) + b"\x00"),
    "answers",
)
wrong_wire(
    "missing-delimiter",
    "no 0x00 between packets",
    lambda: lambda block: block.replace(b"\x00", b""),
    "answers",
)


def printf() -> Bytes:
    count = 0

    def outward(block: bytes) -> bytes:
        nonlocal count
        count += 1
        return block + (b"adc: overrun, dropped %d\r\n" % count if count % 25 == 7 else b"")

    return outward


wrong_wire("text-in-stream", "a printf after every 25th packet", printf)
wrong_wire(
    "flow-control", "XON/XOFF: 0x11 and 0x13 swallowed", lambda: lambda x: x.translate(None, b"\x11\x13")
)
wrong_wire("newline-translation", "LF turned into CR LF", lambda: lambda x: x.replace(b"\n", b"\r\n"))
WRONG["wrong-baud"] = Wrong(
    "the line is read at twice the device's baud rate",
    lambda: Desk(device(), outward=lambda x: uart(x, ratio=2.0), inward=lambda x: uart(x, ratio=0.5)),
    ("answers",),
    "wrong-baud",
    exit_status=3,  # not one packet is whole
)

wrong_wire(
    "sample-byte-order",
    "samples least significant byte first",
    lambda: each_words(lambda w: (w & 0xFF) << 16 | w & 0xFF00 | w >> 16),
    "test-pattern",
    "test-signal",
    has_status=False,
)
wrong_wire(
    "sign-extension",
    "16 bits widened as unsigned",
    lambda: each_words(lambda w: w & 0xFFFF),
    "test-pattern",
    "test-signal",
    cause="",
    has_status=False,
)
wrong_wire(
    "channel-off-by-one",
    "the status word taken for channel 1",
    lambda: each_words(lambda w: np.concatenate([np.full((len(w), 1), 0xC00000), w[:, :-1]], axis=1)),
    "test-pattern",
    "test-signal",
    has_status=False,
)
wrong_wire(
    "spi-bit-slip", "words read one clock late", lambda: each_words(late), "test-pattern", "test-signal"
)


def per_frame() -> Bytes:
    count = 0

    def change(data: Data) -> Data:
        nonlocal count
        count += 1
        return replace(data, sample_index=count)

    return each_data(change)


wrong_wire("counter-per-frame", "sample_index counts frames", per_frame, "start-twice", "test-pattern")


def n_samples(data: Data) -> bytes:
    body = bytearray(data.pack())
    body[13] -= 1
    return bytes(body)


wrong_wire("wrong-n-samples", "n_samples one too small", lambda: each_data(n_samples), "start")


def milliseconds(body: bytes) -> bytes:
    out = bytearray(body)
    first, size = {Type.DATA: (8, 4), Type.RESPONSE: (8, 8), Type.HEARTBEAT: (8, 8)}.get(body[0] & 15, (0, 0))
    if size:
        t_us = int.from_bytes(body[first : first + size], "little")
        out[first : first + size] = (t_us // 1000).to_bytes(size, "little")
    return seal(bytes(out))


wrong_wire(
    "time-unit", "t_us in milliseconds, everywhere", lambda: each_body(milliseconds), "clock", "idle-cadence"
)


def type_15() -> Bytes:
    count = 0

    def outward(block: bytes) -> bytes:
        nonlocal count
        count += 1
        return block + (seal(Host(0, 0x1122334455667788, b"trace").pack()) if count % 50 == 9 else b"")

    return outward


wrong_wire("type-15-on-wire", "a packet of type 15 now and then", type_15)


def renumber() -> Bytes:
    """link_seq counted anew, behind a change that leaves packets out or moves them."""
    count = -1

    def of(body: bytes) -> bytes:
        nonlocal count
        count += 1
        return seal(body[:2] + (count & 0xFFFF).to_bytes(2, "little") + body[4:])

    return each_body(of)


def no_info() -> Bytes:
    number = renumber()
    return lambda block: number(
        each_body(lambda x: b"" if x[0] & 15 == Type.INFO and x[12] else seal(x))(block)
    )


def late_info() -> Bytes:
    """INFO of a new config_id waits for 20 packets."""
    number = renumber()
    waiting: list[tuple[int, bytes]] = []
    seen = {0}
    count = 0

    def of(body: bytes) -> bytes:
        nonlocal count
        count += 1
        out = seal(body)
        if body[0] & 15 == Type.INFO and body[12] not in seen:
            seen.add(body[12])
            waiting.append((count + 20, out))
            out = b""
        while waiting and waiting[0][0] <= count:
            out += waiting.pop(0)[1]
        return out

    change = each_body(of)
    return lambda block: number(change(block))


wrong_wire("no-info", "no INFO of any config_id but the first", no_info, "set-channel")
wrong_wire("late-info", "INFO of a new config_id 20 packets late", late_info, "set-channel")


class Spanning(ReferenceDevice):
    """SET_CHANNEL acts in the middle of a frame."""

    def _execute(self, command: Command) -> Outcome:
        if command.opcode != Opcode.SET_CHANNEL:
            return super()._execute(command)
        cut, self._framer.cut = self._framer.cut, lambda: None  # type: ignore[method-assign]
        outcome = super()._execute(command)
        self._framer.cut = cut  # type: ignore[method-assign]
        return outcome


WRONG["frame-spans-configurations"] = Wrong(
    "a gain is changed in the middle of a frame",
    lambda: Desk(device(Spanning)),
    ("commands-while-streaming",),
    "frame-spans-configurations",
)


def packet_of(data: bytes) -> bytes:
    """A packet of the host's with its CRC, whether that fits or not; b"" if it is none."""
    coded = data.strip(b"\x00")
    return (cobs_decode(coded) or b"") if coded else b""


# ---- what the device makes of commands -----------------------------------------------------------------------------


def wrong(
    name: str, *steps: str, cause: str = "", baud: int = 115_200, **options: Any
) -> Callable[[type[ReferenceDevice]], type[ReferenceDevice]]:
    """A class of devices that is wrong; what it does is its docstring."""

    def register(kind: type[ReferenceDevice]) -> type[ReferenceDevice]:
        def make() -> Desk:
            return Desk(device(kind, **options), baud=baud)

        WRONG[name] = Wrong((kind.__doc__ or "").strip(), make, steps, cause, baud=baud)
        return kind

    return register


@wrong("never-answers", "answers", cause="no-answer")
class NeverAnswers(ReferenceDevice):
    """never answers, though it does what it is told"""

    def _respond(self, command: Command, outcome: Outcome) -> None:
        pass


@wrong("bad-crc-answered", "bad-crc")
class AnswersBadCrc(ReferenceDevice):
    """answers COMMANDs whose CRC does not fit"""

    def receive(self, data: bytes, now_us: int) -> None:
        packet = packet_of(data)
        if len(packet) >= 12 and packet[0] == 0x18 and len(packet) == 12 + packet[7]:
            data = seal(packet[:-4])
        super().receive(data, now_us)


@wrong("no-cache", "repeat-done-once", "id-reused", "remembers-eight")
class NoCache(ReferenceDevice):
    """does a repeated COMMAND again"""

    def _obey(self, command: Command) -> None:
        self._remembered.clear()
        super()._obey(command)


@wrong("cache-of-one", "remembers-eight")
class CacheOfOne(ReferenceDevice):
    """remembers one COMMAND only"""

    def _obey(self, command: Command) -> None:
        while len(self._remembered) > 1:
            self._remembered.popleft()
        super()._obey(command)


@wrong("cache-for-ever", "forgets-after-a-second")
class CacheForEver(ReferenceDevice):
    """never forgets a COMMAND"""

    def _obey(self, command: Command) -> None:
        kept = [replace(old, at_us=self._now_us) for old in self._remembered]
        self._remembered.clear()
        self._remembered.extend(kept)
        super()._obey(command)


@wrong("repeat-ignored", "repeat-answered")
class RepeatIgnored(ReferenceDevice):
    """does not answer a repeated COMMAND"""

    def _obey(self, command: Command) -> None:
        if any(old.command.request_id == command.request_id for old in self._remembered):
            recent = [o for o in self._remembered if o.command.request_id == command.request_id]
            if self._now_us - recent[-1].at_us < 1_000_000:
                return
        super()._obey(command)


@wrong("unknown-opcode-status", "unknown-opcode")
class UnknownOpcode(ReferenceDevice):
    """answers an unknown opcode with BAD_ARGUMENT"""

    def _execute(self, command: Command) -> Outcome:
        outcome = super()._execute(command)
        return Outcome(Status.BAD_ARGUMENT) if outcome.status == Status.UNKNOWN_OPCODE else outcome


@wrong("unknown-opcode-silent", "unknown-opcode")
class UnknownOpcodeSilent(ReferenceDevice):
    """does not answer an unknown opcode"""

    def _respond(self, command: Command, outcome: Outcome) -> None:
        if outcome.status != Status.UNKNOWN_OPCODE:
            super()._respond(command, outcome)


@wrong("length-not-checked", "bad-length")
class LengthNotChecked(ReferenceDevice):
    """takes what arguments it needs and ignores the rest"""

    def _execute(self, command: Command) -> Outcome:
        if command.opcode == Opcode.LEAD_OFF and len(command.payload) > 1:
            command = replace(command, payload=command.payload[:1])
        return super()._execute(command)


@wrong("argument-not-checked", "bad-argument")
class ArgumentNotChecked(ReferenceDevice):
    """takes any watchdog_ms"""

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        return super()._start(min(max(watchdog_ms, 100), 3_600_000) if watchdog_ms else 0)


@wrong("start-twice-restarts", "start-twice")
class StartTwice(ReferenceDevice):
    """begins anew at a second START, counters and all"""

    def _execute(self, command: Command) -> Outcome:
        if command.opcode == Opcode.START and self.streaming:
            self._end_stream(DeviceState.IDLE)
            self._framer.next_sample = self._config.sample_index
        return super()._execute(command)


@wrong("start-restarts", "counters-go-on")
class StartRestarts(ReferenceDevice):
    """counts conversions from 0 in each stream"""

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        self._framer.next_sample = 0
        account = self._outbox
        account._sent = account._made = Account(0, 0)
        return super()._start(watchdog_ms)


@wrong("stop-idle-silent", "stop-idle")
class StopIdle(ReferenceDevice):
    """does not answer STOP while idle"""

    def _obey(self, command: Command) -> None:
        if command.opcode != Opcode.STOP or self.streaming:
            super()._obey(command)


@wrong("watchdog-never", "watchdog", "watchdog-not-by-noise")
class WatchdogNever(ReferenceDevice):
    """has no watchdog"""

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        outcome = super()._start(watchdog_ms)
        self._deadline_us = None
        return outcome


@wrong("watchdog-early", "watchdog", "watchdog-fed")
class WatchdogEarly(ReferenceDevice):
    """takes watchdog_ms for a sixth of what it is"""

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        outcome = super()._start(watchdog_ms)
        if self._deadline_us is not None and watchdog_ms:
            self._watchdog_us = watchdog_ms * 1000 // 6
            self._deadline_us = self._now_us + self._watchdog_us
        return outcome


@wrong("watchdog-not-off", "watchdog-off")
class WatchdogNotOff(ReferenceDevice):
    """takes watchdog_ms 0 for one second"""

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        return super()._start(watchdog_ms or 1000)


@wrong("watchdog-by-noise", "watchdog-not-by-noise")
class WatchdogByNoise(ReferenceDevice):
    """feeds the watchdog with whatever comes"""

    def receive(self, data: bytes, now_us: int) -> None:
        super().receive(data, now_us)
        if self._deadline_us is not None:
            self._deadline_us = self._now_us + self._watchdog_us


@wrong("keepalive-starves", "watchdog-fed")
class KeepaliveStarves(ReferenceDevice):
    """feeds the watchdog with all commands but KEEPALIVE"""

    def _obey(self, command: Command) -> None:
        if command.opcode != Opcode.KEEPALIVE:
            super()._obey(command)


@wrong("keepalive-answered", "keepalive-silent")
class KeepaliveAnswered(ReferenceDevice):
    """answers KEEPALIVE"""

    def _obey(self, command: Command) -> None:
        super()._obey(command)
        if command.opcode == Opcode.KEEPALIVE:
            self._respond(command, Outcome(Status.OK))


@wrong("responses-last", "responses-first", "overload")
class ResponsesLast(ReferenceDevice):
    """sends RESPONSEs behind what is queued"""

    def _respond(self, command: Command, outcome: Outcome) -> None:
        t_us = self._now_us
        response = Response(0, 0, command.request_id, command.opcode, outcome.status, t_us, outcome.results)
        body = response.pack()
        self._outbox.put(body, length=len(body))


@wrong("slow-answers", "response-time")
class SlowAnswers(ReferenceDevice):
    """answers IDENTIFY after 400 ms"""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self._later: list[tuple[int, Command, Outcome]] = []

    def _respond(self, command: Command, outcome: Outcome) -> None:
        if command.opcode == Opcode.IDENTIFY:
            self._later.append((self._now_us + 400_000, command, outcome))
        else:
            super()._respond(command, outcome)

    def poll(self, now_us: int, room: int | None = None) -> bytes:
        while self._later and self._later[0][0] <= now_us:
            _, command, outcome = self._later.pop(0)
            super()._respond(command, outcome)
        return super().poll(now_us, room)


@wrong("heartbeat-not-atomic", "heartbeat-atomic")
class HeartbeatNotAtomic(ReferenceDevice):
    """counts conversions in HEARTBEAT that are still being filled into DATA"""

    def _heartbeat(self, account: Account) -> Heartbeat:
        return replace(super()._heartbeat(account), sample_index=self.next_sample)


@wrong("heartbeat-early", "stop-account")
class HeartbeatEarly(ReferenceDevice):
    """fills HEARTBEAT in when it is queued, and sends it ahead of the DATA that waits"""

    def _send_heartbeat(self) -> None:
        self._outbox.put_response(self._heartbeat(self._outbox.final).pack())


@wrong("rate-while-streaming", "busy")
class RateWhileStreaming(ReferenceDevice):
    """changes its rate while it streams"""

    def _execute(self, command: Command) -> Outcome:
        if command.opcode != Opcode.SET_RATE:
            return super()._execute(command)
        state, self._state = self._state, DeviceState.IDLE
        outcome = super()._execute(command)
        self._state = state
        return outcome


@wrong(
    "info-pages-missing",
    "identify",
    baud=921_600,
    labels=tuple(f"E{k}" for k in range(40)),
    samples_per_frame=1,
)
class InfoPagesMissing(ReferenceDevice):
    """sends the first page of INFO only"""

    def _send_info(self) -> None:
        self._send(self.info()[0])


@wrong("deaf-after-half-a-frame", "half-frame")
class DeafAfterHalf(ReferenceDevice):
    """waits for the rest of half a frame for ever"""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self._half = False

    def receive(self, data: bytes, now_us: int) -> None:
        if data.strip(b"\x00") and not data.endswith(b"\x00") and 2 < len(data) < 9:
            self._half = True
        if not self._half:
            super().receive(data, now_us)


@wrong("deaf-after-noise", "oversized")
class DeafAfterNoise(ReferenceDevice):
    """stops for good when its buffer of 256 bytes is full"""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self._dead = False

    def receive(self, data: bytes, now_us: int) -> None:
        self._dead |= len(data) > 256
        if not self._dead:
            super().receive(data, now_us)


@wrong("damage-not-counted", "bad-crc", "noise", "oversized")
class DamageNotCounted(ReferenceDevice):
    """does not count what it cannot read"""

    def receive(self, data: bytes, now_us: int) -> None:
        super().receive(data, now_us)
        self._rx_errors = 0


@wrong("version-ignored", "later-version")
class VersionIgnored(ReferenceDevice):
    """takes a COMMAND of any version"""

    def receive(self, data: bytes, now_us: int) -> None:
        packet = packet_of(data)
        if packet and packet[0] == 0x28 and crc32c(packet[:-4]) == int.from_bytes(packet[-4:], "little"):
            data = seal(b"\x18" + packet[1:-4])
        super().receive(data, now_us)


@wrong("must-understand-ignored", "must-understand")
class MustUnderstandIgnored(ReferenceDevice):
    """takes a COMMAND with b7"""

    def receive(self, data: bytes, now_us: int) -> None:
        packet = packet_of(data)
        if len(packet) >= 12 and packet[0] == 0x18 and packet[1] & 0x80:
            data = seal(b"\x18" + bytes([packet[1] & 0x7F]) + packet[2:-4])
        super().receive(data, now_us)


@wrong("stop-account-early", "stop-account")
class StopAccountEarly(ReferenceDevice):
    """answers STOP with what is sent so far, and throws away the frame being filled"""

    def _stop(self) -> Outcome:
        self._framer._partial = None
        return super()._stop()


@wrong("no-first-flag", "start")
class NoFirstFlag(ReferenceDevice):
    """never sets b1"""

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        outcome = super()._start(watchdog_ms)
        self._framer.once &= ~2  # type: ignore[assignment]
        return outcome


@wrong("commands-cost-samples", "commands-while-streaming")
class CommandsCostSamples(ReferenceDevice):
    """loses the frame being filled when a COMMAND acts, and does not count it"""

    def _execute(self, command: Command) -> Outcome:
        if self.streaming and command.opcode == Opcode.TEST_PATTERN:
            self._framer._partial = None
        return super()._execute(command)


@wrong("scale-not-told", "set-channel")
class ScaleNotTold(ReferenceDevice):
    """says the same scale whatever the gain"""

    def info(self) -> list[Info]:
        uv = 4.5e6 / 24 / (2**23 - 1)
        return [replace(page, uv_per_count=(uv,) * len(page.labels)) for page in super().info()]


@wrong("pattern-by-frame", "test-pattern")
class PatternByFrame(ReferenceDevice):
    """begins the test pattern with 0 when it is switched on"""

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        convert = self._setup.convert
        self._setup.convert = lambda first, rows: convert(max(first - 1, 0), rows)  # type: ignore[method-assign]


@wrong("heartbeat-slow", "idle-cadence")
class HeartbeatSlow(ReferenceDevice):
    """sends HEARTBEAT every 1.5 s"""

    def _send_heartbeat(self) -> None:
        super()._send_heartbeat()
        self._heartbeat_due_us += 500_000


@wrong("answers-twice", "answered-once")
class AnswersTwice(ReferenceDevice):
    """answers IDENTIFY twice"""

    def _respond(self, command: Command, outcome: Outcome) -> None:
        super()._respond(command, outcome)
        if command.opcode == Opcode.IDENTIFY:
            super()._respond(command, outcome)


# ---- answers and packets that say something wrong --------------------------------------------------------------------


def wrong_packet(name: str, what: str, kind: Type, change: Callable[[bytearray], None], *steps: str) -> None:
    """A device whose packets of one type say something else than they should."""

    def of(body: bytes) -> bytes:
        changed = bytearray(body)
        if body[0] & 15 == kind:
            change(changed)
        return seal(bytes(changed))

    wrong_wire(name, what, lambda: each_body(of), *steps, cause="")


def wrong_answer(name: str, what: str, opcode: Opcode, change: Callable[[bytes], bytes], *steps: str) -> None:
    """A device whose results of one opcode are others."""

    def of(body: bytearray) -> None:
        if body[6] == opcode and body[7] == Status.OK:
            body[20:] = change(bytes(body[20:]))
            body[16] = len(body) - 20

    wrong_packet(name, what, Type.RESPONSE, of, *steps)


def put(at: int, value: int) -> Callable[[bytearray], None]:
    def change(body: bytearray) -> None:
        body[at] = value

    return change


def flag(clear: int = 0, put: int = 0) -> Callable[[bytearray], None]:
    def change(body: bytearray) -> None:
        body[1] = body[1] & ~clear | put

    return change


def back(body: bytearray) -> None:
    t_us = int.from_bytes(body[8:16], "little") - 3_000_000
    body[8:16] = max(t_us, 0).to_bytes(8, "little")


wrong_answer(
    "identify-channels",
    "IDENTIFY tells one channel too many",
    Opcode.IDENTIFY,
    lambda x: x[:6] + b"\x09" + x[7:],
    "identify",
)
wrong_answer(
    "identify-short", "IDENTIFY's results are a byte short", Opcode.IDENTIFY, lambda x: x[:-1], "identify"
)
wrong_answer("start-no-results", "START is answered without results", Opcode.START, lambda x: b"", "start")
wrong_answer(
    "start-number",
    "START answers a number that is 4 too high",
    Opcode.START,
    lambda x: bytes([x[0] + 4]) + x[1:],
    "start",
)
wrong_answer(
    "stop-short",
    "STOP's results are a byte short",
    Opcode.STOP,
    lambda x: x[:-1],
    "stop-idle",
    "stop-account",
)
wrong_answer(
    "reset-short",
    "RESET_COUNTERS' results are a byte short",
    Opcode.RESET_COUNTERS,
    lambda x: x[:-1],
    "reset-counters",
)
wrong_answer(
    "config-id-not-told",
    "SET_CHANNEL answers config_id 0",
    Opcode.SET_CHANNEL,
    lambda x: b"\x00",
    "set-channel",
)
wrong_answer(
    "registers-reversed",
    "READ_REGISTER answers in reverse order",
    Opcode.READ_REGISTER,
    lambda x: x[::-1],
    "read-register",
)
wrong_answer(
    "registers-short",
    "READ_REGISTER leaves the last register out",
    Opcode.READ_REGISTER,
    lambda x: x[:-1],
    "read-register",
)
wrong_packet(
    "response-opcode",
    "RESPONSE carries opcode 1, whatever it answers",
    Type.RESPONSE,
    put(6, 1),
    "unknown-opcode",
)
wrong_packet("info-state", "INFO always says idle", Type.INFO, put(13, 0), "start")
wrong_packet("info-lead-off", "INFO always says that lead-off is off", Type.INFO, put(25, 0), "lead-off")
wrong_packet("first-flag-always", "b1 is set in every DATA", Type.DATA, flag(put=2), "start", "start-twice")
wrong_packet("acted-flag-never", "b4 is never set", Type.DATA, flag(clear=16), "commands-while-streaming")
wrong_packet(
    "acted-flag-always", "b4 is set in every DATA", Type.DATA, flag(put=16), "commands-while-streaming"
)
wrong_packet("ac-flag-never", "b3 is never set", Type.DATA, flag(clear=8), "lead-off")
wrong_packet("test-flag-never", "b2 is never set", Type.DATA, flag(clear=4), "test-pattern", "test-signal")
wrong_packet("test-flag-always", "b2 is set in every DATA", Type.DATA, flag(put=4), "test-pattern")
wrong_packet(
    "boot-id-of-heartbeat", "HEARTBEAT has a boot_id of its own", Type.HEARTBEAT, put(4, 7), "one-boot"
)
wrong_packet(
    "heartbeat-time", "t_us of HEARTBEAT lies 3 s back", Type.HEARTBEAT, back, "clock", "heartbeat-atomic"
)
wrong_packet("watchdog-value", "EVENT WATCHDOG carries 0", Type.EVENT, put(16, 0), "watchdog")


@wrong("watchdog-unsaid", "watchdog")
class WatchdogUnsaid(ReferenceDevice):
    """ends the stream by watchdog without an EVENT"""

    def _send(self, frame: Any) -> bool:
        return isinstance(frame, Event) or super()._send(frame)


@wrong("watchdog-idle", "watchdog")
class WatchdogIdle(ReferenceDevice):
    """goes to idle when the watchdog ends its stream"""

    def _end_stream(self, state: DeviceState) -> None:
        super()._end_stream(DeviceState.IDLE)


@wrong("stop-stays", "watchdog")
class StopStays(ReferenceDevice):
    """stays in state 2 at a STOP after the watchdog"""

    def _end_stream(self, state: DeviceState) -> None:
        super()._end_stream(DeviceState.WATCHDOG if self._state == DeviceState.WATCHDOG else state)


@wrong("idle-data", "idle-cadence", "stop-idle")
class IdleData(ReferenceDevice):
    """goes on converting while idle"""

    def _heartbeat(self, account: Account) -> Heartbeat:
        beat = super()._heartbeat(account)
        return beat if self.streaming else replace(beat, sample_index=beat.sample_index + beat.t_us // 1000)

    def poll(self, now_us: int, room: int | None = None) -> bytes:
        if not self.streaming and now_us - getattr(self, "_last_us", 0) > 200_000:
            self._last_us = now_us
            data = Data(0, 0, 0, now_us & 0xFFFFFFFF, 8, 1, self.config_id, bytes(27), has_status=True)
            self._outbox.put(data.pack(), length=43)
        return super().poll(now_us, room)


@wrong("info-flood", "idle-cadence")
class InfoFlood(ReferenceDevice):
    """sends INFO ten times a second"""

    def poll(self, now_us: int, room: int | None = None) -> bytes:
        self._info_due_us = min(self._info_due_us, (now_us // 100_000 + 1) * 100_000)
        return super().poll(now_us, room)


@wrong("rate-not-told", "set-rate")
class RateNotTold(ReferenceDevice):
    """says the same rate whatever was set"""

    def info(self) -> list[Info]:
        return [replace(page, rate_num=250, rate_den=1) for page in super().info()]


@wrong("gain-of-all", "set-channel")
class GainOfAll(ReferenceDevice):
    """says the scale of channel 0 for all channels"""

    def info(self) -> list[Info]:
        uv = super().info()[0].uv_per_count[0]
        return [replace(page, uv_per_count=(uv,) * len(page.labels)) for page in super().info()]


@wrong("register-not-written", "write-register")
class RegisterNotWritten(ReferenceDevice):
    """answers WRITE_REGISTER, and writes nothing"""

    def _execute(self, command: Command) -> Outcome:
        if command.opcode == Opcode.WRITE_REGISTER and len(command.payload) == 4 and not self.streaming:
            read = self._setup._converters[0].registers[5:7]
            command = replace(command, payload=command.payload[:2] + bytes(read))
        return super()._execute(command)


@wrong("reset-resets-all", "reset-counters")
class ResetResetsAll(ReferenceDevice):
    """sets sample_index back, and not rx_errors, at RESET_COUNTERS"""

    def _reset_counters(self) -> Outcome:
        errors = self._rx_errors
        outcome = super()._reset_counters()
        self._rx_errors = errors
        self._outbox._made = self._outbox._sent = Account(self._outbox._made.sample_index + 1, 0)
        return outcome


@wrong("never-streams", "start", "start-twice")
class NeverStreams(ReferenceDevice):
    """answers START, and sends no DATA"""

    def push_samples(self, counts: Any, t_us: Any, **options: Any) -> int:
        return 0


@wrong("answers-strangers", "answered-once")
class AnswersStrangers(ReferenceDevice):
    """answers a request that nobody made, with each HEARTBEAT"""

    def _send_heartbeat(self) -> None:
        super()._send_heartbeat()
        self._respond(Command(0, 0, 0x5A5A, Opcode.IDENTIFY), Outcome(Status.OK))


@wrong("test-signal-weak", "test-signal")
class TestSignalWeak(ReferenceDevice):
    """halves the test signal, and runs it at twice its frequency"""

    __test__ = False

    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        row = self._setup._test_row
        self._setup._test_row = lambda index, *beside: [  # type: ignore[method-assign]
            value // 2 for value in row(2 * index, *beside)
        ]


class Resetting(Desk):
    """The device resets in the middle of a stream, once, and streams on: counters begin anew, nobody says so."""

    def __init__(self, *, same_boot: bool = False) -> None:
        super().__init__(device())
        self._same_boot = same_boot
        self._streamed_us = 0

    def _pass(self, us: int) -> None:
        super()._pass(us)
        self._streamed_us += us if self.device.streaming else 0
        if 2_000_000 < self._streamed_us < 10**9:
            self._streamed_us = 10**9
            boot_id = 0xC0FFEE11 if self._same_boot else 0x0BADB007
            self.device = device(boot_id=boot_id)
            self.boot_us = self.now_us
            self.device._start(0)
            self._stream_us, self._made = float(self.now_us), 0


WRONG["device-reset"] = Wrong(
    "the device resets in the middle of a stream", Resetting, ("one-boot",), "device-reset"
)
WRONG["reset-unseen"] = Wrong(
    "the device resets in the middle of a stream and keeps its boot_id: it looks like a wrap of the counters",
    lambda: Resetting(same_boot=True),
    (),
    "device-reset",
)


# ---- the page about them -------------------------------------------------------------------------------------------

#: Steps in which much is sent: for mistakes that the bytes themselves show.
MUCH = ("set-channel", "test-pattern", "start", "commands-while-streaming", "heartbeat-atomic", "soak")


def tried(name: str, steps: tuple[str, ...] | None = None) -> Conformance:
    """`conform --quick` on a wrong device, with the steps that matter for it, or with others (none: all)."""
    mistake = WRONG[name]
    if steps is None:
        long = mistake.cause or not mistake.steps or "one-boot" in mistake.steps
        steps = (*mistake.steps, *MUCH) if long else mistake.steps
    plan = Plan(baud=mistake.baud, quick=True, soak_s=3, seed=1)
    return conform(mistake.make(), plan, steps=steps)


def told(name: str) -> str:
    """What was said of a wrong device: of each step that must fail its first finding, and the cause."""
    result = tried(name)
    said = []
    for step in result.steps:
        if step.rule.name in WRONG[name].steps and step.findings:
            finding = step.findings[0]
            expected = f", expected {finding.expected}" if finding.expected else ""
            got = f": {finding.got}" if finding.got else ""
            said.append(f"{step.rule.id} {step.rule.name}: {finding.text}{got}{expected}")
    causes = [cause for cause in result.report.causes if cause.name == WRONG[name].cause]
    said += [f"{cause.rule.id} {cause.name} ({cause.certainty_word}): {cause.text}" for cause in causes]
    return "<br>".join(said).replace("|", "\\|")


def wrong_table() -> list[str]:
    rows = [f"| `{name}` | {mistake.what} | {told(name)} |" for name, mistake in WRONG.items()]
    return ["| mistake | what it does | what was said |", "| --- | --- | --- |", *rows]


def step_table() -> list[str]:
    rows = [f"| {rule.id} | `{rule.name}` | {rule.section} | {first(rule.text)} |" for rule, _ in STEPS]
    return ["| rule | step | SPEC | what must hold |", "| --- | --- | --- | --- |", *rows]


def first(text: str) -> str:
    """The first paragraph, in one line."""
    return " ".join(text.split("\n\n")[0].split())


def filled(page: str, name: str, lines: list[str]) -> str:
    """The page with a table between its marks."""
    begin, end = f"<!-- table of {name} -->\n", "<!-- end -->"
    before, rest = page.split(begin)
    return before + begin + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="PAGE", help="write its tables anew")
    path = parser.parse_args().write
    page = filled(path.read_text(encoding="utf-8"), "steps", step_table())
    path.write_text(filled(page, "wrong devices", wrong_table()), encoding="utf-8")


if __name__ == "__main__":
    main()
