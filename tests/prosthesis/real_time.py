"""Somebody who feeds a monitor in real time and stands beside it."""

from __future__ import annotations

import time
from collections.abc import Callable

from bci.decisions import Intent
from bci.errors import ArmingRefusedError
from bci.prosthesis import SafetyMonitor, Snapshot

#: For so long a movement that was asked for may take to begin before it is asked for again.
AGAIN_S = 0.5


class Operator:
    """Keeps the signal fresh, arms, and asks for what is meant.

    On a machine that does other things this process may not be run for 200 ms, or a hand's simulator for 80 ms. Then
    the hand is held, as it must be; once all is well it is armed again, by itself or by this operator, and what was
    meant is asked for once more. So no verdict depends on it.
    """

    def __init__(self, monitor: SafetyMonitor) -> None:
        self.monitor = monitor
        self._begun = time.monotonic()
        self._sample = 0
        self._number = 0
        self._meant = ""
        self._asked = 0.0

    def until(self, done: Callable[[Snapshot], bool], seconds: float = 60.0) -> Snapshot:
        """Feed until it is so."""
        limit = time.monotonic() + seconds
        while not done(state := self.monitor.state()):
            assert time.monotonic() < limit, state
            self.feed()
            if self._meant and state.mode == "armed" and time.monotonic() > self._asked + AGAIN_S:
                self.ask(self._meant)
            elif (meant := self._meant) and "the hand does not answer" in state.cause:
                self._meant = ""
                self.monitor.disarm()
                self.arm()
                self.ask(meant)
            time.sleep(0.01)
        return state

    def feed(self) -> None:
        """One more sample."""
        self._sample += 1
        self.monitor.signal(self._sample, int((time.monotonic() - self._begun) * 1e6))

    def arm(self, tries: int = 10) -> None:
        """Arm once everything is well."""
        for left in reversed(range(tries)):
            self.until(lambda s: s.mode == "idle")
            try:
                self.monitor.arm()
                return
            except ArmingRefusedError:  # the signal was silent just then
                assert left
                self.monitor.disarm()

    def ask(self, action: str) -> None:
        """Mean this from now on."""
        self._number += 1
        self._meant, self._asked = action, time.monotonic()
        self.monitor.intent(Intent(self._number, action, self._sample, self._sample + 100, 0.9))

    def mean_nothing(self) -> None:
        """Ask for nothing again."""
        self._meant = ""
