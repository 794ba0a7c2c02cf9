"""Writing a recording: the wire as it comes, notes between its packets, on disk within a second.

Rules
-----
- Wire bytes are written in whole packets, unchanged; notes stand between packets only. Bytes that stay without
  their delimiter for 100 ms or longer than a packet go into RAW notes, and so does all of a foreign wire, with its
  dialect: the wire comes back bit for bit.
- Recording never makes the reader of a port or a control loop wait: they put blocks into a queue, and a thread
  of the recording's own encodes and writes as soon as something is there, so another process can read along. A
  second thread has the disk confirm it every second: a disk that takes its time delays no write.
- Before a disk is full `alarm` says so: at the latest one block ahead, earlier where the rate tells that ten
  minutes are left. A file that cannot be written to any more ends after its last whole packet; `error` says why,
  everything that came before stays readable, and the stream goes on.
- A disk that takes nothing at all may let `MAX_WAITING_BYTES` wait; what comes beyond is left out, with a GAP note.
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

from bci.acquisition._room import room_bytes
from bci.errors import RecordingError
from bci.language import _, system_reason
from firmware_protocol import Arrivals, Dialect, Gap, HostWriter, MarkerNote, Raw, Sent, Start
from firmware_protocol.limits import ARRIVAL_PERIOD_MS, MAX_CODED, RAW_AFTER_MS

__all__ = ["RecordingEncoder", "RecordingWriter"]

ARRIVAL_NS = ARRIVAL_PERIOD_MS * 1_000_000
RAW_NS = RAW_AFTER_MS * 1_000_000
SYNC_NS = 1_000_000_000
TICK_S = 0.05  # half of the shortest time after which something must be written
BLOCK_BYTES = 1 << 20
ALARM_S = 600
MAX_WAITING_BYTES = 256 << 20

_log = logging.getLogger(__name__)


class RecordingEncoder:
    """Blocks of wire in, bytes of a recording out. No file, no thread, no clock.

    Parameters
    ----------
    nonce : int
        64 random bits that tell this file's notes from wire.
    dialect : Dialect
        Whose wire it is.
    """

    def __init__(self, nonce: int, *, dialect: Dialect = Dialect.BFP) -> None:
        self._notes = HostWriter(nonce)
        self._dialect = dialect
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
        if self._dialect != Dialect.BFP:
            return self._notes.encode(Raw(data, self._dialect)) + self.tick(at_ns)
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

    def gap(self, reason: str, at_ns: int) -> bytes:
        """The wire misses something here."""
        return self._give_up_tail() + self._notes.encode(Gap(at_ns, reason))

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
    dialect : Dialect
        Whose wire it is.

    Attributes
    ----------
    error : RecordingError or None
        Why the recording ended before its time; nothing more is written.
    alarm : str
        What will end it soon, for a person who can still do something about it; empty as long as there is room.

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
        dialect: Dialect = Dialect.BFP,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = Path(path)
        self.error: RecordingError | None = None
        self.alarm = ""
        self._clock_ns = clock_ns
        random_nonce = random.SystemRandom().getrandbits(64)
        self._encoder = RecordingEncoder(random_nonce if nonce is None else nonce, dialect=dialect)
        self._size = 0
        self._began_ns = self._synced_ns = clock_ns()
        self._dirty = False
        self._queue: queue.SimpleQueue[Callable[[], bytes] | None] = queue.SimpleQueue()
        self._put_bytes = self._taken_bytes = self._left_out_bytes = 0
        self._fd = _create(self.path)
        start = {**facts, "wall_clock": wall_clock.isoformat(), "monotonic_ns": clock_ns()}
        self._write(self._encoder.start(start))
        self._sync()
        self._look_ahead()
        self._sync_due = threading.Event()
        self._written_all = False
        self._threads = [
            threading.Thread(target=run, name=f"{what} {self.path.name}", daemon=True)
            for what, run in (("record", self._run), ("synchronise", self._keep_synced))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._size

    def arrived(self, data: bytes, at_ns: int) -> None:
        if self._put_bytes - self._taken_bytes > MAX_WAITING_BYTES:
            self._left_out_bytes += len(data)
            return
        if self._left_out_bytes:
            n_bytes, self._left_out_bytes = self._left_out_bytes, 0
            self.gap(f"{n_bytes} bytes left out: the disk took nothing for too long", at_ns)
        self._put_bytes += len(data)
        self._queue.put(lambda: self._encode(data, at_ns))

    def sent(self, data: bytes, at_ns: int) -> None:
        self._queue.put(lambda: self._encoder.sent(data, at_ns))

    def gap(self, reason: str, at_ns: int) -> None:
        """Wire is missing here: the port was lost, for example."""
        self._queue.put(lambda: self._encoder.gap(reason, at_ns))

    def marked(self, marker: MarkerNote) -> None:
        packet = self._encoder.marked(marker)  # here, so that a value out of range is the caller's error
        self._queue.put(lambda: packet)

    def close(self) -> None:
        """Write and synchronise what is left; twice is fine."""
        if self._fd < 0:
            return
        self._queue.put(None)
        for thread in self._threads:
            thread.join()
        os.close(self._fd)
        self._fd = -1

    # ---- the recording's own threads ----

    def _run(self) -> None:
        going_on = True
        while going_on:
            out = []
            with contextlib.suppress(queue.Empty):
                job = self._queue.get(timeout=TICK_S)
                while job is not None:
                    out.append(job())
                    job = self._queue.get_nowait()
                going_on = False
            now_ns = self._clock_ns()
            out.append(self._encoder.tick(now_ns) if going_on else self._encoder.finish())
            self._write(b"".join(out))
            if self._dirty and now_ns - self._synced_ns >= SYNC_NS:
                self._synced_ns = now_ns
                self._look_ahead()
                self._sync_due.set()
        self._written_all = True
        self._sync_due.set()

    def _keep_synced(self) -> None:
        while True:
            self._sync_due.wait()
            self._sync_due.clear()
            last = self._written_all
            if self._dirty:
                self._sync()
            if last:
                return

    def _encode(self, data: bytes, at_ns: int) -> bytes:
        self._taken_bytes += len(data)
        return self._encoder.arrived(data, at_ns)

    def _write(self, data: bytes) -> None:
        """Append whole packets; what a full disk took of one is taken back."""
        if not data or self.error is not None:
            return
        written = 0
        try:
            with memoryview(data) as view:
                while written < len(data):
                    written += os.write(self._fd, view[written:])
        except OSError as err:
            self._size += data.rfind(b"\0", 0, written) + 1
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            self._stop_for(err)
            return
        self._size += written
        self._dirty = True

    def _sync(self) -> None:
        self._dirty = False
        try:
            _sync_to_disk(self._fd)
        except OSError as err:
            self._stop_for(err)

    def _look_ahead(self) -> None:
        """Set or withdraw the alarm."""
        room = room_bytes(self.path, written=self._size)
        passed_s = (self._clock_ns() - self._began_ns) / 1e9
        rate = self._size / passed_s if passed_s >= 1 else 0.0
        before, self.alarm = self.alarm, ""
        if room < max(BLOCK_BYTES, rate * ALARM_S):
            lasts = _(", about {minutes:.0f} minutes").format(minutes=room / rate / 60) if rate else ""
            self.alarm = _(
                "the disk of {path} has room for {megabytes:.1f} MB more{lasts}; free space, or go on with "
                "a new "
                "recording on another disk"
            ).format(path=self.path, megabytes=room / 1e6, lasts=lasts)
            if not before:
                _log.warning("%s", self.alarm)

    def _stop_for(self, err: OSError) -> None:
        if self.error is None:
            self.error = RecordingError(
                _(
                    "recording to {path} ended after {size} bytes: {reason}; what came before is safe. "
                    "Free space or choose another disk, then start a new recording"
                ).format(path=self.path, size=self._size, reason=system_reason(err)),
                path=self.path,
            )
            _log.error("%s", self.error)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError as err:
        raise RecordingError(
            _("{path} exists already; a recording is never overwritten, choose another name").format(
                path=path
            ),
            path=path,
        ) from err
    except OSError as err:
        raise RecordingError(
            _(
                "cannot record to {path}: {reason}; choose a folder that exists and that you may write to"
            ).format(path=path, reason=system_reason(err)),
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
