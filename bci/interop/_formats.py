"""Which formats there are, and the module that knows each; a module loads when its format is asked for.

A writer is `write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]` of its
module: it makes the new file (or, where `is_folder`, the new folder) `target` and returns sentences on what the format
lost. It never sees an existing target, and what it leaves behind when it raises is removed by its caller. A reader is
`read(path: Path, options: ImportOptions) -> Signal` of its module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from bci.errors import RecordingError
from bci.interop._door import ExportOptions, ImportOptions, Progress, Signal

__all__ = ["READERS", "WRITERS", "Reader", "Writer", "reader_for", "writer_for"]

Write = Callable[[Signal, Path, ExportOptions, Progress], tuple[str, ...]]
Read = Callable[[Path, ImportOptions], Signal]

HEAD_BYTES = 4096
#: First bytes of formats that are text without a name of their own.
CARD = rb"(\A|\n)[0-9A-Fa-f]{2}(,[0-9A-Fa-f]{6}){8}"
BRAINFLOW = rb"\A-?[\d.]+(e[-+]?\d+)?(([\t,]-?[\d.]+(e[-+]?\d+)?)){11,}\r?\n"


@dataclass(frozen=True, slots=True)
class Writer:
    """A format that can be written. `suffix` is "" where the target is a folder."""

    name: str
    suffix: str
    what: str
    module: str
    function: str = "write"

    @property
    def is_folder(self) -> bool:
        return not self.suffix

    def load(self) -> Write:
        return cast(Write, getattr(import_module(f"bci.interop.{self.module}"), self.function))


@dataclass(frozen=True, slots=True)
class Reader:
    """A format that can be read: files with one of `suffixes` whose first 4 KiB match `head`.

    `needs_gain`: they hold numbers of a converter and say nothing of its gain.
    """

    name: str
    suffixes: tuple[str, ...]
    what: str
    module: str
    head: bytes = b""
    function: str = "read"
    needs_gain: bool = False

    def takes(self, path: Path, head: bytes) -> bool:
        return path.suffix.lower() in self.suffixes and re.search(self.head, head, re.DOTALL) is not None

    def load(self) -> Read:
        return cast(Read, getattr(import_module(f"bci.interop.{self.module}"), self.function))


WRITERS = {
    writer.name: writer
    for writer in (
        Writer("bdf", ".bdf", "BDF+, 24 bits: the converter's own codes", "_edfplus", "write_bdf"),
        Writer("edf", ".edf", "EDF+, 16 bits: read everywhere, loses resolution", "_edfplus", "write_edf"),
        Writer("bids", "", "BIDS data set (a folder), signal as BDF", "_bids"),
        Writer("xdf", ".xdf", "XDF, as Lab Streaming Layer records", "_xdf_writer"),
        Writer("fif", ".fif", "FIF, MNE's own format", "_mne"),
        Writer("csv", ".csv", "text, one line a sample", "_csv_text"),
        Writer("fhir", ".fhir.json", "HL7 FHIR R4: figures of a recording or a visit, no signal", "_fhir"),
        Writer("dicom", ".dcm", "DICOM scalp EEG waveform", "_dicom"),
    )
}

#: In this order: the first that takes a file reads it.
READERS = {
    reader.name: reader
    for reader in (
        Reader("edf", (".edf", ".bdf", ".rec"), "EDF, EDF+, BDF, BDF+ (also discontinuous)", "_edf_reader"),
        Reader("xdf", (".xdf",), "XDF of LabRecorder and others", "_xdf"),
        Reader("mne", (".fif", ".gdf", ".vhdr", ".set", ".cnt"), "FIF, GDF, BrainVision, EEGLAB, CNT", "_mne_signal"),
        Reader("csv", (".csv",), "text that `bci export --to csv` wrote", "_csv_text", rb"\A# bci-csv "),
        Reader("openbci", (".txt", ".csv"), "text of the OpenBCI GUI", "_openbci", rb"\A\s*%OpenBCI Raw E[XE]G Data"),
        Reader("openbci-sd", (".txt", ".csv"), "log of a Cyton's SD card", "_openbci", CARD, "read_card", True),
        Reader("brainflow", (".csv", ".txt"), "columns of numbers that BrainFlow wrote", "_brainflow", BRAINFLOW),
    )
}  # fmt: skip


def writer_for(name: str) -> Writer:
    """RecordingError if there is no such format; the message lists those there are."""
    if name not in WRITERS:
        raise RecordingError(f"no format {name!r} is written; there are {', '.join(WRITERS)}")
    return WRITERS[name]


def reader_for(path: Path, name: str = "") -> Reader:
    """The reader of that name, or the first that takes the file.

    Raises
    ------
    RecordingError
        If the file is missing, empty or a folder, or nobody reads it; the message lists what is read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as err:
        hint = "name one file of it" if path.is_dir() else "check name and folder"
        raise RecordingError(f"cannot read {path}: {err.strerror or err}; {hint}", path=path) from err
    if not head:
        raise RecordingError(f"{path} is empty; copy it again", path=path)
    if name:
        if name not in READERS:
            raise RecordingError(f"no format {name!r} is read; there are {', '.join(READERS)}", path=path)
        return READERS[name]
    for reader in READERS.values():
        if reader.takes(path, head):
            return reader
    there = "; ".join(f"{r.name}: {r.what} ({', '.join(r.suffixes)})" for r in READERS.values())
    raise RecordingError(
        f"{path} is of no format known here. Say which one with --from. Read are {there}", path=path
    )
