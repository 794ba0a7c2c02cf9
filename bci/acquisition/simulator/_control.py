"""The board's control channel: JSON lines in, heard without blocking, on every system.

A thread reads the lines, because a pipe cannot be polled on Windows, and nudges the board's selector through
a socket pair. The end of the stream is the end of the board: it means that whoever started it has gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

__all__ = ["ControlChannel"]


class ControlChannel:
    """Commands that have come, oldest first. `closed` is True once the stream or the parent is gone.

    Parameters
    ----------
    lines : iterable of str, optional
        Where commands come from; None: from nowhere, and only the parent's end is watched for.
    parent : int, optional
        Process id to watch.
    selector : selector
        Wakes when a command has come.
    """

    def __init__(
        self, lines: Iterable[str] | None, *, parent: int | None, selector: selectors.BaseSelector
    ) -> None:
        self._parent = parent
        self._commands: deque[dict[str, Any]] = deque()
        self._ended = False
        self._nudge, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        selector.register(self._bell, selectors.EVENT_READ)
        if lines is not None:
            threading.Thread(target=self._listen, args=(lines,), daemon=True, name="board-control").start()

    @property
    def closed(self) -> bool:
        # A process forked by the parent may hold the pipe open after the parent was killed; then another
        # process adopts us.
        orphaned = self._parent is not None and hasattr(os, "getppid") and os.getppid() != self._parent
        return orphaned or (self._ended and not self._commands)

    def take(self) -> list[dict[str, Any]]:
        """All commands that have come since the last call."""
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(4096)
        taken = []
        while self._commands:
            taken.append(self._commands.popleft())
        return taken

    def _listen(self, lines: Iterable[str]) -> None:
        with contextlib.suppress(OSError, ValueError):  # the stream may be closed under this thread
            for line in lines:
                if line.strip():
                    self._commands.append(json.loads(line))
                    self._nudge.send(b"!")
        self._ended = True
        with contextlib.suppress(OSError):
            self._nudge.send(b"!")
