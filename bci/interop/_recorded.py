"""A `.bfp` recording as a `Signal`: one pass for what it is, one for its counts, one block of it in memory at a time.

Rules
-----
- Counts are the converter's own: µV over µV per count, which is whole, or the gain has changed and the recording is
  refused. One of floating-point numbers (of an LSL stream) gets the finest step with which its largest value fits into
  24 bits; where such a number is none (NaN), the count is 0 and the stretch is marked BAD_no_value.
- A START of the board within the recording is an event "EDGE boundary", as where MNE joins two files: filters begin
  anew there.
- What the signal itself says of its quality becomes events of source "quality", per channel: BAD_lead_off from the
  status words, BAD_saturated from counts at either end of the range, BAD_artefact_… where that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.acquisition import Recording
from bci.chunks import F64, Chunk, Marker, SignalInfo
from bci.errors import RateMismatchError, RecordingError
from bci.interop._door import (
    MAX_COUNT,
    MIN_COUNT,
    Channel,
    Counts,
    Description,
    SignalEvent,
    finest_step,
    in_order,
)
from bci.interop._rate import MeasuredRate
from bci.interop._stretches import Stretches

__all__ = ["EDGE", "GAP", "RecordedSignal"]

GAP = "BAD_ACQ_SKIP"
EDGE = "EDGE boundary"
LOOKS = 2000  # at the passing of time, in the first pass
SLICE_BYTES = 1 << 12  # of the file, at least, between two of them
FILL = 1 << 16  # samples of a gap that are filled at once
ENTER_S = 0.01  # before the sample that is wanted: rounding
JOIN_S = 0.1  # stretches of the same finding that lie closer are one
TOLERANCE = 1e-3  # counts


class RecordedSignal:
    """Counts of a `.bfp` recording, or of a part of it.

    Parameters
    ----------
    recording : Recording or path
    start_s, stop_s : float
        Part to take, in seconds by the nominal rate, lost samples included.
    artefacts : bool
        Also look for artefacts (`bci.dsp.ArtefactDetector`) and mark them.
    impedance_kohm : mapping of str to float, optional
        By channel, where it was measured.

    Raises
    ------
    ValueError
        If the part is empty or negative.
    RecordingError
        If the file is no recording.
    """

    def __init__(
        self,
        recording: Recording | str | Path,
        *,
        start_s: float = 0.0,
        stop_s: float = float("inf"),
        artefacts: bool = False,
        impedance_kohm: Mapping[str, float] | None = None,
    ) -> None:
        if not 0 <= start_s < stop_s:
            raise ValueError(f"expected 0 <= start < stop in seconds, got {start_s:g} and {stop_s:g}")
        self.recording = recording if isinstance(recording, Recording) else Recording(recording)
        self._info = self.recording.info
        self._begin = _sample(start_s, self._info)
        self._end = _sample(stop_s, self._info)
        self._window_s = (start_s, stop_s)
        self._artefacts = artefacts
        self._impedance = dict(impedance_kohm or {})
        self._held: dict[int, Chunk] = {}  # by the end of a gap, the sample it is filled with
        self._rescaled = False  # the board said another scale on the way

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file anew."""
        start_s, stop_s = self._window_s
        anew = partial(
            RecordedSignal,
            start_s=start_s,
            stop_s=stop_s,
            artefacts=self._artefacts,
            impedance_kohm=self._impedance,
        )
        return anew, (self.path,)

    @cached_property
    def first_number(self) -> int:
        """Conversion number of the first sample, as decisions count."""
        first = next(chunk for chunk in self.recording.chunks() if chunk.n_samples)
        return first.first_sample - first.lost_before + self._begin

    @property
    def path(self) -> Path:
        return self.recording.path

    @cached_property
    def description(self) -> Description:
        info, (found, steps) = self._info, self._survey
        notes = dict(self.recording.notes)
        imported = notes.pop("imported", {})  # what `bci import` kept of another system's file
        kinds, units = imported.get("kinds", {}), imported.get("units", {})
        impedance = {**imported.get("impedance_kohm", {}), **self._impedance}
        return replace(
            found,
            channels=tuple(
                Channel(name, step, kinds.get(name, "eeg"), units.get(name, "uV"), impedance.get(name))
                for name, step in zip(info.channels, steps, strict=True)
            ),
            device=str(imported.get("device", info.device)),
            reference=str(imported.get("reference", info.reference)),
            started=str(imported.get("started", self.recording.started)),
            notes=notes,
        )

    def pieces(self) -> Iterator[Counts]:
        last: Counts | None = None
        for part in self._parts():
            if part.chunk is not None:
                if part.n_samples:  # and not only markers
                    counts = self._counts(part)
                    last = counts[:, -1:]
                    yield counts
                continue
            # what is lost before the first sample of all holds zero
            held = np.zeros((self._info.n_channels, 1), np.int32) if last is None else last
            for done in range(0, part.n_samples, FILL):
                shape = (self._info.n_channels, min(FILL, part.n_samples - done))
                yield np.asfortranarray(np.broadcast_to(held, shape))

    def pieces_from(self, start: int) -> Iterator[tuple[int, Counts]]:
        """(first sample, counts) of pieces that follow each other, from somewhere before sample `start` on."""
        about = self.description
        for placed in self.recording.walk(max((start + self._begin) / self._info.fs_hz - ENTER_S, 0.0)):
            at = round(placed.start_s * self._info.fs_hz) - self._begin
            yield from self._filled(at - placed.chunk.lost_before, at)
            if placed.chunk.n_samples:
                yield at, self._counts(_Part(at, placed.chunk.n_samples, placed.chunk))
        if about.gaps and sum(about.gaps[-1]) == about.n_samples:
            yield from self._filled(about.gaps[-1][0], about.n_samples)

    def _filled(self, begin: int, end: int) -> Iterator[tuple[int, Counts]]:
        last = self._held.get(end)
        held = np.zeros((self._info.n_channels, 1), np.int32)
        if last is not None:
            held = self._counts(_Part(begin, 1, last))
        for at in range(begin, end, FILL):
            yield at, np.broadcast_to(held, (len(held), min(FILL, end - at)))

    # ---- one pass over the file ----

    def _parts(self, rate: MeasuredRate | None = None) -> Iterator[_Part]:
        """Samples and gaps in order, those outside the wanted part left away; `rate` hears of all."""
        player = self.recording.player()
        at = lost = 0
        step = max(SLICE_BYTES, self.path.stat().st_size // LOOKS)
        for block in self.recording.blocks():
            for piece in _slices(block, step) if rate is not None else (block,):
                before = at
                for chunk in player.feed(piece):
                    if chunk.restart:
                        before = at
                    if rate is not None and chunk.restart and at:
                        rate.run_ends()
                    parts = (
                        _Part(at, chunk.lost_before),
                        _Part(at + chunk.lost_before, chunk.n_samples, chunk),
                    )
                    at, lost = parts[1].end, lost + chunk.lost_before
                    yield from self._inside(*parts)
                self._check_rate(player.info, before)
                if rate is not None and piece.endswith(b"\0"):
                    rate.reached(player.statistics.bytes, at)
        player.finish()
        for chunk in player.last_chunks:
            yield from self._inside(_Part(at, chunk.n_samples, chunk))
            at += chunk.n_samples
        yield from self._inside(_Part(at, player.statistics.samples_lost - lost))

    def _inside(self, *parts: _Part) -> Iterator[_Part]:
        for part in parts:
            cut = part.cut(self._begin, self._end)
            if cut.n_samples > 0 or (cut.chunk is not None and cut.chunk.markers):
                yield cut

    def _check_rate(self, info: SignalInfo | None, at: int) -> None:
        if info is None or not self._begin <= at < self._end:
            return
        self._rescaled |= info.uv_per_count != self._info.uv_per_count
        if info.rate == self._info.rate:
            return
        seconds = float(at / self._info.rate)
        raise RateMismatchError(
            f"the rate of {self.path} changes from {self._info.fs_hz:g} to {info.fs_hz:g} Hz {seconds:.1f} s after its "
            f"beginning, and a file of another format has one rate; take the part before it (--end {seconds:.1f})",
            got_hz=info.fs_hz,
            expected_hz=self._info.fs_hz,
        )

    def _counts(self, part: _Part) -> Counts:
        assert part.chunk is not None
        _found, steps = self._survey
        exact = part.chunk.data_uv / np.array(steps)[:, None]
        if steps is not self._info.uv_per_count:
            numbers = np.rint(np.where(np.isfinite(exact), exact, 0.0))
            return np.asfortranarray(numbers.astype(np.int32))
        counts = np.rint(exact)
        if counts.size and np.abs(exact - counts).max() > TOLERANCE:
            seconds = float(part.at / self._info.rate)
            raise RecordingError(
                f"{self.path}: the gain changes {seconds:.1f} s after its beginning, and a file of another format has "
                f"one scale for each channel; take the part before it (--end {seconds:.1f}) or behind it (--start)",
                path=self.path,
            )
        return np.asfortranarray(counts.astype(np.int32))

    def _event(self, marker: Marker, at: int) -> SignalEvent:
        """What was marked; in a recording that was imported `value` is a length, and a text may name channels."""
        if marker.source != "host" or self.recording.notes.get("imported", {}).get("value") != "samples":
            return SignalEvent(at, marker.label, 0, marker.code, marker.value, marker.source)
        text, *names = marker.label.split("@@")
        if not set(names) <= set(self._info.channels):
            text, names = marker.label, []
        source = "quality" if text.startswith("BAD_") else "host"
        return SignalEvent(at, text, marker.value, marker.code, 0, source, tuple(names))

    @cached_property
    def _survey(self) -> tuple[Description, tuple[float, ...]]:
        """One pass over the file: what it is, its channels left away, and each channel's µV per count."""
        info, steps = self._info, self._info.uv_per_count
        rate = MeasuredRate(self.recording.arrivals(), info.fs_hz)
        join = round(JOIN_S * info.fs_hz)
        off, railed = (Stretches(text, info.channels, join) for text in ("BAD_lead_off", "BAD_saturated"))
        artefacts = _Artefacts(info, join) if self._artefacts else None
        low, high = (np.array(info.uv_per_count)[:, None] * end for end in (MIN_COUNT + 0.5, MAX_COUNT - 0.5))
        missing = Stretches("BAD_no_value", info.channels, join)
        numbers = _Numbers(info)
        events: list[SignalEvent] = []
        gaps: list[tuple[int, int]] = []
        n_samples = 0
        last: Chunk | None = None  # one sample
        for part in self._parts(rate):
            if part.n_samples:
                n_samples = max(n_samples, part.end)
            if (chunk := part.chunk) is None:
                gaps.append((part.at, part.n_samples))
                if last is not None:
                    self._held[part.end] = last
                continue
            if chunk.n_samples:
                data = chunk.data_uv[:, -1:].copy()
                last = Chunk(data, chunk.end_sample - 1)
                if (lacking := numbers.take(chunk.data_uv)) is not None:
                    missing.mask(lacking, part.at)
            if chunk.restart and part.at:
                events.append(SignalEvent(part.at, EDGE, source="quality"))
            for m in chunk.markers:
                at = part.at + m.sample_index - chunk.first_sample if m.sample_index >= 0 else part.at
                events.append(self._event(m, max(at, 0)))
            if (lead_off := chunk.lead_off) is not None:
                off.mask(lead_off[0] | lead_off[1], part.at)
            railed.mask((chunk.data_uv <= low) | (chunk.data_uv >= high), part.at)
            if artefacts is not None:
                artefacts.look(chunk, part.at)
        if not n_samples:
            raise RecordingError(
                f"{self.path} holds no sample of signal, so there is nothing to export", path=self.path
            )
        events += [SignalEvent(at, GAP, n, source="quality") for at, n in gaps]
        events += off.events() + railed.events() + missing.events()
        events += artefacts.events() if artefacts else []
        if not numbers.whole and not self._rescaled:
            steps = tuple(finest_step(numbers.largest).tolist())
        measured_hz = rate.fs_hz or info.fs_hz
        return Description((), info.rate, measured_hz, n_samples, in_order(events), tuple(gaps)), steps


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive samples from `at` on; without a chunk they are lost."""

    at: int
    n_samples: int
    chunk: Chunk | None = None

    @property
    def end(self) -> int:
        return self.at + self.n_samples

    def cut(self, begin: int, end: int) -> _Part:
        """What of it lies in `[begin, end)`, on an axis that begins there; markers go with what is left."""
        first, stop = max(self.at, begin), min(self.end, end)
        a, b = max(first - self.at, 0), max(stop - self.at, 0)
        marks = self.chunk is not None and not self.n_samples  # of samples elsewhere, so looked at one by one
        if self.chunk is None or (a == 0 and b == self.n_samples and not marks):
            return _Part(first - begin, max(b - a, 0) if self.chunk is None else b, self.chunk)
        offset = self.chunk.first_sample - self.at
        markers = tuple(m for m in self.chunk.markers if begin <= m.sample_index - offset < end)
        status = None if self.chunk.status is None else self.chunk.status[:, a:b]
        data = self.chunk.data_uv[:, a:b]
        chunk = Chunk(data, self.chunk.first_sample + a, 0, self.chunk.restart and a == 0, markers, status)
        return _Part(first - begin, max(b - a, 0), chunk)


class _Numbers:
    """Whether all values are whole counts, how large they get, and where there are none."""

    def __init__(self, info: SignalInfo) -> None:
        self._per_uv = 1.0 / np.array(info.uv_per_count)[:, None]
        self.whole = True
        self.largest = np.zeros(info.n_channels)

    def take(self, data_uv: F64) -> NDArray[np.bool_] | None:
        """A mask of those that are none, where there are such."""
        if self.whole:
            exact = data_uv * self._per_uv
            self.whole = bool((np.abs(exact - np.rint(exact)) <= TOLERANCE).all())
        sizes = np.abs(data_uv)
        lacking = None
        if not np.isfinite(most := sizes.max(axis=1)).all():
            lacking = ~np.isfinite(data_uv)
            most = np.where(lacking, 0.0, sizes).max(axis=1)
        self.largest = np.maximum(self.largest, most)
        return lacking


class _Artefacts:
    """What `bci.dsp` finds, one kind of stretch for each of its words."""

    def __init__(self, info: SignalInfo, join: int) -> None:
        from bci.dsp import ArtefactDetector

        self._detector = ArtefactDetector(info.n_channels, fs_hz=info.fs_hz, channels=info.channels)
        self._names, self._join = info.channels, join
        self._kinds: dict[str, Stretches] = {}

    def look(self, chunk: Chunk, at: int) -> None:
        for mark in self._detector.process(chunk.data_uv, at):
            new = Stretches(f"BAD_artefact_{mark.kind}", self._names, self._join)
            kind = self._kinds.setdefault(mark.kind, new)
            for channel in mark.channels or range(len(self._names)):
                kind.add(channel, mark.first_sample, mark.end_sample)

    def events(self) -> list[SignalEvent]:
        return [event for kind in self._kinds.values() for event in kind.events()]


def _slices(block: bytes, step: int) -> Iterator[bytes]:
    """A block in smaller ones that end with a packet where they can."""
    at = 0
    while at < len(block):
        end = block.find(b"\0", at + step) + 1 or block.rfind(b"\0", at) + 1
        end = end if end > at else len(block)
        yield block[at:end]
        at = end


def _sample(seconds: float, info: SignalInfo) -> int:
    return (1 << 62) if seconds == float("inf") else int(np.ceil(seconds * info.fs_hz - 1e-6))
