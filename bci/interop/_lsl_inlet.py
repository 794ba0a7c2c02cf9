"""Any amplifier that streams over Lab Streaming Layer as a source: `open_source("lsl://NAME")`.

Rules
-----
- Samples are float32 in µV, whatever the stream sends, so a recording of them plays to the same bits.
- Sample numbers count what the stream sent and what its time stamps say is missing (`SampleCounter`).
- Stamps are on this computer's clock: liblsl measures the other's and corrects for it, all the time.
- Markers of another stream belong to the sample whose stamp is nearest; they wait until that sample has come.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import numpy as np
from numpy.typing import NDArray

from bci._version import __version__
from bci.acquisition import RecordingWriter, Statistics
from bci.acquisition.device_source import DeviceSource
from bci.chunks import Chunk, Marker, SignalInfo
from bci.errors import DeviceLostError, DeviceNotFoundError, MontageMismatchError
from bci.interop._lsl import Inlet, StreamFacts, look_for_streams
from bci.interop._lsl_counting import SampleCounter
from bci.interop._lsl_wire import StreamEncoder
from bci.interop._names import UV_PER_UNIT, canonical_unit
from firmware_protocol import MarkerNote
from firmware_protocol.limits import MAX_CHANNELS

__all__ = ["LslSource"]

SCHEME = "lsl://"
FIND_S = 5.0
BESIDE_S = 1.0
REMEMBER_S = 10.0
MARKER_WAIT_S = 1.0
MAX_CODE = 0xFFFF


class LslSource(DeviceSource):
    """A stream of another program; parameters and errors are those of `open_source`.

    Parameters
    ----------
    url : str
        `lsl://NAME`, or `lsl://` for the only stream of type EEG. Behind a question mark: `markers=NAME` (the stream
        of its markers; by default the one called NAME-markers, where there is one), `channels=C3,C4` (these and no
        others), `reconnect=1` (wait for it when it is gone), `wait=SECONDS` (to look for it; 5).
    baud : int
        Not used.

    Raises
    ------
    DeviceNotFoundError
        If there is no such stream, or several; the message lists those there are.
    MontageMismatchError
        If it has no channel of voltage, or not those that were asked for.
    DeviceLostError
        From `read`, when the stream's program has ended.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int = 0,
        labels: Mapping[int, str] | None = None,
        record_to: str | PathLike[str] | None = None,
        notes: Mapping[str, Any] | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.labels = dict(labels or {})
        self.recording_path = None if record_to is None else Path(record_to)
        self._url, self._clock_ns = url, clock_ns
        name, options = _parse(url)
        wait_s = float(options.get("wait", FIND_S))
        facts, markers = _find(url, name, options.get("markers"), wait_s)
        self._closed = self._running = False
        self._restart = True
        self._last_byte_ns = 0
        self._next_sample = self._samples = self._lost = self._restarts = 0
        self._left: list[Chunk] = []  # of a run that was ended
        self._set: list[Marker] = []
        self._waiting: list[tuple[float, str]] = []
        self._known = (np.empty(0), np.empty(0, dtype=np.int64))  # stamps of the last seconds, sample numbers
        self._recorder: RecordingWriter | None = None
        recover = options.get("reconnect", "0") not in ("0", "")
        self._markers: Inlet | None = None
        if markers is not None:
            self._markers = Inlet(markers, port=url, wait_s=max(wait_s, 1.0), recover=True)
        try:
            self._inlet = Inlet(facts, port=url, wait_s=max(wait_s, 1.0), recover=recover)
            self._rows, self._scales, self._info = _described(url, self._inlet.facts, options.get("channels"))
            self._counter = SampleCounter(self._info.fs_hz, exact=self._inlet.facts.exact_stamps)
            self._encoder = StreamEncoder(self._info)
            if self.recording_path is not None:
                facts_kept = {
                    "software": f"bci {__version__}",
                    "port": url,
                    "labels": {str(code): label for code, label in self.labels.items()},
                    "notes": dict(notes or {}),
                }
                self._recorder = RecordingWriter(
                    self.recording_path, facts=facts_kept, wall_clock=wall_clock(), clock_ns=clock_ns
                )
        except BaseException:
            self.close()
            raise

    # ---- what it is ----

    @property
    def info(self) -> SignalInfo:
        return self._info

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            samples=self._samples,
            samples_lost=self._lost,
            samples_lost_device=self._lost,
            restarts=self._restarts,
        )

    @property
    def measured_hz(self) -> float:
        """By the stream's time stamps."""
        return self._counter.fs_hz

    @property
    def bytes_per_s(self) -> float:
        """What a recording grows by."""
        return self._info.fs_hz * (4 * self._info.n_channels + 8)

    # ---- the stream ----

    def start(self) -> None:
        """Begin a run: what the stream sent before is left out."""
        self._check_open()
        if not self._running:
            self._inlet.flush()
            if self._markers is not None:
                self._markers.flush()
            self._counter.restart()
            self._known = (np.empty(0), np.empty(0, dtype=np.int64))
            self._running = self._restart = True

    def stop(self) -> None:
        """End a run; what had come until now can still be read."""
        if self._running:
            self._left = self._take(0.0)
            self._running = False

    def read(self, timeout_s: float) -> list[Chunk]:
        self._check_open()
        if self._left:
            left, self._left = self._left, []
            return left
        if not self._running:
            time.sleep(max(0.0, timeout_s))
            return []
        return self._take(timeout_s)

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        marker = Marker(self._next_sample, label, code, value, "host")
        self._set.append(self._noted(marker))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for inlet in (getattr(self, "_markers", None), getattr(self, "_inlet", None)):
            if inlet is not None:
                inlet.close()
        if self._recorder is not None:
            self._recorder.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceLostError(f"{self._url} was closed; open it again to go on", port=self._url)

    def _take(self, timeout_s: float) -> list[Chunk]:
        rows, stamps = self._inlet.pull(timeout_s)
        now_ns = self._clock_ns()
        chunks: list[Chunk] = []
        if rows:
            self._last_byte_ns = now_ns
            values = np.asarray(rows, dtype=np.float64)[:, self._rows] * self._scales
            whole = np.ascontiguousarray(values, dtype=np.float32)
            for begin, end, lost in self._counter.cut(stamps):
                chunks.append(self._chunk(whole[begin:end], stamps[begin:end], lost, now_ns))
        markers = self._markers_due(now_ns)
        if chunks and markers:
            last = chunks[-1]
            chunks[-1] = Chunk(
                last.data_uv, last.first_sample, last.lost_before, last.restart, tuple(markers)
            )
        elif markers:
            nothing = np.empty((self._info.n_channels, 0), order="F")
            chunks = [Chunk(nothing, self._next_sample, markers=tuple(markers))]
        return chunks

    def _chunk(self, rows: NDArray[np.float32], stamps: NDArray[np.float64], lost: int, now_ns: int) -> Chunk:
        restart, self._restart = self._restart, False
        self._restarts += restart
        first = self._next_sample + lost
        self._next_sample = first + len(rows)
        self._samples += len(rows)
        self._lost += lost
        if self._recorder is not None:
            self._recorder.arrived(self._encoder.encode(rows, first, lost=lost, restart=restart), now_ns)
        numbers = np.arange(first, self._next_sample)
        old_stamps, old_numbers = self._known
        recent = old_stamps > stamps[-1] - REMEMBER_S
        self._known = (
            np.concatenate([old_stamps[recent], stamps]),
            np.concatenate([old_numbers[recent], numbers]),
        )
        return Chunk(rows.T.astype(np.float64, order="F"), first, lost, restart)

    # ---- markers ----

    def _markers_due(self, now_ns: int) -> list[Marker]:
        due, self._set = self._set, []
        if self._markers is not None:
            rows, stamps = self._markers.pull(0.0)
            self._waiting += [(stamp, str(row[0])) for stamp, row in zip(stamps.tolist(), rows, strict=True)]
        known, numbers = self._known
        newest = known[-1] if len(known) else -np.inf
        silent = now_ns - self._last_byte_ns > MARKER_WAIT_S * 1e9
        later: list[tuple[float, str]] = []
        for stamp, text in self._waiting:
            if stamp > newest + 0.5 / self._info.fs_hz and not (silent and len(known)):
                later.append((stamp, text))
            elif len(known):
                at = int(numbers[np.argmin(np.abs(known - stamp))])
                due.append(self._noted(self._named(at, text)))
        self._waiting = later
        return due

    def _named(self, at: int, text: str) -> Marker:
        """A stream's word; numbers (also "2.000") are codes, and codes may have a name."""
        number = re.fullmatch(r"\s*(\d{1,9})(?:\.0*)?\s*", text)
        code = int(number[1]) if number else 0
        label = self.labels.get(code, str(code)) if number else text
        return Marker(at, label, code if code <= MAX_CODE else 0, 0, "stream")

    def _noted(self, marker: Marker) -> Marker:
        if self._recorder is not None:
            note = MarkerNote(marker.sample_index, self._clock_ns(), marker.code, marker.value, marker.label)
            self._recorder.marked(note)
        return Marker(marker.sample_index, marker.label, marker.code, marker.value, "host")


