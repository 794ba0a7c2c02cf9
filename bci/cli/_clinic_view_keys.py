"""Keys of the clinic's terminal: Space and Esc are STOP and nothing else, ever; the others press the buttons shown."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

__all__ = ["STOP_KEYS", "ClinicKeys"]

STOP_KEYS = (" ", "\x1b")
#: A key that is held down repeats 30 times a second; so many STOPs say no more than five do.
REPEAT_S = 0.2
POLL_S = 0.05


class ClinicKeys:
    """Reads this terminal in a thread of its own, so that STOP waits for nobody. A context manager.

    Parameters
    ----------
    stop : callable
        Called at once from the reading thread for a STOP key, at most five times a second while it is held down.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, stop: Callable[[], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop, self._clock = stop, clock
        self._pressed: deque[str] = deque(maxlen=100)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: Any = None
        self._stopped_at: float | None = None

    @property
    def available(self) -> bool:
        """There is a terminal to read keys from."""
        return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()

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

    def __enter__(self) -> ClinicKeys:
        if self.available:
            read = self._windows() if sys.platform == "win32" else self._posix()
            self._thread = threading.Thread(target=self._watch, args=(read,), name="clinic-keys", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def _watch(self, read: Callable[[], str]) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, and with it the keys
            while not self._closing.is_set():
                if typed := read():
                    self.take(typed)

    def _posix(self) -> Callable[[], str]:
        import termios
        import tty

        fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(fd)
        tty.setcbreak(fd)

        def read() -> str:
            if not select.select([fd], [], [], POLL_S)[0]:
                return ""
            data = os.read(fd, 1024)
            if not data:
                raise OSError("the terminal was closed")
            return data.decode(errors="ignore")

        return read

    def _windows(self) -> Callable[[], str]:
        import importlib

        console = importlib.import_module("msvcrt")

        def read() -> str:
            if not console.kbhit():
                self._closing.wait(POLL_S)
                return ""
            return str(console.getwch())

        return read
