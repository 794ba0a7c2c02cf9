"""From a folder of recordings to the arrays a board plays."""

from __future__ import annotations

import dataclasses
import stat
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition.simulator import Played
from bci.acquisition.simulator._signals import PlayedSignal
from bci.chunks import Marker
from bci.errors import LabelError, MontageMismatchError, RateMismatchError, RecordingError
from bci.interop import SignalFile, find_runs, read_recording, write_play_file


def a_run(n: int, *, seed: int = 0, cue: int = 10) -> SignalFile:
    x = np.asfortranarray(np.random.default_rng(seed).normal(0, 10, (2, n)))
    markers = (Marker(cue, "rest", 1), Marker(n - 1, "right", 2))
    return SignalFile(Path(f"r{seed}.edf"), ("C3", "C4"), Fraction(125), x, markers, ("rest", "right"), "uV")


def test_played_runs_are_the_recorded_ones_with_their_cues(tmp_path: Path) -> None:
    runs = [a_run(100), a_run(80, seed=1, cue=0), a_run(60, seed=2)]
    played = PlayedSignal(Played(str(write_play_file(runs, tmp_path / "p.npz"))))
    assert (played.n_runs, played.rate, played.channels) == (3, 125, ("C3", "C4"))
    assert played.labels == {1: "rest", 2: "right"}
    for k, run in enumerate(runs):
        n = run.data_uv.shape[1]
        assert played.run_samples(k) == n
        np.testing.assert_array_equal(played.read(k, 0, n + 50), run.data_uv)
        np.testing.assert_array_equal(played.read(k, 20, 5), run.data_uv[:, 20:25])
        assert played.cues(k) == [(m.sample_index, m.code) for m in run.markers]


def test_a_repeated_recording_begins_again_after_its_last_run(tmp_path: Path) -> None:
    path = str(write_play_file([a_run(100), a_run(80, seed=1)], tmp_path / "p.npz"))
    again = PlayedSignal(Played(path, repeat=True))
    assert again.n_runs is None
    np.testing.assert_array_equal(again.read(3, 0, 80), again.read(1, 0, 80))


def test_a_play_file_belongs_to_its_owner_and_holds_no_pickle(tmp_path: Path) -> None:
    path = write_play_file([a_run(50)], tmp_path / "p.npz")
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == [
            "channels", "data_uv", "event_code", "event_sample", "fs_den", "fs_num", "label_codes",
            "label_names", "run_starts",
        ]  # fmt: skip


def test_runs_that_do_not_belong_together_are_refused_by_name(tmp_path: Path) -> None:
    one, other = a_run(50), a_run(50, seed=1)
    path = tmp_path / "p.npz"
    with pytest.raises(RateMismatchError, match=r"r0\.edf has 125 .* r1\.edf 250"):
        write_play_file([one, dataclasses.replace(other, rate=Fraction(250))], path)
    with pytest.raises(MontageMismatchError, match=r"r1\.edf"):
        write_play_file([one, dataclasses.replace(other, channels=("C3", "Cz"))], path)
    with pytest.raises(LabelError, match=r"r1\.edf"):
        write_play_file([one, dataclasses.replace(other, classes=("left", "right"))], path)
    with pytest.raises(RecordingError, match="no runs"):
        write_play_file([], path)
    wide = dataclasses.replace(one, channels=tuple(f"E{k}" for k in range(65)), data_uv=np.ones((65, 9)))
    with pytest.raises(RecordingError, match="65 channels"):
        write_play_file([wide], path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"subject,run\n"])
def test_a_file_that_is_no_play_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.npz"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="write_play_file"):
        PlayedSignal(Played(str(path)))
    with pytest.raises(RecordingError, match="write_play_file"):
        PlayedSignal(Played(str(tmp_path / "absent.npz")))


# ---- which files are runs ----


def test_runs_of_the_known_layouts_are_found_in_order(shared_data: Callable[[str], Path]) -> None:
    grasp = find_runs(shared_data("mi_openbci"), subject="s02")
    assert [(run.run, run.path.name) for run in grasp] == [(k, f"S02_R{k}.edf") for k in (1, 2, 3, 4)]
    everything = find_runs(shared_data("mi_openbci"), subject="S02", movement=None)
    assert [run.movement for run in everything] == ["executed"] + ["intended"] * 4
    assert [run.run for run in find_runs(shared_data("eegmmidb"))] == [4, 8, 12]
    assert [run.run for run in find_runs(shared_data("eegmmidb"), movement="executed")] == [3, 7, 11]
    assert [run.path.stem for run in find_runs(shared_data("tau_mi_xdf"))] == [
        f"subT_00{k}" for k in (3, 4, 5, 6)
    ]


def test_other_subjects_and_names_of_the_same_layouts_are_found(tmp_path: Path) -> None:
    for name in (
        "S11/S11_R10.edf", "S11/S11_R2.edf", "S12/S12_R1.edf", "S109/S109R04.edf", "Ann/first.fif",
        "sub-01/eeg/sub-01_task-x_run-2_eeg.bdf",
        "sub-01/eeg/sub-01_task-x_run-1_eeg.bdf", "Ann/second.fif", "S12/S12_R1.edf.event",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(subject: str) -> list[str]:
        return [run.path.name for run in find_runs(tmp_path, subject=subject)]

    assert names("S11") == ["S11_R2.edf", "S11_R10.edf"]
    assert names("S12") == ["S12_R1.edf"]
    assert names("S109") == ["S109R04.edf"]
    assert names("sub-01") == ["sub-01_task-x_run-1_eeg.bdf", "sub-01_task-x_run-2_eeg.bdf"]
    assert names("Ann") == ["first.fif", "second.fif"]
    assert [run.subject for run in find_runs(tmp_path / "S12")] == ["S12"]


def test_one_file_is_one_run_and_what_is_missing_is_answered_with_what_is_there(tmp_path: Path) -> None:
    for name in ("S11_R1.edf", "S12_R1.edf"):
        (tmp_path / name).touch()
    assert [run.subject for run in find_runs(tmp_path / "S12_R1.edf")] == ["S12"]
    with pytest.raises(RecordingError, match="S11, S12"):
        find_runs(tmp_path)
    with pytest.raises(RecordingError, match=r"no subject 'S99'.*S11, S12"):
        find_runs(tmp_path, subject="S99")
    with pytest.raises(RecordingError, match="none of executed"):
        find_runs(tmp_path, subject="S11", movement="executed")
    with pytest.raises(RecordingError, match="does not exist"):
        find_runs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match=r"\.edf"):
        find_runs(tmp_path / "empty")


def test_a_subject_goes_from_folder_to_board_within_half_a_step(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise

    files = find_runs(shared_data("mi_openbci"), subject="S03")[:2]
    runs = [read_recording(file.path) for file in files]
    played = PlayedSignal(Played(str(write_play_file(runs, tmp_path / "p.npz"))))
    for k, run in enumerate(runs):
        back = quantise(played.read(k, 0, 10**9)) * UV_PER_COUNT
        assert np.abs(back - run.data_uv).max() <= UV_PER_COUNT / 2 * (1 + 1e-9)


def test_importing_interop_loads_no_reader() -> None:
    code = (
        "import sys, bci.interop; print([m for m in ('mne', 'pyxdf', 'scipy', 'serial') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
