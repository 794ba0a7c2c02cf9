"""One visit of a user as a value: what the clinic's report shows, and what `session.json` in its folder holds.

Whoever runs a step of the visit (signal check, calibration, control) fills in its part; the report draws what is there
and says of the rest that it was not done. Nothing here names a person: `who` is whatever somebody typed, or empty.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from bci.errors import RecordingError
from bci.files import write_private
from bci.language import _

__all__ = [
    "CalibrationPart",
    "CheckPart",
    "ControlPart",
    "DroppedTrial",
    "ElectrodeState",
    "Equipment",
    "Override",
    "Stop",
    "Visit",
    "read_visit",
    "write_visit",
]

SCHEMA = "bci-visit/1"
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class ElectrodeState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One electrode at a look: `level` is good, fair or bad; `findings` are causes such as flat, railed, mains."""

    name: str
    level: str
    findings: tuple[str, ...] = ()
    impedance_kohm: float | None = None


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody went on although electrodes were bad: by whom, when (s since 1970), which."""

    by: str
    at_s: float
    electrodes: tuple[str, ...]


class CheckPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A look at all electrodes, before calibration or after control."""

    at_s: float
    electrodes: tuple[ElectrodeState, ...]
    override: Override | None = None


class DroppedTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trial that was not used: block and trial counted from 1, and why ("artefact", "lost", "lead-off" …)."""

    block: int
    trial: int
    label: str
    reason: str
    repeated: bool = False


class CalibrationPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the calibration gave. `cued` holds the figures of `bci.sessions.summary.cued_figures`, all of left-out
    runs; `asynchronous` those of `movement_figures`, likewise; the two are never mixed."""

    at_s: float
    recording: str
    classes: tuple[str, ...]
    movement: str  # "executed" or "intended"
    trials_kept: dict[str, int]
    dropped: tuple[DroppedTrial, ...]
    seconds: float
    samples: int
    samples_lost: int
    cued: dict[str, Any]
    per_run: tuple[float, ...] = ()  # balanced accuracy of each left-out run
    reliability: tuple[
        tuple[float, float, int], ...
    ] = ()  # (mean probability said, share that was right, windows)
    asynchronous: dict[str, Any] = {}
    ready: bool = False
    refusal: str = ""
    advice: tuple[str, ...] = ()
    model: str = ""
    model_sha256: str = ""
    ended: str = ""  # why it ended before its time, in words


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hand was held: seconds into the control, the cause as the monitor said it, and whether it was a STOP."""

    second: float
    cause: str
    stopped: bool


class ControlPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hand did. `movements` as of `movement_figures`, with `idle_minutes` it rests on; None where no rest or
    task was asked for and so nothing can be called false."""

    at_s: float
    recording: str
    events: str
    seconds: float
    samples: int
    samples_lost: int
    movements: dict[str, Any] | None
    per_run: tuple[float, ...] = ()
    stops: tuple[Stop, ...] = ()
    commands: dict[str, int] = {}  # what the hand was told: count per action
    latency_ms: dict[str, float] = {}  # last byte to command: median, p99
    drift: tuple[str, ...] = ()


class Equipment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With what it was done."""

    software: str
    device: str
    device_id: str
    firmware: str
    channels: tuple[str, ...]
    fs_hz: float
    hand: str = ""
    simulated: bool = False


class Visit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One visit; parts that were not done are None."""

    session: str
    user: str
    started_s: float
    equipment: Equipment
    who: str = ""
    before: CheckPart | None = None
    calibration: CalibrationPart | None = None
    control: ControlPart | None = None
    after: CheckPart | None = None
    notes: tuple[str, ...] = ()
    schema: str = SCHEMA


def read_visit(path: Path) -> Visit:
    """The visit in `session.json`, strictly.

    Raises
    ------
    RecordingError
        If it is missing, of another schema, or damaged.
    """
    try:
        visit = msgspec.json.decode(path.read_bytes(), type=Visit)
    except OSError as err:
        raise RecordingError(
            _("{path} cannot be read ({strerror}); name a session's folder").format(
                path=path, strerror=err.strerror
            ),
            path=path,
        ) from err
    except msgspec.DecodeError as err:
        raise RecordingError(_("{path} holds no visit: {err}").format(path=path, err=err), path=path) from err
    if visit.schema != SCHEMA:
        raise RecordingError(
            _("{path} is of schema {schema!r}, expected {expected!r}").format(
                path=path, schema=visit.schema, expected=SCHEMA
            ),
            path=path,
        )
    return visit


def write_visit(path: Path, visit: Visit) -> None:
    """Write it anew, readable by its owner only."""
    write_private(path, msgspec.json.format(msgspec.json.encode(visit), indent=2).decode() + "\n")
