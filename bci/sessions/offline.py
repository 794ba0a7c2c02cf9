"""Runs of a recording as the decoders take them, read without a board: for evaluation and training offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bci.chunks import SignalInfo
from bci.errors import LabelError, MontageMismatchError, RecordingError
from bci.pipeline import MOTOR_CHANNELS, Run
from bci.pipeline.chain import rows_taken
from bci.sessions.own_recording import own_runs

if TYPE_CHECKING:
    from bci.interop import RunFile

T = TypeVar("T")

__all__ = ["CHANNEL_SETS", "canonical", "choose_channels", "read_runs"]

#: Names for sets of electrodes: rows over sensorimotor cortex, and the six that most montages have there.
CHANNEL_SETS = {
    "sensorimotor": tuple(row + column for row in ("FC", "C", "CP") for column in "531z246"),
    "motor": MOTOR_CHANNELS,
}


def read_runs(
    path: Path,
    *,
    subject: str | None = None,
    files: Sequence[Path] = (),
    runs: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    unit: str | None = None,
    channels: Sequence[str] = (),
) -> tuple[list[Run], list[str], tuple[str, ...]]:
    """Read one person's runs.

    Parameters
    ----------
    path : Path
        A recording, or a folder of recordings.
    subject : str, optional
        Whose, where a folder holds several.
    files : sequence of Path
        The runs themselves, instead of those below `path`; numbered in this order where their names do not tell.
    runs : sequence of str
        Numbers of runs ("1", "R2"); by default all of intended movement.
    labels, unit
        As `bci.interop.read_recording` takes them; a `.bfp` says itself what its numbers are, and takes no unit.
    channels : sequence of str
        Electrodes, or a name of `CHANNEL_SETS`; by default all.

    Returns
    -------
    runs : list of Run
    names : list of str
        "R1", "R2" …: as the files are numbered; counted over all where a recording holds several runs.
    classes : tuple of str

    Raises
    ------
    RecordingError, LabelError, MontageMismatchError
        The message says what came, what was expected and what to do.
    """
    from bci.interop import OWN, find_runs

    asked = [_number(name, path) for name in runs]
    movement = None if asked else "intended"
    found = _of_files(files, movement) if files else find_runs(path, subject=subject, movement=movement)
    if asked and not any(file.path.suffix.lower() == OWN for file in found):
        found = tuple(_chosen(asked, {file.run: file for file in found}, path))  # the others need not be read
    read = _read(found, labels=labels, unit=unit)
    numbers = [one.number for one in read]
    if len(set(numbers)) < len(numbers):
        read = [replace(one, number=number) for number, one in enumerate(read, start=1)]
    if asked:
        read = _chosen(asked, {one.number: one for one in read}, path)
    first = read[0].run.info
    rows = choose_channels(channels, first.channels)
    taken = SignalInfo(tuple(first.channels[row] for row in rows), first.rate)
    for one in read:
        info = one.run.info
        if (info.channels, info.rate) != (first.channels, first.rate):
            raise MontageMismatchError(
                f"{one.path.name} has {len(info.channels)} channels at {info.fs_hz:g} Hz, {read[0].path.name} "
                f"has {len(first.channels)} at {first.fs_hz:g} Hz: evaluate runs of one montage and rate",
                got=info.channels,
                expected=first.channels,
            )
    mask = None if len(rows) == first.n_channels else np.isin(np.arange(first.n_channels), rows)
    chosen = [Run(taken, tuple(rows_taken(c, mask) for c in one.run.chunks), one.run.markers) for one in read]
    return chosen, [f"R{one.number}" for one in read], read[0].classes


@dataclass(frozen=True, slots=True)
class _Read:
    """One run of a file."""

    path: Path
    number: int
    run: Run
    classes: tuple[str, ...]


def _read(found: Sequence[RunFile], *, labels: Mapping[str, str] | None, unit: str | None) -> list[_Read]:
    """Runs of all files, in their order; of several recordings of our own, those without cues are left out."""
    from bci.interop import OWN, read_recording

    read: list[_Read] = []
    refused: LabelError | None = None
    for file in found:
        if file.path.suffix.lower() != OWN:
            one = read_recording(file.path, labels=labels, unit=unit)
            run = Run.from_array(one.data_uv, SignalInfo(one.channels, one.rate), one.markers)
            read.append(_Read(file.path, file.run, run, one.classes))
            continue
        if unit is not None:
            raise RecordingError(
                f"{file.path} says itself what its numbers are; leave the unit (--unit) out", path=file.path
            )
        try:
            runs, classes = own_runs(file.path, labels=labels)
        except LabelError as err:
            refused = refused or err
            continue
        read += [_Read(file.path, file.run, run, classes) for run in runs]
    if not read and refused is not None:
        raise refused
    return read


def _chosen(asked: Sequence[int], there: Mapping[int, T], path: Path) -> list[T]:
    """Those that are asked for, in that order."""
    if missing := sorted(set(asked) - set(there)):
        told = ", ".join(f"R{n}" for n in sorted(there))
        raise RecordingError(f"{path} has no run R{missing[0]}; its runs are {told}", path=path)
    return [there[number] for number in asked]


def _of_files(files: Sequence[Path], movement: str | None) -> tuple[RunFile, ...]:
    """These files as runs."""
    from bci.interop import find_runs, numbered

    runs = [find_runs(file, movement=None)[0] for file in files]
    fitting = [run for run in runs if movement is None or run.movement in ("", movement)]
    if not fitting:
        raise RecordingError(f"none of {len(runs)} recordings is of {movement} movement", path=files[0])
    return numbered(fitting)


def choose_channels(wanted: Sequence[str], present: Sequence[str]) -> list[int]:
    """Rows of the channels that are asked for, in the order of the signal; all where nothing is.

    Raises
    ------
    MontageMismatchError
        If none of a set, or not each of the names, is there.
    """
    if not wanted:
        return list(range(len(present)))
    names: set[str] = set()
    for name in wanted:
        group = {c.lower() for c in CHANNEL_SETS.get(name.lower(), ())}
        names |= {c for c in present if c.lower() in group} if group else {name}
    lower = {name.lower() for name in names}
    rows = [i for i, name in enumerate(present) if name.lower() in lower]
    if len(rows) < max(2, len(lower)):
        raise MontageMismatchError(
            f"channels {', '.join(wanted)} leave {len(rows)} of the recording's: it has {', '.join(present)}",
            got=tuple(present),
            expected=tuple(wanted),
        )
    return rows


def canonical(name: str) -> str:
    """The name of a run as `read_runs` gives it: "3" and "r3" are R3."""
    return f"R{name.upper().removeprefix('R').lstrip('0') or '0'}"


def _number(name: str, path: Path) -> int:
    digits = name.upper().removeprefix("R")
    if not digits.isdecimal():
        raise RecordingError(f"expected the number of a run such as 3 or R3, got {name!r}", path=path)
    return int(digits)
