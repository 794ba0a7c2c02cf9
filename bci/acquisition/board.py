"""A board as a source: link, client and assembler in one row, and the recording of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from bci._version import __version__
from bci.acquisition.assembler import Assembler, Statistics
from bci.acquisition.client import BoardClient
from bci.acquisition.link import Link, SerialLink
from bci.acquisition.recorder import RecordingWriter
from bci.acquisition.source import Source
from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import DeviceError, DeviceLostError, RecordingError
from firmware_protocol import Fault, Frame, Heartbeat, MarkerNote

__all__ = ["BoardSource"]

DRAIN_S = 1.0


class BoardSource(Source):
    """A board on a port; parameters and errors are those of `open_source`.

    A board found streaming, left so by a program that died, is stopped first. The recording begins, and the stream
    that `read` gives, once the board is idle: both hold the same bytes from the first one on.

    Parameters
    ----------
    link : Link, optional
        An open link instead of the port that `url` names; closed with the source.
    clock_ns, wall_clock : callable
        Monotonic time in ns, and the time of day that the recording is labelled with.

    Attributes
    ----------
    client : BoardClient
        For what goes beyond start and stop: rate, gain, test signals, registers.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int,
        labels: Mapping[int, str] | None = None,
        record_to: str | PathLike[str] | None = None,
        notes: Mapping[str, Any] | None = None,
        link: Link | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.labels = dict(labels or {})
        self.recording_path = None if record_to is None else Path(record_to)
        self._clock_ns = clock_ns
        self._assembler = Assembler(labels=self.labels)
        self._recorder: RecordingWriter | None = None
        self._last_byte_ns = 0
        self._closed = False
        self._link = link if link is not None else SerialLink(url, baud=baud, clock_ns=clock_ns)
        self.client = BoardClient(self._link, clock_ns=clock_ns)
        try:
            self.client.identify()
            self._make_idle()
            if self.recording_path is not None:
                self._recorder = RecordingWriter(
                    self.recording_path,
                    facts={
                        "software": f"bci {__version__}",
                        "port": url,
                        "baud": baud,
                        "labels": {str(code): name for code, name in self.labels.items()},
                        "notes": dict(notes or {}),
                    },
                    wall_clock=wall_clock(),
                    clock_ns=clock_ns,
                )
            self.client.attach(self._recorder)
            self._assembler = Assembler(labels=self.labels)
            self.client.identify()
            self.client.stop()  # its answer tells where the count of conversions and of losses stands
            self._assembler.feed(self.client.poll(0.0))
        except BaseException:
            self._release()
            raise

    @property
    def info(self) -> SignalInfo:
        configuration = self.client.configuration
        assert configuration is not None  # identified when opened
        return configuration.signal

    @property
    def statistics(self) -> Statistics:
        return replace(
            self._assembler.statistics, bytes=self.client.bytes_read, bytes_skipped=self.client.bytes_skipped
        )

    @property
    def last_byte_ns(self) -> int:
        return self._last_byte_ns

    @property
    def ended(self) -> bool:
        return self._closed

    @property
    def recording_error(self) -> RecordingError | None:
        """Why the recording ended before its time, e.g. a full disk; the stream goes on."""
        return None if self._recorder is None else self._recorder.error

    def start(self, *, watchdog_ms: int = 5000) -> None:
        """Begin a run.

        Parameters
        ----------
        watchdog_ms : int
            The board stops by itself when this computer falls silent for so long; 0 switches that off.

        Raises
        ------
        BudgetError, DeviceRefusedError, DeviceTimeoutError, DeviceLostError
        """
        self.client.start(watchdog_ms=watchdog_ms)

    def stop(self) -> None:
        """End a run; idle already is fine. What is still on its way can be read."""
        self.client.stop()

    def read(self, timeout_s: float) -> list[Chunk]:
        deadline_ns = self._clock_ns() + round(timeout_s * 1e9)
        while True:
            if self._closed:
                raise DeviceLostError(
                    f"{self._link.port} was closed; open it again to go on", port=self._link.port
                )
            left_s = (deadline_ns - self._clock_ns()) / 1e9
            chunks = self._assembler.feed(self.client.poll(max(left_s, 0.0)))
            if any(chunk.n_samples for chunk in chunks):
                self._last_byte_ns = self.client.last_data_ns
            if chunks or left_s <= 0:
                return chunks

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        """Set a marker at the next sample; it comes out with the next chunk and is recorded.

        Raises
        ------
        FrameError
            If code or value do not fit 16 bits.
        """
        sample_index = self._assembler.next_sample or 0
        if self._recorder is not None:
            self._recorder.marked(MarkerNote(sample_index, self._clock_ns(), code, value, label))
        self._assembler.mark(Marker(sample_index, label, code, value, "host"))

    def close(self) -> None:
        if self._closed:
            return
        try:
            with contextlib.suppress(DeviceError):
                self._make_idle()
        finally:
            self._release()

    def _make_idle(self) -> None:
        """Stop the board and take what it had queued: HEARTBEAT follows the last DATA (SPEC 6.4)."""
        last = self.client.stop().sample_index
        deadline_ns = self._clock_ns() + round(DRAIN_S * 1e9)
        while (left_ns := deadline_ns - self._clock_ns()) > 0:
            events = self.client.poll(left_ns / 1e9)
            self._assembler.feed(events)
            if any(_tells_the_end(event, last) for event in events):
                return

    def _release(self) -> None:
        self._closed = True
        self._link.close()
        if self._recorder is not None:
            self._recorder.close()
        self._assembler.finish()


def _tells_the_end(event: Frame | Fault, sample_index: int) -> bool:
    return isinstance(event, Heartbeat) and event.sample_index >= sample_index
