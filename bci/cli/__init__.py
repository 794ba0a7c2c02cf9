"""The `bci` command."""

from __future__ import annotations

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run `bci` with `argv` (default: the process's own); returns the exit status.

    0 fine, 1 findings, 2 could not run, 130 interrupted.
    """
    from bci.cli._main import run

    return run(argv)
