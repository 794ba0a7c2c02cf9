"""The filter chain: declared once, designed once, run by the same causal stages online and offline.

Bands belong to the chain, not to the decoder: a causal filter needs the signal before the window, so a run is filtered
into all bands as a whole and windows are cut from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64, Chunk, SignalInfo
from bci.decoders.frozen import BANDS_HZ
from bci.dsp import FilterBank, GapPolicy, Patched, cascade, design_bandpass, design_notch
from bci.errors import DesignError, MontageMismatchError, RateMismatchError, ShapeError
from bci.language import _

__all__ = ["CleaningStage", "FilterChain", "rows_taken"]


@dataclass(frozen=True, slots=True, eq=False)
class FilterChain:
    """Notches, then a bank of band-passes, for one montage at one rate.

    The coefficients are part of it: a model file carries them, so that control needs no filter design and no
    other version of a design library can change them.

    Parameters
    ----------
    channels : tuple of str
        Electrodes that are taken, in the order of the signal's rows.
    rate : Fraction, Hz
    sos : ndarray, shape (n_bands, n_sections, 6)
        All second-order sections of every band, notches included.
    bands_hz : tuple of (float, float), Hz
    order : int
        Of each band-pass's low-pass prototype.
    notch_hz : tuple of float, Hz
        Lines that are removed first.
    left_out : tuple of str
        Electrodes of the same cap that are not taken, e.g. bad ones: nobody needs them, and `rows` passes them by.

    Raises
    ------
    ShapeError
        If there is not one cascade per band.
    DesignError
        If an electrode is taken and left out.
    """

    channels: tuple[str, ...]
    rate: Fraction
    sos: F64
    bands_hz: tuple[tuple[float, float], ...]
    order: int
    notch_hz: tuple[float, ...] = ()
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if both := set(self.channels) & set(self.left_out):
            raise DesignError(f"{' '.join(sorted(both))} cannot be taken and left out")
        if (
            self.sos.ndim != 3
            or self.sos.shape[2] != 6
            or len(self.sos) != len(self.bands_hz)
            or not self.bands_hz
        ):
            raise ShapeError(
                f"expected sections (n_bands, n_sections, 6) for {len(self.bands_hz)} bands, got "
                f"{self.sos.shape}"
            )

    @classmethod
    def design(
        cls,
        info: SignalInfo,
        *,
        bands_hz: Sequence[tuple[float, float]] = BANDS_HZ,
        order: int = 4,
        notch_hz: tuple[float, ...] = (),
        left_out: Sequence[str] = (),
    ) -> FilterChain:
        """Design a Butterworth chain for a signal.

        The first band of the default passes mu and beta rhythms, whose power falls with executed and intended movement;
        the others cut 4 to 40 Hz into pieces. Of `left_out` those count that the signal has.

        Raises
        ------
        DesignError
            If a frequency does not fit the rate, or fewer than two electrodes are left.

        References
        ----------
        .. [1] Pfurtscheller and Lopes da Silva, Clin. Neurophysiol. 110(11):1842-1857, 1999.
           doi:10.1016/S1388-2457(99)00141-8
        """
        fs_hz = info.fs_hz
        notches = [design_notch(line, fs_hz=fs_hz) for line in notch_hz]
        sos = [cascade(*notches, design_bandpass(*band, fs_hz=fs_hz, order=order)) for band in bands_hz]
        bands = tuple((float(low), float(high)) for low, high in bands_hz)
        channels = tuple(name for name in info.channels if name not in left_out)
        if left_out and len(channels) < 2:
            raise DesignError(
                f"a decoder needs two electrodes or more, {len(channels)} of {info.n_channels} are left"
            )
        gone = tuple(name for name in info.channels if name in left_out)
        return cls(channels, info.rate, np.stack(sos), bands, order, notch_hz, gone)

    @property
    def band_hz(self) -> tuple[float, float]:
        """The first band, in which signals are shown."""
        return self.bands_hz[0]

    @property
    def n_bands(self) -> int:
        return len(self.bands_hz)

    @property
    def fs_hz(self) -> float:
        return float(self.rate)

    def samples(self, seconds: float) -> int:
        """Nearest whole number of samples."""
        return round(seconds * self.rate)

    def require(self, info: SignalInfo) -> None:
        """Refuse a signal of another rate or montage. It may or may not have what is left out.

        Raises
        ------
        RateMismatchError, MontageMismatchError
            The message names what came and what this chain is for.
        """
        if info.rate != self.rate:
            raise RateMismatchError(
                _(
                    "the signal has {fs_hz:g} Hz, but the model was trained at {expected_hz:g} Hz: set the "
                    "board to that rate or train anew"
                ).format(fs_hz=info.fs_hz, expected_hz=self.fs_hz),
                got_hz=info.fs_hz,
                expected_hz=self.fs_hz,
            )
        if (got := tuple(name for name in info.channels if name not in self.left_out)) != self.channels:
            raise MontageMismatchError(
                _("{difference}: use the montage of the training or train anew").format(
                    difference=_difference(got, self.channels)
                ),
                got=info.channels,
                expected=self.channels,
            )

    def rows(self, info: SignalInfo) -> NDArray[np.bool_] | None:
        """Which rows of a signal this chain takes, for `rows_taken`; None: all of them.

        Raises
        ------
        RateMismatchError, MontageMismatchError
            As `require`.
        """
        self.require(info)
        if info.channels == self.channels:
            return None
        return np.array([name in self.channels for name in info.channels])

    def start(self) -> CleaningStage:
        """A running chain at the beginning of a stream."""
        return CleaningStage(self)


class CleaningStage:
    """Chunks in, filtered chunks in all bands, without holes, out; any cut of the stream gives the same bits.

    Short losses are bridged and long ones reset the filters, both marked (see `GapPolicy`): no decision
    rests on marked samples.
    """

    def __init__(self, chain: FilterChain) -> None:
        self._gaps = GapPolicy(len(chain.channels), fs_hz=chain.fs_hz)
        self._bank = FilterBank(list(chain.sos), n_channels=len(chain.channels))

    def process(self, chunk: Chunk) -> Patched:
        """Clean the next chunk: `data_uv` of the result has shape (n_bands, n_channels, n_samples).

        Raises
        ------
        ShapeError
            If it has another number of channels or overlaps the samples before it.
        """
        patched = self._gaps.process(chunk)
        if patched.reset:
            self._bank.reset()
        return replace(patched, data_uv=self._bank.process(patched.data_uv))

    def reset(self) -> None:
        """Forget the past; the next chunk is the first."""
        self._gaps.reset()
        self._bank.reset()


def rows_taken(chunk: Chunk, rows: NDArray[np.bool_] | None) -> Chunk:
    """The chunk with these rows of its signal alone, without status words; as it came where `rows` is None.

    Raises
    ------
    ShapeError
        If it has another number of channels.
    """
    if rows is None:
        return chunk
    if len(chunk.data_uv) != len(rows):
        raise ShapeError(f"expected {len(rows)} channels, got {len(chunk.data_uv)}")
    return replace(chunk, data_uv=np.asfortranarray(chunk.data_uv[rows]), status=None)


def _difference(got: tuple[str, ...], expected: tuple[str, ...]) -> str:
    missing = [name for name in expected if name not in got]
    unknown = [name for name in got if name not in expected]
    parts = []
    if missing:
        parts.append(
            _("the model needs {channels}, which the signal has not").format(channels=" ".join(missing))
        )
    if unknown:
        parts.append(
            _("the signal has {channels}, which the model does not know").format(channels=" ".join(unknown))
        )
    if not parts:
        parts.append(
            _("the channels come as {got}, but the model was trained on {expected}").format(
                got=" ".join(got), expected=" ".join(expected)
            )
        )
    return "; ".join(parts)
