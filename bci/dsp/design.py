"""Design of recursive filters: frequencies in, second-order sections out.

scipy designs; nothing of it is needed to run a filter, so it loads inside the functions. A cascade is a float64
array of shape (n_sections, 6), each row `b0 b1 b2 1 a1 a2`, as `scipy.signal` has it; cascades are joined with
`cascade`. Frequencies are Hz, and one that does not fit the sampling rate is refused here, not filtered wrongly later.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bci.chunks import F64
from bci.errors import DesignError

__all__ = [
    "Family",
    "cascade",
    "design_bandpass",
    "design_bandstop",
    "design_dc_blocker",
    "design_highpass",
    "design_lowpass",
    "design_notch",
]

Family = Literal["butterworth", "chebyshev2", "elliptic"]


def design_bandpass(
    low_hz: float,
    high_hz: float,
    *,
    fs_hz: float,
    order: int = 4,
    family: Family = "butterworth",
    ripple_db: float = 0.5,
    stop_db: float = 40.0,
) -> F64:
    """Sections that pass `low_hz` to `high_hz`.

    Parameters
    ----------
    low_hz, high_hz : float, Hz
        Edges: −3 dB for Butterworth, the start of the stop band for Chebyshev II, the end of the ripple for elliptic.
    fs_hz : float, Hz
        Sampling rate.
    order : int
        Order of the low-pass prototype = number of sections of the band-pass.
    family : "butterworth" (no ripple), "chebyshev2" (ripple in the stop band) or "elliptic" (in both)
    ripple_db, stop_db : float, dB
        Pass-band ripple (elliptic) and stop-band attenuation (Chebyshev II, elliptic).

    Returns
    -------
    sos : ndarray, shape (order, 6), float64

    Raises
    ------
    DesignError
        If the edges are not in order, not positive or not below half the sampling rate.

    References
    ----------
    .. [1] Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., ch. 7.3 (bilinear transformation).
    """
    return _design("bandpass", (low_hz, high_hz), fs_hz, order, family, ripple_db, stop_db)


def design_bandstop(
    low_hz: float,
    high_hz: float,
    *,
    fs_hz: float,
    order: int = 2,
    family: Family = "butterworth",
    ripple_db: float = 0.5,
    stop_db: float = 40.0,
) -> F64:
    """Sections that remove `low_hz` to `high_hz`; parameters as in `design_bandpass`. Shape (order, 6)."""
    return _design("bandstop", (low_hz, high_hz), fs_hz, order, family, ripple_db, stop_db)


def design_lowpass(
    cut_hz: float,
    *,
    fs_hz: float,
    order: int = 4,
    family: Family = "butterworth",
    ripple_db: float = 0.5,
    stop_db: float = 40.0,
) -> F64:
    """Sections that pass what is below `cut_hz`; parameters as in `design_bandpass`. Shape (ceil(order/2), 6)."""
    return _design("lowpass", (cut_hz,), fs_hz, order, family, ripple_db, stop_db)


def design_highpass(
    cut_hz: float,
    *,
    fs_hz: float,
    order: int = 4,
    family: Family = "butterworth",
    ripple_db: float = 0.5,
    stop_db: float = 40.0,
) -> F64:
    """Sections that pass what is above `cut_hz`; parameters as in `design_bandpass`. Shape (ceil(order/2), 6)."""
    return _design("highpass", (cut_hz,), fs_hz, order, family, ripple_db, stop_db)


def design_notch(freq_hz: float, *, fs_hz: float, q: float = 30.0, harmonics: int = 1) -> F64:
    """One section per removed line: `freq_hz` and its multiples.

    Parameters
    ----------
    freq_hz : float, Hz
        The line, e.g. 50 or 60.
    q : float
        Quality: the −3 dB width is `freq_hz / q`, for every harmonic, since a line drifts in proportion to its number
        but a narrow-band decoder cannot spare more.
    harmonics : int
        How many multiples, the line itself counted. Multiples at or above half the rate are left out.

    Returns
    -------
    sos : ndarray, shape (n_lines, 6), float64

    Raises
    ------
    DesignError
        If the line itself does not lie below half the sampling rate, or `q` is not positive.
    """
    from scipy.signal import iirnotch

    _check((freq_hz,), fs_hz)
    if not q > 0 or harmonics < 1:
        raise DesignError(f"a notch needs q > 0 and harmonics >= 1, got q = {q:g}, harmonics = {harmonics}")
    lines = [k * freq_hz for k in range(1, harmonics + 1) if k * freq_hz < fs_hz / 2]
    return np.array([np.concatenate(iirnotch(f, q * f / freq_hz, fs=fs_hz)) for f in lines])


def design_dc_blocker(cut_hz: float = 0.5, *, fs_hz: float) -> F64:
    """First-order high-pass with −3 dB at `cut_hz`: removes half-cell potentials at one multiply a sample.

    Returns
    -------
    sos : ndarray, shape (1, 6), float64
        `g · (1 − z⁻¹) / (1 − p z⁻¹)`, gain 1 at half the sampling rate.

    References
    ----------
    .. [1] Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., ch. 7.3: bilinear transform of s/(s+ω).
    """
    _check((cut_hz,), fs_hz)
    t = math.tan(math.pi * cut_hz / fs_hz)
    g = 1.0 / (1.0 + t)
    return np.array([[g, -g, 0.0, 1.0, (t - 1.0) * g, 0.0]])


def cascade(*sos: F64) -> F64:
    """One cascade that runs the given ones after another, shape (sum of n_sections, 6)."""
    return np.concatenate([np.atleast_2d(np.asarray(s, dtype=np.float64)) for s in sos])


def _design(
    kind: str,
    edges: tuple[float, ...],
    fs_hz: float,
    order: int,
    family: Family,
    ripple_db: float,
    stop_db: float,
) -> F64:
    from scipy import signal

    _check(edges, fs_hz)
    if order < 1:
        raise DesignError(f"the order of a filter is at least 1, got {order}")
    at = edges if len(edges) == 2 else edges[0]
    if family == "butterworth":
        sos = signal.butter(order, at, kind, fs=fs_hz, output="sos")
    elif family == "chebyshev2":
        sos = signal.cheby2(order, stop_db, at, kind, fs=fs_hz, output="sos")
    elif family == "elliptic":
        sos = signal.ellip(order, ripple_db, stop_db, at, kind, fs=fs_hz, output="sos")
    else:
        raise DesignError(f"unknown filter family {family!r}: expected butterworth, chebyshev2 or elliptic")
    return np.asarray(sos, dtype=np.float64)


def _check(edges: tuple[float, ...], fs_hz: float) -> None:
    if not (math.isfinite(fs_hz) and fs_hz > 0):
        raise DesignError(f"the sampling rate must be positive, got {fs_hz!r} Hz")
    told = " to ".join(f"{f:g}" for f in edges)
    if not all(0 < f < fs_hz / 2 for f in edges):
        raise DesignError(
            f"{told} Hz does not fit a rate of {fs_hz:g} Hz: every edge must lie above 0 and below {fs_hz / 2:g} Hz"
        )
    if len(edges) == 2 and not edges[0] < edges[1]:
        raise DesignError(f"band edges must rise, got {told} Hz")
