"""A packet between others, damaged in many ways at once: what a decoder then takes for frames, and what is lost.

All variants lie one behind the other in one stream, so that the decoder sees millions of them in seconds. The damage
stays within one packet and its delimiter; the packets behind it end with delimiters that are whole, so each variant
begins in step. A frame that was not sent, or a loss that SPEC.md does not allow, is a `WrongDecodingError`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError
from firmware_protocol import Command, Data, Event, Frame, Heartbeat, Info, Log, Response, encode
from firmware_protocol.batch import Batch
from firmware_protocol.bulk import BulkDecoder

__all__ = [
    "LARGE",
    "SMALL",
    "Site",
    "WrongDecodingError",
    "all_pairs",
    "bursts",
    "deleted_bytes",
    "garbage",
    "inserted_bytes",
    "random_errors",
    "samples",
    "single_bits",
]

U8 = NDArray[np.uint8]
Bools = NDArray[np.bool_]
_CHUNK_BYTES = 8_000_000


class WrongDecodingError(BciError):
    """Damaged bytes gave a frame that was not sent, or cost more than they may."""


def must(holds: bool | np.bool_, what: str) -> None:
    if not holds:
        raise WrongDecodingError(what)


def samples(n: int, seed: int) -> bytes:
    """int24 of the size of EEG: half of their upper bytes are 0."""
    counts = np.random.default_rng(seed).normal(0, 600, n).astype(">i4")
    return counts.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def _with_status(n_samples: int, per_converter: int) -> bytes:
    return b"".join(b"\xc0\x00\x00" + samples(per_converter, k) for k in range(n_samples))


SMALL: dict[str, Frame] = {
    "data": Data(0, 0, 1000, 4_000_000, 8, 4, 1, samples(32, 1)),
    "data with status words": Data(0, 2, 1000, 4_000_000, 8, 2, 1, _with_status(2, 8), 0, True, 8),
    "event": Event(0, 0, 1004, 4_016_000, 1, 769, 0),
    "response": Response(0, 0, 700, 2, 0, 5_000_000, bytes(8)),
    "heartbeat": Heartbeat(0, 0, 12345, 10**12, 10**9, 3, 0, 3300, 31.5),
    "log": Log(0, 0, 4, 1, "converter 1 is ready"),
    "command": Command(0, 0, 700, 5, bytes((250, 0, 0, 0, 1, 0, 0, 0))),
}
LARGE: dict[str, Frame] = {
    "info": Info(0, 0, 0, 1, 0, "board", "1.0", 77, 1, 250, 1, 1, 8, 4, tuple("ABCDEFGH"), (0.022,) * 8),
    "data of 64 channels": Data(0, 0, 1000, 4_000_000, 64, 2, 1, samples(128, 2)),
    "data without a zero": Data(0, 0x11, 0x11111111, 0x11111111, 40, 4, 1, b"\x11" * 480),
}


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

    def lost(self, variants: U8, decoder: BulkDecoder) -> Bools:
        """Which packets each variant lost, shape (n_variants, n_packets).

        Raises
        ------
        WrongDecodingError
            On any frame that was not sent, or comes twice.
        """
        start = decoder.offset
        batch = decoder.feed(np.ascontiguousarray(variants).ravel())
        must(batch.end == decoder.offset, "a variant ends out of step")
        found = np.zeros((len(variants), len(self.frames)), np.int64)
        events = batch.events[batch.events["kind"] == 0]
        must((events["link_seq"] < len(self.frames)).all(), "a frame that was not sent")
        for k in range(len(self.frames)):
            rows = events[events["link_seq"] == k]
            self._check_sent(k, rows, batch)
            np.add.at(found[:, k], (rows["offset"] - start) // variants.shape[1], 1)
        must(found.max(initial=0) <= 1, "a frame that was sent once came twice")
        missed: Bools = np.equal(found, 0)
        return missed

    def check_cost(self, lost: Bools, delimiter_hit: Bools) -> None:
        """Packets before are never lost, the one behind only by the delimiter, those behind it never.

        Raises
        ------
        WrongDecodingError
            If one was.
        """
        must(not lost[:, : self.hit].any(), "a packet before the damage was lost")
        must(
            not lost[~delimiter_hit, self.behind].any(),
            "the packet behind was lost, its delimiter being whole",
        )
        must(not lost[:, self.behind + 1 :].any(), "a packet further behind was lost")

    def in_delimiter(self, bits: NDArray[np.int64]) -> Bools:
        """Which rows of `bits` hold one of the delimiter's."""
        hit: Bools = np.any(bits >= self.n_bits - 8, axis=1)
        return hit

    def _check_sent(self, k: int, rows: NDArray[np.void], batch: Batch) -> None:
        sent = self.frames[k]
        if not len(rows):
            return
        if isinstance(sent, Data):
            (run,) = BulkDecoder().feed(self.wires[k]).runs()
            header = rows.view(np.int64).reshape(len(rows), -1)[:, 1:3]
            must((header == run.events.view(np.int64)[1:3]).all(), "DATA with another header")
            for column, first, should in (
                (batch.values, rows["first"], run.samples.ravel()),
                (batch.status, rows["first_status"], run.status_words.ravel()),
            ):
                got = column[first[:, None] + np.arange(should.size)] if should.size else should
                must((got == should).all(), "DATA with other samples")
            return
        coded = np.frombuffer(self.wires[k][:-1], np.uint8)
        usual = rows["length"] == coded.size
        same = batch.raw[rows["first"][usual, None] + np.arange(coded.size)] == coded
        must(same.all(), "a frame that was not sent")
        for row in rows[~usual]:  # coded in another way
            must(batch._frame(row) == sent, "a frame that was not sent")


