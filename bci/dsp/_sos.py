"""The kernel of recursive filters: a cascade of sections over blocks of channels, states held in registers.

Rules:
- `packed` is one array, since each argument of a call costs as much as thirty multiplications:
  `[area, n_sections, gain, (b1, b2, a1, a2) of each section, states of area 0, states of area 1, scratch tile]`.
  The states of one block of W channels are `(n_sections, 2, W)`.
- The gain of all sections is one multiplication at the front, so every section has b0 = 1. `form` has a letter for
  each: "p" b = [1, 0, -1] (3 operations a sample), "n" b = [1, b1, 1] (4), "m" any other (5).
- Blocks start at channel 0, W, 2W … and the last one at n_channels - W: it overlaps, computing the same bits twice,
  which is cheaper than a scalar tail. Fewer than W channels, or channels that do not lie side by side, go through
  the scratch tile. So y may be x itself where channels are whole blocks, or fewer than one; else they lie apart.
- States are read from the valid area and written to the other one; the areas swap only if every state is finite. So a
  chunk with NaN is refused without a pass of its own over the input, and the filter goes on as if it never came. (What
  was NaN or infinite once makes its state NaN ever after, so a look at the last states is enough.)
- Long chunks go in tiles that stay in the first-level cache while the blocks pass over them. Where x and y are too
  large for the caches, the loop asks with every vector for one line of the next tile of x, in the order in which they
  lie in memory, so that arithmetic and memory work at the same time; asking for a whole tile at once fills the queue
  of requests and gains nothing. Likewise for y, whose lines are read before they are written; but where all vectors of
  y are whole lines and y is not x itself, they go past the caches unread. (The lock that a call takes on its way back
  to Python puts them in order for other threads.) Together this halves the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import literally, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp._simd import (
    VECTOR_BYTES,
    Lanes,
    aligned,
    array_type,
    compiled,
    element,
    lanes_of,
    not_finite,
    plain,
)
from bci.jit import bare_kernel, kernel

__all__ = ["bank_runner", "factor", "pack", "runner", "set_states", "states"]

HEAD = 3
SCRATCH_SAMPLES = 128
TILE_BYTES = 8192  # of x; double or half of it is slower by a tenth
FAR_BYTES = 1 << 20  # x and y of this size are no longer in a core's own caches


def factor(sos: F64) -> tuple[float, F64, str]:
    """Split sections (n, 6) into one gain, taps (n, 4) `b1 b2 a1 a2` for b0 = a0 = 1, and the form.

    The double zeros that a Butterworth band-pass has at 0 and at half the rate are dealt out one of each to a section:
    the same filter, but `1 - z⁻²` costs no multiplication.
    """
    b, a = sos[:, :3].copy(), sos[:, 4:]
    # a section that only delays keeps its place; 1e-300 vanishes in rounding
    b[b[:, 0] == 0] += [1e-300, 0.0, 0.0]
    gain = float(np.prod(b[:, 0]))
    b /= b[:, :1]
    at_half = [i for i in range(len(b)) if np.array_equal(b[i], [1.0, 2.0, 1.0])]
    at_zero = [i for i in range(len(b)) if np.array_equal(b[i], [1.0, -2.0, 1.0])]
    for i, j in zip(at_half, at_zero, strict=False):
        b[i] = b[j] = [1.0, 0.0, -1.0]
    form = "".join("p" if np.array_equal(r, [1.0, 0.0, -1.0]) else "n" if r[2] == 1.0 else "m" for r in b)
    return gain, np.concatenate([b[:, 1:], a], axis=1), form


def pack(gain: float, taps: F64, n_channels: int, dtype: Any) -> NDArray[Any]:
    """The kernel's one array, states zero."""
    w = lanes_of(dtype)
    n_states = -(-n_channels // w) * 2 * len(taps) * w
    head = [0.0, float(len(taps)), gain, *taps.ravel()]
    packed = aligned(len(head) + 2 * n_states + SCRATCH_SAMPLES * w, dtype)
    packed[: len(head)] = head
    return packed


def states(packed: NDArray[Any], n_channels: int) -> NDArray[Any]:
    """The valid states as (n_sections, 2, n_channels), whatever the lanes of this machine."""
    blocks, channels = _areas(packed, n_channels)
    z = np.empty((*blocks.shape[2:4], n_channels), packed.dtype)
    for b, lanes in enumerate(channels):
        z[:, :, lanes] = blocks[int(packed[0]), b, :, :, : len(lanes)]
    return z


def set_states(packed: NDArray[Any], z: NDArray[Any]) -> None:
    """Put states (n_sections, 2, n_channels) into the valid area."""
    blocks, channels = _areas(packed, z.shape[2])
    for b, lanes in enumerate(channels):
        blocks[int(packed[0]), b, :, :, : len(lanes)] = z[:, :, lanes]


def _areas(packed: NDArray[Any], n_channels: int) -> tuple[NDArray[Any], list[range]]:
    """A view (2 areas, n_blocks, n_sections, 2, W) of the states, and the channels of each block."""
    w, n_sections = lanes_of(packed.dtype), int(packed[1])
    n_blocks = -(-n_channels // w)
    start = HEAD + 4 * n_sections
    area = packed[start : start + 2 * n_blocks * 2 * n_sections * w]
    firsts = [max(0, min(b * w, n_channels - w)) for b in range(n_blocks)]
    return area.reshape(2, n_blocks, n_sections, 2, w), [range(f, min(f + w, n_channels)) for f in firsts]


def runner(form: str, dtype: Any) -> Callable[..., int]:
    """`sos_run` compiled for one form and number type."""
    if plain():
        return plain_run
    signal = array_type(dtype, 2, "A")
    return compiled(sos_run, signal, signal, array_type(dtype, 1), form)


def bank_runner(form: str, dtype: Any) -> Callable[..., int]:
    """`bank_run` compiled for one form and number type."""
    if plain():
        return plain_bank_run
    return compiled(
        bank_run, array_type(dtype, 2, "A"), array_type(dtype, 3, "A"), array_type(dtype, 2), form
    )


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _cascade(
    typingctx: Any,
    x: Any,
    x_at: Any,
    x_step: Any,
    y: Any,
    y_at: Any,
    y_step: Any,
    n: Any,
    packed: Any,
    z_from: Any,
    z_to: Any,
    ahead: Any,
    n_blocks: Any,
    past_caches: Any,
    form: Any,
) -> Any:
    """Filter the n vectors `x[x_at + i * x_step]` into `y[y_at + i * y_step]`.

    With n_blocks > 0 also ask for n lines, those of sample `ahead // n_blocks` from block `ahead % n_blocks` on.
    """
    if not isinstance(form, types.StringLiteral) or not isinstance(past_caches, types.IntegerLiteral):
        return None  # Numba asks again with the literals
    sections, unread = form.literal_value, bool(past_caches.literal_value)
    far = not isinstance(n_blocks, types.IntegerLiteral)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, signature.args[7].dtype)
        xs, ys, pk = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 3, 7))
        _, x_at, x_step, _, y_at, y_step, n, _, z_from, z_to, ahead, n_blocks, _, _ = args
        index = n.type
        gain = lanes.spread(pk, index(2))
        taps = [[lanes.spread(pk, index(HEAD + 4 * s + k)) for k in range(4)] for s in range(len(sections))]
        places = [index(k * lanes.width) for k in range(2 * len(sections))]
        z = [lanes.variable(lanes.load(pk, builder.add(z_from, place))) for place in places]
        x_now, y_now = lanes.variable(x_at), lanes.variable(y_at)
        if far:
            sample, block = builder.sdiv(ahead, n_blocks), lanes.variable(builder.srem(ahead, n_blocks))
            rows = [(xs, x_step, lanes.variable(builder.mul(sample, x_step)), False)]
            if not unread:
                rows += [(ys, y_step, lanes.variable(builder.mul(sample, y_step)), True)]
        with lanes.loop(n):
            at = builder.load(x_now)
            v = lanes.mul(lanes.load(xs, at), gain)
            builder.store(builder.add(at, x_step), x_now)
            for s, letter in enumerate(sections):
                b1, b2, a1, a2 = taps[s]
                y = lanes.add(v, builder.load(z[2 * s]))
                z1, z2 = builder.load(z[2 * s + 1]), v
                if letter == "p":
                    z2 = builder.fneg(v)
                else:
                    z1 = lanes.add(lanes.mul(b1, v), z1)
                if letter == "m":
                    z2 = lanes.mul(b2, v)
                builder.store(lanes.sub(z1, lanes.mul(a1, y)), z[2 * s])
                builder.store(lanes.sub(z2, lanes.mul(a2, y)), z[2 * s + 1])
                v = y
            at = builder.load(y_now)
            lanes.store(v, ys, at, past_caches=unread)
            builder.store(builder.add(at, y_step), y_now)
            if far:
                now = builder.load(block)
                after = builder.add(now, index(1))
                row_ends = builder.icmp_signed("==", after, n_blocks)
                builder.store(builder.select(row_ends, index(0), after), block)
                for base, step, row, for_writing in rows:
                    start = builder.load(row)
                    line = builder.add(start, builder.mul(now, index(lanes.width)))
                    lanes.fetch(base, line, for_writing=for_writing)
                    builder.store(builder.select(row_ends, builder.add(start, step), start), row)
        for v, place in zip(z, places, strict=True):
            lanes.store(builder.load(v), pk, builder.add(z_to, place))
        return context.get_dummy_value()

    return types.void(
        x, x_at, x_step, y, y_at, y_step, n, packed, z_from, z_to, ahead, n_blocks, past_caches, form
    ), generate