def _parse(url: str) -> tuple[str, dict[str, str]]:
    name, _, query = url.removeprefix(SCHEME).partition("?")
    options = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
    if unknown := set(options) - {"markers", "channels", "reconnect", "wait"}:
        raise DeviceNotFoundError(
            f"{url}: no option {', '.join(sorted(unknown))}; there are markers, channels, reconnect and wait",
            port=url,
        )
    try:
        if not 0.0 <= float(options.get("wait", FIND_S)) < math.inf:
            raise ValueError
    except ValueError as err:
        raise DeviceNotFoundError(f"{url}: wait takes seconds, got {options['wait']!r}", port=url) from err
    return unquote(name).rstrip("/"), options


def _find(url: str, name: str, markers: str | None, wait_s: float) -> tuple[StreamFacts, StreamFacts | None]:
    """The stream, and that of its markers."""
    found_at = math.inf
    there: list[StreamFacts] = []
    fitting: list[StreamFacts] = []
    for there in look_for_streams(wait_s):
        signals = [s for s in there if s.rate_hz > 0 and not s.words]
        fitting = [s for s in signals if (s.name == name if name else s.kind.upper() == "EEG")]
        wanted = f"{fitting[0].name}-markers" if markers is None and fitting else markers
        beside = [s for s in there if s.name == wanted and s.words]
        if fitting:
            found_at = min(found_at, time.monotonic())
        # others may still answer: a second stream of that name, or its markers
        if len(fitting) == 1 and (beside or (not markers and time.monotonic() - found_at > BESIDE_S)):
            return fitting[0], beside[0] if beside else None
    if len(fitting) == 1 and not markers:
        return fitting[0], None
    shown = "; ".join(
        f"{s.name} ({s.kind}, {s.n_channels} channels, {s.rate_hz:g} Hz, on {s.host})" for s in there
    )
    if len(fitting) > 1:
        what = f"{len(fitting)} streams fit; name one that is there once"
    elif fitting:
        what = f"there is no stream of markers called {markers!r}"
    elif any(s.name == name for s in there):
        what = f"the stream {name!r} has no fixed rate, so it is no signal"
    else:
        what = f"no stream called {name!r}" if name else "no stream of type EEG"
    shown = shown or "none. Is the amplifier's program streaming, and is it on this network?"
    raise DeviceNotFoundError(f"{url}: {what}. Streams that answer: {shown}", port=url)


