"""The assembler written plainly, frame by frame: what the one that works on columns is compared with.

Rules
-----
- A chunk holds consecutive samples of one configuration. How frames are dealt out to `feed` decides where
  chunks are cut and nothing else: samples, numbers, losses, restarts and markers are the same.
- No DATA is scaled before the INFO of its config_id is whole. Until then it is held, and all but INFO behind
  it, so that the order stays; of a board that never sends its INFO the newest `MAX_HELD` packets are kept.
- Conversions that never came are `lost_before` of the next chunk, exactly; samples that come twice are
  dropped.
- A restart is DATA with flag b1, or, if that packet was lost, the first DATA behind a gap after the answer
  to START. After a reset (another boot id) numbers begin anew, with a restart.
- An event becomes a marker of the chunk it arrives with. If none comes with it, it travels in a chunk of 0
  samples, so that the end of a run, behind which nothing follows, is heard.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from bci.acquisition._account import Statistics
from bci.acquisition._loss import LossAccount
from bci.acquisition.configuration import Configuration, ConfigurationBook
from bci.chunks import Chunk, Marker, SignalInfo
from firmware_protocol import (
    Data,
    Event,
    EventCode,
    EventSource,
    Fault,
    Flag,
    Frame,
    FrameError,
    Heartbeat,
    Info,
    Opcode,
    Response,
    Status,
    Unknown,
)

__all__ = ["PlainAssembler"]

FLOAT32 = 1  # sample type, SPEC 4.1
MAX_HELD = 4096  # packets; a board repeats its INFO each second
SOURCE_NAMES = {int(source): source.name.lower() for source in EventSource}
DEVICE_EVENTS = {int(code): code.name.lower() for code in EventCode}
START_RESULT_BYTES = 8
FIRST = int(Flag.FIRST)  # a plain number: enum arithmetic would cost more than the rest of a packet


class PlainAssembler:
    """Put the frames of one board together to chunks.

    Parameters
    ----------
    labels : mapping of int to str
        Names for codes of the trigger line; a code without a name is labelled with its number.
    max_samples : int, optional
        Longest chunk, in samples, rounded up to whole packets.
    """

    def __init__(self, *, labels: Mapping[int, str] | None = None, max_samples: int | None = None) -> None:
        self.labels = dict(labels or {})
        self.info: SignalInfo | None = None
        self._max_samples = max_samples
        self._book = ConfigurationBook()
        self._account = LossAccount()
        self._held: deque[_Ordered] = deque()
        self._batch: _Batch | None = None
        self._done: list[Chunk] = []
        self._markers: list[Marker] = []
        self._start_answered = False
        self._was_reset = False
        self._final: Heartbeat | None = None
        self._frames = self._faults = self._samples = self._repeated = 0
        self._rejected = self._unknown = self._restarts = self._resets = 0

    @property
    def statistics(self) -> Statistics:
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

    def feed(self, events: Iterable[Frame | Fault]) -> list[Chunk]:
        """Chunks of everything that can be scaled now."""
        for event in events:
            if isinstance(event, Fault):
                self._faults += 1
                continue
            self._frames += 1
            if isinstance(event, Info):
                self._configured(event)
            elif isinstance(event, Data | Event | Heartbeat | Response):
                self._in_order(event)
            elif isinstance(event, Unknown):
                self._unknown += 1
        self._end_chunk()
        chunks, self._done = self._done, []
        return chunks

    def mark(self, marker: Marker) -> None:
        """A marker of the host's own; it comes out with the next chunk."""
        self._markers.append(marker)

    def finish(self) -> None:
        """Nothing more will come: what the board had converted and never arrived is lost."""
        if self._final is not None:
            self._account.ends(self._final)

    # ---- what frames say ----

    def _in_order(self, frame: _Ordered) -> None:
        if self._held or not self._take(frame):
            self._held.append(frame)
            if len(self._held) > MAX_HELD:
                self._rejected += isinstance(self._held.popleft(), Data)

    def _configured(self, info: Info) -> None:
        self._booted(info.boot_id)
        configuration = self._book.add(info)
        if configuration is None:
            return
        self.info = configuration.signal
        while self._held:
            frame = self._held.popleft()
            if not self._take(frame):
                self._held.appendleft(frame)
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
            self._resets += 1
            self._rejected += sum(isinstance(frame, Data) for frame in self._held)
            self._held.clear()
            self._was_reset = True

    def _take(self, frame: _Ordered) -> bool:
        """Put a frame in its place; False if what it means is not known yet."""
        if isinstance(frame, Data):
            return self._take_data(frame)
        if isinstance(frame, Event):
            if self.info is None:
                return False
            self._markers.append(self._marker(frame))
        elif isinstance(frame, Heartbeat):
            self._booted(frame.boot_id)
            self._account.counters(frame)
        else:
            self._answered(frame)
        return True

    def _take_data(self, frame: Data) -> bool:
        configuration = self._book.get(frame.config_id)
        if configuration is None:
            return False
        if frame.n_channels != configuration.signal.n_channels:
            self._rejected += 1  # no scale fits it; its samples will count as lost
            return True
        before = self._account.expected
        span = self._account.arrived(frame.sample_index, frame.n_samples)
        if span.repeated:
            self._repeated += span.repeated
            if span.repeated == frame.n_samples:
                return True
        first_after_start = bool(frame.flags & FIRST) or (self._start_answered and span.lost > 0)
        restart = first_after_start or self._was_reset
        if restart:
            self._start_answered = self._was_reset = False
            self._restarts += 1
        if restart or span.lost or self._batch is None or not self._batch.takes(frame, configuration):
            self._end_chunk(before)
            self._batch = _Batch(configuration, frame, span.first + span.repeated, span.lost, restart)
        kept = frame.n_samples - span.repeated
        self._batch.add(frame, kept)
        self._samples += kept
        if self._max_samples is not None and self._batch.n_samples >= self._max_samples:
            self._end_chunk()
        return True

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
        if self.info is None:
            return  # markers of the host wait until it is known of what signal
        markers, self._markers = tuple(self._markers), []
        if self._batch is not None:
            self._done.append(self._batch.chunk(markers))
            self._batch = None
        elif markers:
            nothing = np.empty((self.info.n_channels, 0), dtype=np.float64, order="F")
            at = self._account.expected if next_sample is None else next_sample
            self._done.append(Chunk(nothing, at or 0, markers=markers))


