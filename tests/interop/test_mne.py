"""`Recording.to_mne()` and `from_mne()`."""

from __future__ import annotations

import copy
import pickle
import time
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest

from bci.acquisition import Recording
from bci.errors import ExportError, RecordingError
from bci.interop import (
    ArraySignal,
    ImportOptions,
    RecordedSignal,
    export_signal,
    from_mne,
    read_recording,
    read_signal,
    to_mne,
)
from bci.interop._mne import raw_of
from tests.interop.signals import (
    STEP,
    all_counts,
    counts_of,
    device_recording,
    known,
    known_recording,
    same,
    told,
)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return known_recording(tmp_path / "x.bfp").recording


def test_a_recording_is_a_raw_in_volts_that_is_read_when_asked_for(recording: Recording) -> None:
    raw = recording.to_mne()
    assert not raw.preload
    np.testing.assert_allclose(raw.get_data(), counts_of() * STEP * 1e-6, rtol=1e-12)
    assert raw.info["sfreq"] == pytest.approx(250.0171, rel=1e-9)
    assert recording.to_mne(rate="nominal").info["sfreq"] == 250.0
    assert raw.get_channel_types() == ["eeg"] * 4 + ["emg", "eog"]
    assert raw.info["device_info"]["model"] == "EEG board 1.2"
    assert raw.info["meas_date"] is None
    assert recording.to_mne(keep_date=True).info["meas_date"].isoformat() == "2024-02-29T12:30:15+00:00"
    with pytest.raises(ValueError, match="measured"):
        recording.to_mne(rate="best")


