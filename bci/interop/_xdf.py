"""XDF, the container of Lab Streaming Layer, as a `Signal`: of any size, a few megabytes in memory.

Rules
-----
- The file must hold one stream of type EEG, whole unless it is to be salvaged. What other streams of text say are
  markers.
- A marker belongs to the sample whose time is nearest, both by the clock of the computer that recorded.
- Whole numbers of up to 24 bits stay what they are; others get the finest step with which the largest one fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.errors import RecordingError
from bci.interop._door import (
    HOW_TO_SALVAGE,
    MAX_COUNT,
    Channel,
    Counts,
    Description,
    ImportOptions,
    SignalEvent,
    filled,
    finest_step,
    in_order,
)
from bci.interop._facts import facts_of
from bci.interop._files import RawRecording
from bci.interop._gaps import with_gaps
from bci.interop._names import UV_PER_UNIT, canonical_unit, channel_kind, is_trigger, no_voltage, unalike
from bci.interop._recorded import GAP
from bci.interop._xdf_chunks import XdfFile, XdfStream
from bci.interop._xdf_clock import ClockMap, Lines, Stretch
from bci.interop._xdf_writer import ANNOTATIONS

__all__ = ["XdfSignal", "load_xdf", "read"]

I64 = NDArray[np.int64]
MOST_LOST = 100  # times as much as there is: then its times are wrong


def read(path: Path, options: ImportOptions) -> XdfSignal:
    return XdfSignal(path, options)


def load_xdf(path: Path) -> RawRecording:
    """The one EEG stream of a file, in memory, and the markers of all its text streams, on the EEG's samples.

    Raises
    ------
    RecordingError
        As of `XdfSignal`, and if its EEG has a gap.
    """
    file = XdfFile(path)
    stream = _eeg_stream(file)
    lines = Lines(stream.period_s)
    values = list(_timed(file, stream, lines))
    axis = _Axis.of(path, lines.finish())
    if axis.gaps:
        raise RecordingError(
            f"{path} has {len(axis.gaps)} gaps in its EEG, the first after sample {axis.gaps[0][0] - 1}; "
            "`bci import` makes a recording of it in which they are marked",
            path=path,
        )
    names, units = _montage(stream)
    said = (
        (int(at), _plain(words[0]))
        for text in _text_streams(file)
        for at, words in zip(axis.samples(_stamps(text)), text.texts, strict=True)
    )
    return RawRecording(
        channels=names,
        rate=_nominal(stream),
        numbers=np.concatenate(values).T.astype(np.float64),
        units=units,
        markers=tuple(sorted(said)),
    )


class XdfSignal:
    """The EEG stream of an XDF file, gaps filled, with the markers of all its text streams.

    Raises
    ------
    RecordingError
        If the file is no XDF, has no or several EEG streams, was cut, or its times cannot be.
    """

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self.path = path
        self._file = XdfFile(path)
        self._stream = _eeg_stream(self._file, salvage=options.salvage)
        facts = facts_of(self._stream.text("desc/facts"))
        was_cut = self._file.broken_at >= 0 or self._stream.footer is None
        lines = Lines(self._stream.period_s)
        largest = np.zeros(self._stream.n_channels)
        for values in _timed(self._file, self._stream, lines):
            largest = np.fmax(largest, np.fmax.reduce(np.abs(values.astype(np.float64)), axis=0))
        axis = _Axis.of(path, lines.finish())
        self._missing = axis.gaps  # files of our own hold what they fill gaps with
        names, units = _montage(self._stream)
        left_out: list[str] = []
        if facts:
            self._rows, units = list(range(len(names))), tuple(map(canonical_unit, units))
            self._factors = np.ones(len(names))
            steps = np.broadcast_to(np.asarray(facts["uv_per_count"], dtype=np.float64), len(names))
        else:
            self._rows, taken, units, left_out = _chosen(path, names, units, options)
            self._factors = np.array([UV_PER_UNIT.get(unit, 1.0) for unit in units])
            steps = self._steps(largest[self._rows])
            names = taken
        notes = {"left_out": left_out} if left_out else {}
        if was_cut:
            notes["assumed"] = [f"the file was cut; {axis.n_samples} samples are whole, and they were taken"]
        self.description = self._described(axis, facts, names, units, steps, notes)

    def pieces(self) -> Iterator[Counts]:
        return with_gaps(self._present(), self._missing)

    def _present(self) -> Iterator[Counts]:
        steps = self.description.steps
        last = np.full((len(self._rows), 1), np.nan)
        for _, values in self._file.numbers(self._stream):
            x = values[:, self._rows].T * self._factors[:, None]
            if np.isnan(x).any():
                x = filled(np.concatenate((last, x), axis=1))[:, 1:]
            last = x[:, -1:]
            yield np.asfortranarray(np.rint(x / steps).astype(np.int32))

    def _steps(self, largest: F64) -> F64:
        """Of one count, in µV, by the largest number stored in each channel."""
        if np.isinf(largest).any():
            raise RecordingError(
                f"{self.path} holds infinite samples; they are no measurement", path=self.path
            )
        whole = self._stream.text("channel_format").startswith("int") & (largest <= MAX_COUNT)
        return np.where(whole, 1.0, finest_step(largest)) * self._factors

    def _described(
        self,
        axis: _Axis,
        facts: Any,
        names: tuple[str, ...],
        units: tuple[str, ...],
        steps: F64,
        notes: dict[str, list[str]],
    ) -> Description:
        rate = Fraction(facts["rate"]) if "rate" in facts else _nominal(self._stream)
        kinds, stated, ohms = (facts.get(key, {}) for key in ("kinds", "units", "impedance_kohm"))
        channels = tuple(
            Channel(
                name,
                step,
                kinds.get(name) or channel_kind(name, unit),
                stated.get(name) or ("uV" if unit in UV_PER_UNIT else unit),
                ohms.get(name),
            )
            for name, step, unit in zip(unalike(names), steps.tolist(), units, strict=True)
        )
        events = list(_events(self._file, axis, float(rate), facts.get("codes", {})))
        known = {(event.sample, event.n_samples) for event in events if event.text == GAP}
        events += [SignalEvent(at, GAP, n, source="quality") for at, n in axis.gaps if (at, n) not in known]
        return Description(
            channels=channels,
            rate=rate,
            measured_hz=float(facts.get("measured_hz", axis.fs_hz)),
            n_samples=axis.n_samples,
            events=in_order(events),
            gaps=tuple(sorted(known | set(axis.gaps))),
            device=str(facts.get("device", "")),
            reference=str(facts.get("reference", "")),
            notes=notes,
        )


# ---- streams ----


def _eeg_stream(file: XdfFile, *, salvage: bool = False) -> XdfStream:
    """The one of type EEG that holds samples, if the file is whole (or need not be)."""
    path, streams = file.path, list(file.streams.values())
    whole = file.broken_at < 0 and all(stream.footer is not None for stream in streams)
    if not whole and any(facts_of(stream.text("desc/facts")) for stream in streams):
        # one of our own: its marks, of gaps too, stand at its end
        raise RecordingError(f"{path} was cut: the marks at its end are gone; export it again", path=path)
    if file.broken_at >= 0 and not salvage:
        raise RecordingError(
            f"{path} was cut, or is damaged, at byte {file.broken_at}; {HOW_TO_SALVAGE}", path=path
        )
    eeg = [s for s in streams if s.text("type").upper() == "EEG" and s.n_samples and not s.is_text]
    if len(eeg) != 1:
        there = ", ".join(f"{s.text('name')} ({s.text('type')})" for s in streams) or "none"
        raise RecordingError(
            f"{path} holds {len(eeg)} streams of type EEG, one is needed; streams: {there}", path=path
        )
    stream = eeg[0]
    if stream.footer is None and not salvage:
        raise RecordingError(f"{path} was cut: its EEG stream has no end; {HOW_TO_SALVAGE}", path=path)
    if not stream.rate_hz:
        raise RecordingError(f"{path}: its EEG stream states no rate; it is no regular signal", path=path)
    # LabRecorder's count is one short of what it wrote
    if stream.stated >= 0 and abs(stream.stated - stream.n_samples) > 1:
        raise RecordingError(
            f"{path} is damaged: {stream.stated} samples were recorded, {stream.n_samples} can be read",
            path=path,
        )
    return stream


def _nominal(stream: XdfStream) -> Fraction:
    return Fraction(stream.text("nominal_srate")).limit_denominator(100_000)


def _montage(stream: XdfStream) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units from the stream's description; blank where there is none."""
    channels = stream.info.findall("desc/channels/channel")
    if len(channels) != stream.n_channels:
        return ("",) * stream.n_channels, ("",) * stream.n_channels
    return (
        tuple(channel.findtext("label") or "" for channel in channels),
        tuple(channel.findtext("unit") or "" for channel in channels),
    )


