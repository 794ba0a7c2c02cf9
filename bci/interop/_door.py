"""What every reader of this room gives and every writer takes: `Signal`, counts piece by piece, and its `Description`.

Rules
-----
- The time axis counts samples from 0 at the first conversion; lost conversions count, pauses between runs do not. A
  lost sample holds the value before it, in all formats, and stands in `gaps`.
- Counts are whole numbers of 24 bits, as a converter gives them; `Channel.step` makes them µV (or `Channel.unit`).
- A signal is read piece by piece and may be read again; nobody holds all of it.
- No identity of a person is in it: readers leave it behind, writers put in what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import RecordingError, ShapeError

__all__ = [
    "HOW_TO_SALVAGE",
    "MAX_COUNT",
    "MIN_COUNT",
    "PIECE",
    "ArraySignal",
    "Channel",
    "Counts",
    "Description",
    "ExportOptions",
    "ImportOptions",
    "Progress",
    "Signal",
    "SignalEvent",
    "counts_from",
    "filled",
    "finest_step",
    "in_order",
    "within",
]

MIN_COUNT, MAX_COUNT = -(1 << 23), (1 << 23) - 1
PIECE = 1 << 14  # samples
HOW_TO_SALVAGE = "copy it again, or take what is whole of it with `bci import --salvage`"

Counts = NDArray[np.int32]
#: Called with (samples done, samples in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel.

    Parameters
    ----------
    name : str
    step : float
        What one count is, in `unit`.
    kind : {"eeg", "eog", "emg", "ecg", "misc"}
        "misc" is what measures no voltage of a body: acceleration, temperature.
    unit : str
        "uV" for voltages; else as its file said.
    impedance_kohm : float, optional
        Last one measured.
    """

    name: str
    step: float
    kind: str = "eeg"
    unit: str = "uV"
    impedance_kohm: float | None = None


@dataclass(frozen=True, slots=True)
class SignalEvent:
    """A cue, a trigger, a note, or a stretch of bad signal.

    `sample` counts from the first one of the signal. `channels` names those it is about; none: all. Stretches that
    the library found bear MNE's words: BAD_ACQ_SKIP, BAD_lead_off, BAD_saturated, BAD_artefact, EDGE boundary.
    """

    sample: int
    text: str
    n_samples: int = 0
    code: int = 0
    value: int = 0
    source: str = ""
    channels: tuple[str, ...] = ()

    @property
    def is_finding(self) -> bool:
        """Said by the library about the signal, not by somebody about the experiment."""
        return self.source == "quality"


def in_order(events: Iterable[SignalEvent]) -> tuple[SignalEvent, ...]:
    """By time, those of one sample by their text: the same events are the same tuple, whatever format they were in.

    What began before the first sample begins with it.
    """
    return tuple(
        sorted(
            (
                event
                if event.sample >= 0
                else replace(event, sample=0, n_samples=max(0, event.n_samples + event.sample))
                for event in events
            ),
            key=lambda event: (event.sample, event.text, event.channels, event.n_samples),
        )
    )


def within(gaps: Iterable[tuple[int, int]], n_samples: int) -> tuple[tuple[int, int], ...]:
    """Gaps in their order, as far as there are samples."""
    return tuple((at, min(n, n_samples - at)) for at, n in sorted(gaps) if at < n_samples)


@dataclass(frozen=True, slots=True)
class Description:
    """All that is known of a signal but its samples.

    Parameters
    ----------
    channels : tuple of Channel
    rate : Fraction
        Nominal, Hz.
    measured_hz : float
        By the computer's clock; the nominal one where nothing was measured.
    n_samples : int
        Lost ones included.
    events : tuple of SignalEvent
        In order of time.
    gaps : tuple of (first sample, number of samples)
    device, reference : str
    started : str
        Wall clock of the first sample, ISO 8601; "" where unknown.
    notes : mapping
        What was noted when it was made; JSON values. Of an import, "left_out" and "assumed" are lists of sentences, and
        "lines_damaged" is a number.
    """

    channels: tuple[Channel, ...]
    rate: Fraction
    measured_hz: float
    n_samples: int
    events: tuple[SignalEvent, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    device: str = ""
    reference: str = ""
    started: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.channels)

    @property
    def steps(self) -> NDArray[np.float64]:
        """(n_channels, 1)."""
        return np.array([channel.step for channel in self.channels])[:, None]

    @property
    def duration_s(self) -> float:
        return float(self.n_samples / self.rate)

    @property
    def begun(self) -> datetime | None:
        """`started`, with a time zone only where that names one; None where it is no date."""
        try:
            return datetime.fromisoformat(self.started)
        except ValueError:
            return None


