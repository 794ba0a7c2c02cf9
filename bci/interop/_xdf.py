"""XDF, the container of Lab Streaming Layer. The one file that imports pyxdf."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyxdf

from bci.errors import RecordingError
from bci.interop._files import RawRecording

__all__ = ["load_xdf"]


def load_xdf(path: Path) -> RawRecording:
    """The one EEG stream of a file and the markers of all its text streams, on the EEG's samples.

    A marker belongs to the sample whose corrected time stamp is nearest.

    Raises
    ------
    RecordingError
        If the file is no XDF, has no or several EEG streams, was cut, or its EEG has a gap.
    """
    logging.getLogger("pyxdf").setLevel(logging.ERROR)  # what it would warn of is checked below
    try:
        streams, _ = pyxdf.load_xdf(path)
    except Exception as err:  # damaged chunks surface as whatever their parser met
        raise RecordingError(
            f"{path} cannot be read as XDF, it is damaged or cut: {err!r}", path=path
        ) from err
    eeg = [s for s in streams if _text(s, "type").upper() == "EEG" and len(s["time_stamps"])]
    if len(eeg) != 1:
        there = ", ".join(f"{_text(s, 'name')} ({_text(s, 'type')})" for s in streams) or "none"
        raise RecordingError(
            f"{path} holds {len(eeg)} streams of type EEG, one is needed; streams: {there}", path=path
        )
    stream = eeg[0]
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


def _check_whole(path: Path, stream: dict[str, Any]) -> None:
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
    if len(segments := stream["info"]["segments"]) > 1:
        raise RecordingError(
            f"{path} has {len(segments) - 1} gaps in its EEG, the first after sample {segments[0][1]}; "
            "export each stretch as its own file",
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
