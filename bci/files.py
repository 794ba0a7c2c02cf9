"""Files that only their owner may read, as everything that holds a person's signals or decisions is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

__all__ = ["open_private", "write_private"]


def open_private(path: str | os.PathLike[str], mode: str = "w") -> IO[Any]:
    """Open for writing with permissions 0600; `mode` is "w", "wb" (anew), "x" or "xb" (must not exist yet).

    Windows has no such bits: there the folder's own access list decides.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if "x" in mode else os.O_TRUNC) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    return (
        os.fdopen(descriptor, "wb")
        if "b" in mode
        else os.fdopen(descriptor, "w", encoding="utf-8", newline="\n")
    )


def write_private(path: Path, text: str) -> None:
    """Write a whole text file with permissions 0600."""
    with open_private(path) as file:
        file.write(text)
