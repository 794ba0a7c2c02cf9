"""STOP from the keyboard of a terminal session: `StopKey`."""

from __future__ import annotations

from collections.abc import Callable

from bci.language import N_
from bci.sessions.keyboard import Keyboard

__all__ = ["STOP_KEYS", "StopKey"]

#: What people are told. Every key is STOP but Ctrl-C, which ends the session (and holds the hand, too).
STOP_KEYS = N_("space bar, or any other key")


class StopKey(Keyboard):
    """Call `stop` whenever a key is pressed in this terminal. A context manager.

    Where standard input is no terminal there are no keys, and nothing is done.

    Parameters
    ----------
    stop : callable
        Usually ``lambda: monitor.stop("key")``.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        super().__init__(lambda typed: stop())
