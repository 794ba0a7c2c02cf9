"""What programs that were not written here read in our files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import edfio
import mne
import mne_bids
import numpy as np
import pyedflib
import pytest
import pyxdf

from bci.interop import ArraySignal, ExportOptions, export_signal
from tests.interop.signals import GAP, NAMES, STEP, about, counts_of, known

ASCII = ["Fz", "C3", "Cz", "C4", "EMG __", "EOG EOG_"]
UV = counts_of() * STEP


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for name in ("bdf", "edf", "xdf", "fif", "csv"):
        export_signal(known(), folder / f"x.{name}", to=name)
    export_signal(known(), folder / "ds", to="bids", options=ExportOptions(subject="07", task="grasp"))
    return folder


def texts(onsets: object, durations: object, words: object) -> set[tuple[float, float, str]]:
    rows = zip(onsets, durations, words, strict=True)  # type: ignore[call-overload]
    return {(round(float(a), 4), round(float(b or 0), 4), str(c)) for a, b, c in rows}


EXPECTED = {
    (0.4, 0.0, "左手抓握"),
    (2.0, 1.0, "right"),
    (2.8, 0.52, "BAD_ACQ_SKIP"),
    (6.0, 0.0, "EDGE boundary"),
}

# ---- BDF+ and EDF+ ----


def test_edfio_reads_the_codes_bit_for_bit(made: Path) -> None:
    bdf = edfio.read_bdf(made / "x.bdf")
    assert [signal.label for signal in bdf.signals] == ASCII
    for signal, row in zip(bdf.signals, counts_of(), strict=True):
        np.testing.assert_array_equal(signal.digital[:2100], row)
        assert signal.digital_range == (-(1 << 23), (1 << 23) - 1)
        assert signal.physical_dimension == "uV"
        assert (signal.physical_max - signal.physical_min) / (2**24 - 1) == pytest.approx(STEP, rel=1e-6)
        assert signal.sampling_frequency == 250.0
    found = texts(*zip(*bdf.annotations, strict=True))
    assert found >= EXPECTED | {(3.6, 0.24, "BAD_lead_off@@C3")}
    assert (8.4, 0.6, "BAD_ACQ_SKIP") in found  # what fills up the last data record
    assert bdf.signals[1].transducer_type == "EEG electrode, reference A1, 12.0 kOhm"
    assert (bdf.patient.code, bdf.patient.name, bdf.patient.sex) == ("X", "X", "X")
    assert bdf.recording.equipment_code == "EEG_board_1.2"
    stated = json.loads(bdf.annotations[0].text.removeprefix("bci-hand "))
    assert stated["measured_hz"] == 250.0171
    assert (made / "x.bdf").read_bytes()[168:184] == b"01.01.8500.00.00"


def test_edflib_reads_the_codes_bit_for_bit(made: Path) -> None:
    with pyedflib.EdfReader(str(made / "x.bdf")) as bdf:  # it refuses what breaks the standard
        assert bdf.filetype == pyedflib.FILETYPE_BDFPLUS
        assert bdf.getSignalLabels() == ASCII
        for k, row in enumerate(counts_of()):
            np.testing.assert_array_equal(bdf.readSignal(k, digital=True)[:2100], row)
            np.testing.assert_allclose(bdf.readSignal(k)[:2100], UV[k], atol=STEP)
        assert texts(*bdf.readAnnotations()) >= {(0.4, -1.0, "左手抓握"), (2.8, 0.52, "BAD_ACQ_SKIP")}
    with pyedflib.EdfReader(str(made / "x.edf")) as edf:
        assert edf.filetype == pyedflib.FILETYPE_EDFPLUS
        for k in range(6):
            step = (edf.getPhysicalMaximum(k) - edf.getPhysicalMinimum(k)) / 65535
            # the range has eight characters
            np.testing.assert_allclose(edf.readSignal(k)[:2100], UV[k], atol=0.6 * step)


def test_mne_reads_microvolts_gaps_and_channels_of_findings(made: Path) -> None:
    raw = mne.io.read_raw_bdf(made / "x.bdf", verbose="ERROR")
    np.testing.assert_allclose(raw.get_data()[:4, :2100] * 1e6, UV[:4], atol=STEP)
    assert raw.info["sfreq"] == 250.0
    notes = {str(a["description"]): a for a in raw.annotations}
    assert notes["BAD_lead_off"]["ch_names"] == ("C3",)
    assert texts(raw.annotations.onset, raw.annotations.duration, raw.annotations.description) >= EXPECTED


@pytest.mark.parametrize("rate", ["125", "250/3", "500", "1000", "16000", "128/1", "1000/7", "99999/1000"])
def test_rates_that_fill_no_whole_second_are_stated_to_a_millionth(tmp_path: Path, rate: str) -> None:
    from dataclasses import replace
    from fractions import Fraction

    signal = ArraySignal(Path("x"), replace(about(), rate=Fraction(rate)), counts_of())
    export_signal(signal, tmp_path / "x.bdf", to="bdf")
    bdf = edfio.read_bdf(tmp_path / "x.bdf")
    assert bdf.signals[0].sampling_frequency == pytest.approx(float(Fraction(rate)), rel=1e-6)
    np.testing.assert_array_equal(bdf.signals[0].digital[:2100], counts_of()[0])


# ---- XDF ----


def test_pyxdf_reads_values_markers_and_applies_the_clock_offsets(made: Path) -> None:
    streams, header = pyxdf.load_xdf(made / "x.xdf")
    assert header["info"]["version"] == ["1.0"]
    eeg, markers, everything = streams
    assert eeg["info"]["channel_format"] == ["double64"]
    np.testing.assert_array_equal(np.rint(eeg["time_series"].T / STEP), counts_of())
    channels = eeg["info"]["desc"][0]["channels"][0]["channel"]
    assert [c["label"][0] for c in channels] == list(NAMES)
    assert {c["unit"][0] for c in channels} == {"microvolts"}
    assert [c["type"][0] for c in channels] == ["EEG"] * 4 + ["EMG", "EOG"]
    assert eeg["info"]["effective_srate"] == pytest.approx(250.0171, rel=1e-7)
    assert len(eeg["clock_times"]) >= 2
    assert eeg["info"]["segments"] == [(0, 2099)]
    assert [row[0] for row in markers["time_series"]][-2:] == ["right", "end"]
    k = [row[0] for row in markers["time_series"]].index("right")
    assert markers["time_stamps"][k] - eeg["time_stamps"][0] == pytest.approx(500 / 250.0171, abs=1e-6)
    assert ["BAD_lead_off", "0.24", "0", "C3"] in everything["time_series"]
    footer = eeg["footer"]["info"]
    assert footer["sample_count"] == ["2100"]


def test_pyxdf_without_clock_offsets_sees_the_nominal_rate(made: Path) -> None:
    streams, _ = pyxdf.load_xdf(made / "x.xdf", synchronize_clocks=False)
    assert streams[0]["info"]["effective_srate"] == pytest.approx(250.0)


# ---- FIF, CSV ----


def test_mne_reads_the_fif_within_a_step(made: Path) -> None:
    raw = mne.io.read_raw_fif(made / "x.fif", verbose="ERROR")
    np.testing.assert_allclose(raw.get_data() * 1e6, UV, atol=STEP)
    assert raw.info["sfreq"] == pytest.approx(250.0171, rel=1e-6)
    assert raw.get_channel_types() == ["eeg"] * 4 + ["emg", "eog"]
    assert raw.info["device_info"]["model"] == "EEG board 1.2"
    assert raw.info["meas_date"] is None
    skip = raw.annotations[raw.annotations.description == "BAD_ACQ_SKIP"]
    assert (skip.onset[0] * raw.info["sfreq"], skip.duration[0] * raw.info["sfreq"]) == pytest.approx(
        GAP, abs=0.1
    )


def test_ten_lines_of_python_read_the_csv(made: Path) -> None:
    with (made / "x.csv").open(encoding="utf-8", newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    rows = list(csv.reader(lines))
    head, rows = rows[0], rows[1:]
    assert head[:3] == ["sample", "time_s", "Fz [count]"]
    assert head[-2:] == ["EOG左 [µV]", "event"]
    np.testing.assert_array_equal(np.array([r[2:8] for r in rows], np.int64).T, counts_of())
    np.testing.assert_allclose(np.array([r[8:14] for r in rows], float).T, UV, atol=STEP / 100)
    np.testing.assert_allclose([float(r[1]) for r in rows], np.arange(2100) / 250.0171, atol=6e-7)
    assert rows[500][-1].startswith("right|0.9999")  # of the computer's seconds
    assert "左手抓握" in rows[100][-1].split(";")


# ---- BIDS ----


def test_the_official_validator_finds_no_error_in_the_data_set(made: Path) -> None:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    validator = shutil.which("bids-validator-deno", path=places)
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [validator, "--format", "json", str(made / "ds")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert done.returncode == 0


def test_mne_bids_reads_the_data_set(made: Path) -> None:
    path = mne_bids.BIDSPath(root=made / "ds", subject="07", task="grasp", datatype="eeg")
    raw = mne_bids.read_raw_bids(path, verbose="ERROR")
    np.testing.assert_allclose(raw.get_data()[:4, :2100] * 1e6, UV[:4], atol=STEP)
    assert raw.ch_names == ASCII
    assert raw.get_channel_types() == ["eeg"] * 4 + ["emg", "eog"]
    assert {"左手抓握", "right", "BAD_ACQ_SKIP"} <= set(raw.annotations.description)
    positions = raw.get_montage().get_positions()["ch_pos"]
    assert np.isfinite(positions["C3"]).all()


def test_sidecars_say_what_the_signal_file_cannot(made: Path) -> None:
    folder = made / "ds" / "sub-07" / "eeg"
    said = json.loads((folder / "sub-07_task-grasp_eeg.json").read_text(encoding="utf-8"))
    assert (said["EEGReference"], said["ManufacturersModelName"]) == ("A1", "EEG board 1.2")
    assert (said["SamplingFrequency"], said["SamplingFrequencyMeasured"], said["SamplesLost"]) == (
        250.0,
        250.0171,
        130,
    )
    assert said["EEGPlacementScheme"] == "10-05"
    places = json.loads((folder / "sub-07_space-CapTrak_coordsystem.json").read_text(encoding="utf-8"))
    assert "nobody measured them" in places["EEGCoordinateSystemDescription"]
    with (folder / "sub-07_task-grasp_events.tsv").open(encoding="utf-8-sig") as file:
        events = {row["trial_type"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert (events["right"]["value"], events["right"]["duration"], events["right"]["sample"]) == (
        "770",
        "1.0",
        "500",
    )
    with (folder / "sub-07_space-CapTrak_electrodes.tsv").open(encoding="utf-8-sig") as file:
        ohms = {row["name"]: row["impedance"] for row in csv.DictReader(file, delimiter="\t")}
    assert (ohms["C3"], ohms["Cz"]) == ("12", "n/a")
    with (folder / "sub-07_task-grasp_channels.tsv").open(encoding="utf-8-sig") as file:
        channels = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert (channels["C3"]["units"], channels["EOG EOG_"]["type"]) == ("µV", "EOG")
    assert channels["EOG EOG_"]["description"] == "EOG左"
