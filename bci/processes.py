"""Processes beside a session, each in a group of its own: Ctrl-C in the terminal is for the session alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

__all__ = ["own_group"]


def own_group() -> dict[str, Any]:
    """What to give `subprocess.Popen` for it. Who starts a process then ends it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
