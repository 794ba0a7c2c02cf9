"""Wire bytes of frames given as JSON objects, one per line, as `decode --json` prints them.

frame-validator encode frames.json > frames.bin
echo '{"type": "COMMAND", "request_id": 1, "opcode": 1}' | frame-validator encode --hex -
"""

from __future__ import annotations

import argparse
import json
import sys

from firmware_protocol.cli._input import blocks
from firmware_protocol.codec import encode, encode_command
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command
from firmware_protocol.json_form import from_json

SUMMARY = "make wire bytes of frames given as JSON lines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="JSON lines; - for standard input")
    parser.add_argument("--hex", action="store_true", help="print hexadecimal text, a line for each frame")


def run(args: argparse.Namespace) -> int:
    n_frames = 0
    for number, line in enumerate(b"".join(blocks(args.file)).splitlines(), 1):
        if not line.strip():
            continue
        wire = _wire(line, number)
        n_frames += 1
        if args.hex:
            print(wire.hex(" "))
        else:
            sys.stdout.buffer.write(wire)
    return 0 if n_frames else 3


def _wire(line: bytes, number: int) -> bytes:
    try:
        form = json.loads(line)
        if not isinstance(form, dict):
            raise FrameError(f"expected a JSON object, got {line[:40]!r}")
        frame = from_json(form)
        return encode_command(frame) if isinstance(frame, Command) else encode(frame)
    except FrameError as err:
        raise FrameError(f"line {number}: {err}", field=err.field) from err
    except ValueError as err:
        raise FrameError(f"line {number} is not JSON: {err}") from err
