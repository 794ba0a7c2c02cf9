"""FP71x: what the device refuses, and in which words (SPEC 5.3, 5.4); how a COMMAND may come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from firmware_protocol.codec import encode_command
from firmware_protocol.codes import Opcode, Status
from firmware_protocol.conform.asking import About, about, expect, status_hit, unchanged
from firmware_protocol.conform.host import Host
from firmware_protocol.conform.steps import step
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import MAX_COMMAND_PAYLOAD, MAX_RESPONSE_PAYLOAD
from firmware_protocol.validator.findings import Hit

_UNKNOWN = (0x00, 0x0D, 0x55, 0x7F, 0x80, 0xFF)
_OWNED = (0x00, 0x01, 0x02, 0x04, 0x0F, 0x10, 0x12, 0x13)  # registers of commands, or of the converter itself
_N_REGISTERS = 0x18
_NEED_NO_HARDWARE = (Opcode.START, Opcode.TEST_PATTERN)
_CH1SET = 0x05


@step(
    "FP711",
    "unknown-opcode",
    "5.4",
    hint="Answer opcodes you do not know with status 1; look at the opcode before length and arguments.",
)
def unknown_opcode(host: Host) -> Iterator[Hit]:
    """An opcode that version 1 does not know is answered UNKNOWN_OPCODE, whatever its arguments."""
    for opcode in _UNKNOWN:
        more = bytes(MAX_COMMAND_PAYLOAD) if opcode == _UNKNOWN[-1] else b""
        response = yield from expect(host, Status.UNKNOWN_OPCODE, opcode, more=more)
        if response.opcode != opcode:
            got = f"0x{response.opcode:02X}"
            yield host.hit(
                "RESPONSE names another opcode", got, f"0x{opcode:02X}", frame=response, key="echo"
            )


@step(
    "FP712",
    "bad-length",
    "5.4",
    hint="Compare `length` with the size of the opcode's arguments before anything else but the opcode.",
)
def bad_length(host: Host) -> Iterator[Hit]:
    """Arguments too short or too long are answered BAD_LENGTH, and nothing changes."""
    before = about(host)
    for opcode, form in COMMANDS.items():
        if opcode == Opcode.KEEPALIVE:
            continue
        size = form.struct.size
        for length in sorted({0, size - 1, size, size + 1, MAX_COMMAND_PAYLOAD}):
            right = length > size if form.more_arguments else length == size or (form.optional and not length)
            if length >= 0 and not right:
                yield from expect(host, Status.BAD_LENGTH, opcode, more=bytes(length))
    yield from unchanged(host, before, "a COMMAND of a wrong length is refused")


@step(
    "FP713",
    "bad-argument",
    "5.4",
    hint="Check every argument against the ranges of SPEC 5.3 before the first of them acts.",
)
def bad_argument(host: Host) -> Iterator[Hit]:
    """Arguments out of their range are answered BAD_ARGUMENT, and nothing changes."""
    before = about(host)
    for opcode, arguments, more in _bad_arguments(before):
        wanted: tuple[Status, ...] = (Status.BAD_ARGUMENT,)
        if opcode not in _NEED_NO_HARDWARE:
            wanted += (Status.UNSUPPORTED,)
        yield from expect(host, wanted, opcode, *arguments, more=more)
    yield from unchanged(host, before, "a COMMAND with a bad argument is refused")


def _bad_arguments(device: About) -> Iterator[tuple[Opcode, tuple[int, ...], bytes]]:
    """Each: opcode, fixed arguments, what follows them."""
    for watchdog_ms in (1, 99, 3_600_001, 0xFFFFFFFF):
        yield Opcode.START, (watchdog_ms,), b""
    for rate in ((0, 1), (250, 0), (0, 0), (0xFFFFFFFF, 1), (1, 0xFFFFFFFF)):
        yield Opcode.SET_RATE, rate, b""
    good = (0, 24, 0, 1)  # channel, gain, mux, power
    for place, value in (
        *((0, channel) for channel in (device.n_channels, 254)),
        *((1, gain) for gain in (0, 3, 25, 255)),
        *((2, mux) for mux in (8, 255)),
        *((3, power) for power in (2, 255)),
    ):
        yield Opcode.SET_CHANNEL, (*good[:place], value, *good[place + 1 :]), b""
    for mode in (4, 255):
        yield Opcode.LEAD_OFF, (mode,), b""
    for signal in ((4, 1), (255, 1), (1, 0), (1, 3), (1, 255)):
        yield Opcode.TEST_SIGNAL, signal, b""
    for pattern in (3, 255):
        yield Opcode.TEST_PATTERN, (pattern,), b""
    n = device.n_converters
    beyond = _N_REGISTERS
    too_many = MAX_RESPONSE_PAYLOAD + 1
    for reading in ((n, 0, 1), (0, 0, 0), (0, 0, too_many), (0, beyond, 1), (0, beyond - 1, 2), (0, 255, 2)):
        yield Opcode.READ_REGISTER, reading, b""
    for address in _OWNED:
        yield Opcode.WRITE_REGISTER, (0, address), b"\x00"
    for converter, address, more in (
        (n, _CH1SET, b"\x60"),
        (0, beyond, b"\x00"),
        (0, beyond - 1, b"\x00\x00"),
    ):
        yield Opcode.WRITE_REGISTER, (converter, address), more
    yield Opcode.WRITE_REGISTER, (0, _CH1SET), b"\x70"  # a gain code that does not exist


@step(
    "FP714",
    "command-in-pieces",
    "7.1",
    hint="Collect bytes until the delimiter, however they come; do not time a packet out between its bytes, and do "
    "not take a block that was read for a packet.",
)
def command_in_pieces(host: Host) -> Iterator[Hit]:
    """A COMMAND may come byte by byte, and several in one block: each is answered once, in order."""
    slow = host.command(Opcode.IDENTIFY)
    wire = encode_command(slow)
    for at in range(len(wire) - 1):
        host.write(wire[at : at + 1])
        host.listen(0.002)
    exchange = host.track(slow)
    host.write(wire[-1:])
    if host.answer_to(exchange, 1.0) is None:
        yield host.hit("a COMMAND that came byte by byte was not answered", "no RESPONSE", "one", key="bytes")
    several = host.send_all([host.command(Opcode.IDENTIFY) for _ in range(4)])
    host.listen(1.0, lambda frame: all(exchange.answers for exchange in several))
    missing = sum(not exchange.answers for exchange in several)
    if missing:
        text = "COMMANDs that came in one block were not all answered"
        yield host.hit(text, f"{len(several) - missing} of {len(several)}", "all", key="block")


@step(
    "FP715",
    "ignored-bits",
    "3.4",
    hint="Look only at what the packet's type defines: ignore b0–b6 of the flags and link_seq of a COMMAND.",
)
def ignored_bits(host: Host) -> Iterator[Hit]:
    """Flags b0–b6 of a COMMAND and gaps in its link_seq mean nothing to the device."""
    plain = host.command(Opcode.IDENTIFY)
    other = host.command(Opcode.IDENTIFY)
    for what, command in (
        ("flags b0–b6 set", replace(plain, flags=0x7F)),
        ("another link_seq", replace(other, link_seq=plain.link_seq ^ 0x8000)),
    ):
        (exchange,) = host.send_all([command])
        response = host.answer_to(exchange, 1.0)
        if response is None:
            yield host.hit(f"a COMMAND with {what} was not answered", "no RESPONSE", "OK", key=what)
        else:
            yield from status_hit(host, response, Status.OK)
