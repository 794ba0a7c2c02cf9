"""Bytes between a port and the program: `Link`, and `SerialLink` with the thread that drains the port.

Rules
-----
- The reader thread takes bytes off the port at once and stamps each block with the monotonic clock it was
  given. It does nothing else that takes time: decoding happens where the blocks are read, writing to disk
  in the recorder.
- The recorder (`tap`) gets every block, always. For control at most `max_pending_bytes` wait here. Beyond
  that the newest are kept and `dropped_bytes` counts the rest, except where the other side waits for its
  reader (pseudo-terminal, socket): there the thread pauses, and who sends drops and counts by itself.
- Keepalives leave from the reader thread, so a program busy with training does not make the board stop.
- After an I/O error `read` first returns what had arrived, then raises `DeviceLostError` each time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bci.errors import DeviceError, DeviceLostError, DeviceTimeoutError
from bci.language import _

__all__ = ["Arrival", "Link", "SerialLink", "Tap"]

#: Ten minutes of 16 channels at 1 kHz: longer than any training or compiling.
MAX_PENDING_BYTES = 32 * 2**20
#: Where the other side waits: 20 s of 16 channels at 250 Hz, and an accelerated board is not far ahead.
MAX_PENDING_PACED_BYTES = 256 * 2**10
IDLE_WAIT_S = 0.25


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes and the monotonic time, in ns, at which they were taken off the port."""

    data: bytes
    at_ns: int


class Tap(Protocol):
    """Who wants to see every byte in both directions; must return at once."""

    def arrived(self, data: bytes, at_ns: int) -> None: ...
    def sent(self, data: bytes, at_ns: int) -> None: ...
    def gap(self, reason: str, at_ns: int) -> None:
        """Bytes are missing here."""


class Link(Protocol):
    """A byte stream in both directions. `port` names it in messages, `baud` is what budgets count with."""

    port: str
    baud: int
    dropped_bytes: int

    def read(self, timeout_s: float) -> list[Arrival]:
        """Everything that arrived since the last call; waits at most `timeout_s` for the first."""

    def write(self, data: bytes) -> None: ...

    def keepalive(self, make: Callable[[], bytes] | None, *, every_s: float = 1.0) -> None:
        """Send what `make` gives every `every_s` seconds, from now on; None ends it."""

    def attach(self, tap: Tap | None) -> None:
        """Forget what has arrived and was not read; from the next packet on `tap` sees everything."""

    def close(self) -> None: ...


