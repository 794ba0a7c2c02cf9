"""Vector lanes for kernels whose inner loop runs over channels.

Numba's loop vectoriser keeps the state of a recursive filter in memory and reloads it for every sample. The kernels of
this package write the vector code themselves, through LLVM: one lane is one channel, 64 bytes make one vector, and
LLVM turns such a vector into one AVX-512 register, two of AVX2, four of NEON or SSE2. The same source runs everywhere.

How a kernel uses it: a module-level `@intrinsic` builds the inner loop with `Lanes`, a `@kernel` around it walks over
blocks of channels. What must be known when compiling (the shape of a cascade, a width) is passed as a *literal*
argument, so it is part of the signature: `compiled(kernel, signature)` gives the machine code of one signature from
Numba's disk cache, in this process or the next. A factory closure would be recompiled in every process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

__all__ = [
    "VECTOR_BYTES",
    "Lanes",
    "aligned",
    "array_type",
    "compiled",
    "element",
    "lanes_of",
    "move",
    "not_finite",
    "plain",
]

VECTOR_BYTES = 64

#: a*b+c may become one rounding, a zero's sign is free; the order of operations never changes, and NaN stays NaN.
_FLAGS = ("contract", "nsz")


def _spare_scipy() -> None:
    """Let Numba start without loading scipy.linalg.

    Numba asks once, when it loads its array functions, whether scipy has a BLAS, and asks again before it uses one. No
    kernel here does; the first question takes 130 of the 450 ms to the first filtered chunk of a new process. So the
    first answer is a placeholder that is gone before the second question.
    """
    name = "scipy.linalg.cython_blas"
    if name not in sys.modules:
        sys.modules[name] = ModuleType(name)
        try:
            import_module("numba.np.arraymath")
        finally:
            del sys.modules[name]


_spare_scipy()


def plain() -> bool:
    """True where kernels must run as their plain twins: Numba switched off, or BCI_PLAIN_KERNELS set."""
    return bool(config.DISABLE_JIT) or os.environ.get("BCI_PLAIN_KERNELS", "") not in ("", "0")


def lanes_of(dtype: Any) -> int:
    """Channels in one vector: 8 of float64, 16 of float32."""
    return VECTOR_BYTES // int(np.dtype(dtype).itemsize)


def array_type(dtype: Any, ndim: int, layout: str = "C") -> Any:
    """Numba's type of an array argument; layout "A" takes any strides."""
    return types.Array(from_dtype(np.dtype(dtype)), ndim, layout)