def _chosen(
    path: Path, names: tuple[str, ...], units: tuple[str, ...], options: ImportOptions
) -> tuple[list[int], tuple[str, ...], tuple[str, ...], list[str]]:
    """Which channels, what they are called, in which unit; and those that are left out, in words."""
    units = tuple(canonical_unit(options.unit or unit or "uV") for unit in units)
    if not any(names):
        given = options.channels or tuple(f"Ch{k + 1}" for k in range(len(units)))
        if len(given) > len(units):
            raise RecordingError(
                f"{path} has {len(units)} channels, {len(given)} names were given", path=path
            )
        return list(range(len(given))), given, units[: len(given)], []
    if missing := [name for name in options.channels if name not in names]:
        raise RecordingError(
            f"{path} has no channel {', '.join(missing)}; it has {', '.join(names)}", path=path
        )
    if options.channels:
        rows, left_out = [names.index(name) for name in options.channels], []
    else:
        rows = [
            k
            for k, (name, unit) in enumerate(zip(names, units, strict=True))
            if not is_trigger(name) and (options.aux or unit in UV_PER_UNIT)
        ]
        left_out = [f"{names[k]} ({units[k]})" for k in range(len(names)) if k not in rows]
    if not rows:
        raise no_voltage(path, units)
    return rows, tuple(names[k] for k in rows), tuple(units[k] for k in rows), left_out


