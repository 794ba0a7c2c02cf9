"""Causal recursive filters that carry their state from one chunk to the next, and their zero-phase use offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bci.dsp import _sos
from bci.dsp._float32 import check_float32
from bci.dsp._simd import aligned, lanes_of
from bci.dsp._stage import (
    F32,
    F64,
    UNSHARED,
    Signal,
    checked_channels,
    checked_dtype,
    checked_signal,
    not_finite,
)
from bci.errors import DesignError, ShapeError

__all__ = ["FilterBank", "SosFilter", "filter_recording", "zero_phase"]

_empty, _ndarray = np.empty, np.ndarray  # looked up once: they stand on the path of every single sample


class SosFilter:
    """Causal cascade of second-order sections, all channels and sections in one pass.

    The first sample after construction or `reset` starts the filter in the steady state of that sample, so a signal
    that lies on a half-cell potential of tens of millivolts starts without a step. Any cut of a signal into chunks
    and any memory order give the same bits.

    Parameters
    ----------
    sos : array_like, shape (n_sections, 6)
        Rows `b0 b1 b2 a0 a1 a2`, see `bci.dsp.design`.
    n_channels : int
    dtype : float64 or float32
        Of computation and output. float32 is refused where rounding could exceed 10⁻⁴ of the RMS of the output, for an
        input up to ten times as strong as what the filter passes: take offsets of millivolts out before.

    Raises
    ------
    DesignError
        If the sections are not (n_sections, 6), not finite, not stable or, for float32, not accurate enough.

    References
    ----------
    .. [1] Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., ch. 6.3 (transposed direct form II).
    """

    _started: bool
    _y: Signal  # the last output; its memory is used again once nobody holds it

    def __init__(self, sos: object, *, n_channels: int, dtype: DTypeLike = np.float64) -> None:
        self.sos = checked_sos(sos)
        self.n_channels = checked_channels(n_channels)
        self.dtype = checked_dtype(dtype)
        if self.dtype is F32:
            check_float32(self.sos)
        self._gain, self._taps, self._form = _sos.factor(self.sos)
        self._rest = steady_state(self._gain, self._taps)
        self._packed = _sos.pack(self._gain, self._taps, self.n_channels, self.dtype)
        self._run = _sos.runner(self._form, self.dtype)
        self.reset()

    def process(self, x_uv: Signal) -> Signal:
        """Filter the next chunk.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), µV
            Zero samples are allowed. Any memory order; Fortran order is the fast one.

        Returns
        -------
        y_uv : ndarray, shape (n_channels, n_samples), µV, of the filter's dtype, Fortran order

        Raises
        ------
        ShapeError
            If the chunk has another shape than (n_channels, n_samples).
        NonFiniteError
            If it holds NaN or infinity, which would stay in the filter for good. The state is untouched: fill the
            gap (`GapPolicy`) or reset, and go on.
        """
        if x_uv.__class__ is not _ndarray or x_uv.ndim != 2 or x_uv.dtype is not self.dtype:
            return self._process_anything(x_uv)
        y = self._y
        if getrefcount(y) > UNSHARED:  # somebody still holds the last output, or a view of it
            y = self._y = _empty(y.shape, self.dtype, "F")
        if self._run(x_uv, y, self._packed, self._form):  # another shape than the last chunk's, or not finite
            return self._process_anything(x_uv)
        return y

    def _process_anything(self, x_uv: object) -> Signal:
        """The slow way: convert, check, start the filter; the next chunk of this shape then passes quickly."""
        x = checked_signal(x_uv, self.n_channels, self.dtype)
        if not self._started and x.shape[1]:
            if not np.isfinite(x).all():
                raise not_finite("a recursive filter")
            self._packed = self._packed_for(x)
            self._started = True
        y = self._y = _empty(x.shape, self.dtype, "F")
        if self._run(x, y, self._packed, self._form):
            raise not_finite("a recursive filter")
        return y

    def _packed_for(self, x: Signal) -> Signal:
        """The kernel's array for the channels of x, with the states that a signal that was always `x[:, 0]` leaves."""
        packed = _sos.pack(self._gain, self._taps, len(x), self.dtype)
        _sos.set_states(packed, self._rest[:, :, None] * x[:, 0])
        return packed

    def reset(self) -> None:
        """Forget the past; the next sample starts the filter anew."""
        self._started = False
        # the last output; another shape takes the slow way
        self._y = _empty((self.n_channels, 0), self.dtype, "F")

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream: `z` (n_sections, 2, n_channels)."""
        return {"z": _sos.states(self._packed, self.n_channels), "started": np.array(self._started)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from a filter of another shape."""
        z = np.asarray(state["z"], dtype=self.dtype)
        expected = (len(self.sos), 2, self.n_channels)
        if z.shape != expected:
            raise ShapeError(f"the saved filter state has shape {z.shape}, this filter needs {expected}")
        self.reset()
        _sos.set_states(self._packed, z)
        self._started = bool(state["started"])


