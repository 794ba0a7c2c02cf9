"""Machine words and vectors for the kernels: unaligned access, the CRC instruction, 32 bytes at once.

Kernels see memory as addresses, not arrays: an array argument of an inner function costs two atomic
operations on its reference count, more than the work of most of these functions. The kernel's caller holds
the arrays. Nothing here checks bounds; the caller leaves room.

Each function below is plain Python that says what it means, and that is what runs under NUMBA_DISABLE_JIT and
in tests. In compiled code the generator registered for it emits the instructions instead (LLVM turns the
vectors into what the CPU has: AVX2, SSE, NEON; all that Numba compiles for are little-endian). Integers are
int64 throughout; a 64-bit word is carried by its bits.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target
from numba.core.typing import signature
from numba.extending import lower_builtin, type_callable
from numpy.typing import NDArray

from firmware_protocol.crc import REFLECTED_POLYNOMIAL

__all__ = [
    "HARDWARE_CRC",
    "LANES",
    "SAMPLES",
    "address",
    "copy_lanes",
    "crc_byte",
    "crc_word",
    "first_bit",
    "load_i64",
    "load_u8",
    "load_u32",
    "store_i64",
    "store_u8",
    "store_u32",
    "unpack_int24",
]

LANES = 32  # bytes that copy_lanes moves
SAMPLES = 8  # that unpack_int24 converts


def _crc_instructions() -> str:
    """Which CRC-32C instructions the target of the compiler has. It may be set to less than this CPU."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    enabled = str(features).split(",")
    if triple.startswith("x86_64") and "+sse4.2" in enabled:
        return "x86.sse42"
    if triple.startswith(("aarch64", "arm64")) and "+crc" in enabled:
        return "aarch64"
    return ""


#: "x86.sse42", "aarch64", or "" where only the table works.
HARDWARE_CRC = _crc_instructions()


# ---- what they mean ------------------------------------------------------------------------------------------


def address(array: NDArray[Any]) -> int:
    """Of a contiguous array's first element."""
    return array.ctypes.data


def load_u8(p: int) -> int:
    return ctypes.c_uint8.from_address(p).value


def load_u32(p: int) -> int:
    """Four bytes, little-endian."""
    return ctypes.c_uint32.from_address(p).value


def load_i64(p: int) -> int:
    """Eight bytes, little-endian."""
    return ctypes.c_int64.from_address(p).value


def store_u8(p: int, value: int) -> None:
    ctypes.c_uint8.from_address(p).value = value


def store_u32(p: int, value: int) -> None:
    ctypes.c_uint32.from_address(p).value = value


def store_i64(p: int, value: int) -> None:
    ctypes.c_int64.from_address(p).value = value


def copy_lanes(source: int, target: int) -> int:
    """Copy LANES bytes; bit k of the result says that byte k is 0."""
    lanes = ctypes.string_at(source, LANES)
    ctypes.memmove(target, lanes, LANES)
    return sum(1 << k for k in range(LANES) if lanes[k] == 0)


def first_bit(mask: int) -> int:
    """Number of the lowest bit set. `mask` is not 0."""
    return (mask & -mask).bit_length() - 1


def crc_byte(register: int, byte: int) -> int:
    """CRC-32C register after one byte (no initial value, no final XOR)."""
    register ^= byte
    for _ in range(8):
        register = (register >> 1) ^ (REFLECTED_POLYNOMIAL if register & 1 else 0)
    return register


def crc_word(register: int, word: int) -> int:
    """CRC-32C register after the eight bytes of `word`, low byte first."""
    for k in range(0, 64, 8):
        register = crc_byte(register, word >> k & 255)
    return register


def unpack_int24(source: int, target: int) -> None:
    """SAMPLES big-endian int24 to int32. Reads four bytes more."""
    b = np.frombuffer(ctypes.string_at(source, 3 * SAMPLES), np.uint8).astype(np.int32).reshape(SAMPLES, 3)
    counts: NDArray[np.int32] = (b[:, 0] << 24 | b[:, 1] << 16 | b[:, 2] << 8) >> 8
    ctypes.memmove(target, counts.tobytes(), 4 * SAMPLES)


# ---- what compiled code runs ---------------------------------------------------------------------------------

