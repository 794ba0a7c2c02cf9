"""XDF, the container of Lab Streaming Layer. The one file that imports pyxdf."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyxdf
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.interop._door import (
    ArraySignal,
    Channel,
    Description,
    ImportOptions,
    SignalEvent,
    counts_from,
    in_order,
)
from bci.interop._facts import facts_of
from bci.interop._files import RawRecording
from bci.interop._names import UV_PER_UNIT, canonical_unit, channel_kind, is_trigger, unalike
from bci.interop._recorded import GAP
from bci.interop._xdf_writer import ANNOTATIONS

__all__ = ["load_xdf", "read"]


def load_xdf(path: Path) -> RawRecording:
    """The one EEG stream of a file and the markers of all its text streams, on the EEG's samples.

    A marker belongs to the sample whose corrected time stamp is nearest.

    Raises
    ------
    RecordingError
        If the file is no XDF, has no or several EEG streams, was cut, or its EEG has a gap.
    """
    streams = _streams(path)
    stream = _eeg_stream(path, streams)
    numbers = np.asarray(stream["time_series"], dtype=np.float64).T
    stamps = np.asarray(stream["time_stamps"])
    _check_whole(path, stream)
    names, units = _montage(stream)
    return RawRecording(
        channels=names,
        rate=Fraction(_text(stream, "nominal_srate")).limit_denominator(100_000),
        numbers=numbers,
        units=units,
        markers=tuple(sorted(_markers(streams, stamps))),
    )


def _streams(path: Path) -> list[dict[str, Any]]:
    logging.getLogger("pyxdf").setLevel(logging.ERROR)  # what it would warn of is checked below
    try:
        streams, _ = pyxdf.load_xdf(path)
    except Exception as err:  # damaged chunks surface as whatever their parser met
        raise RecordingError(
            f"{path} cannot be read as XDF, it is damaged or cut: {err!r}", path=path
        ) from err
    return list(streams)


def _eeg_stream(path: Path, streams: list[dict[str, Any]]) -> dict[str, Any]:
    eeg = [s for s in streams if _text(s, "type").upper() == "EEG" and len(s["time_stamps"])]
    if len(eeg) != 1:
        there = ", ".join(f"{_text(s, 'name')} ({_text(s, 'type')})" for s in streams) or "none"
        raise RecordingError(
            f"{path} holds {len(eeg)} streams of type EEG, one is needed; streams: {there}", path=path
        )
    return eeg[0]


def _check_whole(path: Path, stream: dict[str, Any]) -> None:
    _check_end(path, stream)
    if len(segments := stream["info"]["segments"]) > 1:
        raise RecordingError(
            f"{path} has {len(segments) - 1} gaps in its EEG, the first after sample {segments[0][1]}; "
            "export each stretch as its own file",
            path=path,
        )


def _check_end(path: Path, stream: dict[str, Any]) -> None:
    footer = stream.get("footer")
    if footer is None:
        raise RecordingError(f"{path} was cut: its EEG stream has no end; copy it again", path=path)
    stated = int((footer["info"].get("sample_count") or ["-1"])[0])
    # LabRecorder's count is one short of what it wrote
    if stated >= 0 and abs(stated - len(stream["time_stamps"])) > 1:
        raise RecordingError(
            f"{path} is damaged: {stated} samples were recorded, {len(stream['time_stamps'])} can be read",
            path=path,
        )


def _montage(stream: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units from the stream's description; blank where there is none."""
    n = int(_text(stream, "channel_count"))
    description = (stream["info"].get("desc") or [None])[0] or {}
    channels = ((description.get("channels") or [None])[0] or {}).get("channel") or []
    if len(channels) != n:
        return ("",) * n, ("",) * n
    return (
        tuple((c.get("label") or [""])[0] or "" for c in channels),
        tuple((c.get("unit") or [""])[0] or "" for c in channels),
    )


def _markers(streams: list[dict[str, Any]], stamps: np.ndarray) -> list[tuple[int, str]]:
    middles = (stamps[1:] + stamps[:-1]) / 2
    return [
        (int(np.searchsorted(middles, stamp)), _plain(str(row[0])))
        for stream in streams
        if _text(stream, "channel_format") == "string"
        for stamp, row in zip(stream["time_stamps"], stream["time_series"], strict=True)
    ]


def _plain(text: str) -> str:
    """ "2.000000000000000" → "2": some programs send their codes as printed floating-point numbers."""
    head, point, tail = text.partition(".")
    return head if point and head.lstrip("-").isdigit() and not tail.strip("0") else text


def _text(stream: dict[str, Any], key: str) -> str:
    return str((stream["info"].get(key) or [""])[0] or "")


