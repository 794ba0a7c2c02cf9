"""Print every frame and fault of a capture or recording, in order.

A recording (.bfp) begins with a HOST packet: its notes are taken out and RAW bytes put back, so that offsets count the
bytes of the wire. Anything else is decoded as it is.

  frame-validator decode capture.bin
  frame-validator decode --json session.bfp | jq 'select(.type == "EVENT")'
  echo "02 15 ..." | frame-validator decode --hex -
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from firmware_protocol._fields import INT24
from firmware_protocol.cli._input import blocks
from firmware_protocol.codec import Decoder
from firmware_protocol.describe import describe
from firmware_protocol.frames import Data, Fault, Frame
from firmware_protocol.host import wire_of
from firmware_protocol.json_form import to_json

SUMMARY = "print every frame and fault of a capture"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="capture or recording; - for standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--counts", action="store_true", help="with the ADC counts of DATA")
    parser.add_argument("--hex", action="store_true", help="the input is hexadecimal text")


def run(args: argparse.Namespace) -> int:
    n_frames = n_faults = 0
    for event in events_of(blocks(args.file, hexadecimal=args.hex)):
        if isinstance(event, Fault):
            n_faults += 1
        else:
            n_frames += 1
        for line in _json_lines(event, args.counts) if args.json else _lines(event, args.counts):
            print(line)
    return 1 if n_faults and n_frames else 0 if n_frames else 3


def events_of(pieces: Iterable[bytes]) -> Iterator[Frame | Fault]:
    """Frames and faults of a capture or recording given in blocks."""
    decoder = Decoder()
    for wire in wire_of(pieces):
        yield from decoder.feed(wire)
    yield from decoder.finish()


def _json_lines(event: Frame | Fault, with_counts: bool) -> list[str]:
    form: dict[str, Any] = to_json(event)
    if with_counts and isinstance(event, Data):
        form["counts"] = _rows(event)
    return [json.dumps(form, ensure_ascii=False)]


def _lines(event: Frame | Fault, with_counts: bool) -> list[str]:
    lines = [describe(event)]
    if with_counts and isinstance(event, Data):
        for index, row in enumerate(_rows(event), event.sample_index):
            lines.append(f"{'':12}{index:<12}" + " ".join(f"{value:9}" for value in row))
    return lines


def _rows(data: Data) -> Sequence[Sequence[float]]:
    return data.counts() if data.sample_type == INT24 else data.values()
