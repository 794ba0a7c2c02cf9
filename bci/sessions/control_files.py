"""Where the files of one control of the hand lie: in the folder of a demonstration, or in that of a visit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bci.errors import BciError, RecordingError
from bci.language import _
from bci.pipeline import load_model, model_digest
from bci.prosthesis.event_log import read_header
from bci.report.visit import read_visit
from bci.sessions.folder import SessionFolder

__all__ = [
    "DECISIONS",
    "EVENTS",
    "RECORDING",
    "ControlFiles",
    "control_files",
    "holds_decisions",
    "recording_of",
]

#: What a visit calls them; a control that was done again in the same visit has the same number behind each.
RECORDING, DECISIONS, EVENTS = "control", "control-decisions", "control-events"


@dataclass(frozen=True, slots=True)
class ControlFiles:
    """What a replay needs; the same names as of a `SessionFolder`."""

    path: Path
    recording: Path
    decisions: Path
    events: Path
    model: Path


def control_files(path: Path) -> SessionFolder | ControlFiles:
    """The control that a folder holds, or that a recording in it is of; of a visit's folder the newest.

    Raises
    ------
    RecordingError
        If nothing was controlled there, or a part that a replay needs is missing.
    """
    folder = path.parent if path.is_file() else path
    if not (folder / "session.json").is_file():
        return SessionFolder.open(path)
    recording = path if path.is_file() else _newest(folder)
    decisions, events = _beside(recording, DECISIONS), _beside(recording, EVENTS)
    for needed in (recording, decisions, events):
        if not needed.is_file():
            raise RecordingError(
                _("{path} has no {name}; name the folder that a session wrote").format(
                    path=folder, name=needed.name
                ),
                path=folder,
            )
    return ControlFiles(folder, recording, decisions, events, _model_of(events, folder))


def holds_decisions(recording: Path) -> bool:
    """Decisions were made while this was recorded, and lie beside it."""
    return SessionFolder(recording.parent).decisions.is_file() or (
        recording.stem.startswith(RECORDING) and _beside(recording, DECISIONS).is_file()
    )


def recording_of(folder: Path) -> Path:
    """The recording to play of a folder: of the control, or of a visit without one its calibration."""
    if not (folder / "session.json").is_file():
        return SessionFolder(folder).recording
    visit = read_visit(folder / "session.json")
    for part in (visit.control, visit.calibration):
        if part is not None:
            return folder / part.recording
    raise RecordingError(
        _("{path} holds no recording: nothing but the signal was checked").format(path=folder), path=folder
    )


def _newest(folder: Path) -> Path:
    part = read_visit(folder / "session.json").control
    if part is None:
        raise RecordingError(
            _("{path} holds no control of the hand, so there is nothing to decide again").format(path=folder),
            path=folder,
        )
    return folder / part.recording


def _beside(recording: Path, stem: str) -> Path:
    number = recording.stem.removeprefix(RECORDING)
    return recording.with_name(f"{stem}{number}.jsonl")


def _model_of(events: Path, folder: Path) -> Path:
    """The model that the log says armed the hand; a calibration of an earlier visit is taken, too."""
    notes = read_header(events).get("notes") or {}
    wanted = (notes.get("certificate") or {}).get("model", "")
    for path in _models(folder):
        try:
            if model_digest(load_model(path)) == wanted:
                return path
        except BciError:  # a damaged one is not it
            continue
    raise RecordingError(
        _("the model that controlled the hand is neither in {path} nor in another visit of this user").format(
            path=folder
        ),
        path=folder,
    )


def _models(folder: Path) -> Iterator[Path]:
    """Of this visit, then of the others, newest first."""
    others = (
        other for other in folder.resolve().parent.iterdir() if other.is_dir() and other.name != folder.name
    )
    for where in (folder, *sorted(others, reverse=True)):
        yield from sorted(where.glob("model*.safetensors"), reverse=True)
