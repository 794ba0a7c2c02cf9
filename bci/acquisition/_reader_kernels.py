"""The reader of a port as kernels: read, decode, stamp and keep alive, without the interpreter (POSIX).

`drain` runs in a thread of its own until it is woken to stop or the port fails. libc is declared to Numba by name
(`ExternalFunction`): unlike pointers from ctypes that can be cached on disk. Closing a descriptor does not end a
`read` that waits on it, so `poll` waits on the port and on a wake pipe.

Memory, all laid out beforehand:

- `wire`: the bytes being decoded, pushed to its front now and then.
- Four banks of columns, as the decoder writes them, in two pairs. `drain` fills one pair, bank by bank; `take` swaps
  the pairs, so what was taken stays as it is until the next `take`. If both banks are full, a paced port (whose far
  side waits) is not read until something is taken; any other loses the older bank for control, and that is counted.
- `kept`: two buffers of wire for the recording, with a mark (end, ns) for each read; `take_kept` swaps them.

`c` is what both sides share, behind a mutex of the system: a Python thread that is not scheduled cannot hold it,
because it is only ever locked inside these kernels.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import types
from numpy.typing import NDArray

from bci.jit import kernel
from firmware_protocol._kernels import BURST, DISCARDING, EVENT_WORDS, N_EVENTS, scan
from firmware_protocol._simd import load_u32

__all__ = ["EVENT_WORDS", "drain", "prepare", "restart", "take", "take_kept"]

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

# Elements of `c`. Those before N_SHARED_RESET are cleared by `restart`.
PAIR, BANK, USED, KEPT, KEPT_USED, KEPT_MARKS, SKIP, BEGIN, FILL, BASE, BYTES, UNSCANNED, GENERATION = range(
    13
)
N_SHARED_RESET = 12
STOPPING, WAITING, KEPT_WAITING, PAUSED, KEEP, DROPPED, MISSED, PACED = range(13, 21)
ALIVE_EVERY, ALIVE_DUE, ALIVE_SENT, ALIVE_N, RANDOM = range(21, 26)
N_SHARED = 26

COUNTERS = DISCARDING  # of one bank, as `scan` counts; behind them the wire bytes it covers
BANK_WORDS = COUNTERS + 1
MUTEX_WORDS = 16  # int64; 64 bytes at most on the systems known
SLACK = 64  # bytes behind the end of `wire` that a vector load may touch
MARK_WORDS = 2

POLLIN = 1
EINTR = 4
EAGAIN = 35 if sys.platform == "darwin" else 11
END_OF_FILE = -1
CLOCK = getattr(time, "CLOCK_UPTIME_RAW", getattr(time, "CLOCK_MONOTONIC", 1))  # the one of time.monotonic_ns


def _libc(name: str, returns: Any, *arguments: Any) -> Any:
    return types.ExternalFunction(name, returns(*arguments))


_poll = _libc("poll", types.int32, types.intp, types.uint64, types.int32)
_read = _libc("read", types.int64, types.int32, types.intp, types.uint64)
_write = _libc("write", types.int64, types.int32, types.intp, types.uint64)
_clock = _libc("clock_gettime", types.int32, types.int32, types.intp)
_memmove = _libc("memmove", types.intp, types.intp, types.intp, types.uint64)
_errno = _libc("__error" if sys.platform == "darwin" else "__errno_location", types.intp)
_mutex_init = _libc("pthread_mutex_init", types.int32, types.intp, types.intp)
_lock = _libc("pthread_mutex_lock", types.int32, types.intp)
_unlock = _libc("pthread_mutex_unlock", types.int32, types.intp)


@kernel
def prepare(mutex: I64) -> int:
    """Once, before anything else is called with this mutex."""
    return int(_mutex_init(mutex.ctypes.data, 0))


@kernel
def _now(timespec: I64) -> int:
    _clock(CLOCK, timespec.ctypes.data)
    return int(timespec[0] * 1_000_000_000 + timespec[1])


# Loops instead of slices: to assign a slice, Numba compiles the text of an error that cannot happen, for 5 s.


@kernel
def _clear(counts: I64, bank: int) -> None:
    for k in range(BANK_WORDS):
        counts[bank, k] = 0


@kernel
def _put_by(counts: I64, bank: int, c: I64, state: I64) -> None:
    """The bank that is being filled is done with."""
    for k in range(COUNTERS):
        counts[bank, k] = state[k]
        state[k] = 0
    counts[bank, COUNTERS] = c[USED]
    c[USED] = 0


@kernel
def restart(mutex: I64, c: I64, state: I64, counts: I64, keep: int) -> None:
    """Forget what has come; of a packet that is just coming nobody sees the rest. `keep`: keep wire from here on."""
    _lock(mutex.ctypes.data)
    within = c[BEGIN] < c[FILL] or c[SKIP] != 0 or state[DISCARDING] != 0
    generation = c[GENERATION]
    for k in range(N_SHARED_RESET):
        c[k] = 0
    c[GENERATION] = generation + 1
    c[SKIP] = within
    c[KEEP] = keep
    for k in range(COUNTERS + 2):
        state[k] = 0
    for bank in range(4):
        _clear(counts, bank)
    _unlock(mutex.ctypes.data)


@kernel
def take(mutex: I64, c: I64, state: I64, counts: I64, wait: int) -> int:
    """Number of the newer bank of the pair that is now the caller's, or -1: nothing, and `wait` asks for a note."""
    _lock(mutex.ctypes.data)
    newer = 2 * c[PAIR] + c[BANK]
    older = 2 * c[PAIR] + 1 - c[BANK]
    taken = -1
    if state[N_EVENTS] == 0 and counts[older, N_EVENTS] == 0:
        c[WAITING] = wait
    else:
        taken = newer
        _put_by(counts, newer, c, state)
        c[PAIR] = 1 - c[PAIR]
        c[BANK] = 0
        _clear(counts, 2 * c[PAIR])
        _clear(counts, 2 * c[PAIR] + 1)
    _unlock(mutex.ctypes.data)
    return taken


