"""Ctrl-C that was handled, and the exit status that must say so."""

from __future__ import annotations

from collections import namedtuple

__all__ = ["forget_interrupt"]


def forget_interrupt() -> None:
    """Let a caught KeyboardInterrupt not decide this process's exit status. Call it last, in a command's main.

    CPython notes a KeyboardInterrupt that leaves code run from text, and a process started with `-m` dies of SIGINT for
    it at its end, even where it was caught in between (`unhandled_keyboard_interrupt` in Python/pythonrun.c). Every
    dataclass that is imported and every function that Numba compiles is such code, so Ctrl-C just then would turn a
    command's status 0 into a death by signal. The note is torn up when other code from text begins: a namedtuple's is
    the smallest.
    """
    namedtuple("_Nothing", ())
