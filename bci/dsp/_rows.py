"""Small dense matrices in vectors: sums of rows with factors, and symmetric updates.

Matrices lie in flat arrays whose rows are padded to whole vectors, so there is no scalar tail: at 22 channels that tail
costs as much as the rest. All places count elements from the first of the array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from bci.dsp._simd import Lanes

__all__ = ["W", "combine_rows", "dot_rows", "multiply_rows", "rank_two"]

W = 8  # float64 in one vector


@intrinsic  # type: ignore[untyped-decorator]
def combine_rows(
    typingctx: Any,
    out: Any,
    to: Any,
    factors: Any,
    factors_at: Any,
    rows: Any,
    rows_at: Any,
    pitch: Any,
    n_rows: Any,
    n_vectors: Any,
) -> Any:
    """out[to …] = sum over j of factors[factors_at + j] · rows[rows_at + j · pitch …], first row to last."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        o, f, r = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 2, 4))
        _, to, _, factors_at, _, rows_at, pitch, n_rows, n_vectors = args
        with lanes.loop(n_vectors) as vector:
            column = builder.mul(vector.index, to.type(W))
            total = lanes.variable(lanes.zero)
            here = builder.add(rows_at, column)
            with lanes.loop(n_rows) as row:
                one = lanes.spread(f, builder.add(factors_at, row.index))
                v = lanes.load(r, builder.add(here, builder.mul(row.index, pitch)))
                builder.store(lanes.fma(one, v, builder.load(total)), total)
            lanes.store(builder.load(total), o, builder.add(to, column))
        return context.get_dummy_value()

    return types.void(out, to, factors, factors_at, rows, rows_at, pitch, n_rows, n_vectors), generate


@intrinsic  # type: ignore[untyped-decorator]
def multiply_rows(
    typingctx: Any,
    rows: Any,
    factors: Any,
    factors_at: Any,
    pitch: Any,
    n_rows: Any,
    n_vectors: Any,
    out: Any,
    to: Any,
) -> Any:
    """rows[j] *= factors[factors_at + j · pitch …], and out[to …] = sum over j of rows[j], first to last."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        r, f, o = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 1, 6))
        _, _, factors_at, pitch, n_rows, n_vectors, _, to = args
        with lanes.loop(n_vectors) as vector:
            column = builder.mul(vector.index, to.type(W))
            total = lanes.variable(lanes.zero)
            with lanes.loop(n_rows) as row:
                at = builder.add(column, builder.mul(row.index, pitch))
                v = lanes.mul(lanes.load(r, at), lanes.load(f, builder.add(factors_at, at)))
                lanes.store(v, r, at)
                builder.store(lanes.add(builder.load(total), v), total)
            lanes.store(builder.load(total), o, builder.add(to, column))
        return context.get_dummy_value()

    return types.void(rows, factors, factors_at, pitch, n_rows, n_vectors, out, to), generate


@intrinsic  # type: ignore[untyped-decorator]
def rank_two(
    typingctx: Any, rows: Any, pitch: Any, n_rows: Any, n_vectors: Any, x: Any, x_at: Any, y: Any, y_at: Any
) -> Any:
    """rows[j] −= x[j] · y[…] + y[j] · x[…] for the first n_rows rows: the symmetric update of a reflection."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        r, a, b = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 4, 6))
        _, pitch, n_rows, n_vectors, _, x_at, _, y_at = args
        with lanes.loop(n_vectors) as vector:
            column = builder.mul(vector.index, pitch.type(W))
            xs = lanes.load(a, builder.add(x_at, column))
            ys = lanes.load(b, builder.add(y_at, column))
            with lanes.loop(n_rows) as row:
                at = builder.add(column, builder.mul(row.index, pitch))
                xj = lanes.spread(a, builder.add(x_at, row.index))
                yj = lanes.spread(b, builder.add(y_at, row.index))
                change = lanes.fma(xj, ys, lanes.mul(yj, xs))
                lanes.store(lanes.sub(lanes.load(r, at), change), r, at)
        return context.get_dummy_value()

    return types.void(rows, pitch, n_rows, n_vectors, x, x_at, y, y_at), generate


@intrinsic  # type: ignore[untyped-decorator]
def dot_rows(typingctx: Any, x: Any, x_at: Any, y: Any, y_at: Any, n_vectors: Any) -> Any:
    """Sum of x[x_at + i] · y[y_at + i] over whole vectors: each lane from first to last, then neighbours in pairs."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        a, b = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 2))
        _, x_at, _, y_at, n_vectors = args
        total = lanes.variable(lanes.zero)
        with lanes.loop(n_vectors) as vector:
            column = builder.mul(vector.index, x_at.type(W))
            xs = lanes.load(a, builder.add(x_at, column))
            ys = lanes.load(b, builder.add(y_at, column))
            builder.store(lanes.fma(xs, ys, builder.load(total)), total)
        parts = builder.load(total)
        one = [builder.extract_element(parts, ir.IntType(32)(k)) for k in range(W)]
        while len(one) > 1:
            one = [builder.fadd(one[k], one[k + 1]) for k in range(0, len(one), 2)]
        return one[0]

    return types.float64(x, x_at, y, y_at, n_vectors), generate