class FilterBank:
    """One input, many bands: a cascade per band, all run in one call while the input stays in the cache.

    Parameters
    ----------
    bands : sequence of array_like, each of shape (n_sections, 6)
        Sections of each band; all bands have the same number of sections.
    n_channels : int

    Raises
    ------
    DesignError
        As `SosFilter`, or if the bands have different numbers of sections.

    References
    ----------
    .. [1] Ang et al., Front. Neurosci. 6:39, 2012 (filter bank of nine 4 Hz bands). doi:10.3389/fnins.2012.00039
    """

    def __init__(self, bands: Sequence[object], *, n_channels: int) -> None:
        self.bands = tuple(checked_sos(b) for b in bands)
        self.n_channels = checked_channels(n_channels)
        if len({len(b) for b in self.bands}) != 1:
            raise DesignError(
                f"all bands of a bank need the same number of sections, got {[len(b) for b in self.bands]}"
            )
        parts = [_sos.factor(b) for b in self.bands]
        letters = zip(*(form for _, _, form in parts), strict=True)
        self._form = "".join(s[0] if len(set(s)) == 1 else "m" for s in letters)
        self._rest = np.stack([steady_state(gain, taps) for gain, taps, _ in parts])
        self._packed = np.stack([_sos.pack(gain, taps, self.n_channels, F64) for gain, taps, _ in parts])
        self._run = _sos.bank_runner(self._form, F64)
        self._started = False

    @property
    def n_bands(self) -> int:
        return len(self.bands)

    def process(self, x_uv: Signal) -> Signal:
        """Filter the next chunk into every band.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV

        Returns
        -------
        y_uv : ndarray, shape (n_bands, n_channels, n_samples), float64, µV
            Each band in Fortran order.

        Raises
        ------
        ShapeError, NonFiniteError
            As `SosFilter.process`; the state is untouched.
        """
        x = checked_signal(x_uv, self.n_channels, F64)
        if not self._started and x.shape[1]:
            self.start(x)
        y = _empty((len(self.bands), x.shape[1], self.n_channels)).transpose(0, 2, 1)
        if self._run(x, y, self._packed, self._form):
            raise not_finite("a filter bank")
        return y

    def start(self, x_uv: Signal) -> None:
        """Put all bands into the steady state of the first sample of `x_uv`; `process` does so by itself.

        Raises NonFiniteError if `x_uv` holds NaN or infinity.
        """
        if not np.isfinite(x_uv).all():
            raise not_finite("a filter bank")
        for packed, rest in zip(self._packed, self._rest, strict=True):
            _sos.set_states(packed, rest[:, :, None] * x_uv[:, 0])
        self._started = True

    @property
    def started(self) -> bool:
        """Whether a sample came since construction or `reset`."""
        return self._started

    @property
    def kernel_arrays(self) -> tuple[Signal, str]:
        """Coefficients and running states, and the form, as the kernel takes them: for one fused with others."""
        return self._packed, self._form

    def reset(self) -> None:
        """Forget the past; the next sample starts all bands anew."""
        self._started = False

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes: `z` (n_bands, n_sections, 2, n_channels)."""
        z = np.stack([_sos.states(p, self.n_channels) for p in self._packed])
        return {"z": z, "started": np.array(self._started)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from a bank of another shape."""
        z = np.asarray(state["z"], dtype=np.float64)
        expected = (self.n_bands, len(self.bands[0]), 2, self.n_channels)
        if z.shape != expected:
            raise ShapeError(f"the saved bank state has shape {z.shape}, this bank needs {expected}")
        for packed, band in zip(self._packed, z, strict=True):
            _sos.set_states(packed, band)
        self._started = bool(state["started"])


def filter_recording(
    sos: object,
    x_uv: Signal,
    *,
    n_threads: int = 2,
    dtype: DTypeLike = np.float64,
    out: Signal | None = None,
) -> Signal:
    """A whole recording through `SosFilter`, groups of channels on several threads: the same bits, sooner.

    Parameters
    ----------
    sos : array_like, shape (n_sections, 6)
    x_uv : ndarray, shape (n_channels, n_samples), µV
    n_threads : int
    dtype : float64 or float32
    out : ndarray, shape (n_channels, n_samples), of `dtype`, optional
        Where to write, best what this function returned for the last recording, or `x_uv` itself: half of the time
        for a recording of hundreds of megabytes is spent on touching new memory.

    Returns
    -------
    y_uv : ndarray, shape (n_channels, n_samples), µV, Fortran order; `out` where it was given

    Raises
    ------
    ShapeError, NonFiniteError
        As `SosFilter.process`; or if `out` does not fit. After NonFiniteError `out` holds nothing of use.
    """
    kind = checked_dtype(dtype)
    x = checked_signal(x_uv, None, kind)
    if out is not None and (out.shape != x.shape or out.dtype != kind):
        raise ShapeError(f"out must be {kind} of shape {x.shape}, got {out.dtype} of shape {out.shape}")
    y = _new_output(x.shape, kind) if out is None else out
    stage = SosFilter(sos, n_channels=max(1, len(x)), dtype=kind)

    def run(rows: slice) -> None:
        if stage._run(x[rows], y[rows], stage._packed_for(x[rows]), stage._form):
            raise not_finite("a recursive filter")

    if x.size:
        _in_threads(run, len(x), lanes_of(kind), n_threads)
    return y


