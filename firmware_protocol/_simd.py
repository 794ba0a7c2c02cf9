"""Machine words and vectors for the kernels: unaligned loads, the CRC instruction, 32 bytes at once.

Each function below is plain Python that says what it means, and that is what runs under NUMBA_DISABLE_JIT and in
tests. In compiled code the generator registered for it emits the instructions instead (LLVM turns the vectors
into what the CPU has: AVX2, SSE, NEON; all that Numba compiles for are little-endian). Integers are int64
throughout; a 64-bit word is carried by its bits. Nothing here checks bounds: arrays are contiguous, indices
not negative, and the caller leaves room.
"""

from __future__ import annotations

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
    "copy_lanes",
    "crc_byte",
    "crc_word",
    "first_bit",
    "load_u8",
    "load_u32",
    "load_u64",
    "store_u8",
    "unpack_int24",
]

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

LANES = 32  # bytes that copy_lanes moves
_SAMPLES = 8  # that unpack_int24 converts
_FEATURES = cpu_target.target_context.codegen().magic_tuple()


def _crc_instructions() -> str:
    """Which CRC-32C instructions the target of the compiler has. It may be set to less than this CPU."""
    triple, _, features = _FEATURES
    enabled = str(features).split(",")
    if triple.startswith("x86_64") and "+sse4.2" in enabled:
        return "x86.sse42"
    if triple.startswith(("aarch64", "arm64")) and "+crc" in enabled:
        return "aarch64"
    return ""


#: "x86.sse42", "aarch64", or "" where only the table works.
HARDWARE_CRC = _crc_instructions()


# ---- what they mean ------------------------------------------------------------------------------------------


def load_u8(a: U8, i: int) -> int:
    return int(a[i])


def load_u32(a: U8, i: int) -> int:
    """Four bytes, little-endian."""
    return int.from_bytes(a[i : i + 4].tobytes(), "little")


def load_u64(a: U8, i: int) -> int:
    """Eight bytes, little-endian; above 2^63 the negative int64 of these bits."""
    return int.from_bytes(a[i : i + 8].tobytes(), "little", signed=True)


def store_u8(a: U8, i: int, value: int) -> None:
    a[i] = value


def copy_lanes(source: U8, i: int, target: U8, j: int) -> int:
    """Copy LANES bytes; bit k of the result says that byte k is 0."""
    lanes = source[i : i + LANES].copy()
    target[j : j + LANES] = lanes
    return int(sum(1 << k for k in range(LANES) if lanes[k] == 0))


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


def unpack_int24(source: U8, i: int, target: I32, j: int) -> None:
    """Sign-extend 8 big-endian int24. Reads 28 bytes, of which the last four are nothing."""
    b = source[i : i + 3 * _SAMPLES].astype(np.int32).reshape(_SAMPLES, 3)
    target[j : j + _SAMPLES] = ((b[:, 0] << 24) | (b[:, 1] << 16) | (b[:, 2] << 8)) >> 8


# ---- what compiled code runs ---------------------------------------------------------------------------------

Emit = Callable[[Any, Any, Any, Any], Any]


def _compiled(plain: Callable[..., Any], result: Any) -> Callable[[Emit], Emit]:
    """In compiled code a call of `plain` becomes what the decorated generator emits; array arguments come to
    it as (array, index) pairs, and it uses `_pointer` on them."""

    def register(emit: Emit) -> Emit:
        def typer(context: Any) -> Any:
            def typed(*args: Any) -> Any:
                wide = [a if isinstance(a, types.Array) else types.int64 for a in args]
                return signature(result, *wide)

            typed.pysig = inspect.signature(plain)  # type: ignore[attr-defined]
            return typed

        type_callable(plain)(typer)
        lower_builtin(plain, types.VarArg(types.Any))(emit)
        return emit

    return register


_BYTE = ir.IntType(8)
_WORD = ir.IntType(32)
_LONG = ir.IntType(64)


