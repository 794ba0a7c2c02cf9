"""Stationary noise of any spectrum, page by page, the same bits however it is fetched.

Recursive filters would tie every sample to all before it. Here a page of noise is drawn in the frequency
domain from a generator seeded by (wearer, run, page); neighbours overlap by half and are cross-faded with sin
and cos, whose squares sum to one, so the variance is the same everywhere and no seam can be heard or decoded.
"""

from __future__ import annotations

import math

import numpy as np

from bci.chunks import F64

__all__ = ["NoisePages", "bump", "hop_length", "knots", "pink", "wander"]


def hop_length(rate_hz: int) -> int:
    """Samples between the starts of two pages: the power of two nearest to 2 s."""
    return 1 << round(math.log2(2 * rate_hz))


def bump(frequency_hz: F64, centre_hz: float, width_hz: float) -> F64:
    """Amplitude spectrum of a rhythm that waxes and wanes: a Gaussian, `width_hz` its standard deviation."""
    return np.asarray(np.exp(-0.5 * ((frequency_hz - centre_hz) / width_hz) ** 2))


def pink(frequency_hz: F64, *, exponent: float, knee_hz: float) -> F64:
    """Amplitude spectrum whose power falls as 1/f**exponent above the knee."""
    return np.asarray((knee_hz**2 + frequency_hz**2) ** (-exponent / 4))


class NoisePages:
    """Unit-variance Gaussian noise, one row per amplitude spectrum, served in blocks of `hop` samples.

    Parameters
    ----------
    spectra : ndarray, shape (n_rows, hop + 1)
        Amplitude at the frequencies `k * rate / (2 * hop)`; only the shape counts.
    seed : tuple of int
        Page p is drawn from `default_rng((*seed, p))`.
    """

    def __init__(self, spectra: F64, *, seed: tuple[int, ...]) -> None:
        self._hop = spectra.shape[1] - 1
        n = 2 * self._hop
        shape = spectra.copy()
        shape[:, [0, -1]] = 0.0
        # irfft of bins a + ib with variance 2 s² each has variance 4 Σ s² / n²
        self._scale = shape * (n / 2) / np.sqrt((shape**2).sum(axis=1, keepdims=True))
        self._seed = seed
        phase = (np.arange(self._hop) + 0.5) * (np.pi / 2 / self._hop)
        self._fade_in, self._fade_out = np.sin(phase), np.cos(phase)
        self._pages: dict[int, F64] = {}

    def block(self, number: int) -> F64:
        """Samples `number * hop` to `(number + 1) * hop`, shape (n_rows, hop)."""
        self._pages = {k: v for k, v in self._pages.items() if k in (number, number + 1)}
        older, newer = self._page(number), self._page(number + 1)
        return np.asarray(older[:, self._hop :] * self._fade_out + newer[:, : self._hop] * self._fade_in)

    def _page(self, number: int) -> F64:
        if number not in self._pages:
            rng = np.random.default_rng((*self._seed, number))
            draw = rng.standard_normal((*self._scale.shape, 2)).view(np.complex128)[..., 0]
            self._pages[number] = np.fft.irfft(draw * self._scale, axis=1)
        return self._pages[number]


def knots(values: F64, block: int, hop: int) -> F64:
    """Slow course through `values` (..., n_knots), one per block start, within one block: (..., hop).

    Neighbours are cross-faded with sin² and cos², so the course is smooth and never leaves their range.
    """
    rise = np.sin((np.arange(hop) + 0.5) * (np.pi / 2 / hop)) ** 2
    before, after = values[..., block, None], values[..., block + 1, None]
    return np.asarray(before + (after - before) * rise)


def wander(rng: np.random.Generator, shape: tuple[int, int], sigma: float, memory: float) -> F64:
    """First-order random course along the last axis with standard deviation `sigma`."""
    steps = rng.normal(0.0, sigma * np.sqrt(1 - memory**2), shape)
    steps[:, 0] = rng.normal(0.0, sigma, shape[0])
    for k in range(1, shape[1]):
        steps[:, k] += memory * steps[:, k - 1]
    return np.asarray(steps)
