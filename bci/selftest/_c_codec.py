"""The C encoder and decoder of `frame-validator header`, compiled here and held against the Python codec."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from bci.errors import BciError
from bci.selftest._random_frames import damaged_wire, random_frame
from firmware_protocol import c_text
from firmware_protocol.codec import encode
from firmware_protocol.exchange import decode_request, encode_request, fields_of, found_in, line_of
from firmware_protocol.golden import load

__all__ = [
    "WARNINGS",
    "DifferenceError",
    "answers",
    "build",
    "compare_damage",
    "compare_frames",
    "compare_vectors",
    "compiler",
]

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_CHUNK = 10_000  # frames a run of the program


class DifferenceError(BciError):
    """The C codec and the Python codec do not say the same."""


def compiler() -> str | None:
    """The machine's C compiler: $CC, or `cc`; None if there is none."""
    return shutil.which(os.environ.get("CC", "cc"))


def build(folder: Path, *options: str) -> Path:
    """Compile the driver with the codec; every warning is an error.

    Raises
    ------
    DifferenceError
        With the compiler's words, if it refuses.
    """
    cc = compiler()
    assert cc is not None
    folder.mkdir(parents=True, exist_ok=True)
    for name in c_text.FILES:
        (folder / name).write_text(c_text.written(name), encoding="utf-8")
    program = folder / "bfp_check"
    command = [cc, *WARNINGS, "-O2", *options, "-o", str(program), "bfp_check.c", "bfp.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DifferenceError(f"{' '.join(command)}:\n{done.stderr}")
    return program


def answers(program: Path, requests: Iterable[bytes]) -> list[bytes]:
    """Answers to all requests, in one run of the program.

    Raises
    ------
    DifferenceError
        If it fails, or gives another number of answers.
    """
    asked = list(requests)
    done = subprocess.run([str(program)], input=b"".join(asked), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-2000:]
        raise DifferenceError(f"{program.name} ended with status {done.returncode}: {said}")
    given = []
    at = 0
    while at < len(done.stdout):
        n = int.from_bytes(done.stdout[at : at + 4], "little")
        given.append(done.stdout[at + 4 : at + 4 + n])
        at += 4 + n
    if len(given) != len(asked):
        raise DifferenceError(f"{len(given)} answers to {len(asked)} requests")
    return given


def compare_vectors(program: Path) -> int:
    """Golden vectors in both directions; how many comparisons."""
    vectors = [v for file in ("frames", "streams", "damage") for v in load(file)]
    coded = [v for v in vectors if v.frame]
    _same([line_of(found) for v in vectors for found in v.found], _lines(program, [v.wire for v in vectors]))
    frames = [v.frame for v in coded if v.frame]
    _same([v.wire for v in coded], answers(program, map(encode_request, frames)))
    return len(vectors) + len(coded)


def compare_frames(program: Path, n: int, seed: int) -> int:
    """`n` random frames, each encoded and decoded by both."""
    rng = random.Random(seed)
    for begin in range(0, n, _CHUNK):
        frames = [random_frame(rng) for _ in range(min(_CHUNK, n - begin))]
        fields = [fields_of(frame) for frame in frames]
        wires = [encode(frame) for frame in frames]
        _same(wires, answers(program, map(encode_request, fields)))
        lines = []
        offset = 0
        for form, wire in zip(fields, wires, strict=True):
            head = {"type": form.pop("type"), "offset": offset, "bytes": len(wire) - 1}
            lines.append(line_of(head | form))
            offset += len(wire)
        _same(lines, _lines(program, [b"".join(wires)]))
    return n


def compare_damage(program: Path, n: int, seed: int) -> int:
    """Streams of `n` damaged packets; how many frames and faults came out, alike, of both decoders."""
    rng = random.Random(seed)
    n_events = 0
    for begin in range(0, n, _CHUNK):
        left = min(_CHUNK, n - begin)
        wires = [damaged_wire(rng, 10) for _ in range(-(-left // 10))]
        expected = [line_of(found) for wire in wires for found in found_in(wire)]
        _same(expected, _lines(program, wires))
        n_events += len(expected)
    return n_events


def _lines(program: Path, wires: Sequence[bytes]) -> list[str]:
    given = answers(program, map(decode_request, wires))
    return [line for answer in given for line in answer.decode("ascii").splitlines()]


def _same(expected: Sequence[object], got: Sequence[object]) -> None:
    if expected != got:
        n = min(len(expected), len(got))
        k = next((k for k in range(n) if expected[k] != got[k]), n)
        here, there = (items[k] if k < len(items) else "nothing" for items in (expected, got))
        raise DifferenceError(f"item {k}: Python says {here!r}, C says {there!r}")
