"""Everything that MNE itself does: opening GDF, FIF, BrainVision, EEGLAB; a Raw of a recording; writing FIF.

The one file of this room that imports it. What a Raw holds becomes a `Signal` in `_mne_signal`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from fractions import Fraction
from pathlib import Path
from typing import Any

import mne
import numpy as np

from bci.errors import RecordingError
from bci.interop._any_stretch import AnyStretch
from bci.interop._door import Counts, Description, ExportOptions, Progress, Signal
from bci.interop._edf_header import read_edf_header
from bci.interop._facts import facts_text
from bci.interop._files import RawRecording
from bci.interop._names import ascii_only, electrode_name, unalike
from bci.interop._recorded import GAP

__all__ = [
    "MNE_SCALES",
    "annotations_of",
    "codes_of",
    "is_finding",
    "load_with_mne",
    "open_raw",
    "raw_of",
    "raw_of_bdf",
    "write",
]

_READERS = {
    ".bdf": mne.io.read_raw_bdf,
    ".cnt": mne.io.read_raw_cnt,
    ".edf": mne.io.read_raw_edf,
    ".fif": mne.io.read_raw_fif,
    ".gdf": mne.io.read_raw_gdf,
    ".set": mne.io.read_raw_eeglab,
    ".vhdr": mne.io.read_raw_brainvision,
}
#: Units that MNE scales to volts when it reads the EDF family; numbers of all others it passes on as they
#: are.
MNE_SCALES = {"uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "mV": 1e-3}


def open_raw(path: Path, *, preload: bool) -> mne.io.BaseRaw:
    """RecordingError if MNE cannot read the file."""
    suffix = path.suffix.lower()
    keywords = {".fif": {"on_split_missing": "raise", "allow_maxshield": True}}.get(suffix, {})
    try:
        return _READERS[suffix](path, preload=preload, verbose="ERROR", **keywords)
    except Exception as err:  # each reader raises what it happens to meet in a damaged file
        raise RecordingError(f"{path} cannot be read as {suffix[1:].upper()}: {err}", path=path) from err


def load_with_mne(path: Path) -> RawRecording:
    """Numbers as stored with the units as stated; markers from annotations, trigger channels and `-eve.fif`
    files.

    Raises
    ------
    RecordingError
        If MNE cannot read the file, or it is discontinuous.
    """
    suffix = path.suffix.lower()
    header = read_edf_header(path) if suffix in (".edf", ".bdf", ".gdf") else None
    if header is not None and header.variant.endswith("+D"):
        raise RecordingError(
            f"{path} is discontinuous ({header.variant}); export each stretch as its own file", path=path
        )
    raw = open_raw(path, preload=True)
    _crop_filling(raw)
    if any(_is_gap(text) for text in raw.annotations.description):
        raise RecordingError(
            f"{path} has gaps (BAD_ACQ_SKIP); export each stretch as its own file", path=path
        )

    kinds = raw.get_channel_types() if raw.ch_names else []
    picks = [k for k, kind in enumerate(kinds) if kind == "eeg"]
    units = {raw.ch_names[k]: "V" for k in picks}
    if header is not None:
        units |= {name: unit for name, unit in zip(header.names, header.units, strict=True) if name in units}
        # what measures no voltage (temperature, acceleration, "G") is no electrode
        picks = [k for k in picks if units[raw.ch_names[k]] in (*MNE_SCALES, "", "V", "nV")] or picks
    if not picks:
        raise RecordingError(f"{path} holds no EEG channel", path=path)
    stated = tuple(units[raw.ch_names[k]] for k in picks)
    numbers = raw.get_data(picks=picks)
    if header is not None:
        numbers /= np.array([MNE_SCALES.get(unit, 1.0) for unit in stated])[:, None]
    return RawRecording(
        channels=tuple(electrode_name(raw.ch_names[k]) for k in picks),
        rate=Fraction(raw.info["sfreq"]).limit_denominator(100_000),
        numbers=numbers,
        units=stated,
        markers=tuple(_markers(raw, path)),
    )


def _is_gap(text: str) -> bool:
    return text.upper().startswith(GAP)


def _crop_filling(raw: mne.io.BaseRaw) -> None:
    """Take off what only fills the last data record of an EDF or BDF: a gap up to the end is none within the signal."""
    fs_hz = raw.info["sfreq"]
    end_s = raw.n_times / fs_hz
    filling = [
        k
        for k, a in enumerate(raw.annotations)
        if _is_gap(a["description"]) and a["onset"] - raw.first_time + a["duration"] > end_s - 0.5 / fs_hz
    ]
    if filling and (n := round((raw.annotations.onset[filling].min() - raw.first_time) * fs_hz)) > 0:
        raw.annotations.delete(filling)
        raw.crop(tmax=(n - 1) / fs_hz, verbose="ERROR")


def _montage() -> mne.channels.DigMontage:
    """Electrodes of the 10-05 system on a standard head; MNE gave the set a new name."""
    name = "colin27_1005" if "colin27_1005" in mne.channels.get_builtin_montages() else "standard_1005"
    return mne.channels.make_standard_montage(name)


def _markers(raw: mne.io.BaseRaw, path: Path) -> list[tuple[int, str]]:
    if all(map(is_finding, raw.annotations.description)):
        return codes_of(raw, path)
    events, ids = mne.events_from_annotations(raw, verbose="ERROR")  # leaves findings out
    texts = {code: text for text, code in ids.items()}
    return [(int(sample - raw.first_samp), texts[int(code)]) for sample, _, code in events]


def is_finding(text: str) -> bool:
    """Of an annotation: said about the signal (MNE's BAD… and EDGE…), so nothing of the experiment."""
    return text.upper().startswith(("BAD", "EDGE"))


def codes_of(raw: mne.io.BaseRaw, path: Path) -> list[tuple[int, str]]:
    """(sample, code) of the trigger channels, or of the `-eve.fif` beside the file."""
    beside = path.with_name(re.sub(r"_?raw\.fif$", "-eve.fif", path.name))
    if path.suffix.lower() == ".fif" and beside != path and beside.exists():
        events = mne.read_events(beside, verbose="ERROR")
    elif "stim" in raw.get_channel_types():
        # a Status channel carries system bits above its 16 trigger bits
        events = mne.find_events(raw, shortest_event=1, mask=0xFFFF, mask_type="and", verbose="ERROR")
    else:
        return []
    return [(int(sample - raw.first_samp), str(code)) for sample, _, code in events]


# ---- from a recording to MNE and FIF ----


def raw_of(
    signal: Signal, *, rate: str = "measured", keep_date: bool = False, subject: str = ""
) -> mne.io.BaseRaw:
    """A Raw that reads its samples when they are asked for; docstring and errors at `bci.interop.to_mne`."""
    about = signal.description
    fs_hz = about.measured_hz if rate == "measured" else float(about.rate)
    info = mne.create_info(list(about.names), fs_hz, [c.kind for c in about.channels])
    with info._unlock():
        for channel, entry in zip(about.channels, info["chs"], strict=True):
            # a stored number is a count, so that FIF, which stores float32, holds every count exactly
            entry["cal"] = channel.step * (1e-6 if channel.unit == "uV" else 1.0)
        if keep_date and (begun := about.begun) is not None:  # without a zone as MNE takes that of an EDF
            info["meas_date"] = begun.astimezone(UTC) if begun.tzinfo else begun.replace(tzinfo=UTC)
    info["description"] = facts_text(about)
    if about.device:
        info["device_info"] = {"type": "EEG", "model": about.device}
    if subject:
        info["subject_info"] = {"his_id": subject}
    raw = _Raw(signal, info)
    raw.set_annotations(annotations_of(about, fs_hz), emit_warning=False)
    _place(raw)
    return raw


def raw_of_bdf(path: Path, about: Description, *, keep_date: bool) -> mne.io.BaseRaw:
    """A BDF that was written of `about`, with what its header has no field for; without annotations."""
    raw = mne.io.read_raw_bdf(path, preload=False, stim_channel=False, verbose="ERROR")
    raw.set_annotations(None)
    if not keep_date:
        raw.set_meas_date(None)
    kinds = {name: channel.kind for name, channel in zip(raw.ch_names, about.channels, strict=True)}
    raw.set_channel_types(kinds, on_unit_change="ignore", verbose="ERROR")
    _place(raw)
    return raw


def _place(raw: mne.io.BaseRaw) -> None:
    montage = _montage()
    if any(name in montage.ch_names for name in raw.ch_names):
        raw.set_montage(montage, on_missing="ignore", verbose="ERROR")


def annotations_of(about: Description, fs_hz: float, names: Sequence[str] | None = None) -> mne.Annotations:
    """All events; `names`: what the Raw calls the channels, where that differs."""
    called = dict(zip(about.names, names or about.names, strict=True))
    return mne.Annotations(
        # MNE drops what lies behind the last sample
        [min(event.sample, about.n_samples - 1) / fs_hz for event in about.events],
        [event.n_samples / fs_hz for event in about.events],
        [event.text or " " for event in about.events],
        ch_names=[tuple(called[name] for name in event.channels) for event in about.events],
    )


class _Raw(mne.io.BaseRaw):  # type: ignore[misc]
    """A recording that is read piece by piece; nothing of it is in memory but where the reading stands."""

    def __init__(self, signal: Signal, info: mne.Info) -> None:
        n_samples = signal.description.n_samples
        # MNE keeps and copies what it is given here
        extras = [{"pieces": AnyStretch(signal)}]
        super().__init__(info, False, last_samps=[n_samples - 1], filenames=[None], raw_extras=extras)

    def _read_segment_file(
        self, data: Any, idx: Any, fi: int, start: int, stop: int, cals: Any, mult: Any
    ) -> None:
        counts = self._raw_extras[fi]["pieces"].between(start, stop)
        mne._fiff.utils._mult_cal_one(data, counts.astype(np.float64), idx, cals, mult)


def write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """FIF with one count as its step; files above 2 GB in parts, as MNE does."""
    from bci.files import open_private

    raw = raw_of(signal, keep_date=options.keep_date, subject=options.subject)
    # FIF holds nothing else; `facts_text` has the true ones
    names = unalike(tuple(map(ascii_only, raw.ch_names)))
    raw.rename_channels(dict(zip(raw.ch_names, names, strict=True)), verbose="ERROR")
    n_samples = signal.description.n_samples
    pieces = raw._raw_extras[0]["pieces"]
    plain = pieces.between

    def told(start: int, stop: int) -> Counts:
        progress(stop, n_samples)
        counts: Counts = plain(start, stop)
        return counts

    pieces.between = told
    open_private(target, "xb").close()  # MNE writes into it; so it is for its owner alone
    raw.save(target, overwrite=True, verbose="ERROR")
    return ()
