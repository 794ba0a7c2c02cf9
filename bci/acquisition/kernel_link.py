"""A port that is read, decoded, stamped and kept alive by a kernel no Python thread can hold up (POSIX).

Rules
-----
- The thread runs `_reader_kernels.drain`, which needs no interpreter. Python takes what is there; while it does not,
  the newest signal is kept for control (`bank_bytes` twice over) and all of the wire for the recording
  (`kept_bytes`), which a second thread hands to the recorder. What no longer fits is counted, never silent.
- A port whose far side waits (pseudo-terminal, socket) is not read while there is no room, so nothing is lost there.
- The kernel is compiled, or loaded, before the port is opened.
- After an I/O error `receive` first returns what had arrived, then raises `DeviceLostError` each time.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Sequence

import numpy as np

from bci.acquisition import _reader_kernels as kernels
from bci.acquisition._serial import SerialPort
from bci.acquisition.link import Tap
from bci.acquisition.receiver import Received
from bci.errors import DeviceError, DeviceLostError
from bci.language import N_, _, system_reason
from firmware_protocol._kernels import N_DATA, N_EVENTS, N_RAW, N_RUNS, N_STATUS, N_VALUES
from firmware_protocol._scanner import Columns, Scanner, wire_array
from firmware_protocol.batch import EVENTS, Batch

__all__ = ["KernelLink"]

WIRE_BYTES = 1 << 16
BANK_BYTES = 2 << 20  # two of them: 80 s of 16 channels at 1 kHz, longer than a model trains
PACED_BANK_BYTES = 128 << 10  # so that an accelerated board is never far ahead
EVENT_BYTES = 16  # wire bytes an event takes at least, as a rule; a bank of shorter ones is full sooner
KEPT_BYTES = 8 << 20
PACED_KEPT_BYTES = 1 << 20
MARK_BYTES = 32
MAX_ALIVE = 32
HAND_OVER_S = 0.01  # between two looks for the recording: 100 a second at most
NICE = -15
PORT_GONE = N_("its other side is gone")


class _Ring:
    """What the kernel and Python share."""

    def __init__(self, *, paced: bool, bank_bytes: int, kept_bytes: int) -> None:
        columns = Columns.for_wire(bank_bytes, bank_bytes // EVENT_BYTES)
        self.bank_bytes = bank_bytes
        self.control = np.zeros(kernels.N_SHARED, np.int64)
        self.control[kernels.PACED] = paced
        self.control[kernels.ALIVE_N] = 1
        self.mutex = np.zeros(kernels.MUTEX_WORDS, np.int64)
        self.wire = np.zeros(WIRE_BYTES, np.uint8)
        scanner = Scanner()
        self.state, self.tables = scanner._state, scanner._tables
        self.counts = np.zeros((4, kernels.BANK_WORDS), np.int64)
        self.events = np.empty((4, columns.events.size), np.int64)
        self.values = np.empty((4, columns.values.size), np.int32)
        self.status = np.empty((4, columns.status.size), np.int32)
        self.raw = np.empty((4, columns.raw.size), np.uint8)
        self.stamps = np.empty((4, columns.events.size // kernels.EVENT_WORDS), np.int64)
        self.kept = np.empty((2, kept_bytes), np.uint8)
        self.marks = np.empty((2, kept_bytes // MARK_BYTES, kernels.MARK_WORDS), np.int64)
        self.alive = np.zeros((MAX_ALIVE, 128), np.uint8)
        self.alive_size = np.zeros(MAX_ALIVE, np.int64)
        self.alive_ns = np.zeros(MAX_ALIVE, np.int64)
        self.kept_size = np.zeros(3, np.int64)
        kernels.prepare(self.mutex)

    def drain(self, fd: int, wake: int, note: int, kept_note: int) -> int:
        return kernels.drain(
            fd,
            wake,
            note,
            kept_note,
            self.mutex,
            self.control,
            self.bank_bytes,
            self.wire,
            wire_array(self.wire),
            self.state,
            self.tables,
            self.counts,
            self.events,
            self.values,
            self.status,
            self.raw,
            self.stamps,
            self.kept,
            self.marks,
            self.alive,
            self.alive_size,
            self.alive_ns,
            np.zeros(4, np.int32),
            np.zeros(2, np.int64),
            np.zeros(64, np.uint8),
        )

    def take(self, *, wait: bool) -> list[Received]:
        newer = kernels.take(self.mutex, self.control, self.state, self.counts, wait)
        if newer < 0:
            return []
        older = newer ^ 1
        return [self._received(bank) for bank in (older, newer) if self.counts[bank, N_EVENTS]]

    def _received(self, bank: int) -> Received:
        n = self.counts[bank].tolist()
        n_events = n[N_EVENTS]
        batch = Batch(
            self.events[bank][: kernels.EVENT_WORDS * n_events].view(EVENTS),
            self.values[bank, : n[N_VALUES]],
            self.status[bank, : n[N_STATUS]],
            self.raw[bank, : n[N_RAW]],
            n[N_DATA],
            n[N_RUNS],
            int(self.control[kernels.BASE] + self.control[kernels.BEGIN]),
            0,
        )
        if n[kernels.COUNTERS - 1]:
            batch.check_texts()
        return Received(batch, self.stamps[bank, :n_events])

    def take_kept(self, *, wait: bool) -> tuple[list[tuple[bytes, int]], int] | None:
        """Blocks of wire with their times, and bytes that were missed before them; None if there are none."""
        buffer = kernels.take_kept(self.mutex, self.control, wait, self.kept_size)
        if buffer < 0:
            return None
        used, n_marks, missed = self.kept_size.tolist()
        wire = self.kept[buffer, :used].tobytes()
        blocks, begin = [], 0
        for end, at_ns in self.marks[buffer, :n_marks].tolist():
            blocks.append((wire[begin:end], at_ns))
            begin = end
        return blocks, missed


class _Pipe:
    """A pipe that never blocks: one side waits on it, the other writes a byte."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        os.set_blocking(self.out, False)
        os.set_blocking(self.into, False)
        self._poll = select.poll()
        self._poll.register(self.out, select.POLLIN)

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody listens
            os.write(self.into, b"!")

    def wait(self, timeout_s: float | None) -> None:
        self._poll.poll(None if timeout_s is None else timeout_s * 1000)
        with contextlib.suppress(OSError):  # empty, or closed
            os.read(self.out, 4096)

    def close(self) -> None:
        os.close(self.out)
        os.close(self.into)


