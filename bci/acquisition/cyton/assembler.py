"""Frames of a Cyton to chunks: every frame numbered, what is missing counted, rows of Cyton and Daisy put together.

Rules
-----
- The counter of a frame goes round after 256 frames, 1.024 s. How often it went round in a gap is told by time: by
  the earliest arrivals of the last seconds and the measured period. Frames that only come late (a stall of USB, a
  busy computer) catch up within moments, lost ones never do; so a gap whose length is open holds frames back for up
  to 0.3 s until that is seen.
- With a Daisy, even counters carry channels 9–16 and odd ones 1–8, each the mean of its conversion and the one before.
  A row is an even frame and the odd one directly behind it. If either is lost, the row is: halves of two instants are
  never joined.
- A run begins with `begin`. Sample numbers go on from run to run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from bci.acquisition._account import Statistics
from bci.acquisition.cyton.wire import (
    CYTON_LABELS,
    FRAME_BYTES,
    N_CHANNELS,
    RATE_HZ,
    ChannelSetting,
    CytonDecoder,
    CytonFrame,
    Skipped,
    uv_per_count,
)
from bci.chunks import Chunk, Marker, SignalInfo

__all__ = ["CytonAssembler"]

ROUND = 256
DECIDE_NS = 300_000_000
PAUSE_NS = 256_000_000  # frames that follow each other faster have no round of the counter between them
SPAN_NS = 2_000_000_000
SPANS_KEPT = 30
MEASURED_OVER = 400  # frames; 16 ms of jitter are 1 % of that time
DEFAULT_GAIN = 24


class CytonAssembler:
    """Bytes with their time of arrival in, chunks out. No port, no thread, no clock.

    Parameters
    ----------
    daisy : bool
        Sixteen channels.
    channels : sequence of str, optional
        Their names.
    device : str
        What the board says it is.
    """

    def __init__(self, *, daisy: bool, channels: Sequence[str] = (), device: str = "OpenBCI Cyton") -> None:
        self.daisy = daisy
        n_channels = 2 * N_CHANNELS if daisy else N_CHANNELS
        self._channels = tuple(channels) or CYTON_LABELS[:n_channels]
        if len(self._channels) != n_channels:
            raise ValueError(
                f"{len(self._channels)} names for {n_channels} channels: {', '.join(self._channels)}"
            )
        self._device = device
        self._gains = [DEFAULT_GAIN] * n_channels
        self._decoder = CytonDecoder()
        self._running = False
        self._markers: list[Marker] = []
        self._bytes = self._frames = self._faults = self._samples = self._lost = self._restarts = 0
        self._next_sample = 0
        self._begin_counting()

    # ---- what it is ----

    @property
    def info(self) -> SignalInfo:
        rate = Fraction(RATE_HZ, 2 if self.daisy else 1)
        scales = tuple(uv_per_count(gain) for gain in self._gains)
        return SignalInfo(self._channels, rate, scales, self._device)

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            bytes=self._bytes,
            frames=self._frames,
            faults=self._faults,
            samples=self._samples,
            samples_lost=self._lost,
            restarts=self._restarts,
        )

    @property
    def next_sample(self) -> int:
        """Number that the next row will have if nothing is lost."""
        return self._next_sample

    @property
    def running(self) -> bool:
        return self._running

    def set_gain(self, setting: ChannelSetting) -> None:
        """The board was told so; only while it does not stream."""
        if setting.channel < len(self._gains):
            self._gains[setting.channel] = setting.gain

    # ---- what happens ----

    def begin(self) -> list[Chunk]:
        """The board was told to stream: what comes from here on is a run."""
        chunks = self.end()
        self._begin_counting()
        self._running = True
        return chunks

    def end(self) -> list[Chunk]:
        """The run is over and nothing of it is on its way; what comes now are words."""
        if not self._running:
            return []
        self._sort(self._decoder.finish())
        self._settle()
        self._running = False
        return self._chunks()

    def feed(self, data: bytes, at_ns: int) -> list[Chunk]:
        """Chunks of all rows that `data`, which came at `at_ns`, completes."""
        self._bytes += len(data)
        if self._running:
            self._in_run += len(data)
            self._blocks.append((self._in_run, at_ns))
            self._sort(self._decoder.feed(data))
            if self._held and at_ns - self._held[0][1] >= DECIDE_NS:
                self._settle()
        return self._chunks()

    def mark(self, marker: Marker) -> None:
        """A marker of the host's own; it comes out with the next chunk."""
        self._markers.append(marker)

    # ---- numbers of frames ----

    def _begin_counting(self) -> None:
        self._decoder = CytonDecoder()
        self._expected: int | None = None  # number of the frame that comes next
        self._held: list[tuple[CytonFrame, int, int]] = []  # frame, ns, number if nothing went round
        self._held_behind = 0  # number of the frame before them
        self._clock = _Envelope()
        self._last_ns = 0  # when the last frame came
        self._in_run = 0
        self._blocks: deque[tuple[int, int]] = deque()  # stream position behind a block, when it came
        self._row: int | None = None  # of the last complete row
        self._half: tuple[int, CytonFrame] | None = None  # an even frame, with the row it begins
        self._restart = True
        self._gap = 0
        self._ready: list[tuple[int, int, tuple[int, ...]]] = []  # sample number, lost before, counts

    def _sort(self, events: Sequence[CytonFrame | Skipped]) -> None:
        for event in events:
            if isinstance(event, Skipped):
                self._faults += 1
                continue
            self._frames += 1
            while self._blocks[0][0] < event.offset + FRAME_BYTES:
                self._blocks.popleft()
            at_ns = self._blocks[0][1]  # of its last byte; the decoder may have waited for more
            if self._expected is None:
                self._expected = event.counter
            before = self._expected
            number = before + (event.counter - before) % ROUND
            self._expected = number + 1
            if self._held:
                self._held.append((event, at_ns, number))
                if self._clock.rounds_late(number, at_ns) == 0:
                    self._settle()
            elif (number != before or at_ns - self._last_ns >= PAUSE_NS) and self._clock.rounds_late(
                number, at_ns
            ):
                self._held = [(event, at_ns, number)]
                self._held_behind = before - 1
            else:
                self._numbered(event, at_ns, number)
            self._last_ns = at_ns

    def _settle(self) -> None:
        """Decide how often the counter went round among the frames that are held, and where: at its first jump."""
        held, self._held = self._held, []
        rounds = min((self._clock.rounds_late(number, at_ns) for _, at_ns, number in held), default=0)
        numbers = [self._held_behind, *(number for _, _, number in held)]
        jump = next((k for k in range(len(held)) if numbers[k + 1] != numbers[k] + 1), 0)
        for k, (frame, at_ns, number) in enumerate(held):
            self._numbered(frame, at_ns, number + (rounds * ROUND if k >= jump else 0))
        if self._expected is not None:
            self._expected += rounds * ROUND

    def _numbered(self, frame: CytonFrame, at_ns: int, number: int) -> None:
        self._clock.arrived(number, at_ns)
        if not self.daisy:
            self._complete(number, frame.counts)
        elif number % 2 == 0:
            self._half = (number // 2, frame)
        elif self._half is not None and self._half[0] == number // 2:
            self._complete(number // 2, frame.counts + self._half[1].counts)
            self._half = None

    def _complete(self, row: int, counts: tuple[int, ...]) -> None:
        lost = 0 if self._row is None else row - self._row - 1
        self._row = row
        self._lost += lost
        self._next_sample += lost
        self._ready.append((self._next_sample, lost, counts))
        self._next_sample += 1
        self._samples += 1

    # ---- chunks ----

    def _chunks(self) -> list[Chunk]:
        ready, self._ready = self._ready, []
        cuts = [k for k, (_, lost, _) in enumerate(ready) if k == 0 or lost] + [len(ready)]
        chunks = [self._chunk(ready[begin:end]) for begin, end in pairwise(cuts)]
        if not chunks and self._markers:
            markers, self._markers = tuple(self._markers), []
            nothing = np.empty((len(self._channels), 0), order="F")
            chunks = [Chunk(nothing, self._next_sample, markers=markers)]
        return chunks

    def _chunk(self, rows: list[tuple[int, int, tuple[int, ...]]]) -> Chunk:
        first, lost, _ = rows[0]
        restart, self._restart = self._restart, False
        self._restarts += restart
        markers, self._markers = tuple(self._markers), []
        counts = np.array([counts for _, _, counts in rows], dtype=np.float64)
        return Chunk((counts * np.array(self.info.uv_per_count)).T, first, lost, restart, markers)


class _Envelope:
    """When frames come at the earliest: lower envelope of arrivals over spans of two seconds, and its slope."""

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque(maxlen=SPANS_KEPT)  # (number, ns) of the earliest of each
        self._span_end_ns = 0

    @property
    def _period_ns(self) -> float:
        if len(self._spans) < 2:
            return 1e9 / RATE_HZ
        # The last span may have seen late frames only; the first seconds have no other.
        first, last = self._spans[0], self._spans[-2 if len(self._spans) > 2 else -1]
        n, ns = last[0] - first[0], last[1] - first[1]
        return ns / n if n >= MEASURED_OVER else 1e9 / RATE_HZ

    def arrived(self, number: int, at_ns: int) -> None:
        if not self._spans or at_ns >= self._span_end_ns:
            self._spans.append((number, at_ns))
            self._span_end_ns = at_ns + SPAN_NS
            return
        n, ns = self._spans[-1]
        if at_ns - ns < (number - n) * self._period_ns:
            self._spans[-1] = (number, at_ns)

    def rounds_late(self, number: int, at_ns: int) -> int:
        """By how many rounds of the counter a frame of this number comes later than it should."""
        if not self._spans:
            return 0
        period = self._period_ns
        late_ns = max(at_ns - ns - (number - n) * period for n, ns in list(self._spans)[-2:])
        return max(0, round(late_ns / (ROUND * period)))
