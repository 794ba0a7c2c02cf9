"""`bci evaluate` and `bci batch` on this project's own recordings: the same figures as through another format."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import mne
import numpy as np
import pytest

from bci.acquisition import Recording
from bci.batch import find_items
from bci.cli import main
from bci.errors import LabelError, RecordingError
from bci.interop import (
    ArraySignal,
    Channel,
    Description,
    RecordedSignal,
    SignalEvent,
    counts_from,
    export_signal,
    find_runs,
    read_recording,
)
from bci.interop._convert import write_bfp
from bci.sessions.offline import read_runs
from bci.sessions.own_recording import longest_stretch, own_runs
from tests.sessions.conftest import Day

FS = 125
NAMES = ("C3", "Cz", "C4")
FEW = ("--channels", "FC1,FC5,C3,Cz,C4,CP1", "--cued-only", "--json")


@pytest.fixture(scope="module")
def calibration(day: Day) -> Path:
    assert day.visit.calibration is not None
    return day.folder.path / day.visit.calibration.recording


@pytest.fixture(scope="module")
def exported(calibration: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The blocks of the calibration as files of another format, one a run."""
    folder = tmp_path_factory.mktemp("blocks")
    runs, _ = own_runs(calibration)
    edges = np.cumsum([0.0, *(run.duration_s for run in runs)])
    for number, (start_s, stop_s) in enumerate(pairwise(edges), start=1):
        part = RecordedSignal(calibration, start_s=start_s, stop_s=stop_s)
        export_signal(part, folder / f"P01_R{number}_raw.fif", to="fif")
    return folder


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert main(["evaluate", *words]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    del result["title"]
    return dict(result)


def test_a_guided_calibration_is_evaluated_as_the_files_it_is_exported_to(
    calibration: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = evaluated(capsys, str(calibration), *FEW)
    other = evaluated(capsys, str(exported), *FEW)
    assert own["folds"] == [{"train": ["R2"], "test": ["R1"]}, {"train": ["R1"], "test": ["R2"]}]
    assert other == _about(own)  # decisions alike; probabilities but for the 32 bits that FIF has for a scale
    assert other["cued"]["default"]["balanced_accuracy"] > 0.6  # type: ignore[index]


def _about(value: object) -> object:
    if isinstance(value, dict):
        return {key: _about(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_about(v) for v in value]
    return pytest.approx(value, abs=1e-4) if isinstance(value, float) else value


def test_runs_hold_the_samples_and_cues_that_mne_finds_in_the_exported_files(
    calibration: Path, exported: Path
) -> None:
    runs, classes = own_runs(calibration)
    assert classes == ("rest", "right")
    for number, run in enumerate(runs, start=1):
        raw = mne.io.read_raw_fif(exported / f"P01_R{number}_raw.fif", verbose="error")
        data = np.concatenate([chunk.data_uv for chunk in run.chunks], axis=1)
        np.testing.assert_allclose(raw.get_data(picks="eeg")[:, : data.shape[1]] * 1e6, data, atol=0.02)
        told = [
            (round(a["onset"] * 250), a["description"])
            for a in raw.annotations
            if a["description"] in classes
        ]
        assert told == [(m.sample_index - run.first_sample, m.label) for m in run.markers]
        assert len(told) == 16


def test_a_batch_takes_recordings_like_any_other_file(calibration: Path, tmp_path: Path) -> None:
    lists = tmp_path / "list.csv"
    lists.write_text(f"{calibration},P01\n", encoding="utf-8")
    assert main(["batch", str(lists), str(tmp_path / "out"), *FEW]) == 0
    assert main(["batch", str(calibration), str(tmp_path / "q"), "--task", "quality", "--json"]) == 0
    lines = (tmp_path / "q" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(Recording(calibration).info.channels)


# ---- recordings made for one rule each


def made(
    path: Path, *events: tuple[float, str], seconds: float = 30.0, gap: tuple[int, int] = (0, 0)
) -> Path:
    rng = np.random.default_rng(3)
    n_samples = round(seconds * FS)
    counts, steps = counts_from(10 * rng.standard_normal((3, n_samples)), step=0.02)
    about = Description(
        tuple(Channel(name, step) for name, step in zip(NAMES, steps, strict=True)),
        Fraction(FS),
        float(FS),
        n_samples,
        tuple(SignalEvent(round(at * FS), text, source="host") for at, text in sorted(events)),
        (gap,) if gap[1] else (),
    )
    write_bfp(ArraySignal(path, about, counts), path, source="csv")
    return path


def test_a_run_begins_where_the_board_started_and_needs_a_cue(tmp_path: Path) -> None:
    path = made(
        tmp_path / "x.bfp",
        (2, "right"), (8, "rest"), (10, "EDGE boundary"), (20, "EDGE boundary"), (22, "rest"), (26, "right"),
    )  # fmt: skip
    runs, classes = own_runs(path)
    assert classes == ("rest", "right")
    assert [[(m.sample_index / FS, m.label) for m in run.markers] for run in runs] == [
        [(2, "right"), (8, "rest")],
        [(22, "rest"), (26, "right")],
    ]
    assert [run.duration_s for run in runs] == [10, 10]


def test_a_start_within_a_marked_block_begins_no_run(tmp_path: Path) -> None:
    path = made(
        tmp_path / "x.bfp",
        (0.5, "block"), (2, "right"), (10, "EDGE boundary"), (12, "rest"),
        (20, "EDGE boundary"), (20.5, "block"), (22, "rest"), (26, "right"),
    )  # fmt: skip
    runs, _ = own_runs(path)
    assert [run.duration_s for run in runs] == [20, 10]
    assert [m.label for m in runs[0].markers] == ["right", "rest"]
    assert [chunk.first_sample for chunk in runs[0].chunks if chunk.restart] == [0, 10 * FS]


def test_a_spoilt_trial_is_a_gap_and_no_cue(tmp_path: Path) -> None:
    path = made(tmp_path / "x.bfp", (2, "right"), (8, "rest"), (12, "spoilt"), (20, "rest"))
    (run,), _ = own_runs(path)
    assert [m.sample_index / FS for m in run.markers] == [2, 20]
    there = np.zeros(30 * FS, dtype=bool)
    for chunk in run.chunks:
        there[chunk.first_sample : chunk.end_sample] = True
    assert np.flatnonzero(~there).tolist() == list(range(8 * FS, 13 * FS))


def test_numbers_of_runs_come_from_names_or_are_counted_but_none_comes_twice(tmp_path: Path) -> None:
    cues = ((2, "right"), (8, "rest"))
    (tmp_path / "one").mkdir()
    for name in ("P01_R3", "P01_R5"):
        made(tmp_path / "one" / f"{name}.bfp", *cues)
    assert read_runs(tmp_path / "one")[1] == ["R3", "R5"]
    assert read_runs(tmp_path / "one", runs=("5",))[1] == ["R5"]
    with pytest.raises(RecordingError, match="no run R4; its runs are R3, R5"):
        read_runs(tmp_path / "one", runs=("4",))
    (tmp_path / "two").mkdir()
    made(tmp_path / "two" / "monday.bfp", *cues)
    made(tmp_path / "two" / "tuesday.bfp", *cues, (15, "EDGE boundary"), (17, "rest"), (20, "right"))
    made(tmp_path / "two" / "wednesday.bfp")  # nobody marked anything: left out
    runs, names, _ = read_runs(tmp_path / "two")
    assert names == ["R1", "R2", "R3"]
    assert [run.duration_s for run in runs] == [30, 15, 15]


def test_files_whose_names_do_not_tell_are_different_runs(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.edf").touch()
    assert [(run.run, run.path.stem) for run in find_runs(tmp_path)] == [(1, "first"), (2, "second")]


def test_of_one_recording_in_two_formats_the_own_one_is_taken(tmp_path: Path) -> None:
    for name in ("P01_R1.bfp", "P01_R1.edf", "P01_R2.edf"):
        (tmp_path / name).touch()
    assert [run.path.name for run in find_runs(tmp_path)] == ["P01_R1.bfp", "P01_R2.edf"]
    (item,) = find_items(tmp_path)
    assert [path.name for path in item.files] == ["P01_R1.bfp", "P01_R2.edf"]


def test_without_cues_or_with_others_it_is_said_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="nothing is marked"):
        own_runs(made(tmp_path / "silent.bfp"))
    path = made(tmp_path / "x.bfp", (2, "grasp"), (8, "pause"))
    with pytest.raises(LabelError, match=r"grasp \(1×\), pause \(1×\)"):
        own_runs(path)
    with pytest.raises(LabelError, match="no marker for move=fist"):
        own_runs(path, labels={"move": "fist", "rest": "pause"})
    (run,), classes = own_runs(path, labels={"move": "grasp", "rest": "pause"})
    assert (classes, [m.label for m in run.markers]) == (("move", "rest"), ["move", "rest"])
    with pytest.raises(RecordingError, match="leave the unit"):
        read_runs(path, unit="mV")


def test_one_run_without_a_gap_is_read_as_a_signal_and_others_are_refused(tmp_path: Path) -> None:
    whole = read_recording(made(tmp_path / "x.bfp", (2, "right"), (8, "rest")))
    assert whole.data_uv.shape == (3, 30 * FS)
    assert [(m.sample_index, m.label) for m in whole.markers] == [(2 * FS, "right"), (8 * FS, "rest")]
    two = made(tmp_path / "two.bfp", (2, "right"), (8, "rest"), (10, "EDGE boundary"))
    with pytest.raises(RecordingError, match="2 runs"):
        read_recording(two)
    lost = made(tmp_path / "gap.bfp", (2, "right"), (8, "rest"), gap=(9 * FS, FS))
    with pytest.raises(RecordingError, match="1 gaps"):
        read_recording(lost)
    info, data_uv = longest_stretch(lost)
    assert (info.channels, data_uv.shape) == (NAMES, (3, 20 * FS))


def test_a_part_of_a_recording_has_its_own_samples_and_marks_alone(tmp_path: Path) -> None:
    path = made(tmp_path / "x.bfp", (2, "right"), (8, "rest"), (20, "right"))
    begin = RecordedSignal(path, stop_s=5.0).description
    assert (begin.n_samples, [(e.sample, e.text) for e in begin.events]) == (5 * FS, [(2 * FS, "right")])
    middle = RecordedSignal(path, start_s=5.0, stop_s=10.0).description
    assert (middle.n_samples, [(e.sample, e.text) for e in middle.events]) == (5 * FS, [(3 * FS, "rest")])
