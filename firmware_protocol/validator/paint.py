"""Colour for terminals and hex rows, as text. Where nobody looks at a terminal, plain text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TextIO

from firmware_protocol.validator.findings import Level, Window

__all__ = ["HexRow", "Paint", "hex_rows", "wants_colour"]

_ROW = 16
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
_OF_LEVEL = {Level.MUST: "red", Level.SHOULD: "yellow", Level.INFO: "cyan"}


def wants_colour(stream: TextIO, choice: str = "auto") -> bool:
    """Whether to colour what goes to `stream`; `choice`: always, never, or auto (https://no-color.org)."""
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


class Paint:
    """Puts colour around text, or leaves it as it is."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, *styles: str) -> str:
        if not (self.colour and text and styles):
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def level(self, level: Level) -> str:
        """The word of a level in its colour."""
        return self(level.word, "bold", _OF_LEVEL[level])

    def mark(self, text: str) -> str:
        """Bytes that a finding speaks of: red, or in brackets where there is no colour."""
        return self(text, "bold", "red")


class HexRow:
    """One row of a hex window: its position, and for each byte its text and whether it is marked."""

    def __init__(self, position: int, data: bytes, marked: list[bool]) -> None:
        self.position = position
        self.data = data
        self.marked = marked

    @property
    def text(self) -> str:
        """Printable ASCII, dots for all else."""
        return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in self.data)


def hex_rows(window: Window) -> Iterator[HexRow]:
    """Rows of 16 bytes, the first beginning at a multiple of 16."""
    first, stop = window.marks
    at = window.start
    while at < window.start + len(window.data):
        end = min((at // _ROW + 1) * _ROW, window.start + len(window.data))
        data = window.data[at - window.start : end - window.start]
        yield HexRow(at, data, [first <= position < stop for position in range(at, end)])
        at = end
