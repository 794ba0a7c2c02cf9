"""Frames as JSON objects and back: what `frame-validator decode --json` prints and `encode` reads.

`type` names the packet's type, every other key is a field of its dataclass; bytes are hexadecimal text. In DATA to be
encoded, rows of `counts` may stand in place of `payload`, `n_channels` and `n_samples`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from firmware_protocol._samples import pack_counts, status_word
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import (
    Command,
    Data,
    Event,
    Fault,
    Frame,
    Heartbeat,
    Host,
    Info,
    Log,
    Response,
    Unknown,
)

__all__ = ["from_json", "to_json"]

_CLASSES: dict[str, type[Frame]] = {
    cls.__name__.upper(): cls for cls in (Command, Data, Event, Heartbeat, Host, Info, Log, Response, Unknown)
}
_DEFAULTS = {"link_seq": 0, "flags": 0}


def to_json(event: Frame | Fault) -> dict[str, Any]:
    """A frame, or a fault under the key `fault`, as an object that `json.dumps` takes."""
    if isinstance(event, Fault):
        head: dict[str, Any] = {"fault": str(event.kind)}
        skipped = {"kind"}
    else:
        head = {"type": type(event).__name__.upper()}
        skipped = set()
        if isinstance(event, Unknown):
            head["number"] = event.type
            skipped = {"type"}
    for field in fields(event):
        if field.name not in skipped:
            value = getattr(event, field.name)
            head[field.name] = value.hex() if isinstance(value, bytes) else value
    return head


def from_json(form: Mapping[str, Any]) -> Frame:
    """The frame that an object describes. `link_seq` and `flags` may be left out, and whatever has a default.

    Raises
    ------
    FrameError
        If the type is unknown, a field missing, foreign or of another kind. Whether values fit shows in `encode`.
    """
    values = dict(form)
    name = values.pop("type", None)
    if name not in _CLASSES:
        raise FrameError(f"type is {name!r}, expected one of {', '.join(_CLASSES)}", field="type")
    cls = _CLASSES[name]
    if cls is Unknown and "number" in values:
        values["type"] = values.pop("number")
    if cls is Data:
        values = _with_payload(values)
    known = {field.name: field for field in fields(cls)}
    foreign = sorted(values.keys() - known.keys())
    if foreign:
        raise FrameError(f"{name} has no field {', '.join(foreign)}", field=foreign[0])
    given = {key: _value(key, known[key].type, value) for key, value in values.items()}
    given = {key: value for key, value in _DEFAULTS.items() if key in known} | given
    missing = [key for key, field in known.items() if field.default is MISSING and key not in given]
    if missing:
        raise FrameError(f"{name} needs {', '.join(missing)}", field=missing[0])
    return cls(**given)


def _with_payload(values: dict[str, Any]) -> dict[str, Any]:
    """DATA with its `counts`, if it has them, as payload."""
    rows = values.pop("counts", None)
    if rows is None or "payload" in values:
        return values
    per_converter = values.get("channels_per_converter", 8)
    try:
        n_channels = len(rows[0])
        status = [status_word()] * (n_channels // per_converter) if values.get("has_status") else None
        payload = pack_counts(rows, status=status, channels_per_converter=per_converter)
    except (TypeError, ValueError, LookupError, ArithmeticError, struct.error) as err:
        raise FrameError(f"counts are not rows of int24: {err}", field="counts") from err
    return values | {"payload": payload.hex(), "n_channels": n_channels, "n_samples": len(rows)}


def _value(name: str, kind: object, value: Any) -> Any:
    """`value` as a field annotated `kind` holds it; annotations are texts here."""
    try:
        match kind:
            case "bytes":
                return bytes.fromhex(value)
            case "tuple[str, ...]":
                if all(isinstance(part, str) for part in value):
                    return tuple(value)
            case "tuple[float, ...]":
                return tuple(float(part) for part in value)
            case "bool" | "str":
                if type(value).__name__ == kind:
                    return value
            case "float | None":
                return None if value is None else float(value)
            case "int":
                if isinstance(value, int) and not isinstance(value, bool):
                    return value
    except (TypeError, ValueError) as err:
        raise FrameError(f"{name} is {value!r}: {err}", field=name) from err
    raise FrameError(f"{name} is {value!r}, expected {kind}", field=name)
