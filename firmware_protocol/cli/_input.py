"""Bytes from a file or from standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from firmware_protocol.errors import CaptureError

BLOCK = 1 << 16


def blocks(name: str, *, hexadecimal: bool = False) -> Iterator[bytes]:
    """Blocks of the file `name`, "-" for standard input.

    `hexadecimal`: the input is hexadecimal text.
    """
    if name == "-":
        raw = _blocks_of_stdin()
    else:
        if Path(name).is_dir():
            raise CaptureError(f"{name} is a directory, expected a capture or recording (.bfp)")
        raw = _blocks_of(Path(name))
    if hexadecimal:
        text = b"".join(raw)
        try:
            yield bytes.fromhex(text.decode("ascii"))
        except ValueError as err:
            raise CaptureError(f"{name} is not hexadecimal text: {err}") from err
    else:
        yield from raw


def _blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _blocks_of_stdin() -> Iterator[bytes]:
    while block := os.read(sys.stdin.fileno(), BLOCK):  # what is there: a live pipe shows at once
        yield block
