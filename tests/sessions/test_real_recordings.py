"""Real EEG through the wire gives what its files give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bci.chunks import SignalInfo
from bci.interop import find_runs, read_recording
from bci.pipeline import Run, score_cued, train
from bci.sessions.replay import replay_session
from tests.sessions.conftest import finished


def runs_of(folder: Path, subject: str) -> list[Run]:
    runs = []
    for found in find_runs(folder, subject=subject):
        file = read_recording(found.path)
        info = SignalInfo(file.channels, file.rate)
        runs.append(Run.from_array(file.data_uv, info, file.markers))
    return runs


def test_a_played_recording_gives_through_the_wire_what_its_file_gives(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shared_data("mi_openbci")
    demo = finished(tmp_path / "session", recording=folder, subject="S02", live_s=0.0)
    runs = runs_of(folder, "S02")
    score = score_cued(train(runs[:2], labels=("rest", "right")), runs[2:])
    # The board's converter rounds to 0.022 µV, far below what could turn a trial.
    assert demo.summary["balanced_accuracy"] == pytest.approx(score.balanced_accuracy, abs=0.02)
    assert demo.summary["samples_lost"] == 0
    assert demo.summary["link"]["samples"] == sum(run.end_sample - run.first_sample for run in runs)
    assert replay_session(demo.folder).identical


def test_left_against_right_plays_too(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    demo = finished(tmp_path / "session", recording=shared_data("eegmmidb"), live_s=0.0)
    assert demo.summary["what"]["classes"] == ["left", "right"]
    assert demo.summary["what"]["calibration_runs"] == ["R4", "R8"]
    assert 0.0 < demo.summary["balanced_accuracy"] <= 1.0
    assert demo.summary["samples_lost"] == 0