@bare_kernel
def sos_run(x: Any, y: Any, packed: Any, form: Any) -> Any:
    """x, y: (n_channels, n_samples), any strides.

    Returns 0, 1 if x made a state not finite, 2 if y has another shape than x; the states change only with 0.
    """
    n_channels, n = x.shape
    if y.shape[0] != n_channels or y.shape[1] != n:
        return 2
    size, w = element(x)
    states = 2 * int(packed[1]) * w
    n_blocks = (n_channels + w - 1) // w
    areas = HEAD + 4 * int(packed[1])
    old = areas + int(packed[0]) * n_blocks * states
    new = areas + (1 - int(packed[0])) * n_blocks * states
    scratch = areas + 2 * n_blocks * states
    direct = n_channels >= w and x.strides[0] == size and y.strides[0] == size
    far = direct and n * n_channels * size > FAR_BYTES // 2
    whole_lines = (
        far
        and n_channels % w == 0
        and (y.ctypes.data | abs(y.strides[1])) % VECTOR_BYTES == 0
        and x.ctypes.data != y.ctypes.data
    )
    tile = SCRATCH_SAMPLES
    if direct and n > 32:
        tile = max(16, TILE_BYTES // (n_channels * size))
    x_step, y_step = x.strides[1] // size, y.strides[1] // size
    for t in range(0, n, tile):
        m = min(tile, n - t)
        for b in range(n_blocks):
            first = max(0, min(b * w, n_channels - w))
            z_from = (old if t == 0 else new) + b * states
            z_to = new + b * states
            if direct:
                x_at = t * x_step + first
                y_at = t * y_step + first
                ahead = (t + tile) * n_blocks + b * m
                if whole_lines:
                    _cascade(
                        x, x_at, x_step, y, y_at, y_step, m, packed, z_from, z_to, ahead, n_blocks, 1, form
                    )
                elif far:
                    _cascade(
                        x, x_at, x_step, y, y_at, y_step, m, packed, z_from, z_to, ahead, n_blocks, 0, form
                    )
                else:
                    _cascade(x, x_at, x_step, y, y_at, y_step, m, packed, z_from, z_to, 0, 0, 0, form)
            else:
                for c in range(min(w, n_channels)):
                    for i in range(m):
                        packed[scratch + i * w + c] = x[first + c, t + i]
                _cascade(packed, scratch, w, packed, scratch, w, m, packed, z_from, z_to, 0, 0, 0, form)
                for c in range(min(w, n_channels)):
                    for i in range(m):
                        y[first + c, t + i] = packed[scratch + i * w + c]
    if n == 0:
        return 0
    bad = 0
    for k in range(new, new + n_blocks * states, w):
        bad |= not_finite(packed, k)
    if bad == 0:
        packed[0] = 1 - packed[0]
    return bad


@bare_kernel
def bank_run(x: Any, y: Any, packed: Any, form: Any) -> Any:
    """One input, one cascade a band. y: (n_bands, n_channels, n_samples); packed: (n_bands, …)."""
    before = packed[0, 0]
    bad = 0
    for b in range(y.shape[0]):
        bad |= sos_run(x, y[b], packed[b], literally(form))
    if bad != 0:  # refused for all bands alike: those that have swapped their areas swap back
        for b in range(y.shape[0]):
            packed[b, 0] = before
    return bad


@kernel
def plain_run(x: Any, y: Any, packed: Any, form: Any) -> Any:
    """`sos_run` in plain loops: the twin for tests, and for a machine where vectors do not work."""
    n_channels, n = x.shape
    if y.shape[0] != n_channels or y.shape[1] != n:
        return 2
    w = VECTOR_BYTES // x.itemsize
    n_sections = int(packed[1])
    n_blocks = (n_channels + w - 1) // w
    area = n_blocks * 2 * n_sections * w
    old = HEAD + 4 * n_sections + int(packed[0]) * area
    new = HEAD + 4 * n_sections + (1 - int(packed[0])) * area
    finite = True
    for b in range(n_blocks):
        first = max(0, min(b * w, n_channels - w))
        for k in range(2 * n_sections * w):
            packed[new + b * 2 * n_sections * w + k] = packed[old + b * 2 * n_sections * w + k]
        for c in range(min(w, n_channels)):
            z = new + b * 2 * n_sections * w + c
            for t in range(n):
                v = x[first + c, t] * packed[2]
                for s in range(n_sections):
                    taps = HEAD + 4 * s
                    z1 = z + 2 * s * w
                    o = v + packed[z1]
                    packed[z1] = packed[z1 + w] + packed[taps] * v - packed[taps + 2] * o
                    packed[z1 + w] = packed[taps + 1] * v - packed[taps + 3] * o
                    v = o
                y[first + c, t] = v
            for s in range(2 * n_sections):
                finite = finite and np.isfinite(packed[z + s * w])
    if finite and n > 0:
        packed[0] = 1 - packed[0]
    return 0 if finite else 1


@kernel
def plain_bank_run(x: Any, y: Any, packed: Any, form: Any) -> Any:
    """`bank_run` in plain loops."""
    before = packed[0, 0]
    bad = 0
    for b in range(y.shape[0]):
        bad |= plain_run(x, y[b], packed[b], form)
    if bad != 0:
        for b in range(y.shape[0]):
            packed[b, 0] = before
    return bad
