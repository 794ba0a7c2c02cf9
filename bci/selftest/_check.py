"""What a check is, and where the lists of checks are found."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Check", "Result", "all_checks", "groups"]

#: Group -> the module that holds its `CHECKS`, loaded when the group is asked for.
GROUPS = {
    "protocol": "bci.selftest.protocol",
    "acquisition": "bci.selftest.acquisition",
    "decoding": "bci.selftest.decoding",
    "safety": "bci.selftest.safety",
    "cleaning": "bci.selftest.cleaning",
    "firmware": "bci.selftest.firmware",
    "qualification": "bci.selftest.qualification",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one check measured.

    `measured` is one line for a person; `figures` the numbers behind it, units in their names, for programs.
    `skipped` says why nothing could be measured here, for example a system without pseudo-terminals.
    """

    passed: bool
    measured: str
    figures: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of the project: `run(nightly)` measures it. `name` is unique, lower case with hyphens."""

    name: str
    group: str
    what: str
    target: str
    run: Callable[[bool], Result]


def groups() -> tuple[str, ...]:
    """Names of all groups of checks."""
    return tuple(GROUPS)


def all_checks(group: str | None = None) -> list[Check]:
    """Checks of one group, or of all, in the order in which they run."""
    names = groups() if group is None else (group,)
    return [check for name in names for check in importlib.import_module(GROUPS[name]).CHECKS]
