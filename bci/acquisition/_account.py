"""The account of a stream, as sources give it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What came and what did not, so far.

    `samples_lost` is exact. `samples_lost_device` is the board's own part as of its last counters (one
    heartbeat a second); the rest was lost on the link or, where `bytes_skipped` is not 0, by a program that
    read too late.
    """

    bytes: int = 0
    bytes_skipped: int = 0
    frames: int = 0
    faults: int = 0
    samples: int = 0
    samples_lost: int = 0
    samples_lost_device: int = 0
    repeated: int = 0
    rejected: int = 0
    unknown: int = 0
    restarts: int = 0
    resets: int = 0

    @property
    def samples_lost_link(self) -> int:
        """Conversions that the board sent and that did not arrive."""
        return max(0, self.samples_lost - self.samples_lost_device)
