"""`read_recording`: a file of another system as plain values in µV, or a reason why not.

The library that knows the format reads the samples; what libraries take on trust is checked here: the unit,
the length, gaps, and that the asked-for labels exist. A recording of this project (`.bfp`) is one of the formats where
it is one run without a gap; `bci.sessions.offline` reads any.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bci.chunks import F64, Marker
from bci.errors import LabelError, MontageMismatchError, RecordingError
from bci.interop._bids_events import markers_beside
from bci.interop._names import UV_PER_UNIT, canonical_unit
from bci.interop._vocabulary import Vocabulary, recognise
from bci.language import _

__all__ = [
    "OWN",
    "SUFFIXES",
    "RawRecording",
    "SignalFile",
    "implausible_change",
    "name_cues",
    "read_recording",
]

OWN = ".bfp"
SUFFIXES = (".bdf", ".bfp", ".edf", ".fif", ".gdf", ".vhdr", ".xdf")
_TEXT_SUFFIXES = (".csv", ".txt")  # one file by its name; a folder has other texts, too

#: Scalp EEG changes by 1 to 100 µV within a twentieth of a second; a wrong unit is off by a factor of 1000 or
#: more.
_PLAUSIBLE_UV = (0.02, 2_000.0)


@dataclass(frozen=True, slots=True, eq=False)
class RawRecording:
    """What a format's reader hands over: numbers as stored, units as stated, every marker with its text."""

    channels: tuple[str, ...]
    rate: Fraction
    numbers: F64
    units: tuple[str, ...]
    markers: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class SignalFile:
    """One recorded run.

    Parameters
    ----------
    path : Path
    channels : tuple of str
        10-05 names where the file has them; dots and blanks around them are gone (`Fc5.` is `FC5`).
    rate : Fraction
        Samples per second.
    data_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order
    markers : tuple of Marker
        Cues only: `sample_index` counts from the start of the file, `label` is the class name, `code` numbers
        the classes from 1 in the order of `classes`.
    classes : tuple of str
        Class names that were asked for or recognised.
    unit : str
        What a stored number was taken to be.
    """

    path: Path
    channels: tuple[str, ...]
    rate: Fraction
    data_uv: F64
    markers: tuple[Marker, ...]
    classes: tuple[str, ...]
    unit: str

    @property
    def fs_hz(self) -> float:
        return float(self.rate)

    @property
    def duration_s(self) -> float:
        return float(self.data_uv.shape[1] / self.rate)


def read_recording(
    path: str | os.PathLike[str],
    *,
    labels: Mapping[str, str] | None = None,
    unit: str | None = None,
    channels: Sequence[str] | None = None,
) -> SignalFile:
    """Read an EDF, BDF, GDF, FIF, BrainVision (.vhdr), XDF or `.bfp` file.

    Parameters
    ----------
    path : path
    labels : mapping of str to str, optional
        Class name → marker text in the file, e.g. `{"right": "OVTK_GDF_Right", "rest": "OVTK_GDF_Tongue"}`.
        By default the markers of well-known sets are recognised. Empty: no cues are wanted.
    unit : {"uV", "mV", "V", "nV"}, optional
        What a stored number is, where the file does not say or says it wrongly. A blank EDF dimension is µV.
    channels : sequence of str, optional
        Names for a file that carries none, in its order (channels beyond them are dropped); otherwise the
        channels to keep, in this order.

    Raises
    ------
    RecordingError
        If the path is a folder, missing, of an unknown format, empty, cut, with a gap, or its amplitude
        cannot be EEG in the stated unit.
    LabelError
        If the labels are not in the file; the message lists what is.
    MontageMismatchError
        If `channels` names one the file does not have.
    """
    path = Path(path)
    raw = _load(path)
    if (said := markers_beside(path, raw.rate)) is not None:
        raw = replace(raw, markers=said)
    texts = Counter(text for _, text in raw.markers)
    known = recognise(path, texts)
    data_uv, stated = _in_microvolts(raw, unit, path)
    named, rows = _choose(raw, channels, known)
    data_uv = np.asfortranarray(data_uv[rows])
    _check_amplitude(data_uv, raw.rate, stated, path)
    markers, classes = _label(raw.markers, labels, known, texts, path)
    n_samples = data_uv.shape[1]
    return SignalFile(
        path,
        named,
        raw.rate,
        data_uv,
        tuple(m for m in markers if 0 <= m.sample_index < n_samples),
        classes,
        stated,
    )


