"""The bench's own clock beside a simulated board: when packets of a board that does not run in real time would come.

At speed 0 the host's clock says nothing of the board's crystal. So the board tells, for a packet ten times a second,
when a host beside it would have had it: its device time by a crystal that runs so many ppm fast, and the delay of a
USB adapter on top, never early.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["ReferenceClock"]

EVERY_US = 100_000
LATENCY_NS = 1_000_000  # at the least
MORE_NS = 300_000  # mean of what comes on top, exponential
FIRST_NS = 1_000_000_000


class ReferenceClock:
    """Points (conversion, host ns) of the present run."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 23))
        self.begin(0)

    def begin(self, now_us: int) -> None:
        """A run begins."""
        self._start_us = self._due_us = now_us
        self.points: list[tuple[int, int]] = []

    def sent(self, first: int, device_us: Sequence[int], ppm: float) -> None:
        """Conversions from `first` on were made at `device_us` of a crystal that runs `ppm` fast."""
        for sample, at_us in enumerate(device_us, first):
            if at_us >= self._due_us:
                self._due_us = at_us + EVERY_US
                late = LATENCY_NS + float(self._rng.exponential(MORE_NS))
                true_ns = (at_us - self._start_us) * 1000 / (1.0 + ppm * 1e-6)
                self.points.append((sample, FIRST_NS + round(true_ns + late)))
