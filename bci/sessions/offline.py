"""Runs of a recording as the decoders take them, read without a board: for evaluation and training offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bci.chunks import SignalInfo
from bci.errors import MontageMismatchError, RecordingError
from bci.pipeline import MOTOR_CHANNELS, Run

if TYPE_CHECKING:
    from bci.interop import RunFile

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
        As `bci.interop.read_recording` takes them.
    channels : sequence of str
        Electrodes, or a name of `CHANNEL_SETS`; by default all.

    Returns
    -------
    runs : list of Run
    names : list of str
        "R1", "R2" …
    classes : tuple of str

    Raises
    ------
    RecordingError, LabelError, MontageMismatchError
        The message says what came, what was expected and what to do.
    """
    from bci.interop import find_runs, read_recording

    asked = [_number(name, path) for name in runs]
    movement = None if asked else "intended"
    found = _of_files(files, movement) if files else find_runs(path, subject=subject, movement=movement)
    numbers = [run.run for run in found]
    missing = sorted(set(asked) - set(numbers))
    if missing:
        there = ", ".join(f"R{n}" for n in numbers)
        raise RecordingError(f"{path} has no run R{missing[0]}; its runs are {there}", path=path)
    order = asked or numbers
    loaded = [read_recording(found[numbers.index(n)].path, labels=labels, unit=unit) for n in order]
    first = loaded[0]
    rows = choose_channels(channels, first.channels)
    kept = tuple(first.channels[i] for i in rows)
    read = []
    for file in loaded:
        if (file.channels, file.rate) != (first.channels, first.rate):
            raise MontageMismatchError(
                f"{file.path.name} has {len(file.channels)} channels at {float(file.rate):g} Hz, {first.path.name} "
                f"has {len(first.channels)} at {float(first.rate):g} Hz: evaluate runs of one montage and rate",
                got=file.channels,
                expected=first.channels,
            )
        info = SignalInfo(kept, file.rate)
        read.append(Run.from_array(file.data_uv[rows], info, file.markers))
    return read, [f"R{n}" for n in order], first.classes


def _of_files(files: Sequence[Path], movement: str | None) -> tuple[RunFile, ...]:
    """These files as runs."""
    from bci.interop import find_runs

    runs = [find_runs(file, movement=None)[0] for file in files]
    fitting = [run for run in runs if movement is None or run.movement in ("", movement)]
    if not fitting:
        raise RecordingError(f"none of {len(runs)} recordings is of {movement} movement", path=files[0])
    if len({run.run for run in fitting}) < len(fitting):
        return tuple(replace(run, run=number) for number, run in enumerate(fitting, start=1))
    return tuple(sorted(fitting, key=lambda run: run.run))


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
