"""Check a stream: wire bytes in, report out. No port, no file, no clock.

Bytes go through the decoder; each event is put to the rules and to whatever gathers evidence for causes. The bulk
decoder gives whole columns at once; frames in them that follow each other as they should are taken together, all
others go the same way as from the reference decoder, so both give the same report.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firmware_protocol._fields import stated_length
from firmware_protocol.codec import Decoder
from firmware_protocol.codes import FaultKind, Type
from firmware_protocol.frames import Command, Data, Fault, Frame
from firmware_protocol.limits import MAX_CODED
from firmware_protocol.validator import (
    rules_configuration as _rules_configuration,  # noqa: F401  (they register themselves)
)
from firmware_protocol.validator import rules_device as _rules_device  # noqa: F401
from firmware_protocol.validator import rules_order as _rules_order  # noqa: F401
from firmware_protocol.validator import rules_samples as _rules_samples  # noqa: F401
from firmware_protocol.validator.causes import Evidence, SampleWatch, diagnose
from firmware_protocol.validator.causes.search import find_coded, header_of
from firmware_protocol.validator.findings import Cause, Finding
from firmware_protocol.validator.regions import Regions
from firmware_protocol.validator.report import Collector, Report, Selection, window_at
from firmware_protocol.validator.rules_framing import Joined, type_name
from firmware_protocol.validator.samples import SampleBlock, SampleBuffer
from firmware_protocol.validator.steps import End, Received
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import WireTail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware_protocol.batch import Batch
    from firmware_protocol.host import Arrivals, Sent

__all__ = ["Checker"]

_SOUND = frozenset({FaultKind.UNSUPPORTED, FaultKind.HOST_ON_WIRE, FaultKind.FIELD, FaultKind.LENGTH})
_SOUND_KEPT = 256


class Checker:
    """Rules, numbers and causes of one stream.

    Parameters
    ----------
    selection : Selection
        Which rules speak.
    baud : int, optional
        Bit rate of the line, for its load.
    bulk : bool
        Decode with the compiled bulk decoder. It pays from some megabytes on; feed large blocks then.
    """

    def __init__(
        self, *, selection: Selection | None = None, baud: int | None = None, bulk: bool = False
    ) -> None:
        self.selection = selection or Selection()
        self.stream = Stream()
        self.stream.baud = baud
        self.size = 0
        self._wire = WireTail()
        self._collector = Collector(self.stream, self._wire, self.selection)
        self._regions = Regions(self._wire)
        self._buffer = SampleBuffer(self.stream.figures.channels)
        self._watch = SampleWatch()
        self._sound: list[Fault] = []
        self._first_fault: Fault | None = None  # until it is known whether the capture joined midway
        self._arrivals: deque[tuple[int, int]] = deque()
        self._newest_ns: int | None = None
        self._sent = Decoder()
        self._sent_count = 0
        self._bulk = bulk
        if bulk:
            from firmware_protocol.bulk import BulkDecoder

            self._bulk_decoder = BulkDecoder()
        else:
            self._decoder = Decoder()

    @property
    def full(self) -> bool:
        """Whether `max_errors` is reached."""
        return 0 < self.selection.max_errors <= self.errors

    @property
    def errors(self) -> int:
        """Findings of level MUST so far."""
        return self._collector.errors

    @property
    def findings(self) -> list[Finding]:
        """Findings so far that are kept in full, in stream order."""
        return self._collector.findings

    def numbers(self) -> dict[str, Any]:
        """Statistics so far; their names stay."""
        stream = self.stream
        stream.figures.resyncs = self._regions.count
        stream.figures.bytes_skipped = self._regions.bytes
        setting = stream.setting
        return stream.figures.summary(
            frames={type_name(number): n for number, n in sorted(stream.by_type.items())},
            faults={str(kind): n for kind, n in sorted(stream.faults.items()) if n},
            size=self.size,
            info=setting.info if setting is not None else None,
            baud=stream.baud,
        )

    # ---- what comes in ---------------------------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Wire bytes, in order."""
        self._wire.add(data)
        self.size += len(data)
        if self._bulk:
            self._take_batch(self._bulk_decoder.feed(data))
        else:
            for event in self._decoder.feed(data):
                self._take(event)
        self._wire.trim()
        if self._newest_ns is not None and self.stream.device_us is not None:
            self.stream.figures.clock(self._newest_ns, self.stream.device_us, self.size)
            self._newest_ns = None

    def arrived(self, note: Arrivals) -> None:
        """When bytes came: those that are fed next, or, in recordings, were fed last."""
        self._arrivals.extend(note.pairs)
        if note.pairs:
            self._newest_ns = note.pairs[-1][1]

    def sent(self, note: Sent) -> None:
        """Bytes that the host sent here."""
        for event in self._sent.feed(note.data):
            if isinstance(event, Command):
                self._sent_count += 1
                self.stream.note_command(Received(event, self.stream.packet, note.t_ns))

    def finish(self, name: str = "", *, is_recording: bool = False) -> Report:
        """The report, once no more bytes come."""
        stream = self.stream
        if not self.full:
            if self._bulk:
                self._take_batch(self._bulk_decoder.finish())
            else:
                for event in self._decoder.finish():
                    self._take(event)
        self._settle_first(None)
        self._regions.finish(self.size)
        self._take_blocks(self._buffer.flush())
        self._collector.run(End(self.size))
        evidence = Evidence(
            stream,
            self._regions.kept,
            self._sound,
            self._watch,
            self.size,
            self._regions.bytes,
            self._collector.first,
            asked=self._sent_count,
        )
        found = diagnose(evidence)
        causes = [self._placed(cause) for cause in found if self.selection.takes(cause.rule)]
        return Report(
            name,
            causes,
            self.findings,
            self._collector.counts,
            self.numbers(),
            is_recording=is_recording,
            stopped=self.full,
            selection=self.selection,
            recognised=sum(cause.recognised for cause in found),
            places=self._collector.places,
        )

    def _placed(self, cause: Cause) -> Cause:
        """With the bytes that show it: from the wire, from a damaged region, or from a finding about that packet."""
        first, stop = cause.packet_bytes or (0, 4)
        span = cause.span
        if span is None and self._wire.start <= cause.offset:
            span = self._wire.span(cause.offset, first, stop)
        window = window_at(self._wire, span) if span is not None else None
        if window is None and span is not None:
            region = next((r for r in self._regions.kept if 0 <= span[0] - r.offset < len(r.data)), None)
            window = None if region is None else window_at(WireTail(region.offset, region.data), span)
        if window is None:
            seen = [*self._collector.first.values(), *self.findings]
            window = next((f.window for f in seen if 0 <= f.offset - cause.offset < MAX_CODED), None)
        return replace(cause, window=window)

    # ---- one event -------------------------------------------------------------------------------------------

    def _take(self, event: Frame | Fault) -> None:
        if self.full:
            return
        if self._first_fault is not None:
            self._settle_first(event)
        stream = self.stream
        if isinstance(event, Data) and stream.data is not None and stream.is_calm(event):
            stream.take_calm(event, {(event.t_us - stream.data.t_us) & 0xFFFFFFFF: 1})
            self._take_samples(event)
            return
        self._clock(event.offset)
        if isinstance(event, Fault):
            if event.offset == 0 and event.length and event.kind not in _SOUND and stream.packet == 0:
                self._first_fault = event
                return
            self._take_fault(event)
            return
        self._regions.good(event.offset)
        stream.before(event)
        self._collector.run(event)
        stream.after(event)
        if isinstance(event, Data):
            self._take_samples(event)

    def _take_fault(self, fault: Fault) -> None:
        stream = self.stream
        stream.before(fault)
        self._collector.run(fault)
        stream.after(fault)
        if fault.kind in _SOUND:
            self._regions.good(fault.offset)
            if len(self._sound) < _SOUND_KEPT:
                self._sound.append(fault)
        elif fault.length and fault.kind != FaultKind.TRUNCATED:
            self._regions.damage(fault.offset, stream.packet)

    def _settle_first(self, event: Frame | Fault | None) -> None:
        """Damage at the very start is no damage if the capture began in the middle of a packet."""
        fault, self._first_fault = self._first_fault, None
        if fault is None:
            return
        sound = event is not None and not (isinstance(event, Fault) and event.kind not in _SOUND)
        whole = len(find_coded(fault.raw)) > 0  # a packet, and something in front of it
        if sound and event is not None and not whole and not _begins_a_packet(fault, event):
            self.stream.packet += 1
            self.stream.joined = True
            self._collector.run(Joined(fault))
        else:
            self._take_fault(fault)

    def _take_samples(self, frame: Data) -> None:
        stream = self.stream
        self._take_blocks(self._buffer.add(frame, stream.packet, stream.settings.get(frame.config_id)))

    def _take_blocks(self, blocks: Sequence[SampleBlock]) -> None:
        for block in blocks:
            self._collector.run(block)
            self._watch.take(block)

    # ---- columns ---------------------------------------------------------------------------------------------

    def _take_batch(self, batch: Batch) -> None:
        """Frames that are calm are taken in runs, the others one by one."""
        from firmware_protocol.validator.columns import stretches

        if len(batch.events):
            for start, stop, follows in stretches(batch.events):
                if follows:
                    self._take_run(batch, start, stop)
                else:
                    self._take_rows(batch, start, stop)

    def _take_rows(self, batch: Batch, start: int, stop: int) -> None:
        for event in replace(batch, events=batch.events[start:stop]).unpack():
            self._take(event)

    def _take_run(self, batch: Batch, start: int, stop: int) -> None:
        """Rows [start, stop) follow each other but for their time, which is looked at here."""
        import numpy as np

        from firmware_protocol.validator.columns import data_frame, time_steps

        stream = self.stream
        while start < stop and not self.full:
            last = stream.data
            if last is None or not stream.is_calm(data_frame(batch, start)):
                self._take_rows(batch, start, start + 1)
                start += 1
                continue
            steps = time_steps(batch.events[start:stop], last.t_us)
            odd = np.flatnonzero(~stream.calm_steps(steps))
            n = int(odd[0]) if len(odd) else len(steps)
            n = min(n, self._buffer.room(last.n_samples))  # so that blocks end where they always do
            self._take_calm(batch, start, start + n, steps[:n])
            start += n

    def _take_calm(self, batch: Batch, start: int, stop: int, steps: NDArray[np.int64]) -> None:
        from firmware_protocol.validator.columns import data_frame, frames_at, words

        last = data_frame(batch, stop - 1)
        frames = frames_at(batch, start, stop, self.stream.packet + 1)
        self.stream.take_calm(last, Counter(steps.tolist()))
        setting = self.stream.settings.get(last.config_id)
        self._take_blocks(self._buffer.add_run(last, frames, words(batch, start, stop), setting))

    # ---- the host's clock ------------------------------------------------------------------------------------

    def _clock(self, offset: int) -> None:
        """Host time of the bytes at `offset`, as far as arrivals are known."""
        while self._arrivals and self._arrivals[0][0] <= offset:
            self.stream.host_ns = self._arrivals.popleft()[1]


def _begins_a_packet(fault: Fault, after: Frame | Fault) -> bool:
    """Whether damaged bytes at the start are a packet from its first byte on: the one before `after`."""
    head = header_of(fault.raw[:64])
    if len(head) < 4 or head[0] >> 4 != 1 or head[0] & 15 not in frozenset(Type):
        return False
    if fault.kind == FaultKind.CRC and stated_length(header_of(fault.raw)) in (
        fault.length - 1,
        fault.length - 2,
    ):
        return True
    before = int.from_bytes(head[2:4], "little")
    return isinstance(after, Fault) or (after.link_seq - before) & 0xFFFF == 1