def name_cues(
    path: Path, said: Sequence[tuple[int, str]], labels: Mapping[str, str] | None = None
) -> tuple[list[Marker], tuple[str, ...]]:
    """Cues among what was marked.

    Parameters
    ----------
    path : Path
        Of the recording: some sets' markers mean something else in each run, told by its name.
    said : sequence of (sample, text)
    labels
        As of `read_recording`.

    Returns
    -------
    markers : list of Marker
    classes : tuple of str

    Raises
    ------
    LabelError
        If the labels are not among the texts; the message lists what is.
    """
    texts = Counter(text for _, text in said)
    return _label(said, labels, recognise(path, texts), texts, path)


def _load(path: Path) -> RawRecording:
    if path.is_dir():
        raise RecordingError(
            f"{path} is a folder; name one file of it, or the folder with a subject", path=path
        )
    if not path.exists():
        raise RecordingError(f"{path} does not exist", path=path)
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, *_TEXT_SUFFIXES):
        raise RecordingError(
            f"{path} has the suffix {suffix or 'none'!r}; recordings are read from {', '.join(SUFFIXES)}",
            path=path,
        )
    if path.stat().st_size == 0:
        raise RecordingError(f"{path} is empty; copy it again", path=path)
    if suffix in _TEXT_SUFFIXES:
        raw = _load_text(path)
    elif suffix == OWN:
        raw = _load_own(path)
    elif suffix == ".xdf":
        from bci.interop._xdf import load_xdf

        raw = load_xdf(path)
    else:
        from bci.interop._mne import load_with_mne

        raw = load_with_mne(path)
    if raw.numbers.size == 0:
        raise RecordingError(f"{path} holds no samples of an EEG channel", path=path)
    return raw


def _load_text(path: Path) -> RawRecording:
    """Text of OpenBCI, BrainFlow and others."""
    from bci.interop._door import ImportOptions
    from bci.interop._formats import reader_for

    signal = reader_for(path).load()(path, ImportOptions())
    about = signal.description
    if about.gaps:
        first_s = float(about.gaps[0][0] / about.rate)
        raise RecordingError(
            f"{path} has {len(about.gaps)} gaps, the first at {first_s:.1f} s; `bci import` makes a recording of it in "
            "which they are marked",
            path=path,
        )
    counts = np.concatenate(list(signal.pieces()), axis=1)
    said = tuple((event.sample, event.text) for event in about.events if not event.is_finding)
    return RawRecording(about.names, about.rate, counts * about.steps, ("uV",) * len(about.names), said)


def _load_own(path: Path) -> RawRecording:
    """One run of a board, without a gap."""
    from bci.interop._recorded import EDGE, RecordedSignal

    signal = RecordedSignal(path)
    about = signal.description
    runs = 1 + sum(event.text == EDGE for event in about.events)
    if runs > 1 or about.gaps:
        what = f"{runs} runs" if runs > 1 else f"{len(about.gaps)} gaps"
        raise RecordingError(
            f"{path} holds {what}, and here one run without a gap is needed; `bci evaluate` takes it as it is, "
            "`bci export --start … --end …` a part of it",
            path=path,
        )
    rows = [row for row, channel in enumerate(about.channels) if channel.kind == "eeg"]
    counts = np.concatenate(list(signal.pieces()), axis=1)
    said = tuple((event.sample, event.text) for event in about.events if not event.is_finding)
    names = tuple(about.names[row] for row in rows)
    return RawRecording(names, about.rate, (counts * about.steps)[rows], ("uV",) * len(rows), said)


def _in_microvolts(raw: RawRecording, unit: str | None, path: Path) -> tuple[F64, str]:
    if unit is not None:
        stated = [canonical_unit(unit)] * len(raw.units)
    else:
        stated = [canonical_unit(text) if text else "uV" for text in raw.units]
    if bad := sorted({text for text, name in zip(raw.units, stated, strict=True) if name not in UV_PER_UNIT}):
        given = unit if unit is not None else ", ".join(bad)
        raise RecordingError(
            f"{path} is in {given!r}, not in a unit of voltage; say unit=uV, mV or V", path=path
        )
    factors = np.array([UV_PER_UNIT[name] for name in stated])
    return raw.numbers * factors[:, None], ", ".join(sorted(set(stated)))