def zero_phase(sos: object, x_uv: Signal, *, n_threads: int = 2, pad_samples: int | None = None) -> Signal:
    """Filter forwards and backwards: no delay, the response squared. For offline work only; it sees the future.

    Parameters
    ----------
    sos : array_like, shape (n_sections, 6)
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
    n_threads : int
    pad_samples : int, optional
        Samples of odd extension at each end; by default `3 · (2 · n_sections + 1)` as scipy's `sosfiltfilt`.

    Returns
    -------
    y_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order

    Raises
    ------
    ShapeError
        If the signal is not longer than the extension.
    NonFiniteError
        If it holds NaN or infinity.

    References
    ----------
    .. [1] Gustafsson, IEEE Trans. Signal Process. 44(4):988-992, 1996 (initial states). doi:10.1109/78.492552
    """
    x = checked_signal(x_uv, None, F64)
    n = x.shape[1]
    stage = SosFilter(sos, n_channels=max(1, len(x)))
    if pad_samples is None:
        first_order = min(int((stage.sos[:, 2] == 0).sum()), int((stage.sos[:, 5] == 0).sum()))
        pad_samples = 3 * (2 * len(stage.sos) + 1 - first_order)
    if n <= pad_samples:
        raise ShapeError(f"zero-phase filtering needs more than {pad_samples} samples, got {n}")
    y = _new_output(x.shape, F64)

    def run(rows: slice) -> None:
        part, body = x[rows], y[rows]
        before = 2 * part[:, :1] - part[:, pad_samples:0:-1]
        after = 2 * part[:, -1:] - part[:, -2 : -pad_samples - 2 : -1]
        there = (before, np.empty_like(before)), (part, body), (after, np.empty_like(after))
        back = (there[2][1][:, ::-1], np.empty_like(after)), (body[:, ::-1], body[:, ::-1])
        for steps in (there, back):
            packed = stage._packed_for(steps[0][0])  # each way starts in the steady state of its first sample
            for source, target in steps:
                if stage._run(source, target, packed, stage._form):
                    raise not_finite("zero-phase filtering")

    _in_threads(run, len(x), lanes_of(F64), n_threads)
    return y


def _new_output(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Signal:
    """Memory in Fortran order that starts at a whole vector, so that the kernel may write past the caches."""
    y: Signal = aligned(shape[0] * shape[1], dtype, zeros=False).reshape(shape[::-1]).T
    return y


def _in_threads(run: Callable[[slice], None], n_channels: int, width: int, n_threads: int) -> None:
    """Call `run(rows)` for whole blocks of lanes and for the channels left over, so each may be filtered in place."""
    n_blocks = n_channels // width
    edges = [width * (k * n_blocks // n_threads) for k in range(n_threads + 1)]
    parts = [slice(a, b) for a, b in pairwise([*edges, n_channels]) if b > a]
    if len(parts) == 1:
        run(parts[0])
        return
    # streaming needs none of it, and it takes 10 ms to load
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(n_threads) as pool:  # kernels hold no interpreter lock
        list(pool.map(run, parts))


def checked_sos(sos: object) -> Signal:
    """Sections with a0 = 1, or DesignError."""
    a = np.array(sos, dtype=np.float64, ndmin=2)
    if a.ndim != 2 or a.shape[1] != 6 or len(a) == 0:
        raise DesignError(f"expected second-order sections of shape (n_sections, 6), got {a.shape}")
    if not np.isfinite(a).all() or (a[:, 3] == 0).any():
        raise DesignError("second-order sections hold NaN, infinity or a0 = 0")
    a /= a[:, 3:4]
    # the triangle in which both poles are < 1
    stable = (np.abs(a[:, 5]) < 1) & (np.abs(a[:, 4]) < 1 + a[:, 5])
    if not stable.all():
        raise DesignError(
            f"section {int(np.argmin(stable))} is not stable: a pole is not inside the unit circle"
        )
    return np.ascontiguousarray(a)


def steady_state(gain: float, taps: Signal) -> Signal:
    """States (n_sections, 2) of a cascade after a constant input of 1 since ever."""
    rest = np.empty((len(taps), 2))
    level = gain
    for s, (b1, b2, a1, a2) in enumerate(taps):
        out = level * (1.0 + b1 + b2) / (1.0 + a1 + a2)
        rest[s] = out - level, b2 * level - a2 * out
        level = out
    return rest
