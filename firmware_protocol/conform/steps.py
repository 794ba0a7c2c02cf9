"""The steps of the suite: each is a rule with an identifier, a level, a section of SPEC.md and an explanation.

A step is a generator that talks to the device through a `Host` and yields a `Hit` for whatever the device should not
have done. Its docstring is what `frame-validator explain` prints. Steps of one file stand in the order they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import cleandoc

from firmware_protocol.conform.host import Host
from firmware_protocol.validator.findings import RULES, Finding, Hit, Level, Rule

__all__ = ["STEPS", "Step", "Verdict", "step"]

Act = Callable[[Host], Iterator[Hit]]


class Verdict(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # does not apply; the note says why
    NOT_RUN = "not run"  # because of what came before


@dataclass(slots=True)
class Step:
    """A rule that is tested by doing something, and how that ended; `over` once it is decided."""

    rule: Rule
    act: Act
    verdict: Verdict = Verdict.NOT_RUN
    note: str = ""
    seconds: float = 0.0
    over: bool = False
    findings: list[Finding] = field(default_factory=list)


#: Rules and what tests them, in the order of the identifiers.
STEPS: list[tuple[Rule, Act]] = []


def step(id_: str, name: str, section: str, *, hint: str, level: Level = Level.MUST) -> Callable[[Act], Act]:
    """Register a step; `explain` finds it among all rules."""

    def register(act: Act) -> Act:
        assert id_ not in RULES, id_
        assert all(name != rule.name for rule in RULES.values()), name
        RULES[id_] = rule = Rule(id_, name, level, section, hint, cleandoc(act.__doc__ or ""))
        STEPS.append((rule, act))
        STEPS.sort(key=lambda pair: pair[0].id)
        return act

    return register
