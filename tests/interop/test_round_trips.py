"""There and back through every format: counts, scales, events, gaps, measured rate, device."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import Recording
from bci.chunks import SignalInfo
from bci.interop import (
    ExportOptions,
    ImportOptions,
    RecordedSignal,
    export_signal,
    import_file,
    read_signal,
    to_mne,
)
from bci.interop._door import in_order
from bci.interop._lsl_wire import StreamEncoder
from firmware_protocol.cli import main as frame_validator
from tests.acquisition.test_recording import recorded
from tests.interop.signals import (
    GAP,
    all_counts,
    counts_of,
    device_recording,
    known,
    known_recording,
    same,
    told,
)

FORMATS = ("bdf", "edf", "xdf", "fif", "csv")
Data = Callable[[str], Path]


def test_a_recording_of_a_foreign_signal_holds_all_of_it(tmp_path: Path) -> None:
    signal = known_recording(tmp_path / "x.bfp")
    same(signal.description, known().description, date=True)
    np.testing.assert_array_equal(all_counts(signal), counts_of())
    saturated = [e for e in signal.description.events if e.text == "BAD_saturated"]
    assert {(e.sample, e.n_samples, e.channels) for e in saturated} >= {(300, 10, ("C3",)), (300, 5, ("Cz",))}


def test_the_frame_validator_finds_no_error_in_an_imported_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known_recording(tmp_path / "x.bfp")  # a gap, a restart, markers in packets and between them
    assert frame_validator(["check", str(tmp_path / "x.bfp")]) == 0
    assert "1,970 received, 130 lost" in capsys.readouterr().out


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_back_what_went_in(tmp_path: Path, name: str) -> None:
    signal = known_recording(tmp_path / "x.bfp")
    made = export_signal(signal, tmp_path / f"y.{name}", to=name)
    back = read_signal(tmp_path / f"y.{name}")
    same(back.description, signal.description)
    if name == "edf":  # 16 bits of a signal that uses all 24
        assert "16 bits" in made.losses[0]
        assert np.abs(all_counts(back) - counts_of()).max() <= 129
    else:
        np.testing.assert_array_equal(all_counts(back), counts_of())
    assert (made.n_gaps, made.samples_lost, made.n_samples) == (1, 130, 2100)


@pytest.mark.parametrize("name", FORMATS)
def test_an_imported_file_is_a_recording_like_the_first(tmp_path: Path, name: str) -> None:
    first = device_recording(tmp_path / "x.bfp")
    export_signal(RecordedSignal(first), tmp_path / f"y.{name}", to=name)
    import_file(tmp_path / f"y.{name}", tmp_path / "z.bfp")
    a, b = RecordedSignal(first), RecordedSignal(tmp_path / "z.bfp")
    if name != "edf":
        np.testing.assert_array_equal(all_counts(b), all_counts(a))
        assert told(b.description.events) == told(a.description.events)
        # the live path hears it as it heard the board: lost samples, restarts, scale
        assert Recording(b.path).statistics.samples_lost == first.statistics.samples_lost > 0
    assert (b.description.rate, b.description.gaps) == (a.description.rate, a.description.gaps)
    assert b.description.names == a.description.names


def test_16_bits_do_not_turn_the_end_of_the_range_over(tmp_path: Path) -> None:
    signal = known()
    signal.counts[:] = np.linspace(-(1 << 23), 8_387_977, signal.counts.shape[1], dtype=np.int32)
    signal.counts[:, GAP[0] : sum(GAP)] = signal.counts[:, GAP[0] - 1 : GAP[0]]
    export_signal(signal, tmp_path / "y.edf", to="edf")
    import_file(tmp_path / "y.edf", tmp_path / "z.bfp")
    assert np.abs(all_counts(RecordedSignal(tmp_path / "z.bfp")) - signal.counts).max() <= 129


def test_a_quiet_signal_keeps_its_counts_in_16_bits(tmp_path: Path) -> None:
    signal = known()
    signal.counts[:] = signal.counts // 512 + 4_000_000  # a large offset, a small swing
    made = export_signal(signal, tmp_path / "y.edf", to="edf")
    np.testing.assert_array_equal(all_counts(read_signal(tmp_path / "y.edf")), signal.counts)
    assert not any("16 bits" in loss for loss in made.losses)


def test_counts_of_a_board_are_those_the_live_path_gives(tmp_path: Path) -> None:
    recording = device_recording(tmp_path / "x.bfp")
    signal = RecordedSignal(recording)
    counts = all_counts(signal)
    uv = recording[:].signal_uv()
    kept = ~np.isnan(uv[0])
    np.testing.assert_array_equal((counts * signal.description.steps)[:, kept], uv[:, kept])
    ((start, n),) = signal.description.gaps
    assert n == recording.statistics.samples_lost
    assert not kept[start : start + n].any()
    assert (counts[:, start : start + n] == counts[:, start - 1 : start]).all()
    assert [(e.sample, e.text) for e in signal.description.events if not e.is_finding] == [
        (50, "left"), (120, "1"), (700, "left")
    ]  # fmt: skip


def test_a_recording_of_a_stream_keeps_its_values_within_half_of_the_finest_step(tmp_path: Path) -> None:
    info = SignalInfo(("C3", "Cz"), Fraction(250), (1.0, 1.0), "LSL amp")
    rows = np.random.default_rng(0).normal(0, 30, (1000, 2)).astype(np.float32)
    rows[300:320, 1] = np.nan
    coder = StreamEncoder(info)
    wire = coder.encode(rows[:400], 0) + coder.encode(rows[450:], 450, lost=50)
    (tmp_path / "x.bfp").write_bytes(recorded(wire))
    signal = RecordedSignal(tmp_path / "x.bfp")
    about = signal.description
    assert about.gaps == ((400, 50),)
    events = [(e.sample, e.n_samples, e.text, e.channels) for e in about.events]
    assert events == [(300, 20, "BAD_no_value", ("Cz",)), (400, 50, "BAD_ACQ_SKIP", ())]
    kept = np.isfinite(rows).all(axis=1)
    kept[400:450] = False
    values = all_counts(signal) * about.steps
    np.testing.assert_allclose(values.T[kept], rows[kept], atol=0.51 * about.steps.max())
    assert about.steps.max() < 2e-5
    assert (values[1, 300:320] == 0).all()
    assert (values[:, 400:450] == values[:, 399:400]).all()
    made = export_signal(signal, tmp_path / "x.bdf", to="bdf")
    np.testing.assert_array_equal(all_counts(read_signal(made.path)), all_counts(signal))
    np.testing.assert_allclose(to_mne(signal).get_data()[:, 390:460] * 1e6, values[:, 390:460], atol=1e-9)


@pytest.mark.parametrize(("start_s", "stop_s"), [(0.0, 1.0), (1.0, 3.0), (1.9, 2.04), (2.0, 99.0)])
def test_a_part_is_what_the_whole_holds_there(tmp_path: Path, start_s: float, stop_s: float) -> None:
    recording = device_recording(tmp_path / "x.bfp")
    whole = RecordedSignal(recording)
    part = RecordedSignal(recording, start_s=start_s, stop_s=stop_s)
    begin, end = round(start_s * 250), min(round(stop_s * 250), 1000)
    counts = all_counts(part)
    assert counts.shape == (8, end - begin) == (8, part.description.n_samples)
    ((gap, n),) = whole.description.gaps
    kept = np.ones(1000, bool)
    kept[gap : gap + n] = False
    np.testing.assert_array_equal(
        counts[:, kept[begin:end]], all_counts(whole)[:, begin:end][:, kept[begin:end]]
    )
    assert sum(n for _, n in part.description.gaps) == (~kept[begin:end]).sum()
    said = [(e.sample + begin, e.text) for e in part.description.events if not e.is_finding]
    assert said == [
        (e.sample, e.text) for e in whole.description.events if not e.is_finding and begin <= e.sample < end
    ]


def test_electrodes_that_are_off_are_told_by_channel(tmp_path: Path) -> None:
    recording = device_recording(tmp_path / "x.bfp", off={1: (300, 340), 7: (0, 60)})
    off = [e for e in RecordedSignal(recording).description.events if e.text == "BAD_lead_off"]
    assert [(e.sample, e.n_samples, e.channels) for e in off] == [(0, 60, ("O2",)), (300, 40, ("C3",))]
    plain = device_recording(tmp_path / "y.bfp")
    assert "BAD_lead_off" not in {e.text for e in RecordedSignal(plain).description.events}


def test_artefacts_are_marked_when_asked_for(tmp_path: Path) -> None:
    recording = device_recording(tmp_path / "x.bfp")  # counts that jump over the whole range
    plain = {e.text for e in RecordedSignal(recording).description.events}
    looked = {e.text for e in RecordedSignal(recording, artefacts=True).description.events}
    assert looked - plain >= {"BAD_artefact_step", "BAD_artefact_saturation"}


def test_the_measured_rate_is_found_from_arrivals(tmp_path: Path) -> None:
    from bci.interop._rate import MeasuredRate

    # 400 blocks of 10 samples of 26 bytes, each late by up to 20 ms
    late = np.random.default_rng(0).uniform(0, 20e6, 400)
    true_hz = 250.05
    pairs = [(k * 260, round((k + 1) * 10 / true_hz * 1e9 + late[k])) for k in range(400)]
    rate = MeasuredRate(iter(pairs), 250.0)
    for k in range(3, 400, 3):
        rate.reached((k + 1) * 260, (k + 1) * 10)
    assert abs(rate.fs_hz / true_hz - 1) < 2e-4
    short = MeasuredRate(iter(pairs[:50]), 250.0)
    for k in range(50):
        short.reached((k + 1) * 260, (k + 1) * 10)
    assert short.fs_hz == 0.0


@pytest.mark.parametrize("name", [*FORMATS, "bids"])
def test_nothing_of_a_person_or_a_day_is_written_unless_asked_for(tmp_path: Path, name: str) -> None:
    signal = known_recording(tmp_path / "x.bfp")
    target = tmp_path / f"y.{name}"
    export_signal(signal, target, to=name)
    files = [target] if target.is_file() else [p for p in target.rglob("*") if p.is_file()]
    content = b"".join(p.read_bytes() for p in files)
    for word in (b"2024-02", b"29.02.24", b"29-FEB", b"12.30.15", b"12:30"):
        assert word not in content
    named = tmp_path / f"n.{name}"
    options = ExportOptions(subject="P07", keep_date=True)
    export_signal(signal, named, to=name, options=options)
    files = [named] if named.is_file() else [p for p in named.rglob("*") if p.is_file()]
    content = b"".join(p.read_bytes() for p in files) + " ".join(str(p) for p in files).encode()
    assert b"P07" in content
    if name in ("bdf", "edf", "fif", "csv"):
        assert read_signal(named).description.started[:10] == "2024-02-29"
    if name == "bids":
        assert b"2024-02-29" in content


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits there")
@pytest.mark.parametrize("name", [*FORMATS, "bids"])
def test_what_is_written_is_for_its_owner_alone(tmp_path: Path, name: str) -> None:
    target = export_signal(known(), tmp_path / f"y.{name}", to=name).path
    assert stat.S_IMODE(target.stat().st_mode) == (0o700 if target.is_dir() else 0o600)


SMALL = (
    "edf_bdf_reference/BDF/test_bdf_stim_channel.bdf",
    "edf_bdf_reference/EDF/chtypes_edf.edf",
    "edf_bdf_reference/EDF/test_utf8_annotations.edf",
    "edf_bdf_reference/GDF/test_1ch.gdf",
    "mi_openbci/S02/S02_R0.edf",
    "xdf_examples/minimal.xdf",
)
ALL = (
    *(f"eegmmidb/S001R{k:02d}.edf" for k in (3, 4, 7, 8, 11, 12)),
    *(f"mi_openbci/S{s:02d}/S{s:02d}_R{r}.edf" for s in (2, 3, 4, 5) for r in range(5)),
    *(f"tau_mi_xdf/subT_{k:03d}.xdf" for k in (3, 4, 5, 6)),
    *(
        f"edf_bdf_reference/{name}"
        for name in (
            "BDF/multiple_annotation_chans.bdf", "BDF/test_bdf_stim_channel.bdf", "EDF/chtypes_edf.edf",
            "EDF/subsecond_starttime.edf", "EDF/test_edf_overlapping_annotations.edf",
            "EDF/test_utf8_annotations.edf", "GDF/test_1ch.gdf", "EEGLAB/test_raw.set",
        )
    ),
    *(
        f"ssvep_exo/subject01/record-[{name}"
        for name in ("2012.07.06-19.02.16].gdf", "2012.07.06-19.02.16]_raw.fif", "2012.07.06-19.06.14]_raw.fif")
    ),
    *(f"xdf_examples/{name}.xdf" for name in ("clock_resets", "minimal", "switch_example")),
)  # fmt: skip


def there_and_back(path: Path, folder: Path, formats: tuple[str, ...]) -> None:
    options = ImportOptions(unit="mV" if "ssvep_exo" in str(path) else "")
    original = read_signal(path, options=options)
    counts, said = all_counts(original), in_order(original.description.events)
    import_file(path, folder / "x.bfp", options=options)
    recording = RecordedSignal(folder / "x.bfp")
    np.testing.assert_array_equal(all_counts(recording), counts)
    assert [(e.sample, e.text) for e in recording.description.events if e.text != "BAD_saturated"] == [
        (e.sample, e.text) for e in said
    ]
    for name in formats:
        target = folder / f"y.{name}"
        export_signal(recording, target, to=name)
        back = read_signal(target)
        if name == "edf":
            continue
        np.testing.assert_array_equal(all_counts(back), counts, err_msg=name)
        last = original.description.n_samples - 1  # FIF has no events behind it
        assert sorted((min(s, last), *rest) for s, *rest in told(back.description.events)) == sorted(
            (min(s, last), *rest) for s, *rest in told(recording.description.events)
        ), name
        assert back.description.gaps == original.description.gaps
        assert back.description.rate == original.description.rate


@pytest.mark.parametrize("name", SMALL)
def test_real_recordings_go_there_and_back(shared_data: Data, tmp_path: Path, name: str) -> None:
    there_and_back(shared_data(name), tmp_path, FORMATS)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ALL)
def test_all_real_recordings_go_there_and_back(shared_data: Data, tmp_path: Path, name: str) -> None:
    there_and_back(shared_data(name), tmp_path, FORMATS)
