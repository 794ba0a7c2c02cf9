"""Figure of the loss account: random patterns of what a device drops and a line loses, and what the driver says."""

from __future__ import annotations

import numpy as np

from bci.acquisition.assembler import Assembler
from bci.selftest._check import Check, Result
from firmware_protocol import Data, Heartbeat, Info, encode
from firmware_protocol.bulk import BulkDecoder

__all__ = ["CHECKS"]

MAX_GAP = 1_000_000
N_CHANNELS = 2


def _pattern(rng: np.random.Generator) -> str:
    """One stream from its truth; what the driver got wrong, or nothing."""
    at = int(rng.integers(0, 2**34))
    per_packet = int(rng.integers(1, 9))
    info = Info(
        0, 0, 0, 1, 0, "loss", "1", 7, 1, 250, 1, 0, N_CHANNELS, per_packet, ("A", "B"), (1.0, 1.0)
    )  # fmt: skip
    dropped = int(rng.integers(0, 2**40))
    wire = [encode(info), encode(Heartbeat(0, 0, 7, 0, at, dropped, 0))]
    lost_device = lost_link = received = before = 0
    gaps: list[tuple[int, int]] = []  # (first sample behind it, conversions)
    told_device = 0  # at the last heartbeat that arrived
    for _ in range(int(rng.integers(1, 40))):
        kind = rng.choice(4, p=(0.6, 0.15, 0.15, 0.1))
        n = per_packet if kind < 2 else int(rng.integers(1, 1 + min(MAX_GAP, 10 ** int(rng.integers(1, 7)))))
        n = int(rng.integers(1, per_packet + 1)) if kind == 0 and rng.random() < 0.2 else n
        if kind == 0:
            wire.append(encode(Data(0, 0, at & 0xFFFFFFFF, 0, N_CHANNELS, n, 0, bytes(3 * N_CHANNELS * n))))
            if rng.random() < 0.1:
                wire.append(wire[-1])  # the line doubles it
            gaps += [(at, before)] if before else []
            received, before = received + n, 0
        elif kind == 1:
            wire.append(encode(Heartbeat(0, 0, 7, 0, at, dropped, 0)))
            told_device = lost_device
            n = 0
        elif kind == 2:
            lost_device, dropped, before = lost_device + n, dropped + n, before + n
        else:
            lost_link, before = lost_link + n, before + n
        at += n
    wire.append(encode(Heartbeat(0, 0, 7, 0, at, dropped, 0)))
    told_device = lost_device
    assembler, decoder = Assembler(), BulkDecoder()
    stream = b"".join(wire)
    cut = int(rng.integers(0, len(stream) + 1))
    chunks = [c for part in (stream[:cut], stream[cut:]) for c in assembler.feed(decoder.feed(part))]
    statistics = assembler.statistics
    found = (
        statistics.samples,
        statistics.samples_lost,
        statistics.samples_lost_device,
        statistics.samples_lost_link,
        [(c.first_sample, c.lost_before) for c in chunks if c.lost_before],
    )
    truth = (received, lost_device + lost_link, told_device, lost_link, gaps)
    return "" if found == truth else f"{found}, in truth {truth}"


def _loss(nightly: bool) -> Result:
    n_patterns = 10_000 if nightly else 300
    rng = np.random.default_rng(4)
    wrong = [why for why in (_pattern(rng) for _ in range(n_patterns)) if why]
    return Result(
        not wrong,
        f"{n_patterns - len(wrong):,} of {n_patterns:,} patterns exact, gaps of up to {MAX_GAP:,} conversions"
        + (f"; first wrong one: {wrong[0]}" if wrong else ""),
        {"patterns": n_patterns, "wrong": len(wrong)},
    )


CHECKS = [
    Check(
        "loss-account",
        "acquisition",
        "conversions lost by device and line in random patterns: total, split, place of each gap",
        "exact in 10,000 patterns",
        _loss,
    ),
]
