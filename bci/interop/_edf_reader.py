"""EDF, EDF+ and BDF, BDF+ as a `Signal`: continuous or not, of any size, a few megabytes in memory.

Rules
-----
- Codes stay what they are where the scale has no offset; where a file puts zero between two codes, counts are the
  finest fraction of a code for which 24 bits leave room.
- A blank unit is µV: the files that leave it blank hold µV.
- EDF+D: what lies between two data records is a gap. Records that overlap are refused.
- Channels are those with the rate that most have; codes of a Status or trigger channel become events; what measures
  no voltage stays out unless `aux` asks for it.
- Neither the patient's field nor the recording's is kept; the date only, as `started`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import MontageMismatchError, RecordingError
from bci.interop._door import (
    MAX_COUNT,
    MIN_COUNT,
    Channel,
    Counts,
    Description,
    ImportOptions,
    SignalEvent,
    in_order,
    within,
)
from bci.interop._edf_header import EdfSignal, read_edf_file
from bci.interop._facts import MARK, facts_of
from bci.interop._names import (
    UV_PER_UNIT,
    canonical_unit,
    channel_kind,
    electrode_name,
    is_trigger,
    no_voltage,
    unalike,
)
from bci.interop._recorded import GAP

__all__ = ["EdfRecording", "read"]

BLOCK_BYTES = 4 << 20
BUSIEST = 0.1  # share of its samples at which a trigger channel changes
TRIGGER_BITS = 0xFFFF  # a Status channel carries system bits above its 16 trigger bits
_ANNOTATION = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")


def read(path: Path, options: ImportOptions) -> EdfRecording:
    return EdfRecording(path, options)


class EdfRecording:
    """A file of the EDF family.

    Raises
    ------
    RecordingError
        If it is none, was cut, or holds no channel of signal.
    MontageMismatchError
        If asked for channels it does not have.
    """

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self.path = path
        self._file = read_edf_file(path, salvage=options.salvage)
        plain = [s for s in self._file.signals if not s.is_annotations]
        self._texts = [s for s in self._file.signals if s.is_annotations]
        self._triggers = [s for s in plain if is_trigger(s.name)]
        signals = [s for s in plain if s not in self._triggers]
        if not signals or not self._file.record_s:
            raise RecordingError(
                f"{path} holds no channel of signal, only annotations or triggers", path=path
            )
        n = Counter(s.n_samples for s in signals).most_common(1)[0][0]
        self._n = n  # samples of each channel in a data record
        self.rate = Fraction(n) / self._file.record_s
        found = [s for s in signals if s.n_samples == n]
        self.left_out = [
            f"{s.name} ({float(s.n_samples / self._file.record_s):g} Hz)" for s in signals if s.n_samples != n
        ]
        own = self._own_facts
        self._signals, self._channels = self._chosen(found, own, options)
        self._digits = [_digits(s, own, found.index(s)) for s in self._signals]

    @cached_property
    def _own_facts(self) -> Mapping[str, Any]:
        """What `bci export` wrote into the first record, if this is a file of its own."""
        for _, _, text in self._annotations(stop=1):
            if facts := facts_of(text):
                return facts
        return {}

    def _chosen(
        self, found: list[EdfSignal], own: Mapping[str, Any], options: ImportOptions
    ) -> tuple[list[EdfSignal], tuple[Channel, ...]]:
        names = tuple(own.get("names", ()))
        if len(names) != len(found):
            bare = tuple(electrode_name(s.name) for s in found)
            names = (
                options.channels if not any(bare) and len(options.channels) == len(found) else unalike(bare)
            )
        kinds, units = own.get("kinds", {}), own.get("units", {})
        rows = []
        for signal, name in zip(found, names, strict=True):
            stated = units.get(name) or (options.unit or signal.unit or "uV")
            kind = kinds.get(name) or channel_kind(signal.name, stated)
            unit = canonical_unit(stated)
            step = abs(_gain(signal)) * UV_PER_UNIT.get(unit, 1.0)
            rows.append(
                (
                    signal,
                    Channel(
                        name,
                        step,
                        kind,
                        "uV" if unit in UV_PER_UNIT else unit,
                        own.get("impedance_kohm", {}).get(name),
                    ),
                )
            )
        wanted = [row for row in rows if options.aux or row[1].unit == "uV" or own]
        self.left_out += [f"{c.name} ({c.unit})" for s, c in rows if (s, c) not in wanted]
        if options.channels and names != options.channels:
            by_name = {channel.name: (signal, channel) for signal, channel in rows}
            if missing := [name for name in options.channels if name not in by_name]:
                raise MontageMismatchError(
                    f"{self.path} has no channel {', '.join(missing)}; it has {', '.join(names)}",
                    got=names,
                    expected=options.channels,
                )
            wanted = [by_name[name] for name in options.channels]
        if not wanted:
            raise no_voltage(self.path, (channel.unit for _, channel in rows))
        steps = own.get("uv_per_count")
        channels = []
        for signal, channel in wanted:
            if steps is not None:
                index = found.index(signal)
                exact = steps[index] if isinstance(steps, list) else steps
                channels.append(replace(channel, step=float(exact)))
            else:
                finer = _subdivision(signal)
                channels.append(replace(channel, step=channel.step / finer))
        return [signal for signal, _ in wanted], tuple(channels)

    @cached_property
    def description(self) -> Description:
        own, rate = self._own_facts, self.rate
        n_samples = self._starts[-1] + self._n
        events: list[SignalEvent] = []
        gaps = self._gaps_between_records
        codes = own.get("codes", {})
        names = {channel.name for channel in self._channels}
        for onset, length, text in self._annotations():
            sample = round((onset - self._onset) * rate)
            n = round(length * rate)
            if text.startswith(MARK):
                continue
            text, *channels = text.split("@@") if text.rsplit("@@", 1)[-1] in names else [text]
            if text == GAP:
                gaps.append((sample, n))
            quality = text.startswith(("BAD_", "EDGE "))
            code = int(codes.get(text, 0))
            events.append(
                SignalEvent(sample, text, n, code, 0, "quality" if quality else "file", tuple(channels))
            )
        events += self._trigger_events()
        if "n_samples" in own:
            n_samples = min(n_samples, int(own["n_samples"]))
            events = [e for e in events if e.text != GAP or e.sample < n_samples]
        gaps = list(within(gaps, n_samples))
        known = {(e.sample, e.n_samples) for e in events if e.text == GAP}
        events += [SignalEvent(at, GAP, n, source="quality") for at, n in gaps if (at, n) not in known]
        nominal = Fraction(own.get("rate", rate))
        return Description(
            channels=self._channels,
            rate=nominal,
            measured_hz=float(own.get("measured_hz", nominal)),
            n_samples=n_samples,
            events=in_order(events),
            gaps=tuple(gaps),
            device=str(own.get("device", "")),
            reference=str(own.get("reference", "")),
            started=self._file.started,
            notes={key: said for key, said in (("left_out", self.left_out), ("assumed", self._cut)) if said},
        )

    @property
    def _cut(self) -> list[str]:
        there, promised = self._file.n_records, self._file.promised
        if there >= promised:
            return []
        return [f"the file was cut; of {promised} records {there} are whole, and they were taken"]

    def pieces(self) -> Iterator[Counts]:
        n_samples = self.description.n_samples
        at = 0
        last = np.zeros((len(self._signals), 1), np.int32)
        for first, records in self._blocks():
            codes = [_codes(records, signal) for signal in self._signals]
            counts = np.stack([_counts(c, d) for c, d in zip(codes, self._digits, strict=True)])
            for k in range(len(records)):
                missing = self._starts[first + k] - at
                while missing > 0:
                    n = min(missing, 1 << 16)
                    yield np.asfortranarray(np.broadcast_to(last, (len(last), n)))
                    missing, at = missing - n, at + n
                piece = counts[:, k][:, : n_samples - at]
                if piece.shape[1]:
                    yield np.asfortranarray(piece)
                    last = piece[:, -1:]
                at += self._n

    # ---- data records ----

    def _blocks(self, stop: int | None = None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Number of the first record, and the bytes of some, (n_records, bytes)."""
        size, n_records = self._file.record_bytes, self._file.n_records
        n_records = n_records if stop is None else min(stop, n_records)
        step = max(1, BLOCK_BYTES // size)
        with self.path.open("rb") as file:
            file.seek(self._file.header_bytes)
            for first in range(0, n_records, step):
                raw = file.read(size * min(step, n_records - first))
                yield first, np.frombuffer(raw, np.uint8).reshape(-1, size)

    def _annotations(self, stop: int | None = None) -> Iterator[tuple[Fraction, Fraction, str]]:
        """(onset, duration, text) in seconds; of each record's time itself nothing."""
        for _, records in self._blocks(stop):
            for record in records:
                for signal in self._texts:
                    raw = record[signal.at : signal.at + signal.n_samples * signal.width].tobytes()
                    for onset, length, texts in _ANNOTATION.findall(raw):
                        for text in texts.split(b"\x14"):
                            if text:
                                yield (
                                    _seconds(onset),
                                    _seconds(length or b"0"),
                                    text.decode("utf-8", "replace"),
                                )

    @cached_property
    def _onsets(self) -> list[Fraction]:
        """When each data record begins; without annotations one after the other."""
        file = self._file
        if not self._texts or not file.variant.endswith("+D"):
            begin = self._first_onset()
            return [begin + k * file.record_s for k in range(file.n_records)]
        signal = self._texts[0]
        onsets = []
        for first, records in self._blocks():
            for k, record in enumerate(records):
                raw = record[signal.at : signal.at + signal.n_samples * signal.width].tobytes()
                if (match := re.match(rb"([+-]\d+(?:\.\d*)?)\x14\x14", raw)) is None:
                    raise RecordingError(
                        f"{self.path} is damaged: record {first + k} does not say its time", path=self.path
                    )
                onsets.append(_seconds(match[1]))
        return onsets

    def _first_onset(self) -> Fraction:
        for _, records in self._blocks(1) if self._texts else ():
            signal = self._texts[0]
            raw = records[0, signal.at : signal.at + signal.n_samples * signal.width].tobytes()
            if match := re.match(rb"([+-]\d+(?:\.\d*)?)\x14\x14", raw):
                return _seconds(match[1])
        return Fraction(0)

    @property
    def _onset(self) -> Fraction:
        return self._onsets[0]

    @cached_property
    def _starts(self) -> list[int]:
        """First sample of each record."""
        starts = [round((onset - self._onset) * self.rate) for onset in self._onsets]
        for k, (a, b) in enumerate(pairwise(starts)):
            if b < a + self._n:
                raise RecordingError(
                    f"{self.path}: record {k + 1} begins before the one before it ends, at "
                    f"{float(self._onsets[k + 1]):g} s; export it again from the program that wrote it",
                    path=self.path,
                )
        return starts

    @property
    def _gaps_between_records(self) -> list[tuple[int, int]]:
        ends = [start + self._n for start in self._starts[:-1]]
        return [(end, start - end) for end, start in zip(ends, self._starts[1:], strict=True) if start > end]

    def _trigger_events(self) -> list[SignalEvent]:
        """Each change of a trigger channel to a code that is not 0; what it is at first is no change."""
        events = []
        for signal in self._triggers:
            found = list(self._changes(signal))
            if len(found) > BUSIEST * signal.n_samples * self._file.n_records:
                self.left_out.append(f"{signal.name} (changes all the time, so it carries no codes)")
            else:
                events += found
        return events

    def _changes(self, signal: EdfSignal) -> Iterator[SignalEvent]:
        scale = Fraction(self._n, signal.n_samples)
        before: int | None = None
        for first, records in self._blocks():
            flat = (_codes(records, signal) & TRIGGER_BITS).ravel()
            changed = np.diff(flat, prepend=flat[0] if before is None else before) != 0
            for at in np.flatnonzero(changed & (flat != 0)).tolist():
                record, sample = divmod(at, signal.n_samples)
                where = self._starts[first + record] + round(sample * scale)
                yield SignalEvent(where, str(flat[at]), 0, int(flat[at]), 0, "trigger")
            before = int(flat[-1])


def _seconds(text: bytes) -> Fraction:
    return Fraction(text.decode())


def _codes(records: NDArray[np.uint8], signal: EdfSignal) -> Counts:
    """(n_records, n_samples)."""
    raw = records[:, signal.at : signal.at + signal.n_samples * signal.width]
    if signal.width == 2:
        return np.ascontiguousarray(raw).view("<i2").astype(np.int32)
    wide = np.zeros((*raw.shape[:1], signal.n_samples, 4), np.uint8)
    wide[:, :, 1:] = raw.reshape(len(raw), signal.n_samples, 3)
    codes: Counts = wide.view("<i4")[:, :, 0] >> 8
    return codes


def _gain(signal: EdfSignal) -> float:
    (low, high), (first, last) = signal.physical, signal.digital
    if first == last or low == high:
        return 1.0
    return (high - low) / (last - first)


def _zero(signal: EdfSignal) -> float:
    """What is added to a code so that 0 is 0 µV."""
    offset = signal.physical[0] / _gain(signal) - signal.digital[0]
    # the eight characters of a physical range do not tell a ten-thousandth of a code
    near = round(offset)
    return float(near) if abs(offset - near) < max(1e-3, 1e-7 * abs(signal.digital[0])) else offset


def _subdivision(signal: EdfSignal) -> float:
    """Counts in a code."""
    zero = _zero(signal)
    largest = max(abs(code + zero) for code in signal.digital) or 1.0
    room = MAX_COUNT / largest
    if room < 1:
        return room
    return 1.0 if zero == round(zero) else float(2 ** min(6, int(np.log2(room))))


def _digits(signal: EdfSignal, own: Mapping[str, Any], index: int) -> tuple[float, float]:
    """(factor, offset): count = factor · code + offset."""
    if own:
        factor, offset = own["scales"][index] if "scales" in own else (1, 0)
        return float(factor), float(offset)
    sign = -1.0 if _gain(signal) < 0 else 1.0
    factor = sign * _subdivision(signal)
    return factor, factor * _zero(signal)


def _counts(codes: Counts, digits: tuple[float, float]) -> Counts:
    factor, offset = digits
    if factor == 1.0 and offset == 0.0:
        return codes
    # the coarse steps of 16 bits may end one count beyond the converter's range
    counts: Counts = np.clip(np.rint(codes * factor + offset), MIN_COUNT, MAX_COUNT).astype(np.int32)
    return counts
