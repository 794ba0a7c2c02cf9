"""Pages, pictures and tables on disk: there whole, or as they were before; the disk's refusal in a sentence."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from bci.errors import BenchRecordError
from bci.files import write_private
from bci.language import _, system_reason

__all__ = ["make_folder", "write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Write a file of its owner alone, in place of the one before; whoever reads it sees the old one or the new one.

    Raises
    ------
    BenchRecordError
        If it cannot be written; what was there is untouched.
    """
    # a pipe, a terminal: nothing that another file could take the place of
    if path.exists() and not path.is_file():
        new = target = path
    else:
        target = path.resolve()
        new = target.with_name(f".{target.name}.new")
    try:
        write_private(new, text)
        if new != target:
            os.replace(new, target)  # noqa: PTH105 - the one call that replaces on every system
    except OSError as err:
        if new != target:
            with contextlib.suppress(OSError):
                new.unlink()
        raise _refused(path, err) from err


def make_folder(path: Path, *, below: Path) -> None:
    """A folder and those between `below` and it, for their owner alone.

    Raises
    ------
    BenchRecordError
        If it cannot be made.
    """
    try:
        for folder in reversed([path, *path.parents[: len(path.relative_to(below).parts) - 1]]):
            folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as err:
        raise _refused(path, err) from err


def _refused(path: Path, err: OSError) -> BenchRecordError:
    return BenchRecordError(
        _("{path} cannot be written: {why}").format(path=path, why=system_reason(err)), path=path
    )
