"""Everything that goes through MNE: reading GDF, FIF, BrainVision, EEGLAB; writing FIF; `to_mne` and `from_mne`.

The one file of this room that imports it. Volts exist only here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import mne
import numpy as np

from bci.errors import MontageMismatchError, RecordingError
from bci.interop._any_stretch import AnyStretch
from bci.interop._door import (
    MAX_COUNT,
    MIN_COUNT,
    Channel,
    Counts,
    Description,
    ExportOptions,
    ImportOptions,
    Progress,
    Signal,
    SignalEvent,
    in_order,
)
from bci.interop._edf_header import read_edf_header
from bci.interop._facts import facts_of, facts_text
from bci.interop._files import RawRecording
from bci.interop._names import UV_PER_UNIT, ascii_only, canonical_unit, channel_kind, electrode_name, unalike
from bci.interop._recorded import GAP

__all__ = ["MneSignal", "annotations_of", "load_with_mne", "raw_of", "raw_of_bdf", "read", "write"]

_READERS = {
    ".bdf": mne.io.read_raw_bdf,
    ".cnt": mne.io.read_raw_cnt,
    ".edf": mne.io.read_raw_edf,
    ".fif": mne.io.read_raw_fif,
    ".gdf": mne.io.read_raw_gdf,
    ".set": mne.io.read_raw_eeglab,
    ".vhdr": mne.io.read_raw_brainvision,
}
PIECE = 1 << 14  # samples
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
        if keep_date and about.started:
            info["meas_date"] = datetime.fromisoformat(about.started).astimezone(UTC)
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
    names = unalike(
        tuple(map(ascii_only, raw.ch_names))
    )  # FIF holds nothing else; `facts_text` has the true ones
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


# ---- from MNE and its formats ----


def read(path: Path, options: ImportOptions) -> MneSignal:
    """A file that MNE reads."""
    suffix = path.suffix.lower()
    header = read_edf_header(path) if suffix == ".gdf" else None
    keywords = {".fif": {"on_split_missing": "raise", "allow_maxshield": True}}.get(suffix, {})
    try:
        raw = _READERS[suffix](path, preload=False, verbose="ERROR", **keywords)
    except Exception as err:  # each reader raises what it happens to meet in a damaged file
        raise RecordingError(f"{path} cannot be read as {suffix[1:].upper()}: {err}", path=path) from err
    factors: dict[str, float] = {}
    if header is not None:  # MNE passes on numbers whose unit it does not know
        for name, unit in zip(header.names, header.units, strict=True):
            stated = canonical_unit(unit or "uV")
            if stated in UV_PER_UNIT:
                factors[name] = UV_PER_UNIT[stated] / _MNE_SCALES.get(unit, 1.0)
    if options.unit:  # what is in the file is in this unit, whatever MNE took it for
        scaled = dict(zip(header.names, header.units, strict=True)) if header is not None else {}
        factors = {
            name: UV_PER_UNIT[options.unit] / _MNE_SCALES.get(scaled.get(name, ""), 1.0)
            for name in raw.ch_names
        }
    return MneSignal(raw, path, options, factors)


class MneSignal:
    """What a Raw of MNE holds.

    Counts are those that its file stores, where they are whole; else the finest of 24 bits that hold the largest
    value.
    """

    def __init__(
        self,
        raw: mne.io.BaseRaw,
        path: Path,
        options: ImportOptions | None = None,
        uv_per_number: dict[str, float] | None = None,
    ) -> None:
        self.path = path
        self._raw, self._options = raw, options or ImportOptions()
        self._factors = uv_per_number or {}
        self._facts = facts_of(_unescaped(str(raw.info["description"] or "")))
        kinds = dict(zip(raw.ch_names, raw.get_channel_types() if raw.ch_names else [], strict=True))
        wanted = self._options.channels or tuple(
            name
            for name, kind in kinds.items()
            if kind in ("eeg", "eog", "ecg", "emg", "seeg", "ecog")
            or (kind == "misc" and (self._options.aux or self._facts))
        )
        if missing := [name for name in wanted if name not in kinds]:
            raise MontageMismatchError(
                f"{path} has no channel {', '.join(missing)}; it has {', '.join(kinds)}",
                got=tuple(kinds),
                expected=tuple(wanted),
            )
        if not wanted:
            raise RecordingError(f"{path} holds no EEG channel", path=path)
        told = self._facts.get("names", ())
        same = len(told) == len(raw.ch_names)
        self._true_name = dict(zip(raw.ch_names, told, strict=True)) if same else {}
        self._picks = [raw.ch_names.index(name) for name in wanted]
        self._kinds = [kinds[name] for name in wanted]

    @cached_property
    def description(self) -> Description:
        raw, facts = self._raw, self._facts
        steps = self._steps
        names = [raw.ch_names[k] for k in self._picks]
        labels = tuple(self._true_name.get(name, name) for name in names)
        if not facts:
            labels = unalike(tuple(electrode_name(name) for name in names))
        kinds, units, ohms = (facts.get(key, {}) for key in ("kinds", "units", "impedance_kohm"))
        channels = tuple(
            Channel(
                label,
                step,
                kinds.get(label)
                or (channel_kind(name) if kind == "eeg" else "misc" if kind == "misc" else kind),
                units.get(label, "uV"),
                ohms.get(label),
            )
            for label, name, kind, step in zip(labels, names, self._kinds, steps, strict=True)
        )
        rate = Fraction(raw.info["sfreq"]).limit_denominator(100_000)
        events = in_order(self._events())
        date = raw.info["meas_date"]
        model = (raw.info["device_info"] or {}).get("model", "") if raw.info.get("device_info") else ""
        return Description(
            channels=channels,
            rate=Fraction(facts.get("rate", rate)),
            measured_hz=float(facts.get("measured_hz", raw.info["sfreq"])),
            n_samples=raw.n_times,
            events=events,
            gaps=tuple((e.sample, e.n_samples) for e in events if e.text == GAP and e.n_samples),
            device=str(facts.get("device", model)),
            reference=str(facts.get("reference", "")),
            started=date.isoformat() if date is not None else "",
        )

    def pieces(self) -> Iterator[Counts]:
        steps = np.array(self._steps)[:, None]
        for values in self._values():
            counts = np.clip(np.rint(values / steps), MIN_COUNT, MAX_COUNT)
            yield np.asfortranarray(counts.astype(np.int32))

    def _values(self) -> Iterator[np.ndarray[Any, np.dtype[np.float64]]]:
        """In µV, or what a channel measures."""
        volts = self._per_number()
        for at in range(0, self._raw.n_times, PIECE):
            try:
                data = self._raw.get_data(
                    self._picks, at, min(at + PIECE, self._raw.n_times), verbose="ERROR"
                )
            except (ValueError, OSError) as err:  # what MNE meets where a file ends too early
                raise RecordingError(
                    f"{self.path} cannot be read from sample {at} on, it is damaged or cut: {err}",
                    path=self.path,
                ) from err
            values = data * volts[:, None]
            if not np.isfinite(values).all():
                raise RecordingError(
                    f"{self.path} holds NaN or infinite samples; mark and fill them first", path=self.path
                )
            yield values

    def _per_number(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What MNE's numbers, volts as a rule, are multiplied by."""
        units = self._facts.get("units", {})
        factors = []
        for k, kind in zip(self._picks, self._kinds, strict=True):
            name = self._raw.ch_names[k]
            in_volts = self._true_name.get(name) not in units if self._facts else kind != "misc"
            factors.append(self._factors.get(name, 1e6 if in_volts else 1.0))
        return np.array(factors)

    @cached_property
    def _steps(self) -> list[float]:
        n = len(self._picks)
        stated = self._facts.get("uv_per_count")
        if stated is not None:
            every = stated if isinstance(stated, list) else [stated] * len(self._raw.ch_names)
            return [float(every[k]) for k in self._picks]
        largest, smallest = np.zeros(n), np.full(n, np.inf)
        cals = np.array(
            [self._raw.info["chs"][k]["cal"] * self._raw.info["chs"][k]["range"] for k in self._picks]
        )
        stored = cals * self._per_number()
        whole = np.ones(n, bool)
        for values in self._values():
            largest = np.maximum(largest, np.abs(values).max(axis=1))
            numbers = values / stored[:, None]
            whole &= np.abs(numbers - np.rint(numbers)).max(axis=1) < 1e-3
            smallest = np.minimum(smallest, np.abs(numbers).max(axis=1))
        fits = whole & (largest / np.abs(stored) <= MAX_COUNT) & (largest > np.abs(stored))
        finest = np.where(largest > 0, largest / MAX_COUNT, 1.0)
        return [float(step) for step in np.where(fits, np.abs(stored), finest)]

    def _events(self) -> list[SignalEvent]:
        raw, facts = self._raw, self._facts
        codes = facts.get("codes", {})
        rate = raw.info["sfreq"]
        events = []
        for note in raw.annotations:
            text = _unescaped(str(note["description"]))
            quality = text.startswith(("BAD_", "EDGE "))
            sample = round(
                (
                    note["onset"] - raw.first_time
                    if raw.info["meas_date"] == raw.annotations.orig_time
                    else note["onset"]
                )
                * rate
            )
            names = tuple(self._true_name.get(str(name), str(name)) for name in note.get("ch_names") or ())
            n, source = round(note["duration"] * rate), "quality" if quality else "file"
            if text == "BAD boundary":  # MNE's other word for an edge between two files
                continue
            if not -1 <= sample <= raw.n_times:
                continue
            events.append(SignalEvent(max(sample, 0), text, n, int(codes.get(text, 0)), 0, source, names))
        if not events and "stim" in raw.get_channel_types():
            found = mne.find_events(raw, shortest_event=1, mask=0xFFFF, mask_type="and", verbose="ERROR")
            events = [
                SignalEvent(int(s) - raw.first_samp, str(c), 0, int(c), 0, "trigger") for s, _, c in found
            ]
        elif not events:
            events = [
                SignalEvent(s, t, 0, int(t), 0, "file") for s, t in _markers(raw, self.path) if t.isdigit()
            ]
        return events


def _unescaped(text: str) -> str:
    """`&#24038;` → `左`: FIF is Latin-1, and MNE writes what is not as references that it does not read back."""
    return re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), text)
