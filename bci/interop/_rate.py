"""How many samples a board took in a second of the computer's clock, from when their bytes came.

Bytes never come before their sample was taken; how much later they come varies. So the line through samples and
arrivals that lies below all arrivals, and as close below them as a line can, has the board's rate [1]_. It is an edge
of their lower convex hull, the one over their middle.

References
----------
.. [1] S. B. Moon, P. Skelly, D. Towsley, "Estimation and removal of clock skew from network delay measurements",
   IEEE INFOCOM 1999. doi:10.1109/INFCOM.1999.749287
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["MeasuredRate"]

SHORTEST_S = 4.0  # 1 ms of jitter is 0.025 % of it
LARGEST_ERROR = 0.1  # of the nominal rate; beyond it the arrivals are no measurement (a file, a burst)


class MeasuredRate:
    """Fed with places in the wire and the sample reached there, beside the arrivals of its blocks.

    Parameters
    ----------
    arrivals : iterator of (wire bytes before a block, ns)
    nominal_hz : float
    """

    def __init__(self, arrivals: Iterator[tuple[int, int]], nominal_hz: float) -> None:
        self._arrivals = arrivals
        self._nominal_hz = nominal_hz
        self._now = next(arrivals, None)
        self._next = next(arrivals, None)
        self._hull: list[tuple[int, int]] = []  # (sample, ns), of this run
        self._sum = self._n = 0
        self._longest = (0, 0.0)  # samples of the longest run, and its rate

    def reached(self, wire_bytes: int, sample: int) -> None:
        """All samples before `sample` lie in the first `wire_bytes` bytes, and end with them."""
        while self._next is not None and self._next[0] < wire_bytes:
            self._now, self._next = self._next, next(self._arrivals, None)
        if self._now is None or not sample:
            return
        self._sum, self._n = self._sum + sample, self._n + 1
        point, hull = (sample, self._now[1]), self._hull
        if hull and hull[-1][0] >= sample:
            return
        while len(hull) >= 2 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)

    def run_ends(self) -> None:
        """The samples that follow come after a pause."""
        if len(self._hull) >= 2:
            middle = self._sum / self._n
            k = next((k for k, (sample, _) in enumerate(self._hull) if sample >= middle), 1) or 1
            (s0, t0), (s1, t1) = self._hull[k - 1], self._hull[k]
            length = self._hull[-1][0] - self._hull[0][0]
            if length > self._longest[0] and t1 > t0:
                self._longest = length, (s1 - s0) / (t1 - t0) * 1e9
        self._hull.clear()
        self._sum = self._n = 0

    @property
    def fs_hz(self) -> float:
        """Of the longest run; 0 where it is too short, or too far from the nominal rate, to be a measurement."""
        self.run_ends()
        length, hz = self._longest
        plausible = abs(hz / self._nominal_hz - 1) < LARGEST_ERROR
        return hz if length >= SHORTEST_S * self._nominal_hz and plausible else 0.0


def _turns_down(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> bool:
    """The line from a to c passes below b."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
