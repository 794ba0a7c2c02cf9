"""Tasks that tests give to workers of their own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bci.batch import Item
from bci.errors import RecordingError


def spectrum_of(item: Item, options: Mapping[str, Any]) -> dict[str, Any]:
    """Sums whose last bits depend on the order of additions, so on threads and libraries."""
    (path,) = item.files
    data = np.frombuffer(path.read_bytes()[-8 * 8192 :], dtype=np.uint8).astype(np.float64)
    x = np.sin(data.reshape(256, 256))
    values = np.linalg.eigvalsh(x @ x.T)
    return {"largest": values[-1], "sum": float(np.sum(np.log1p(values**2))), "missing": np.nan}


def deadly(item: Item, options: Mapping[str, Any]) -> dict[str, Any]:
    """Kills its worker: always at the item "always", the first time at the item "once"."""
    mark = Path(str(options["marks"])) / item.name
    if item.name == "always" or (item.name == "once" and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"pid_differs": os.getpid() != options["parent"]}


def faulty(item: Item, options: Mapping[str, Any]) -> dict[str, Any]:
    """Counts its calls in a file, and fails in ways of its own."""
    with (Path(str(options["marks"])) / "calls").open("a") as file:
        file.write(f"{item.name}\n")
    if item.name == "b":
        raise RecordingError("this recording is cut; copy it again")
    if item.name == "c":
        raise ZeroDivisionError("a bug")
    return {"value": 1.0}