def test_any_stretch_in_any_order_is_what_the_whole_holds(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bci.acquisition.recording.BLOCK_BYTES", 1500)
    monkeypatch.setattr("bci.acquisition.recording.ENTRY_BYTES", 4000)
    raw, whole = to_mne(recording), counts_of()
    for start, stop in [
        (0, 10),
        (700, 900),
        (2000, 2100),
        (5, 6),
        (690, 710),
        (820, 831),
        (1499, 1502),
        (0, 2100),
    ]:
        found = np.rint(raw[:, start:stop][0] * 1e6 / STEP)
        np.testing.assert_array_equal(found, whole[:, start:stop], err_msg=f"{start}:{stop}")
    np.testing.assert_array_equal(np.rint(raw[[3, 1], 100:2000][0] * 1e6 / STEP), whole[[3, 1], 100:2000])


def test_little_of_a_long_recording_is_read_for_a_stretch(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bci.acquisition.recording.BLOCK_BYTES", 1000)
    monkeypatch.setattr("bci.acquisition.recording.ENTRY_BYTES", 4000)
    raw = to_mne(recording)
    raw[:, :]  # every few kilobytes a place is remembered
    read: list[int] = []
    blocks = Recording.blocks

    def counted(self: Recording, start: int = 0):  # type: ignore[no-untyped-def]
        for block in blocks(self, start):
            read.append(len(block))
            yield block

    monkeypatch.setattr(Recording, "blocks", counted)
    raw[:, 1800:1810]
    assert 0 < sum(read) < 10_000 < recording.path.stat().st_size


def test_findings_gaps_and_edges_are_annotations_that_mne_skips(recording: Recording) -> None:
    raw = to_mne(recording)
    fs = raw.info["sfreq"]
    found = {
        (round(a["onset"] * fs), round(a["duration"] * fs), str(a["description"]), a["ch_names"])
        for a in raw.annotations
    }
    assert found >= {
        (700, 130, "BAD_ACQ_SKIP", ()),
        (900, 60, "BAD_lead_off", ("C3",)),
        (300, 10, "BAD_saturated", ("C3",)),
        (1500, 0, "EDGE boundary", ()),
        (100, 0, "左手抓握", ()),
        (500, 250, "right", ()),
    }
    loaded = raw.copy().load_data()
    filtered = loaded.copy().filter(1, 40, skip_by_annotation=("edge", "bad_acq_skip"), verbose="ERROR")
    np.testing.assert_array_equal(filtered[0, 700:830][0], loaded[0, 700:830][0])
    assert not np.array_equal(filtered[0, 1000:1100][0], loaded[0, 1000:1100][0])


def test_electrodes_have_their_standard_places(recording: Recording) -> None:
    raw = to_mne(recording)
    name = "colin27_1005" if "colin27_1005" in mne.channels.get_builtin_montages() else "standard_1005"
    there = mne.channels.make_standard_montage(name).get_positions()["ch_pos"]["C3"]
    here = raw.get_montage().get_positions()["ch_pos"]["C3"]
    assert np.linalg.norm(there) == pytest.approx(np.linalg.norm(here), rel=0.5)
    assert here[0] < 0  # the left
    assert np.isnan(raw.info["chs"][4]["loc"][:3]).all()  # not known to the 10-05 system


def test_a_raw_can_be_copied_pickled_cropped_and_saved(recording: Recording, tmp_path: Path) -> None:
    raw = to_mne(recording)
    raw[:, :]  # whoever has read already
    for other in (raw.copy(), copy.deepcopy(raw), pickle.loads(pickle.dumps(raw))):  # noqa: S301
        np.testing.assert_array_equal(other.get_data(stop=50), raw.get_data(stop=50))
    crop = raw.copy().crop(2.0, 4.0)
    np.testing.assert_array_equal(
        np.rint(crop.get_data() * 1e6 / STEP), counts_of()[:, 500 : 500 + crop.n_times]
    )
    raw.copy().drop_channels(["左手", "EOG左"]).save(tmp_path / "x_raw.fif", verbose="ERROR")
    back = mne.io.read_raw_fif(tmp_path / "x_raw.fif", verbose="ERROR")
    np.testing.assert_array_equal(np.rint(back.get_data() * 1e6 / STEP), counts_of()[:4])


def test_there_and_back_through_mne_nothing_is_lost(recording: Recording, tmp_path: Path) -> None:
    back = from_mne(to_mne(recording), tmp_path / "y.bfp")
    assert isinstance(back, Recording)
    signal = RecordedSignal(back)
    same(signal.description, known().description)
    np.testing.assert_array_equal(all_counts(signal), counts_of())
    with pytest.raises(ExportError, match="exists already"):
        from_mne(to_mne(recording), tmp_path / "y.bfp")
    from_mne(to_mne(recording), tmp_path / "y.bfp", force=True)


def test_a_recording_of_a_board_goes_through_mne(tmp_path: Path) -> None:
    first = device_recording(tmp_path / "x.bfp")
    back = from_mne(first.to_mne(), tmp_path / "y.bfp")
    a, b = RecordedSignal(first), RecordedSignal(back)
    np.testing.assert_array_equal(all_counts(a), all_counts(b))
    assert told(a.description.events) == told(b.description.events)


def test_any_raw_becomes_a_recording_within_half_a_step(tmp_path: Path) -> None:
    info = mne.create_info(["FP1", "C3", "EOG1", "STI 014"], 200.0, ["eeg", "eeg", "eog", "stim"])
    data = np.random.default_rng(0).normal(0, 30e-6, (4, 1000))
    data[3] = 0
    data[3, 100:110] = 5
    data[0, 500] = 150e-6
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    signal = RecordedSignal(from_mne(raw, tmp_path / "x.bfp"))
    about = signal.description
    assert [(c.name, c.kind) for c in about.channels] == [("Fp1", "eeg"), ("C3", "eeg"), ("EOG1", "eog")]
    np.testing.assert_allclose(
        all_counts(signal) * about.steps, data[:3] * 1e6, atol=0.51 * about.steps.max()
    )
    assert about.steps.max() < 2e-5  # 24 bits of the largest value
    # nothing is called saturated: the ends of 24 bits stay free
    assert [(e.sample, e.text) for e in about.events] == [(100, "5")]


def test_triggers_count_where_annotations_only_judge_the_signal(tmp_path: Path) -> None:
    info = mne.create_info(["C3", "AccX", "STI 014"], 200.0, ["eeg", "misc", "stim"])
    data = np.random.default_rng(0).normal(0, 30e-6, (3, 1000))
    data[2] = 0
    data[2, 300:310], data[2, 700:710] = 7, 9
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["BAD_blink"]))
    path = tmp_path / "x_raw.fif"
    raw.save(path, verbose="ERROR")
    signal = read_signal(path, options=ImportOptions(aux=True))
    assert [(e.sample, e.text, e.code) for e in signal.description.events] == [
        (200, "BAD_blink", 0),
        (300, "7", 7),
        (700, "9", 9),
    ]
    assert [(c.name, c.kind, c.unit) for c in signal.description.channels] == [
        ("C3", "eeg", "uV"),
        ("AccX", "misc", "n/a"),
    ]
    found = read_recording(path, labels={"left": "7", "right": "9"}).markers
    assert [(m.sample_index, m.label) for m in found] == [(300, "left"), (700, "right")]
    for name in ("bdf", "edf", "xdf", "fif", "csv"):  # a foreign file goes out as it came in
        made = export_signal(signal, tmp_path / f"y.{name}", to=name)
        again = read_signal(made.path).description
        assert [(e.sample, e.text) for e in again.events] == [(200, "BAD_blink"), (300, "7"), (700, "9")]
        assert [(c.name, c.kind, c.unit) for c in again.channels][1] == ("AccX", "misc", "n/a")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_date_without_a_zone_is_the_same_on_every_computer(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    if hasattr(time, "tzset"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
    plain = replace(known().description, started="2024-02-29T12:30:00")
    raw = raw_of(ArraySignal(Path("x.bfp"), plain, known().counts), keep_date=True)
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()
    assert raw.info["meas_date"].isoformat() == "2024-02-29T12:30:00+00:00"


def test_what_cannot_become_a_recording_is_refused(tmp_path: Path) -> None:
    info = mne.create_info(["C3"], 200.0, "eeg")
    broken = mne.io.RawArray(np.full((1, 500), np.nan), info, verbose="ERROR")
    with pytest.raises(RecordingError, match="NaN"):
        from_mne(broken, tmp_path / "x.bfp")
    with pytest.raises(RecordingError, match="no EEG channel"):
        from_mne(
            mne.io.RawArray(np.zeros((1, 500)), mne.create_info(["a"], 200.0, "stim"), verbose="ERROR"),
            tmp_path / "x.bfp",
        )
    assert list(tmp_path.iterdir()) == []
