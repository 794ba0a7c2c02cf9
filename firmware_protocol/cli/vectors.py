"""Golden vectors: list them, write them out, or run an encoder and decoder in any language against them.

  frame-validator vectors --list
  frame-validator vectors --write vectors
  frame-validator vectors --check ./bfp_check
  frame-validator vectors --check "python3 my_codec.py" --only decode

A program under test reads requests from its standard input and answers on its standard output; docs/vectors.md has the
few lines that this takes. Exit status: 0 all agree, 1 findings, 2 could not run.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware_protocol.exchange import Fields, Peer
    from firmware_protocol.golden import Vector

SUMMARY = "list golden vectors, or run a codec of yours against them"

_GIVE_UP = 3  # times in a row that a program fails to answer at all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print names and what each shows (the default)")
    what.add_argument("--write", type=Path, metavar="DIR", help="write the JSON files to a folder")
    what.add_argument("--check", metavar="PROGRAM", help="run this program, with arguments if it has any")
    parser.add_argument("--only", choices=("encode", "decode"), help="of --check: what the program can do")
    parser.add_argument(
        "--select", metavar="TEXT", default="", help="only vectors whose name holds this text"
    )
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="S", help="seconds an answer may take; default: 5"
    )
    parser.add_argument(
        "--max-errors", type=int, default=0, metavar="N", help="stop after so many; default: all"
    )


def run(args: argparse.Namespace) -> int:
    if args.write:
        return _write(args.write)
    if args.check is not None:
        return _check(args)
    return _list(args.select)


def _list(select: str) -> int:
    from firmware_protocol.golden import FILES, load

    for file in FILES:
        for vector in load(file):
            if select in vector.name:
                print(f"{file:<11}{vector.name:<40}{vector.about}")
    return 0


def _write(folder: Path) -> int:
    from firmware_protocol import golden

    folder.mkdir(parents=True, exist_ok=True)
    for file in golden.FILES:
        source = golden.FOLDER / f"{file}.json"
        target = folder / source.name
        target.write_bytes(source.read_bytes())
        print(target)
    return 0


def _check(args: argparse.Namespace) -> int:
    from firmware_protocol.exchange import Peer, PeerError
    from firmware_protocol.golden import load

    command = shlex.split(args.check)
    if not command:
        print("frame-validator: --check needs a program to run", file=sys.stderr)
        return 2
    vectors = [v for file in ("frames", "streams", "damage") for v in load(file) if args.select in v.name]
    n_asked = n_wrong = n_silent = 0
    with Peer(command, timeout_s=args.timeout) as peer:
        for vector in vectors:
            for direction, complaint in _complaints(peer, vector, args.only):
                n_asked += 1
                n_silent = n_silent + 1 if isinstance(complaint, PeerError) else 0
                if complaint:
                    n_wrong += 1
                    said = f"  {complaint}" if isinstance(complaint, PeerError) else complaint
                    print(f"error {direction} {vector.name}: {vector.about}\n{said}")
                if args.max_errors and n_wrong >= args.max_errors:
                    print(f"stopped after {n_wrong} errors (--max-errors)")
                    return 1
                if n_silent == _GIVE_UP:
                    print(
                        f"stopped: no answer {_GIVE_UP} times in a row; docs/vectors.md has the form of one"
                    )
                    return 1
    if not n_asked:
        print(f"frame-validator: no vector's name holds {args.select!r}", file=sys.stderr)
        return 2
    print(f"{n_asked - n_wrong} of {n_asked} agree" + (f", {n_wrong} do not" if n_wrong else ""))
    return 1 if n_wrong else 0


def _complaints(peer: Peer, vector: Vector, only: str | None) -> Iterator[tuple[str, object]]:
    """Each direction asked, and what is wrong with the answer: a text, a PeerError, or "" if nothing is."""
    from firmware_protocol.exchange import PeerError, decode_request, encode_request

    try:
        if only != "encode":
            yield "decode", _compare_found(vector, peer.ask(decode_request(vector.wire)))
    except PeerError as err:
        yield "decode", err
    try:
        if only != "decode" and vector.frame:
            yield "encode", _compare_wire(vector, peer.ask(encode_request(vector.frame)))
    except PeerError as err:
        yield "encode", err


def _compare_wire(vector: Vector, answer: bytes) -> str:
    if answer == vector.wire:
        return ""
    if not answer:
        return f"  expected  {_hex(vector.wire)}\n  got       nothing: it refused the frame"
    same = zip(answer, vector.wire, strict=False)
    at = next((k for k, (a, b) in enumerate(same) if a != b), min(len(answer), len(vector.wire)))
    from firmware_protocol.cobs import cobs_decode

    where = ""
    packets = [
        cobs_decode(wire[:-1]) if wire[:-1] and 0 not in wire[:-1] else None for wire in (vector.wire, answer)
    ]
    if packets[0] and packets[1]:
        same = zip(packets[0], packets[1], strict=False)
        k = next((k for k, (a, b) in enumerate(same) if a != b), min(map(len, packets)))  # type: ignore[arg-type]
        where = f", which is byte {k} of the packet{_field_at(vector.frame, k, len(packets[0]))}"
    return (
        f"  differs from wire byte {at} on{where}\n"
        f"  expected  {_hex(vector.wire, at)}\n  got       {_hex(answer, at)}"
    )


def _field_at(frame: Fields | None, at: int, size: int) -> str:
    """Name of the field that a byte of a packet belongs to."""
    from firmware_protocol.codes import Type
    from firmware_protocol.layout import PACKETS

    if at >= size - 4:
        return ", in the CRC"
    if frame is None or frame["type"] == "UNKNOWN":
        return ""
    fields = PACKETS[Type[frame["type"]]].fields
    name = next((f.name for f in fields if f.offset <= at < f.offset + f.size), "payload")
    return f", in {name}"


def _compare_found(vector: Vector, answer: bytes) -> str:
    from firmware_protocol.exchange import line_of

    try:
        got = answer.decode("ascii").splitlines()
    except UnicodeDecodeError:
        return f"  got       {_hex(answer)}: no lines of text"
    expected = [line_of(found) for found in vector.found]
    if got == expected:
        return ""
    k = next(
        (k for k, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b),
        min(len(got), len(expected)),
    )
    shown = [lines[k] if k < len(lines) else "nothing" for lines in (expected, got)]
    words = [dict(_pairs(line)) for line in shown]
    unlike = [name for name in words[0] if words[0][name] != words[1].get(name)]
    hint = f" in {', '.join(unlike)}" if k < min(len(got), len(expected)) and unlike else ""
    return (
        f"  wire      {_hex(vector.wire)}\n"
        f"  differs at event {k + 1} of {len(expected)}{hint}\n"
        f"  expected  {shown[0]}\n  got       {shown[1]}"
    )


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    for k, word in enumerate(line.split(" ")):
        name, _, value = word.partition("=")
        yield (name, value) if k or value else ("type", name)


def _hex(wire: bytes, at: int = 0) -> str:
    """Up to 48 bytes around `at`."""
    begin = max(0, at - 16) if len(wire) > 48 else 0
    shown = wire[begin : begin + 48].hex(" ")
    before = f"(from byte {begin}) … " if begin else ""
    behind = f" … ({len(wire)} bytes)" if begin + 48 < len(wire) else ""
    return before + shown + behind