class SerialLink:
    """A serial port or socket with its reader thread.

    Parameters
    ----------
    url : str
        Device path, COM name or `socket://HOST:PORT`.
    baud : int
        Line rate; a socket or pseudo-terminal ignores it, budgets do not.
    clock_ns : callable
        Monotonic time in ns.
    max_pending_bytes : int, optional
        What may wait for `read`. Default: 32 MiB, or 256 KiB where the other side waits for its reader.

    Raises
    ------
    DeviceNotFoundError, DevicePermissionError, DeviceBusyError
        If the port cannot be opened.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        max_pending_bytes: int | None = None,
    ) -> None:
        from bci.acquisition._serial import SerialPort  # pyserial loads when a port is opened, not at import

        self.port = url
        self.baud = baud
        self.dropped_bytes = 0
        self._clock_ns = clock_ns
        self._tap: Tap | None = None
        self._within_packet = False
        self._skip_to_delimiter = False
        self._pending: deque[Arrival] = deque()
        self._pending_bytes = 0
        self._changed = threading.Condition()
        self._failure: DeviceError | None = None
        self._closing = False
        self._keepalive: Callable[[], bytes] | None = None
        self._keepalive_ns = 0
        self._keepalive_due_ns = 0
        self._write_lock = threading.Lock()
        self._serial = SerialPort(url, baud=baud)
        usual = MAX_PENDING_PACED_BYTES if self._serial.paced_by_reader else MAX_PENDING_BYTES
        self._max_pending_bytes = usual if max_pending_bytes is None else max_pending_bytes
        self._thread = threading.Thread(target=self._drain, name=f"read {url}", daemon=True)
        self._thread.start()

    def read(self, timeout_s: float) -> list[Arrival]:
        """Blocks that arrived since the last call, oldest first; empty on time-out.

        Raises
        ------
        DeviceLostError
            If the port failed or was closed, once everything that had arrived was returned.
        """
        with self._changed:
            if not self._pending and self._failure is None and timeout_s > 0:
                self._changed.wait_for(lambda: self._pending or self._failure is not None, timeout_s)
            arrivals = list(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            self._changed.notify_all()  # a paused reader may go on
            if not arrivals and self._failure is not None:
                raise self._failure
        return arrivals

    def write(self, data: bytes) -> None:
        """Send `data`; may be called from any thread.

        Raises
        ------
        DeviceTimeoutError, DeviceLostError
            If the port takes nothing for 250 ms, or fails.
        """
        with self._write_lock:
            if self._closing:
                raise self._closed_error()
            self._serial.write(data)
            if self._tap is not None:
                self._tap.sent(data, self._clock_ns())

    def keepalive(self, make: Callable[[], bytes] | None, *, every_s: float = 1.0) -> None:
        """Send what `make` gives every `every_s` seconds, from the reader thread; None ends it."""
        self._keepalive_ns = round(every_s * 1e9)
        self._keepalive_due_ns = self._clock_ns() + self._keepalive_ns
        self._keepalive = make
        self._serial.wake()

    def attach(self, tap: Tap | None) -> None:
        """Forget what has arrived and was not read; from the next packet on `tap` sees everything.

        Of a packet that is just coming neither `tap` nor `read` sees the rest.
        """
        with self._changed, self._write_lock:  # the order in which the reader thread takes them
            self._tap = tap
            self._skip_to_delimiter = self._within_packet
            self._pending.clear()
            self._pending_bytes = 0

    def close(self) -> None:
        """Stop reading and give the port back; twice is fine."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._serial.wake()
        self._thread.join()
        with self._write_lock:
            self._serial.close()

    # ---- the reader thread ----

    def _drain(self) -> None:
        try:
            while not self._closing:
                data = self._serial.read(self._send_keepalive())
                if data:
                    self._take(data, self._clock_ns())
        except DeviceError as err:
            self._fail(err)
        finally:  # whatever ended this thread, nobody waits for bytes that cannot come
            if self._failure is None:
                self._fail(self._closed_error())

    def _take(self, data: bytes, at_ns: int) -> None:
        with self._changed:
            self._within_packet = not data.endswith(b"\0")
            if self._skip_to_delimiter:
                data = data[data.find(b"\0") + 1 :] if b"\0" in data else b""
                self._skip_to_delimiter = not data and self._within_packet
            if not data:
                return
            if self._tap is not None:
                self._tap.arrived(data, at_ns)
            self._pending.append(Arrival(data, at_ns))
            self._pending_bytes += len(data)
            self._changed.notify_all()
            while self._pending_bytes > self._max_pending_bytes and not self._closing:
                if self._serial.paced_by_reader:
                    self._changed.wait(self._send_keepalive())
                else:
                    oldest = self._pending.popleft()
                    self._pending_bytes -= len(oldest.data)
                    self.dropped_bytes += len(oldest.data)

    def _send_keepalive(self) -> float:
        """Send one if it is due; returns the seconds until something may be due again."""
        make = self._keepalive
        if make is None:
            return IDLE_WAIT_S
        now_ns = self._clock_ns()
        if now_ns >= self._keepalive_due_ns:
            self._keepalive_due_ns = now_ns + self._keepalive_ns
            with contextlib.suppress(DeviceTimeoutError):  # a port that is full now may be free next time
                self.write(make())
        return min(IDLE_WAIT_S, (self._keepalive_due_ns - now_ns) / 1e9)

    def _fail(self, err: DeviceError) -> None:
        with self._changed:
            self._failure = err
            self._changed.notify_all()

    def _closed_error(self) -> DeviceLostError:
        return DeviceLostError(
            _("{port} was closed; open it again to go on").format(port=self.port), port=self.port
        )
