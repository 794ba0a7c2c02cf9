"""Live wire to columns in memory that is laid out once: while a board streams, no array is allocated."""

from __future__ import annotations

from firmware_protocol._scanner import Buffer, Columns, Scanner, wire_array
from firmware_protocol.batch import Batch

__all__ = ["LiveRing"]


class LiveRing:
    """Decoder whose batches lie in a ring of two banks, one being written behind the other.

    A batch stays as it is while the next `keep_bytes` are fed, so another thread may read it without a copy; who
    needs it longer copies it. One thread feeds.

    Parameters
    ----------
    keep_bytes : int
        The default is 1.4 s of a link of 921,600 baud. Memory: 110 bytes for each, touched as it comes to use.
    nonce, hardware
        As of `BulkDecoder`. The kernel is compiled, or loaded, here.
    """

    def __init__(
        self, *, keep_bytes: int = 1 << 17, nonce: int | None = None, hardware: bool | None = None
    ) -> None:
        self._scanner = Scanner(nonce=nonce, hardware=hardware)
        self._keep_bytes = keep_bytes
        self._bank, self._other = (Columns.for_wire(2 * keep_bytes, keep_bytes) for _ in range(2))
        self._room = self._bank
        self._used = 0  # bytes fed into this bank

    @property
    def offset(self) -> int:
        """Bytes fed so far."""
        return self._scanner.offset

    @property
    def discarded(self) -> int:
        """Bytes skipped so far behind undelimited stretches."""
        return self._scanner.discarded

    def feed(self, data: Buffer) -> Batch:
        """Events of all packets that `data` completes.

        Raises
        ------
        ValueError
            If `data` has more than `keep_bytes` bytes: that is a capture, which `BulkDecoder` takes.
        """
        wire = wire_array(data)
        if wire.size > self._keep_bytes:
            raise ValueError(
                f"{wire.size} bytes at once for a ring that keeps {self._keep_bytes}: use BulkDecoder"
            )
        if self._used + wire.size > 2 * self._keep_bytes:
            self._bank, self._other = self._other, self._bank
            self._room = self._bank
            self._used = 0
        batch = self._scanner.feed(wire, self._room)
        self._room = self._room.behind(batch)
        self._used += wire.size
        return batch
