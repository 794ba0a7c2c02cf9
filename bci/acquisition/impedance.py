"""Impedance of every electrode while the signal goes on: lock-in detection of the lead-off tone.

The converter switches a current of 6 nA through each electrode, 31.25 times a second or at a quarter of its sampling
rate, locked to its own clock (SPEC 5.3). The tone therefore stands at an exact fraction of the sampling rate, and a
window of whole periods gives its amplitude, all channels at once; Ohm's law gives the rest.

Rules
-----
- Windows begin at multiples of their length in conversion numbers; any cut of the signal gives the same numbers.
  A window that a gap touches is left out.
- 31.25 Hz lies inside the band that decoders use: a check, after which the excitation is switched off. A quarter of
  the rate lies outside, so it can stay on; `ToneFilter` takes it out of the signal.
- Each value comes with bounds. The current is known to ±20 %, which is most of it; the rest is what the EEG itself
  has at the tone's frequency, judged by the frequencies beside it.

References
----------
.. [1] ADS1299 datasheet SBAS499C: lead-off current 6 nA ± 20 % (section 7.5), sinc filter (9.3.2.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from bci.chunks import F64, Chunk
from bci.errors import DesignError
from bci.jit import kernel
from firmware_protocol import LeadOff

__all__ = ["Impedance", "ImpedanceMeter", "ToneFilter", "mean_impedance", "measure_impedance", "tone_cycles"]

CURRENT_NA = 6.0
CURRENT_TOLERANCE = 0.2
#: First harmonic of a square wave of amplitude 1.
SQUARE = 4.0 / np.pi
#: Frequencies beside the tone, in bins of the window, that say how much of it is not tone.
BESIDE = (3, 4, 5, 6, -3, -4, -5, -6)
#: Median to mean of exponentially distributed powers.
MEDIAN_OF_POWER = np.log(2.0)
SIGMAS = 2.0
POLE = 0.985  # of the filter: 1.2 Hz wide at 250 Hz, settled to 1 % within 1.2 s


@dataclass(frozen=True, slots=True)
class Impedance:
    """Of all channels in one window.

    Parameters
    ----------
    first_sample, n_samples : int
        The window.
    kohm : ndarray, shape (n_channels,), kΩ
        Electrode and skin, of the positive input; the reference's is in it where the current returns through it.
    low_kohm, high_kohm : ndarray, shape (n_channels,), kΩ
        Where the true value lies if the current is within its tolerance (95 % as to noise).
    """

    first_sample: int
    n_samples: int
    kohm: F64
    low_kohm: F64
    high_kohm: F64


def tone_cycles(mode: LeadOff, rate: Fraction) -> Fraction:
    """Periods of the tone per sample.

    Raises
    ------
    DesignError
        If this mode has no tone, or none that fits the rate.
    """
    if mode == LeadOff.AC_QUARTER_RATE:
        return Fraction(1, 4)
    cycles = Fraction(125, 4) / rate
    if mode != LeadOff.AC_31_25_HZ or cycles.numerator != 1 or cycles.denominator < 4:
        raise DesignError(
            f"lead-off mode {mode.name} gives no tone that fits {float(rate):g} Hz; expected AC at a quarter of the "
            "rate, or at 31.25 Hz with a rate that is a multiple of 125 Hz"
        )
    return cycles


def measure_impedance(
    x_uv: F64,
    first_sample: int,
    *,
    cycles: Fraction,
    current_na: float = CURRENT_NA,
    series_kohm: float = 0.0,
) -> Impedance:
    """Impedance of one window of raw signal.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), µV
        A whole number of periods of the tone, 16 at least; not filtered.
    first_sample : int
        Conversion number of its first column: the tone's phase follows from it.
    cycles : Fraction
        Periods per sample, from `tone_cycles`.
    current_na : float
        Of the excitation, nA.
    series_kohm : float
        Resistors of the board between electrode and converter, taken off the result.

    Raises
    ------
    DesignError
        If the window is no whole number of periods, or shorter than 16.
    """
    n = x_uv.shape[1]
    periods = n * cycles
    if periods.denominator != 1 or periods < 16:
        raise DesignError(
            f"{n} samples are {float(periods):g} periods of the tone; expected 16 or more whole ones"
        )
    index = np.arange(first_sample, first_sample + n, dtype=np.int64)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
    centred = (x_uv - x_uv.mean(axis=1, keepdims=True)) * (hann * 2.0 / hann.sum())
    turns = index % cycles.denominator * cycles.numerator / cycles.denominator
    bins = np.array([0, *BESIDE])[:, None] * (np.arange(n) / n)
    found = np.abs(centred @ np.exp(-2j * np.pi * (turns + bins)).T)  # (n_channels, 1 + n_beside)
    amplitude = found[:, 0]
    sigma = np.sqrt(np.median(found[:, 1:] ** 2, axis=1) / MEDIAN_OF_POWER / 2.0)
    uv_per_kohm = current_na * SQUARE * float(np.sinc(float(cycles))) ** 3
    low = np.maximum(amplitude - SIGMAS * sigma, 0.0) / (1 + CURRENT_TOLERANCE)
    high = (amplitude + SIGMAS * sigma) / (1 - CURRENT_TOLERANCE)
    bounds = [np.maximum(value / uv_per_kohm - series_kohm, 0.0) for value in (amplitude, low, high)]
    return Impedance(first_sample, n, *bounds)


class ImpedanceMeter:
    """Impedance of a stream, window by window.

    Parameters
    ----------
    rate : Fraction
        Sampling rate, Hz.
    mode : LeadOff
        The board's excitation.
    window_s : float
        About how long a window is; longer ones are less noisy.
    current_na, series_kohm
        As of `measure_impedance`.

    Examples
    --------
    >>> source.client.set_lead_off(LeadOff.AC_31_25_HZ)                             # doctest: +SKIP
    >>> meter = ImpedanceMeter(source.info.rate, mode=LeadOff.AC_31_25_HZ)          # doctest: +SKIP
    >>> for result in meter.process(chunk):                                         # doctest: +SKIP
    ...     print(result.kohm.round(1))
    """

    def __init__(
        self,
        rate: Fraction,
        *,
        mode: LeadOff,
        window_s: float = 1.0,
        current_na: float = CURRENT_NA,
        series_kohm: float = 0.0,
    ) -> None:
        self._cycles = tone_cycles(mode, rate)
        period = self._cycles.denominator
        self._n = max(16, round(window_s * float(rate) / period)) * period
        self._current_na = current_na
        self._series_kohm = series_kohm
        self._parts: list[F64] = []
        self._next = -1

    def process(self, chunk: Chunk) -> list[Impedance]:
        """Results of the windows that `chunk`, raw, completes."""
        if chunk.lost_before or chunk.restart or chunk.first_sample != self._next:
            self.reset()
        self._next = chunk.end_sample
        results = []
        at = chunk.first_sample
        while at < chunk.end_sample:
            end = min((at // self._n + 1) * self._n, chunk.end_sample)
            self._parts.append(chunk.data_uv[:, at - chunk.first_sample : end - chunk.first_sample])
            if end % self._n == 0:
                x, self._parts = np.concatenate(self._parts, axis=1), []
                if x.shape[1] == self._n:
                    results.append(
                        measure_impedance(
                            x,
                            end - self._n,
                            cycles=self._cycles,
                            current_na=self._current_na,
                            series_kohm=self._series_kohm,
                        )
                    )
            at = end
        return results

    def reset(self) -> None:
        """Begin anew: what follows does not join what came."""
        self._parts = []
        self._next = -1


class ToneFilter:
    """Take the tone at a quarter of the rate out of a stream; the rest of the band stays as it is.

    A zero of the transfer function lies on the tone, a pole close behind it: unit gain at 0 Hz, 1.2 Hz wide at a
    rate of 250 Hz. It starts as if the first sample had been there for ever, and begins anew after a gap.
    """

    def __init__(self, n_channels: int) -> None:
        self._state = np.zeros((4, n_channels))  # x[n-1], x[n-2], y[n-1], y[n-2]
        self._next = -1

    def process(self, chunk: Chunk) -> Chunk:
        """The same chunk without the tone."""
        if chunk.n_samples == 0:
            return chunk
        if chunk.lost_before or chunk.restart or chunk.first_sample != self._next:
            self._state[:] = chunk.data_uv[:, 0]
        self._next = chunk.end_sample
        x = np.ascontiguousarray(chunk.data_uv.T)
        y = np.empty_like(x)
        _notch(x, y, self._state, POLE * POLE)
        return replace(chunk, data_uv=y.T)

    def reset(self) -> None:
        """Begin anew with the next chunk."""
        self._next = -1


@kernel
def _notch(x: F64, y: F64, state: F64, pole: float) -> None:
    """x, y: (n_samples, n_channels). state: (4, n_channels), updated in place."""
    gain = 0.5 * (1.0 + pole)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            out = gain * (x[n, c] + state[1, c]) - pole * state[3, c]
            state[1, c] = state[0, c]
            state[0, c] = x[n, c]
            state[3, c] = state[2, c]
            state[2, c] = out
            y[n, c] = out


def mean_impedance(results: Iterable[Impedance]) -> Impedance | None:
    """Several windows as one: medians, so that a movement in one of them does not count. None of none."""
    found = list(results)
    if not found:
        return None
    columns = [
        np.median([getattr(r, name) for r in found], axis=0) for name in ("kohm", "low_kohm", "high_kohm")
    ]
    return Impedance(found[0].first_sample, sum(r.n_samples for r in found), *columns)
