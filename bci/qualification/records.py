"""What a batch holds, as values: attempts of boards, their measurements, single figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bci.errors import SerialNumberError
from bci.language import _
from bci.qualification.result import Result, Verdict

__all__ = ["Attempt", "Board", "Done", "Value", "checked_serial", "verdict_of"]

SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")

State = Literal["open", "finished", "aborted"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pass of a board over the bench. `number` 1 is the first; `verdict` is "" until it is finished."""

    id: int
    serial: str
    number: int
    state: State
    verdict: Verdict | Literal[""]
    reason: str
    operator: str
    device: str
    software: str
    limits_name: str
    limits_sha256: str
    partial: bool
    simulated: bool
    started: str
    ended: str


@dataclass(frozen=True, slots=True)
class Done:
    """A measurement of an attempt. `tries` counts the operator's second tries; `files` lie below the batch's folder."""

    name: str
    done: bool
    tries: int
    took_s: float
    files: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def verdict(self) -> Verdict | Literal[""]:
        return verdict_of(self.results) if self.done else ""


@dataclass(frozen=True, slots=True)
class Board:
    """A serial number with its first and its latest finished attempt."""

    serial: str
    n_attempts: int
    first: Attempt | None
    latest: Attempt | None
    open: Attempt | None


@dataclass(frozen=True, slots=True)
class Value:
    """One figure of one finished attempt, for trends and studies; `attempt_verdict` is that of the attempt."""

    serial: str
    number: int
    operator: str
    started: str
    test: str
    channel: str | None
    value: float
    unit: str
    uncertainty: float
    limit_low: float | None
    limit_high: float | None
    verdict: Verdict
    attempt_verdict: Verdict


def verdict_of(results: Sequence[Result]) -> Verdict:
    """Of several results: one failed fails; else one that was not measured leaves it open."""
    verdicts = {result.verdict for result in results}
    if "fail" in verdicts:
        return "fail"
    return "not measured" if "not measured" in verdicts or not verdicts else "pass"


def checked_serial(text: str) -> str:
    """A serial number as it was typed or scanned, without the blanks around it.

    Raises
    ------
    SerialNumberError
        If it cannot name a folder on every system.
    """
    serial = text.strip()
    if not SERIAL.fullmatch(serial):
        raise SerialNumberError(
            _(
                "{serial!r} is no serial number: it takes 1 to 48 letters, digits, dots, dashes and underscores, a "
                "letter or digit first. Scan it again, or type it"
            ).format(serial=serial),
            serial=serial,
        )
    return serial
