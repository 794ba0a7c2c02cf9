"""FP73x: what the device makes of damage, noise and packets that are not for it (SPEC 3.4, 5.2, 7)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.cobs import cobs_encode
from firmware_protocol.codec import encode_command, seal
from firmware_protocol.codes import Flag, Opcode, Type
from firmware_protocol.conform.asking import counters
from firmware_protocol.conform.host import Host, NoAnswer
from firmware_protocol.conform.steps import step
from firmware_protocol.crc import crc32c
from firmware_protocol.frames import Response
from firmware_protocol.limits import CRC_SIZE, MAX_CODED, VERSION
from firmware_protocol.validator.findings import Hit

_SILENCE_S = 0.4
_COUNTED = (
    "Count in rx_errors whatever is no whole COMMAND with a right CRC, never answer it, and look for the next packet "
    "behind the next delimiter."
)


def _ignored(host: Host, wire: bytes, what: str, *, errors: tuple[int, int | None] = (1, 1)) -> Iterator[Hit]:
    """Send what has to be ignored: no answer, `errors` (least, most) counted, and the next COMMAND is answered."""
    counters(host)
    place = len(host.heard)
    host.write(wire)
    host.listen(_SILENCE_S)
    for response in host.of(Response, place):
        got = f"RESPONSE to request {response.request_id}, status {response.status}"
        yield host.hit(f"{what} was answered", got, "no answer", frame=response, key="answered")
        if response in host.strays:
            host.strays.remove(response)
    try:
        told = counters(host)
    except NoAnswer as none:
        text = f"after {what} the next COMMAND was not answered"
        yield host.hit(text, f"no RESPONSE for {none.waited_s:.1f} s", "a RESPONSE within 250 ms", key="deaf")
        return
    least, most = errors
    if told.rx_errors < least or (most is not None and told.rx_errors > most):
        expected = str(least) if least == most else f"at least {least}"
        answer = host.of(Response)[-1]
        yield host.hit(f"rx_errors after {what}", str(told.rx_errors), expected, frame=answer, key="count")


@step("FP731", "bad-crc", "5.2", hint=_COUNTED)
def bad_crc(host: Host) -> Iterator[Hit]:
    """A COMMAND whose CRC does not fit is counted in rx_errors and never answered: its request_id cannot be trusted.

    Sent with a flipped bit in the CRC, in the opcode and in the request_id.
    """
    for place in (-1, 6, 4):
        body = host.command(Opcode.IDENTIFY).pack()
        packet = bytearray(body + crc32c(body).to_bytes(CRC_SIZE, "little"))
        packet[place] ^= 0x10
        yield from _ignored(host, b"\x00" + cobs_encode(bytes(packet)) + b"\x00", "a COMMAND with a bad CRC")


@step("FP732", "half-frame", "7.1", hint=_COUNTED)
def half_frame(host: Host) -> Iterator[Hit]:
    """Half a COMMAND, then silence: the next COMMAND, which begins with a delimiter, is answered all the same."""
    wire = encode_command(host.command(Opcode.IDENTIFY))
    for n_bytes in (2, len(wire) // 2, len(wire) - 2):
        counters(host)
        host.write(wire[:n_bytes])
        host.listen(_SILENCE_S if host.plan.quick else 1.5)
        try:
            told = counters(host)
        except NoAnswer as none:
            text = f"after {n_bytes} bytes of a COMMAND and silence the next COMMAND was not answered"
            got = f"no RESPONSE for {none.waited_s:.1f} s"
            yield host.hit(text, got, "a RESPONSE within 250 ms", key="deaf")
            return
        if told.rx_errors != 1:
            got = str(told.rx_errors)
            yield host.hit(
                "rx_errors after half a COMMAND", got, "1", frame=host.of(Response)[-1], key="count"
            )


@step("FP733", "noise", "5.2", hint=_COUNTED)
def noise(host: Host) -> Iterator[Hit]:
    """Noise between two delimiters, of few and of many bytes, is counted and not answered; the device hears on."""
    some = bytes(host.rng.randrange(1, 256) for _ in range(40))
    yield from _ignored(host, b"\x00" + some + b"\x00", "40 bytes of noise", errors=(1, None))
    yield from _ignored(host, bytes(64), "64 delimiters in a row", errors=(0, 0))
    dense = bytes(host.rng.choice((0, 1, 2, 255, 0x18, 17)) for _ in range(1500))
    yield from _ignored(host, dense + b"\x00", "1500 bytes full of delimiters", errors=(1, None))


@step(
    "FP734",
    "oversized",
    "7.1",
    hint=_COUNTED + " Bytes beyond your buffer are thrown away up to the delimiter.",
)
def oversized(host: Host) -> Iterator[Hit]:
    """A stretch longer than any packet is thrown away up to its delimiter, and writes over nothing."""
    for n_bytes in (129, MAX_CODED + 1, 3000):
        wire = b"\x00" + bytes(host.rng.randrange(1, 256) for _ in range(n_bytes)) + b"\x00"
        yield from _ignored(host, wire, f"{n_bytes} bytes without a delimiter", errors=(1, None))


@step("FP735", "later-version", "3.4", hint=_COUNTED)
def other_version(host: Host) -> Iterator[Hit]:
    """A COMMAND of another version, with a right CRC, is counted and not answered."""
    body = bytearray(host.command(Opcode.IDENTIFY).pack())
    body[0] = (VERSION + 1) << 4 | Type.COMMAND
    yield from _ignored(host, b"\x00" + seal(bytes(body)), "a COMMAND of version 2")


@step("FP736", "must-understand", "3.4", hint=_COUNTED)
def must_understand(host: Host) -> Iterator[Hit]:
    """A COMMAND with b7 (must-understand), which version 1 does not know, is counted and not answered."""
    body = bytearray(host.command(Opcode.IDENTIFY).pack())
    body[1] = Flag.MUST_UNDERSTAND
    yield from _ignored(host, b"\x00" + seal(bytes(body)), "a COMMAND with b7")


@step("FP737", "later-type", "3.4", hint="Skip packets of a type you do not know; they are no damage.")
def unknown_type(host: Host) -> Iterator[Hit]:
    """A packet of a type that version 1 does not know, with a right CRC, is skipped and not counted."""
    body = bytearray(host.command(Opcode.IDENTIFY).pack())
    for number in (0, 9, 14):
        body[0] = VERSION << 4 | number
        wire = b"\x00" + seal(bytes(body))
        yield from _ignored(host, wire, f"a packet of type {number}", errors=(0, 0))


@step("FP738", "not-from-a-host", "5.2", hint=_COUNTED)
def not_from_a_host(host: Host) -> Iterator[Hit]:
    """A packet of a type that hosts do not send, with a right CRC, is counted and not answered."""
    response = host.ask(Opcode.IDENTIFY)
    body = response.pack()
    yield from _ignored(host, b"\x00" + seal(body), "a RESPONSE sent by the host")
    event = bytes([VERSION << 4 | Type.EVENT, *bytes(19)])
    yield from _ignored(host, b"\x00" + seal(event), "an EVENT sent by the host")


@step(
    "FP739",
    "length-that-lies",
    "7.2",
    hint="Compare the decoded length with 12 + `length` before you read the arguments: a length that lies reads "
    "beyond the packet.",
)
def wrong_length(host: Host) -> Iterator[Hit]:
    """A COMMAND whose `length` is not that of its arguments, with a right CRC, is counted and not answered."""
    for stated in (1, 116, 117, 255):
        body = bytearray(host.command(Opcode.IDENTIFY).pack())
        body[7] = stated
        wire = b"\x00" + seal(bytes(body))
        yield from _ignored(host, wire, f"a COMMAND that states {stated} bytes of arguments and has none")
