"""Writing XDF, the container of Lab Streaming Layer, chunk by chunk as its specification lays them out.

Rules
-----
- Stream 1 is the signal in µV, double64: a count is the value divided by `uv_per_count` of its channel, exactly. Lost
  samples are filled, so that its times run through; BAD_ACQ_SKIP says where.
- Stream 2, one text channel, holds what was marked in the experiment; stream 3 everything, with length, code and
  channels.
- Time stamps are the board's: sample number over nominal rate. Clock offsets, every five seconds, say what to add to
  have the computer's time; so whoever applies them, as pyxdf does, sees the measured rate.

References
----------
.. [1] XDF specification 1.0, https://github.com/sccn/xdf/wiki/Specifications
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO
from xml.sax.saxutils import escape

import numpy as np

from bci.files import open_private
from bci.interop._door import Counts, Description, ExportOptions, Progress, Signal, SignalEvent
from bci.interop._facts import facts_text
from bci.interop._xdf_chunks import (
    BOUNDARY,
    CLOCK_OFFSET,
    FILE_HEADER,
    MAGIC,
    SAMPLES,
    STREAM_FOOTER,
    STREAM_HEADER,
)

__all__ = ["ANNOTATIONS", "write"]

ANNOTATIONS = "bci-hand annotations"
SIGNAL, MARKERS, ALL_EVENTS = 1, 2, 3  # stream ids
BOUNDARY_UUID = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
OFFSET_S = 5.0
BOUNDARY_S = 10.0


def write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """One XDF file of three streams."""
    about = signal.description
    with open_private(target, "xb") as file:
        _Writer(file, about, options).write(signal, progress)
    return ()


class _Writer:
    def __init__(self, file: IO[bytes], about: Description, options: ExportOptions) -> None:
        self._file, self._about, self._options = file, about, options
        self._fs_hz = float(about.rate)
        self._second = max(1, round(self._fs_hz))
        self._next_offset = self._next_boundary = 0.0
        self._said = [event for event in about.events if not event.is_finding]

    def write(self, signal: Signal, progress: Progress) -> None:
        about = self._about
        self._file.write(MAGIC)
        self._chunk(FILE_HEADER, _xml("info", [_element("version", "1.0"), self._date()]))
        self._chunk(STREAM_HEADER, self._signal_header(), stream=SIGNAL)
        self._chunk(STREAM_HEADER, _text_header("bci-hand markers", "Markers", ["label"]), stream=MARKERS)
        columns = ["label", "duration_s", "code", "channels"]
        self._chunk(STREAM_HEADER, _text_header(ANNOTATIONS, "Annotations", columns), stream=ALL_EVENTS)
        at = 0
        for piece in signal.pieces():
            for begin in range(0, piece.shape[1], self._second):
                part = piece[:, begin : begin + self._second]
                self._signal_chunk(part, at)
                at += part.shape[1]
                self._between(at / self._fs_hz)
            progress(at, about.n_samples)
        for k in range(0, len(self._said), 1000):
            self._text_chunk(MARKERS, [(e, (e.text,)) for e in self._said[k : k + 1000]])
        for k in range(0, len(about.events), 1000):
            self._text_chunk(ALL_EVENTS, [(e, self._row(e)) for e in about.events[k : k + 1000]])
        self._next_offset = 0.0
        self._between(about.n_samples / self._fs_hz)
        self._footer(SIGNAL, about.n_samples, 0, max(about.n_samples - 1, 0))
        for stream, events in ((MARKERS, self._said), (ALL_EVENTS, list(about.events))):
            first, last = (events[0].sample, events[-1].sample) if events else (0, 0)
            self._footer(stream, len(events), first, last)

    def _date(self) -> str:
        begun = self._about.begun if self._options.keep_date else None
        return _element("datetime", begun.isoformat() if begun else "")

    def _signal_header(self) -> bytes:
        about = self._about
        channels = [
            _xml(
                "channel",
                [
                    _element("label", channel.name),
                    _element("unit", "microvolts" if channel.unit == "uV" else channel.unit),
                    _element("type", channel.kind.upper()),
                    _element("uv_per_count", repr(channel.step)),
                    _element("impedance", f"{channel.impedance_kohm:g}" if channel.impedance_kohm else ""),
                ],
            ).decode()
            for channel in about.channels
        ]
        description = [
            _xml("channels", channels).decode(),
            _xml("acquisition", [_element("model", about.device)]).decode(),
            _xml("reference", [_element("label", about.reference)]).decode(),
            _element("subject", self._options.subject),
            _element("facts", facts_text(about)),
        ]
        return _xml(
            "info",
            [
                _element("name", "bci-hand signal"),
                _element("type", "EEG"),
                _element("channel_count", str(len(about.channels))),
                _element("nominal_srate", repr(self._fs_hz)),
                _element("channel_format", "double64"),
                _element("created_at", "0"),
                _xml("desc", description).decode(),
            ],
        )

    # ---- samples ----

    def _signal_chunk(self, counts: Counts, at: int) -> None:
        n = counts.shape[1]
        layout = np.dtype([("stamped", "u1"), ("time", "<f8"), ("values", "<f8", (counts.shape[0],))])
        rows = np.empty(n, layout)
        rows["stamped"] = 8
        rows["time"] = (at + np.arange(n)) / self._fs_hz
        rows["values"] = (counts * self._about.steps).T
        self._chunk(SAMPLES, _count(n) + rows.tobytes(), stream=SIGNAL)

    def _row(self, event: SignalEvent) -> tuple[str, ...]:
        length = f"{event.n_samples / self._fs_hz:.9g}"
        return event.text, length, str(event.code), "@@".join(event.channels)

    def _text_chunk(self, stream: int, rows: Iterable[tuple[SignalEvent, Sequence[str]]]) -> None:
        parts = []
        for event, words in rows:
            texts = [word.encode() for word in words]
            parts.append(
                struct.pack("<Bd", 8, event.sample / self._fs_hz)
                + b"".join(_count(len(t)) + t for t in texts)
            )
        self._chunk(SAMPLES, _count(len(parts)) + b"".join(parts), stream=stream)

    def _between(self, now_s: float) -> None:
        """Clock offsets and boundaries that are due."""
        if now_s >= self._next_offset:
            self._next_offset = now_s + OFFSET_S
            offset_s = now_s * (self._fs_hz / self._about.measured_hz - 1.0)
            for stream in (SIGNAL, MARKERS, ALL_EVENTS):
                self._chunk(CLOCK_OFFSET, struct.pack("<dd", now_s + offset_s, offset_s), stream=stream)
        if now_s >= self._next_boundary:
            self._next_boundary = now_s + BOUNDARY_S
            self._chunk(BOUNDARY, BOUNDARY_UUID)

    def _footer(self, stream: int, n: int, first: int, last: int) -> None:
        content = [
            _element("first_timestamp", repr(first / self._fs_hz)),
            _element("last_timestamp", repr(last / self._fs_hz)),
            _element("sample_count", str(n)),
        ]
        self._chunk(STREAM_FOOTER, _xml("info", content), stream=stream)

    def _chunk(self, tag: int, content: bytes, *, stream: int | None = None) -> None:
        body = struct.pack("<H", tag) + (b"" if stream is None else struct.pack("<I", stream)) + content
        self._file.write(_count(len(body)) + body)


def _count(n: int) -> bytes:
    """A variable-length integer: how many bytes, then the number."""
    if n < 1 << 8:
        return struct.pack("<BB", 1, n)
    return struct.pack("<BI", 4, n) if n < 1 << 32 else struct.pack("<BQ", 8, n)


def _text_header(name: str, kind: str, columns: list[str]) -> bytes:
    labels = [_xml("channel", [_element("label", column)]).decode() for column in columns]
    return _xml(
        "info",
        [
            _element("name", name),
            _element("type", kind),
            _element("channel_count", str(len(columns))),
            _element("nominal_srate", "0"),
            _element("channel_format", "string"),
            _xml("desc", [_xml("channels", labels).decode()]).decode(),
        ],
    )


def _element(name: str, text: str) -> str:
    printable = "".join(c for c in text if c >= " ")
    return f"<{name}>{escape(printable)}</{name}>" if printable else ""


def _xml(name: str, children: Iterable[str]) -> bytes:
    return f"<{name}>{''.join(children)}</{name}>".encode()
