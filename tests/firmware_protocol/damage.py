"""A packet between others, damaged in many ways at once: what a decoder then takes for frames, and what is lost.

All variants lie one behind the other in one stream, so that the kernel sees millions of them in seconds. The damage
stays within one packet and its delimiter; the packets behind it end with delimiters that are whole, so each variant
begins in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import Data, Event, Frame, encode
from firmware_protocol.batch import Batch
from firmware_protocol.bulk import BulkDecoder

U8 = NDArray[np.uint8]
_CHUNK_BYTES = 8_000_000


class Site:
    """Packets whose `link_seq` counts from 0; `hit` is the one that is damaged.

    An EVENT stands before and behind it; with `in_a_row` eight and two DATA packets: what a decoder sees that takes
    several of them together.
    """

    def __init__(self, frame: Frame, *, in_a_row: bool = False) -> None:
        def other(k: int) -> Frame:
            return Data(k, 0, 4 * k, 16 * k, 8, 1, 1, bytes(24)) if in_a_row else Event(k, 0, k, k, 1, 769, 0)

        self.hit = 8 if in_a_row else 1
        self.behind = self.hit + 1
        n_frames = 11 if in_a_row else 3
        self.frames = [replace(frame, link_seq=k) if k == self.hit else other(k) for k in range(n_frames)]
        self.wires = [encode(frame) for frame in self.frames]
        self.wire = np.frombuffer(b"".join(self.wires), np.uint8)
        self.begin = sum(map(len, self.wires[: self.hit]))
        self.n_bytes = len(self.wires[self.hit])  # with its delimiter
        self.n_bits = 8 * self.n_bytes

    def flipped(self, bits: NDArray[np.int64]) -> U8:
        """A variant for each row of `bits`, numbers of bits of the packet; −1 flips nothing."""
        variants = np.tile(self.wire, (len(bits), 1))
        rows = np.arange(len(bits))
        for column in bits.T:
            mask = np.where(column < 0, 0, 1 << (column & 7)).astype(np.uint8)
            variants[rows, self.begin + (np.maximum(column, 0) >> 3)] ^= mask
        return variants

    def pairs(self) -> Iterator[NDArray[np.int64]]:
        """All pairs of bits, chunk by chunk."""
        first, second = np.triu_indices(self.n_bits, 1)
        step = _CHUNK_BYTES // len(self.wire)
        for at in range(0, len(first), step):
            yield np.stack((first[at : at + step], second[at : at + step]), axis=1)

    def random_bits(self, n: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """`n` sets of 3 to 32 different bits, chunk by chunk."""
        step = _CHUNK_BYTES // len(self.wire)
        for at in range(0, n, step):
            rows = min(step, n - at)
            # Sorted numbers that may repeat, each pushed up by its place: different numbers.
            bits = np.sort(rng.integers(0, self.n_bits - 31, (rows, 32)), axis=1) + np.arange(32)
            order = rng.random((rows, 32)).argsort(axis=1)
            yield np.where(order < rng.integers(3, 33, (rows, 1)), bits, -1)

    def lost(self, variants: U8, decoder: BulkDecoder) -> NDArray[np.bool_]:
        """Which packets each variant lost, shape (n_variants, n_packets).

        Raises AssertionError on any frame that was not sent, or comes twice.
        """
        start = decoder.offset
        batch = decoder.feed(np.ascontiguousarray(variants).ravel())
        assert batch.end == decoder.offset, "a variant ends out of step"
        found = np.zeros((len(variants), len(self.frames)), np.int64)
        events = batch.events[batch.events["kind"] == 0]
        assert (events["link_seq"] < len(self.frames)).all(), "a frame that was not sent"
        for k in range(len(self.frames)):
            rows = events[events["link_seq"] == k]
            self._assert_sent(k, rows, batch)
            np.add.at(found[:, k], (rows["offset"] - start) // variants.shape[1], 1)
        assert found.max(initial=0) <= 1, "a frame that was sent once came twice"
        return found == 0

    def _assert_sent(self, k: int, rows: NDArray[np.void], batch: Batch) -> None:
        sent = self.frames[k]
        if not len(rows):
            return
        if isinstance(sent, Data):
            (run,) = BulkDecoder().feed(self.wires[k]).runs()
            header = rows.view(np.int64).reshape(len(rows), -1)[:, 1:3]
            assert (header == run.events.view(np.int64)[1:3]).all(), "DATA with another header"
            for column, first, should in (
                (batch.values, rows["first"], run.samples.ravel()),
                (batch.status, rows["first_status"], run.status_words.ravel()),
            ):
                got = column[first[:, None] + np.arange(should.size)] if should.size else should
                assert (got == should).all(), "DATA with other samples"
            return
        coded = np.frombuffer(self.wires[k][:-1], np.uint8)
        usual = rows["length"] == coded.size
        assert (batch.raw[rows["first"][usual, None] + np.arange(coded.size)] == coded).all(), (
            "a frame not sent"
        )
        for row in rows[~usual]:  # coded in another way
            assert batch._frame(row) == sent, "a frame not sent"
