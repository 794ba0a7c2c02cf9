"""Mains removal that leaves the band alone: a tracking canceller for streams, a spatial method for recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _loops
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.errors import DesignError, ShapeError

__all__ = ["LineCanceller", "remove_line_spatially"]


class LineCanceller:
    """Subtract a mains line and its harmonics, following its frequency as it drifts.

    One oscillator serves all channels; each channel and harmonic has its own amplitude and phase, learnt by LMS [1]_.
    Near the line this is a notch of −3 dB width `1 / (π · time_constant_s)` Hz that moves with it; elsewhere it is
    transparent. The rotation of the amplitudes, all channels together, tells how far the oscillator is off.

    Parameters
    ----------
    n_channels : int
    line_hz : float, Hz
        Nominal frequency, 50 or 60.
    fs_hz : float, Hz
    harmonics : int
        Multiples to remove, the line itself counted; those at or above half the rate are left out.
    time_constant_s : float, s
        How fast amplitudes follow.
    pull_hz : float, Hz
        How far from nominal the frequency may go.

    Raises
    ------
    DesignError
        If the line does not fit the rate, or a parameter is not positive.

    References
    ----------
    .. [1] Widrow et al., Proc. IEEE 63(12):1692-1716, 1975 (adaptive noise cancelling). doi:10.1109/PROC.1975.10036
    """

    def __init__(
        self,
        n_channels: int,
        *,
        line_hz: float = 50.0,
        fs_hz: float,
        harmonics: int = 3,
        time_constant_s: float = 0.5,
        pull_hz: float = 1.0,
    ) -> None:
        self.n_channels = checked_channels(n_channels)
        if not 0 < line_hz < fs_hz / 2 or harmonics < 1 or not time_constant_s > 0 or not pull_hz > 0:
            raise DesignError(
                f"a line at {line_hz:g} Hz with {harmonics} harmonics, {time_constant_s:g} s and ±{pull_hz:g} Hz "
                f"does not fit a rate of {fs_hz:g} Hz"
            )
        kept = sum(1 for k in range(1, harmonics + 1) if k * (line_hz + pull_hz) < fs_hz / 2)
        self.fs_hz = float(fs_hz)
        self._rate = 2.0 / (time_constant_s * fs_hz)
        # frequency follows as fast as amplitude: damping 0.5, so a drift costs little
        self._pull = self._rate / 2.0
        self._limit = 2 * np.pi * pull_hz / fs_hz
        self._nominal = 2 * np.pi * line_hz / fs_hz
        self._amplitude = np.zeros((max(1, kept), 2, self.n_channels))
        self._oscillator = np.array([0.0, self._nominal, self._nominal])

    @property
    def line_hz(self) -> float:
        """Present estimate of the line's frequency in Hz (of the nominal sampling rate)."""
        return float(self._oscillator[1] * self.fs_hz / (2 * np.pi))

    def process(self, x_uv: F64) -> F64:
        """The next chunk without the line.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV
            High-passed: an offset of millivolts would disturb the tracking.

        Returns
        -------
        y_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity; the state is untouched.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not np.isfinite(x).all():
            raise not_finite("a line canceller")
        y = np.empty(x.shape, order="F")
        _loops.cancel_line(x, y, self._amplitude, self._oscillator, self._rate, self._pull, self._limit)
        return y

    def reset(self) -> None:
        """Forget amplitudes and frequency."""
        self._amplitude[:] = 0.0
        self._oscillator[:] = 0.0, self._nominal, self._nominal

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        return {"amplitude": self._amplitude.copy(), "oscillator": self._oscillator.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it is of another shape."""
        amplitude = np.asarray(state["amplitude"], dtype=np.float64)
        if amplitude.shape != self._amplitude.shape:
            raise ShapeError(
                f"the saved line state has shape {amplitude.shape}, expected {self._amplitude.shape}"
            )
        self._amplitude[:] = amplitude
        self._oscillator[:] = state["oscillator"]


