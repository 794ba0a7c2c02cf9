"""Words that any console can show: what its encoding lacks is written with other signs, never as a crash or `?`.

A Chinese Windows console speaks GBK (code page 936), which has 中文, ±, Ω and → but neither µ nor ² nor ✓; one in a
bare C locale has ASCII alone.
"""

from __future__ import annotations

import codecs
import sys
import unicodedata
from io import TextIOWrapper

__all__ = ["can_show", "prepare_console"]

#: Signs that consoles lack, and how people write them without.
INSTEAD = {
    "\u00b5": "u", "\u03bc": "u", "\u03a9": "Ohm", "\u2126": "Ohm", "²": "2", "³": "3", "±": "+/-", "×": "x", "·": ".",
    "–": "-", "—": "-", "−": "-", "\u2011": "-", "→": "->", "←": "<-", "↔": "<->", "≥": ">=", "≤": "<=", "≈": "~",
    "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "+", "✗": "x", "•": "*", "●": "*", "○": "o", "°": "deg",
    "■": "#", "▓": "#", "▒": "+", "░": ".", "▲": "^", "▼": "v", "▶": ">", "◀": "<", "▏": "|", "▎": "|", "▍": "|",
    "█": "#", "▇": "#", "▆": "#", "▅": "=", "▄": "=", "▃": "-", "▂": "_", "▁": "_", "▌": "|", "▋": "#", "▊": "#",
    "▉": "#", "╭": "+", "╮": "+", "╯": "+", "╰": "+", "╸": "-", "╺": "-", "━": "-", "─": "-", "│": "|", "┃": "|",
    "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+",
    "，": ",", "。": ".", "：": ":", "（": "(", "）": ")",
}  # fmt: skip


ASCII = "bci_ascii"


def prepare_console() -> None:
    """Make stdout and stderr of this process write `INSTEAD` where their encoding lacks a sign. Twice is fine."""
    codecs.register_error("bci-plain", _plain)
    codecs.register(_plain_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=ASCII if ascii_only else None, errors="bci-plain")


def _plain_ascii(name: str) -> codecs.CodecInfo | None:
    """ASCII by another name: click takes a stream of that one for broken, and writes UTF-8 past it."""
    if name != ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_.encode,
        ascii_.decode,
        incrementalencoder=ascii_.incrementalencoder,
        incrementaldecoder=ascii_.incrementaldecoder,
        streamwriter=ascii_.streamwriter,
        streamreader=ascii_.streamreader,
        name=ASCII,
    )


def can_show(text: str) -> bool:
    """Whether stdout's encoding has every character of `text`."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = "".join(_sign(sign) for sign in error.object[error.start : error.end])
    try:
        written.encode(error.encoding)
    except UnicodeEncodeError:  # what stands for a sign is itself not to be had here: ASCII alone
        written = "".join(sign if sign.isascii() else "?" for sign in written)
    return written, error.end


def _sign(sign: str) -> str:
    if sign in INSTEAD:
        return INSTEAD[sign]
    if "\u2800" <= sign <= "\u28ff":  # braille dots of a drawn line
        return "." if sign != "\u2800" else " "
    plain = unicodedata.normalize("NFKD", sign)
    return "".join(part for part in plain if part.isascii()) or "?"
