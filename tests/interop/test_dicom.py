"""DICOM scalp EEG waveforms, read back with pydicom alone."""

from __future__ import annotations

import stat
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bci.errors import ExportError
from bci.interop import ArraySignal, Channel, Description, ExportOptions, SignalEvent, export_signal

pydicom = pytest.importorskip("pydicom")

STEP = 4.5e6 / 24 / (2**23 - 1)


def a_signal(**more: object) -> ArraySignal:
    counts = np.random.default_rng(0).integers(-(1 << 23), 1 << 23, (4, 5000), dtype=np.int32)
    events = (
        SignalEvent(100, "右手", code=2, source="file"),
        SignalEvent(700, "BAD_ACQ_SKIP", 25, source="quality"),
        SignalEvent(900, "BAD_saturated", 10, source="quality", channels=("FCz",)),
    )
    channels = tuple(Channel(name, STEP) for name in ("C3", "FCz", "P7", "额"))
    facts = {"device": "board 42 1.0", "reference": "A2", "started": "2024-02-29T12:30:00+00:00", **more}
    about = Description(channels, Fraction(250), 249.5, 5000, events, ((700, 25),), **facts)  # type: ignore[arg-type]
    return ArraySignal(Path("x.bfp"), about, np.asfortranarray(counts))


def test_counts_microvolts_and_events_come_back_with_pydicom(tmp_path: Path) -> None:
    signal = a_signal()
    path = tmp_path / "录音.dcm"
    made = export_signal(signal, path, to="dicom")
    assert any("nominal rate" in loss for loss in made.losses)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID.name == "Routine Scalp Electroencephalogram Waveform Storage"
    group = ds.WaveformSequence[0]
    assert (group.NumberOfWaveformChannels, group.NumberOfWaveformSamples) == (4, 5000)
    assert float(group.SamplingFrequency) == 249.5
    raw = np.frombuffer(group.WaveformData, "<i4").reshape(5000, 4)
    np.testing.assert_array_equal(raw.T, signal.counts)
    np.testing.assert_allclose(ds.waveform_array(0), signal.counts.T * STEP, rtol=1e-12)
    sources = [c.ChannelSourceSequence[0] for c in group.ChannelDefinitionSequence]
    assert [(s.CodingSchemeDesignator, s.CodeMeaning) for s in sources] == [
        ("MDC", "C3"),
        ("MDC", "FCz"),
        ("MDC", "T5"),
        ("99BCIHAND", "额"),
    ]
    assert [c.ChannelLabel for c in group.ChannelDefinitionSequence] == ["C3", "FCz", "P7", "额"]
    units = {c.ChannelSensitivityUnitsSequence[0].CodeValue for c in group.ChannelDefinitionSequence}
    assert units == {"uV"}
    notes = [
        (
            n.UnformattedTextValue,
            n.TemporalRangeType,
            n.ReferencedSamplePositions,
            list(n.ReferencedWaveformChannels),
        )
        for n in ds.WaveformAnnotationSequence
    ]
    assert notes == [
        ("右手", "POINT", 101, [1, 0]),
        ("BAD_ACQ_SKIP", "SEGMENT", [701, 725], [1, 0]),
        ("BAD_saturated", "SEGMENT", [901, 910], [1, 2]),
    ]


def test_units_have_codes_and_marks_lie_within_the_signal(tmp_path: Path) -> None:
    units = {"C3": "uV", "AccX": "g", "Temp": "degC", "Odd": "furlong"}
    channels = tuple(Channel(name, 0.5, "eeg" if u == "uV" else "misc", u) for name, u in units.items())
    events = (
        SignalEvent(500, "end", source="file"),
        SignalEvent(490, "over", 10**12),
        SignalEvent(10**12, "far"),
    )
    about = Description(channels, Fraction(250), 250.0, 500, events)
    signal = ArraySignal(Path("x.bfp"), about, np.zeros((4, 500), np.int32, order="F"))
    export_signal(signal, tmp_path / "x.dcm", to="dicom")
    ds = pydicom.dcmread(tmp_path / "x.dcm")
    said = [c.ChannelSensitivityUnitsSequence[0] for c in ds.WaveformSequence[0].ChannelDefinitionSequence]
    assert [(u.CodeValue, u.CodingSchemeDesignator) for u in said] == [
        ("uV", "UCUM"),
        ("[g]", "UCUM"),  # "g" is the gram
        ("Cel", "UCUM"),
        ("furlong", "99BCIHAND"),
    ]
    at = [n.ReferencedSamplePositions for n in ds.WaveformAnnotationSequence]
    assert at == [500, [491, 500], 500]


def test_memory_does_not_grow_with_the_signal(tmp_path: Path) -> None:
    class Long:
        path = Path("x.bfp")
        description = Description((Channel("C3", STEP),) * 64, Fraction(1000), 1000.0, 200_000)

        def pieces(self) -> Iterator[np.ndarray]:
            for _ in range(200):
                yield np.ones((64, 1000), np.int32, order="F")

    export_signal(a_signal(), tmp_path / "loads.dcm", to="dicom")
    tracemalloc.start()
    export_signal(Long(), tmp_path / "x.dcm", to="dicom")
    assert tracemalloc.get_traced_memory()[1] < 5e6 < (tmp_path / "x.dcm").stat().st_size / 10
    tracemalloc.stop()


def test_nothing_of_the_person_or_the_day_is_in_it_unless_it_was_asked_for(tmp_path: Path) -> None:
    export_signal(a_signal(), tmp_path / "a.dcm", to="dicom")
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert (str(ds.PatientName), ds.PatientID, ds.PatientBirthDate, ds.StudyDate) == ("", "", "", "")
    assert ds.PatientIdentityRemoved == "YES"
    assert b"2024" not in (tmp_path / "a.dcm").read_bytes()[:4000]
    options = ExportOptions(subject="K-017", keep_date=True)
    export_signal(a_signal(), tmp_path / "b.dcm", to="dicom", options=options)
    ds = pydicom.dcmread(tmp_path / "b.dcm")
    assert (ds.PatientID, ds.StudyDate, ds.AcquisitionDateTime) == ("K-017", "20240229", "20240229123000")


def test_the_same_signal_has_the_same_uids_and_an_existing_file_stays(tmp_path: Path) -> None:
    uids = []
    for name in ("a.dcm", "b.dcm"):
        export_signal(a_signal(), tmp_path / name, to="dicom")
        uids.append(pydicom.dcmread(tmp_path / name).SOPInstanceUID)
    assert uids[0] == uids[1]
    before = (tmp_path / "a.dcm").read_bytes()
    with pytest.raises(ExportError, match="exists already"):
        export_signal(a_signal(), tmp_path / "a.dcm", to="dicom")
    assert (tmp_path / "a.dcm").read_bytes() == before


def test_a_signal_beyond_one_element_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    small = a_signal()
    huge = Description(small.description.channels, Fraction(250), 250.0, 1 << 30)

    class Huge:
        path = Path("x.bfp")
        description = huge

        def pieces(self) -> object:
            raise AssertionError("nothing may be read")

    with pytest.raises(ExportError, match="--start"):
        export_signal(Huge(), tmp_path / "x.dcm", to="dicom")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
