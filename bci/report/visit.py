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
from bci.language import _, library_reason, system_reason

__all__ = [
    "CalibrationPart",
    "CheckPart",
    "ControlPart",
    "DroppedTrial",
    "ElectrodeState",
    "Equipment",
    "MeasuredRun",
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
    left_out: tuple[str, ...] = ()  # electrodes that the decoder does not take
    override: Override | None = None  # who answered for that, where somebody had to
    blocks: tuple[tuple[int, int], ...] = ()  # samples of each block in the recording: first, end
    spans: tuple[tuple[int, int], ...] = ()  # samples that taught nothing: pauses and spoilt trials


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hand was held: seconds into the control, the cause as the monitor said it, and whether it was a STOP."""

    second: float
    cause: str
    stopped: bool


class MeasuredRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured check of a control session: what was followed of what was asked for, and what moved at rest."""

    second: float  # into the control
    hits: int
    cued_movements: int
    false_movements: int
    idle_minutes: float


class ControlPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hand did. `movements` as of `movement_figures`, with `idle_minutes` it rests on; None where no rest or
    task was asked for and so nothing can be called false. `per_run` holds the measured checks one by one: the first,
    and one for each time that somebody measured again."""

    at_s: float
    recording: str
    events: str
    seconds: float
    samples: int
    samples_lost: int
    movements: dict[str, Any] | None
    per_run: tuple[MeasuredRun, ...] = ()
    stops: tuple[Stop, ...] = ()
    commands: dict[str, int] = {}  # what the hand was told: count per action
    latency_ms: dict[str, float] = {}  # last byte to command: median, p99
    drift: tuple[str, ...] = ()
    model: str = ""
    model_sha256: str = ""
    left_out: tuple[str, ...] = ()  # electrodes that its decoder does not take
    contact_watched: bool | None = None  # by the converter's comparators, all the time


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
                path=path, strerror=system_reason(err)
            ),
            path=path,
        ) from err
    except msgspec.DecodeError as err:
        raise RecordingError(
            _("{path} holds no visit: {err}").format(path=path, err=library_reason(err)), path=path
        ) from err
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
