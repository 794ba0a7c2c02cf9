"""A control session's event log in short: each time the hand was held, and what it was told."""

from __future__ import annotations

from pathlib import Path

from bci.prosthesis import logged_intents
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Disarm, Entered
from bci.prosthesis.events import Stop as Pressed
from bci.report.visit import Stop
from bci.sessions.run_trace import accepted_intents

__all__ = ["commands_of", "stops_of"]


def stops_of(log: Path) -> tuple[Stop, ...]:
    """Every time the hand came to be held, or STOP was pressed: when, why, and whether it was a STOP.

    A key that is held down counts once.
    """
    found: list[Stop] = []
    pressed = False
    start_us: int | None = None
    for item in read_log(log):
        if isinstance(item, dict):
            continue
        t_us = int(getattr(item, "t_us", 0))
        if start_us is None and t_us > 0:
            start_us = t_us
        second = round((t_us - (start_us or 0)) / 1e6, 2)
        if isinstance(item, Disarm):
            pressed = False
        elif isinstance(item, Pressed):
            if not pressed:
                found.append(Stop(second=second, cause=f"STOP ({item.source})", stopped=True))
            pressed = True
        elif isinstance(item, Entered) and item.mode in ("hold", "fault") and not pressed:
            found.append(Stop(second=second, cause=item.cause, stopped=False))
    return tuple(found)


def commands_of(log: Path) -> dict[str, int]:
    """How often the hand was told to do what: intents that the monitor accepted."""
    accepted = accepted_intents(log)
    counts: dict[str, int] = {}
    for intent in logged_intents(log):
        if intent.number in accepted:
            counts[intent.action] = counts.get(intent.action, 0) + 1
    return counts
