"""The kernel held against the reference decoder on damaged streams, cut anywhere; and its rate."""

from __future__ import annotations

import random
import time

import numpy as np

from bci.errors import BciError
from bci.selftest._corruption import samples
from bci.selftest._random_frames import damaged_row, damaged_wire
from firmware_protocol import Data, Decoder, encode
from firmware_protocol._simd import HARDWARE_CRC
from firmware_protocol.bulk import BulkDecoder

__all__ = ["UnequalEventsError", "compare_decoders", "decode_rate"]


class UnequalEventsError(BciError):
    """Kernel and reference decoder do not give the same events."""


def compare_decoders(n_streams: int, seed: int) -> tuple[int, int]:
    """Damaged streams, half of them rows of DATA, cut at random, CRC by instruction and by table: bytes, events."""
    rng = random.Random(seed)
    n_bytes = n_events = 0
    for k in range(n_streams):
        wire = damaged_wire(rng, 10) if k & 2 else damaged_row(rng, 40)
        reference = Decoder()
        expected = [*reference.feed(wire), *reference.finish()]
        decoder = BulkDecoder(hardware=bool(HARDWARE_CRC) and k & 1 == 1)
        got = []
        at = 0
        while at < len(wire):
            size = rng.choice((7, 659, 5000, 20_000))
            got += decoder.feed(wire[at : at + size]).unpack()
            at += size
        got += decoder.finish().unpack()
        if got != expected or decoder.discarded != reference.discarded:
            raise UnequalEventsError(f"stream {k} of seed {seed}: {wire.hex()}")
        n_bytes += len(wire)
        n_events += len(got)
    return n_bytes, n_events


def decode_rate(megabytes: int, *, hostile: bool) -> float:
    """Bytes a second of processor time: 8 channels × 4 samples a packet, or a delimiter in every other byte."""
    frames = [Data(k, 0, 4 * k, 16_000 * k, 8, 4, 1, samples(32, k)) for k in range(500)]
    unit = b"\x01\x00" * 30_000 if hostile else b"".join(map(encode, frames))
    blocks = [unit * (-(-(1 << 19) // len(unit)))] * megabytes * 2
    decoder = BulkDecoder()
    for block in blocks[:2]:
        decoder.feed(block)
    seconds = []
    for block in blocks:
        start = time.thread_time()
        decoder.feed(block)
        seconds.append(time.thread_time() - start)
    return len(blocks[0]) / float(np.median(seconds))
