"""The append-only event log: one JSON object per line, each event written before the monitor acts on it.

The first line holds what the rules depend on (profile, certificate, limits of arming), so that the file alone
replays. Ticks that change nothing — the same frame to the hand, the same answer, exactly one tick later — are
counted and written as one line ``{"is": "beats", "n": …}`` at the latest after one second. Killing the
process therefore costs that count and nothing else: a line about anything that changed is handed to the
operating system before the hand is told. Files are readable by their owner only and never overwritten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.language import _, library_reason, system_reason
from bci.prosthesis.events import Action, Event, Replied, Tick, from_record, to_record
from bci.prosthesis.hand import Command, Reply
from bci.prosthesis.safety import TICK_US

__all__ = ["EventLog", "read_header", "read_log"]

FORMAT = "bci-hand-log"
VERSION = 1

#: Quiet ticks that may be waiting in memory: one second.
BEATS = 50

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode


class EventLog:
    """Writer of one session's log.

    Parameters
    ----------
    path : str or Path
        A file that does not exist yet.
    header : dict
        JSON values; keys of its own are added.

    Raises
    ------
    OSError
        The file exists or cannot be created; later, from any method, that it can no longer be written.
    """

    def __init__(self, path: str | Path, header: dict[str, Any]) -> None:
        self.path = Path(path)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._lines: list[str] = []
        self._quiet = 0  # whole beats not yet written
        self._quiet_us = 0  # when the first of them was
        self._waiting: list[Event | Action] = []  # the beat that has begun and is quiet so far
        self._tick_us = 0
        self._command: Command | None = None
        self._reply: Reply | None = None
        self._lines.append(_encode({"is": "header", "format": FORMAT, "version": VERSION, **header}))
        self.flush()

    def event(self, event: Event) -> None:
        """Note what happened."""
        kind, waiting = type(event), self._waiting
        if kind is Tick:
            on_time = event.t_us == self._tick_us + TICK_US
            self._tick_us = event.t_us
            if on_time and not waiting and self._reply is not None:
                waiting.append(event)
                return
        elif (
            isinstance(event, Replied)
            and len(waiting) == 2
            and event.t_us == self._tick_us
            and event.reply == self._reply
        ):
            waiting.clear()
            if not self._quiet:
                self._quiet_us = event.t_us
            self._quiet += 1
            if self._quiet == BEATS:
                self._break()
            return
        self._break()
        if isinstance(event, Replied):
            self._reply = event.reply
        self._lines.append(_encode(to_record(event)))

    def actions(self, actions: list[Action]) -> bool:
        """Note what will be done; False if it is what was done at the tick before, and need not be
        flushed."""
        last = self._command
        if len(actions) == 1 and len(self._waiting) == 1 and last is not None:
            action = actions[0]
            if isinstance(action, Command) and action.kind == last.kind and action.setpoint == last.setpoint:
                self._command = action
                self._waiting.append(action)
                return False
        self._break()
        for action in actions:
            if isinstance(action, Command):
                self._command = action
            self._lines.append(_encode(to_record(action)))
        return True

    def _break(self) -> None:
        if self._quiet:
            self._lines.append(_encode({"is": "beats", "n": self._quiet, "t_us": self._quiet_us}))
            self._quiet = 0
        if self._waiting:
            self._lines.extend(_encode(to_record(item)) for item in self._waiting)
            self._waiting.clear()

    def flush(self) -> None:
        """Hand all complete lines to the operating system."""
        if self._lines:
            text = "\n".join(self._lines) + "\n"
            data = text.encode(errors="backslashreplace")  # half a surrogate pair becomes its JSON escape
            self._lines.clear()
            while data:
                data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Write what waits and close. Twice is fine."""
        if self._fd >= 0:
            try:
                self._break()
                self.flush()
            finally:
                os.close(self._fd)
                self._fd = -1


def read_header(path: str | Path) -> dict[str, Any]:
    """What the rules of a log depend on: its first line.

    Raises
    ------
    RecordingError
        Missing, foreign, or ended before its header was written.
    """
    for item in read_log(path):
        if isinstance(item, dict):
            return item
    raise RecordingError(_("{path}: holds no header").format(path=path), path=Path(path))


def read_log(path: str | Path) -> Iterator[dict[str, Any] | Event | Action]:
    """The header (a dict), then events and actions in order, with counted ticks written out again.

    A last line that is cut short, as a killed process leaves it, ends the log without complaint.

    Raises
    ------
    RecordingError
        Missing, foreign or damaged before its last line; the message names the line.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as err:
        raise RecordingError(
            _("{path}: cannot be read ({strerror})").format(path=path, strerror=system_reason(err)), path=path
        ) from err
    tick_us = 0
    command: Command | None = None
    reply: Reply | None = None
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            return
        try:
            record = json.loads(line)
            if number == 1:
                if record.get("format") != FORMAT or record.get("version") != VERSION:
                    raise ValueError(f"expected the header of a {FORMAT} of version {VERSION}")
                yield record
                continue
            if record["is"] == "beats":
                if command is None or reply is None:
                    raise ValueError("counted ticks before any command and reply")
                tick_us = int(record["t_us"])
                for _tick in range(int(record["n"])):
                    command = Command(command.number + 1, tick_us, command.kind, command.setpoint)
                    yield Tick(tick_us)
                    yield command
                    yield Replied(tick_us, reply)
                    tick_us += TICK_US
                continue
            item = from_record(record)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            if number == len(lines) and number > 1:
                return  # cut short by a kill
            raise RecordingError(
                _("{path}, line {number}: {err}").format(path=path, number=number, err=library_reason(err)),
                path=path,
            ) from None
        if isinstance(item, Command):
            command = item
        elif isinstance(item, Replied):
            reply = item.reply
        yield item