# ---- damage; each returns how many variants it tried ---------------------------------------------------------


def single_bits(site: Site) -> int:
    """Each flipped bit costs exactly its packet; a changed delimiter not even that."""
    bits = np.arange(site.n_bits)[:, None]
    lost = site.lost(site.flipped(bits), BulkDecoder())
    delimiter_hit = site.in_delimiter(bits)
    site.check_cost(lost, delimiter_hit)
    must(lost[~delimiter_hit, site.hit].all(), "a damaged packet was taken")
    must(not lost[delimiter_hit, site.hit].any(), "a changed delimiter: the packet before it was not found")
    return site.n_bits


def all_pairs(site: Site) -> int:
    """All pairs of flipped bits."""
    decoder = BulkDecoder()
    first, second = np.triu_indices(site.n_bits, 1)
    step = _CHUNK_BYTES // len(site.wire)
    for at in range(0, len(first), step):
        bits = np.stack((first[at : at + step], second[at : at + step]), axis=1)
        lost = site.lost(site.flipped(bits), decoder)
        delimiter_hit = site.in_delimiter(bits)
        site.check_cost(lost, delimiter_hit)
        must(lost[~delimiter_hit, site.hit].all(), "a damaged packet was taken")
    return len(first)


def random_errors(sites: list[Site], n: int, seed: int) -> int:
    """`n` random errors of 3 to 32 different bits."""
    rng = np.random.default_rng(seed)
    for site in sites:
        decoder = BulkDecoder()
        for bits in _random_bits(site, n // len(sites) + 1, rng):
            lost = site.lost(site.flipped(bits), decoder)
            site.check_cost(lost, site.in_delimiter(bits))
    return len(sites) * (n // len(sites) + 1)


def _random_bits(site: Site, n: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    step = _CHUNK_BYTES // len(site.wire)
    for at in range(0, n, step):
        rows = min(step, n - at)
        # Sorted numbers that may repeat, each pushed up by its place: different numbers.
        bits = np.sort(rng.integers(0, site.n_bits - 31, (rows, 32)), axis=1) + np.arange(32)
        order = rng.random((rows, 32)).argsort(axis=1)
        yield np.where(order < rng.integers(3, 33, (rows, 1)), bits, -1)


def deleted_bytes(site: Site) -> int:
    """Each deleted byte costs exactly its packet, a deleted delimiter nothing."""
    at = np.arange(site.begin, site.begin + site.n_bytes)
    kept = np.arange(len(site.wire) - 1)[None, :]
    lost = site.lost(site.wire[kept + (kept >= at[:, None])], BulkDecoder())
    expected = np.zeros_like(lost)
    expected[:-1, site.hit] = True
    must(np.array_equal(lost, expected), "a deleted byte cost something else than its packet")
    return len(at)


def inserted_bytes(site: Site) -> int:
    """Each byte value inserted at each place costs one packet at most."""
    end = site.begin + site.n_bytes
    where, value = (
        a.ravel() for a in np.meshgrid(np.arange(site.begin, end + 1), np.arange(256), indexing="ij")
    )
    kept = np.arange(len(site.wire) + 1)[None, :]
    variants = site.wire[np.minimum(kept - (kept > where[:, None]), len(site.wire) - 1)]
    variants[np.arange(len(where)), where] = value
    lost = site.lost(variants, BulkDecoder())
    coded = slice(site.begin, end - 1)
    whole = (variants[:, coded] == site.wire[coded]).all(axis=1)  # it stands there before what is foreign
    expected = np.zeros_like(lost)
    expected[~whole & ~((where == site.begin) & (value == 0)), site.hit] = True
    expected[(where == end) & (value > 0), site.behind] = True  # it stands before the next packet
    must(np.array_equal(lost, expected), "an inserted byte cost something else than its packet")
    must(whole.sum() >= 2 * 256, "no packet was left whole by what was inserted behind it")
    return len(where)


def bursts(site: Site, *, each: int = 8, seed: int = 5) -> int:
    """From every bit on up to 64 bits flipped at random, the first and the last of them for sure."""
    rng = np.random.default_rng(seed)
    n = 0
    for length in (2, 3, 8, 17, 32, 33, 64):
        starts = np.repeat(np.arange(site.n_bits - length + 1), each)
        flip = rng.random((len(starts), length)) < 0.5
        flip[:, [0, -1]] = True
        bits = np.where(flip, starts[:, None] + np.arange(length), -1)
        lost = site.lost(site.flipped(bits), BulkDecoder())
        delimiter_hit = site.in_delimiter(bits)
        site.check_cost(lost, delimiter_hit)
        must(lost[~delimiter_hit, site.hit].all(), "a damaged packet was taken")
        n += len(starts)
    return n


def garbage(n_bytes: int, seed: int) -> int:
    """Noise of many kinds, none of which may come out as a frame."""
    rng = np.random.default_rng(seed)
    choice = random.Random(seed)
    decoder = BulkDecoder()
    left = n_bytes
    while left > 0:
        n = min(left, 1 << 20)
        noise = rng.integers(0, 256, n, dtype=np.uint8)
        kind = choice.randrange(5)
        if kind == 1:  # delimiters from every other byte to one in 200
            noise[rng.random(n) < 0.5 ** choice.uniform(1, 8)] = 0
        elif kind == 2:  # headers of DATA wherever a packet may begin
            noise[np.flatnonzero(noise[:-3] == 0) + 2] = 0x11
        elif kind == 3:  # text
            noise = 32 + noise % 95
            noise[rng.random(n) < 0.02] = 10
        elif kind == 4:  # few values, so that code bytes fit often
            noise %= choice.randrange(2, 30)
        batch = decoder.feed(noise)
        must(not (batch.events["kind"] == 0).any(), "garbage gave a frame")
        left -= n
    decoder.finish()
    must(decoder.offset == n_bytes, "the decoder lost count of the bytes")
    return n_bytes
