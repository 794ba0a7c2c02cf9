"""Takes that follow one another without a pause: the board streams on, and each take becomes a recording of its own.

Each recording after the first begins with what the board last said of itself and the last whole DATA packet of the one
before. So what is lost on the way from one take to the next is missing in the later one, like any other loss, and none
of it escapes.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bci._version import __version__
from bci.acquisition import BoardSource, RecordingWriter
from bci.qualification.result import Take
from bci.qualification.rig import LOOK_S, Rig, configure, listen, put_to_rest, same_board
from firmware_protocol import Data, Decoder, Fault, Frame, Info
from firmware_protocol.limits import MAX_CODED

__all__ = ["Unbroken"]

RECENT = 64  # packets; every second one at least is DATA while a board streams
WORD = 0xFFFFFFFF
INFO = b"\x13"  # behind the code of COBS: version 1, type 3 (SPEC 3.3)


class Unbroken:
    """A board that streams through take after take; opened with the first one, at rest again after `close`.

    Parameters
    ----------
    rig : Rig
    device : str
        What the board that is under test calls itself.
    notes : mapping
        Kept in each recording.
    real_time : bool
    """

    def __init__(self, rig: Rig, *, device: str, notes: Mapping[str, Any], real_time: bool) -> None:
        self._rig, self._device, self._notes = rig, device, dict(notes)
        self._real_time = real_time
        self._source: BoardSource | None = None
        self._cut = _Cut()

    def record(
        self,
        take: Take,
        path: Path,
        *,
        heard: Callable[[float], None] = lambda signal_s: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> bool:
        """As `bci.qualification.rig.record`; the setting and what is connected are those of the first take."""
        if self._source is None:
            self._rig.connect(take.connect)
            self._notes["real_time"] = self._rig.pace(real_time=self._real_time)
        source = self._source or self._rig.open(None, {})
        first, self._source = self._source is None, source
        with self._writing(take, path) as writer:
            if first:
                same_board(self._rig, source, self._device)
                source.client.attach(self._cut)
                source.client.identify()  # what the samples mean, and where the counts stand
                source.stop()
                configure(source.client, take.setting)
                source.start()
                self._rig.begun(take)

            def look() -> int:
                source.read(LOOK_S)
                if writer.error is not None:
                    raise writer.error
                return self._cut.n_samples

            whole = listen(self._rig, take, look, heard=heard, stopped=stopped)
        if whole and writer.error is not None:  # the disk was full at the very end
            raise writer.error
        return whole

    def close(self) -> None:
        """Put the board at rest, as far as it answers; twice is fine."""
        source, self._source = self._source, None
        if source is not None:
            with source:
                put_to_rest(source)

    @contextlib.contextmanager
    def _writing(self, take: Take, path: Path) -> Iterator[RecordingWriter]:
        facts = {
            "software": f"bci {__version__}",
            "port": self._rig.port,
            "baud": self._rig.baud,
            "labels": {},
            "notes": {**self._notes, "take": take.name},
        }
        writer = RecordingWriter(path, facts=facts, wall_clock=datetime.now(UTC))
        try:
            self._cut.into(writer)
            yield writer
        finally:
            self._cut.into(None)
            writer.close()


class _Cut:
    """The tap: whole packets into the present recording; between two of them they wait for the next one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writer: RecordingWriter | None = None
        self._waiting: list[Callable[[RecordingWriter], None]] = []
        self._begun = b""  # of a packet that is not whole
        self._recent: deque[tuple[bytes, int]] = deque(maxlen=RECENT)
        self._first: int | None = None  # sample that the present recording begins with
        self._said: dict[int, tuple[int, bytes]] = {}  # page of INFO -> (its configuration, packet)

    @property
    def n_samples(self) -> int:
        """From the first conversion of the present recording to the last, lost ones too."""
        with self._lock:
            last = self._last_data()
            if last is None or self._first is None:
                return 0
            data = last[2]
            return (data.sample_index + data.n_samples - self._first) & WORD

    def into(self, writer: RecordingWriter | None) -> None:
        """What comes from now on belongs into another recording, or waits for the next one."""
        with self._lock:
            self._writer = writer
            if writer is None:
                last = self._last_data()
                self._first = last[2].sample_index if last is not None else None
                if last is not None:
                    packet, at_ns, _data = last
                    self._hand_on(b"".join(info for _id, info in self._said.values()) + packet, at_ns)
                return
            for hand_on in self._waiting:
                hand_on(writer)
            self._waiting.clear()

    def arrived(self, data: bytes, at_ns: int) -> None:
        with self._lock:
            data = self._begun + data
            end = data.rfind(b"\0") + 1
            if not end and len(data) > MAX_CODED:
                end = len(data)  # no packet, and none to come: the recording shows what it was
            self._begun = data[end:]
            if not end:
                return
            for packet in filter(None, data[:end].split(b"\0")):
                self._recent.append((packet + b"\0", at_ns))
                if self._first is None or packet[1:2] == INFO:
                    self._take_in(packet + b"\0")
            self._hand_on(data[:end], at_ns)

    def sent(self, data: bytes, at_ns: int) -> None:
        with self._lock:
            self._put(lambda writer: writer.sent(data, at_ns))

    def gap(self, reason: str, at_ns: int) -> None:
        with self._lock:
            self._put(lambda writer: writer.gap(reason, at_ns))

    def _take_in(self, packet: bytes) -> None:
        frame = _frame(packet)
        if isinstance(frame, Data) and self._first is None:
            self._first = frame.sample_index
        elif isinstance(frame, Info):
            if any(config_id != frame.config_id for config_id, _packet in self._said.values()):
                self._said.clear()
            self._said[frame.page] = frame.config_id, packet

    def _hand_on(self, data: bytes, at_ns: int) -> None:
        self._put(lambda writer: writer.arrived(data, at_ns))

    def _put(self, hand_on: Callable[[RecordingWriter], None]) -> None:
        if self._writer is None:
            self._waiting.append(hand_on)
        else:
            hand_on(self._writer)

    def _last_data(self) -> tuple[bytes, int, Data] | None:
        for packet, at_ns in reversed(self._recent):
            if isinstance(data := _frame(packet), Data):
                return packet, at_ns, data
        return None


def _frame(packet: bytes) -> Frame | None:
    """What a packet, its delimiter with it, holds; None if it is damaged."""
    frames = [frame for frame in Decoder().feed(b"\0" + packet) if not isinstance(frame, Fault)]
    return frames[0] if len(frames) == 1 else None
