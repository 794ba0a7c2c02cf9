"""What a batch works on: the people or the recordings of a BIDS data set, of a folder, or of a list file.

Rules
-----
- An item is all runs of one person (of one session, in a data set with sessions), or one recording.
- Names are unique, and the order is that of the names, so a table looks the same whoever made it.
- A path of a list that is not there is an item, too: it comes out of the batch with that as its reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bci.errors import BatchError

__all__ = ["Item", "find_items"]

LIST_SUFFIXES = (".csv", ".tsv", ".txt")
_SESSION = re.compile(r"(?:^|_)(ses-[A-Za-z0-9]+)(?:_|$)")
#: What names of one run's files end in; the rest is common to a recording and what lies beside it.
_ENDINGS = re.compile(r"(_eeg|[-_]raw)$")
#: Copies that BIDS data sets keep beside the raw data.
_NOT_RAW = ("derivatives", "sourcedata", "code", "stimuli")


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of work.

    Parameters
    ----------
    name : str
        Unique in its batch.
    path : Path
        The recording, or the folder that holds the runs.
    subject : str
        Whose it is, as `bci.interop.find_runs` calls them; "" where a file stands for itself.
    files : tuple of Path
        The recordings.
    """

    name: str
    path: Path
    subject: str
    files: tuple[Path, ...]

    def content(self) -> list[Path]:
        """All files that a result rests on: the recordings and what lies beside them under the same name."""
        found: set[Path] = set(self.files)
        for file in self.files:
            stem = _ENDINGS.sub("", file.stem)
            if file.parent.is_dir():
                found |= {p for p in file.parent.iterdir() if p.is_file() and _beside(p.name, stem)}
        return sorted(found)


def find_items(source: str | os.PathLike[str], *, each: str = "subject") -> list[Item]:
    """The items of a BIDS data set, a folder, a list file or a single recording.

    Parameters
    ----------
    source : path
        A list file (.txt, .csv, .tsv) has one path a line, relative to its own folder, and behind a comma or tab
        optionally the person it is of; lines that begin with # are comments.
    each : {"subject", "recording"}
        What an item is.

    Raises
    ------
    BatchError
        If there is no such path, or no recording in it.
    """
    source = Path(source).absolute()  # workers may have another working folder
    if source.is_file() and source.suffix.lower() in LIST_SUFFIXES:
        entries = list(_listed(source))
    elif source.is_file():
        entries = [(source, "")]
    elif source.is_dir():
        entries = [(path, "") for path in _recordings(source)]
    else:
        raise BatchError(f"{source} does not exist; name a BIDS data set, a folder, a recording or a list")
    if not entries:
        raise BatchError(f"no recordings in {source}; expected files ending in {', '.join(_suffixes())}")
    if each == "recording":
        return _unique([Item(path.stem, path, "", (path,)) for path, _ in entries])
    return _unique(_people(entries))


def _people(entries: list[tuple[Path, str]]) -> list[Item]:
    """Runs of one person and session together."""
    from bci.interop import find_runs

    together: dict[tuple[str, str, Path | None], list[Path]] = {}
    for path, stated in entries:
        subject = find_runs(path)[0].subject if path.is_file() else path.stem
        session = match[1] if (match := _SESSION.search(path.stem)) else ""
        # without a person's name in the list or in the file's own, the folder tells people apart
        where = None if stated else path.parent
        together.setdefault((stated or subject, session, where), []).append(path)
    items = []
    for (subject, session, _), files in together.items():
        paths = tuple(sorted(files))
        folder = Path(os.path.commonpath([p.parent for p in paths]))
        whole = paths[0] if len(paths) == 1 else folder
        items.append(Item(" ".join(filter(None, (subject, session))), whole, subject, paths))
    return items


def _recordings(folder: Path) -> Iterator[Path]:
    from bci.interop import recordings_below

    for path in recordings_below(folder):
        if path.relative_to(folder).parts[0] not in _NOT_RAW:
            yield path


def _listed(file: Path) -> Iterator[tuple[Path, str]]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise BatchError(f"{file} cannot be read as a list of paths, one a line in UTF-8: {err}") from err
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            path, _, subject = re.sub(r"\s*[,\t]\s*", "\t", line.strip()).partition("\t")
            yield file.parent / path, subject


def _unique(items: list[Item]) -> list[Item]:
    """Names that occur twice get their folder's in front, or a number."""
    names = [item.name for item in items]
    taken: set[str] = set()
    renamed = []
    for item in items:
        folder = item.files[0].parent.name
        name = item.name if names.count(item.name) == 1 else f"{folder} {item.name}".strip()
        number = 2
        while name in taken:
            name, number = f"{item.name} ({number})", number + 1
        taken.add(name)
        renamed.append(Item(name, item.path, item.subject, item.files))
    return sorted(renamed, key=lambda item: item.name)


def _beside(name: str, stem: str) -> bool:
    """`S01R04` owns `S01R04.edf.event`, not `S01R041.edf`."""
    return name.startswith(stem) and not name[len(stem) : len(stem) + 1].isalnum()


def _suffixes() -> tuple[str, ...]:
    from bci.interop._files import SUFFIXES

    return SUFFIXES
