"""Which files of a folder are the runs of one person, in order.

Names carry it: `S02_R1.edf` (subject S02, run 1), `S001R04.edf`, `subT_003.xdf`,
`sub-01_task-grasp_run-2_eeg.bdf`; files named otherwise belong to the folder they lie in, in the order of
their names. No two runs have the same number: what is counted per run must not meet one of them twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bci.errors import RecordingError
from bci.interop._files import OWN, SUFFIXES
from bci.interop._vocabulary import movement_of
from bci.language import _

__all__ = ["RunFile", "find_runs", "numbered", "recordings_below"]

_NAMES = (
    re.compile(r"(?P<subject>sub-[A-Za-z0-9]+)(?:_.*)?_run-(?P<run>\d+)(?:_.*)?"),
    re.compile(r"(?P<subject>S\d{3})R(?P<run>\d{2})"),
    re.compile(r"(?P<subject>.+)_R(?P<run>\d+)"),
    re.compile(r"(?P<subject>.+)_(?P<run>\d+)"),
)


@dataclass(frozen=True, slots=True, order=True)
class RunFile:
    """One run. `movement` is "executed", "intended" or "baseline" where the set's naming tells, else ""."""

    subject: str
    run: int
    path: Path
    movement: str = ""


def find_runs(
    path: str | os.PathLike[str], *, subject: str | None = None, movement: str | None = "intended"
) -> tuple[RunFile, ...]:
    """The runs of one subject below a folder, or the one file that `path` is, in the order of their numbers.

    Of a recording that lies there in several formats (same folder, same name) the `.bfp` is taken alone.

    Parameters
    ----------
    path : path
        A file, or a folder with files or subject folders in it.
    subject : str, optional
        Needed where the folder holds more than one person; upper and lower case are alike.
    movement : {"intended", "executed", None}
        Which runs to take where a set has both kinds; runs whose name does not tell are always taken. None
        takes all, resting baselines too.

    Raises
    ------
    RecordingError
        If there is nothing to read, no such subject, or a choice to make; the message lists what is there.
    """
    path = Path(path)
    if path.is_file():
        return (_describe(path),)
    if not path.is_dir():
        raise RecordingError(
            _("{path} does not exist; name a recording or a folder of recordings").format(path=path),
            path=path,
        )
    files = recordings_below(path)
    if not files:
        raise RecordingError(
            _("no recordings in {path}: expected files ending in {suffixes}").format(
                path=path, suffixes=_(", ").join(SUFFIXES)
            ),
            path=path,
        )
    runs = [_describe(file) for file in files]
    subjects = sorted({run.subject for run in runs})
    if subject is None and len(subjects) > 1:
        raise RecordingError(
            _("{path} holds {subjects}; say which one (subject, --subject)").format(
                path=path, subjects=_listed(subjects)
            ),
            path=path,
        )
    wanted = subjects[0] if subject is None else subject
    chosen = sorted(run for run in runs if run.subject.lower() == wanted.lower())
    if not chosen:
        raise RecordingError(
            _("no subject {wanted!r} in {path}; there is {subjects}").format(
                wanted=wanted, path=path, subjects=_listed(subjects)
            ),
            path=path,
        )
    fitting = tuple(run for run in chosen if movement is None or run.movement in ("", movement))
    if not fitting:
        kinds = ", ".join(sorted({run.movement for run in chosen}))
        raise RecordingError(
            f"{wanted} in {path} has runs of {kinds} movement, none of {movement}", path=path
        )
    return numbered(fitting)


def numbered(runs: Iterable[RunFile]) -> tuple[RunFile, ...]:
    """In the order of their numbers; counted from 1 by their paths where names do not tell them apart."""
    runs = sorted(runs, key=lambda run: run.path)
    if len({run.run for run in runs}) < len(runs):
        return tuple(replace(run, run=number) for number, run in enumerate(runs, start=1))
    return tuple(sorted(runs, key=lambda run: run.run))


def recordings_below(folder: Path) -> list[Path]:
    """All recordings, by their paths; of one that lies beside its copy in another format the `.bfp` alone."""
    files = sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.stem.endswith("-eve")
    )
    own = {file.with_suffix("") for file in files if file.suffix.lower() == OWN}
    return [file for file in files if file.suffix.lower() == OWN or file.with_suffix("") not in own]


def _describe(path: Path) -> RunFile:
    stem = path.stem.removesuffix("_raw")
    for pattern in _NAMES:
        if match := pattern.fullmatch(stem):
            return RunFile(match["subject"], int(match["run"]), path, movement_of(path))
    visit = path.parent
    # as `bci sessions` keeps them
    subject = visit.parents[1].name if visit.parent.name == "visits" else visit.name
    return RunFile(subject, 0, path)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    if len(names) > 1:
        return _("{n} subjects ({names})").format(n=len(names), names=shown)
    return _("only {name}").format(name=shown)
