"""Event-related desynchronisation is found where, when and as strong as it was put into a signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import Recording
from bci.chunks import Chunk, Marker, SignalInfo
from bci.pipeline import Run, split_runs
from bci.report.responses import MU_HZ, event_related_power
from tests.report.visits import CHANNELS, FS, KEPT, TASK_S, make_recording, signal_uv

INFO = SignalInfo(CHANNELS, FS)  # type: ignore[arg-type]


def run_of(n_trials: int = 12) -> Run:
    data, cues = signal_uv(n_trials)
    return Run.from_array(data, INFO, [Marker(at, label) for at, label in cues])


def test_power_falls_by_the_share_that_was_taken_away() -> None:
    found = event_related_power([run_of(40)], labels=("rest", "right"), task_s=TASK_S)
    assert found is not None
    at_10 = found.change["right"][CHANNELS.index("C3")][found.frequencies_hz == 10.0][0]
    within = (found.seconds > 0.5) & (found.seconds < TASK_S - 0.5)
    # The rhythm keeps KEPT of its power; noise and the wavelet's width add a little.
    assert at_10[within].mean() == pytest.approx(100 * (KEPT - 1), abs=6)
    assert abs(found.change["rest"][CHANNELS.index("C3")][found.frequencies_hz == 10.0][0].mean()) < 8
    assert np.argmin(found.band("right", MU_HZ)) == CHANNELS.index("C3")
    assert found.trials == {"rest": 20, "right": 20}


def test_the_reference_interval_has_no_change() -> None:
    found = event_related_power([run_of()], labels=("rest", "right"), task_s=TASK_S)
    assert found is not None
    before = (found.seconds >= -1.5) & (found.seconds <= -0.5)
    for change in found.change.values():
        assert change[:, :, before].mean(axis=2) == pytest.approx(0, abs=1e-9)


def test_a_trial_that_touches_a_loss_is_left_out_and_counted() -> None:
    run = run_of()
    (whole,) = run.chunks
    hole = run.markers[3].sample_index + FS
    parts = (
        Chunk(whole.data_uv[:, :hole], 0, restart=True),
        Chunk(whole.data_uv[:, hole + 5 :], hole + 5, lost_before=5),
    )
    found = event_related_power([Run(INFO, parts, run.markers)], labels=("rest", "right"), task_s=TASK_S)
    assert found is not None
    assert (found.trials, found.left_out) == ({"rest": 5, "right": 6}, 1)


def test_a_trial_marked_as_spoilt_is_left_out(tmp_path: Path) -> None:
    make_recording(tmp_path / "r.bfp", spoilt=(2,))
    recording = Recording(tmp_path / "r.bfp")
    found = event_related_power(
        split_runs(recording.info, recording), labels=("rest", "right"), task_s=TASK_S
    )
    assert found is not None
    assert (found.trials, found.left_out) == ({"rest": 6, "right": 5}, 1)


def test_a_faster_board_gives_the_same_picture() -> None:
    data, cues = signal_uv(8)
    fast = np.repeat(data, 4, axis=1)  # 1 kHz; the steps' images lie above 100 Hz
    info = SignalInfo(CHANNELS, 4 * FS)  # type: ignore[arg-type]
    slow = event_related_power(
        [Run.from_array(data, INFO, [Marker(a, n) for a, n in cues])], labels=("rest", "right"), task_s=TASK_S
    )
    quick = event_related_power(
        [Run.from_array(fast, info, [Marker(4 * a, n) for a, n in cues])],
        labels=("rest", "right"),
        task_s=TASK_S,
    )
    assert slow is not None
    assert quick is not None
    assert quick.band("right", MU_HZ)[CHANNELS.index("C3")] == pytest.approx(
        slow.band("right", MU_HZ)[CHANNELS.index("C3")], abs=3
    )


def test_without_a_whole_trial_of_a_class_there_is_nothing() -> None:
    run = run_of(2)
    short = Run(run.info, run.chunks, tuple(m for m in run.markers if m.label == "right"))
    assert event_related_power([short], labels=("rest", "right"), task_s=TASK_S) is None
