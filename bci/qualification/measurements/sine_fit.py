"""Amplitude, phase and frequency of a sine in a record, by least squares.

References
----------
.. [1] IEEE Std 1057-2017, Digitizing Waveform Recorders, annex A: three- and four-parameter sine fit.
.. [2] Händel, IEEE Trans. Instrum. Meas. 49(6):1189-1193, 2000. doi:10.1109/19.893254 (variance of the fit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.chunks import F64
from bci.errors import ShapeError

__all__ = ["SineFit", "fit_four", "fit_harmonics", "fit_three"]

MAX_STEPS = 30
SETTLED = 1e-12  # of the frequency, relative
PAD = 8  # zero padding for the first guess of the frequency


@dataclass(frozen=True, slots=True)
class SineFit:
    """``amplitude · sin(2π frequency_hz t + phase_rad) + offset`` with t from the record's first sample.

    `residual` is the standard deviation of what is left; `amplitude_u`, `phase_u` and `frequency_u` are standard
    uncertainties (k = 1) from it [2], with white residuals.
    """

    amplitude: float
    phase_rad: float
    offset: float
    frequency_hz: float
    residual: float
    amplitude_u: float
    phase_u: float
    frequency_u: float

    @property
    def snr(self) -> float:
        """Amplitude in its own standard uncertainties: below about 5 there is no tone."""
        return self.amplitude / self.amplitude_u if self.amplitude_u else float("inf")


def fit_three(x: F64, *, fs_hz: float, frequency_hz: float) -> SineFit:
    """Amplitude, phase and offset of a sine of known frequency [1, A.1].

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
        Any unit; NaN (lost samples) are left out.
    fs_hz, frequency_hz : float

    Raises
    ------
    ShapeError
        If there are fewer than 8 samples.
    """
    t, y = _record(x, fs_hz)
    turn = 2 * np.pi * frequency_hz * t
    parts, *_ = np.linalg.lstsq(np.column_stack([np.cos(turn), np.sin(turn), np.ones_like(t)]), y, rcond=None)
    return _fit(t, y, float(parts[0]), float(parts[1]), float(parts[2]), frequency_hz, known=True)


def fit_four(x: F64, *, fs_hz: float, near_hz: float | None = None) -> SineFit:
    """The same with the frequency found, too [1, A.2]: from `near_hz`, or from the strongest line of the spectrum.

    Raises
    ------
    ShapeError
        If there are fewer than 16 samples.
    """
    t, y = _record(x, fs_hz, at_least=16)
    f_hz = (
        _strongest(y, fs_hz, near_hz)
        if not np.isnan(x).any()
        else float(near_hz or _strongest(y, fs_hz, None))
    )
    for _step in range(MAX_STEPS):
        turn = 2 * np.pi * f_hz * t
        c, s = np.cos(turn), np.sin(turn)
        plain, *_ = np.linalg.lstsq(np.column_stack([c, s, np.ones_like(t)]), y, rcond=None)
        slope = 2 * np.pi * t * (-plain[0] * s + plain[1] * c)
        parts, *_ = np.linalg.lstsq(np.column_stack([c, s, np.ones_like(t), slope]), y, rcond=None)
        step_hz = float(np.clip(parts[3], -0.5 / t[-1], 0.5 / t[-1]))
        f_hz += step_hz
        if abs(step_hz) <= SETTLED * max(f_hz, 1e-9):
            break
    turn = 2 * np.pi * f_hz * t
    parts, *_ = np.linalg.lstsq(np.column_stack([np.cos(turn), np.sin(turn), np.ones_like(t)]), y, rcond=None)
    return _fit(t, y, float(parts[0]), float(parts[1]), float(parts[2]), f_hz, known=False)


def fit_harmonics(x: F64, *, fs_hz: float, frequency_hz: float, order: int = 5) -> tuple[F64, float]:
    """Amplitudes of the tone and its harmonics up to `order` (those below Nyquist), and their standard uncertainty.

    Returns
    -------
    amplitudes : ndarray, shape (n,)
    uncertainty : float, k = 1
        Of each of them, from what is left of the record.
    """
    t, y = _record(x, fs_hz, at_least=4 * order)
    n = max(1, min(order, int(0.49 * fs_hz / frequency_hz)))
    turn = 2 * np.pi * frequency_hz * np.outer(t, np.arange(1, n + 1))
    basis = np.hstack([np.cos(turn), np.sin(turn), np.ones((len(t), 1))])
    parts, *_ = np.linalg.lstsq(basis, y, rcond=None)
    left = float(np.std(y - basis @ parts, ddof=2 * n + 1))
    return np.hypot(parts[:n], parts[n : 2 * n]), left * float(np.sqrt(2.0 / len(t)))


def _record(x: F64, fs_hz: float, *, at_least: int = 8) -> tuple[F64, F64]:
    x = np.asarray(x, dtype=np.float64)
    there = np.isfinite(x)
    if x.ndim != 1 or there.sum() < at_least:
        raise ShapeError(f"a sine fit needs one channel of {at_least} samples, got shape {x.shape}")
    return np.flatnonzero(there) / fs_hz, x[there]


def _strongest(y: F64, fs_hz: float, near_hz: float | None) -> float:
    """First guess: the peak of the zero-padded spectrum, within 5 % of `near_hz` where that is given."""
    n = PAD * len(y)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(y)) / len(y))
    power = np.abs(np.fft.rfft((y - y.mean()) * hann, n))
    f_hz = np.fft.rfftfreq(n, 1.0 / fs_hz)
    power[f_hz < 2.0 * fs_hz / len(y)] = 0.0
    if near_hz is not None:
        room = max(0.05 * near_hz, 2.0 * fs_hz / len(y))
        power[np.abs(f_hz - near_hz) > room] = 0.0
    return float(f_hz[power.argmax()])


def _fit(t: F64, y: F64, c: float, s: float, offset: float, f_hz: float, *, known: bool) -> SineFit:
    n = len(y)
    turn = 2 * np.pi * f_hz * t
    left = y - c * np.cos(turn) - s * np.sin(turn) - offset
    residual = float(np.sqrt((left**2).sum() / (n - (3 if known else 4))))
    amplitude = float(np.hypot(c, s))
    amplitude_u = residual * float(np.sqrt(2.0 / n))
    relative = amplitude_u / amplitude if amplitude else float("inf")
    return SineFit(
        amplitude=amplitude,
        phase_rad=float(np.arctan2(c, s)),
        offset=offset,
        frequency_hz=f_hz,
        residual=residual,
        amplitude_u=amplitude_u,
        phase_u=relative if known else 2.0 * relative,
        frequency_u=0.0 if known else relative * float(np.sqrt(12.0)) / (2 * np.pi * (t[-1] + t[1] - t[0])),
    )
