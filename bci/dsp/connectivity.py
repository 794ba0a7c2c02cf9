"""How channels go together: coherence and phase locking, of sets of windows."""

from __future__ import annotations

import numpy as np

from bci.chunks import F64
from bci.errors import DesignError, NonFiniteError, ShapeError

__all__ = ["coherence", "phase_locking"]


def coherence(windows_uv: F64, *, fs_hz: float, low_hz: float, high_hz: float) -> F64:
    """Magnitude-squared coherence of all pairs of channels, averaged over a band.

    Parameters
    ----------
    windows_uv : ndarray, shape (n_windows, n_channels, n_samples), float64, µV
        The estimate is biased by about 1/n_windows; one window always gives 1.
    fs_hz, low_hz, high_hz : float, Hz

    Returns
    -------
    coherence : ndarray, shape (n_channels, n_channels), 0 to 1

    Raises
    ------
    ShapeError, NonFiniteError, DesignError
        If there are fewer than 2 windows, a value is not finite, or no frequency lies in the band.

    References
    ----------
    .. [1] Carter, Proc. IEEE 75(2):236-255, 1987. doi:10.1109/PROC.1987.13723
    """
    x = _checked(windows_uv)
    n = x.shape[2]
    freqs = np.fft.rfftfreq(n, 1.0 / fs_hz)
    inside = (freqs >= low_hz) & (freqs < high_hz)
    if not inside.any():
        raise DesignError(
            f"no frequency of windows of {n} samples lies between {low_hz:g} and {high_hz:g} Hz"
        )
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    centred = x - x.mean(axis=2, keepdims=True)
    # (n_freqs, n_channels, n_windows)
    spectra = np.fft.rfft(centred * hann, axis=2)[:, :, inside].transpose(2, 1, 0)
    cross = spectra @ spectra.conj().transpose(0, 2, 1)
    power = np.einsum("fii->fi", cross).real
    out: F64 = (np.abs(cross) ** 2 / np.maximum(power[:, :, None] * power[:, None, :], 1e-300)).mean(axis=0)
    return out


def phase_locking(windows_uv: F64) -> F64:
    """Phase-locking value of all pairs of channels.

    Parameters
    ----------
    windows_uv : ndarray, shape (n_windows, n_channels, n_samples), float64, µV
        Band-passed. Phases are those of the analytic signal; the mean runs over windows and samples.

    Returns
    -------
    plv : ndarray, shape (n_channels, n_channels), 0 to 1

    Raises
    ------
    ShapeError, NonFiniteError
        If there are fewer than 2 windows, or a value is not finite.

    References
    ----------
    .. [1] Lachaux et al., Hum. Brain Mapp. 8:194-208, 1999.
    """
    x = _checked(windows_uv)
    n = x.shape[2]
    weight = np.zeros(n)
    weight[0] = 1.0
    weight[1 : (n + 1) // 2] = 2.0
    if n % 2 == 0:
        weight[n // 2] = 1.0
    analytic = np.fft.ifft(np.fft.fft(x, axis=2) * weight, axis=2)
    unit = analytic / np.maximum(np.abs(analytic), 1e-300)
    flat = unit.transpose(1, 0, 2).reshape(x.shape[1], -1)
    out: F64 = np.abs(flat @ flat.conj().T) / flat.shape[1]
    return out


def _checked(windows_uv: F64) -> F64:
    x = np.asarray(windows_uv, dtype=np.float64)
    if x.ndim != 3 or x.shape[0] < 2 or x.shape[2] < 8:
        raise ShapeError(
            f"expected windows of shape (n_windows >= 2, n_channels, n_samples >= 8), got {x.shape}"
        )
    if not np.isfinite(x).all():
        raise NonFiniteError("a window holds NaN or infinity: leave windows that touch a gap out")
    return x
