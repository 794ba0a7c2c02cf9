"""Being served first: a late frame is a risk, and the processes that send and take them need almost no time."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["ask_for_priority"]

#: Ahead of ordinary programs, behind what the system needs for itself.
NICENESS = -10


def ask_for_priority() -> bool:
    """Ask that this process is served before ordinary programs; whether the system granted it.

    Windows grants it to anybody. On POSIX systems it takes a right (``CAP_SYS_NICE``, or a line "nice" in
    limits.conf); without it everything works, with the delays of a busy machine.
    """
    if sys.platform == "win32":
        import ctypes

        above_normal, kernel = 0x8000, ctypes.windll.kernel32
        return bool(kernel.SetPriorityClass(kernel.GetCurrentProcess(), above_normal))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        return True
    return False
