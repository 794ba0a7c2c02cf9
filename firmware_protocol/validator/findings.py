"""What the validator says: rules, findings of rules, and causes.

A *rule* is one sentence of SPEC.md that a byte stream can break, and a function that looks at one event (a frame,
a fault, a block of samples, the end of the capture) and yields a `Hit` for each breach. Its docstring is what
`frame-validator explain` prints. A *finding* is a hit with its place: packet number, device time, bytes around it.
A *cause* is what a firmware engineer wants to hear instead of ten thousand findings: one mistake that explains
them, with the evidence for it and what to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from inspect import cleandoc
from typing import Any, TypeVar

__all__ = ["CAUSES", "RULES", "Cause", "Finding", "Hit", "Level", "Rule", "Window", "cause_rule", "rule"]


class Level(IntEnum):
    """How much a breach weighs: a MUST is an error, a SHOULD a warning, INFO a remark."""

    INFO = 0
    SHOULD = 1
    MUST = 2

    @property
    def word(self) -> str:
        """As printed before a finding."""
        return ("note", "warning", "error")[self]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `section` is that of SPEC.md, `hint` says what to change, `text` explains."""

    id: str
    name: str
    level: Level
    section: str
    hint: str
    text: str

    @property
    def is_cause(self) -> bool:
        """Whether it names a mistake (FP9xx) and not a sentence of SPEC.md."""
        return self.id.startswith("FP9")


@dataclass(frozen=True, slots=True)
class Window:
    """Wire bytes around a finding. `marks` are the stream positions [first, stop) of the bytes it speaks of."""

    start: int
    data: bytes
    marks: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule function yields. `span`: stream positions [first, stop) of the bytes at fault.

    `key` tells kinds of the same rule apart (a packet type, a field), so that a baseline can know one and not the
    other.
    """

    span: tuple[int, int]
    text: str
    got: str = ""
    expected: str = ""
    key: str = ""
    t_us: int | None = None  # device time, low 32 bits; where another than the current packet's
    packet: int | None = None  # number on the wire; likewise


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach of a rule at a place. `frame` counts packets on the wire from 1, damaged ones included."""

    rule: Rule
    offset: int
    frame: int
    device_s: float | None
    text: str
    got: str
    expected: str
    key: str
    window: Window | None

    @property
    def hint(self) -> str:
        return self.rule.hint


@dataclass(frozen=True, slots=True)
class Cause:
    """One mistake that explains what was found.

    `certainty` 3: proven by arithmetic (a checksum fits, a known number sequence appears); 2: nothing else fits;
    1: the best guess. `share` is the part (0–1) of the trouble of its kind that it explains.
    """

    rule: Rule
    text: str
    certainty: int
    share: float = 1.0
    offset: int = 0
    frame: int = 0
    packet_bytes: tuple[int, int] | None = None  # bytes [first, stop) of the packet at `offset` that show it
    span: tuple[int, int] | None = None  # or their stream positions
    window: Window | None = None
    recognised: int = 0  # packets that were unreadable and are whole under this explanation
    # names of causes that only follow from it
    instead_of: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def hint(self) -> str:
        """What to change."""
        return self.rule.hint

    @property
    def certainty_word(self) -> str:
        return ("", "possible", "likely", "certain")[self.certainty]


#: All rules by identifier, causes (FP9xx) among them.
RULES: dict[str, Rule] = {}
#: Rules of causes by name.
CAUSES: dict[str, Rule] = {}

_Check = TypeVar("_Check", bound=Callable[..., Iterator[Any]])

#: Event class → the rules that look at it, in the order of their identifiers' definition.
CHECKS: dict[type, list[tuple[Rule, Callable[..., Iterator[Hit]]]]] = {}


def rule(
    id_: str, name: str, level: Level, section: str, *, on: type | tuple[type, ...], hint: str
) -> Callable[[_Check], _Check]:
    """Register a function as a rule for events of the classes `on`; its docstring is the explanation."""

    def register(check: _Check) -> _Check:
        made = _add(Rule(id_, name, level, section, hint, cleandoc(check.__doc__ or "")))
        for event in on if isinstance(on, tuple) else (on,):
            CHECKS.setdefault(event, []).append((made, check))
        return check

    return register


def cause_rule(id_: str, name: str, section: str, text: str, *, level: Level = Level.MUST, hint: str) -> Rule:
    """Register a cause: what it is (`text`) and how to get rid of it (`hint`)."""
    made = _add(Rule(id_, name, level, section, hint, text))
    CAUSES[name] = made
    return made


def _add(new: Rule) -> Rule:
    assert new.id not in RULES, new
    assert all(new.name != known.name for known in RULES.values()), new
    RULES[new.id] = new
    return new
