"""What is typed in this terminal, at once and unseen: `Keyboard`, read in a thread of its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

__all__ = ["Keyboard"]

POLL_S = 0.05


class Keyboard:
    """Call `heard` with what is typed, from a thread that waits for nobody else. A context manager.

    Ctrl-C stays what it is, and the terminal is as before afterwards. Where standard input is no terminal there are no
    keys, and nothing is done.

    Parameters
    ----------
    heard : callable
        Takes what was typed at once: a character, or several where a key sends a sequence.
    """

    def __init__(self, heard: Callable[[str], object]) -> None:
        self._heard = heard
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._restore: Callable[[], object] = lambda: None

    @property
    def available(self) -> bool:
        """There is a terminal to read keys from."""
        return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()

    def __enter__(self) -> Keyboard:
        if self.available:
            read = self._windows() if sys.platform == "win32" else self._posix()
            self._thread = threading.Thread(target=self._watch, args=(read,), name="keyboard", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        self._restore()

    def _watch(self, read: Callable[[], str]) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, and with it the keys
            while not self._closing.is_set():
                if typed := read():
                    self._heard(typed)

    def _posix(self) -> Callable[[], str]:
        import select
        import termios
        import tty

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        tty.setcbreak(fd)
        self._restore = lambda: termios.tcsetattr(fd, termios.TCSADRAIN, before)

        def read() -> str:
            if not select.select([fd], [], [], POLL_S)[0]:
                return ""
            data = os.read(fd, 1024)
            if not data:
                raise OSError("the terminal was closed")
            return data.decode(errors="replace")

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
