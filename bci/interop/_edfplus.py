"""Writing BDF+ and EDF+: the header through edfio, the data records here, one after the other, in constant memory.

Rules
-----
- BDF+ holds the converter's own codes: 24 bits, digital range −8388608 … 8388607, the physical range follows from µV
  per count. EDF+ holds 16 bits: codes divided by the smallest whole number with which the signal's own range fits, so
  a quiet signal keeps them too; where it does not, that is said.
- The header states the nominal rate. The first annotation, `bci-hand {…}`, states in JSON what no header field has
  room for: the measured rate, exact scales, names and kinds of channels, device, reference, codes of markers.
- Lost samples are filled and marked BAD_ACQ_SKIP, and so is what fills up the last data record. A finding about one
  channel is an annotation `text@@channel`, as MNE and EDFbrowser write and read it.
- Header fields are ASCII: letters lose their accents, everything else becomes `_`. Annotations are UTF-8.

References
----------
.. [1] Kemp & Olivan, "European data format 'plus' (EDF+), an EDF alike standard format", Clin. Neurophysiol.
   114(9):1755-1761, 2003. doi:10.1016/S1388-2457(03)00123-8
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import edfio
import numpy as np
from numpy.typing import NDArray

from bci.errors import ExportError
from bci.files import open_private
from bci.interop._door import (
    MAX_COUNT,
    MIN_COUNT,
    Channel,
    Counts,
    Description,
    ExportOptions,
    Progress,
    Signal,
)
from bci.interop._facts import facts_text
from bci.interop._names import ascii_only

__all__ = ["write_bdf", "write_edf"]

N_RECORDS_AT = 236  # 8 characters of the header
FIELD_LIMIT = 9_999_999.0  # largest magnitude with a sign in the 8 characters of a physical range
PREFIXES = {"eog": "EOG ", "emg": "EMG ", "ecg": "ECG "}


def write_bdf(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """BDF+ with the converter's own codes."""
    scales = [(1, 0)] * len(signal.description.channels)
    _write(signal, target, options, progress, scales, width=3)
    return _renamed(signal.description)


