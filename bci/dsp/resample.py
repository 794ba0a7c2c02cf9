"""Streaming resampling by exact rational ratios."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _loops
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.errors import DesignError, ShapeError

__all__ = ["Resampler"]


class Resampler:
    """Polyphase resampling from one rate to another, with the anti-alias filter in it.

    Output m stands for input sample `m · rate_in / rate_out - delay_samples`, exactly, for ever: positions are
    integers, no rounding adds up. The filter is linear-phase; its delay is a whole number of output samples.

    Parameters
    ----------
    n_channels : int
    rate_in, rate_out : Fraction or int, Hz
        Their ratio, in lowest terms up/down, may have no part above 1000.

    Raises
    ------
    DesignError
        If a rate is not positive or the ratio is too uneven.

    References
    ----------
    .. [1] Crochiere & Rabiner, Multirate Digital Signal Processing, 1983, ch. 3.3 (polyphase structures).
    """

    def __init__(self, n_channels: int, *, rate_in: Fraction | int, rate_out: Fraction | int) -> None:
        from scipy.signal import firwin

        self.n_channels = checked_channels(n_channels)
        if not (rate_in > 0 and rate_out > 0):
            raise DesignError(f"rates must be positive, got {rate_in} and {rate_out} Hz")
        ratio = Fraction(rate_out) / Fraction(rate_in)
        self.up, self.down = ratio.numerator, ratio.denominator
        if max(self.up, self.down) > 1000:
            raise DesignError(f"{rate_in} to {rate_out} Hz is the ratio {ratio}: no part may be above 1000")
        widest = max(self.up, self.down)
        self._delay_out = -(-10 * widest // self.down)  # ten zero crossings on each side of the sinc
        half = self._delay_out * self.down
        taps = (
            firwin(2 * half + 1, 1.0 / widest, window=("kaiser", 5.0)) * self.up
            if widest > 1
            else np.eye(1)[0]
        )
        if widest == 1:
            self._delay_out = 0
        n_taps = -(-len(taps) // self.up)
        padded = np.zeros(n_taps * self.up)
        padded[: len(taps)] = taps
        self._phases = np.ascontiguousarray(padded.reshape(n_taps, self.up).T)
        self._line = np.zeros((n_taps, self.n_channels))
        self._place = np.zeros(3, dtype=np.int64)

    @property
    def delay_samples(self) -> Fraction:
        """How many input samples the output lags behind."""
        return Fraction(self._delay_out * self.down, self.up)

    def process(self, x_uv: F64) -> F64:
        """Resample the next chunk.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV

        Returns
        -------
        y_uv : ndarray, shape (n_channels, n_out), float64, µV, Fortran order
            The outputs that became due; `n_out` may be 0.

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity; the state is untouched.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not np.isfinite(x).all():
            raise not_finite("a resampler")
        if x.shape[1] == 0:
            return np.empty((self.n_channels, 0), order="F")
        if self._place[1] == 0:
            self._line[:] = x[:, 0]  # the first sample counts as the whole past: no step
        y = np.empty((self.n_channels, x.shape[1] * self.up // self.down + 2), order="F")
        n = _loops.resample(x, y, self._phases, self._line, self._place, self.up, self.down)
        return y[:, :n]

    def reset(self) -> None:
        """Forget the past; the next sample is sample 0."""
        self._place[:] = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        return {"line": self._line.copy(), "place": self._place.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from another resampler."""
        line = np.asarray(state["line"], dtype=np.float64)
        if line.shape != self._line.shape:
            raise ShapeError(f"the saved resampler state has shape {line.shape}, expected {self._line.shape}")
        self._line[:] = line
        self._place[:] = state["place"]
