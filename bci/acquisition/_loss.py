"""The account of conversions: 32-bit numbers off the wire become 64-bit ones, every missing one is counted.

The board numbers each conversion, sent or not. Two conversions in sequence on the wire therefore tell exactly
what is missing between them, and the counters of a HEARTBEAT tell what is missing at the end and which part
of it the board itself could not send (SPEC 6.4). `link_seq` is not needed for any of this.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_protocol import Heartbeat

__all__ = ["LossAccount", "Span"]

HALF = 1 << 31
FULL = 1 << 32


@dataclass(frozen=True, slots=True)
class Span:
    """Where DATA lies: `repeated` of its samples came before, `lost` conversions before it never did."""

    first: int
    repeated: int
    lost: int


class LossAccount:
    """Follows one board from boot to boot.

    Attributes
    ----------
    expected : int or None
        64-bit number of the conversion that comes next; None until a packet has told where the board is.
    """

    def __init__(self) -> None:
        self.expected: int | None = None
        self._in_gaps = 0
        self._promised = 0  # every conversion below this has come or never will
        self._device = 0
        self._dropped: int | None = None  # the board's own count when it was last heard

    @property
    def lost(self) -> int:
        """Conversions known to be missing, those at the end included."""
        return self._in_gaps + self._missing_at_end

    @property
    def lost_by_device(self) -> int:
        """Of `lost`, those that the board counted as not sent, up to its last counters."""
        return self._device

    @property
    def _missing_at_end(self) -> int:
        return 0 if self.expected is None else max(0, self._promised - self.expected)

    def unwrap(self, low: int) -> int:
        """The 64-bit number nearest to what is expected whose low 32 bits are `low`."""
        if self.expected is None:
            return low
        return max(0, self.expected + (low - self.expected + HALF) % FULL - HALF)

    def arrived(self, low: int, n_samples: int) -> Span:
        """Take note of a DATA packet whose first conversion has the low 32 bits `low`."""
        first = self.unwrap(low)
        if self.expected is None:
            self.expected = first
        lost = max(0, first - self.expected)
        repeated = min(n_samples, max(0, self.expected - first))
        self._in_gaps += lost
        self.expected = max(self.expected, first + n_samples)
        return Span(first, repeated, lost)

    def begins(self, sample_index: int) -> None:
        """The board says that its next run begins with this conversion (answer to START)."""
        if self.expected is None:
            self.expected = self._promised = sample_index
        self._promised = max(self._promised, self.unwrap(sample_index))

    def counters(self, counters: Heartbeat) -> None:
        """Take the board's counters as of this place in the stream."""
        if self.expected is None:
            self.expected = sample_index = counters.sample_index
        else:
            sample_index = self.unwrap(counters.sample_index)
        self._promised = max(self._promised, sample_index)
        if self._dropped is not None and counters.dropped >= self._dropped:
            self._device += counters.dropped - self._dropped
        self._dropped = counters.dropped

    def counters_reset(self, dropped: int) -> None:
        """The board's count stood at `dropped` and begins anew."""
        if self._dropped is not None:
            self._device += max(0, dropped - self._dropped)
        self._dropped = 0

    def ends(self, counters: Heartbeat) -> None:
        """Nothing more will come; `counters` (answer to STOP) tell how many conversions there were."""
        if self.expected is not None:
            self._promised = max(self._promised, self.unwrap(counters.sample_index))

    def booted(self) -> None:
        """The board was reset and counts from anew; what is missing stays counted."""
        self._in_gaps += self._missing_at_end
        self.expected = None
        self._promised = 0
        self._dropped = None