#: What is held while DATA waits for its INFO: everything whose place among the samples matters.
_Ordered: TypeAlias = Data | Event | Heartbeat | Response


class _Batch:
    """Packets of one layout that follow each other without a gap: a chunk in the making."""

    __slots__ = ("_configuration", "_frame", "_payloads", "first", "lost", "n_samples", "restart")

    def __init__(
        self, configuration: Configuration, frame: Data, first: int, lost: int, restart: bool
    ) -> None:
        self._configuration = configuration
        self._frame = frame  # the first one stands for the layout of all
        self._payloads: list[bytes] = []
        self.first = first
        self.lost = lost
        self.restart = restart
        self.n_samples = 0

    def takes(self, frame: Data, configuration: Configuration) -> bool:
        mine = self._frame
        return (
            configuration is self._configuration
            and frame.sample_type == mine.sample_type
            and frame.has_status == mine.has_status
            and frame.channels_per_converter == mine.channels_per_converter
        )

    def add(self, frame: Data, n_last: int) -> None:
        """Append the last `n_last` samples of a packet."""
        row_bytes = len(frame.payload) // frame.n_samples
        self._payloads.append(frame.payload[(frame.n_samples - n_last) * row_bytes :])
        self.n_samples += n_last

    def chunk(self, markers: tuple[Marker, ...]) -> Chunk:
        """Sample by sample, as SPEC 4.1 puts it."""
        frame = self._frame
        n_channels = frame.n_channels
        raw = b"".join(self._payloads)
        words: list[int] = []
        values: list[float] = []
        at = 0
        while at < len(raw):
            if frame.has_status and len(values) % frame.channels_per_converter == 0:
                words.append(int.from_bytes(raw[at : at + 3]))
                at += 3
            if frame.sample_type == FLOAT32:
                values += struct.unpack_from("<f", raw, at)
                at += 4
            else:
                values.append(int.from_bytes(raw[at : at + 3], signed=True))
                at += 3
        data_uv = np.array(values).reshape(-1, n_channels) * np.array(self._configuration.signal.uv_per_count)
        status = None
        if frame.has_status:
            status = np.array(words, np.int32).reshape(len(data_uv), -1).T
        return Chunk(data_uv.T, self.first, self.lost, self.restart, markers, status)


def _counters(response: Response) -> Heartbeat | None:
    try:
        return Heartbeat.from_counters(response)
    except FrameError:
        return None  # a board that answers nonsense does not end a session