@kernel
def take_kept(mutex: I64, c: I64, wait: int, size: I64) -> int:
    """Number of the buffer that is now the caller's, or -1. `size`: its bytes and marks, bytes missed before them."""
    _lock(mutex.ctypes.data)
    taken = -1
    if c[KEPT_MARKS] == 0:
        c[KEPT_WAITING] = wait
    else:
        taken = c[KEPT]
        size[0], size[1], size[2] = c[KEPT_USED], c[KEPT_MARKS], c[MISSED]
        c[KEPT] = 1 - c[KEPT]
        c[KEPT_USED] = c[KEPT_MARKS] = c[MISSED] = 0
    _unlock(mutex.ctypes.data)
    return taken


@kernel
def _next_bank(c: I64, state: I64, counts: I64) -> bool:
    """Go on in the other bank of the pair; False if that would cost what a paced port can keep back."""
    here = 2 * c[PAIR] + c[BANK]
    there = 2 * c[PAIR] + 1 - c[BANK]
    if counts[there, N_EVENTS]:
        if c[PACED]:
            return False
        c[DROPPED] += counts[there, COUNTERS]
    _put_by(counts, here, c, state)
    _clear(counts, there)
    c[BANK] = 1 - c[BANK]
    return True


@kernel
def _room(c: I64, state: I64, counts: I64, bank_bytes: int, wire_bytes: int, kept: U8, n_events: int) -> int:
    """Bytes that may be read now."""
    pending = c[FILL] - c[BEGIN]
    full = EVENT_WORDS * (state[N_EVENTS] + BURST) > n_events
    if (full or c[USED] + pending >= bank_bytes) and not _next_bank(c, state, counts):
        return 0
    room = min(bank_bytes - c[USED] - pending, wire_bytes - SLACK - c[FILL])
    if c[PACED]:
        # also while nothing is kept: that may begin before the read
        room = min(room, kept.shape[1] - c[KEPT_USED])
    return int(room)


@kernel
def _keep(c: I64, wire: U8, n: int, at_ns: int, kept: U8, marks: I64) -> None:
    """Put the newest `n` bytes by for the recording."""
    buffer, used, k = c[KEPT], c[KEPT_USED], c[KEPT_MARKS]
    if used + n > kept.shape[1]:
        c[MISSED] += n
        return
    _memmove(kept.ctypes.data + buffer * kept.shape[1] + used, wire.ctypes.data + c[FILL], n)
    c[KEPT_USED] = used + n
    if k < marks.shape[1]:
        marks[buffer, k, 0], marks[buffer, k, 1] = used + n, at_ns
        c[KEPT_MARKS] = k + 1
    else:
        marks[buffer, k - 1, 0] = used + n


