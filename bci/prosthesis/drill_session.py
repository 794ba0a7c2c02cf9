"""A session to be disturbed: a safety monitor whose hand moves, fed as a decoder would feed it; see `drill`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bci.decisions import Intent
from bci.errors import ArmingRefusedError
from bci.prosthesis.certificate import Certificate
from bci.prosthesis.monitor import SafetyMonitor
from bci.prosthesis.user_profile import Limits, Profile

__all__ = ["PROFILE", "WAIT_S", "Session", "certificate"]

#: Slow enough that the hand is still moving whenever a fault comes.
PROFILE = Profile(limits=Limits(rate_per_s=0.2))

#: The longest that anything is waited for.
WAIT_S = 10.0


def certificate() -> Certificate:
    """One that lets the hand be armed."""
    return Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())


class Session:
    """A monitor with a hand (its spec) and, where wanted, STOP buttons (their ports); `monitor` is the caller's to
    close."""

    def __init__(
        self,
        log: Path,
        hand: dict[str, Any],
        certificate: Certificate | None,
        buttons: tuple[str, ...] = (),
        *,
        profile: Profile = PROFILE,
    ) -> None:
        self.monitor = SafetyMonitor(
            profile,
            log_path=log,
            certificate=certificate,
            hand=hand,
            stop_buttons=[{"port": port, "name": "button"} for port in buttons],
        )
        self.log = log
        self._begun = time.monotonic()
        self.n = 0
        self.number = 0
        self.press_button: Callable[[], object] = lambda: None
        self.overload: Callable[[], object] = lambda: None

    def feed(self, **flags: Any) -> None:
        """One more sample, as fresh as can be."""
        self.n += 1
        self.monitor.signal(self.n, int((time.monotonic() - self._begun) * 1e6), **flags)

    def ask(self, action: str = "close", **values: Any) -> None:
        """One more intent, a good one but for `values`."""
        self.number += 1
        wanted = {
            "number": self.number,
            "action": action,
            "sample_index": self.n,
            "expires_sample": self.n + 100,
        }
        self.monitor.intent(Intent(**{**wanted, "probability": 0.9, **values}))

    def until(self, mode: str, *, fresh: bool = True) -> bool:
        """Wait for a mode, with a signal that flows meanwhile if `fresh`; whether it came."""
        limit = time.monotonic() + WAIT_S
        while self.monitor.state().mode != mode:
            if time.monotonic() > limit:
                return False
            if fresh:
                self.feed()
            time.sleep(0.002)
        return True

    def arm(self) -> None:
        """Arm; once more where this process was not run for so long that the signal was stale just then."""
        limit = time.monotonic() + WAIT_S
        while True:
            self.until("idle")
            try:
                self.monitor.arm()
                return
            except ArmingRefusedError:
                if time.monotonic() > limit:
                    raise
                self.monitor.disarm()

    def start_moving(self) -> None:
        """Arm, ask, and see the hand move for a tenth of a second; again where it was held meanwhile."""
        limit = time.monotonic() + WAIT_S
        while True:
            self.arm()
            self.ask()
            self.until("moving")
            for _ in range(20):
                self.feed()
                time.sleep(0.005)
            if self.monitor.state().mode == "moving" or time.monotonic() > limit:
                return
            self.monitor.disarm()
