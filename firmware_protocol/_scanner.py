"""One stream's decoder: the kernel, its state, and the bytes of a stretch that is not complete yet.

Bytes are scanned where they lie. Only what a stretch left over is copied, to `_carry`, and joined there with the
first bytes of what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass
from sys import getrefcount
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import _kernels
from firmware_protocol._kernels import (
    BURST,
    DISCARDED,
    DISCARDING,
    EVENT_WORDS,
    HARDWARE,
    HAS_NONCE,
    N_EVENTS,
    N_RAW,
    NONCE,
    SCRATCH,
    SLACK,
)
from firmware_protocol._kernels_tables import EVENTS, KINDS, tables
from firmware_protocol._simd import HARDWARE_CRC, LANES
from firmware_protocol.batch import Batch
from firmware_protocol.codes import FaultKind
from firmware_protocol.limits import MAX_CODED

__all__ = ["Buffer", "Columns", "Scanner", "wire_array"]

U8 = NDArray[np.uint8]
Buffer: TypeAlias = bytes | bytearray | memoryview | U8

_NO_PACKET = [KINDS.index(kind) for kind in (FaultKind.COBS, FaultKind.SHORT, FaultKind.CRC)]
_TRUNCATED = KINDS.index(FaultKind.TRUNCATED)
_MISSING_DELIMITER = KINDS.index(FaultKind.MISSING_DELIMITER)
_WHOLE = MAX_CODED + 1  # bytes that any stretch is complete with


def wire_array(data: Buffer) -> U8:
    """`data` as bytes that nobody writes to: the one kind of array that the kernel is compiled for."""
    wire = np.frombuffer(data, np.uint8)
    wire.flags.writeable = False
    return wire


@dataclass(slots=True)
class Columns:
    """Where a step writes its events."""

    events: NDArray[np.int64]
    values: NDArray[np.int32]
    status: NDArray[np.int32]
    raw: U8

    @classmethod
    def for_wire(cls, n_bytes: int, n_events: int) -> Columns:
        """Room for all that `n_bytes` can hold, and to begin with for `n_events` of its events.

        A sample takes three bytes of wire at least, a status word comes with four samples. An event may take as
        few as two bytes: who has room for that many never runs out of it.
        """
        n_bytes += MAX_CODED  # of a stretch that began before
        return cls(
            np.empty(EVENT_WORDS * (n_events + MAX_CODED + BURST), np.int64),
            np.empty(n_bytes // 3 + SLACK, np.int32),
            np.empty(n_bytes // 15 + 1, np.int32),
            np.empty(n_bytes + SCRATCH, np.uint8),
        )

    def holds(self, n_bytes: int) -> bool:
        """Whether all that `n_bytes` can hold but events fits in."""
        return self.raw.size >= n_bytes + MAX_CODED + SCRATCH

    def references(self) -> list[int]:
        """Of each array: more than of new columns where a batch still looks into it."""
        return [getrefcount(array) for array in (self.events, self.values, self.status, self.raw)]

    def double_events(self) -> None:
        self.events = np.concatenate((self.events, np.empty_like(self.events)))

    def behind(self, batch: Batch) -> Columns:
        """What is left behind the columns of `batch`."""
        return Columns(
            self.events[EVENT_WORDS * len(batch.events) :],
            self.values[len(batch.values) :],
            self.status[len(batch.status) :],
            self.raw[len(batch.raw) :],
        )


class Scanner:
    """Decoder of one stream; each step writes to columns that the caller provides."""

    def __init__(self, *, nonce: int | None = None, hardware: bool | None = None) -> None:
        if hardware and not HARDWARE_CRC:
            raise ValueError("hardware=True: this target has no CRC-32C instruction; False takes the table")
        self._tables = tables()
        self._state = np.zeros(_kernels.STATE_SIZE, np.int64)
        self._state[HAS_NONCE] = nonce is not None
        self._state.view(np.uint64)[NONCE] = nonce or 0
        self._state[HARDWARE] = bool(HARDWARE_CRC) if hardware is None else hardware
        self._carry = np.zeros(2 * _WHOLE + LANES, np.uint8)
        self._carried = wire_array(self._carry)
        self._n_pending = 0
        self._offset = 0  # stream position of the first pending byte
        # compile before the first real byte, not on it
        self._scan(self._carried, 0, 0, 0, 0, Columns.for_wire(0, 0))

    @property
    def offset(self) -> int:
        """Bytes fed so far."""
        return self._offset + self._n_pending

    @property
    def discarded(self) -> int:
        """Bytes skipped so far behind undelimited stretches."""
        return self._state.item(DISCARDED)

    def feed(self, wire: U8, columns: Columns) -> Batch:
        """Events of all packets that `wire` completes."""
        discarded = self.discarded
        self._state[:DISCARDING] = 0
        n = self._n_pending
        at = 0
        if n:
            head = wire[:_WHOLE]
            end = n + head.size
            self._carry[n:end] = head
            done = self._scan(self._carried, 0, n, end, self._offset, columns)
            self._offset += done
            if done < n:
                self._carry[: end - done] = self._carry[done:end]
                self._n_pending = end - done
                return self._batch(columns, discarded)
            at = done - n
        done = self._scan(wire, at, wire.size, wire.size, self._offset - at, columns)
        self._offset += done - at
        self._n_pending = wire.size - done
        if self._n_pending:
            self._carry[: self._n_pending] = wire[done:]
        return self._batch(columns, discarded)

    def finish(self, columns: Columns) -> Batch:
        """Events of what is still pending, once no more bytes will come."""
        self._state[:DISCARDING] = 0
        n = self._n_pending
        if n:
            self._carry[n] = 0
            self._scan(self._carried, 0, n, n + 1, self._offset, columns)
            self._offset += n
            self._n_pending = 0
            events = columns.events.view(EVENTS)
            last = int(self._state[N_EVENTS]) - 1
            if events["kind"][last] in _NO_PACKET:
                events["kind"][last] = _TRUNCATED
            else:
                events[last + 1] = 0
                events["offset"][last + 1] = self._offset
                events["kind"][last + 1] = _MISSING_DELIMITER
                events["first"][last + 1] = self._state[N_RAW]
                self._state[N_EVENTS] += 1
        self._state[DISCARDING] = 0
        return self._batch(columns, self.discarded)

    def _scan(self, wire: U8, begin: int, stop: int, end: int, base: int, columns: Columns) -> int:
        """Where it stopped: at or behind `stop`, or where a stretch begins that is not complete."""
        at = begin
        while True:
            at = _kernels.scan(
                wire,
                at,
                stop,
                end,
                base,
                self._state,
                self._tables,
                columns.events,
                columns.values,
                columns.status,
                columns.raw,
            )
            if EVENT_WORDS * (self._state.item(N_EVENTS) + BURST) <= columns.events.size:
                return at
            columns.double_events()

    def _batch(self, columns: Columns, discarded: int) -> Batch:
        n_events, n_values, n_status, n_raw, n_data, n_runs, _, n_text = self._state[:DISCARDING].tolist()
        batch = Batch(
            columns.events[: EVENT_WORDS * n_events].view(EVENTS),
            columns.values[:n_values],
            columns.status[:n_status],
            columns.raw[:n_raw],
            n_data,
            n_runs,
            self._offset,
            self.discarded - discarded,
        )
        if n_text:
            batch.check_texts()
        return batch
