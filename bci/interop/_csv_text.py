"""A recording as text: what a spreadsheet opens, and a program of ten lines reads.

Three header lines begin with `#`: what this file is, everything the columns do not say as JSON, and how to read it.
Then a line of column names and one line for each sample:

    sample,time_s,C3 [count],C4 [count],C3 [µV],C4 [µV],event

`time_s` is sample over the measured rate. Counts are the converter's own; µV are count · uv_per_count with as many
digits as a count needs. Events stand at their sample: `text`, `text|duration_s`, `text|duration_s|channels`; several
are separated by `;`. An event behind the last sample stands in a last line without numbers.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from bci.errors import RecordingError
from bci.files import open_private
from bci.interop._csv_kernel import csv_counts, csv_lines
from bci.interop._door import (
    HOW_TO_SALVAGE,
    Channel,
    Counts,
    Description,
    ExportOptions,
    ImportOptions,
    Progress,
    Signal,
    SignalEvent,
    in_order,
    within,
)
from bci.interop._facts import facts_of, facts_text
from bci.interop._recorded import GAP

__all__ = ["CsvSignal", "read", "write"]

VERSION = "# bci-csv 1"
HOW = "# time_s = sample / measured_hz; µV = count * uv_per_count; events: text|duration_s|channels, separated by ;"
_ESCAPES = str.maketrans({"%": "%25", ";": "%3B", "|": "%7C", "\n": "%0A", "\r": "%0D"})
PIECE = 1 << 14


def write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    about = signal.description
    more = {"started": about.started} if options.keep_date else {}
    if options.subject:
        more["subject"] = options.subject
    names = [_quoted(f"{c.name} [count]") for c in about.channels]
    names += [_quoted(f"{c.name} [{'µV' if c.unit == 'uV' else c.unit}]") for c in about.channels]
    events: dict[int, list[str]] = {}
    for event in about.events:
        events.setdefault(event.sample, []).append(_event(event, about.measured_hz))
    with open_private(target, "xb") as file:
        head = f"{VERSION}\n# {facts_text(about, **more)}\n{HOW}\n" + ",".join(
            ["sample", "time_s", *names, "event"]
        )
        file.write(f"{head}\n".encode())
        at = 0
        for piece in signal.pieces():
            _rows(file, piece, at, about, events)
            at += piece.shape[1]
            progress(at, about.n_samples)
        for sample in sorted(key for key in events if key >= at):
            blank = "," * (2 * len(about.channels))
            line = f"{sample},{sample / about.measured_hz:.6f}{blank},{_quoted(';'.join(events[sample]))}\n"
            file.write(line.encode())
    return ()


def _rows(file: IO[bytes], piece: Counts, at: int, about: Description, events: dict[int, list[str]]) -> None:
    """Lines of some samples; those with an event get it behind their last comma."""
    digits = np.array([_digits(channel.step) for channel in about.channels])
    room = 24 + 20 + 33 * len(piece)  # bytes that a line takes at most
    out = np.empty(room * piece.shape[1], np.uint8)
    ends = np.empty(piece.shape[1], np.int64)
    tens = 10.0**digits
    n = csv_lines(
        np.asfortranarray(piece), at, 1e6 / about.measured_hz, about.steps.ravel(), digits, tens, out, ends
    )
    begin = 0
    for k in [k for k in range(at, at + piece.shape[1]) if k in events] if events else []:
        end = int(ends[k - at]) - 1
        file.write(out[begin:end].tobytes() + _quoted(";".join(events[k])).encode())
        begin = end
    file.write(out[begin:n].tobytes())


def _digits(step: float) -> int:
    """Digits behind the point that tell one count from the next, and one more."""
    return min(9, max(0, 2 - int(np.floor(np.log10(abs(step))))))


def _event(event: SignalEvent, fs_hz: float) -> str:
    parts = [event.text.translate(_ESCAPES)]
    if event.n_samples or event.channels:
        parts.append(f"{event.n_samples / fs_hz:.9g}")
    if event.channels:
        parts.append("@@".join(event.channels).translate(_ESCAPES))
    return "|".join(parts)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text


def _unescaped(text: str) -> str:
    for plain, code in (("\r", "%0D"), ("\n", "%0A"), ("|", "%7C"), (";", "%3B"), ("%", "%25")):
        text = text.replace(code, plain)
    return text


def read(path: Path, options: ImportOptions) -> CsvSignal:
    return CsvSignal(path, salvage=options.salvage)


class CsvSignal:
    """A file that `write` made; `salvage`: of one that was cut, the lines before that."""

    def __init__(self, path: Path, *, salvage: bool = False) -> None:
        self.path, self._salvage = path, salvage
        self._n_whole = 0  # lines of samples
        with path.open(encoding="utf-8") as file:
            first, second = file.readline(), file.readline()
        self._facts = facts_of(second.removeprefix("# ").strip())
        if not first.startswith(VERSION) or not self._facts:
            raise RecordingError(
                f"{path} is no CSV of `bci export`: its first two lines are missing or changed", path=path
            )
        self.description = self._described()

    def _described(self) -> Description:
        facts = self._facts
        names, promised = facts["names"], int(facts["n_samples"])
        steps = facts["uv_per_count"]
        kinds, units, ohms = (facts.get(key, {}) for key in ("kinds", "units", "impedance_kohm"))
        fs_hz = float(facts["measured_hz"])
        events = in_order(self._events(fs_hz, facts.get("codes", {})))
        n_samples = self._n_whole
        cut = [f"the file was cut; of {promised} samples {n_samples} are whole, and they were taken"]
        return Description(
            channels=tuple(
                Channel(
                    name,
                    float(steps[k] if isinstance(steps, list) else steps),
                    kinds.get(name, "eeg"),
                    units.get(name, "uV"),
                    ohms.get(name),
                )
                for k, name in enumerate(names)
            ),
            rate=Fraction(facts["rate"]),
            measured_hz=fs_hz,
            n_samples=n_samples,
            events=events,
            gaps=within(((e.sample, e.n_samples) for e in events if e.text == GAP), n_samples),
            device=str(facts.get("device", "")),
            reference=str(facts.get("reference", "")),
            started=str(facts.get("started", "")),
            notes={"assumed": cut} if n_samples < promised else {},
        )

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for _ in range(4):
                file.readline()
            yield from file

    def _events(self, fs_hz: float, codes: dict[str, int]) -> Iterator[SignalEvent]:
        n_columns = 3 + 2 * len(self._facts["names"])
        for line in self._lines():
            if line.endswith(b",\n"):
                self._n_whole += 1
                continue
            row = next(csv.reader([line.decode(errors="replace")]))
            if len(row) != n_columns or not line.endswith(b"\n"):
                if self._salvage:
                    break
                raise RecordingError(
                    f"{self.path} was cut or changed at sample {self._n_whole}; {HOW_TO_SALVAGE}",
                    path=self.path,
                )
            self._n_whole += row[2] != ""
            for said in row[-1].split(";"):
                text, length, channels = (*map(_unescaped, said.split("|")), "", "")[:3]
                source = "quality" if text.startswith(("BAD_", "EDGE ")) else "file"
                n = round(float(length or 0) * fs_hz)
                yield SignalEvent(
                    int(row[0]),
                    text,
                    n,
                    int(codes.get(text, 0)),
                    0,
                    source,
                    tuple(filter(None, channels.split("@@"))),
                )
        if not self._n_whole or (self._n_whole != int(self._facts["n_samples"]) and not self._salvage):
            raise RecordingError(
                f"{self.path} was cut: it promises {self._facts['n_samples']} samples and holds "
                f"{self._n_whole}; {HOW_TO_SALVAGE}",
                path=self.path,
            )

    def pieces(self) -> Iterator[Counts]:
        n_channels, left = len(self.description.channels), self.description.n_samples
        lines = self._lines()
        while left:
            n = min(PIECE, left)
            text = b"".join(itertools.islice(lines, n))
            counts = np.empty((n_channels, n), np.int32, order="F")
            if csv_counts(np.frombuffer(text, np.uint8), counts) != n:
                at = self.description.n_samples - left
                raise RecordingError(
                    f"{self.path} was changed behind sample {at}: a line has no whole counts; export it again",
                    path=self.path,
                )
            yield counts
            left -= n
