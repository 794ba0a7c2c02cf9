"""Lists on a command line: `C3,Cz,C4` and `8,30`, with commas or blanks between."""

from __future__ import annotations

import click

__all__ = ["numbers", "words"]


def words(text: str | None) -> tuple[str, ...]:
    """Empty where nothing was given."""
    return tuple((text or "").replace(",", " ").split())


def numbers(text: str, option: str, *, count: int | None = None) -> list[float]:
    """As many numbers as are wanted; at least one.

    Raises
    ------
    BadParameter
        If they are fewer, more, or no numbers.
    """
    try:
        values = [float(word) for word in words(text)]
    except ValueError:
        values = []
    if not values or (count is not None and len(values) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise click.BadParameter(f"expected {wanted} separated by commas, got {text!r}", param_hint=option)
    return values
