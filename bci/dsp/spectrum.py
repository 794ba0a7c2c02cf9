"""Power spectral density along a stream: Welch's method and Slepian tapers.

Segments are anchored to the sample number, so any cut of the signal gives the same bits. Densities are one-sided, in
µV²/Hz, with each segment's mean removed, as scipy's and MNE's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.errors import DesignError, ShapeError

__all__ = ["StreamingPsd", "band_power", "psd"]


class StreamingPsd:
    """Power spectral density of each segment, and the mean of the last ones.

    Parameters
    ----------
    n_channels : int
    fs_hz : float, Hz
    segment_samples : int
        Frequency resolution is `fs_hz / segment_samples`.
    step_samples : int, optional
        From one segment to the next; half a segment by default.
    average : int
        Segments in the mean (Welch); 1 for each segment alone.
    taper : "hann" or "slepian"
        "slepian" averages over `2 · half_bandwidth - 1` Slepian tapers (multitaper).
    half_bandwidth : float
        Time-half-bandwidth product of the Slepian tapers.

    Raises
    ------
    DesignError
        If the lengths do not fit each other.

    References
    ----------
    .. [1] Welch, IEEE Trans. Audio Electroacoust. 15(2):70-73, 1967. doi:10.1109/TAU.1967.1161901
    .. [2] Thomson, Proc. IEEE 70(9):1055-1096, 1982. doi:10.1109/PROC.1982.12433
    """

    _next: int | None
    _filled: int
    _count: int

    def __init__(
        self,
        n_channels: int,
        *,
        fs_hz: float,
        segment_samples: int,
        step_samples: int | None = None,
        average: int = 8,
        taper: Literal["hann", "slepian"] = "hann",
        half_bandwidth: float = 3.0,
    ) -> None:
        self.n_channels = checked_channels(n_channels)
        step = segment_samples // 2 if step_samples is None else step_samples
        if segment_samples < 8 or not 1 <= step <= segment_samples or average < 1 or not fs_hz > 0:
            raise DesignError(
                f"segments of {segment_samples} samples every {step}, {average} averaged, do not make a spectrum"
            )
        self.segment_samples, self.step_samples = int(segment_samples), int(step)
        tapers = _tapers(self.segment_samples, taper, half_bandwidth)
        self._tapers = tapers
        scale = np.full(self.segment_samples // 2 + 1, 2.0 / fs_hz)
        scale[0] = 1.0 / fs_hz
        if self.segment_samples % 2 == 0:
            scale[-1] = 1.0 / fs_hz
        self._scale = scale / np.sum(tapers**2, axis=1, keepdims=True)
        self.freqs_hz: F64 = np.asarray(np.fft.rfftfreq(self.segment_samples, 1.0 / fs_hz), dtype=np.float64)
        self._line = np.zeros((self.n_channels, self.segment_samples))
        self._recent = np.zeros((average, self.n_channels, len(self.freqs_hz)))
        self.reset()

    def process(self, x_uv: F64, first_sample: int) -> tuple[NDArray[np.int64], F64]:
        """Take the next samples and give the spectra that became due.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        first_sample : int
            Conversion number of the first column; a jump starts anew.

        Returns
        -------
        end_samples : ndarray, shape (k,), int64
            A spectrum is due where the sample number is a multiple of the step, once a segment is full.
        density : ndarray, shape (k, n_channels, n_freqs), float64, µV²/Hz
            Mean over the last `average` segments, or as many as there are.

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity; nothing is taken.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not np.isfinite(x).all():
            raise not_finite("a spectrum")
        if first_sample != self._next:
            self.reset()
        ends, densities = [], []
        t = 0
        while t < x.shape[1]:
            m = min(x.shape[1] - t, self.step_samples - (first_sample + t) % self.step_samples)
            part = x[:, t : t + m]
            self._line = np.concatenate([self._line[:, m:], part], axis=1)
            self._filled = min(self._filled + m, self.segment_samples)
            t += m
            if (first_sample + t) % self.step_samples == 0 and self._filled == self.segment_samples:
                self._recent[self._count % len(self._recent)] = self._density(self._line)
                self._count += 1
                ends.append(first_sample + t)
                densities.append(self._mean())
        self._next = first_sample + x.shape[1]
        shape = (len(ends), self.n_channels, len(self.freqs_hz))
        return np.array(ends, dtype=np.int64), np.array(densities).reshape(shape)

    def _density(self, segment: F64) -> F64:
        centred = segment - segment.mean(axis=1, keepdims=True)
        spectra = np.fft.rfft(centred[:, None, :] * self._tapers, axis=2)
        out: F64 = ((spectra.real**2 + spectra.imag**2) * self._scale).mean(axis=1)
        return out

    def _mean(self) -> F64:
        n = min(self._count, len(self._recent))
        total: F64 = np.zeros_like(self._recent[0])
        for k in range(self._count - n, self._count):  # oldest first
            total += self._recent[k % len(self._recent)]
        total /= n
        return total

    def reset(self) -> None:
        """Forget the past."""
        self._next = None
        self._filled = self._count = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        after = -1 if self._next is None else self._next
        place = np.array([after, self._filled, self._count], dtype=np.int64)
        return {"line": self._line.copy(), "recent": self._recent.copy(), "place": place}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it is of another shape."""
        if state["recent"].shape != self._recent.shape or state["line"].shape != self._line.shape:
            raise ShapeError(
                f"the saved spectrum has shape {state['recent'].shape}, expected {self._recent.shape}"
            )
        self._line = np.array(state["line"])
        self._recent[:] = state["recent"]
        after, self._filled, self._count = (int(v) for v in state["place"])
        self._next = None if after < 0 else after


def psd(
    x_uv: F64,
    *,
    fs_hz: float,
    segment_samples: int,
    taper: Literal["hann", "slepian"] = "hann",
    half_bandwidth: float = 3.0,
) -> tuple[F64, F64]:
    """Welch's mean over the half-overlapping segments of a whole signal: frequencies (n_freqs,), density (n_channels,
    n_freqs) in µV²/Hz. Errors as `StreamingPsd`; ShapeError also if the signal is shorter than a segment."""
    x = checked_signal(x_uv, None, FLOAT64)
    step = segment_samples // 2
    n_segments = (x.shape[1] - segment_samples) // max(step, 1) + 1
    if n_segments < 1:
        raise ShapeError(f"{x.shape[1]} samples are shorter than a segment of {segment_samples}")
    stage = StreamingPsd(
        x.shape[0],
        fs_hz=fs_hz,
        segment_samples=segment_samples,
        average=n_segments,
        taper=taper,
        half_bandwidth=half_bandwidth,
    )
    start = -segment_samples % step  # so that the first segment ends at a multiple of the step
    _, density = stage.process(x, start)
    return stage.freqs_hz, density[-1]


def band_power(freqs_hz: F64, density: F64, low_hz: float, high_hz: float) -> F64:
    """Power between two frequencies, µV²: the density (..., n_freqs) summed over bins in [low, high).

    Raises
    ------
    DesignError
        If no bin lies in the band.
    """
    inside = (freqs_hz >= low_hz) & (freqs_hz < high_hz)
    if not inside.any():
        raise DesignError(
            f"no frequency bin lies between {low_hz:g} and {high_hz:g} Hz: take longer segments"
        )
    out: F64 = density[..., inside].sum(axis=-1) * (freqs_hz[1] - freqs_hz[0])
    return out


def _tapers(n: int, taper: str, half_bandwidth: float) -> F64:
    """Tapers (n_tapers, n); scipy computes the Slepian ones."""
    if taper == "hann":
        return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n))[None]
    if taper != "slepian" or not 1 <= half_bandwidth < n / 4:
        raise DesignError(
            f"taper {taper!r} with half bandwidth {half_bandwidth:g} is unknown or does not fit"
        )
    from scipy.signal.windows import dpss

    return np.asarray(dpss(n, half_bandwidth, int(2 * half_bandwidth - 1)), dtype=np.float64)
