"""What a Raw of MNE holds, as a `Signal`: of files that MNE reads, and of `from_mne`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bci.chunks import F64
from bci.errors import MontageMismatchError, RecordingError
from bci.interop._door import (
    MAX_COUNT,
    MIN_COUNT,
    PIECE,
    Channel,
    Counts,
    Description,
    ImportOptions,
    SignalEvent,
    finest_step,
    in_order,
)
from bci.interop._edf_header import read_edf_header
from bci.interop._facts import facts_of
from bci.interop._mne import MNE_SCALES, codes_of, is_finding, open_raw
from bci.interop._names import UV_PER_UNIT, canonical_unit, channel_kind, electrode_name, unalike
from bci.interop._recorded import GAP

__all__ = ["MneSignal", "read"]

NO_UNIT = "n/a"  # MNE's "misc" channels say none


def read(path: Path, options: ImportOptions) -> MneSignal:
    """A file that MNE reads."""
    header = read_edf_header(path) if path.suffix.lower() == ".gdf" else None
    raw = open_raw(path, preload=False)
    factors: dict[str, float] = {}
    if header is not None:  # MNE passes on numbers whose unit it does not know
        for name, unit in zip(header.names, header.units, strict=True):
            stated = canonical_unit(unit or "uV")
            if stated in UV_PER_UNIT:
                factors[name] = UV_PER_UNIT[stated] / MNE_SCALES.get(unit, 1.0)
    if options.unit:  # what is in the file is in this unit, whatever MNE took it for
        scaled = dict(zip(header.names, header.units, strict=True)) if header is not None else {}
        factors = {
            name: UV_PER_UNIT[options.unit] / MNE_SCALES.get(scaled.get(name, ""), 1.0)
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
        raw: Any,
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
                units.get(label, NO_UNIT if kind == "misc" and not facts else "uV"),
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
            n_samples=int(raw.n_times),
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

    def _values(self) -> Iterator[F64]:
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

    def _per_number(self) -> F64:
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
        return [float(step) for step in np.where(fits, np.abs(stored), finest_step(largest))]

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
        if all(is_finding(event.text) for event in events):
            found = codes_of(raw, self.path)
            events += [SignalEvent(at, code, 0, int(code), 0, "trigger") for at, code in found]
        return events


def _unescaped(text: str) -> str:
    """`&#24038;` → `左`: FIF is Latin-1, and MNE writes what is not as references that it does not read back."""
    return re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), text)