Emit = Callable[[Any, Any, Any, Any], Any]


def _compiled(plain: Callable[..., Any]) -> Callable[[Emit], Emit]:
    """In compiled code a call of `plain` becomes what the decorated generator emits."""
    form = inspect.signature(plain)
    returns = types.none if form.return_annotation == "None" else types.int64

    def register(emit: Emit) -> Emit:
        def typer(context: Any) -> Any:
            def typed(*args: Any) -> Any:
                return signature(returns, *(a if isinstance(a, types.Array) else types.int64 for a in args))

            typed.pysig = form  # type: ignore[attr-defined]
            return typed

        type_callable(plain)(typer)
        lower_builtin(plain, *[types.Any] * len(form.parameters))(emit)
        return emit

    return register


_BYTE, _WORD, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _get(builder: Any, address: Any, kind: Any) -> Any:
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def _put(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 1


def _widened(builder: Any, value: Any) -> Any:
    return value if value.type == _LONG else builder.zext(value, _LONG)


def _narrowed(builder: Any, value: Any, kind: Any) -> Any:
    return value if kind == _LONG else builder.trunc(value, kind)


def _load(kind: Any) -> Emit:
    return lambda context, builder, sig, args: _widened(builder, _get(builder, args[0], kind))


def _store(kind: Any) -> Emit:
    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _put(builder, _narrowed(builder, args[1], kind), args[0])
        return context.get_dummy_value()

    return emit


for _function, _emit in (
    (load_u8, _load(_BYTE)),
    (load_u32, _load(_WORD)),
    (load_i64, _load(_LONG)),
    (store_u8, _store(_BYTE)),
    (store_u32, _store(_WORD)),
    (store_i64, _store(_LONG)),
):
    _compiled(_function)(_emit)


@_compiled(address)
def _emit_address(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.ptrtoint(context.make_array(sig.args[0])(context, builder, args[0]).data, _LONG)


@_compiled(copy_lanes)
def _emit_copy_lanes(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    vector = ir.VectorType(_BYTE, LANES)
    lanes = _get(builder, args[0], vector)
    _put(builder, lanes, args[1])
    zeros = builder.icmp_unsigned("==", lanes, ir.Constant(vector, [0] * LANES))
    return builder.zext(builder.bitcast(zeros, ir.IntType(LANES)), _LONG)


@_compiled(first_bit)
def _emit_first_bit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))


def _crc_instruction(name: str, register: Any, data: Any) -> Emit:
    """Emits that instruction; where the target has none, nothing, as the kernel then takes the table."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not HARDWARE_CRC:
            return args[0]
        function = builder.module.declare_intrinsic(
            f"llvm.{HARDWARE_CRC}.{name}", (), ir.FunctionType(register, [register, data])
        )
        operands = _narrowed(builder, args[0], register), _narrowed(builder, args[1], data)
        return _widened(builder, builder.call(function, operands))

    return emit


if HARDWARE_CRC == "aarch64":
    _compiled(crc_word)(_crc_instruction("crc32cx", _WORD, _LONG))
    _compiled(crc_byte)(_crc_instruction("crc32cb", _WORD, _WORD))
else:
    _compiled(crc_word)(_crc_instruction("crc32.64.64", _LONG, _LONG))
    _compiled(crc_byte)(_crc_instruction("crc32.32.8", _WORD, _BYTE))


@_compiled(unpack_int24)
def _emit_unpack_int24(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    four = ir.VectorType(_WORD, 4)
    # The lowest byte of each lane is shifted out again, so any source will do: the sample's own last byte.
    order = [3 * k + place for k in range(4) for place in (2, 2, 1, 0)]
    mask = ir.Constant(ir.VectorType(_WORD, 16), order)
    for k in range(SAMPLES // 4):
        raw = _get(builder, builder.add(args[0], ir.Constant(_LONG, 12 * k)), ir.VectorType(_BYTE, 16))
        wide = builder.bitcast(builder.shuffle_vector(raw, raw, mask), four)
        counts = builder.ashr(wide, ir.Constant(four, [8] * 4))
        _put(builder, counts, builder.add(args[1], ir.Constant(_LONG, 16 * k)))
    return context.get_dummy_value()
