"""Bytes of an OpenBCI Cyton: frames out of a stream that may be cut, damaged or joined midway. No port, no clock.

A frame has 33 bytes: `A0`, a counter (u8), eight samples (int24, big-endian), six auxiliary bytes, `C0`–`C6`. There
is no checksum and no escape: samples may contain `C0 A0`, so header and end byte alone prove nothing.

Rules
-----
- To lock, several frames in sequence must have header, end byte and a counter that goes on, at one place of the 33
  only. Where samples imitate all of that for a while, the decoder waits until they do not.
- While locked, a frame counts once the header behind it is there: an inserted byte can put any byte where the end
  byte belongs.
- What does not fit is rejected, and its inside searched for the next frame at once: a lost byte costs the frame it
  was lost from. There two frames in sequence must go on where the counter stood.
- Three counters in sequence that do not go on end a lock.

References
----------
.. [1] OpenBCI, Cyton data format, docs.openbci.com/Cyton/CytonDataFormat (firmware 3).
.. [2] OpenBCI, Cyton board SDK (commands), docs.openbci.com/Cyton/CytonSDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "BAUD",
    "CYTON_LABELS",
    "FRAME_BYTES",
    "RATE_HZ",
    "ChannelSetting",
    "CytonDecoder",
    "CytonFrame",
    "Skipped",
    "encode_frame",
    "uv_per_count",
]

BAUD = 115_200
RATE_HZ = 250
FRAME_BYTES = 33
HEADER = 0xA0
N_CHANNELS = 8  # of a frame
AUX_BYTES = 6
END_MIN, END_MAX = 0xC0, 0xC6
GAINS = (1, 2, 4, 6, 8, 12, 24)  # by the digit of the x command
VREF_UV = 4.5e6

#: Where the cables of the usual headset go; whoever wears another one names the channels when opening.
CYTON_LABELS = (
    "Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2", "F7", "F8", "F3", "F4", "T7", "T8", "P3", "P4",
)  # fmt: skip
#: Keys that name channels 1–16 in commands.
CHANNEL_KEYS = "12345678QWERTYUI"

LOCK_FRAMES = 4
LOCK_STEP = 4  # a counter may miss three frames while locking
MOST_FRAMES = 260  # of imitation: by then a counter has gone round
RELOCK_FRAMES = 3  # within so many a lost frame's successor is looked for
BAD_STEPS = 3
GOOD_STEP = 128

_SETTING = re.compile(rb"x([1-8QWERTYUI])([01])([0-6])([0-7])([01])([01])([01])X")


@dataclass(frozen=True, slots=True)
class CytonFrame:
    """One frame; `counts` are of its eight channels. `offset`: stream position of its header."""

    counter: int
    counts: tuple[int, ...]
    aux: bytes = bytes(AUX_BYTES)
    end: int = END_MIN
    offset: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes that are no frame: damage, or text that the board says."""

    data: bytes
    offset: int = field(default=-1, compare=False)


class ChannelSetting(NamedTuple):
    """What an x command sets: `channel` from 0."""

    channel: int
    powered: bool
    gain: int

    @classmethod
    def all_in(cls, sent: bytes) -> list[ChannelSetting]:
        """Settings in bytes that a host sent."""
        return [
            cls(CHANNEL_KEYS.index(m[1].decode()), m[2] == b"0", GAINS[int(m[3])])
            for m in _SETTING.finditer(sent)
        ]


def uv_per_count(gain: int) -> float:
    """µV for one count at a gain."""
    return VREF_UV / gain / (2**23 - 1)


def encode_frame(frame: CytonFrame) -> bytes:
    """Its 33 bytes."""
    samples = b"".join((count & 0xFFFFFF).to_bytes(3) for count in frame.counts)
    return bytes([HEADER, frame.counter]) + samples + frame.aux + bytes([frame.end])