def write_edf(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """EDF+: 16 bits."""
    scales = _sixteen_bits(signal)
    _write(signal, target, options, progress, scales, width=2)
    coarse = [
        f"{channel.name} {channel.step * k:.3g} {_shown(channel.unit)} instead of {channel.step:.3g}"
        for channel, (k, _) in zip(signal.description.channels, scales, strict=True)
        if k > 1
    ]
    if not coarse:
        return _renamed(signal.description)
    named = ", ".join(coarse[:4]) + (f" and {len(coarse) - 4} more" if len(coarse) > 4 else "")
    coarser = (
        f"16 bits do not hold the range of the signal, so its steps are coarser: {named}; BDF keeps them"
    )
    return (coarser, *_renamed(signal.description))


def _event_texts(about: Description) -> list[tuple[int, int, str]]:
    """(sample, length, text) of all events in order; one of some channels is `text@@channel` for each."""
    return [
        (event.sample, event.n_samples, text)
        for event in about.events
        for text in ([f"{event.text}@@{name}" for name in event.channels] or [event.text])
    ]


def _renamed(about: Description) -> tuple[str, ...]:
    changed = [
        f"{name} → {label}"
        for name, label in zip(about.names, _labels(about), strict=True)
        if not label.endswith(name)
    ]
    return (f"names in the header are ASCII of 16 characters: {', '.join(changed)}",) if changed else ()


def _shown(unit: str) -> str:
    return "µV" if unit == "uV" else unit


def _sixteen_bits(signal: Signal) -> list[tuple[int, int]]:
    """Of each channel what a code is divided by, and what is taken off before."""
    n = len(signal.description.channels)
    low, high = np.full(n, MAX_COUNT), np.full(n, MIN_COUNT)
    for piece in signal.pieces():
        low, high = np.minimum(low, piece.min(axis=1)), np.maximum(high, piece.max(axis=1))
    middles = ((low + high) // 2).tolist()
    return [
        (max(1, -(-max(int(h) - m, m - int(a)) // 32_767)), m)
        for a, h, m in zip(low, high, middles, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the file is cut into data records."""

    n_samples: int  # of each channel in a record
    seconds: float
    n_records: int
    annotation_bytes: int


def _write(
    signal: Signal,
    target: Path,
    options: ExportOptions,
    progress: Progress,
    scales: list[tuple[int, int]],
    *,
    width: int,
) -> None:
    about = signal.description
    n, seconds = _record(about.rate, 61_440 // (width * len(about.channels)) if width == 2 else 1 << 30)
    n_records = -(-about.n_samples // n)
    texts = _record_texts(about, scales, n, n_records, float(Fraction(n) / about.rate))
    longest = max(map(len, texts))
    layout = _Layout(n, seconds, n_records, -(-longest // width) * width)
    header = _header(about, options, scales, layout, width)
    divisors = np.array([k for k, _ in scales])[:, None]
    offsets = np.array([m for _, m in scales])[:, None]
    done = 0
    with open_private(target, "xb") as file:
        file.write(header)
        for block in _whole_records(signal, n):
            m = block.shape[1] // n
            codes = block if width == 3 else np.rint((block - offsets) / divisors).astype(np.int32)
            records = _record_bytes(codes, n, width)
            annotations = b"".join(t.ljust(layout.annotation_bytes, b"\0") for t in texts[done : done + m])
            tail = np.frombuffer(annotations, np.uint8).reshape(m, -1)
            file.write(np.concatenate([records, tail], axis=1).tobytes())
            done += m
            progress(min(done * n, about.n_samples), about.n_samples)


def _record_bytes(codes: Counts, n: int, width: int) -> NDArray[np.uint8]:
    """(n_records, bytes): in each record all samples of the first channel, then of the next."""
    by_record = np.ascontiguousarray(codes.reshape(len(codes), -1, n).transpose(1, 0, 2)).astype("<i4")
    return np.ascontiguousarray(
        by_record.view(np.uint8).reshape(len(by_record), -1, 4)[:, :, :width]
    ).reshape(len(by_record), -1)


def _whole_records(signal: Signal, n: int) -> Iterator[Counts]:
    """The signal in blocks of whole data records; the last one is filled up with the last sample."""
    rest: Counts | None = None
    for piece in signal.pieces():
        block = piece if rest is None else np.concatenate([rest, piece], axis=1)
        whole = block.shape[1] // n * n
        if whole:
            yield block[:, :whole]
        rest = block[:, whole:]
    if rest is not None and rest.shape[1]:
        yield np.pad(rest, ((0, 0), (0, n - rest.shape[1])), mode="edge")


def _record(rate: Fraction, most: int) -> tuple[int, float]:
    """Samples and seconds of a data record: a second where that is whole, and the rate exact wherever it can be."""
    for seconds in (1, *map(Fraction, ("0.5", "0.2", "0.1", "0.05", "0.02", "0.01")), *range(2, 61)):
        n = rate * seconds
        if n.denominator == 1 and 1 <= n <= most:
            return int(n), float(seconds)
    n = max(1, min(round(rate), most))
    return n, float(f"{float(n / rate):.6f}")  # eight characters: the rate is right to a millionth


def _record_texts(
    about: Description, scales: list[tuple[int, int]], n: int, n_records: int, seconds: float
) -> list[bytes]:
    """What the annotation signal of each record holds: its time, and what happens in it."""
    fs_hz = n / seconds
    texts = [f"+{_number(k * seconds)}\x14\x14\x00" for k in range(n_records)]
    scaled = any(scale != (1, 0) for scale in scales)
    texts[0] += f"+0\x14{facts_text(about, scales=scales if scaled else None)}\x14\x00"
    events = _event_texts(about)
    if n_records * n > about.n_samples:
        events.append((about.n_samples, n_records * n - about.n_samples, "BAD_ACQ_SKIP"))
    for sample, length, text in events:
        duration = f"\x15{_number(length / fs_hz)}" if length else ""
        plain = "".join(c for c in text if c >= " ") or " "
        texts[min(sample // n, n_records - 1)] += f"+{_number(sample / fs_hz)}{duration}\x14{plain}\x14\x00"
    return [text.encode() for text in texts]


def _number(value: float) -> str:
    return np.format_float_positional(value, precision=9, unique=True, trim="-")


def _header(
    about: Description, options: ExportOptions, scales: list[tuple[int, int]], layout: _Layout, width: int
) -> bytes:
    """That of a file of one empty record, made by edfio, with the number of records put in."""
    wide = width == 3
    signals = [
        (edfio.BdfSignal if wide else edfio.EdfSignal).from_digital(
            np.zeros(layout.n_samples, np.int32 if wide else np.int16),
            layout.n_samples / layout.seconds,
            label=label,
            transducer_type=_electrode(about, channel),
            **_range(channel, *scale, wide=wide),
        )
        for channel, label, scale in zip(about.channels, _labels(about), scales, strict=True)
    ]
    started = about.begun if options.keep_date else None
    device = ascii_only(about.device).replace(" ", "_")
    empty_annotation = 10  # bytes of an annotation at 0 without text, behind the record's time
    kind = edfio.Bdf if wide else edfio.Edf
    try:
        one = kind(
            signals,
            patient=edfio.Patient(code=ascii_only(options.subject).replace(" ", "_") or "X"),
            recording=edfio.Recording(
                startdate=started.date() if started else None, equipment_code=device[:40] or "X"
            ),
            starttime=started.time().replace(microsecond=0) if started else None,
            data_record_duration=layout.seconds,
            annotations=[edfio.EdfAnnotation(0, None, "x" * (layout.annotation_bytes - empty_annotation))],
        ).to_bytes()
    except ValueError as err:
        raise ExportError(f"{'BDF' if wide else 'EDF'} has no room for this recording: {err}") from err
    header = bytearray(one[: int(one[184:192])])
    header[N_RECORDS_AT : N_RECORDS_AT + 8] = str(layout.n_records).ljust(8).encode()
    return bytes(header)


def _labels(about: Description) -> list[str]:
    """ASCII, 16 characters, no two alike."""
    labels: list[str] = []
    for k, channel in enumerate(about.channels):
        label = (PREFIXES.get(channel.kind, "") + ascii_only(channel.name))[:16].strip() or f"Ch{k + 1}"
        labels.append(f"{label[:12]}_{k + 1}" if label in labels else label)
    return labels


def _electrode(about: Description, channel: Channel) -> str:
    """What stands in the header's 80 characters for the electrode."""
    if channel.kind == "misc":
        return "sensor"
    words = [f"{channel.kind.upper()} electrode"]
    if about.reference:
        words.append(f"reference {about.reference}")
    if channel.impedance_kohm is not None:
        words.append(f"{channel.impedance_kohm:.1f} kOhm")
    return ascii_only(", ".join(words))[:80]


def _range(channel: Channel, divisor: int, offset: int, *, wide: bool) -> dict[str, Any]:
    """Physical and digital range, in the first of µV, mV, V whose numbers fit the header's eight characters."""
    digital = (MIN_COUNT, MAX_COUNT) if wide else (-32_768, 32_767)
    units = (("uV", 1.0), ("mV", 1e-3), ("V", 1e-6)) if channel.unit == "uV" else ((channel.unit, 1.0),)
    low, high = ((code * divisor + offset) * channel.step for code in digital)
    fitting = [unit for unit in units if max(abs(low), abs(high)) * unit[1] <= FIELD_LIMIT]
    name, factor = fitting[0] if fitting else units[-1]
    return {
        "physical_dimension": ascii_only(name)[:8],
        "physical_range": (_eight(low * factor), _eight(high * factor)),
        "digital_range": digital,
    }


def _eight(value: float) -> float:
    """The nearest number that the header's eight characters hold; edfio by itself rounds outwards."""
    shown = (f"{value:.{digits}f}" for digits in range(7, -1, -1))
    return float(next((text for text in shown if len(text) <= 8), value))