def read(path: Path, options: ImportOptions) -> ArraySignal:
    """The EEG stream of an XDF file, gaps filled, with the markers of all its text streams.

    pyxdf puts all of the file into memory.
    """
    streams = _streams(path)
    stream = _eeg_stream(path, streams)
    _check_end(path, stream)
    stamps = np.asarray(stream["time_stamps"], dtype=np.float64)
    names, units = _montage(stream)
    facts = facts_of(_first(stream["info"].get("desc"), "facts"))
    nominal = Fraction(facts.get("rate", _text(stream, "nominal_srate"))).limit_denominator(100_000)
    if not nominal:
        raise RecordingError(f"{path}: its EEG stream states no rate; it is no regular signal", path=path)
    measured = float(stream["info"].get("effective_srate") or nominal)
    places, gaps = _places(path, stream, stamps, measured)
    values = np.asarray(stream["time_series"], dtype=np.float64).T
    if facts:
        rows, units = list(range(len(values))), tuple(map(canonical_unit, units))
        counts = np.rint(values / _column(facts["uv_per_count"], len(values))).astype(np.int32)
        steps = _column(facts["uv_per_count"], len(values)).ravel().tolist()
    else:
        rows, names, units = _rows(path, names, units, options)
        factors = np.array([UV_PER_UNIT.get(unit, 1.0) for unit in units])[:, None]
        counts, found = counts_from(values[rows] * factors)
        steps = list(found)
    n_samples = places[-1] + 1
    filled = np.empty((len(rows), n_samples), np.int32, order="F")
    source = np.zeros(n_samples, np.int64)
    source[places] = np.arange(len(places))
    filled[:] = counts[:, np.maximum.accumulate(source)]
    kinds, stated, ohms = (facts.get(key, {}) for key in ("kinds", "units", "impedance_kohm"))
    channels = tuple(
        Channel(
            name,
            step,
            kinds.get(name) or channel_kind(name, unit),
            stated.get(name) or ("uV" if unit in UV_PER_UNIT else unit),
            ohms.get(name),
        )
        for name, step, unit in zip(unalike(tuple(names)), steps, units, strict=True)
    )
    events = list(_events(streams, stamps, places, float(nominal), facts.get("codes", {})))
    known = {(event.sample, event.n_samples) for event in events if event.text == GAP}
    events += [SignalEvent(at, GAP, n, source="quality") for at, n in gaps if (at, n) not in known]
    description = Description(
        channels=channels,
        rate=nominal,
        measured_hz=float(facts.get("measured_hz", measured)),
        n_samples=n_samples,
        events=in_order(events),
        gaps=tuple(sorted(known | set(gaps))),
        device=str(facts.get("device", "")),
        reference=str(facts.get("reference", "")),
    )
    return ArraySignal(path, description, filled)


def _rows(
    path: Path, names: tuple[str, ...], units: tuple[str, ...], options: ImportOptions
) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """Which channels, what they are called, and in which unit."""
    units = tuple(canonical_unit(options.unit or unit or "uV") for unit in units)
    if not any(names):
        given = options.channels or tuple(f"Ch{k + 1}" for k in range(len(units)))
        if len(given) > len(units):
            raise RecordingError(
                f"{path} has {len(units)} channels, {len(given)} names were given", path=path
            )
        return list(range(len(given))), given, units[: len(given)]
    if missing := [name for name in options.channels if name not in names]:
        raise RecordingError(
            f"{path} has no channel {', '.join(missing)}; it has {', '.join(names)}", path=path
        )
    rows = [
        k
        for k, (name, unit) in enumerate(zip(names, units, strict=True))
        if not is_trigger(name) and (options.aux or unit in UV_PER_UNIT)
    ]
    if options.channels:
        rows = [names.index(name) for name in options.channels]
    if not rows:
        raise RecordingError(
            f"{path} holds no channel that measures a voltage; take all with --aux", path=path
        )
    return rows, tuple(names[k] for k in rows), tuple(units[k] for k in rows)


def _places(
    path: Path, stream: dict[str, Any], stamps: NDArray[np.float64], fs_hz: float
) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """The sample number of each sample, and the gaps between the segments that pyxdf found."""
    places = np.arange(len(stamps), dtype=np.int64)
    gaps = []
    for (_, end), (begin, _) in zip(
        stream["info"]["segments"][:-1], stream["info"]["segments"][1:], strict=True
    ):
        lost = round((stamps[begin] - stamps[end]) * fs_hz) - 1
        if lost < 0:
            raise RecordingError(
                f"{path}: the clock of its EEG stream was set back at sample {begin}; export each stretch as its own "
                "file",
                path=path,
            )
        if lost:
            gaps.append((int(places[end]) + 1, lost))
            places[begin:] += lost
    if len(places) and places[-1] > 100 * len(places):
        raise RecordingError(
            f"{path} is damaged: its times say that nearly all of its samples are missing", path=path
        )
    return places, gaps


def _events(
    streams: list[dict[str, Any]],
    stamps: NDArray[np.float64],
    places: NDArray[np.int64],
    fs_hz: float,
    codes: dict[str, int],
) -> Iterator[SignalEvent]:
    middles = (stamps[1:] + stamps[:-1]) / 2
    own = any(_text(stream, "name") == ANNOTATIONS for stream in streams)
    period_s = (stamps[-1] - stamps[0]) / max(len(stamps) - 1, 1)
    for stream in streams:
        if _text(stream, "channel_format") != "string" or (own and _text(stream, "name") != ANNOTATIONS):
            continue
        for stamp, row in zip(stream["time_stamps"], stream["time_series"], strict=True):
            at = int(places[np.searchsorted(middles, stamp)])
            if stamp > stamps[-1] + period_s / 2:  # behind the last sample, as the end of a run is
                at += round((stamp - stamps[-1]) / period_s)
            text = _plain(str(row[0]))
            if own:
                length, code, channels = (
                    round(float(row[1]) * fs_hz),
                    int(row[2]),
                    tuple(filter(None, str(row[3]).split("@@"))),
                )
                source = "quality" if text.startswith(("BAD_", "EDGE ")) else "file"
                yield SignalEvent(at, text, length, code, 0, source, channels)
            else:
                code = int(text) if text.isdigit() and int(text) < 1 << 16 else int(codes.get(text, 0))
                yield SignalEvent(at, text, 0, code, 0, "file")


def _first(description: Any, key: str) -> str:
    return str(((description or [None])[0] or {}).get(key, [""])[0] or "")


def _column(steps: Any, n: int) -> NDArray[np.float64]:
    return np.broadcast_to(np.asarray(steps, dtype=np.float64), n)[:, None]
