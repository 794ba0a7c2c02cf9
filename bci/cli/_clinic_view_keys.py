"""Keys of the clinic's terminal: Space and Esc are STOP and nothing else, ever; the others press the buttons shown."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from bci.sessions.keyboard import Keyboard

__all__ = ["STOP_KEYS", "ClinicKeys"]

STOP_KEYS = (" ", "\x1b")
#: A key that is held down repeats 30 times a second; so many STOPs say no more than five do.
REPEAT_S = 0.2


class ClinicKeys(Keyboard):
    """Reads this terminal in a thread of its own, so that STOP waits for nobody. A context manager.

    Parameters
    ----------
    stop : callable
        Called at once from the reading thread for a STOP key, at most five times a second while it is held down.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, stop: Callable[[], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(self.take)
        self._stop, self._clock = stop, clock
        self._pressed: deque[str] = deque(maxlen=100)
        self._stopped_at: float | None = None

    def take(self, typed: str) -> None:
        """What was typed at once. A control sequence of the terminal (arrow keys) begins with Esc and is STOP."""
        for key in typed:
            if key in STOP_KEYS:
                now = self._clock()
                if self._stopped_at is None or now - self._stopped_at >= REPEAT_S:
                    self._stopped_at = now
                    self._stop()
                if key == "\x1b":
                    return  # what follows belongs to the sequence
            else:
                self._pressed.append("\n" if key == "\r" else key.lower())

    def pressed(self) -> list[str]:
        """Keys other than STOP since the last call."""
        found = []
        while self._pressed:
            found.append(self._pressed.popleft())
        return found
