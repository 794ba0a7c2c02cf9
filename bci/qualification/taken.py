"""From a recording to what a measurement is given: the same way for a board on the bench and for a file of last year.

The bench records every take into a file of its own and then reads that file. So a verdict rests on nothing but what was
recorded, and `bci qualify sheet` can draw and judge it again at any time.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.acquisition import Assembler, Recording, SampleClock
from bci.chunks import Chunk, SignalInfo
from bci.errors import RecordingError
from bci.language import _
from bci.qualification.result import Beat, ClockTrack, Take, Taken, Wire
from bci.qualification.rig import REFERENCE
from firmware_protocol import Arrivals, Command, Decoder, Heartbeat, Pattern, Raw, Response, Sent, Splitter
from firmware_protocol.batch import Batch
from firmware_protocol.bulk import BulkDecoder
from firmware_protocol.patterns import RAMP_CHANNEL, RAMP_STEP

__all__ = ["taken_from"]

BITS_PER_BYTE = 10  # 8N1
WORD = 0xFFFFFFFF
HALF = 1 << 31


def taken_from(path: Path, take: Take) -> Taken:
    """What the recording at `path` holds of `take`.

    Raises
    ------
    RecordingError
        If it is no recording, or holds no sample.
    """
    recording = Recording(path)
    wire, arrivals, sent = _pieces(recording)
    notes = recording.notes
    real_time = bool(notes.get("real_time", True))
    clock = SampleClock()
    assembler = Assembler(clock=clock)
    chunks: list[Chunk] = []
    batches: list[tuple[Batch, int]] = []
    info: SignalInfo | None = None
    for batch, at_ns in _decoded(wire, arrivals):
        came = assembler.feed(batch, np.full(len(batch.events), at_ns) if real_time else None)
        if any(chunk.n_samples for chunk in came):
            info = assembler.info  # settings made on the way to the run have INFO packets, too
        chunks += came
        if real_time:
            _probe(clock, batch, at_ns, sent)
        batches.append((batch, at_ns))
    assembler.finish()
    signal = [chunk for chunk in chunks if chunk.n_samples]
    if info is None or not signal:
        raise RecordingError(
            _("{path} holds no sample of the take {take}").format(path=path, take=take.name), path=path
        )
    data_uv, lead_off = _joined(signal)
    settle = round(take.settle_s * info.fs_hz)
    stop = settle + round(take.seconds * info.fs_hz)
    statistics = assembler.statistics
    return Taken(
        take=take,
        info=info,
        data_uv=np.asfortranarray(data_uv[:, settle:stop]),
        first_sample=signal[0].first_sample + settle,
        lead_off=None if lead_off is None else lead_off[:, settle:stop],
        lost_device=statistics.samples_lost_device,
        lost_link=statistics.samples_lost_link,
        wire=_wire(batches, take.setting.pattern, _capacity(recording)),
        beats=_beats(batches),
        clock=_track(batches, info, clock, real_time=real_time, reference=path.with_suffix(REFERENCE)),
    )


def _pieces(recording: Recording) -> tuple[bytes, list[tuple[int, int]], dict[int, list[int]]]:
    """Wire, arrivals (bytes before a block, ns), and when each request was sent: id -> ns."""
    splitter = Splitter()
    wire: list[bytes] = []
    arrivals: list[tuple[int, int]] = []
    sent: dict[int, list[int]] = {}
    for block in recording.blocks():
        for piece in splitter.feed(block):
            if isinstance(piece, bytes):
                wire.append(piece)
            elif isinstance(piece, Raw):
                wire.append(piece.data)
            elif isinstance(piece, Arrivals):
                arrivals += piece.pairs
            elif isinstance(piece, Sent):
                for frame in Decoder().feed(b"\0" + piece.data):
                    if isinstance(frame, Command):
                        sent.setdefault(frame.request_id, []).append(piece.t_ns)
    return b"".join(wire), arrivals, sent


def _decoded(wire: bytes, arrivals: list[tuple[int, int]]) -> Iterator[tuple[Batch, int]]:
    """Events block by block as they came, each block with its arrival."""
    decoder = BulkDecoder()
    starts = [at for at, _ns in arrivals] or [0]
    times = [ns for _at, ns in arrivals] or [0]
    for start, stop, ns in zip(starts, [*starts[1:], len(wire)], times, strict=True):
        if stop > start:
            yield decoder.feed(wire[start:stop]), ns


def _probe(clock: SampleClock, batch: Batch, at_ns: int, sent: dict[int, list[int]]) -> None:
    """Two-way probes: requests that were answered in this batch."""
    for frame in batch.other_frames() if batch.n_data < len(batch.events) else ():
        if isinstance(frame, Response) and (times := sent.get(frame.request_id)):
            before = bisect_right(times, at_ns)
            if before:
                clock.probe(times[before - 1], frame.t_us, at_ns)


def _joined(chunks: list[Chunk]) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """All samples in order, lost ones NaN, and what the comparators of the positive inputs said."""
    parts: list[NDArray[np.float64]] = []
    bits: list[NDArray[np.bool_]] = []
    for k, chunk in enumerate(chunks):
        lost = chunk.lost_before if k else 0  # what was lost before the first sample is before the take
        if lost:
            parts.append(np.full((len(chunk.data_uv), lost), np.nan))
            bits.append(np.zeros((len(chunk.data_uv), lost), dtype=bool))
        parts.append(chunk.data_uv)
        if (off := chunk.lead_off) is not None:
            bits.append(off[0])
    n = sum(part.shape[1] for part in parts)
    whole = bits and sum(part.shape[1] for part in bits) == n
    return np.concatenate(parts, axis=1), np.concatenate(bits, axis=1) if whole else None


def _wire(batches: list[tuple[Batch, int]], pattern: Pattern, capacity: float) -> Wire:
    """What the link did from the first DATA packet to the last."""
    offsets: list[int] = []
    n_faults = n_wrong = n_packets = 0
    for batch, _ns in batches:
        if not batch.n_data and not offsets:
            continue  # the dialogue before the run
        n_faults += int(np.count_nonzero(batch.events["kind"]))
        n_packets += len(batch.events)
        if batch.n_data:
            data = batch.data
            offsets += [int(data["offset"][0]), int(data["offset"][-1]) + int(data["length"][-1])]
            if pattern != Pattern.OFF:
                n_wrong += sum(_wrong(run.sample_indices(), run.samples, pattern) for run in batch.runs())
    n_bytes = offsets[-1] - offsets[0] if offsets else 0
    return Wire(n_bytes, n_packets, n_faults, n_wrong, capacity)


def _wrong(index: NDArray[np.uint32], counts: NDArray[np.generic], pattern: Pattern) -> int:
    """How many of `counts` (n_samples, n_channels) are not those of the pattern (SPEC 6.6)."""
    number = index.astype(np.int64)[:, None]
    channel = np.arange(counts.shape[1], dtype=np.int64)
    if pattern == Pattern.RAMP:
        words = number * RAMP_STEP + channel * RAMP_CHANNEL & 0xFFFFFF
    else:
        x = number + (channel << 24) & WORD
        for factor in (0x7FEB352D, 0x846CA68B):
            x = (x ^ x >> (16 if factor == 0x7FEB352D else 15)) * factor & WORD
        words = (x ^ x >> 16) >> 8
    return int(np.count_nonzero(counts.astype(np.int64) & 0xFFFFFF != words))


def _beats(batches: list[tuple[Batch, int]]) -> tuple[Beat, ...]:
    frames = (f for batch, _ns in batches if batch.n_data < len(batch.events) for f in batch.other_frames())
    return tuple(
        Beat(f.sample_index, f.supply_mv, math.nan if f.temperature_c is None else f.temperature_c)
        for f in frames
        if isinstance(f, Heartbeat)
    )


def _track(
    batches: list[tuple[Batch, int]],
    info: SignalInfo,
    clock: SampleClock,
    *,
    real_time: bool,
    reference: Path,
) -> ClockTrack:
    """Every DATA packet: its last conversion, its stamp, and when it was there."""
    rows = [(batch.data, ns) for batch, ns in batches if batch.n_data]
    first = np.concatenate([data["sample_index"] for data, _ns in rows]).astype(np.int64)
    n_samples = np.concatenate([data["n_samples"] for data, _ns in rows]).astype(np.int64)
    stamp = np.concatenate([data["t_us"] for data, _ns in rows]).astype(np.int64)
    arrived = np.concatenate([np.full(len(data), ns, dtype=np.int64) for data, ns in rows])
    known = real_time and clock.n_probes > 0
    beside = json.loads(reference.read_text(encoding="utf-8")) if reference.is_file() else {}
    return ClockTrack(
        sample=_unwrapped(first) + n_samples - 1,
        arrived_ns=arrived if real_time else np.empty(0, dtype=np.int64),
        device_us=_unwrapped(stamp),
        n_samples=n_samples,
        drift_ppm=clock.drift_ppm if known else math.nan,
        drift_uncertainty_ppm=clock.drift_uncertainty_ppm if known else math.nan,
        reference_sample=np.array(beside.get("sample", []), dtype=np.int64),
        reference_ns=np.array(beside.get("ns", []), dtype=np.int64),
    )


def _unwrapped(low: NDArray[np.int64]) -> NDArray[np.int64]:
    """32-bit counters that may have gone round."""
    steps = (np.diff(low) + HALF) % (2 * HALF) - HALF
    return np.concatenate((low[:1], low[0] + np.cumsum(steps)))


def _capacity(recording: Recording) -> float:
    """Bytes per second of the line, by the baud rate that the recording states; 0 for a network socket."""
    port, baud = str(recording.facts.get("port", "")), recording.facts.get("baud")
    return float(baud) / BITS_PER_BYTE if isinstance(baud, int) and "://" not in port else 0.0
