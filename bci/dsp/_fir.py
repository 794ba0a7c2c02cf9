"""The kernel of short filters with a finite response: a block of channels times eight samples stays in registers.

Rules:
- `packed` is one array: `[rows filled, n_taps, taps …, line …, scratch of GROUP * W]`. The line keeps the newest
  samples as rows padded to whole vectors (pitch), at least n_taps - 1 of them before the chunk's first.
- Each output is the sum over taps 0, 1, 2 … in this order, one multiply-add each, whether its sample came alone or
  among many: any cut gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from bci.chunks import F64
from bci.dsp._simd import Lanes, aligned, array_type, compiled, move, not_finite, plain
from bci.jit import bare_kernel, kernel

__all__ = ["GROUP", "pack", "runner", "same_taps", "start"]

HEAD = 2
W = 8
GROUP = 8
ROWS = 256  # rows of the line beyond the filter's memory


def runner() -> Callable[..., int]:
    """`fir_run` compiled."""
    if plain():
        return plain_run
    f64 = np.float64
    signal = array_type(f64, 2, "A")
    return compiled(fir_run, signal, signal, array_type(f64, 1))


def pack(taps: F64, n_channels: int) -> F64:
    """The kernel's one array, the line zero."""
    pitch = -(-n_channels // W) * W
    packed = aligned(_line_at(len(taps)) + (len(taps) - 1 + ROWS) * pitch + GROUP * W)
    packed[1] = len(taps)
    packed[HEAD : HEAD + len(taps)] = taps
    return packed


def start(packed: F64, first: F64) -> None:
    """Fill the filter's memory with one sample."""
    n_taps, pitch = int(packed[1]), -(-len(first) // W) * W
    line = packed[_line_at(n_taps) :][: (n_taps - 1) * pitch].reshape(n_taps - 1, pitch)
    line[:] = 0.0
    line[:, : len(first)] = first
    packed[0] = n_taps - 1


def same_taps(packed: F64, other: F64) -> bool:
    """Are these arrays of `pack` of the same filter?"""
    n_taps = int(packed[1])
    return np.array_equal(packed[1 : HEAD + n_taps], other[1 : HEAD + n_taps])


def _line_at(n_taps: int) -> int:
    """Where the line starts: at a whole vector."""
    return (HEAD + n_taps + W - 1) // W * W


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _dot(typingctx: Any, packed: Any, at: Any, pitch: Any, y: Any, y_at: Any, y_step: Any, group: Any) -> Any:
    """y[y_at + g * y_step] = sum over k of taps[k] * packed[at + (g - k) * pitch], vectors, for g < group."""
    if not isinstance(group, types.IntegerLiteral):
        return None
    size = group.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        pk, ys = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 3))
        _, at, pitch, _, y_at, y_step, _ = args
        n_taps = builder.fptosi(builder.load(builder.gep(pk, [at.type(1)])), at.type)
        sums = [lanes.variable(lanes.zero) for _ in range(size)]
        with lanes.loop(n_taps) as tap:
            h = lanes.spread(pk, builder.add(tap.index, at.type(HEAD)))
            newest = builder.sub(at, builder.mul(tap.index, pitch))
            for g in range(size):
                x = lanes.load(pk, builder.add(newest, builder.mul(pitch, pitch.type(g))))
                builder.store(lanes.fma(h, x, builder.load(sums[g])), sums[g])
        for g in range(size):
            lanes.store(builder.load(sums[g]), ys, builder.add(y_at, builder.mul(y_step, y_step.type(g))))
        return context.get_dummy_value()

    return types.void(packed, at, pitch, y, y_at, y_step, group), generate


@bare_kernel
def fir_run(x: Any, y: Any, packed: Any) -> Any:
    """x, y: (n_channels, n_samples), any strides. Returns 0, 1 if x is not finite, 2 if y has another shape."""
    n_channels, n = x.shape
    if y.shape[0] != n_channels or y.shape[1] != n:
        return 2
    n_taps = int(packed[1])
    pitch = (n_channels + W - 1) // W * W
    line = (HEAD + n_taps + W - 1) // W * W
    room = n_taps - 1 + ROWS
    scratch = line + room * pitch
    x_step, y_step = x.strides[1] // 8, y.strides[1] // 8
    direct = y.strides[0] == 8
    bad = 0
    whole = n_channels // W * W if x.strides[0] == 8 else 0
    for t in range(n):
        for first in range(0, whole, W):
            bad |= not_finite(x, t * x_step + first)
        for c in range(whole, n_channels):
            bad |= int(x[c, t] - x[c, t] != 0.0)  # NaN for NaN and for infinity
    if bad != 0:
        return 1
    filled = int(packed[0])
    t = 0
    while t < n:
        if filled == room:
            for i in range(0, (n_taps - 1) * pitch, W):
                move(packed, line + ROWS * pitch + i, packed, line + i)
            filled = n_taps - 1
        m = min(n - t, room - filled)
        for first in range(0, n_channels, W):
            k = min(W, n_channels - first)
            for i in range(m):
                at = line + (filled + i) * pitch + first
                if k == W and x.strides[0] == 8:
                    move(x, (t + i) * x_step + first, packed, at)
                else:
                    for c in range(k):
                        packed[at + c] = x[first + c, t + i]
            i = 0
            while i < m:
                at = line + (filled + i) * pitch + first
                g = GROUP if m - i >= GROUP else 1
                if direct and k == W:
                    y_at = (t + i) * y_step + first
                    if g == GROUP:
                        _dot(packed, at, pitch, y, y_at, y_step, GROUP)
                    else:
                        _dot(packed, at, pitch, y, y_at, y_step, 1)
                else:
                    if g == GROUP:
                        _dot(packed, at, pitch, packed, scratch, W, GROUP)
                    else:
                        _dot(packed, at, pitch, packed, scratch, W, 1)
                    for j in range(g):
                        for c in range(k):
                            y[first + c, t + i + j] = packed[scratch + j * W + c]
                i += g
        filled += m
        t += m
    packed[0] = filled
    return 0


@kernel
def plain_run(x: Any, y: Any, packed: Any) -> Any:
    """`fir_run` in plain loops: the twin for tests, and for a machine where vectors do not work."""
    n_channels, n = x.shape
    if y.shape[0] != n_channels or y.shape[1] != n:
        return 2
    n_taps = int(packed[1])
    pitch = (n_channels + W - 1) // W * W
    line = (HEAD + n_taps + W - 1) // W * W
    room = n_taps - 1 + ROWS
    for t in range(n):
        for c in range(n_channels):
            if not np.isfinite(x[c, t]):
                return 1
    filled = int(packed[0])
    for t in range(n):
        if filled == room:
            for i in range((n_taps - 1) * pitch):
                packed[line + i] = packed[line + ROWS * pitch + i]
            filled = n_taps - 1
        for c in range(n_channels):
            packed[line + filled * pitch + c] = x[c, t]
            total = 0.0
            for k in range(n_taps):
                total += packed[HEAD + k] * packed[line + (filled - k) * pitch + c]
            y[c, t] = total
        filled += 1
    packed[0] = filled
    return 0
