"""A bar on the terminal for what takes longer than a moment; silent where nobody looks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

__all__ = ["progress_bar"]


@contextlib.contextmanager
def progress_bar(label: str, *, hidden: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, in all) that draws it on stderr."""
    shown = sys.stderr.isatty() and not hidden
    with contextlib.ExitStack() as stack:
        bar = None
        reached = 0

        def told(done: int, total: int) -> None:
            nonlocal bar, reached
            if not shown:
                return
            if bar is None:
                bar = stack.enter_context(click.progressbar(length=total, label=label, file=sys.stderr))
            bar.update(done - reached)
            reached = done

        yield told
