"""Convolution of many channels by FFT: sixteen channels travel as eight lanes of complex numbers.

Two real channels are the real and the imaginary part of one complex signal; filtering both with real taps is filtering
that signal, so nothing has to be unmixed. The forward transform leaves its output in base-4 digit-reversed order and
the inverse one starts from it, so nothing is reordered either: the filter's spectrum, made by the same forward
transform, lies in the same order. A butterfly handles all lanes at once and needs no shuffles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp._simd import Lanes, array_type, compiled, move, plain
from bci.jit import bare_kernel

__all__ = ["PAIR", "runner", "spectrum_of", "twiddles"]

W = 8
PAIR = 2 * W  # channels of one pass
LOCAL = 256  # points whose sixteen channels fill the first-level cache


def runner() -> Callable[..., int]:
    """`convolve` compiled."""
    if plain():
        return plain_convolve
    f64 = np.float64
    signal, flat = array_type(f64, 2, "A"), array_type(f64, 1)
    return compiled(convolve, signal, signal, flat, flat, flat)


def twiddles(size: int) -> F64:
    """cos and sin of -2π j / size, interleaved, for all j."""
    angle = -2.0 * np.pi * np.arange(size) / size
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).ravel()


def spectrum_of(taps: F64, size: int) -> F64:
    """The taps' transform / size in digit-reversed order, real and imaginary parts interleaved."""
    h = np.fft.fft(taps, size)[_reversed_order(size)] / size
    return np.stack([h.real, h.imag], axis=1).ravel()


def _reversed_order(size: int) -> NDArray[np.int64]:
    """Where each place of the transform's output comes from: its base-4 digits reversed. `size` is a power of 4."""
    left, order = np.arange(size), np.zeros(size, dtype=np.int64)
    for _ in range(size.bit_length() // 2):
        order = order * 4 + left % 4
        left //= 4
    return order


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _pass(typingctx: Any, data: Any, base: Any, quarter: Any, tw: Any, stride: Any, direction: Any) -> Any:
    """One radix-4 pass over a block of 4 * quarter points that starts at point `base`, in place.

    direction 1: decimation in frequency, the twiddles after the butterfly. -1: the inverse of it, their conjugates
    before. `stride` steps through the twiddle table.
    """
    if not isinstance(direction, types.IntegerLiteral):
        return None
    forward = direction.literal_value == 1

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, types.float64)
        z, w = (lanes.pointer(context, signature.args[k], args[k]) for k in (0, 3))
        _, base, quarter, _, stride, _ = args
        row, one = quarter.type(PAIR), quarter.type(1)

        def turn(v: Any, factor: Any) -> Any:
            (re, im), (c, s) = v, factor
            if forward:
                return lanes.sub(lanes.mul(re, c), lanes.mul(im, s)), lanes.fma(re, s, lanes.mul(im, c))
            return lanes.fma(re, c, lanes.mul(im, s)), lanes.sub(lanes.mul(im, c), lanes.mul(re, s))

        def plus(a: Any, b: Any) -> Any:
            return lanes.add(a[0], b[0]), lanes.add(a[1], b[1])

        def minus(a: Any, b: Any) -> Any:
            return lanes.sub(a[0], b[0]), lanes.sub(a[1], b[1])

        with lanes.loop(quarter) as point:
            places, factors, step = [], [(None, None)], builder.mul(point.index, stride)
            for k in range(4):
                at = builder.add(builder.add(base, point.index), builder.mul(quarter, quarter.type(k)))
                places.append(builder.mul(at, row))
                if k:
                    here = builder.mul(builder.mul(step, quarter.type(k)), quarter.type(2))
                    factors.append((lanes.spread(w, here), lanes.spread(w, builder.add(here, one))))
            v = [
                (lanes.load(z, place), lanes.load(z, builder.add(place, quarter.type(W)))) for place in places
            ]
            if not forward:
                v = [v[0], *(turn(v[k], factors[k]) for k in (1, 2, 3))]
            sums, differences = plus(v[0], v[2]), minus(v[0], v[2])
            odd_sums, (re, im) = plus(v[1], v[3]), minus(v[1], v[3])
            odd = (im, builder.fneg(re)) if forward else (builder.fneg(im), re)  # -i or i times (v1 - v3)
            v = [plus(sums, odd_sums), plus(differences, odd), minus(sums, odd_sums), minus(differences, odd)]
            if forward:
                v = [v[0], *(turn(v[k], factors[k]) for k in (1, 2, 3))]
            for place, (re, im) in zip(places, v, strict=True):
                lanes.store(re, z, place)
                lanes.store(im, z, builder.add(place, quarter.type(W)))
        return context.get_dummy_value()

    return types.void(data, base, quarter, tw, stride, direction), generate


@bare_kernel
def convolve(x: Any, y: Any, spectrum: Any, tw: Any, data: Any) -> Any:
    """Circular convolution of x (n_channels, n <= size) by `size` points; y gets the last y.shape[1] of the first n.

    spectrum, tw: (2 * size). data: scratch (size * PAIR).
    """
    n_channels, n = x.shape
    size = len(spectrum) // 2
    skip = n - y.shape[1]
    x_step, y_step = x.strides[1] // 8, y.strides[1] // 8
    for first in range(0, n_channels, PAIR):
        k = min(PAIR, n_channels - first)
        data[n * PAIR :] = 0.0
        if k < PAIR:
            data[: n * PAIR] = 0.0
        for t in range(n):
            if k == PAIR and x.strides[0] == 8:
                for half in range(0, PAIR, W):
                    move(x, t * x_step + first + half, data, t * PAIR + half)
            else:
                for c in range(k):
                    data[t * PAIR + c] = x[first + c, t]
        block = size
        while block > LOCAL:
            for base in range(0, size, block):
                _pass(data, base, block // 4, tw, size // block, 1)
            block //= 4
        local = block
        # there, multiply and back while this part is in the first-level cache
        for part in range(0, size, local):
            block = local
            while block >= 4:
                for base in range(part, part + local, block):
                    _pass(data, base, block // 4, tw, size // block, 1)
                block //= 4
            for i in range(part, part + local):
                re, im = spectrum[2 * i], spectrum[2 * i + 1]
                for c in range(W):
                    a, b = data[i * PAIR + c], data[i * PAIR + W + c]
                    data[i * PAIR + c] = a * re - b * im
                    data[i * PAIR + W + c] = a * im + b * re
            block = 4
            while block <= local:
                for base in range(part, part + local, block):
                    _pass(data, base, block // 4, tw, size // block, -1)
                block *= 4
        block = 4 * local
        while block <= size:
            for base in range(0, size, block):
                _pass(data, base, block // 4, tw, size // block, -1)
            block *= 4
        for t in range(skip, n):
            if k == PAIR and y.strides[0] == 8:
                for half in range(0, PAIR, W):
                    move(data, t * PAIR + half, y, (t - skip) * y_step + first + half)
            else:
                for c in range(k):
                    y[first + c, t - skip] = data[t * PAIR + c]
    return 0


def plain_convolve(x: Any, y: Any, spectrum: Any, tw: Any, data: Any) -> Any:
    """`convolve` by numpy: the twin for tests, and for a machine where vectors do not work."""
    size = len(spectrum) // 2
    natural = np.empty(size, np.complex128)
    natural[_reversed_order(size)] = spectrum[::2] + 1j * spectrum[1::2]
    out = np.fft.ifft(np.fft.fft(x, size) * natural * size).real
    y[:] = out[:, x.shape[1] - y.shape[1] : x.shape[1]]
    return 0
