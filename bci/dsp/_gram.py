"""The kernel of sliding covariances: Gram matrices of blocks of samples, summed in an order fixed by their numbers.

Rules:
- Channels are padded to whole vectors of W = 8 lanes with zeros, so there is no scalar tail; of each symmetric matrix
  only the vectors on and right of the diagonal's block are computed.
- Eight rows times eight lanes of a Gram matrix stay in registers while the samples of a chunk pass. Every element is a
  sum over samples in their order, one multiply-add each, so any cut into chunks gives the same bits.
- Blocks are counted from sample 0, and every `n_blocks` of them are a segment. A window is the end of one segment and
  the beginning of the next: when a segment is whole, its blocks turn into sums of themselves and all behind them, from
  the last to the first; the running segment is summed as it comes. So a window costs one addition of two sums, however
  many blocks it has, and its bits depend on the block numbers alone, never on cuts or on what was before.
- `ring` holds per signal (band) the blocks of a segment, then the sum of the running segment, then the window; each
  is a matrix (pitch, pitch) and a row of sums (pitch).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from bci.dsp._simd import Lanes, array_type, compiled, plain
from bci.jit import kernel

__all__ = ["PLACE", "TILE", "adder", "pitch_of", "runner"]

W = 8
TILE = 64  # samples padded and taken at a time

#: What `place` holds: full blocks in a row, is the running block whole so far, step, blocks.
PLACE = ("full", "whole", "step", "n_blocks")


def pitch_of(n_channels: int) -> int:
    """Channels padded to whole vectors."""
    return -(-n_channels // W) * W


def runner() -> Callable[..., int]:
    """`slide` compiled."""
    f64 = np.float64
    shapes = (
        array_type(f64, 3, "A"),
        types.int64,
        array_type(f64, 3),
        array_type(np.int64, 1),
        array_type(np.int64, 1),
        array_type(f64, 4),
    )
    if plain():
        return plain_slide
    return compiled(slide, *shapes)


def adder() -> Callable[..., None]:
    """`add_gram` compiled."""
    if plain():
        return plain_add_gram
    f64 = np.float64
    return compiled(add_gram, array_type(f64, 2, "A"), array_type(f64, 1), array_type(f64, 1))


@intrinsic  # type: ignore[untyped-decorator]
def _add_grams(typingctx: Any, x: Any, n: Any, pitch: Any, ring: Any, at: Any) -> Any:
    """Add the Gram matrix of n padded samples x[i * pitch …] to ring[at …], vectors right of the diagonal only."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        xs = lanes.pointer(context, signature.args[0], args[0])
        out = lanes.pointer(context, signature.args[3], args[3])
        _, n, pitch, _, at = args
        width = n.type(W)
        blocks = builder.sdiv(pitch, width)
        with lanes.loop(blocks) as row:
            i = builder.mul(row.index, width)
            with lanes.loop(builder.sub(blocks, row.index)) as column:
                j = builder.add(i, builder.mul(column.index, width))
                places = [
                    builder.add(builder.add(at, j), builder.mul(builder.add(i, n.type(r)), pitch))
                    for r in range(W)
                ]
                sums = [lanes.variable(lanes.load(out, place)) for place in places]
                with lanes.loop(n) as sample:
                    here = builder.mul(sample.index, pitch)
                    v = lanes.load(xs, builder.add(here, j))
                    here = builder.add(here, i)
                    for r in range(W):
                        one = lanes.spread(xs, builder.add(here, n.type(r)))
                        builder.store(lanes.fma(one, v, builder.load(sums[r])), sums[r])
                for place, total in zip(places, sums, strict=True):
                    lanes.store(builder.load(total), out, place)
        return context.get_dummy_value()

    return types.void(x, n, pitch, ring, at), generate


@kernel
def add_gram(x: Any, total: Any, scratch: Any) -> Any:
    """total += x xᵀ, sample after sample. x: (n_channels, n <= TILE). total: (pitch * pitch,), upper blocks only."""
    n_channels, n = x.shape
    pitch = (n_channels + W - 1) // W * W
    for i in range(n):
        for c in range(n_channels):
            scratch[i * pitch + c] = x[c, i]
    _add_grams(scratch, n, pitch, total, 0)


@kernel
def plain_add_gram(x: Any, total: Any, scratch: Any) -> Any:
    """`add_gram` in plain loops."""
    n_channels, n = x.shape
    pitch = (n_channels + W - 1) // W * W
    for t in range(n):
        for i in range(n_channels):
            for j in range(i, n_channels):
                total[i * pitch + j] += x[i, t] * x[j, t]


