"""Writing a recording: the wire as it comes, notes between its packets, on disk within a second.

Rules
-----
- Wire bytes are written in whole packets, unchanged; notes stand between packets only. Bytes that stay without
  their delimiter for 100 ms or longer than a packet go into RAW notes, so the wire comes back bit for bit.
- Recording never makes the reader of a port or a control loop wait: they put blocks into a queue, and a thread
  of the recording's own encodes, writes and synchronises. It writes as soon as something is there, so another
  process can read along, and has the disk confirm it every second.
- A file that cannot be written to any more (disk full) ends after its last whole write; `error` says why, and
  everything that came before stays readable.
- Files are for their owner alone (mode 0600), and an existing one is never overwritten.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from firmware_protocol import Arrivals, HostWriter, MarkerNote, Raw, Sent, Start
from firmware_protocol.limits import ARRIVAL_PERIOD_MS, MAX_CODED, RAW_AFTER_MS

__all__ = ["RecordingEncoder", "RecordingWriter"]

ARRIVAL_NS = ARRIVAL_PERIOD_MS * 1_000_000
RAW_NS = RAW_AFTER_MS * 1_000_000
SYNC_NS = 1_000_000_000
TICK_S = 0.05  # half of the shortest time after which something must be written

_log = logging.getLogger(__name__)


class RecordingEncoder:
    """Blocks of wire in, bytes of a recording out. No file, no thread, no clock.

    Parameters
    ----------
    nonce : int
        64 random bits that tell this file's notes from wire.
    """

    def __init__(self, nonce: int) -> None:
        self._notes = HostWriter(nonce)
        self._tail = b""  # wire without its delimiter yet
        self._tail_since_ns = 0
        self._arrived = 0
        self._arrivals: list[tuple[int, int]] = []

    def start(self, facts: Mapping[str, Any]) -> bytes:
        return self._notes.encode(Start(facts))

    def arrived(self, data: bytes, at_ns: int) -> bytes:
        """A block of wire bytes that came at `at_ns`."""
        self._arrivals.append((self._arrived, at_ns))
        self._arrived += len(data)
        end = data.rfind(b"\0") + 1
        whole = self._tail + data[:end] if end else b""
        if end or not self._tail:
            self._tail, self._tail_since_ns = data[end:], at_ns
        else:
            self._tail += data
        if len(self._tail) > MAX_CODED:
            whole += self._give_up_tail()
        return whole + self.tick(at_ns)

    def sent(self, data: bytes, at_ns: int) -> bytes:
        """Bytes that went to the board at `at_ns`."""
        return self._notes.encode(Sent(at_ns, data))

    def marked(self, marker: MarkerNote) -> bytes:
        return self._notes.encode(marker)

    def tick(self, now_ns: int) -> bytes:
        """What must not wait any longer at `now_ns`."""
        out = b""
        if self._tail and now_ns - self._tail_since_ns >= RAW_NS:
            out += self._give_up_tail()
        if self._arrivals and now_ns - self._arrivals[0][1] >= ARRIVAL_NS:
            out += self._tell_arrivals()
        return out

    def finish(self) -> bytes:
        """All that still waits."""
        return self._give_up_tail() + self._tell_arrivals()

    def _give_up_tail(self) -> bytes:
        tail, self._tail = self._tail, b""
        return self._notes.encode(Raw(tail)) if tail else b""

    def _tell_arrivals(self) -> bytes:
        arrivals, self._arrivals = tuple(self._arrivals), []
        return self._notes.encode(Arrivals(arrivals)) if arrivals else b""


class RecordingWriter:
    """A recording being made; the `Tap` of a link.

    Parameters
    ----------
    path : path
        A file that does not exist yet.
    facts : mapping
        What START says: anything JSON can carry, free text, no identity of a person.
    wall_clock : datetime
        When the recording began, for people; time within it is monotonic.
    nonce : int, optional
        Default: random.

    Raises
    ------
    RecordingError
        If the file exists or cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        facts: Mapping[str, Any],
        wall_clock: datetime,
        nonce: int | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = Path(path)
        self.error: RecordingError | None = None
        self._clock_ns = clock_ns
        self._encoder = RecordingEncoder(random.SystemRandom().getrandbits(64) if nonce is None else nonce)
        self._size = 0
        self._synced_ns = clock_ns()
        self._dirty = False
        self._queue: queue.SimpleQueue[Callable[[], bytes] | None] = queue.SimpleQueue()
        self._fd = _create(self.path)
        start = {**facts, "wall_clock": wall_clock.isoformat(), "monotonic_ns": clock_ns()}
        self._write(self._encoder.start(start))
        self._sync()
        self._thread = threading.Thread(target=self._run, name=f"record {self.path.name}", daemon=True)
        self._thread.start()

    def arrived(self, data: bytes, at_ns: int) -> None:
        self._queue.put(lambda: self._encoder.arrived(data, at_ns))

    def sent(self, data: bytes, at_ns: int) -> None:
        self._queue.put(lambda: self._encoder.sent(data, at_ns))

    def marked(self, marker: MarkerNote) -> None:
        packet = self._encoder.marked(marker)  # here, so that a value out of range is the caller's error
        self._queue.put(lambda: packet)

    def close(self) -> None:
        """Write and synchronise what is left; twice is fine."""
        if self._fd < 0:
            return
        self._queue.put(None)
        self._thread.join()
        os.close(self._fd)
        self._fd = -1

    # ---- the recording's own thread ----

    def _run(self) -> None:
        going_on = True
        while going_on:
            out = b""
            with contextlib.suppress(queue.Empty):
                job = self._queue.get(timeout=TICK_S)
                while job is not None:
                    out += job()
                    job = self._queue.get_nowait()
                going_on = False
            now_ns = self._clock_ns()
            self._write(out + (self._encoder.tick(now_ns) if going_on else self._encoder.finish()))
            if self._dirty and (not going_on or now_ns - self._synced_ns >= SYNC_NS):
                self._sync()
                self._synced_ns = now_ns

    def _write(self, data: bytes) -> None:
        """Append whole packets, or nothing: what a full disk took of them is taken back."""
        if not data or self.error is not None:
            return
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as err:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            self._stop_for(err)
            return
        self._size += len(data)
        self._dirty = True

    def _sync(self) -> None:
        try:
            _sync_to_disk(self._fd)
        except OSError as err:
            self._stop_for(err)
        self._dirty = False

    def _stop_for(self, err: OSError) -> None:
        if self.error is None:
            self.error = RecordingError(
                f"recording to {self.path} ended after {self._size} bytes: {err.strerror or err}; what came "
                "before is safe. Free space or choose another disk, then start a new recording",
                path=self.path,
            )
            _log.error("%s", self.error)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError as err:
        raise RecordingError(
            f"{path} exists already; a recording is never overwritten, choose another name", path=path
        ) from err
    except OSError as err:
        raise RecordingError(
            f"cannot record to {path}: {err.strerror or err}; choose a folder that exists and that you may "
            "write to",
            path=path,
        ) from err
    if sys.platform != "win32":  # the new name itself must survive a power cut
        with contextlib.suppress(OSError):
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    return fd


def _sync_to_disk(fd: int) -> None:
    """Have the disk itself confirm: `fsync` of macOS leaves data in the drive's cache."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)
