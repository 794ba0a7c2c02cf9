"""Seed corpus: small inputs that reach what is interesting, made from the golden vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from firmware_protocol import Command, Flag, encode_command
from firmware_protocol.cobs import cobs_decode
from firmware_protocol.codes import Dialect, Opcode
from firmware_protocol.golden import Vector, load
from firmware_protocol.host import Arrivals, Gap, HostWriter, MarkerNote, Note, Raw, Sent, Start
from firmware_protocol.layout import COMMANDS
from tests.fuzz.targets import NONCE

__all__ = ["FOLDER", "seeds", "write_seeds"]

FOLDER = Path(__file__).with_name("corpus")
_MOST = 100  # bytes of a seed; longer ones are left to the fuzzer


def seeds() -> dict[str, list[bytes]]:
    """By target."""
    return {
        "raw": [bytes([0x1B]) + v.wire for v in _small("damage", "streams")],
        "sealed": [(cobs_decode(v.wire[:-1]) or b"")[:-4] for v in _small("frames", "recordings")],
        "device": [*_conversations()],
        "recording": [*_recordings()],
        "firmware": [*_scripts()],
    }


def write_seeds() -> None:
    """Write them as files named by their content, and remove those that are no longer among them."""
    for target, inputs in seeds().items():
        folder = FOLDER / target
        folder.mkdir(parents=True, exist_ok=True)
        named = {hashlib.sha256(data).hexdigest()[:12]: data for data in inputs}
        for path in folder.iterdir():
            if path.name not in named:
                path.unlink()
        for name, data in named.items():
            (folder / name).write_bytes(data)


def _small(*files: str) -> list[Vector]:
    """One of each sort: vectors whose names differ in the last word only say much the same to a fuzzer."""
    kept: dict[str, Vector] = {}
    for v in (v for file in files for v in load(file) if len(v.wire) <= _MOST):
        kept.setdefault(v.name.rpartition("-")[0], v)
    return list(kept.values())


def _conversations() -> Iterator[bytes]:
    """Commands to a device as that target takes them: a length, the top bit for a long step of time, bytes."""

    def said(*commands: bytes, silence: int = 0) -> bytes:
        return b"".join(bytes([len(c) | 0x80]) + c for c in commands) + b"\x80" * silence

    start = encode_command(Command(0, 0, 1, Opcode.START))
    for vector in load("frames"):
        if vector.name.startswith("command-") and len(vector.wire) < _MOST:
            yield said(start, b"\x00" + vector.wire, silence=3)
    again = encode_command(Command(1, 0, 1, Opcode.START, b"\x64\x00\x00\x00"))
    yield said(start, start, again, silence=5)
    yield said(again, silence=9)
    yield said(start[:7], b"\x55" * 100, start[7:], encode_command(Command(0, Flag.MUST_UNDERSTAND, 2, 3)))


_COMMAND, _MS, _20_MS, _1100_MS, _STALLED = 1, 2, 4, 6, 8  # of a step's first byte


def _scripts() -> Iterator[bytes]:
    """Steps of host/fuzz.c of the example firmware: what, a length, bytes."""
    count = 0

    def step(opcode: int, *arguments: int, more: bytes = b"", then: int = _MS, again: bool = False) -> bytes:
        nonlocal count
        count += not again
        payload = COMMANDS[Opcode(opcode)].struct.pack(*arguments) + more if arguments else more
        return bytes([_COMMAND | then, len(payload) + 2, opcode, count]) + payload

    def wait(what: int) -> bytes:
        return bytes([what, 0])

    start = step(Opcode.START, 0)
    changes = [
        step(Opcode.SET_CHANNEL, 255, 12, 0, 1),
        step(Opcode.LEAD_OFF, 2),
        step(Opcode.TEST_SIGNAL, 1, 2),
        step(Opcode.TEST_PATTERN, 2),
    ]
    registers = step(Opcode.READ_REGISTER, 0, 0, 24), step(Opcode.WRITE_REGISTER, 0, 5, more=b"\x60\x61")
    yield b"".join(registers) + step(Opcode.SET_RATE, 500, 1)
    for change in changes:
        yield start + change + wait(_20_MS)
    yield start + wait(_20_MS) + step(Opcode.STOP) + step(Opcode.RESET_COUNTERS) + step(Opcode.IDENTIFY)
    yield start + wait(_20_MS | _STALLED) + wait(_1100_MS | _STALLED) + step(Opcode.IDENTIFY)
    # The watchdog ends a stream; a rate is above what the line carries; a request is repeated, and used anew.
    yield step(Opcode.START, 100) + step(Opcode.KEEPALIVE, then=_20_MS) + wait(_1100_MS)
    yield step(Opcode.SET_RATE, 16_000, 1) + start + b"".join(changes) + wait(_1100_MS)
    yield step(Opcode.IDENTIFY) + step(Opcode.IDENTIFY, again=True) + step(Opcode.STOP, again=True)
    # More than are remembered, than can wait to be answered, and than finds room behind the answers.
    yield b"".join(step(Opcode.STOP, then=0) for _ in range(40))
    gains = (Opcode.SET_CHANNEL, 255, 12, 0, 1), (Opcode.SET_CHANNEL, 255, 24, 0, 1)
    yield start + b"".join(step(*gains[k % 2], then=0) for k in range(40))
    whole = encode_command(Command(0, 0, 1, Opcode.START))
    yield b"".join(bytes([_MS, len(part)]) + part for part in (whole[:5], whole, b"\x00" * 9, b"\x55" * 200))


def _recordings() -> Iterator[bytes]:
    writer = HostWriter(NONCE)
    wire = next(v.wire for v in load("frames") if v.name == "spec-event")
    notes: list[Note] = [
        Arrivals([(0, 10**9)]),
        Sent(10**9, b"\x00\x01"),
        MarkerNote(-1, 10**9, 769, 1, "left"),
        Gap(10**9, "port lost"),
        Raw(b"no delimiter"),
        Raw(b"\xa0" + bytes(31) + b"\xc0", Dialect.CYTON),
    ]
    head = writer.encode(Start({"software": "x"}))
    yield head
    for note in notes:
        yield head + wire + writer.encode(note) + wire
    yield head[:-3]
    yield head + HostWriter(NONCE + 1).encode(notes[0])
