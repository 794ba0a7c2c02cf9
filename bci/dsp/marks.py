"""Marked stretches of a signal: which samples no decision may rest on, and why, in plain words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mark", "Marks"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Samples `[first_sample, end_sample)` that are not plain signal.

    `kind` is one short word for programs ("gap", "muscle"), `reason` a sentence for people, `channels` the rows it
    concerns, empty for all of them.
    """

    first_sample: int
    end_sample: int
    kind: str
    reason: str
    channels: tuple[int, ...] = ()


class Marks:
    """The marks of the recent past, asked by every window before a decision rests on it."""

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._marks: deque[Mark] = deque(marks)

    def __iter__(self) -> Iterator[Mark]:
        return iter(self._marks)

    def __len__(self) -> int:
        return len(self._marks)

    def add(self, marks: Iterable[Mark]) -> None:
        """Remember more marks."""
        self._marks.extend(marks)

    def touching(self, first_sample: int, end_sample: int) -> list[Mark]:
        """The marks that share a sample with `[first_sample, end_sample)`, in the order they were added."""
        return [m for m in self._marks if m.first_sample < end_sample and m.end_sample > first_sample]

    def mask(self, first_sample: int, end_sample: int, *, n_channels: int | None = None) -> NDArray[np.bool_]:
        """True for each marked sample of `[first_sample, end_sample)`.

        Shape (n_samples,) for marks of any channel; (n_channels, n_samples) if `n_channels` is given, a mark without
        channels then concerning all of them.
        """
        rows = np.zeros((n_channels or 1, max(0, end_sample - first_sample)), dtype=bool)
        for m in self.touching(first_sample, end_sample):
            samples = slice(max(0, m.first_sample - first_sample), m.end_sample - first_sample)
            rows[list(m.channels) if n_channels and m.channels else slice(None), samples] = True
        return rows if n_channels else rows[0]

    def forget_before(self, sample: int) -> None:
        """Drop the marks that end at or before `sample`; no later window will ask for them."""
        self._marks = deque(m for m in self._marks if m.end_sample > sample)
