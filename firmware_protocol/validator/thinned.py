"""An even selection of many things in bounded memory."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Thinned"]

_T = TypeVar("_T")


class Thinned(Generic[_T]):
    """Keeps each of the first `most` things, then every second one of all, every fourth …; `count` is of all."""

    def __init__(self, most: int) -> None:
        self.kept: list[_T] = []
        self.count = 0
        self._most = most
        self._stride = 1

    def add(self, thing: _T) -> None:
        """One more."""
        if self.count % self._stride == 0:
            self.kept.append(thing)
            if len(self.kept) > self._most:
                self.kept = self.kept[::2]
                self._stride *= 2
        self.count += 1