def remove_line_spatially(
    x_uv: F64, *, line_hz: float, fs_hz: float, n_remove: int | None = None
) -> tuple[F64, int]:
    """Remove the spatial components that carry the line, as ZapLine does. Offline only: it sees the whole recording.

    A moving average over one line period takes the line and all its harmonics out; what it took is mostly line. Of that
    part the components with most power at the line are projected out, and the rest of it is put back.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
    line_hz, fs_hz : float, Hz
    n_remove : int, optional
        Components to remove. By default those whose share of line power stands out from the others.

    Returns
    -------
    y_uv : ndarray, shape (n_channels, n_samples), float64, µV
    n_removed : int

    Raises
    ------
    ShapeError, NonFiniteError, DesignError
        If the recording is shorter than a second, is not finite, or the line does not fit the rate.

    References
    ----------
    .. [1] de Cheveigné, NeuroImage 207:116356, 2020 (ZapLine). doi:10.1016/j.neuroimage.2019.116356
    """
    x = checked_signal(x_uv, None, FLOAT64)
    if not 0 < line_hz < fs_hz / 2:
        raise DesignError(f"a line at {line_hz:g} Hz does not fit a rate of {fs_hz:g} Hz")
    n_channels, n = x.shape
    if n < fs_hz:
        raise ShapeError(f"at least one second of signal is needed, got {n} samples at {fs_hz:g} Hz")
    if not np.isfinite(x).all():
        raise not_finite("line removal")
    smooth = _one_period_mean(x, fs_hz / line_hz)
    rest = x - smooth
    centred = rest - rest.mean(axis=1, keepdims=True)

    # half a hertz, so the harmonics are told from their neighbours
    size = int(2 ** np.ceil(np.log2(2 * fs_hz)))
    size = min(size, n)
    starts = range(0, n - size + 1, size // 2)
    window = np.hanning(size)
    lines = [k * line_hz for k in range(1, int(fs_hz / 2 / line_hz) + 1) if k * line_hz < fs_hz / 2]
    bins = sorted({round(f * size / fs_hz) for f in lines} - {0})
    bias = np.zeros((n_channels, n_channels))
    for start in starts:
        peak = np.fft.rfft(centred[:, start : start + size] * window, axis=1)[:, bins]
        bias += (peak @ peak.conj().T).real
    bias /= max(np.trace(bias), 1e-300)
    total = centred @ centred.T / max(float(np.sum(centred**2)), 1e-300)

    # components of `rest` in order of their share of line power: whiten by the total, rotate by the bias
    value, vector = np.linalg.eigh(total)
    keep = value > 1e-10 * value[-1]
    whiten = vector[:, keep] / np.sqrt(value[keep])
    score, rotation = np.linalg.eigh(whiten.T @ bias @ whiten)
    score, to_components = score[::-1], (whiten @ rotation)[:, ::-1]
    if n_remove is None:
        n_remove = _outliers(score)
    n_remove = min(n_remove, len(score))
    if n_remove == 0:
        return np.asfortranarray(x), 0
    components = to_components[:, :n_remove].T @ centred
    pattern = total @ to_components[:, :n_remove]
    return np.asfortranarray(smooth + rest - pattern @ components), n_remove


def _one_period_mean(x: F64, period: float) -> F64:
    """Centred moving average over a period that need not be a whole number of samples: zero at every harmonic."""
    half = (period - 1) / 2
    whole = int(np.floor(half))
    taps = np.ones(2 * whole + 3)
    taps[[0, -1]] = half - whole
    taps /= taps.sum()
    padded = np.pad(x, ((0, 0), (whole + 1, whole + 1)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(row, taps, mode="valid") for row in padded])


def _outliers(score: F64) -> int:
    """How many of the falling scores stand more than three deviations above the mean of the rest, one after another."""
    for k in range(len(score) // 2):
        rest = score[k + 1 :]
        if not score[k] > rest.mean() + 3 * rest.std() or not score[k] > 2 * rest.mean():
            return k
    return len(score) // 2