def _pointer(context: Any, builder: Any, sig: Any, args: Any, k: int, pointee: Any) -> Any:
    """Pointer to element `args[k + 1]` of array `args[k]`, as one to `pointee`."""
    data = context.make_array(sig.args[k])(context, builder, args[k]).data
    return builder.bitcast(builder.gep(data, [args[k + 1]]), pointee.as_pointer())


def _load(builder: Any, pointer: Any) -> Any:
    value = builder.load(pointer)
    value.align = 1
    return value


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer).align = 1


def _load_integer(width: Any) -> Emit:
    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = _load(builder, _pointer(context, builder, sig, args, 0, width))
        return value if width is _LONG else builder.zext(value, _LONG)

    return emit


_compiled(load_u8, types.int64)(_load_integer(_BYTE))
_compiled(load_u32, types.int64)(_load_integer(_WORD))
_compiled(load_u64, types.int64)(_load_integer(_LONG))


@_compiled(store_u8, types.none)
def _emit_store_u8(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    _store(builder, builder.trunc(args[2], _BYTE), _pointer(context, builder, sig, args, 0, _BYTE))
    return context.get_dummy_value()


@_compiled(copy_lanes, types.int64)
def _emit_copy_lanes(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    vector = ir.VectorType(_BYTE, LANES)
    lanes = _load(builder, _pointer(context, builder, sig, args, 0, vector))
    _store(builder, lanes, _pointer(context, builder, sig, args, 2, vector))
    zeros = builder.icmp_unsigned("==", lanes, ir.Constant(vector, [0] * LANES))
    return builder.zext(builder.bitcast(zeros, ir.IntType(LANES)), _LONG)


@_compiled(first_bit, types.int64)
def _emit_first_bit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))


def _crc_instruction(name: str, builder: Any, widths: tuple[Any, Any], args: Any) -> Any:
    register, data = widths
    function = builder.module.declare_intrinsic(name, (), ir.FunctionType(register, [register, data]))
    fitted = [
        value if width is _LONG else builder.trunc(value, width)
        for value, width in zip(args, widths, strict=True)
    ]
    out = builder.call(function, fitted)
    return out if register is _LONG else builder.zext(out, _LONG)


@_compiled(crc_word, types.int64)
def _emit_crc_word(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    if HARDWARE_CRC == "x86.sse42":
        return _crc_instruction("llvm.x86.sse42.crc32.64.64", builder, (_LONG, _LONG), args)
    if HARDWARE_CRC == "aarch64":
        return _crc_instruction("llvm.aarch64.crc32cx", builder, (_WORD, _LONG), args)
    return args[0]  # never called: the kernel takes the table


@_compiled(crc_byte, types.int64)
def _emit_crc_byte(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    if HARDWARE_CRC == "x86.sse42":
        return _crc_instruction("llvm.x86.sse42.crc32.32.8", builder, (_WORD, _BYTE), args)
    if HARDWARE_CRC == "aarch64":
        return _crc_instruction("llvm.aarch64.crc32cb", builder, (_WORD, _WORD), args)
    return args[0]


@_compiled(unpack_int24, types.none)
def _emit_unpack_int24(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    half = ir.VectorType(_BYTE, 16)
    four = ir.VectorType(_WORD, 4)
    # Byte 0 of each lane is shifted out again, so any source will do: the sample's own last byte.
    order = [3 * k + place for k in range(4) for place in (2, 2, 1, 0)]
    mask = ir.Constant(ir.VectorType(_WORD, 16), order)
    for k in (0, 1):
        source = builder.gep(_pointer(context, builder, sig, args, 0, _BYTE), [ir.Constant(_LONG, 12 * k)])
        raw = _load(builder, builder.bitcast(source, half.as_pointer()))
        wide = builder.bitcast(builder.shuffle_vector(raw, raw, mask), four)
        counts = builder.ashr(wide, ir.Constant(four, [8] * 4))
        target = builder.gep(_pointer(context, builder, sig, args, 2, _WORD), [ir.Constant(_LONG, 4 * k)])
        _store(builder, counts, builder.bitcast(target, four.as_pointer()))
    return context.get_dummy_value()
