"""Keys pressed while a command runs, without waiting for them; lines where the input is no keyboard."""

from __future__ import annotations

import os
import select
import sys
from types import TracebackType
from typing import Any

__all__ = ["Keys"]


class Keys:
    """Use it in a `with` statement: a terminal gives single keys meanwhile, and is as before afterwards.

    Input that comes through a pipe gives a line at a time, so that a program can set markers too.
    """

    def __init__(self) -> None:
        self._terminal = sys.stdin is not None and sys.stdin.isatty()
        self._before: Any = None
        self._line = b""
        self._ended = sys.stdin is None or sys.stdin.closed

    def __enter__(self) -> Keys:
        if self._terminal and os.name == "posix":
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())  # Ctrl-C goes on being Ctrl-C
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def pressed(self) -> list[str]:
        """Keys, or whole lines, since the last call."""
        if os.name != "posix":
            return self._pressed_on_windows()
        found: list[str] = []
        try:
            descriptor = sys.stdin.fileno()
            while not self._ended and select.select([descriptor], [], [], 0)[0]:
                data = os.read(descriptor, 4096)
                self._ended = not data
                found += self._take(data)
        except (OSError, ValueError):  # closed, or no real file, as under some test runners
            self._ended = True
        return found

    def _take(self, data: bytes) -> list[str]:
        if self._terminal:
            return [key for key in data.decode(errors="ignore") if key.isprintable()]
        *lines, self._line = (self._line + data).split(b"\n")
        return [text for line in lines if (text := line.decode(errors="replace").strip())]

    def _pressed_on_windows(self) -> list[str]:
        import importlib

        console = importlib.import_module("msvcrt")
        found = []
        while self._terminal and console.kbhit():
            key = console.getwch()
            if key == "\x03":
                raise KeyboardInterrupt
            found.append(key)
        return [key for key in found if key.isprintable()]
