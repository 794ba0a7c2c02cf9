"""Between `step` and the world: events are logged, decided, logged again, and only then acted on. No clock,
no pipe.

`Runner` drives the hand; the process around it (`monitor_process`) brings time and messages. Whatever fails
here — the disk, the link, the step itself — becomes an event, and each of those events leads to HOLD.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from bci.prosthesis.event_log import EventLog
from bci.prosthesis.events import Arm, Asked, Entered, Event, HandLost, Heard, Refused, Replied, Trouble
from bci.prosthesis.hand import Command, Hand, Reply
from bci.prosthesis.known_hands import wait_for_answers
from bci.prosthesis.monitor_state import Mode, Rules, State
from bci.prosthesis.safety import step
from bci.prosthesis.verdicts import goes_on

__all__ = ["Runner"]

#: What writing the log may raise: the disk's errors, and values that are no JSON.
LOG_ERRORS = (OSError, TypeError, ValueError)


class Runner:
    """One session of the monitor: state, log and hand.

    Parameters
    ----------
    rules : Rules
        Profile and certificate.
    hand : Hand
        Where commands go and replies come from.
    log : EventLog
        Open log; its header must hold what `rules` was made of.
    """

    def __init__(self, rules: Rules, hand: Hand, log: EventLog) -> None:
        self.state = State(rules)
        self.command: Command | None = None
        self.last_refusal: Refused | None = None
        self.counts: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.movements: list[dict[str, Any]] = []
        self.byte_to_command_ms: list[float] = []
        #: When a moment of the session was on the machine's monotonic clock; None where that has no meaning.
        self.due_ns: Callable[[int], int | None] = lambda t_us: None
        #: From the moment of each doubt to the frame that holds having been handed to the hand.
        self.hold_frame_ms: list[float] = []
        self._hand = hand
        self._log = log
        self._logging = True
        self._hand_ok = True
        self._last_byte_ns: int | None = None

    def feed(self, event: Event) -> None:
        """Take one event all the way: log, decide, log, act."""
        self._note(event)
        before = self.state
        try:
            self.state, actions = step(before, event)
        except Exception as err:  # a fault of ours must not leave a moving hand without a frame
            if isinstance(event, Trouble):
                raise
            self.feed(Trouble(before.t_us, "internal", f"{type(event).__name__}: {err!r}"))
            return
        if not actions:
            return
        changed = True
        try:
            changed = not self._logging or self._log.actions(actions)
            if changed and self._logging:
                self._log.flush()
        except LOG_ERRORS as err:
            self._log_failed(err)
        entered = False
        for action in actions:
            if isinstance(action, Command):
                if self.command is None or action.number > self.command.number:
                    self._act(action)  # else a failing log has just made a newer frame, and that one holds
                if entered and (due_ns := self.due_ns(action.t_us)) is not None:
                    self.hold_frame_ms.append((time.monotonic_ns() - due_ns) * 1e-6)
            else:
                entered = isinstance(action, Entered) and action.mode == Mode.HOLD != action.before
                if changed:
                    self._count(before, event, action)

    def heard(self, event: Heard | Asked, last_byte_ns: int | None = None) -> None:
        """Signal or intent, with the monotonic time of the newest byte it rests on: the next frame to the hand
        is the first that knows of it, and the time until then is the latency that counts."""
        if last_byte_ns is not None:
            self._last_byte_ns = last_byte_ns
        self.feed(event)

    def wait_for_answers(self, *, driven: bool) -> None:
        """Whether each frame waits for its own answer, as in accelerated time."""
        wait_for_answers(self._hand, driven=driven)

    def idle(self) -> None:
        """Nothing is waiting: hand written lines to the operating system."""
        if self._logging:
            try:
                self._log.flush()
            except LOG_ERRORS as err:
                self._log_failed(err)

    def _note(self, event: Event) -> None:
        if self._logging:
            try:
                self._log.event(event)
            except LOG_ERRORS as err:
                self._log_failed(err)

    def _log_failed(self, err: Exception) -> None:
        self._logging = False
        self.feed(Trouble(self.state.t_us, "log", str(err)))

    def _act(self, command: Command) -> None:
        self.command = command
        self.counts["frames"] += 1
        try:
            answer = self._hand.exchange(command)
            reply = None if answer is None else _plain(answer)
        except Exception as err:  # an adapter's own mistake loses the hand, never the monitor
            if self._hand_ok:
                self._hand_ok = False
                self.feed(HandLost(command.t_us, str(err) if isinstance(err, OSError) else repr(err)))
            return
        if self._last_byte_ns is not None:
            self.byte_to_command_ms.append((time.monotonic_ns() - self._last_byte_ns) * 1e-6)
            self._last_byte_ns = None
        if reply is not None:
            self._hand_ok = True
            self.feed(Replied(command.t_us, reply))

    def _count(self, before: State, event: Event, action: Entered | Refused) -> None:
        if isinstance(action, Refused):
            self.last_refusal = action
            self.counts["arming refused" if isinstance(event, Arm) else "intents refused"] += 1
            return
        if isinstance(event, Asked) and action.mode == Mode.MOVING:
            self.counts["intents accepted"] += 1
            if not goes_on(before, event):
                grip = self.state.grip
                self.movements.append(
                    {"t_us": action.t_us, "intent": event.number, "action": event.action, "grip": grip}
                )
        elif action.mode in (Mode.HOLD, Mode.FAULT) and action.mode != action.before:
            self.counts[action.mode] += 1
            if action.mode == Mode.HOLD:
                self.causes[action.cause] += 1

    def snapshot(self) -> dict[str, Any]:
        """What people see: JSON values."""
        s = self.state
        return {
            "mode": s.mode.value,
            "cause": s.cause,
            "stopped": "stop" in s.doubts,
            "t_us": s.t_us,
            "sample": s.sample,
            "grip": s.grip,
            "position": s.actual,
            "contact": s.contact,
            "command": None if self.command is None else asdict(self.command),
            "counts": dict(self.counts),
        }

    def summary(self) -> dict[str, Any]:
        """The session in numbers: JSON values."""
        return {
            "log": str(self._log.path),
            "log_complete": self._logging,
            "hand": self._hand.name,
            "counts": dict(self.counts),
            "holds": dict(self.causes),
            "movements": self.movements,
            "byte_to_command_ms": self.byte_to_command_ms,
            "hold_frame_ms": self.hold_frame_ms,
            "final": self.snapshot(),
        }

    def close(self) -> None:
        """Close log and link. Twice is fine."""
        try:
            self._log.close()
        except LOG_ERRORS:
            self._logging = False
        with suppress(Exception):  # a link that cannot be closed ends with the process
            self._hand.close()


def _plain(reply: Reply) -> Reply:
    """A reply in Python's own numbers: adapters may compute with others, the log can write no others.

    Raises
    ------
    AttributeError, TypeError, ValueError
        It is no reply.
    """
    return Reply(
        position=tuple(map(float, reply.position)),  # type: ignore[arg-type]
        current_a=tuple(map(float, reply.current_a)),  # type: ignore[arg-type]
        force_n=tuple(map(float, reply.force_n)),  # type: ignore[arg-type]
        contact=tuple(map(bool, reply.contact)),  # type: ignore[arg-type]
        temperature_c=float(reply.temperature_c),
        error=str(reply.error),
    )