class _Reader:
    """The kernel's thread and what it says when it ends. Knows nothing of the link, so that a forgotten one ends."""

    def __init__(self, port: SerialPort, ring: _Ring) -> None:
        self.port, self.ring = port, ring
        self.wake, self.note, self.kept_note = _Pipe(), _Pipe(), _Pipe()
        self.failure: DeviceError | None = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"read {port.url}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        _ask_for_priority()
        code = 0
        try:
            code = self.ring.drain(self.port.fileno(), self.wake.out, self.note.into, self.kept_note.into)
        finally:
            self.failure = (
                self.port.lost(_(PORT_GONE) if code < 0 else system_reason(code))
                if code
                else closed(self.port)
            )
            self.ended.set()
            self.note.ring()
            self.kept_note.ring()

    def stop(self) -> None:
        self.ring.control[kernels.STOPPING] = 1
        self.wake.ring()
        self.thread.join()

    def close(self) -> None:
        self.stop()
        self.port.close()
        for pipe in (self.wake, self.note, self.kept_note):
            pipe.close()


def _ask_for_priority() -> None:
    """Run this thread before others where the system grants that to this user (Linux sets it for each thread).

    It needs a few µs a packet; on a computer that is busy all over it would wait for its turn like any other.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def closed(port: SerialPort) -> DeviceLostError:
    return DeviceLostError(_("{url} was closed; open it again to go on").format(url=port.url), port=port.url)


class KernelLink:
    """A device path or `socket://HOST:PORT`, being read.

    Parameters
    ----------
    url : str
    baud : int
        Line rate; a socket or pseudo-terminal ignores it, budgets do not.
    bank_bytes, kept_bytes : int, optional
        Half of the wire that may wait for `receive`, and what may wait for the recorder.

    Raises
    ------
    DeviceNotFoundError, DevicePermissionError, DeviceBusyError
        If the port cannot be opened.
    """

    def __init__(
        self, url: str, *, baud: int, bank_bytes: int | None = None, kept_bytes: int | None = None
    ) -> None:
        self.port = url
        self.baud = baud
        compile_reader()
        port = SerialPort(url, baud=baud)
        paced = port.paced_by_reader
        self.line_byte_ns = port.line_byte_ns
        self._ring = _Ring(
            paced=paced,
            bank_bytes=bank_bytes or (PACED_BANK_BYTES if paced else BANK_BYTES),
            kept_bytes=kept_bytes or (PACED_KEPT_BYTES if paced else KEPT_BYTES),
        )
        self._reader = _Reader(port, self._ring)
        self._serial = port
        self._tap: Tap | None = None
        self._tap_thread: threading.Thread | None = None
        self._write_lock = threading.Lock()
        self._n_alive = 0
        self._closed = False
        # Also at the end of the program: a thread that reads into memory that is gone would be the last thing to crash.
        self._forgotten = weakref.finalize(self, _Reader.close, self._reader)

    @property
    def bytes_read(self) -> int:
        return int(self._ring.control[kernels.BYTES])

    @property
    def bytes_skipped(self) -> int:
        return int(self._ring.control[kernels.DROPPED])

    @property
    def pending(self) -> bytes:
        c = self._ring.control
        return self._ring.wire[c[kernels.BEGIN] : c[kernels.FILL]].tobytes()

    def receive(self, timeout_s: float) -> list[Received]:
        """As of `Receiver`."""
        received = self._take(wait=timeout_s > 0)
        if not received and timeout_s > 0:
            self._reader.note.wait(timeout_s)
            received = self._take(wait=False)
        return received

    def _take(self, *, wait: bool) -> list[Received]:
        failure = self._reader.failure
        if self._closed:
            raise closed(self._serial)
        received = self._ring.take(wait=wait and failure is None)
        if self._ring.control[kernels.PAUSED]:
            self._reader.wake.ring()
        if not received and failure is not None:
            raise failure
        return received

    def write(self, data: bytes) -> None:
        with self._write_lock:
            if self._closed:
                raise closed(self._serial)
            self._serial.write(data)
            if self._tap is not None:
                self._tap.sent(data, time.monotonic_ns())

    def keep_alive(self, packets: Sequence[bytes], *, every_s: float = 1.0) -> None:
        ring, c = self._ring, self._ring.control
        c[kernels.ALIVE_EVERY] = 0
        if packets:
            self._n_alive = len(packets)
            for k, packet in enumerate(packets):
                ring.alive[k, : len(packet)] = np.frombuffer(packet, np.uint8)
                ring.alive_size[k] = len(packet)
            ring.alive_ns[:] = 0
            every_ns = round(every_s * 1e9)
            c[kernels.ALIVE_N] = len(packets)
            c[kernels.ALIVE_DUE] = time.monotonic_ns() + every_ns // 2
            c[kernels.ALIVE_EVERY] = every_ns
            self._reader.wake.ring()

    def sent_alive(self) -> list[int]:
        return [int(at_ns) for at_ns in self._ring.alive_ns[: self._n_alive]]

    def attach(self, tap: Tap | None) -> None:
        self._end_tap()
        with self._write_lock:
            ring = self._ring
            kernels.restart(ring.mutex, ring.control, ring.state, ring.counts, tap is not None)
            self._tap = tap
        if tap is not None:
            self._tap_thread = threading.Thread(
                target=_hand_over, args=(self._reader, tap), name=f"hand over {self.port}", daemon=True
            )
            self._tap_thread.start()

    def close(self) -> None:
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
        self._forgotten.detach()
        self._reader.stop()
        self._end_tap()
        self._reader.close()

    def _end_tap(self) -> None:
        """The recorder gets what has come so far, and no more."""
        if self._tap_thread is not None:
            self._ring.control[kernels.KEEP] = 0
            self._reader.kept_note.ring()
            self._tap_thread.join()
            self._tap_thread = None


def _hand_over(reader: _Reader, tap: Tap) -> None:
    """Give the recorder what is kept for it, until the port is done with or nothing is kept any more."""
    ring, c = reader.ring, reader.ring.control
    n_alive = int(c[kernels.ALIVE_SENT])
    while True:
        ended = reader.ended.is_set() or not c[kernels.KEEP]
        taken = ring.take_kept(wait=not ended)
        if taken is not None:
            blocks, missed = taken
            if missed:
                tap.gap(f"{missed} bytes: this program took nothing", blocks[0][1])
            for data, at_ns in blocks:
                tap.arrived(data, at_ns)
            if c[kernels.PAUSED]:
                reader.wake.ring()
        sent = int(c[kernels.ALIVE_SENT])
        # of earlier ones the time is gone
        for k in range(max(n_alive, sent - int(c[kernels.ALIVE_N])), sent):
            slot = k % int(c[kernels.ALIVE_N])
            packet = ring.alive[slot, : ring.alive_size[slot]].tobytes()
            tap.sent(packet, int(ring.alive_ns[slot]))
        n_alive = sent
        if taken is None:
            if ended:
                return
            reader.kept_note.wait(None)
        else:
            reader.ended.wait(HAND_OVER_S)  # one hand-over for many reads


def compile_reader() -> None:
    """Compile the kernels, or load them, before the first real byte: a run that is told to stop at once."""
    ring = _Ring(paced=False, bank_bytes=1 << 10, kept_bytes=1 << 10)
    wake, note = _Pipe(), _Pipe()
    try:
        ring.control[kernels.STOPPING] = 1
        wake.ring()
        ring.drain(-1, wake.out, note.into, note.into)
        ring.take(wait=False)
        ring.take_kept(wait=False)
        kernels.restart(ring.mutex, ring.control, ring.state, ring.counts, 0)
    finally:
        wake.close()
        note.close()
