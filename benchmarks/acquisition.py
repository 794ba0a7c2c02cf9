"""From the wire to chunks in µV: the driver's columns against the same written frame by frame, and against a rate.

Samples, numbers, losses and markers of both are asserted equal first. A rate to reach is shown as a rival that has this
rate, so the ratio is how many times it was reached. Latency, throughput through sockets and the long runs are checks of
`bci selftest`, because they take processes and minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.acquisition.assembler import Assembler
from bci.acquisition.clock import SampleClock
from bci.chunks import Chunk
from bci.selftest._wire_maker import WireMaker
from benchmarks._measure import Row, compare, median_time, say
from firmware_protocol import Decoder
from firmware_protocol.bulk import BulkDecoder
from tests.acquisition.plain_assembler import PlainAssembler

BLOCK = 1 << 18
LIVE_BLOCK = 260  # two packets of 8 channels × 4 samples: what a read finds at 1 kHz
WIDE = (64, 16_000, 3)  # channels, Hz, samples a packet
TIMES_REAL_TIME = 20.0


def run(quick: bool) -> list[Row]:
    rounds = 5 if quick else 15
    narrow = _wire(8, 1000, 4, seconds=2 if quick else 10)
    return [
        *(_against_frames(narrow, block, rounds) for block in (BLOCK, LIVE_BLOCK)),
        _wide(rounds),
        _clock(rounds),
    ]


def _wire(n_channels: int, rate_hz: int, n_samples: int, *, seconds: int) -> bytes:
    maker = WireMaker(n_channels, rate_hz, n_samples)
    blocks = [maker.info()]
    for _ in range(seconds):
        blocks += [maker.data(rate_hz // n_samples), maker.heartbeat()]
    return b"".join(blocks)


def _played(assembler: Any, decoder: Any, wire: bytes, block: int) -> list[Chunk]:
    return [
        chunk
        for at in range(0, len(wire), block)
        for chunk in assembler.feed(decoder.feed(wire[at : at + block]))
    ]


def _equal(ours: list[Chunk], theirs: list[Chunk]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert (a.first_sample, a.lost_before, a.restart, a.markers) == (
            b.first_sample,
            b.lost_before,
            b.restart,
            b.markers,
        )
        np.testing.assert_array_equal(a.data_uv, b.data_uv)


def _against_frames(wire: bytes, block: int, rounds: int) -> Row:
    return compare(
        f"wire to µV, 8 channels × 4 samples, {block} bytes at a time",
        lambda: _played(Assembler(), BulkDecoder(), wire, block),
        lambda: _played(PlainAssembler(), Decoder(), wire, block),
        rival_name="frame by frame",
        target=10.0 if block == BLOCK else 1.0,
        equal=_equal,
        rounds=rounds,
        round_s=0.1,
    )


def _wide(rounds: int) -> Row:
    say("64 channels, and the clock")
    seconds = 2
    wire = _wire(*WIDE, seconds=seconds)
    ours_s = median_time(lambda: _played(Assembler(), BulkDecoder(), wire, BLOCK), rounds=rounds)
    needed_s = seconds / TIMES_REAL_TIME
    return Row(
        f"wire to µV, {WIDE[0]} channels × {WIDE[1] / 1000:g} kSPS",
        f"{TIMES_REAL_TIME:g} × real time",
        ours_s,
        needed_s,
        needed_s / ours_s,
        1.0,
        note=f"{seconds / ours_s:.0f} × real time",
    )


def _clock(rounds: int) -> Row:
    """A read of one packet at 250 SPS, against the 16 ms between two."""
    clock = SampleClock()
    clock.configured(250.0)
    n = np.full(1, 4)
    sample = 0

    def update() -> None:
        nonlocal sample
        for _ in range(100):
            sample += 4
            t_us = np.array([sample * 4000 & 0xFFFFFFFF], np.uint32)
            clock.data(np.array([sample + 3]), n, t_us, np.array([10**12 + sample * 4_000_000 + 3_000_000]))

    ours_s = median_time(update, rounds=rounds) / 100
    return Row("clock, one packet", "1 % of 16 ms", ours_s, 160e-6, 160e-6 / ours_s, 1.0)