def _choose(
    raw: RawRecording, channels: Sequence[str] | None, known: Vocabulary | None
) -> tuple[tuple[str, ...], list[int]]:
    """Names and rows to keep."""
    if not any(raw.channels):
        names = tuple(channels or (known.channels if known else ())) or tuple(
            f"Ch{k + 1}" for k in range(len(raw.units))
        )
        if len(names) > len(raw.units):
            raise MontageMismatchError(
                f"{len(names)} channel names for a file of {len(raw.units)} channels",
                got=raw.channels,
                expected=names,
            )
        return names, list(range(len(names)))
    if channels is None:
        return raw.channels, list(range(len(raw.channels)))
    if missing := [name for name in channels if name not in raw.channels]:
        raise MontageMismatchError(
            f"the file has no channel {', '.join(missing)}; it has {', '.join(raw.channels)}",
            got=raw.channels,
            expected=tuple(channels),
        )
    return tuple(channels), [raw.channels.index(name) for name in channels]


def _check_amplitude(data_uv: F64, rate: Fraction, unit: str, path: Path) -> None:
    if not np.isfinite(data_uv).all():
        raise RecordingError(f"{path} holds NaN or infinite samples", path=path)
    if typical := implausible_change(data_uv, rate):
        stored = typical / UV_PER_UNIT[unit] if unit in UV_PER_UNIT else typical
        low, high = _PLAUSIBLE_UV
        fitting = " or ".join(u for u, factor in UV_PER_UNIT.items() if low < stored * factor < high)
        raise RecordingError(
            f"{path}, read in {unit}, changes by {typical:.3g} µV within 50 ms; EEG changes by 1 to 100. "
            f"Its stated unit is wrong: say unit={fitting or 'V, mV or uV'}",
            path=path,
        )


def implausible_change(data_uv: F64, rate: Fraction) -> float:
    """How much the signal changes within 50 ms, in µV, where that cannot be EEG; 0 where it can."""
    step = max(1, int(rate / 20))
    change = np.median(np.abs(data_uv[:, step:] - data_uv[:, :-step]), axis=1)
    live = change[change > 0]
    typical = float(np.median(live)) if live.size else 0.0
    low, high = _PLAUSIBLE_UV
    return 0.0 if low < typical < high else typical


def _label(
    events: Sequence[tuple[int, str]],
    labels: Mapping[str, str] | None,
    known: Vocabulary | None,
    texts: Mapping[str, int],
    path: Path,
) -> tuple[list[Marker], tuple[str, ...]]:
    wanted = labels if labels is not None else (known.labels if known else {})
    shown = [f"{text[:40]} ({count}×)" for text, count in sorted(texts.items())]
    there = ", ".join(shown[:20] + ["…"] * (len(shown) > 20)) or "none at all"
    if labels is None and known is None:
        raise LabelError(
            _(
                "{path} has markers that are not known here: {there}. Say what they mean: labels right=… rest=…"
            ).format(path=path, there=there),
            found=tuple(texts),
        )
    if missing := [f"{name}={text}" for name, text in wanted.items() if text not in texts]:
        raise LabelError(
            _("{path} has no marker for {missing}; its markers are {there}").format(
                path=path, missing=_(", ").join(missing), there=there
            ),
            found=tuple(texts),
            expected=tuple(wanted.values()),
        )
    classes = tuple(wanted)
    name_of = {text: name for name, text in wanted.items()}
    starts = known.starts if known is not None and labels is None else None
    markers = []
    announced: str | None = None
    for sample, text in sorted(events):
        if starts is not None:
            announced = name_of.get(text, announced)
            if text != starts or announced is None:
                continue
            name, announced = announced, None
        elif text in name_of:
            name = name_of[text]
        else:
            continue
        markers.append(Marker(sample, name, classes.index(name) + 1, source="file"))
    return markers, classes