class CytonDecoder:
    """Find frames; any cut of the stream gives the same events."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._offset = 0  # stream position of _pending[0]
        self._skipped = bytearray()  # behind the last event, up to _pending
        self._locked = False
        self._counter = 0  # of the last frame
        self._bad_steps = 0

    @property
    def locked(self) -> bool:
        return self._locked

    def feed(self, data: bytes) -> list[CytonFrame | Skipped]:
        """Frames of `data` and of what was pending, and what lies between them."""
        self._pending += data
        return self._take(more=True)

    def finish(self) -> list[CytonFrame | Skipped]:
        """Nothing more will come for now; the next frame may have any counter."""
        events = self._take(more=False)
        self._skip(len(self._pending))
        events += self._end_skip()
        self._locked = False
        return events

    def _take(self, *, more: bool) -> list[CytonFrame | Skipped]:
        events: list[CytonFrame | Skipped] = []
        while True:
            if not self._locked:
                if not self._lock(more=more):
                    return events
            elif (fits := self._fits(more=more)) is None:
                return events
            elif fits:
                events += self._end_skip()
                events.append(self._frame())
            else:
                found = self._relock(more=more)
                if found is None:
                    return events
                self._locked = found > 0
                self._skip(found or 1)

    # ---- while locked ----

    def _fits(self, *, more: bool) -> bool | None:
        """Whether the next 33 bytes are a frame; None if that cannot be told yet."""
        b = self._pending
        if b and b[0] != HEADER:
            return False
        if len(b) < FRAME_BYTES:
            return None
        if not END_MIN <= b[32] <= END_MAX:
            return False
        if len(b) > FRAME_BYTES and b[33] == HEADER:
            return True
        if len(b) <= FRAME_BYTES + 1:
            return None if more else True
        # Either the frame behind it is damaged, or this one has a byte too many and its end byte comes next.
        return not (END_MIN <= b[33] <= END_MAX and b[34] == HEADER)

    def _frame(self) -> CytonFrame:
        raw = bytes(self._pending[:FRAME_BYTES])
        counts = tuple(int.from_bytes(raw[k : k + 3], signed=True) for k in range(2, 26, 3))
        frame = CytonFrame(raw[1], counts, raw[26:32], raw[32], self._offset)
        step = frame.counter - self._counter & 0xFF
        self._bad_steps = 0 if 0 < step <= GOOD_STEP else self._bad_steps + 1
        if self._bad_steps >= BAD_STEPS:
            self._locked, self._bad_steps = False, 0
        self._counter = frame.counter
        self._drop(FRAME_BYTES)
        return frame

    def _relock(self, *, more: bool) -> int | None:
        """Where the next frame begins, in bytes from here; 0 if there is none near; None if not known yet."""
        b = self._pending
        for at in range(1, RELOCK_FRAMES * FRAME_BYTES):
            if at >= len(b):
                return None if more else 0
            if b[at] != HEADER:
                continue
            whole = at + FRAME_BYTES + 2 <= len(b)
            if not whole and more:
                return None
            if not whole and at + FRAME_BYTES > len(b):
                return 0
            if not END_MIN <= b[at + 32] <= END_MAX:
                continue
            step = b[at + 1] - self._counter & 0xFF
            goes_on = 1 <= step <= 2 + (at + FRAME_BYTES - 1) // FRAME_BYTES
            if goes_on and (not whole or (b[at + 33] == HEADER and b[at + 34] == b[at + 1] + 1 & 0xFF)):
                return at
        return 0

    # ---- while not ----

    def _lock(self, *, more: bool) -> bool:
        """Skip to the first place where a frame surely begins; False if more bytes are needed to tell."""
        depth = LOCK_FRAMES if more else min(LOCK_FRAMES, max(2, len(self._pending) // FRAME_BYTES))
        while True:
            b = self._pending
            needed = depth * FRAME_BYTES + (FRAME_BYTES - 1 if more else 0)
            if len(b) < needed:
                return False
            if not self._chain(0, depth):
                nearest = b.find(HEADER, 1)
                self._skip(nearest if nearest > 0 else len(b))
                continue
            rivals = [at for at in range(1, FRAME_BYTES) if self._chain(at, depth)]
            if not rivals or depth >= MOST_FRAMES or not more:
                break
            depth += 1
        self._locked, self._bad_steps = True, 0
        self._counter = self._pending[1] - 1 & 0xFF
        return True

    def _chain(self, at: int, depth: int) -> bool:
        """Whether `depth` frames in sequence could stand from `at` on."""
        b = self._pending
        if at + depth * FRAME_BYTES > len(b):
            return False
        for k in range(at, at + depth * FRAME_BYTES, FRAME_BYTES):
            if b[k] != HEADER or not END_MIN <= b[k + 32] <= END_MAX:
                return False
            if k > at and not 1 <= (b[k + 1] - b[k + 1 - FRAME_BYTES] & 0xFF) <= LOCK_STEP:
                return False
        return True

    # ---- bytes ----

    def _skip(self, n: int) -> None:
        self._skipped += self._pending[:n]
        self._drop(n)

    def _drop(self, n: int) -> None:
        del self._pending[:n]
        self._offset += n

    def _end_skip(self) -> list[CytonFrame | Skipped]:
        skipped = bytes(self._skipped)
        self._skipped.clear()
        return [Skipped(skipped, self._offset - len(skipped))] if skipped else []