# ---- time ----


def _timed(file: XdfFile, stream: XdfStream, lines: Lines) -> Iterator[NDArray[Any]]:
    """The stream's values, block by block, while `lines` hears of their times."""
    clock = ClockMap(stream.clock)
    for stamps, values in file.numbers(stream):
        lines.take(clock.apply(stamps))
        yield values


def _stamps(stream: XdfStream) -> F64:
    """Of a text stream, by the clock of the computer that recorded."""
    stamps = ClockMap(stream.clock).apply(np.array(stream.stamps))
    if not stream.rate_hz or not len(stamps):
        return stamps
    lines = Lines(stream.period_s)
    lines.take(stamps)
    return np.concatenate([stretch.stamps() for stretch in lines.finish()])


@dataclass(frozen=True, slots=True)
class _Axis:
    """Sample numbers of a regular stream, lost ones included, and its time."""

    stretches: list[Stretch]
    places: list[int]  # of the first sample of each stretch
    gaps: list[tuple[int, int]]
    fs_hz: float

    @classmethod
    def of(cls, path: Path, stretches: list[Stretch]) -> _Axis:
        if any(stretch.period_s <= 0 for stretch in stretches):
            raise RecordingError(f"{path} is damaged: the time in its EEG stream runs backwards", path=path)
        steps = sum(stretch.n_samples - 1 for stretch in stretches)
        seconds = sum(stretch.end_s - stretch.start_s for stretch in stretches)
        fs_hz = steps / seconds if steps else 1 / stretches[0].period_s
        places, gaps = [0], []
        for before, after in pairwise(stretches):
            at = places[-1] + before.n_samples
            lost = round((after.start_s - before.end_s) * fs_hz) - 1
            if lost < 0:
                raise RecordingError(
                    f"{path}: the clock of its EEG stream was set back at sample {after.first}; export each stretch "
                    "as its own file",
                    path=path,
                )
            if lost:
                gaps.append((at, lost))
            places.append(at + lost)
        n_present = sum(stretch.n_samples for stretch in stretches)
        if sum(n for _, n in gaps) > MOST_LOST * n_present:
            raise RecordingError(
                f"{path} is damaged: its times say that nearly all of its samples are missing", path=path
            )
        return cls(stretches, places, gaps, fs_hz)

    @property
    def n_samples(self) -> int:
        return self.places[-1] + self.stretches[-1].n_samples

    def samples(self, stamps: F64) -> I64:
        """The nearest ones that are there; behind the last one those that would follow, as the end of a run does."""
        out = np.empty(len(stamps), np.int64)
        which = np.searchsorted([(a.end_s + b.start_s) / 2 for a, b in pairwise(self.stretches)], stamps)
        for k, (stretch, place) in enumerate(zip(self.stretches, self.places, strict=True)):
            here = which == k
            number = np.ceil((stamps[here] - stretch.start_s) / stretch.period_s - 0.5)
            most = stretch.n_samples - 1 if k + 1 < len(self.stretches) else math.inf
            out[here] = place + np.clip(number, 0, most)
        return out


# ---- what is said ----


def _text_streams(file: XdfFile) -> list[XdfStream]:
    return [stream for stream in file.streams.values() if stream.is_text]


def _events(file: XdfFile, axis: _Axis, fs_hz: float, codes: dict[str, int]) -> Iterator[SignalEvent]:
    own = [stream for stream in _text_streams(file) if stream.text("name") == ANNOTATIONS]
    for stream in own or _text_streams(file):
        for sample, words in zip(axis.samples(_stamps(stream)).tolist(), stream.texts, strict=True):
            text = _plain(words[0])
            if own:
                length, code = round(float(words[1]) * fs_hz), int(words[2])
                channels = tuple(filter(None, words[3].split("@@")))
                source = "quality" if text.startswith(("BAD_", "EDGE ")) else "file"
                yield SignalEvent(sample, text, length, code, 0, source, channels)
            else:
                code = int(text) if text.isdigit() and int(text) < 1 << 16 else int(codes.get(text, 0))
                yield SignalEvent(sample, text, 0, code, 0, "file")


def _plain(text: str) -> str:
    """ "2.000000000000000" → "2": some programs send their codes as printed floating-point numbers."""
    head, point, tail = text.partition(".")
    return head if point and head.lstrip("-").isdigit() and not tail.strip("0") else text