def aligned(n: int, dtype: Any = np.float64, *, zeros: bool = True) -> NDArray[Any]:
    """Zeros, or whatever memory holds, of shape (n,) that start at a multiple of VECTOR_BYTES.

    numpy aligns to 16 bytes; a vector that straddles two cache lines costs two loads, which doubles the time of a
    kernel that lives on loads.
    """
    size = np.dtype(dtype).itemsize
    raw = (np.zeros if zeros else np.empty)(n + VECTOR_BYTES // size, dtype)
    skip = -raw.ctypes.data % VECTOR_BYTES // size
    return raw[skip : skip + n]


def compiled(kernel: Any, *signature: Any) -> Callable[..., Any]:
    """Machine code of `kernel` for one signature, compiled or taken from the disk cache.

    Calling it skips Numba's look-up by argument types, about a third of the cost of a call with one sample; so the
    caller must know that the arrays have the types of the signature.
    """
    entry: Callable[..., Any] = kernel.compile(
        tuple(types.literal(s) if isinstance(s, str | int) else s for s in signature)
    )
    return entry


@intrinsic  # type: ignore[untyped-decorator]
def element(typingctx: Any, array: Any) -> Any:
    """(bytes of an element, elements in a vector) as constants of the compiler, so that dividing by them is free."""
    size = array.dtype.bitwidth // 8

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = [context.get_constant(types.intp, v) for v in (size, VECTOR_BYTES // size)]
        return context.make_tuple(builder, signature.return_type, pair)

    return types.UniTuple(types.intp, 2)(array), generate


@intrinsic  # type: ignore[untyped-decorator]
def move(typingctx: Any, source: Any, at: Any, target: Any, to: Any) -> Any:
    """Copy one vector, `source[at …]` to `target[to …]`; both count elements from the array's first."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, source.dtype)
        from_, to_ = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 2))
        lanes.store(lanes.load(from_, args[1]), to_, args[3])
        return context.get_dummy_value()

    return types.void(source, at, target, to), generate


@intrinsic  # type: ignore[untyped-decorator]
def not_finite(typingctx: Any, array: Any, at: Any) -> Any:
    """1 where the vector `array[at …]` holds NaN or infinity, else 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, array.dtype)
        return lanes.any_not_finite([lanes.load(lanes.pointer(context, signature.args[0], args[0]), args[1])])

    return types.int64(array, at), generate


class Lanes:
    """Writes vector operations into the LLVM function that an intrinsic is building."""

    def __init__(self, builder: Any, scalar: Any) -> None:
        self.builder = builder
        self.scalar = ir.DoubleType() if scalar == types.float64 else ir.FloatType()
        self.bytes = 8 if scalar == types.float64 else 4
        self.width = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(self.scalar, self.width)
        self.zero = ir.Constant(self.vector, None)

    def pointer(self, context: Any, array: Any, value: Any) -> Any:
        """Address of the first element of an array argument."""
        return context.make_array(array)(context, self.builder, value).data

    def variable(self, value: Any) -> Any:
        """A value that a loop may change; LLVM keeps it in a register."""
        return cgutils.alloca_once_value(self.builder, value)

    def loop(self, count: Any) -> Any:
        """`with lanes.loop(n) as i:` runs its body for i = 0 … n − 1."""
        return cgutils.for_range(self.builder, count, intp=count.type)

    def load(self, base: Any, offset: Any) -> Any:
        """The vector at `base[offset]`; no alignment is assumed beyond the element's."""
        address = self.builder.bitcast(self.builder.gep(base, [offset]), self.vector.as_pointer())
        return self.builder.load(address, align=self.bytes)

    def store(self, value: Any, base: Any, offset: Any, *, past_caches: bool = False) -> None:
        """`past_caches`: straight to memory, without reading the line first; the address must be a whole vector's."""
        address = self.builder.bitcast(self.builder.gep(base, [offset]), self.vector.as_pointer())
        if past_caches:
            once = self.builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
            self.builder.store(value, address, align=VECTOR_BYTES).set_metadata("nontemporal", once)
        else:
            self.builder.store(value, address, align=self.bytes)

    def spread(self, base: Any, offset: Any) -> Any:
        """The number at `base[offset]` in every lane."""
        one = self.builder.load(self.builder.gep(base, [offset]))
        first = self.builder.insert_element(self.zero, one, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(
            first, self.zero, ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        )

    def fetch(self, base: Any, offset: Any, *, for_writing: bool) -> None:
        """Ask for the cache line of `base[offset]` without waiting for it; harmless at any address."""
        address = self.builder.bitcast(self.builder.gep(base, [offset]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, i32, i32, i32])
        ask = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(ask, [address, i32(int(for_writing)), i32(3), i32(1)])  # into the first level, data

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FLAGS)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=_FLAGS)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c, in one rounding where the machine can; never in another way from one call to the next."""
        name = f"llvm.fmuladd.v{self.width}f{8 * self.bytes}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def any_not_finite(self, vectors: list[Any]) -> Any:
        """1 (int64) where any lane of `vectors` is NaN or infinite, else 0: 0 · v is NaN just for those."""
        total = self.zero
        for v in vectors:
            total = self.builder.fadd(total, self.builder.fmul(v, self.zero))
        lanes = self.builder.bitcast(self.builder.fcmp_unordered("uno", total, total), ir.IntType(self.width))
        return self.builder.zext(self.builder.icmp_unsigned("!=", lanes, lanes.type(0)), ir.IntType(64))
