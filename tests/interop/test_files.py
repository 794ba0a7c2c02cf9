"""Recordings of other systems arrive in µV with named cues, or with a reason why not."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest

from bci.errors import LabelError, MontageMismatchError, RecordingError
from bci.interop import RecordedSignal, SignalFile, export_signal, parse_labels, read_recording
from bci.interop._mne import load_with_mne
from tests.interop.signals import device_recording

Data = Callable[[str], Path]


def classes(run: SignalFile) -> Counter[str]:
    return Counter(marker.label for marker in run.markers)


def raw_of(
    uv: np.ndarray, names: list[str], markers: list[tuple[float, str]], fs: float = 100.0
) -> mne.io.RawArray:
    raw = mne.io.RawArray(uv * 1e-6, mne.create_info(names, fs, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations([t for t, _ in markers], 0.5, [text for _, text in markers]))
    return raw


@pytest.fixture
def signal() -> np.ndarray:
    return np.round(np.random.default_rng(0).normal(0, 10, (3, 1000)), 1)


CUES = [(1.0, "769"), (3.0, "770"), (5.5, "769")]


# ---- real sets ----


def test_a_blank_edf_dimension_is_microvolts_not_volts(shared_data: Data) -> None:
    run = read_recording(shared_data("mi_openbci/S02/S02_R1.edf"))
    assert (run.fs_hz, run.data_uv.shape, run.unit) == (125.0, (15, 55875), "uV")
    assert run.channels[:3] == ("Pz", "Cz", "T6")
    assert 3 < np.median(run.data_uv.std(axis=1)) < 30
    assert classes(run) == {"right": 20, "rest": 20}
    assert run.data_uv.flags.f_contiguous


def test_the_numbers_of_an_edf_file_are_those_stored_in_it(shared_data: Data) -> None:
    edfio = pytest.importorskip("edfio")
    path = shared_data("mi_openbci/S02/S02_R1.edf")
    stored = edfio.read_edf(path)
    np.testing.assert_allclose(read_recording(path).data_uv[1], stored.signals[1].data, atol=1e-6)


def test_physionet_names_lose_their_dots_and_the_run_says_what_t1_means(shared_data: Data) -> None:
    run = read_recording(shared_data("eegmmidb/S001R04.edf"))
    assert {"FC5", "C3", "Cz", "C4", "Fp1", "Iz"} <= set(run.channels)
    assert (run.fs_hz, len(run.channels)) == (160.0, 64)
    assert classes(run) == {"left": 8, "right": 7}
    first = run.markers[0]
    assert (first.label, first.code) == ("right", run.classes.index("right") + 1)
    assert first.sample_index == round(4.2 * 160)


def test_labels_of_ones_own_replace_the_known_ones(shared_data: Data) -> None:
    run = read_recording(shared_data("eegmmidb/S001R04.edf"), labels={"rest": "T0", "move": "T2"})
    assert classes(run) == {"rest": 15, "move": 7}
    assert {marker.code for marker in run.markers} == {1, 2}


def test_an_xdf_without_labels_gets_the_names_of_its_set_and_unused_inputs_are_gone(
    shared_data: Data,
) -> None:
    run = read_recording(shared_data("tau_mi_xdf/subT_003.xdf"))
    assert run.channels == ("C3", "C4", "Cz", "FC1", "FC2", "FC5", "FC6", "CP1", "CP2", "CP5", "CP6")
    assert classes(run) == {"rest": 10, "left": 10, "right": 10}
    assert run.fs_hz == 125.0
    # 5 s trials with a cue each: the markers lie on the signal's own time axis
    assert np.diff([marker.sample_index for marker in run.markers]).min() > 5 * 125


def test_an_xdf_with_labels_takes_them_from_its_header(shared_data: Data) -> None:
    run = read_recording(
        shared_data("xdf_examples/switch_example.xdf"), labels={"one": "switch,3,1,2"}, channels=["C3", "C4"]
    )
    assert run.channels == ("C3", "C4")
    assert classes(run) == {"one": 15}


def test_a_gdf_in_the_wrong_unit_is_refused_with_the_right_one_named(shared_data: Data) -> None:
    path = shared_data("ssvep_exo/subject01/record-[2012.07.06-19.02.16].gdf")
    with pytest.raises(RecordingError, match="unit=mV"):
        read_recording(path)
    run = read_recording(path, unit="mV")
    assert classes(run) == {"rest": 8, "13Hz": 8, "21Hz": 8, "17Hz": 8}
    fif = read_recording(
        shared_data("ssvep_exo/subject01/record-[2012.07.06-19.02.16]_raw.fif"),
        unit="mV",
        labels={"rest": "1", "13Hz": "2", "21Hz": "3", "17Hz": "4"},
    )
    np.testing.assert_allclose(run.data_uv, fif.data_uv, atol=1e-3)
    # cues come from the events file beside the FIF; the GDF's from "the light starts" after the announcement
    assert [m.label for m in run.markers] == [m.label for m in fif.markers]


@pytest.mark.parametrize(
    ("name", "needle"),
    [
        ("xdf_examples/clock_resets.xdf", "gap"),
        ("xdf_examples/empty_streams.xdf", "type EEG"),
        ("edf_bdf_reference/EDF/SC4001EC-Hypnogram.edf", "no EEG|no signal"),
        ("mi_openbci/README.md", "suffix"),
        ("mi_openbci", "folder"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_reason(shared_data: Data, name: str, needle: str) -> None:
    with pytest.raises(RecordingError, match=needle):
        read_recording(shared_data(name))


def test_reference_bdf_files_are_read_with_their_trigger_channel(shared_data: Data) -> None:
    run = read_recording(
        shared_data("edf_bdf_reference/BDF/test_bdf_stim_channel.bdf"), labels={"a": "1", "b": "4"}
    )
    assert run.channels == ("C3", "C4", "Cz")
    assert classes(run) == {"a": 7, "b": 1}


# ---- formats written here ----


def test_fif_and_brainvision_give_back_what_was_saved(tmp_path: Path, signal: np.ndarray) -> None:
    raw = raw_of(signal, ["C3", "Cz", "C4"], CUES)
    raw.save(tmp_path / "x_raw.fif", verbose="ERROR")
    run = read_recording(tmp_path / "x_raw.fif")
    np.testing.assert_allclose(run.data_uv, signal, atol=1e-4)
    assert [(m.sample_index, m.label) for m in run.markers] == [(100, "left"), (300, "right"), (550, "left")]

    _write_brainvision(tmp_path, signal)
    run = read_recording(tmp_path / "x.vhdr", labels={"right": "Stimulus/S  7"})
    np.testing.assert_allclose(run.data_uv, signal, atol=0.05)
    assert [(m.sample_index, m.label) for m in run.markers] == [(300, "right")]


def _write_brainvision(folder: Path, uv: np.ndarray) -> None:
    np.rint(uv.T * 10).astype("<i2").tofile(folder / "x.eeg")
    channels = "\n".join(f"Ch{k + 1}={name},,0.1,µV" for k, name in enumerate(["C3", "Cz", "C4"]))
    (folder / "x.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\n"
        "Codepage=UTF-8\nDataFile=x.eeg\n"
        "MarkerFile=x.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=3\n"
        "SamplingInterval=10000\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n[Channel Infos]\n"
        + channels
        + "\n",
        encoding="utf-8",
    )
    (folder / "x.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=x.eeg\n\n"
        "[Marker Infos]\nMk1=Stimulus,S  7,301,1,0\n",
        encoding="utf-8",
    )


def test_a_fif_that_does_not_start_at_sample_0_keeps_its_cues_in_place(
    tmp_path: Path, signal: np.ndarray
) -> None:
    raw_of(signal, ["C3", "Cz", "C4"], CUES).crop(tmin=0.5).save(tmp_path / "x_raw.fif", verbose="ERROR")
    run = read_recording(tmp_path / "x_raw.fif")
    assert [m.sample_index for m in run.markers] == [50, 250, 500]


def test_a_recording_with_skipped_acquisition_is_refused(tmp_path: Path, signal: np.ndarray) -> None:
    raw_of(signal, ["C3", "Cz", "C4"], [*CUES, (7.0, "BAD_ACQ_SKIP")]).save(
        tmp_path / "x_raw.fif", verbose="ERROR"
    )
    with pytest.raises(RecordingError, match="gaps"):
        read_recording(tmp_path / "x_raw.fif")


@pytest.mark.parametrize("name", ["bdf", "edf"])
def test_what_fills_up_the_last_data_record_is_no_gap(tmp_path: Path, name: str) -> None:
    recording = device_recording(tmp_path / "x.bfp")
    ((gap, _),) = RecordedSignal(recording).description.gaps
    part = RecordedSignal(recording, stop_s=(gap - 10) / 250)
    export_signal(part, tmp_path / f"y.{name}", to=name)
    read = load_with_mne(tmp_path / f"y.{name}")
    assert read.numbers.shape[1] == gap - 10 < 500
    assert "BAD_ACQ_SKIP" not in {text for _, text in read.markers}
    within = {"bdf": 1.01, "edf": 129}[name] * part.description.steps.max()
    np.testing.assert_allclose(read.numbers, recording[:].signal_uv()[:, : gap - 10], atol=within)


@pytest.fixture
def edf(tmp_path: Path, signal: np.ndarray) -> Path:
    edfio = pytest.importorskip("edfio")
    signals = [
        edfio.EdfSignal(row, 100, label=name, physical_dimension="uV")
        for row, name in zip(signal, ["EEG C3-Ref", "Cz..", "FP1"], strict=True)
    ]
    annotations = [edfio.EdfAnnotation(onset, None, text) for onset, text in CUES]
    path = tmp_path / "x.edf"
    edfio.Edf(signals, annotations=annotations).write(path)
    return path


def _set_dimension(path: Path, signal_number: int, text: str) -> None:
    raw = bytearray(path.read_bytes())
    n = int(raw[252:256])
    at = 256 + 96 * n + 8 * signal_number
    raw[at : at + 8] = text.encode("latin-1").ljust(8)
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("dimension", "factor"), [("uV", 1), ("", 1), ("mV", 1e3), ("nV", 1e-3), ("\xb5V", 1)]
)
def test_each_edf_channel_is_scaled_by_its_own_dimension(
    edf: Path, signal: np.ndarray, dimension: str, factor: float
) -> None:
    _set_dimension(edf, 1, dimension)
    run = read_recording(edf)
    assert run.channels == ("C3", "Cz", "Fp1")
    np.testing.assert_allclose(run.data_uv[1], signal[1] * factor, atol=0.02 * factor)
    np.testing.assert_allclose(run.data_uv[0], signal[0], atol=0.02)


def test_a_stated_unit_overrules_the_file(edf: Path, signal: np.ndarray) -> None:
    _set_dimension(edf, 1, "mV")
    np.testing.assert_allclose(read_recording(edf, unit="uV").data_uv, signal, atol=0.02)
    with pytest.raises(RecordingError, match=r"changes by .* µV .* unit=.*uV"):
        read_recording(edf, unit="V")
    with pytest.raises(RecordingError, match="furlong"):
        read_recording(edf, unit="furlong")


@pytest.mark.parametrize("keep", [0, 100, 400, 5000])
def test_a_cut_edf_is_refused_wherever_it_was_cut(edf: Path, keep: int) -> None:
    whole = edf.read_bytes()
    assert keep < len(whole)
    edf.write_bytes(whole[:keep])
    with pytest.raises(RecordingError, match=r"cut|empty") as caught:
        read_recording(edf)
    assert caught.value.path == edf


def test_a_cut_xdf_is_refused(shared_data: Data, tmp_path: Path) -> None:
    whole = shared_data("tau_mi_xdf/subT_003.xdf").read_bytes()
    for k, keep in enumerate((10, len(whole) // 2)):
        path = tmp_path / f"cut{k}.xdf"
        path.write_bytes(whole[:keep])
        with pytest.raises(RecordingError, match="cut"):
            read_recording(path)


def test_a_foreign_file_with_a_known_suffix_is_refused(tmp_path: Path) -> None:
    for suffix in (".edf", ".bdf", ".gdf", ".fif", ".xdf", ".vhdr"):
        path = tmp_path / f"notes{suffix}"
        path.write_text("meeting at nine\n" * 50)
        with pytest.raises(RecordingError, match="notes"):
            read_recording(path)


def test_a_discontinuous_edf_is_refused(edf: Path) -> None:
    raw = bytearray(edf.read_bytes())
    raw[192:197] = b"EDF+D"
    edf.write_bytes(raw)
    with pytest.raises(RecordingError, match="discontinuous"):
        read_recording(edf)


# ---- labels and channels ----


def test_missing_labels_are_named_beside_those_that_are_there(edf: Path) -> None:
    with pytest.raises(LabelError, match=r"rest=T0.*769 \(2×\), 770 \(1×\)") as caught:
        read_recording(edf, labels={"left": "769", "rest": "T0"})
    assert set(caught.value.found) == {"769", "770"}


def test_unknown_markers_ask_for_labels_unless_none_are_wanted(tmp_path: Path, signal: np.ndarray) -> None:
    raw_of(signal, ["C3", "Cz", "C4"], [(1.0, "squeeze"), (2.0, "relax")]).save(
        tmp_path / "x_raw.fif", verbose="ERROR"
    )
    with pytest.raises(LabelError, match="relax"):
        read_recording(tmp_path / "x_raw.fif")
    assert read_recording(tmp_path / "x_raw.fif", labels={}).markers == ()


def test_channels_are_chosen_in_the_order_asked_for(edf: Path) -> None:
    whole, two = read_recording(edf), read_recording(edf, channels=["Fp1", "C3"])
    np.testing.assert_array_equal(two.data_uv, whole.data_uv[[2, 0]])
    with pytest.raises(MontageMismatchError, match="O1"):
        read_recording(edf, channels=["O1"])


def test_label_options_are_parsed_and_nonsense_is_refused() -> None:
    assert parse_labels(["right=OVTK_GDF_Right", "odd=a=b"]) == {"right": "OVTK_GDF_Right", "odd": "a=b"}
    for wrong in (["right"], ["=T1"], ["a="], ["a=1", "a=2"]):
        with pytest.raises(LabelError, match="NAME=MARKER"):
            parse_labels(wrong)


def test_reading_leaves_the_file_as_it_was(shared_data: Data, tmp_path: Path) -> None:
    copy = tmp_path / "S02_R1.edf"
    shutil.copyfile(shared_data("mi_openbci/S02/S02_R1.edf"), copy)
    before = copy.read_bytes()
    read_recording(copy)
    assert copy.read_bytes() == before