def _described(
    url: str, facts: StreamFacts, channels: str | None
) -> tuple[list[int], NDArray[np.float64], SignalInfo]:
    """Columns to take, µV of one of their units, and what they mean."""
    names = [name or f"Ch{k + 1}" for k, name in enumerate(facts.channels)]
    units = [canonical_unit(unit) if unit else "uV" for unit in facts.units]
    if channels:
        wanted = [name for name in channels.split(",") if name]
        if missing := [name for name in wanted if name not in names]:
            raise MontageMismatchError(
                f"{url}: the stream has no channel {', '.join(missing)}; it has {', '.join(names)}",
                got=names,
                expected=wanted,
            )
        rows = [names.index(name) for name in wanted]
    else:
        rows = [k for k, unit in enumerate(units) if unit in UV_PER_UNIT]
    if not rows or len(rows) > MAX_CHANNELS or any(units[k] not in UV_PER_UNIT for k in rows):
        raise MontageMismatchError(
            f"{url}: expected 1 to {MAX_CHANNELS} channels in µV, mV, V or nV; the stream has "
            f"{', '.join(f'{n} ({u})' for n, u in zip(names, units, strict=True))}. Choose some with ?channels=",
            got=names,
        )
    scales = np.array([UV_PER_UNIT[units[k]] for k in rows])
    device = (
        " ".join(filter(None, ("LSL", facts.manufacturer, facts.model))) if facts.manufacturer else facts.name
    )
    rate = Fraction(facts.rate_hz).limit_denominator(100_000)
    info = SignalInfo(tuple(names[k] for k in rows), rate, (1.0,) * len(rows), device, facts.reference)
    return rows, scales, info
