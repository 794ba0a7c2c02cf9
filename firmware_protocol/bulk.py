"""Captures to columns: `decode_file` for files of any size, `BulkDecoder` for bytes from elsewhere.

The events are those of `codec.Decoder`, in the same order; samples come as one array. The first use in a new
installation compiles the kernel.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from firmware_protocol._scanner import Buffer, Columns, Scanner, wire_array
from firmware_protocol.batch import EVENTS, KINDS, Batch, Run
from firmware_protocol.errors import CaptureError

__all__ = ["EVENTS", "KINDS", "Batch", "BulkDecoder", "Run", "decode_file"]

_BLOCK = 1 << 19  # wire and columns of one block stay in a second-level cache
_USUAL = 32  # wire bytes an event takes at least, as a rule; where it takes fewer, the columns grow
_SPARE = 2  # one batch that the caller still holds, one that is written
_UNUSED = Columns.for_wire(0, 0).references()


class BulkDecoder:
    """Find frames in a byte stream that may be cut, damaged or joined midway, and give them as columns.

    Parameters
    ----------
    nonce : int, optional
        The nonce of a recording, whose HOST packets then are frames.
    hardware : bool, optional
        Take the CPU's CRC-32C instruction (True) or the table (False); left out: the instruction where there is
        one. The events are the same.

    Raises
    ------
    ValueError
        If `hardware` is True and there is no such instruction.
    """

    def __init__(self, *, nonce: int | None = None, hardware: bool | None = None) -> None:
        self._scanner = Scanner(nonce=nonce, hardware=hardware)
        self._spare: list[Columns] = []

    @property
    def offset(self) -> int:
        """Bytes fed so far."""
        return self._scanner.offset

    @property
    def discarded(self) -> int:
        """Bytes skipped so far behind undelimited stretches."""
        return self._scanner.discarded

    def feed(self, data: Buffer) -> Batch:
        """Events of all packets that `data` completes; any cut of the stream gives the same events."""
        wire = wire_array(data)
        return self._scanner.feed(wire, self._columns(wire.size))

    def finish(self) -> Batch:
        """Events of what is still pending, once no more bytes will come."""
        return self._scanner.finish(Columns.for_wire(0, 0))

    def _columns(self, n_bytes: int) -> Columns:
        """Columns that nobody looks into: new memory costs a page fault each 4 KiB, half as long as decoding to it."""
        for columns in self._spare:
            if columns.holds(n_bytes) and columns.references() == _UNUSED:
                return columns
        columns = Columns.for_wire(n_bytes, n_bytes // _USUAL)
        self._spare = [columns, *self._spare[: _SPARE - 1]]
        return columns


def decode_file(path: str | Path, *, nonce: int | None = None, block_bytes: int = _BLOCK) -> Iterator[Batch]:
    """Events of a capture, block by block; memory does not grow with the file.

    Parameters
    ----------
    path : path
        Wire bytes as they came. The file is mapped and must not be cut short meanwhile; it may grow.
    nonce : int, optional
        As of `BulkDecoder`.
    block_bytes : int
        Wire bytes that one batch covers.

    Raises
    ------
    CaptureError
        If the file cannot be opened or mapped.
    """
    decoder = BulkDecoder(nonce=nonce)
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else None
    except (OSError, ValueError) as err:
        raise CaptureError(f"{path} cannot be read as a capture: {err}") from err
    if mapped is not None:
        with mapped, memoryview(mapped) as wire:
            for at in range(0, size, block_bytes):
                with wire[at : at + block_bytes] as block:
                    batch = decoder.feed(block)
                yield batch
                _forget(mapped, at, block_bytes)
    yield decoder.finish()


def _forget(mapped: mmap.mmap, at: int, n_bytes: int) -> None:
    """Let the system take back the pages of a block that is done with, where it can be told so."""
    if hasattr(mmap, "MADV_DONTNEED"):
        begin = at & -mmap.PAGESIZE
        mapped.madvise(mmap.MADV_DONTNEED, begin, min(n_bytes, len(mapped) - begin))
