"""Decoded columns in, chunks out. No port, no thread, no clock: callers own those.

Rules
-----
- A chunk holds consecutive samples of one configuration. How the stream is dealt out to `feed` decides where
  chunks are cut and nothing else: samples, numbers, losses, restarts and markers are the same.
- No DATA is scaled before the INFO of its config_id is whole. Until then it is held, and all but INFO behind
  it, so that the order stays; of a board that never sends its INFO the newest `MAX_HELD` packets are kept.
- Conversions that never came are `lost_before` of the next chunk, exactly; samples that come twice are
  dropped.
- A restart is DATA with flag b1, or, if that packet was lost, the first DATA behind a gap after the answer
  to START. After a reset (another boot id) numbers begin anew, with a restart.
- An event becomes a marker of the chunk it arrives with. If none comes with it, it travels in a chunk of 0
  samples, so that the end of a run, behind which nothing follows, is heard.
- DATA that follows without a gap is taken as a whole (`Flow`), however many frames it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bci.acquisition._account import Statistics
from bci.acquisition._flows import Flow, in_order
from bci.acquisition._loss import LossAccount
from bci.acquisition._pieces import Pieces
from bci.acquisition.clock import SampleClock
from bci.acquisition.configuration import Configuration, ConfigurationBook
from bci.chunks import Chunk, Marker, SignalInfo
from firmware_protocol import (
    Event,
    EventCode,
    EventSource,
    FrameError,
    Heartbeat,
    Info,
    Opcode,
    Response,
    Status,
    Unknown,
)
from firmware_protocol.batch import Batch

__all__ = ["Assembler", "Statistics"]

MAX_HELD = 4096  # packets; a board repeats its INFO each second
SOURCE_NAMES = {int(source): source.name.lower() for source in EventSource}
DEVICE_EVENTS = {int(code): code.name.lower() for code in EventCode}
START_RESULT_BYTES = 8


class Assembler:
    """Put the frames of one board together to chunks.

    Parameters
    ----------
    labels : mapping of int to str
        Names for codes of the trigger line; a code without a name is labelled with its number.
    max_samples : int, optional
        Longest chunk, in samples, rounded up to whole packets.
    clock : SampleClock, optional
        To go on with; by default a new one.
    line_byte_ns : float
        Time that a byte takes on a real serial line; 0 where that is not known.

    Attributes
    ----------
    clock : SampleClock
        When each sample was taken, as far as arrival times are given to `feed`.
    """

    def __init__(
        self,
        *,
        labels: Mapping[int, str] | None = None,
        max_samples: int | None = None,
        clock: SampleClock | None = None,
        line_byte_ns: float = 0.0,
    ) -> None:
        self.labels = dict(labels or {})
        self.info: SignalInfo | None = None
        self.clock = SampleClock() if clock is None else clock
        self._max_samples = max_samples
        self._line_byte_ns = line_byte_ns
        self._book = ConfigurationBook()
        self._account = LossAccount()
        self._held: deque[_Ordered] = deque()
        self._pieces: Pieces | None = None
        self._done: list[Chunk] = []
        self._markers: list[Marker] = []
        self._start_answered = False
        self._was_reset = False
        self._final: Heartbeat | None = None
        self._frames = self._faults = self._samples = self._repeated = 0
        self._rejected = self._unknown = self._restarts = self._resets = 0

    @property
    def statistics(self) -> Statistics:
        """What has come and what was lost so far."""
        return Statistics(
            frames=self._frames,
            faults=self._faults,
            samples=self._samples,
            samples_lost=self._account.lost,
            samples_lost_device=self._account.lost_by_device,
            repeated=self._repeated,
            rejected=self._rejected,
            unknown=self._unknown,
            restarts=self._restarts,
            resets=self._resets,
        )

    @property
    def next_sample(self) -> int | None:
        """64-bit number of the conversion that comes next; None until known."""
        return self._account.expected

    def feed(self, batch: Batch, arrived_ns: NDArray[np.int64] | None = None) -> list[Chunk]:
        """Chunks of everything that can be scaled now.

        Parameters
        ----------
        batch : Batch
            Of `BulkDecoder` or a link; its arrays are not looked at again afterwards.
        arrived_ns : ndarray, shape (n_events,), int64, optional
            Monotonic time at which each of its events was whole.
        """
        n_faults = int(np.count_nonzero(batch.events["kind"]))
        self._faults += n_faults
        self._frames += len(batch.events) - n_faults
        for item in in_order(batch, arrived_ns):
            if isinstance(item, Info):
                self._configured(item)
            elif isinstance(item, Flow | Event | Heartbeat | Response):
                self._in_order(item)
            elif isinstance(item, Unknown):
                self._unknown += 1
        return self.chunks()

    def mark(self, marker: Marker) -> None:
        """A marker of the host's own; it comes out with the next chunk."""
        self._markers.append(marker)

    def chunks(self) -> list[Chunk]:
        """What is there now: after `mark`, the marker, if it is known of what signal."""
        self._end_chunk()
        chunks, self._done = self._done, []
        return chunks

    def finish(self) -> None:
        """Nothing more will come: what the board had converted and never arrived is lost."""
        if self._final is not None:
            self._account.ends(self._final)

    # ---- what frames say ----

    def _in_order(self, item: _Ordered) -> None:
        if not self._held and self._take(item):
            return
        self._held.append(item.copy() if isinstance(item, Flow) else item)
        excess = sum(_n_frames(held) for held in self._held) - MAX_HELD
        while excess > 0:
            oldest = self._held.popleft()
            n = min(_n_frames(oldest), excess)
            if isinstance(oldest, Flow):
                self._rejected += n
                if n < oldest.n_frames:
                    self._held.appendleft(oldest.without_frames(n))
            excess -= n

    def _configured(self, info: Info) -> None:
        self._booted(info.boot_id)
        configuration = self._book.add(info)
        if configuration is None:
            return
        self.info = configuration.signal
        self.clock.configured(configuration.signal.fs_hz)
        while self._held:
            item = self._held.popleft()
            if not self._take(item):
                self._held.appendleft(item)
                return

    def _answered(self, response: Response) -> None:
        if response.status != Status.OK:
            return
        if response.opcode == Opcode.START and len(response.payload) == START_RESULT_BYTES:
            self._start_answered = True
            self._final = None
            self._account.begins(int.from_bytes(response.payload, "little"))
        elif response.opcode == Opcode.STOP and (counters := _counters(response)):
            # It overtook the DATA still queued in the board, so its place in the stream means nothing; only
            # if nothing had come before does it say where the board is.
            if self._account.expected is None:
                self._account.counters(counters)
            self._final = counters
        elif response.opcode == Opcode.RESET_COUNTERS and (counters := _counters(response)):
            self._account.counters_reset(counters.dropped)

    def _booted(self, boot_id: int) -> None:
        if self._book.booted(boot_id):
            self._end_chunk()
            self._account.booted()
            self.clock.booted()
            self._resets += 1
            self._rejected += sum(item.n_frames for item in self._held if isinstance(item, Flow))
            self._held.clear()
            self._was_reset = True

    def _take(self, item: _Ordered) -> bool:
        """Put an item in its place; False if what it means is not known yet."""
        if isinstance(item, Flow):
            return self._take_data(item)
        if isinstance(item, Event):
            if self.info is None:
                return False
            self._markers.append(self._marker(item))
        elif isinstance(item, Heartbeat):
            self._booted(item.boot_id)
            self.clock.device_time(item.t_us)
            self._account.counters(item)
        else:
            self._answered(item)
        return True

    def _take_data(self, data: Flow) -> bool:
        configuration = self._book.get(data.config_id)
        if configuration is None:
            return False
        if data.samples.shape[1] != configuration.signal.n_channels:
            self._rejected += data.n_frames  # no scale fits it; its samples will count as lost
            return True
        before = self._account.expected
        span = self._account.arrived(data.sample_index, data.n_samples)
        first, repeated = span.first, span.repeated
        if repeated:
            self._repeated += repeated
            n = int(np.searchsorted(data.ends, repeated, side="right"))  # frames of which nothing is new
            if n == data.n_frames:
                return True
            done = int(data.ends[n - 1]) if n else 0
            data, first, repeated = data.without_frames(n), first + done, repeated - done
        first_after_start = data.begins_run or (self._start_answered and span.lost > 0)
        restart = first_after_start or self._was_reset
        if restart:
            self._start_answered = self._was_reset = False
            self._restarts += 1
            self.clock.run_began()
        if data.arrived_ns is not None:
            self._time(first, data)
        if restart or span.lost or self._pieces is None or not self._pieces.takes(data, configuration):
            self._end_chunk(before)
            self._pieces = Pieces(configuration, data.layout, first + repeated, span.lost, restart)
        self._samples += data.n_samples - repeated
        self._append(data, repeated, configuration)
        return True

    def _append(self, data: Flow, begin: int, configuration: Configuration) -> None:
        """Samples of `data` from `begin` on, in chunks that end with a packet."""
        while self._max_samples is not None:
            assert self._pieces is not None
            wanted = begin + self._max_samples - self._pieces.n_samples
            frame = int(np.searchsorted(data.ends, wanted))
            if frame == data.n_frames:
                break
            end = int(data.ends[frame])
            self._pieces.add(data, begin, end)
            following = self._pieces.first + self._pieces.n_samples
            self._end_chunk()
            if end == data.n_samples:
                return
            self._pieces = Pieces(configuration, data.layout, following, 0, False)
            begin = end
        assert self._pieces is not None
        self._pieces.add(data, begin, data.n_samples)

    def _time(self, first: int, data: Flow) -> None:
        assert data.arrived_ns is not None
        n_samples = np.diff(data.ends, prepend=0)
        self.clock.data(
            first - 1 + data.ends,
            n_samples,
            data.t_us,
            data.arrived_ns,
            line_ns=int(n_samples.max()) * data.row_bytes * self._line_byte_ns,
        )

    def _marker(self, event: Event) -> Marker:
        number = self._account.unwrap(event.sample_index)
        source = SOURCE_NAMES.get(event.source, f"source {event.source}")
        if event.source == EventSource.TRIGGER:
            label = self.labels.get(event.code, str(event.code))
        elif event.source == EventSource.DEVICE:
            label = DEVICE_EVENTS.get(event.code, f"device {event.code}")
        else:
            label = f"{source} {event.code}"
        return Marker(number, label, event.code, event.value, source)

    def _end_chunk(self, next_sample: int | None = None) -> None:
        """`next_sample`: of the chunk that follows, where `_account` is further already."""
        if self.info is None:
            return  # markers of the host wait until it is known of what signal
        markers, self._markers = tuple(self._markers), []
        if self._pieces is not None:
            self._done.append(self._pieces.chunk(markers))
            self._pieces = None
        elif markers:
            nothing = np.empty((self.info.n_channels, 0), dtype=np.float64, order="F")
            at = self._account.expected if next_sample is None else next_sample
            self._done.append(Chunk(nothing, at or 0, markers=markers))


#: What is held while DATA waits for its INFO: everything whose place among the samples matters.
_Ordered: TypeAlias = Flow | Event | Heartbeat | Response


def _n_frames(item: _Ordered) -> int:
    return item.n_frames if isinstance(item, Flow) else 1


def _counters(response: Response) -> Heartbeat | None:
    try:
        return Heartbeat.from_counters(response)
    except FrameError:
        return None  # a board that answers nonsense does not end a session
