"""From the `.po` files of a language to its `bci.mo`. Reproducible: no dates, no versions, sorted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from bci.language import LOCALES

__all__ = ["Entry", "compiled", "entries", "mo_path"]


class Entry(NamedTuple):
    """One translated sentence. `sentences` are its English forms (two where there is a plural), `said` the others."""

    file: str
    line: int
    sentences: tuple[str, ...]
    said: tuple[str, ...]
    fuzzy: bool


class _Bare(Catalog):  # type: ignore[misc]  # babel is not read by the type checker
    """A catalogue whose header says only what a reader needs."""

    mime_headers = [  # noqa: RUF012 - babel's own is a property of the instance
        ("Content-Type", "text/plain; charset=UTF-8"),
        ("Plural-Forms", "nplurals=1; plural=0;"),
    ]


def mo_path(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / "bci.mo"


def entries(language: str) -> Iterator[Entry]:
    """Every entry of every `.po` file of a language, in order of file and line."""
    for path in sorted((LOCALES / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language, charset="utf-8", abort_invalid=True):
                if message.id:
                    yield Entry(
                        path.name, message.lineno or 0, _forms(message.id), _said(message), message.fuzzy
                    )


def compiled(language: str) -> bytes:
    """The bytes of `bci.mo`.

    Raises
    ------
    ValueError
        If two files say one sentence differently; the message names both places.
    """
    catalogue = _Bare(locale=language)
    seen: dict[str, Entry] = {}
    for entry in entries(language):
        other = seen.setdefault(entry.sentences[0], entry)
        if other.said != entry.said:
            raise ValueError(
                f"{other.file}:{other.line} and {entry.file}:{entry.line} translate {entry.sentences[0]!r} differently"
            )
        plural = len(entry.sentences) > 1
        said: str | tuple[str, ...] = entry.said if plural else entry.said[0]
        catalogue.add(entry.sentences if plural else entry.sentences[0], said)
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def _forms(sentences: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (sentences,) if isinstance(sentences, str) else tuple(sentences)


def _said(message: Message) -> tuple[str, ...]:
    return _forms(message.string)
