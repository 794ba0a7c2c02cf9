"""One user's profile in a TOML file, decoded strictly: `read_profile`, and `from_table` for tables from anywhere.

Unknown keys, wrong types and values out of range are refused by name, and the profile in force stays.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from bci.errors import ProfileError
from bci.language import _, library_reason, system_reason
from bci.prosthesis.user_profile import GRIPS, Grip, Profile, unexpected

__all__ = ["from_table", "read_profile"]

T = TypeVar("T")


def read_profile(path: str | Path) -> Profile:
    """Read one user's TOML file.

    Raises
    ------
    ProfileError
        Missing, unreadable, unknown key, wrong type or value out of range; the message names file, key and
        value. The caller keeps the profile that was in force.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a mark before the text
        if isinstance(named := table.get("grips"), dict):
            table["grips"] = {**GRIPS, **named}  # a file adds to the built-in grips or redefines them
        return from_table(Profile, table)
    except OSError as err:
        reason = _("{path}: cannot be read ({reason}); name a profile file").format(
            path=path, reason=system_reason(err)
        )
        raise ProfileError(reason, path=path) from err
    except UnicodeDecodeError as err:
        reason = _("{path}: not a text in UTF-8; save it as one in your editor").format(path=path)
        raise ProfileError(reason, path=path) from err
    except tomllib.TOMLDecodeError as err:
        reason = _("{path}: not a TOML file: {err}; correct it there").format(
            path=path, err=library_reason(err)
        )
        raise ProfileError(reason, path=path) from err
    except ProfileError as err:
        raise ProfileError(
            _("{path}: {err}; the profile in force is kept").format(path=path, err=err), path=path
        ) from err


def from_table(kind: type[T], table: object, where: str = "") -> T:
    """Build `kind` from a TOML or JSON table, strictly: the inverse of `dataclasses.asdict` for a
    `Profile`."""
    if not isinstance(table, Mapping):
        raise unexpected(where.rstrip(".") or "profile", table, _("a table"))
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ProfileError(
                _("unknown key {where}{key}: expected one of {known}").format(
                    where=where, key=key, known=", ".join(known)
                )
            )
        default = known[key].default
        if is_dataclass(default) and not isinstance(value, type(default)):
            value = from_table(type(default), value, f"{where}{key}.")
        elif isinstance(value, list):
            value = tuple(value)
        elif key == "grips" and isinstance(value, Mapping):
            value = {
                name: grip if isinstance(grip, Grip) else from_table(Grip, grip, f"grips.{name}.")
                for name, grip in value.items()
            }
        values[key] = value
    try:
        return kind(**values)
    except ProfileError as err:
        raise ProfileError(_("{where}{err}").format(where=where, err=err)) from None