def _compiled_with(version: int) -> Callable[..., int]:
    """`drain`, cached by the version of `scan` too: Numba does not see that a kernel of another file has changed."""

    @kernel
    def drain(
        fd: int,
        wake: int,
        note: int,
        kept_note: int,
        mutex: I64,
        c: I64,
        bank_bytes: int,
        wire: U8,
        readable: U8,
        state: I64,
        tables: U8,
        counts: I64,
        events: I64,
        values: I32,
        status: I32,
        raw: U8,
        stamps: I64,
        kept: U8,
        marks: I64,
        alive: U8,
        alive_size: I64,
        alive_ns: I64,
        fds: I32,
        timespec: I64,
        byte: U8,
    ) -> int:
        """Read `fd` until told to stop: 0, END_OF_FILE, or the errno of what failed.

        `readable` is `wire` once more, as the array nobody writes to that `scan` is compiled for. The last three are
        room for libc: two struct pollfd (descriptor, then events | what happened << 16), struct timespec, 64 bytes.
        """
        m = mutex.ctypes.data
        if version < 0:
            return version
        now = _now(timespec)
        while True:
            timeout = -1
            if c[ALIVE_EVERY] > 0:
                if now >= c[ALIVE_DUE]:
                    k = c[ALIVE_SENT] % c[ALIVE_N]
                    alive_ns[k] = now
                    c[ALIVE_SENT] += (
                        _write(fd, alive.ctypes.data + k * alive.shape[1], alive_size[k]) == alive_size[k]
                    )
                    c[RANDOM] = (c[RANDOM] * 1103515245 + 12345) & 0x7FFFFFFF
                    c[ALIVE_DUE] = now + c[ALIVE_EVERY] * 3 // 4 + c[RANDOM] % (c[ALIVE_EVERY] // 2 + 1)
                timeout = max(0, (c[ALIVE_DUE] - now) // 1_000_000) + 1
            _lock(m)
            room = _room(c, state, counts, bank_bytes, wire.size, kept, events.shape[1])
            c[PAUSED] = room <= 0
            at, generation = c[FILL], c[GENERATION]
            unscanned = c[UNSCANNED] != 0 and room > 0
            _unlock(m)
            got = 0
            if not unscanned:
                fds[0], fds[1] = fd if room > 0 else -1, POLLIN
                fds[2], fds[3] = wake, POLLIN
                if _poll(fds.ctypes.data, 2, timeout) < 0:
                    error = load_u32(_errno())
                    if error == EINTR:
                        continue
                    return error
                if fds[3] >> 16:
                    _read(wake, byte.ctypes.data, 64)
                    if c[STOPPING]:
                        return 0
                if fds[1] >> 16 == 0 or room <= 0:
                    now = _now(timespec)
                    continue
                got = _read(fd, wire.ctypes.data + at, room)
                if got == 0:
                    return END_OF_FILE
                if got < 0:
                    error = load_u32(_errno())
                    if error in (EINTR, EAGAIN):
                        continue
                    return error
            now = _now(timespec)
            _lock(m)
            if c[GENERATION] != generation:  # all was forgotten meanwhile: the window is empty
                _memmove(wire.ctypes.data, wire.ctypes.data + at, got)
            if c[SKIP]:
                k = 0
                while k < got and wire[c[FILL] + k] != 0:
                    k += 1
                c[SKIP] = k == got
                got = max(0, got - k - 1)
                _memmove(wire.ctypes.data + c[FILL], wire.ctypes.data + c[FILL] + k + 1, got)
            if got:
                c[BYTES] += got
                if c[KEEP]:
                    _keep(c, wire, got, now, kept, marks)
                c[FILL] += got
            while True:
                bank = 2 * c[PAIR] + c[BANK]
                first = state[N_EVENTS]
                begin = scan(
                    readable,
                    c[BEGIN],
                    c[FILL],
                    c[FILL],
                    c[BASE],
                    state,
                    tables,
                    events[bank],
                    values[bank],
                    status[bank],
                    raw[bank],
                )
                now = _now(timespec)
                for k in range(first, state[N_EVENTS]):
                    stamps[bank, k] = now
                c[USED] += begin - c[BEGIN]
                c[BEGIN] = begin
                c[UNSCANNED] = EVENT_WORDS * (state[N_EVENTS] + BURST) > events.shape[1]
                if c[UNSCANNED] == 0 or not _next_bank(c, state, counts):
                    break
            if c[BEGIN] == c[FILL] or c[FILL] > (wire.size - SLACK) // 2:
                _memmove(wire.ctypes.data, wire.ctypes.data + c[BEGIN], c[FILL] - c[BEGIN])
                c[BASE] += c[BEGIN]
                c[FILL] -= c[BEGIN]
                c[BEGIN] = 0
            tell = c[WAITING] and (state[N_EVENTS] > 0 or counts[2 * c[PAIR] + 1 - c[BANK], N_EVENTS] > 0)
            tell_kept = c[KEPT_WAITING] and c[KEPT_MARKS] > 0
            if tell:
                c[WAITING] = 0
            if tell_kept:
                c[KEPT_WAITING] = 0
            _unlock(m)
            if tell:
                _write(note, byte.ctypes.data, 1)
            if tell_kept:
                _write(kept_note, byte.ctypes.data, 1)

    return drain


drain = _compiled_with(zlib.crc32(Path(scan.__code__.co_filename).read_bytes()))
