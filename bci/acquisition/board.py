"""A board as a source: link, client and assembler in one row, and the recording of it.

Losing the board is an event, not the end, where `reconnect` is asked for: a marker "lost" within 50 ms of an I/O
error, "stalled" after 300 ms of silence while it streams, and after 3 s of it the port is given up too. The board is
looked for (`PortFinder`), configured as it was and started again; "returned" follows. The recording goes on with a
gap note, and what was missed is `lost_before` where the board kept counting, a restart where it was reset.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from bci._version import __version__
from bci.acquisition._serial import list_port_entries
from bci.acquisition.assembler import Assembler, Statistics
from bci.acquisition.client import BoardClient, Settings
from bci.acquisition.clock import SampleClock
from bci.acquisition.device_source import DeviceSource
from bci.acquisition.link import Link
from bci.acquisition.pattern_check import check_pattern as check_pattern_of
from bci.acquisition.receiver import DecodedLink, Received, Receiver, open_receiver
from bci.acquisition.reconnect import PortFinder, PortLister
from bci.acquisition.recorder import RecordingWriter
from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import DeviceError, DeviceLostError
from bci.language import _
from firmware_protocol import Heartbeat, MarkerNote

__all__ = ["BoardSource"]

DRAIN_S = 1.0
STALLED_NS = 300_000_000
GONE_NS = 3_000_000_000
LOOK_S = 0.1  # between two searches for a lost board
ATTENTIVE_NS = (
    200_000_000  # a program that looked away for longer does not take that for silence of the board
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Away:
    """Of a lost board: who it is, and what it was doing. `watchdog_ms` is None if it did not stream."""

    info: SignalInfo
    watchdog_ms: int | None
    settings: Settings


class BoardSource(DeviceSource):
    """A board on a port; parameters and errors are those of `open_source`.

    A board found streaming, left so by a program that died, is stopped first. The recording begins, and the stream
    that `read` gives, once the board is idle: both hold the same bytes from the first one on.

    Parameters
    ----------
    reconnect : bool
        Go on when the board is lost, as the module says; otherwise `read` raises DeviceLostError.
    check_pattern : bool
        Compare the board's test pattern before the first sample.
    link : Link, optional
        An open link of bytes instead of the port that `url` names; closed with the source.
    ports : callable
        Lists the serial ports there are, for finding a lost board.
    open_link : callable
        Opens a port by name and baud rate.
    clock_ns, wall_clock : callable
        Monotonic time in ns, and the time of day that the recording is labelled with.

    Attributes
    ----------
    client : BoardClient
        For what goes beyond start and stop: rate, gain, test signals, registers.
    clock : SampleClock
        When each sample was taken: `source.clock.time_of(sample)`, its drift and its uncertainty.
    pattern_checked : bool
        Order, sign and width of samples were verified by the board's test pattern.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int,
        labels: Mapping[int, str] | None = None,
        record_to: str | PathLike[str] | None = None,
        notes: Mapping[str, Any] | None = None,
        reconnect: bool = False,
        check_pattern: bool = True,
        link: Link | None = None,
        ports: PortLister = list_port_entries,
        open_link: Callable[..., Receiver] = open_receiver,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.labels = dict(labels or {})
        self.recording_path = None if record_to is None else Path(record_to)
        self.clock = SampleClock()
        self.pattern_checked = False
        self._baud = baud
        self._reconnect = reconnect
        self._check_pattern = check_pattern
        self._open_link = open_link
        self._clock_ns = clock_ns
        self._chunks: list[Chunk] = []
        self._bytes_before = (0, 0)  # read and skipped on ports that are gone
        self._recorder: RecordingWriter | None = None
        self._last_byte_ns = 0
        self._quiet_since_ns: int | None = None
        self._looked_ns = 0
        self._stalled = False
        self._closed = False
        self._away: _Away | None = None
        self._link = DecodedLink(link, clock_ns=clock_ns) if link is not None else open_link(url, baud=baud)
        self._assembler = self._new_assembler()
        self.client = self._new_client()
        try:
            self._meet(check=check_pattern)
            self._finder = PortFinder(url, ports) if reconnect else None
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
            self._assembler = self._new_assembler()
            self._chunks.clear()
            self._describe()
        except BaseException:
            self._release()
            raise

    @property
    def info(self) -> SignalInfo:
        if self._away is not None:
            return self._away.info
        configuration = self.client.configuration
        assert configuration is not None  # identified when opened
        return configuration.signal

    @property
    def statistics(self) -> Statistics:
        n_bytes, n_skipped = self._bytes_before
        return replace(
            self._assembler.statistics,
            bytes=n_bytes + self.client.bytes_read,
            bytes_skipped=n_skipped + self.client.bytes_skipped,
        )

    @property
    def connected(self) -> bool:
        """The board is there, as far as is known now."""
        return not self._closed and self._away is None

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
        self._quiet_since_ns = None

    def stop(self) -> None:
        """End a run; idle already is fine. What was still on its way is taken, and `read` gives it.

        `statistics` is final then: which losses were the board's own is told behind its last sample.
        """
        if self._away is not None:
            self._away = replace(self._away, watchdog_ms=None)
        elif self.client.streaming:
            self._make_idle()
        else:
            self.client.stop()

    def read(self, timeout_s: float) -> list[Chunk]:
        deadline_ns = self._clock_ns() + round(timeout_s * 1e9)
        while True:
            if self._closed:
                raise DeviceLostError(
                    _("{port} was closed; open it again to go on").format(port=self._link.port),
                    port=self._link.port,
                )
            left_s = max((deadline_ns - self._clock_ns()) / 1e9, 0.0)
            try:
                if self._away is None:
                    self._listen(left_s)
                else:
                    self._look(self._away, left_s)
            except DeviceLostError as err:
                if not self._reconnect:
                    raise
                self._lose(err)
            chunks, self._chunks = self._chunks, []
            if any(chunk.n_samples for chunk in chunks):
                self._last_byte_ns = self.client.last_data_ns
            if chunks or self._clock_ns() >= deadline_ns:
                return chunks

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        """Set a marker at the next sample; it comes out with the next chunk and is recorded.

        Raises
        ------
        FrameError
            If code or value do not fit their fields.
        """
        sample_index = self._assembler.next_sample or 0
        if self._recorder is not None:
            self._recorder.marked(MarkerNote(sample_index, self._clock_ns(), code, value, label))
        self._assembler.mark(Marker(sample_index, label, code, value, "host"))
        self._chunks += self._assembler.chunks()

    def close(self) -> None:
        if self._closed:
            return
        try:
            with contextlib.suppress(DeviceError):
                if self._away is None:
                    self._make_idle()
        finally:
            self._release()

    # ---- meeting a board ----

    def _new_assembler(self) -> Assembler:
        return Assembler(labels=self.labels, clock=self.clock, line_byte_ns=self._link.line_byte_ns)

    def _new_client(self) -> BoardClient:
        return BoardClient(
            self._link, deliver=self._deliver, probed=self.clock.probe, clock_ns=self._clock_ns
        )

    def _meet(self, *, check: bool) -> None:
        """Find out who is there, stop it, and see whether its numbers arrive right."""
        self.client.identify()
        self._make_idle()
        if check:
            self.pattern_checked = check_pattern_of(self.client, clock_ns=self._clock_ns)
            self._make_idle()

    def _describe(self) -> None:
        """Put into the stream, and so into the recording, what its samples will mean and where its counts stand."""
        self.client.identify()
        self.client.stop()
        self.client.poll(0.0)

    def _deliver(self, received: Received) -> None:
        self._chunks += self._assembler.feed(received.batch, received.arrived_ns)

    def _make_idle(self) -> None:
        """Stop the board and take what it had queued: HEARTBEAT follows the last DATA (SPEC 6.4)."""
        told = -1

        def deliver(received: Received) -> None:
            nonlocal told
            beats = [f.sample_index for f in received.batch.other_frames() if isinstance(f, Heartbeat)]
            told = max([told, *beats])
            self._deliver(received)

        self.client.deliver = deliver
        try:
            last = self.client.stop().sample_index
            deadline_ns = self._clock_ns() + round(DRAIN_S * 1e9)
            while told < last and (left_ns := deadline_ns - self._clock_ns()) > 0:
                self.client.poll(left_ns / 1e9)
        finally:
            self.client.deliver = self._deliver

    # ---- silence, loss and return ----

    def _listen(self, timeout_s: float) -> None:
        """Take what comes, and notice if nothing does although the board streams."""
        if self.client.broken_off:  # what came before that was handed on by the last call
            raise DeviceLostError(self.client.broken_off, port=self._link.port)
        now_ns, data_ns = self._clock_ns(), self.client.last_data_ns
        if self._quiet_since_ns is None or now_ns - self._looked_ns > ATTENTIVE_NS:
            self._quiet_since_ns = now_ns
        if self.client.streaming:
            limit_ns = GONE_NS if self._stalled else STALLED_NS
            timeout_s = min(timeout_s, max(self._quiet_since_ns + limit_ns - now_ns, 0) / 1e9)
        came = self.client.poll(timeout_s)
        self._looked_ns = self._clock_ns()
        if self.client.last_data_ns != data_ns or not self.client.streaming:
            self._stalled = False  # a HEARTBEAT alone is no signal
        if came or not self.client.streaming:
            self._quiet_since_ns = self._looked_ns
            return
        quiet_ns = self._looked_ns - self._quiet_since_ns
        if quiet_ns >= GONE_NS:
            raise DeviceLostError(
                _("the board on {port} has been silent for {seconds:g} s; check its power and cable").format(
                    port=self._link.port, seconds=GONE_NS / 1e9
                ),
                port=self._link.port,
            )
        if quiet_ns >= STALLED_NS and not self._stalled:
            self._stalled = True
            self.mark("stalled")

    def _lose(self, err: DeviceLostError) -> None:
        """The port is gone: let go of it, say so, and remember what to look for."""
        self._link.close()  # first: what had come is in the recording before the gap is
        self._stalled = False
        if self._away is not None:
            return
        _log.warning("%s", err)
        self.mark("lost")
        if self._recorder is not None:
            self._recorder.gap(str(err), self._clock_ns())
        statistics = self.statistics
        self._bytes_before = statistics.bytes, statistics.bytes_skipped
        self._away = _Away(
            info=self.info,
            watchdog_ms=self.client.watchdog_ms if self.client.streaming else None,
            settings=self.client.settings,
        )

    def _look(self, away: _Away, timeout_s: float) -> None:
        """One search; if it is in vain, wait a little."""
        assert self._finder is not None
        for name in self._finder.candidates():
            with contextlib.suppress(DeviceError):
                if self._try(name, away):
                    return
        pause_s = min(timeout_s, LOOK_S)
        if pause_s > 0:
            time.sleep(pause_s)

    def _try(self, name: str, away: _Away) -> bool:
        """Whether the lost board is on this port; if so it goes on as before."""
        self._link = self._open_link(name, baud=self._baud)
        back = False
        try:
            self.client = self._new_client()
            self.client.deliver = lambda received: None  # not ours until it is known who it is
            if self.client.identify().signal.device != away.info.device:
                return False
            self.client.stop()
            self.client.attach(self._recorder)
            self.client.deliver = self._deliver
            self._describe()
            self.client.restore(away.settings)
            self.mark("returned")
            if away.watchdog_ms is not None:
                self.client.start(watchdog_ms=away.watchdog_ms)
            back = True
        finally:
            if not back:
                self._link.close()
        self._away, self._quiet_since_ns = None, None
        _log.warning("the board is back on %s", name)
        return True

    def _release(self) -> None:
        self._closed = True
        self._link.close()
        if self._recorder is not None:
            self._recorder.close()
        self._assembler.finish()
