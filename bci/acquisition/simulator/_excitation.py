"""Lead-off current through the electrodes: what the converter sees of it on top of the signal.

A converter of the ADS1299 class switches a current of 6 nA between two polarities, 31.25 times a second or at a
quarter of its sampling rate, locked to its own clock. The square wave of voltage over each electrode's impedance
passes the converter's decimation filter (sinc, third order), so its harmonics and their aliases are there, small, as
in a real board. The current is the chip's own secret: up to 20 % off what its datasheet says.

References
----------
.. [1] ADS1299 datasheet SBAS499C, sections 9.3.2.1 (sinc filter), 9.3.2.4.3 and 9.6.1.5 (lead-off).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bci.chunks import F64
from firmware_protocol import LeadOff

__all__ = ["OPEN_KOHM", "Excitation"]

NOMINAL_NA = 6.0
TOLERANCE = 0.2
OPEN_KOHM = 2000.0
HARMONICS = (1, 3, 5, 7, 9)


class Excitation:
    """The truth about one board's electrodes and current.

    Parameters
    ----------
    n_channels : int
    rate : Fraction
        Of the converter, Hz.
    seed : int
        Of the wearer: same seed, same electrodes and chip.
    impedance_kohm : sequence of float, optional
        Of each electrode. Default: drawn between 2 and 20 kΩ.
    """

    def __init__(
        self, n_channels: int, rate: Fraction, *, seed: int, impedance_kohm: Sequence[float] | None = None
    ) -> None:
        rng = np.random.default_rng((seed, 6))
        drawn = np.exp(rng.uniform(np.log(2.0), np.log(20.0), n_channels))
        self.impedance_kohm = drawn if impedance_kohm is None else np.array(impedance_kohm, dtype=np.float64)
        if self.impedance_kohm.shape != (n_channels,) or not (self.impedance_kohm >= 0).all():
            raise ValueError(f"expected {n_channels} impedances of 0 kΩ or more, got {impedance_kohm}")
        self.current_na = NOMINAL_NA * (1.0 + rng.uniform(-TOLERANCE, TOLERANCE))
        self._rate = rate

    def add_to(self, uv: F64, mode: LeadOff, first: int, off: dict[int, slice]) -> F64:
        """`uv` (n_channels, n_samples) with what `mode` adds from conversion `first` on.

        `off`: for channels whose electrode is off, the columns in which it is.
        """
        tone = self._uv_per_kohm(mode, first, uv.shape[1])
        if tone is None:
            return uv
        kohm = np.repeat(self.impedance_kohm[:, None], uv.shape[1], axis=1)
        for channel, columns in off.items():
            kohm[channel, columns] = OPEN_KOHM
        return uv + kohm * tone

    def _uv_per_kohm(self, mode: LeadOff, first: int, n: int) -> F64 | None:
        if mode == LeadOff.DC:
            return np.full(n, self.current_na)
        if mode == LeadOff.AC_31_25_HZ:
            cycles = Fraction(125, 4) / self._rate
        elif mode == LeadOff.AC_QUARTER_RATE:
            cycles = Fraction(1, 4)
        else:
            return None
        index = np.arange(first, first + n, dtype=np.int64)
        tone = np.zeros(n)
        for h in HARMONICS:
            turn = (h * cycles).numerator * index % (h * cycles).denominator / (h * cycles).denominator
            x = float(h * cycles)
            tone += 4 / np.pi / h * np.sinc(x) ** 3 * np.sin(2 * np.pi * turn)
        return np.asarray(tone * self.current_na)
