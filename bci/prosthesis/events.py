"""What can happen to the safety monitor, and what it may do about it. Each is one line of the event log.

Events carry `t_us`, the monitor's time in integer microseconds; time itself is the event `Tick`. Actions are
`Command` (to the hand), `Entered` and `Refused` (to the log and to people). `to_record` and `from_record`
turn them into JSON objects and back without loss: Python writes floats so that they read back bit for bit,
and NaN and infinities, which JSON lacks, are written as strings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from bci.prosthesis.hand import Command, Reply

__all__ = [
    "Action",
    "Arm",
    "Asked",
    "Disarm",
    "Entered",
    "Event",
    "HandLost",
    "Heard",
    "Rebased",
    "Refused",
    "Replied",
    "Stop",
    "Tick",
    "Trouble",
    "from_record",
    "to_record",
]


# ---- events ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has come to decide the next frame to the hand; every 20 ms at the latest."""

    t_us: int


@dataclass(frozen=True, slots=True)
class Heard:
    """The decoder says that it has taken samples up to `sample`, and how good they were.

    `device_us` is the board's clock at that sample; `lost` counts conversions lost since the message before.
    """

    t_us: int
    sample: int
    device_us: int
    lost: int = 0
    lead_off: bool = False
    saturated: bool = False
    outlier: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """An `Intent` arrived. The names are those of `bci.decisions.Intent`."""

    t_us: int
    number: int
    action: str
    sample_index: int
    expires_sample: int
    probability: float
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """The operator asks to arm."""

    t_us: int


@dataclass(frozen=True, slots=True)
class Disarm:
    """The operator disarms, which also acknowledges a STOP or a fault."""

    t_us: int


@dataclass(frozen=True, slots=True)
class Stop:
    """STOP was pressed: key, programming interface, serial line, web page."""

    t_us: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Replied:
    """The hand answered."""

    t_us: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class HandLost:
    """The link to the hand reported an error."""

    t_us: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something else is wrong: `cause` is "decoder" (it raised, or sent nonsense), "gone" (its pipe closed),
    "log" (events can no longer be written) or "internal" (the monitor's own runner failed)."""

    t_us: int
    cause: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rebased:
    """The session changed over between driven and real time, so the distance to the board's clock starts anew."""

    t_us: int


Event = Tick | Heard | Rebased | Asked | Arm | Disarm | Stop | Replied | HandLost | Trouble


# ---- actions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entered:
    """The mode changed, or a cause was added while holding."""

    t_us: int
    before: str
    mode: str
    cause: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was not granted. `what` is "arm" or "intent N"."""

    t_us: int
    what: str
    reason: str


Action = Command | Entered | Refused


# ---- records -----------------------------------------------------------------------------------------------

_KINDS: dict[str, type] = {
    "tick": Tick,
    "heard": Heard,
    "rebased": Rebased,
    "asked": Asked,
    "arm": Arm,
    "disarm": Disarm,
    "stop": Stop,
    "replied": Replied,
    "hand-lost": HandLost,
    "trouble": Trouble,
    "command": Command,
    "entered": Entered,
    "refused": Refused,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FIELDS = {kind: tuple(f.name for f in fields(kind)) for kind in (*_KINDS.values(), Reply)}


def to_record(item: Event | Action) -> dict[str, Any]:
    """`item` as a JSON object; its key "is" names the kind."""
    record: dict[str, Any] = {"is": _NAMES[type(item)]}
    source: object = item
    if isinstance(item, Replied):
        record["t_us"] = item.t_us
        source = item.reply
    for name in _FIELDS[type(source)]:
        value = getattr(source, name)
        value_type = type(value)
        if value_type is tuple:
            value = [_plain(v) for v in value]
        elif value_type is float:
            value = _plain(value)
        record[name] = value
    return record


def from_record(record: dict[str, Any]) -> Event | Action:
    """The inverse of `to_record`.

    Raises
    ------
    ValueError
        Unknown kind, missing or surplus key.
    """
    values = {name: _value(name, value) for name, value in record.items() if name != "is"}
    kind = _KINDS.get(record.get("is", ""))
    try:
        if kind is None:
            raise TypeError("unknown kind")
        if kind is Replied:
            t_us = values.pop("t_us")
            return Replied(t_us, Reply(**values))
        return kind(**values)  # type: ignore[no-any-return]
    except (TypeError, KeyError) as err:
        raise ValueError(f"not a record of the event log: {record!r} ({err})") from None


def _plain(value: Any) -> Any:
    if type(value) is float and not math.isfinite(value):
        return repr(value)
    return value


#: Fields that hold one float; texts elsewhere may well read "nan".
_NUMBERS = ("probability", "temperature_c")

_SPELLED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _value(name: str, value: Any) -> Any:
    if type(value) is list:
        return tuple(_SPELLED.get(v, v) if type(v) is str else v for v in value)
    if name in _NUMBERS and type(value) is str:
        return _SPELLED[value]
    return value
