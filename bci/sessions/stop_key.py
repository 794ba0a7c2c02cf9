"""STOP from the keyboard of a terminal session: `StopKey`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

__all__ = ["STOP_KEYS", "StopKey"]

#: What people are told. Every key is STOP but Ctrl-C, which ends the session (and holds the hand, too).
STOP_KEYS = "space bar, or any other key"

POLL_S = 0.05


class StopKey:
    """Call `stop` whenever a key is pressed in this terminal. A context manager.

    Where standard input is no terminal there are no keys, and nothing is done.

    Parameters
    ----------
    stop : callable
        Usually ``lambda: monitor.stop("key")``.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._restore: Callable[[], object] = lambda: None

    def __enter__(self) -> StopKey:
        if sys.stdin is not None and sys.stdin.isatty():
            pressed = self._windows() if sys.platform == "win32" else self._posix()
            self._thread = threading.Thread(target=self._watch, args=(pressed,), name="stop-key", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        self._restore()

    def _watch(self, pressed: Callable[[], bool]) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, and with it the keys
            while not self._closing.is_set():
                if pressed():
                    self._stop()

    def _posix(self) -> Callable[[], bool]:
        """Keys come at once and unseen; Ctrl-C stays what it is."""
        import os
        import select
        import termios
        import tty

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        tty.setcbreak(fd)
        self._restore = lambda: termios.tcsetattr(fd, termios.TCSADRAIN, before)
        return lambda: bool(select.select([fd], [], [], POLL_S)[0] and os.read(fd, 1024))

    def _windows(self) -> Callable[[], bool]:
        import msvcrt

        def pressed() -> bool:
            hit: bool = msvcrt.kbhit()  # type: ignore[attr-defined]
            if hit:
                msvcrt.getch()  # type: ignore[attr-defined]
            else:
                self._closing.wait(POLL_S)
            return hit

        return pressed
