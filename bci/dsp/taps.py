"""Design of filters with a finite impulse response: frequencies in, taps out.

Taps are float64 of shape (n_taps,), the first is multiplied with the newest sample. Linear-phase designs have an odd
number of taps, so their delay `(n_taps - 1) / 2` is a whole number of samples.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bci.chunks import F64
from bci.errors import DesignError

__all__ = ["design_fir", "fir_delay", "minimum_phase"]


def design_fir(
    low_hz: float | None,
    high_hz: float | None,
    *,
    fs_hz: float,
    transition_hz: float | None = None,
    n_taps: int | None = None,
    method: Literal["window", "least_squares"] = "window",
) -> F64:
    """Linear-phase taps that pass what lies between `low_hz` and `high_hz`.

    Parameters
    ----------
    low_hz, high_hz : float or None, Hz
        Edges of the pass band (-6 dB half a transition outside). None leaves that side open: low-pass or high-pass.
        `low_hz > high_hz` stops the band between them.
    fs_hz : float, Hz
    transition_hz : float, optional
        Width of the transition bands. By default a quarter of the lower edge, at least 2 Hz where that fits.
    n_taps : int, optional
        Odd. By default what a Hamming window needs for the transition: 3.3 · fs / transition [1]_.
    method : "window" (Hamming) or "least_squares" (smallest squared error outside the transition bands)

    Returns
    -------
    taps : ndarray, shape (n_taps,), float64, symmetric

    Raises
    ------
    DesignError
        If an edge does not fit the rate, both sides are open, or `n_taps` is even.

    References
    ----------
    .. [1] Widmann, Schröger & Maess, J. Neurosci. Methods 250:34-46, 2015. doi:10.1016/j.jneumeth.2014.08.002
    """
    from scipy import signal

    half = fs_hz / 2
    edges = sorted(e for e in (low_hz, high_hz) if e is not None)
    if not edges or not all(0 < e < half for e in edges) or low_hz == high_hz:
        raise DesignError(
            f"a band from {low_hz} to {high_hz} Hz does not fit a rate of {fs_hz:g} Hz: "
            f"give at least one edge, above 0 and below {half:g} Hz"
        )
    stops = low_hz is not None and high_hz is not None and low_hz > high_hz
    room = 0.4 * (edges[-1] - edges[0]) if stops else min(edges[0], half - edges[-1])
    width = min(max(0.25 * edges[0], 2.0), room) if transition_hz is None else transition_hz
    if not 0 < width <= room:
        raise DesignError(
            f"a transition of {width:g} Hz does not fit: beside the edges there is room for {room:g} Hz"
        )
    count = int(np.ceil(3.3 * fs_hz / width)) // 2 * 2 + 1 if n_taps is None else n_taps
    if count % 2 == 0 or count < 3:
        raise DesignError(f"a linear-phase filter here has an odd number of taps, at least 3, got {count}")

    # pairs (frequency, gain) at the corners of the transition bands
    below = [] if low_hz is None else [(low_hz - width, 0.0), (low_hz, 1.0)]
    above = [] if high_hz is None else [(high_hz, 1.0), (high_hz + width, 0.0)]
    corners = above + below if stops else below + above
    if method == "least_squares":
        points = [(0.0, corners[0][1]), *corners, (half, corners[-1][1])]
        bands, gains = [f for f, _ in points], [g for _, g in points]
        # a transition that ends at 0 or at half the rate leaves it a little
        bands[1] = max(bands[1], 0.05 * width)
        bands[-2] = min(bands[-2], half - 0.05 * width)
        return np.asarray(signal.firls(count, bands, gains, fs=fs_hz), dtype=np.float64)
    if method != "window":
        raise DesignError(f"unknown method {method!r}: expected window or least_squares")
    cuts = [(a + b) / 2 for (a, _), (b, _) in zip(corners[::2], corners[1::2], strict=True)]
    kind = "bandstop" if stops else "bandpass" if below and above else "highpass" if below else "lowpass"
    return np.asarray(
        signal.firwin(count, cuts, pass_zero=kind, window="hamming", fs=fs_hz), dtype=np.float64
    )


def minimum_phase(taps: F64) -> F64:
    """Taps with the same magnitude response and the least delay a causal filter can have.

    Parameters
    ----------
    taps : ndarray, shape (n_taps,), float64
        A linear-phase filter.

    Returns
    -------
    taps : ndarray, shape (n_taps,), float64

    References
    ----------
    .. [1] Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., ch. 13.8 (real cepstrum).
    """
    n = max(4096, 16 << int(np.ceil(np.log2(len(taps)))))
    log_magnitude = np.log(np.maximum(np.abs(np.fft.fft(taps, n)), 1e-8 * np.abs(taps).sum()))
    cepstrum = np.fft.ifft(log_magnitude).real
    fold = np.zeros(n)
    fold[0] = fold[n // 2] = 1.0
    fold[1 : n // 2] = 2.0
    out: F64 = np.fft.ifft(np.exp(np.fft.fft(cepstrum * fold))).real[: len(taps)]
    return out


def fir_delay(taps: F64) -> float:
    """Group delay in samples: exact for linear phase, else the mean weighted by the power that is passed."""
    if np.allclose(taps, taps[::-1], rtol=0, atol=1e-12 * np.abs(taps).max()) or np.allclose(
        taps, -taps[::-1], rtol=0, atol=1e-12 * np.abs(taps).max()
    ):
        return (len(taps) - 1) / 2
    energy = taps * taps
    return float(np.arange(len(taps)) @ energy / energy.sum())
