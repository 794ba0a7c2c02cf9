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