@kernel
def slide(x: Any, first: Any, ring: Any, place: Any, ends: Any, covs: Any) -> Any:
    """Take samples, emit the covariances that became due; returns their number, or -1 if x is not finite.

    x: (n_signals, n_channels, n_samples), any strides. ring: (n_signals, n_blocks + 2, pitch * (pitch + 1)).
    ends: (k,). covs: (k, n_signals, n_channels, n_channels).
    """
    n_signals, n, n_samples = x.shape
    step, n_blocks = place[2], place[3]
    pitch = (n + W - 1) // W * W
    sums = pitch * pitch
    scratch = np.zeros(TILE * pitch)
    check = np.zeros(pitch)
    for b in range(n_signals):
        for t in range(n_samples):
            for c in range(n):
                check[c] += x[b, c, t] * 0.0
    for c in range(n):
        if check[c] != 0.0:
            return -1
    emitted = 0
    t = 0
    while t < n_samples:
        phase = (first + t) % step
        slot = (first + t) // step % n_blocks
        m = min(TILE, n_samples - t, step - phase)
        if phase == 0:
            place[1] = 1
            ring[:, slot] = 0.0
        if place[1] == 1:
            for b in range(n_signals):
                block = ring[b, slot]
                for i in range(m):
                    for c in range(n):
                        scratch[i * pitch + c] = x[b, c, t + i]
                    for c in range(n):
                        block[sums + c] += scratch[i * pitch + c]
                _add_grams(scratch, m, pitch, block, 0)
            if phase + m == step:
                place[0] = min(place[0] + 1, n_blocks)
                for b in range(n_signals):
                    close_block(ring[b], slot, n_blocks)
                    if place[0] == n_blocks:
                        finish(ring[b, n_blocks + 1], n, pitch, n_blocks * step, covs[emitted, b])
                if place[0] == n_blocks:
                    ends[emitted] = first + t + m
                    emitted += 1
        t += m
    return emitted


@kernel
def close_block(blocks: Any, slot: Any, n_blocks: Any) -> Any:
    """Block `slot` is whole: add it to the running segment, and write the sum of the window that it ends."""
    block, running, window = blocks[slot], blocks[n_blocks], blocks[n_blocks + 1]
    if slot == 0:
        running[:] = 0.0
    for i in range(len(block)):
        running[i] += block[i]
    if slot < n_blocks - 1:
        before = blocks[slot + 1]
        for i in range(len(block)):
            window[i] = before[i] + running[i]
        return
    for i in range(len(block)):
        window[i] = running[i]
    for k in range(n_blocks - 2, 0, -1):  # the segment is whole; its first block is in no later window
        here, behind = blocks[k], blocks[k + 1]
        for i in range(len(here)):
            here[i] += behind[i]


@kernel
def finish(total: Any, n: Any, pitch: Any, n_window: Any, cov: Any) -> Any:
    """Gram matrix and sums of a window to a biased covariance, both triangles the same bits."""
    for i in range(n):
        mean = total[pitch * pitch + i] / n_window
        for j in range(i, n):
            value = (total[i * pitch + j] - mean * total[pitch * pitch + j]) / n_window
            cov[i, j] = value
            cov[j, i] = value


@kernel
def plain_slide(x: Any, first: Any, ring: Any, place: Any, ends: Any, covs: Any) -> Any:
    """`slide` in plain loops: the twin for tests, and for a machine where vectors do not work."""
    n_signals, n, n_samples = x.shape
    step, n_blocks = place[2], place[3]
    pitch = (n + W - 1) // W * W
    for b in range(n_signals):
        for c in range(n):
            for t in range(n_samples):
                if not np.isfinite(x[b, c, t]):
                    return -1
    emitted = 0
    for t in range(n_samples):
        slot = (first + t) // step % n_blocks
        if (first + t) % step == 0:
            place[1] = 1
            ring[:, slot] = 0.0
        if place[1] == 0:
            continue
        for b in range(n_signals):
            block = ring[b, slot]
            for i in range(n):
                block[pitch * pitch + i] += x[b, i, t]
                for j in range(i, n):
                    block[i * pitch + j] += x[b, i, t] * x[b, j, t]
        if (first + t + 1) % step == 0:
            place[0] = min(place[0] + 1, n_blocks)
            for b in range(n_signals):
                close_block(ring[b], slot, n_blocks)
                if place[0] == n_blocks:
                    finish(ring[b, n_blocks + 1], n, pitch, n_blocks * step, covs[emitted, b])
            if place[0] == n_blocks:
                ends[emitted] = first + t + 1
                emitted += 1
    return emitted
