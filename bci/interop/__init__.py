"""Recordings of other systems and for other systems.

`RecordedSignal` and `export_signal` write a `.bfp` recording as BDF+, EDF+, BIDS, XDF, FIF, CSV …; `import_file` makes
a `.bfp` of such files; `to_mne` and `from_mne` are the same for MNE's Raw. `read_recording` reads a file in µV with
named cues, for training and for playing on a simulated board.

A library of a format loads when a file of that format is read or written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci.interop._convert import Converted, export_signal, import_file, read_signal
from bci.interop._door import (
    ArraySignal,
    Channel,
    Description,
    ExportOptions,
    ImportOptions,
    Signal,
    SignalEvent,
    counts_from,
)
from bci.interop._files import OWN, SignalFile, name_cues, read_recording
from bci.interop._formats import READERS, WRITERS, reader_for, writer_for
from bci.interop._play import write_play_file
from bci.interop._runs import RunFile, find_runs, numbered, recordings_below
from bci.interop._vocabulary import parse_labels

if TYPE_CHECKING:
    from bci.acquisition import Recording
    from bci.interop._recorded import RecordedSignal

__all__ = [
    "OWN",
    "READERS",
    "WRITERS",
    "ArraySignal",
    "Channel",
    "Converted",
    "Description",
    "ExportOptions",
    "ImportOptions",
    "RecordedSignal",
    "RunFile",
    "Signal",
    "SignalEvent",
    "SignalFile",
    "counts_from",
    "export_signal",
    "find_runs",
    "from_mne",
    "import_file",
    "name_cues",
    "numbered",
    "parse_labels",
    "read_recording",
    "read_signal",
    "reader_for",
    "recordings_below",
    "to_mne",
    "write_play_file",
    "writer_for",
]


def to_mne(
    signal: Signal | Recording | str | os.PathLike[str],
    *,
    rate: str = "measured",
    artefacts: bool = False,
    keep_date: bool = False,
) -> Any:
    """A recording as a Raw of MNE, which reads its samples from the file when they are asked for.

    Parameters
    ----------
    signal : Signal, Recording or path
        Of a `.bfp`.
    rate : {"measured", "nominal"}
        What `raw.info["sfreq"]` is: by the computer's clock, or as the board states it.
    artefacts : bool
        Also look for artefacts and annotate them as BAD_artefact_….
    keep_date : bool
        Set `raw.info["meas_date"]`.

    Returns
    -------
    raw : mne.io.BaseRaw
        In volts, `preload=False`. Lost samples hold the value before them and are annotated BAD_ACQ_SKIP, electrodes
        that are off BAD_lead_off, the ends of the converter's range BAD_saturated, each with its channel; a START of
        the board is an "EDGE boundary". Electrodes of the 10-05 system have their standard positions.

    Raises
    ------
    RecordingError, RateMismatchError
        If the file is no recording, or its rate or gain changes within it.
    ValueError
        If `rate` is another word.

    Examples
    --------
    >>> raw = to_mne("session.bfp")                                                     # doctest: +SKIP
    >>> raw.filter(8, 30, skip_by_annotation=("edge", "bad_acq_skip"))                  # doctest: +SKIP
    """
    from bci.acquisition import Recording
    from bci.interop._mne import raw_of
    from bci.interop._recorded import RecordedSignal

    if rate not in ("measured", "nominal"):
        raise ValueError(f"rate is 'measured' or 'nominal', got {rate!r}")
    if isinstance(signal, Recording | str | os.PathLike):
        signal = RecordedSignal(
            signal if isinstance(signal, Recording) else Path(signal), artefacts=artefacts
        )
    return raw_of(signal, rate=rate, keep_date=keep_date)


def from_mne(
    raw: Any, path: str | os.PathLike[str], *, force: bool = False, keep_date: bool = False
) -> Recording:
    """A `.bfp` recording of a Raw of MNE, preloaded or not.

    Counts are those the Raw's file stores where they are whole numbers, those of `to_mne` always; otherwise the finest
    24 bits that hold the largest value of the channel. BAD_ACQ_SKIP becomes a gap, trigger channels become markers.

    Parameters
    ----------
    raw : mne.io.BaseRaw
    path : path
        The `.bfp` to write.
    force : bool
        Replace an existing file.
    keep_date : bool
        Keep `meas_date`.

    Raises
    ------
    RecordingError
        If it has no EEG channel, more than 64 channels, or samples that are not finite.
    ExportError
        If the file exists or cannot be written.
    """
    from bci.acquisition import Recording
    from bci.interop._convert import write_bfp
    from bci.interop._mne_signal import MneSignal

    signal = MneSignal(raw, Path(raw.filenames[0] or "raw of MNE") if raw.filenames else Path("raw of MNE"))
    write_bfp(signal, Path(path), source="mne", keep_date=keep_date, force=force)
    return Recording(Path(path))


def __getattr__(name: str) -> object:
    if name == "RecordedSignal":  # reading recordings loads the decoder and with it Numba
        from bci.interop._recorded import RecordedSignal

        return RecordedSignal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
