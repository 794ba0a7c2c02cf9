"""From a recording to a file of another format and back: names, checks, and nothing half done left behind."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bci.errors import ExportError, RecordingError
from bci.interop._door import ExportOptions, ImportOptions, Progress, Signal
from bci.interop._files import implausible_change
from bci.interop._formats import reader_for, writer_for

__all__ = ["Converted", "export_signal", "import_file", "read_signal", "write_bfp"]


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion made, and what did not go through it."""

    path: Path
    format: str
    n_channels: int
    rate_hz: float
    measured_hz: float
    n_samples: int
    n_events: int
    n_gaps: int
    samples_lost: int
    losses: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.rate_hz


def export_signal(
    signal: Signal,
    target: str | os.PathLike[str],
    *,
    to: str,
    options: ExportOptions | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write a signal as a file of another system.

    Parameters
    ----------
    signal : Signal
        `RecordedSignal("x.bfp")`, or what `read_signal` gave.
    target : path
        The file (of BIDS: the folder) to make.
    to : str
        A name of `WRITERS`: bdf, edf, bids, xdf, fif, csv …
    options : ExportOptions
        What may be said of the person; by default nothing.
    force : bool
        Replace an existing target.
    progress : callable, optional
        Called with (samples done, samples in all).

    Raises
    ------
    ExportError
        If the target exists or cannot be written. What was begun is removed.
    RecordingError, RateMismatchError
        If the recording cannot be had as one signal: cut in its first packet, another rate or gain midway.
    """
    target, writer = Path(target), writer_for(to)
    options = options or ExportOptions()

    def make(new: Path) -> tuple[str, ...]:
        return writer.load()(signal, new, options, progress or _quiet)

    losses = _made(make, target, force=force, merge=writer.is_folder)
    return _told(signal, target, to, losses)


def read_signal(
    path: str | os.PathLike[str], *, source: str = "", options: ImportOptions | None = None
) -> Signal:
    """A file of another system as a signal; `source` names its format where that cannot be seen.

    Raises
    ------
    RecordingError
        If it is missing, of no known format, damaged or cut, or if it was told what such a file says itself; the
        message says what to do.
    """
    path, options = Path(path), options or ImportOptions()
    reader = reader_for(path, source)
    if options.gain and not reader.needs_gain:
        raise RecordingError(
            f"{path} is {reader.what}, which says itself what its numbers are; leave --gain out", path=path
        )
    return reader.load()(path, options)


def import_file(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    source: str = "",
    options: ImportOptions | None = None,
    keep_date: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Make a `.bfp` recording of a file of another system. Parameters and errors as of `export_signal`."""
    path, target = Path(path), Path(target)
    name = reader_for(path, source).name
    signal = read_signal(path, source=source, options=options)
    return write_bfp(signal, target, source=name, keep_date=keep_date, force=force, progress=progress)


def write_bfp(
    signal: Signal,
    target: Path,
    *,
    source: str,
    keep_date: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Make a `.bfp` recording of any signal; `source` names the format it was of."""
    from bci.interop import _bfp

    def make(new: Path) -> tuple[str, ...]:
        return _bfp.write(signal, new, source=source, keep_date=keep_date, progress=progress or _quiet)

    losses = _made(make, target, force=force, merge=False)
    return _told(signal, target, "bfp", (*losses, *_remarks(signal)))


def _remarks(signal: Signal) -> Iterator[str]:
    """What its reader left out, assumed or could not read, and what cannot be right."""
    notes = signal.description.notes
    if damaged := notes.get("lines_damaged"):
        yield f"lines that could not be read: {damaged}; their samples are lost"
    if left_out := notes.get("left_out"):
        yield f"left out: {', '.join(left_out)}"
    yield from notes.get("assumed", ())
    yield from _doubts(signal)


def _doubts(signal: Signal) -> tuple[str, ...]:
    """A unit that cannot be right, by the first seconds of the electrodes."""
    about = signal.description
    rows = [k for k, channel in enumerate(about.channels) if channel.kind == "eeg"]
    head = next(iter(signal.pieces()))[rows]
    change_uv = implausible_change(head * about.steps[rows], about.rate) if rows else 0.0
    if not change_uv:
        return ()
    return (
        f"its signal changes by {change_uv:.3g} µV within 50 ms, and EEG by 1 to 100; if its unit is wrong, import it "
        "again with --unit",
    )


def _made(
    make: Callable[[Path], tuple[str, ...]], target: Path, *, force: bool, merge: bool
) -> tuple[str, ...]:
    """Make in a folder of its own beside the target, then move: there is never half a file of that name."""
    if not merge and (target.exists() or target.is_symlink()) and (not force or target.is_dir()):
        raise ExportError(
            f"{target} exists already; name a new file, or replace it with --force", path=target
        )
    room = target.with_name(f".{uuid.uuid4().hex[:12]}-{target.name}")
    try:
        room.mkdir(mode=0o700)
        losses = make(room / target.name)
        if merge and target.exists():
            from bci.interop import _bids

            _bids.merge(room / target.name, target, force=force)
        else:
            _move(room, target.parent, force=force)
    except OSError as err:
        raise ExportError(
            f"cannot write {target}: {err.strerror or err}; choose a folder that exists, that you may write to and "
            "that has room",
            path=target,
        ) from err
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return losses


def _move(room: Path, folder: Path, *, force: bool) -> None:
    """All that was made (FIF above 2 GB comes in parts) to where it belongs."""
    made = sorted(room.iterdir())
    if taken := [part.name for part in made if (folder / part.name).exists() and not force]:
        raise ExportError(
            f"{folder} has {', '.join(taken)} already; name a new file, or use --force", path=folder
        )
    for part in made:
        part.replace(folder / part.name)


def _told(signal: Signal, target: Path, name: str, losses: tuple[str, ...]) -> Converted:
    about = signal.description
    return Converted(
        target,
        name,
        len(about.channels),
        float(about.rate),
        about.measured_hz,
        about.n_samples,
        len(about.events),
        len(about.gaps),
        sum(n for _, n in about.gaps),
        losses,
    )


def _quiet(done: int, total: int) -> None:
    """Nobody watches."""
