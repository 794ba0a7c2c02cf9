"""EDF, BDF, GDF, FIF and BrainVision through MNE. The one file of this room that imports it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import mne
import numpy as np

from bci.errors import RecordingError
from bci.interop._edf_header import read_edf_header
from bci.interop._files import RawRecording

__all__ = ["load_with_mne"]

_READERS = {
    ".bdf": mne.io.read_raw_bdf,
    ".edf": mne.io.read_raw_edf,
    ".fif": mne.io.read_raw_fif,
    ".gdf": mne.io.read_raw_gdf,
    ".vhdr": mne.io.read_raw_brainvision,
}
#: Units that MNE scales to volts when it reads the EDF family; numbers of all others it passes on as they
#: are.
_MNE_SCALES = {"uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "mV": 1e-3}


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
    try:
        raw = _READERS[suffix](path, preload=True, verbose="ERROR")
    except Exception as err:  # each reader raises what it happens to meet in a damaged file
        raise RecordingError(f"{path} cannot be read as {suffix[1:].upper()}: {err}", path=path) from err
    if any(text.upper().startswith("BAD_ACQ_SKIP") for text in raw.annotations.description):
        raise RecordingError(
            f"{path} has gaps (BAD_ACQ_SKIP); export each stretch as its own file", path=path
        )

    kinds = raw.get_channel_types() if raw.ch_names else []
    picks = [k for k, kind in enumerate(kinds) if kind == "eeg"]
    units = {raw.ch_names[k]: "V" for k in picks}
    if header is not None:
        units |= {name: unit for name, unit in zip(header.names, header.units, strict=True) if name in units}
        # what measures no voltage (temperature, acceleration, "G") is no electrode
        picks = [k for k in picks if units[raw.ch_names[k]] in (*_MNE_SCALES, "", "V", "nV")] or picks
    if not picks:
        raise RecordingError(f"{path} holds no EEG channel", path=path)
    stated = tuple(units[raw.ch_names[k]] for k in picks)
    numbers = raw.get_data(picks=picks)
    if header is not None:
        numbers /= np.array([_MNE_SCALES.get(unit, 1.0) for unit in stated])[:, None]
    return RawRecording(
        channels=tuple(electrode_name(raw.ch_names[k]) for k in picks),
        rate=Fraction(raw.info["sfreq"]).limit_denominator(100_000),
        numbers=numbers,
        units=stated,
        markers=tuple(_markers(raw, path)),
    )


def electrode_name(name: str) -> str:
    """`Fc5.` → `FC5`, `EEG C3-Ref` → `C3`, `FP1` → `Fp1`; names outside the 10-05 system stay as they are."""
    bare = re.sub(r"^EEG\s+", "", name.strip(" .")).strip(" .")
    bare = re.sub(r"-(ref|le|avg|a1|a2|m1|m2)$", "", bare, flags=re.IGNORECASE)
    return _ten_five().get(bare.lower(), bare)


def _ten_five() -> dict[str, str]:
    if not _NAMES:
        name = "colin27_1005" if "colin27_1005" in mne.channels.get_builtin_montages() else "standard_1005"
        _NAMES.update({n.lower(): n for n in mne.channels.make_standard_montage(name).ch_names})
    return _NAMES


_NAMES: dict[str, str] = {}


def _markers(raw: mne.io.BaseRaw, path: Path) -> list[tuple[int, str]]:
    first = raw.first_samp
    if len(raw.annotations):
        events, ids = mne.events_from_annotations(raw, verbose="ERROR")
        texts = {code: text for text, code in ids.items()}
        return [(int(sample) - first, texts[int(code)]) for sample, _, code in events]
    beside = path.with_name(re.sub(r"_?raw\.fif$", "-eve.fif", path.name))
    if path.suffix.lower() == ".fif" and beside != path and beside.exists():
        events = mne.read_events(beside, verbose="ERROR")
    elif "stim" in raw.get_channel_types():
        # a Status channel carries system bits above its 16 trigger bits
        events = mne.find_events(raw, shortest_event=1, mask=0xFFFF, mask_type="and", verbose="ERROR")
    else:
        return []
    return [(int(sample) - first, str(code)) for sample, _, code in events]
