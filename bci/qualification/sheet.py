"""The sheet of one board: pass or fail, large, and why. One self-contained page that prints on one A4 page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bci._version import __version__
from bci.language import language
from bci.qualification.attempts import verdict_word
from bci.qualification.bench import attempt_folder
from bci.qualification.figures import Row, rows_of, sentences
from bci.qualification.pictures import data_address, kept_picture
from bci.qualification.records import Attempt, Done
from bci.qualification.result import Measurement
from bci.qualification.store import Batch
from bci.qualification.templates import template
from bci.qualification.whole_files import write_whole
from bci.qualification.words import figure_title, unit_text

__all__ = ["MOST_PICTURES", "write_sheet"]

MOST_PICTURES = 9
MOST_SENTENCES = 7
#: What fits on the page, in lines of the table: rows, sentences, rows of pictures.
PAGE_LINES = 63
PICTURE_LINES = 9
PICTURES_BESIDE = 3
LETTERS = 105  # of a sentence on a line
#: Which pictures of a good board tell most; the others follow in the bench's order.
FIRST = ("noise", "response", "crosstalk", "gain", "linearity", "common-mode", "clock", "leads", "offset")
#: Bytes of all pictures together: the sheet stays below 1 MB.
PICTURE_BYTES = 600_000


@dataclass(frozen=True, slots=True)
class _Part:
    """A measurement on the sheet."""

    title: str
    rows: list[Row]
    tries: int


def write_sheet(
    batch: Batch, attempt: Attempt, measurements: Sequence[Measurement], path: Path | None = None
) -> Path:
    """Write the sheet of an attempt in the language spoken; by default into the attempt's folder.

    Parameters
    ----------
    measurements : sequence of Measurement
        All that the bench knows: what the attempt went without is said.
    """
    known = {m.name: m for m in measurements}
    done = batch.measurements(attempt)
    board = batch.board(attempt.serial)
    folder = attempt_folder(batch, attempt)
    had = {one.name for one in done}
    results = [result for one in done for result in one.results]
    told = sentences(results)
    parts = [
        _Part(known[one.name].title() if one.name in known else one.name, rows_of(one.results), one.tries)
        for one in done
    ]
    lines = sum(max(len(part.rows), 1) for part in parts) + sum(
        1 + len(sentence) // LETTERS for sentence in told[:MOST_SENTENCES]
    )
    n_pictures = PICTURES_BESIDE * ((PAGE_LINES - lines) // PICTURE_LINES)
    page = template("sheet.html.j2").render(
        language=language(),
        attempt=attempt,
        board=board,
        verdict=verdict_word(attempt.verdict),
        first=verdict_word(board.first.verdict) if board.first else "",
        word=verdict_word,
        figure_title=figure_title,
        unit_text=unit_text,
        parts=parts,
        sentences=told[:MOST_SENTENCES],
        more=len(told) - MOST_SENTENCES,
        without=[m.title() for m in measurements if m.name not in had and not m.optional],
        pictures=_pictures(batch, done, known, folder, most=min(max(n_pictures, 0), MOST_PICTURES)),
        software=f"bci {__version__}",
    )
    path = folder / f"sheet.{language()}.html" if path is None else path
    write_whole(path, page)
    return path


def _pictures(
    batch: Batch, done: Sequence[Done], known: dict[str, Measurement], folder: Path, *, most: int
) -> list[tuple[str, str]]:
    """(title, address) of what failed first, then of the others in order, as many as the page has room for."""
    found: list[tuple[str, str]] = []
    room = PICTURE_BYTES
    for one in sorted(done, key=_importance):
        if len(found) == most or one.name not in known:
            continue
        svg = kept_picture(folder, known[one.name], one.results, [batch.folder / name for name in one.files])
        address = data_address(svg) if svg else ""
        if address and len(address) <= room:
            room -= len(address)
            found.append((known[one.name].title(), address))
    return found


def _importance(done: Done) -> tuple[bool, int]:
    return done.verdict != "fail", FIRST.index(done.name) if done.name in FIRST else len(FIRST)
