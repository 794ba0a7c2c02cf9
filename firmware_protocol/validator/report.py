"""What a check gives: findings, causes and numbers, and the exit status that follows from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from firmware_protocol.validator.findings import CHECKS, RULES, Cause, Finding, Hit, Level, Rule, Window
from firmware_protocol.validator.steps import signed32
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.thinned import Thinned
from firmware_protocol.validator.wire import WireTail

__all__ = ["Collector", "Report", "Selection", "window_at"]

_ROW, _ROWS = 16, 3
_PLACES = 512
_BEFORE = 4  # bytes that are shown at least before a place, and behind it


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rules speak, and how many findings of each are kept in full (all are counted).

    `select` and `ignore` hold identifiers, their beginnings (`FP1`) or names; an empty `select` selects all.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    keep: int = 20
    max_errors: int = 0  # findings of level MUST after which checking stops; 0: never

    def takes(self, rule: Rule) -> bool:
        def among(words: tuple[str, ...]) -> bool:
            return any(rule.id.startswith(word) or rule.name == word for word in words)

        return (not self.select or among(self.select)) and not among(self.ignore)

    def unknown(self) -> list[str]:
        """Words that no rule answers to."""
        return [
            word
            for word in (*self.select, *self.ignore)
            if not any(rule.id.startswith(word) or rule.name == word for rule in RULES.values())
        ]


@dataclass(slots=True)
class Report:
    """Result of a check.

    `counts` holds every finding by rule identifier and key; `findings` those that are kept in full, in stream order.
    """

    name: str
    causes: list[Cause]
    findings: list[Finding]
    counts: Counter[tuple[str, str]]
    numbers: dict[str, Any]
    is_recording: bool = False
    stopped: bool = False  # by `max_errors`
    cut_short: str = ""  # why it ended before its end; "": it did not
    known: Counter[tuple[str, str]] = field(default_factory=Counter)  # of a baseline: not counted any more
    notes: list[str] = field(default_factory=list)
    recognised: int = 0  # packets that were unreadable and are whole once a cause is undone
    places: list[tuple[int, Level]] = field(default_factory=list)  # stream positions, of all findings or many
    selection: Selection = field(default_factory=Selection)
    # of an active test: rule, name, verdict, seconds, note
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Packets found: whole ones, and those that are whole once a cause is undone."""
        return int(self.numbers["frames"]) + self.recognised

    def takes(self, rule: Rule) -> bool:
        """Whether the rule was asked."""
        return self.selection.takes(rule)

    def rules_found(self) -> list[str]:
        """Identifiers of the rules and causes that it names."""
        found = {cause.rule.id for cause in self.causes} | {finding.rule.id for finding in self.findings}
        return sorted(found)

    def left_out(self) -> dict[str, int]:
        """Findings that are counted but not kept in full, by rule identifier."""
        more: Counter[str] = Counter()
        for (id_, _), n in self.counts.items():
            more[id_] += n
        more.subtract(finding.rule.id for finding in self.findings)
        return {id_: n for id_, n in sorted(more.items()) if n > 0}

    def total(self, level: Level) -> int:
        """Findings of a level; causes are not counted, they explain findings."""
        return sum(n for (id_, _), n in self.counts.items() if RULES[id_].level == level)

    def fails(self, *, strict: bool = False) -> bool:
        lowest = Level.SHOULD if strict else Level.MUST
        causes = any(cause.certainty > 1 and cause.rule.level >= lowest for cause in self.causes)
        return causes or any(n and RULES[id_].level >= lowest for (id_, _), n in self.counts.items())

    def exit_status(self, *, strict: bool = False) -> int:
        """0 clean, 1 findings, 2 cut short, 3 no frames."""
        if self.cut_short:
            return 2
        if not self.frames:
            return 3
        return 1 if self.fails(strict=strict) else 0


class Collector:
    """Runs the rules on events and keeps what they find."""

    def __init__(self, stream: Stream, wire: WireTail, selection: Selection) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.first: dict[str, Finding] = {}
        self.errors = 0
        self._places: dict[Level, Thinned[int]] = {level: Thinned(_PLACES) for level in Level}
        self._kept: dict[str, list[Finding]] = {}
        self._stream = stream
        self._wire = wire
        self._selection = selection
        self._checks: dict[type, list[Any]] = {}

    def run(self, event: object) -> None:
        """Ask all rules for events of this class."""
        for rule, check in CHECKS.get(type(event), ()):
            for hit in check(event, self._stream, self._wire):
                self._add(rule, hit)

    @property
    def findings(self) -> list[Finding]:
        """Those kept in full, in stream order."""
        return sorted((f for kept in self._kept.values() for f in kept), key=lambda f: (f.offset, f.rule.id))

    @property
    def places(self) -> list[tuple[int, Level]]:
        """Where findings are, kept or not; of very many an even selection."""
        return [(offset, level) for level, places in self._places.items() for offset in places.kept]

    def _add(self, rule: Rule, hit: Hit) -> None:
        counted = self._selection.takes(rule)
        if counted:
            self.counts[rule.id, hit.key] += 1
            self.errors += rule.level == Level.MUST
            self._places[rule.level].add(hit.span[0])
        kept = self._kept.setdefault(rule.id, [])
        if rule.id in self.first and (not counted or len(kept) >= self._selection.keep):
            return
        stream = self._stream
        device_us = stream.device_us
        if device_us is not None and hit.t_us is not None:
            device_us += signed32(hit.t_us - device_us)
        finding = Finding(
            rule,
            hit.span[0],
            hit.packet if hit.packet is not None else stream.packet,
            None if device_us is None else device_us / 1e6,
            hit.text,
            hit.got,
            hit.expected,
            hit.key,
            window_at(self._wire, hit.span),
        )
        self.first.setdefault(rule.id, finding)
        if counted and len(kept) < self._selection.keep:
            kept.append(finding)


def window_at(wire: WireTail, span: tuple[int, int]) -> Window | None:
    """Rows of bytes around a place, as far as they are still there."""
    start = max((span[0] - _BEFORE) // _ROW * _ROW, wire.start)
    stop = min((span[1] + _BEFORE - 1) // _ROW * _ROW + _ROW, start + _ROWS * _ROW)
    data = wire.part(start, stop)
    return Window(start, data, span) if data and start <= span[0] < start + len(data) else None
