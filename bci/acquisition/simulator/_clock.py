"""The board's crystal: device microseconds from the computer's monotonic clock, at any pace, or at none."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BoardClock"]


class BoardClock:
    """Device time in µs. It never runs backwards; a change of pace takes effect from the present on.

    Parameters
    ----------
    monotonic_ns : callable
    start_us : int
        What it shows now.
    """

    def __init__(self, monotonic_ns: Callable[[], int], *, start_us: int = 0) -> None:
        self._monotonic_ns = monotonic_ns
        self._base_us: float = start_us
        self._base_ns = monotonic_ns()
        self._pace = 1.0

    def now_us(self) -> int:
        return int(self._at(self._monotonic_ns()))

    def set_pace(self, pace: float) -> None:
        """Device seconds per real second; 0 stands still until `advance`."""
        if pace != self._pace:
            now_ns = self._monotonic_ns()
            self._base_us, self._base_ns, self._pace = self._at(now_ns), now_ns, pace

    def advance(self, to_us: int) -> None:
        """Let it be `to_us`, if that is not past: time that passes because samples were made."""
        now_ns = self._monotonic_ns()
        self._base_us, self._base_ns = max(self._at(now_ns), to_us), now_ns

    def seconds_until(self, at_us: float) -> float:
        """Real seconds until it shows `at_us`; infinite while it stands still."""
        left_us = at_us - self._at(self._monotonic_ns())
        if left_us <= 0:
            return 0.0
        return left_us / 1e6 / self._pace if self._pace else float("inf")

    def _at(self, ns: int) -> float:
        return self._base_us + (ns - self._base_ns) / 1e3 * self._pace
