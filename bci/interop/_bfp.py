"""Writing a `.bfp` recording (SPEC 9) of a signal that another system recorded: as if a board had sent it.

Rules
-----
- Counts, scales, nominal rate, gaps and markers go into the packets that exist for them, so everything that reads
  recordings reads these. The measured rate is in the arrival times.
- A marker's `value` is its length in samples; what the wire has no field for (kinds and units of channels, device,
  reference, impedances) stands in START, under notes/imported.
- Nothing of a person or a date goes in unless it was asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bci import __version__
from bci.errors import RecordingError
from bci.files import open_private
from bci.interop._door import Counts, Description, Progress, Signal, SignalEvent
from firmware_protocol import Arrivals, Flag, Heartbeat, HostKind, HostWriter, Info, MarkerNote, Start, encode
from firmware_protocol.bulk_encoder import data_headers, encode_data, int24_bytes
from firmware_protocol.layout import DATA, HOST_PAYLOADS
from firmware_protocol.limits import (
    CRC_SIZE,
    MAX_CHANNELS,
    MAX_HOST_PAYLOAD,
    MAX_LABEL,
    MAX_PACKET,
    MAX_PAGE_CHANNELS,
    MAX_SAMPLES,
)

__all__ = ["write"]

I64 = NDArray[np.int64]
DEVICE_BYTES = 24
ARRIVALS = 39  # that one packet of notes holds
TEXT_BYTES = MAX_HOST_PAYLOAD - HOST_PAYLOADS[HostKind.MARKER].struct.size
LATEST = (1 << 63) - 1  # sample, and ns, that a marker can state


def write(
    signal: Signal, target: Path, *, source: str, keep_date: bool, progress: Progress
) -> tuple[str, ...]:
    """A new recording.

    Parameters
    ----------
    signal : Signal
    target : path
        Must not exist.
    source : str
        Of which format the signal was.
    keep_date : bool
        Keep the date of the original.

    Returns
    -------
    losses : tuple of str
        What did not go in.

    Raises
    ------
    RecordingError
        If there are more channels, or another rate, than the protocol has room for.
    """
    about = signal.description
    if not 1 <= len(about.channels) <= MAX_CHANNELS:
        raise RecordingError(
            f"{signal.path} has {len(about.channels)} channels, a recording 1 to {MAX_CHANNELS}; choose some with "
            "--channels",
            path=signal.path,
        )
    if max(about.rate.numerator, about.rate.denominator) >= 1 << 32:
        raise RecordingError(
            f"{signal.path} has a rate of {about.rate} Hz, which no recording can state", path=signal.path
        )
    labels = _labels(about.names)
    writer = _Writer(about, labels)
    with open_private(target, "xb") as file:
        file.write(writer.start(source, keep_date))
        done = 0
        for piece, skip in _without_gaps(signal):
            done += piece.shape[1]
            writer.put(file, piece, skip)
            progress(done, about.n_samples)
        file.write(writer.finish())
    cut = [f"{old} → {new}" for old, new in zip(about.names, labels, strict=True) if old != new]
    losses = [f"channel names have {MAX_LABEL} bytes: {', '.join(cut)}"] if cut else []
    if longer := sum(_text(event) != _words(event) for event in about.events):
        losses.append(f"texts of markers have {TEXT_BYTES} bytes: {longer} of them are cut")
    return tuple(losses)


def _without_gaps(signal: Signal) -> Iterator[tuple[Counts, int]]:
    """Pieces cut at gaps and restarts, each with its first sample."""
    about = signal.description
    holes = sorted((begin, begin + n) for begin, n in about.gaps)
    edges = [event.sample for event in about.events if event.text == "EDGE boundary"]
    cuts = np.array(sorted({0, *edges, *(edge for hole in holes for edge in hole)}), dtype=np.int64)
    inside = {begin for begin, _ in holes}
    at = 0
    for piece in signal.pieces():
        end = at + piece.shape[1]
        first = int(np.searchsorted(cuts, at, side="right")) - 1
        last = int(np.searchsorted(cuts, end, side="left"))
        for k in range(first, last):
            begin = max(at, int(cuts[k]))
            stop = min(end, int(cuts[k + 1])) if k + 1 < len(cuts) else end
            if stop > begin and int(cuts[k]) not in inside:
                yield piece[:, begin - at : stop - at], begin
        at = end


class _Writer:
    def __init__(self, about: Description, labels: tuple[str, ...]) -> None:
        self._about, self._labels = about, labels
        self._n_channels = len(labels)
        room = (MAX_PACKET - DATA.size - CRC_SIZE) // (3 * self._n_channels)
        self._per_packet = min(MAX_SAMPLES, room)
        self._pages = range(0, self._n_channels, MAX_PAGE_CHANNELS)
        self._notes = HostWriter(random.SystemRandom().getrandbits(64))
        self._seq = self._wire_bytes = 0
        self._dropped = self._next = 0
        self._second = -1  # of the last INFO
        self._pairs: list[tuple[int, int]] = []
        self._edges = np.array(
            sorted({0, *(event.sample for event in about.events if event.text == "EDGE boundary")})
        )
        # gaps, restarts and full scale are seen in the packets themselves
        said = [e for e in about.events if e.text not in ("BAD_ACQ_SKIP", "EDGE boundary", "BAD_saturated")]
        self._events = sorted(said, key=lambda event: event.sample, reverse=True)

    def start(self, source: str, keep_date: bool) -> bytes:
        about = self._about
        named = list(zip(self._labels, about.channels, strict=True))
        imported: dict[str, Any] = {
            "format": source,
            "value": "samples",
            "kinds": {name: c.kind for name, c in named if c.kind != "eeg"},
            "units": {name: c.unit for name, c in named if c.unit != "uV"},
            "device": about.device,
            "reference": about.reference,
            "started": about.started if keep_date else "",
            "impedance_kohm": {name: c.impedance_kohm for name, c in named if c.impedance_kohm is not None},
        }
        facts = {
            "software": f"bci {__version__}",
            "notes": {**about.notes, "imported": {k: v for k, v in imported.items() if v or k == "started"}},
            "wall_clock": imported["started"],
            "monotonic_ns": 0,
        }
        return self._notes.encode(Start(facts))

    def put(self, file: IO[bytes], counts: Counts, first: int) -> None:
        """Samples from `first` on; what lies between them and those before is lost."""
        lost, n = first - self._next, counts.shape[1]
        self._next, self._dropped = first + n, self._dropped + lost
        at = first + np.arange(0, n, self._per_packet)
        sizes = np.diff(at, append=first + n)
        now_s = at / self._about.measured_hz
        due = np.diff(np.floor(now_s), prepend=self._second) > 0  # INFO and HEARTBEAT, once a second
        self._second = int(now_s[-1])
        headers = data_headers(len(at), n_channels=self._n_channels)
        headers["n_samples"], headers["sample_index"] = sizes, at & 0xFFFFFFFF
        headers["t_us"] = np.rint(now_s * 1e6).astype(np.int64) & 0xFFFFFFFF
        headers["flags"] = np.where(np.isin(at, self._edges), Flag.FIRST, 0)
        headers["flags"][0] |= Flag.OVERRUN if lost else 0
        seq = self._seq + np.arange(len(at)) + np.cumsum(due) * (len(self._pages) + 1)
        headers["link_seq"] = seq & 0xFFFF
        wire, ends = encode_data(headers, int24_bytes(counts.T))
        end_ns = np.rint((at + sizes) / self._about.measured_hz * 1e9).astype(np.int64).tolist()
        out: list[bytes] = []
        done = 0
        for k, now in enumerate(stops := self._stops(at, due)):
            stop = stops[k + 1] if k + 1 < len(stops) else len(at)
            out += self._markers(int(at[now]))
            if due[now]:
                out += self._status(int(at[now]), float(now_s[now]))
            begins = [done, *ends[now : stop - 1].tolist()]
            self._pairs += zip((self._wire_bytes + b - done for b in begins), end_ns[now:stop], strict=True)
            end = int(ends[stop - 1])
            out.append(wire[done:end].tobytes())
            self._seq += stop - now
            self._wire_bytes += end - done
            done = end
            if len(self._pairs) >= ARRIVALS:
                out.append(self._arrivals())
        file.write(b"".join(out))

    def _stops(self, at: I64, due: NDArray[np.bool_]) -> list[int]:
        """The packets before which something else stands: status, a marker, arrivals. The first is one of them."""
        until = int(at[-1])
        marked = [event.sample for event in takewhile(lambda e: e.sample < until, reversed(self._events))]
        arrivals = range(ARRIVALS - len(self._pairs), len(at), ARRIVALS)
        return sorted(
            {0, *np.flatnonzero(due).tolist(), *np.searchsorted(at, marked, "right").tolist(), *arrivals}
        )

    def _status(self, at: int, now_s: float) -> Iterator[bytes]:
        about = self._about
        device = _cut(about.device, DEVICE_BYTES)
        for page, first in enumerate(self._pages):
            here = slice(first, min(first + MAX_PAGE_CHANNELS, self._n_channels))
            yield self._wire(
                Info(
                    self._seq & 0xFFFF, 0, page, len(self._pages), first, device, "", 1, 1,
                    about.rate.numerator, about.rate.denominator, 0, self._n_channels, self._per_packet,
                    self._labels[here], tuple(channel.step for channel in about.channels[here]),
                )
            )  # fmt: skip
        yield self._heartbeat(at, now_s)

    def _heartbeat(self, at: int, now_s: float) -> bytes:
        return self._wire(Heartbeat(self._seq & 0xFFFF, 0, 1, round(now_s * 1e6), at, self._dropped, 0))

    def _markers(self, before: int) -> Iterator[bytes]:
        while self._events and self._events[-1].sample < before:
            yield self._notes.encode(_note(self._events.pop(), self._about.measured_hz))

    def _arrivals(self) -> bytes:
        pairs, self._pairs = tuple(self._pairs), []
        return self._notes.encode(Arrivals(pairs)) if pairs else b""

    def _wire(self, frame: Info | Heartbeat) -> bytes:
        packet = encode(frame)
        self._seq += 1
        self._wire_bytes += len(packet)
        return packet

    def finish(self) -> bytes:
        about = self._about
        end_s = about.n_samples / about.measured_hz
        self._dropped += about.n_samples - self._next
        self._pairs.append((self._wire_bytes, round(end_s * 1e9)))
        rest = b"".join(self._markers(1 << 62))
        return rest + self._heartbeat(about.n_samples, end_s) + self._arrivals()


def _note(event: SignalEvent, fs_hz: float) -> MarkerNote:
    sample = min(event.sample, LATEST)
    code = event.code if 0 <= event.code <= 0xFFFF else 0
    length = min(event.n_samples, (1 << 31) - 1)
    return MarkerNote(sample, min(round(sample / fs_hz * 1e9), LATEST), code, length, _text(event))


def _words(event: SignalEvent) -> str:
    return "@@".join((event.text, *event.channels))


def _text(event: SignalEvent) -> str:
    """What fits, the names of its channels first."""
    names = _words(event).removeprefix(event.text)
    room = TEXT_BYTES - len(names.encode())
    return _cut(event.text, room) + names if room > 0 else _cut(event.text, TEXT_BYTES)


def _labels(names: tuple[str, ...]) -> tuple[str, ...]:
    """At most 15 bytes each, and no two alike."""
    labels: list[str] = []
    for k, name in enumerate(names):
        label = _cut(name, MAX_LABEL) or f"Ch{k + 1}"
        if label in labels:
            label = _cut(label, MAX_LABEL - 4) + f"_{k + 1}"
        labels.append(label)
    return tuple(labels)


def _cut(text: str, n_bytes: int) -> str:
    return text.encode()[:n_bytes].decode(errors="ignore")
