"""What is not brain: detectors that mark samples and say why.

The signal is judged in blocks of a tenth of a second that are anchored to the sample number, so any cut gives the
same marks; a block is judged when its last sample has come. Give the detector the signal before any band-pass:
saturation and loose electrodes do not survive one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _loops
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.dsp.design import cascade, design_highpass, design_notch
from bci.dsp.filters import SosFilter
from bci.dsp.marks import Mark
from bci.errors import DesignError, ShapeError

__all__ = ["ArtefactDetector", "ArtefactLimits", "mark_lead_off"]


@dataclass(frozen=True, slots=True)
class ArtefactLimits:
    """What a clean block stays within.

    Parameters
    ----------
    saturation_uv : float, µV
        Largest magnitude, offset included: 95 % of ±187,500 µV, the range of an ADS1299 at gain 24 [1]_.
    flat_uv : float, µV
        Smallest peak-to-peak; a working electrode shows at least the converter's noise.
    step_uv : float, µV
        Largest difference of two neighbouring samples.
    peak_to_peak_uv : float, µV
        Largest peak-to-peak within a block.
    muscle_uv : float, µV
        Largest RMS above `muscle_hz`.
    muscle_hz : float, Hz
        Muscles are loudest above 20 Hz, brains below [2]_.
    line_hz : float, Hz
        Mains, left out of the muscle band with its harmonics.

    References
    ----------
    .. [1] Texas Instruments, ADS1299 data sheet SBAS499C, section 9.3.1.3.2 (full-scale input ±VREF/gain).
    .. [2] Goncharova et al., Clin. Neurophysiol. 114(9):1580-1593, 2003. doi:10.1016/S1388-2457(03)00093-2
    """

    saturation_uv: float = 178_000.0
    flat_uv: float = 0.05
    step_uv: float = 100.0
    peak_to_peak_uv: float = 200.0
    muscle_uv: float = 12.0
    muscle_hz: float = 55.0
    line_hz: float = 50.0


class ArtefactDetector:
    """Mark saturation, flat lines, steps, large waves and muscle, channel by channel.

    Parameters
    ----------
    n_channels : int
    fs_hz : float, Hz
    limits : ArtefactLimits
    channels : sequence of str, optional
        Labels for the reasons; numbers otherwise.

    Raises
    ------
    DesignError
        If the muscle band does not fit the rate.
    """

    _next: int | None
    _whole: bool

    def __init__(
        self,
        n_channels: int,
        *,
        fs_hz: float,
        limits: ArtefactLimits | None = None,
        channels: Sequence[str] | None = None,
    ) -> None:
        self.n_channels = checked_channels(n_channels)
        self.limits = limits or ArtefactLimits()
        self._labels = [str(c) for c in (channels or range(self.n_channels))]
        if len(self._labels) != self.n_channels:
            raise ShapeError(f"{len(self._labels)} labels for {self.n_channels} channels")
        if not fs_hz >= 20:
            raise DesignError(f"a rate of {fs_hz:g} Hz is too low to judge blocks of a tenth of a second")
        self.block_samples = round(0.1 * fs_hz)
        band = design_highpass(self.limits.muscle_hz, fs_hz=fs_hz, order=4)
        if self.limits.line_hz < fs_hz / 2:
            band = cascade(band, design_notch(self.limits.line_hz, fs_hz=fs_hz, q=10.0, harmonics=4))
        self._muscle = SosFilter(band, n_channels=self.n_channels)
        self._stats = np.empty((5, self.n_channels))
        self._previous = np.empty(self.n_channels)
        self.reset()

    def process(self, x_uv: F64, first_sample: int) -> list[Mark]:
        """Judge the blocks that these samples complete.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV, offset included
        first_sample : int
            Conversion number of the first column; a jump starts anew with the next block.

        Returns
        -------
        marks : list of Mark
            At most one per block and kind: "saturation", "flat", "step", "amplitude", "muscle".

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not np.isfinite(x).all():
            raise not_finite("artefact detection")
        if x.shape[1] == 0:
            return []
        if first_sample != self._next:
            self.reset()
        if self._next is None:
            self._previous[:] = x[:, 0]
        muscle = self._muscle.process(x)
        marks: list[Mark] = []
        t = 0
        while t < x.shape[1]:
            phase = (first_sample + t) % self.block_samples
            if phase == 0:
                self._open_block()
            m = min(x.shape[1] - t, self.block_samples - phase)
            _loops.block_extremes(x[:, t : t + m], muscle[:, t : t + m], self._previous, self._stats)
            t += m
            if phase + m == self.block_samples and self._whole:
                marks += self._judge(first_sample + t)
        self._next = first_sample + x.shape[1]
        return marks

    def _open_block(self) -> None:
        self._stats[:] = np.array([np.inf, -np.inf, 0.0, 0.0, 0.0])[:, None]
        self._whole = True

    def _judge(self, end: int) -> list[Mark]:
        limits, (low, high, largest, step, muscle) = self.limits, self._stats
        swing, muscle = high - low, np.sqrt(muscle / self.block_samples)
        saturated = largest >= limits.saturation_uv
        findings = (
            ("saturation", saturated, largest, "at the end of the converter's range"),
            (
                "flat",
                (swing < limits.flat_uv) & ~saturated,
                swing,
                "flat: electrode off or input shorted, µV p-p",
            ),
            ("step", step > limits.step_uv, step, "jumped between two samples by µV"),
            ("amplitude", swing > limits.peak_to_peak_uv, swing, "waves too large for a brain, µV p-p"),
            ("muscle", muscle > limits.muscle_uv, muscle, f"muscle: RMS above {limits.muscle_hz:g} Hz of µV"),
        )
        marks = []
        for kind, found, value, words in findings:
            rows = np.flatnonzero(found)
            if len(rows):
                told = ", ".join(f"{self._labels[c]} {value[c]:.3g}" for c in rows)
                channels = tuple(int(c) for c in rows)
                marks.append(Mark(end - self.block_samples, end, kind, f"{words}: {told}", channels))
        return marks

    def reset(self) -> None:
        """Forget the past; the next whole block is judged first."""
        self._muscle.reset()
        self._next = None
        self._whole = False
        self._stats[:] = 0.0

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        after = -1 if self._next is None else self._next
        own = {
            "stats": self._stats.copy(),
            "previous": self._previous.copy(),
            "next": np.array(after, dtype=np.int64),
            "whole": np.array(self._whole),
        }
        return own | {f"muscle_{name}": value for name, value in self._muscle.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, mark for mark. ShapeError if it is of another shape."""
        self._muscle.restore({"z": state["muscle_z"], "started": state["muscle_started"]})
        self._stats[:] = state["stats"]
        self._previous[:] = state["previous"]
        self._next = None if int(state["next"]) < 0 else int(state["next"])
        self._whole = bool(state["whole"])


def mark_lead_off(
    lead_off: NDArray[np.bool_], first_sample: int, *, channels: Sequence[str] | None = None
) -> list[Mark]:
    """One mark per stretch and channel in which the converter reports that the electrode is off.

    Parameters
    ----------
    lead_off : ndarray, shape (n_channels, n_samples), bool
        Lead-off bits of the status words.
    first_sample : int
        Conversion number of the first column.
    channels : sequence of str, optional
        Labels for the reasons.
    """
    bits = np.asarray(lead_off, dtype=bool)
    if bits.ndim != 2:
        raise ShapeError(f"expected lead-off bits of shape (n_channels, n_samples), got {bits.shape}")
    marks = []
    for c, row in enumerate(bits):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        label = str(c) if channels is None else channels[c]
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            reason = f"electrode {label} is off: the converter sees no contact"
            marks.append(Mark(first_sample + int(a), first_sample + int(b), "lead-off", reason, (c,)))
    return marks
