"""What flows between the rooms while a signal streams: `SignalInfo`, `Chunk`, `Marker`, `Window`.

A signal is float64 in µV of shape (n_channels, n_samples). In memory the channels of one sample are adjacent
(Fortran order), as they come off the wire, so kernels take `x.T` without a copy. Any order is accepted and gives
the same bits. Time is the device's sample number; seconds derive from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bci.errors import ShapeError

__all__ = ["F64", "Chunk", "Marker", "SignalInfo", "Window", "as_signal"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """What a stream of samples means. Constant between two changes of the board's configuration.

    Parameters
    ----------
    channels : tuple of str
        Electrode labels in wire order, 10-20 names where they are known.
    rate : Fraction
        Nominal sampling rate in Hz, as the board states it; boards run up to 2 % off it.
    uv_per_count : tuple of float
        Per channel, µV for one ADC count.
    device : str
        Device id and firmware version, for reports; never a person.
    reference : str
        Label of the reference electrode, "" where unknown.
    """

    channels: tuple[str, ...]
    rate: Fraction
    uv_per_count: tuple[float, ...] = ()
    device: str = ""
    reference: str = ""

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def fs_hz(self) -> float:
        """Nominal sampling rate in Hz."""
        return float(self.rate)


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened at a sample: a cue, a trigger, a note.

    `label` is the name people use ("right", "rest"); `code` is what the wire carried.
    """

    sample_index: int
    label: str
    code: int = 0
    value: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive samples of one configuration.

    Parameters
    ----------
    data_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order
    first_sample : int
        64-bit conversion number of the first column (it never wraps and never resets within a boot).
    lost_before : int
        Conversions missing directly before this chunk. Never closed up in silence.
    restart : bool
        True on the first chunk after the board's START: recursive stages reset.
    markers : tuple of Marker
        Events that arrived with this chunk; each has its own sample number, which may lie a little earlier.
    status : ndarray, shape (n_converters, n_samples), int32, optional
        24-bit status word of each converter at each sample, where the board sends them. `lead_off` reads them.
    """

    data_uv: F64
    first_sample: int
    lost_before: int = 0
    restart: bool = False
    markers: tuple[Marker, ...] = field(default=())
    status: NDArray[np.int32] | None = None

    @property
    def n_samples(self) -> int:
        return int(self.data_uv.shape[1])

    @property
    def end_sample(self) -> int:
        """Number of the sample that would follow this chunk."""
        return self.first_sample + self.n_samples

    @property
    def lead_off(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Electrodes that are off: of the positive and of the negative inputs, (n_channels, n_samples) each.

        None where the board sends no status words. Bits are set only while lead-off excitation is on.

        References
        ----------
        .. [1] ADS1299 datasheet SBAS499C, section 9.4.4.2: 1100, LOFF_STATP, LOFF_STATN, GPIO; bit 0 is the
           first channel of a converter.
        """
        if self.status is None:
            return None
        n_channels = self.data_uv.shape[0]
        bits = np.arange(n_channels // len(self.status))[:, None]
        positive, negative = (
            (self.status[:, None, :] >> (low + bits) & 1).astype(bool).reshape(n_channels, -1)
            for low in (12, 4)
        )
        return positive, negative


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of cleaned signal that a decision rests on.

    `valid` is False where the window touches a gap or an artefact; `reason` says which in plain words.
    """

    data_uv: F64
    first_sample: int
    valid: bool = True
    reason: str = ""

    @property
    def end_sample(self) -> int:
        return self.first_sample + int(self.data_uv.shape[1])


def as_signal(x: object, *, n_channels: int | None = None) -> F64:
    """Return `x` as float64 (n_channels, n_samples) in Fortran order, copying only where it must.

    Raises
    ------
    ShapeError
        If `x` is not 2-D or has another number of channels; the message says what came.
    """
    a = np.asarray(x, dtype=np.float64, order="F")
    if a.ndim != 2 or (n_channels is not None and a.shape[0] != n_channels):
        wanted = "n_channels" if n_channels is None else str(n_channels)
        raise ShapeError(f"expected a signal of shape ({wanted}, n_samples), got {a.shape}")
    return a
