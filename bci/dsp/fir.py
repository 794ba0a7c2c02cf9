"""Streaming filters with a finite impulse response, and their delay-free use offline.

Short filters run in direct form. Long ones split their taps: the first `block` taps in direct form, the rest by FFT of
blocks that are already complete, so the output has no extra delay and depends on no cut of the signal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64, Chunk
from bci.dsp import _fft, _fir
from bci.dsp._simd import aligned
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import UNSHARED, checked_channels, checked_signal, not_finite
from bci.dsp.taps import fir_delay
from bci.errors import DesignError, ShapeError

__all__ = ["FirFilter", "fir_recording"]

_empty, _ndarray = np.empty, np.ndarray  # looked up once: they stand on the path of every single sample
#: Direct form up to here; above, the FFT of blocks is cheaper (measured at 8 and 64 channels).
DIRECT_TAPS = 512
BLOCK = 256


class FirFilter:
    """Causal FIR filter that carries its memory from one chunk to the next.

    The first sample after construction or `reset` counts as the signal's whole past, so there is no step.

    Parameters
    ----------
    taps : array_like, shape (n_taps,)
        See `bci.dsp.taps`.
    n_channels : int

    Raises
    ------
    DesignError
        If the taps are empty, not one-dimensional or not finite.

    References
    ----------
    .. [1] Gardner, J. Audio Eng. Soc. 43(3):127-136, 1995 (partitioned convolution without delay).
    """

    _started: bool
    _y: F64  # the last output; its memory is used again once nobody holds it

    def __init__(self, taps: object, *, n_channels: int) -> None:
        h = np.array(taps, dtype=np.float64)
        if h.ndim != 1 or not len(h) or not np.isfinite(h).all():
            raise DesignError(f"expected finite taps of shape (n_taps,), got shape {h.shape}")
        self.taps = h
        self.n_channels = checked_channels(n_channels)
        self._packed = _fir.pack(h if len(h) <= DIRECT_TAPS else h[:BLOCK], self.n_channels)
        self._tail = _Tail(h[BLOCK:], self.n_channels) if len(h) > DIRECT_TAPS else None
        self._run = _fir.runner()
        self.reset()

    @property
    def delay_samples(self) -> float:
        """Group delay: the output at sample t shows what happened at t - delay. Exact for symmetric taps."""
        return fir_delay(self.taps)

    def process(self, x_uv: F64) -> F64:
        """Filter the next chunk.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV

        Returns
        -------
        y_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order

        Raises
        ------
        ShapeError
            If the chunk has another number of channels.
        NonFiniteError
            If it holds NaN or infinity; the state is untouched.
        """
        if x_uv.__class__ is not _ndarray or x_uv.ndim != 2 or x_uv.dtype is not FLOAT64:
            return self._process_anything(x_uv)
        y = self._y
        if getrefcount(y) > UNSHARED:  # somebody still holds the last output, or a view of it
            y = self._y = _empty(y.shape, FLOAT64, "F")
        if self._run(x_uv, y, self._packed):  # another shape than the last chunk's, or not finite
            return self._process_anything(x_uv)
        if self._tail is not None:
            self._tail.add(x_uv, y)
        return y

    def _process_anything(self, x_uv: object) -> F64:
        """The slow way: convert, check, start the filter; the next chunk of this shape then passes quickly."""
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not self._started and x.shape[1]:
            if not np.isfinite(x).all():
                raise not_finite("a FIR filter")
            self._start(x[:, 0])
        y = self._y = _empty(x.shape, FLOAT64, "F")
        if self._run(x, y, self._packed):
            raise not_finite("a FIR filter")
        if self._tail is not None:
            self._tail.add(x, y)
        return y

    def process_chunk(self, chunk: Chunk) -> Chunk:
        """`process`, with the chunk's samples numbered by when they happened: earlier by the (rounded) delay."""
        delayed = chunk.first_sample - round(self.delay_samples)
        return replace(chunk, data_uv=self.process(chunk.data_uv), first_sample=delayed)

    def _start(self, first: F64) -> None:
        _fir.start(self._packed, first)
        if self._tail is not None:
            self._tail.start(first)
        self._started = True

    def reset(self) -> None:
        """Forget the past; the next sample starts the filter anew."""
        self._started = False
        # the last output; another shape takes the slow way
        self._y = _empty((self.n_channels, 0), FLOAT64, "F")

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        shape = np.array([len(self.taps), self.n_channels])
        own = {"line": self._packed.copy(), "shape": shape, "started": np.array(self._started)}
        return own if self._tail is None else own | self._tail.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from another filter."""
        line, shape = np.asarray(state["line"], dtype=np.float64), tuple(int(n) for n in state["shape"])
        if shape != (len(self.taps), self.n_channels):
            raise ShapeError(
                f"the saved state is of {shape[0]} taps and {shape[1]} channels, "
                f"this filter has {len(self.taps)} and {self.n_channels}"
            )
        if not _fir.same_taps(line, self._packed):
            raise ShapeError("the saved state is of a filter with other taps")
        if self._tail is not None:
            self._tail.restore(state)
        self.reset()
        self._packed[:] = line
        self._started = bool(state["started"])


class _Tail:
    """Convolution with taps that start BLOCK samples late: all inputs it needs lie in complete blocks."""

    def __init__(self, taps: F64, n_channels: int) -> None:
        n_parts = -(-len(taps) // BLOCK)
        padded = np.zeros(n_parts * BLOCK)
        padded[: len(taps)] = taps
        self._response = np.fft.rfft(padded.reshape(n_parts, BLOCK), 2 * BLOCK)[:, None, :]
        self._spectra = np.zeros((n_parts, n_channels, BLOCK + 1), np.complex128)  # newest block first
        self._blocks = np.zeros((n_channels, 2 * BLOCK))  # the last complete block, and the running one
        self._due = np.zeros((n_channels, BLOCK))  # the tail's share of the outputs of the running block
        self._filled = 0

    def start(self, first: F64) -> None:
        self._blocks[:] = first[:, None]
        self._spectra[:] = np.fft.rfft(self._blocks)
        self._filled = 0
        self._take_share()

    def add(self, x: F64, y: F64) -> None:
        t = 0
        while t < x.shape[1]:
            m = min(x.shape[1] - t, BLOCK - self._filled)
            here = slice(self._filled, self._filled + m)
            y[:, t : t + m] += self._due[:, here]
            self._blocks[:, BLOCK:][:, here] = x[:, t : t + m]
            self._filled += m
            t += m
            if self._filled == BLOCK:
                self._spectra[1:] = self._spectra[:-1].copy()
                self._spectra[0] = np.fft.rfft(self._blocks)
                self._blocks[:, :BLOCK] = self._blocks[:, BLOCK:]
                self._filled = 0
                self._take_share()

    def _take_share(self) -> None:
        total = (self._spectra * self._response).sum(axis=0)
        self._due = np.fft.irfft(total, 2 * BLOCK)[:, BLOCK:]

    def state(self) -> dict[str, NDArray[Any]]:
        filled = np.array(self._filled)
        return {
            "spectra": self._spectra.copy(),
            "blocks": self._blocks.copy(),
            "due": self._due.copy(),
            "filled": filled,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if state["spectra"].shape != self._spectra.shape:
            raise ShapeError(
                f"the saved filter state has {len(state['spectra'])} blocks, not {len(self._spectra)}"
            )
        self._spectra[:] = state["spectra"]
        self._blocks[:] = state["blocks"]
        self._due = np.array(state["due"])
        self._filled = int(state["filled"])


def fir_recording(taps: F64, x_uv: F64, *, n_threads: int = 2) -> F64:
    """A whole recording through a linear-phase filter, its delay taken out. For offline work only.

    Parameters
    ----------
    taps : ndarray, shape (n_taps,), n_taps odd, symmetric
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
    n_threads : int

    Returns
    -------
    y_uv : ndarray, shape (n_channels, n_samples), float64, µV
        At each end the signal is extended by its odd reflection.

    Raises
    ------
    DesignError
        If the taps are not symmetric or even in number: their delay could not be taken out.
    ShapeError, NonFiniteError
        If the signal is not 2-D, empty, or holds NaN or infinity.

    References
    ----------
    .. [1] Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., ch. 8.7.3 (overlap-save).
    """
    h = np.asarray(taps, dtype=np.float64)
    if h.ndim != 1 or len(h) % 2 == 0 or not np.allclose(h, h[::-1], rtol=0, atol=1e-10 * np.abs(h).max()):
        raise DesignError("only an odd number of symmetric taps has a delay that can be taken out")
    x = checked_signal(x_uv, None, FLOAT64)
    n_channels, n = x.shape
    if n == 0:
        raise ShapeError("there is nothing to filter: the recording has no samples")
    if not np.isfinite(x).all():
        raise not_finite("a FIR filter")
    half = len(h) // 2
    size = 1024
    while size < 2 * len(h):  # a power of 4; at least half of every block is output
        size *= 4
    step = size - len(h) + 1
    spectrum, twiddles, run = _fft.spectrum_of(h, size), _fft.twiddles(size), _fft.runner()
    y = np.empty((n_channels, n), order="F")

    def filter_blocks(starts: Sequence[int]) -> None:
        scratch = aligned(size * _fft.PAIR)
        for t in starts:
            m = min(step, n - t)
            run(_stretch(x, t - half, t + m + half), y[:, t : t + m], spectrum, twiddles, scratch)

    starts = range(0, n, step)
    if n_threads <= 1:
        filter_blocks(starts)
        return y
    share = -(-len(starts) // n_threads)
    with ThreadPoolExecutor(n_threads) as pool:  # kernels hold no interpreter lock
        list(pool.map(filter_blocks, [starts[k : k + share] for k in range(0, len(starts), share)]))
    return y


def _stretch(x: F64, first: int, end: int) -> F64:
    """Samples `[first, end)` of a signal that goes on as its odd reflection at both ends, and then as zeros."""
    n = x.shape[1]
    if first >= 0 and end <= n:
        return x[:, first:end]
    t = np.arange(first, end)
    mirrored = np.where(t < 0, -t, np.where(t >= n, 2 * (n - 1) - t, t))
    known = (mirrored >= 0) & (mirrored < n)
    edge = np.where(t < 0, x[:, :1], x[:, -1:])
    values = x[:, np.clip(mirrored, 0, n - 1)]
    return np.where((t >= 0) & (t < n), values, np.where(known, 2 * edge - values, 0.0))