class Signal(Protocol):
    """Counts of a recording, and what they mean."""

    @property
    def path(self) -> Path:
        """Where it came from."""

    @property
    def description(self) -> Description: ...

    def pieces(self) -> Iterator[Counts]:
        """All samples in order, (n_channels, n) each, Fortran order; lost ones filled."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What a writer may say of the person, and how.

    Parameters
    ----------
    subject : str
        A code, as a BIDS label or an EDF patient code; "": none.
    keep_date : bool
        Write the date and time of the recording; otherwise all formats say 1985-01-01 00:00:00.
    session, task : str
        For BIDS.
    """

    subject: str = ""
    keep_date: bool = False
    session: str = ""
    task: str = "bci"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a reader needs to be told where the file does not say it, or says it wrongly.

    Parameters
    ----------
    unit : str
        "uV", "mV", "V" or "nV" for all channels; "": as the file says.
    channels : tuple of str
        Names for a file that has none; otherwise the channels to take.
    rate_hz : float
        For text files that do not say it; 0: as the file says.
    aux : bool
        Also channels that measure no voltage.
    gain : int
        Of the converter, for logs of an SD card, which hold its numbers alone; 0: as the board starts.
    salvage : bool
        Of an EDF, BDF, XDF or CSV file that was cut, take what is whole; otherwise it is refused.
    """

    unit: str = ""
    channels: tuple[str, ...] = ()
    rate_hz: float = 0.0
    aux: bool = False
    gain: int = 0
    salvage: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ArraySignal:
    """A signal that is small enough to lie in memory."""

    path: Path
    description: Description
    counts: Counts

    def __post_init__(self) -> None:
        expected = (len(self.description.channels), self.description.n_samples)
        if self.counts.shape != expected:
            raise ShapeError(f"expected counts of shape {expected}, got {self.counts.shape}")

    def pieces(self) -> Iterator[Counts]:
        for at in range(0, self.counts.shape[1], PIECE):
            yield np.asfortranarray(self.counts[:, at : at + PIECE])


def counts_from(
    values: ArrayLike, *, step: float | Sequence[float] | None = None
) -> tuple[Counts, tuple[float, ...]]:
    """Whole counts of 24 bits for samples that a file keeps as floating-point numbers.

    Parameters
    ----------
    values : array, shape (n_channels, n_samples)
        In the channel's unit.
    step : float or sequence of float, optional
        What one count of the device was, where that is known (an OpenBCI Cyton at gain 24: 4.5e6 / 24 / (2²³ − 1) µV);
        the counts are then its own. By default the finest step with which the largest value fits into 24 bits.

    Returns
    -------
    counts : ndarray of int32, shape (n_channels, n_samples), Fortran order
        Within half a step of the values; NaN holds the value before it.
    step : tuple of float

    Raises
    ------
    RecordingError
        If a value is infinite, or does not fit into 24 bits of the given step.
    """
    x = filled(np.asarray(values, dtype=np.float64))
    if not np.isfinite(x).all():
        raise RecordingError("the signal holds infinite samples; they are no measurement")
    if step is None:
        largest = np.abs(x).max(axis=1, initial=0.0)
        steps = finest_step(largest)
    else:
        steps = np.broadcast_to(np.asarray(step, dtype=np.float64), len(x)).copy()
    counts = np.rint(x / steps[:, None])
    if counts.size and not (counts.min() >= MIN_COUNT and counts.max() <= MAX_COUNT):
        raise RecordingError(
            f"values up to {np.abs(x).max():g} do not fit into 24 bits with steps of {steps.min():g}; leave the "
            "step out, or check the unit"
        )
    return np.asfortranarray(counts.astype(np.int32)), tuple(steps.tolist())


def finest_step(largest: ArrayLike) -> NDArray[np.float64]:
    """With which values up to `largest` fit into 24 bits, short of the two ends, which stand for saturation."""
    most = np.asarray(largest, dtype=np.float64)
    return np.where(most > 0, most / (MAX_COUNT - 1), 1.0)


def filled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN hold the value before them; at the beginning the first one, and 0 where there is none."""
    lost = np.isnan(x)
    if not lost.any():
        return x
    x = x.copy()
    for row, bad in zip(x, lost, strict=True):
        if not bad.any():
            continue
        good = np.flatnonzero(~bad)
        if not len(good):
            row[:] = 0.0
            continue
        before = np.maximum.accumulate(np.where(bad, 0, np.arange(len(row))))
        row[:] = row[before]
        row[: good[0]] = row[good[0]]
    return x
