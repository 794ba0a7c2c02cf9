"""The whole way once, on synthetic EEG."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bci.acquisition import Recording
from bci.pipeline import load_model
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered
from bci.sessions.replay import replay_session
from tests.sessions.conftest import Finished, finished


def test_an_able_wearer_is_decoded_above_chance_and_below_perfection(demo: Finished) -> None:
    assert 0.75 <= demo.summary["balanced_accuracy"] <= 0.95
    low, high = demo.summary["cued"]["interval_95"]
    assert 0.5 < low < demo.summary["balanced_accuracy"] < high <= 1.0


def test_the_summary_has_the_numbers_programs_read_at_its_top(demo: Finished) -> None:
    names = ("balanced_accuracy", "balanced_accuracy_motor", "samples_lost")
    for name in (*names, "false_movements_per_min", "latency_ms_median"):
        assert isinstance(demo.summary[name], int | float), name


def test_nothing_is_lost_on_the_way(demo: Finished) -> None:
    """But what the board itself drops in the live part, where this computer stands still for most of a second."""
    link, statistics = demo.summary["link"], Recording(demo.folder.recording).statistics
    assert demo.summary["samples_lost"] == statistics.samples_lost == statistics.samples_lost_device
    assert link["faults"] == 0
    assert link["samples"] > 4 * 200 * 250  # four runs of some 280 s at 250 Hz


def test_the_armed_hand_moves_when_asked_more_often_than_at_random(demo: Finished) -> None:
    control = demo.summary["control"]
    assert demo.summary["armed"]
    assert control["hits"] > 0
    assert control["hit_rate"] > control["blind_hit_rate"]
    assert control["idle_minutes"] > 5


def test_the_hand_moved_and_the_live_part_was_live(demo: Finished) -> None:
    # Of the log: a person is shown a few looks a second only, and a movement faster than life falls between them.
    assert any(item.mode == "moving" for item in read_log(demo.folder.events) if isinstance(item, Entered))
    assert any(view.live for view in demo.watcher.views)
    assert demo.summary["speed"]["decisions"] >= 10
    assert set(demo.watcher.views[-1].quality) == set(demo.summary["what"]["channels"])


def test_stages_come_in_order(demo: Finished) -> None:
    assert demo.watcher.stages == ["prepare", "calibrate", "train", "control", "report"]


def test_replay_gives_the_same_decisions_intents_and_commands_bit_for_bit(demo: Finished) -> None:
    found = replay_session(demo.folder)
    assert found.difference == ""
    assert found.predictions > 5_000
    assert found.intents > 0
    assert found.commands > 10_000


def test_replay_notices_a_single_changed_digit(demo: Finished, tmp_path: Path) -> None:
    for file in demo.folder.path.iterdir():
        (tmp_path / file.name).symlink_to(file)
    decisions = tmp_path / "decisions.jsonl"
    text = demo.folder.decisions.read_text(encoding="utf-8")
    decisions.unlink()
    decisions.write_text(text.replace("0.5", "0.6", 1) if "0.5" in text else text[:-3], encoding="utf-8")
    changed = type(demo.folder)(tmp_path)
    assert not replay_session(changed).identical


def test_the_recording_is_whole_and_holds_all_four_runs(demo: Finished) -> None:
    recording = Recording(demo.folder.recording)
    assert recording.info.channels == tuple(demo.summary["what"]["channels"])
    assert sum(chunk.restart for chunk in recording) == 4
    assert sum(chunk.n_samples for chunk in recording) == demo.summary["link"]["samples"]


def test_the_model_file_loads_and_names_its_classes(demo: Finished) -> None:
    assert load_model(demo.folder.model).classes == ("rest", "right")


@pytest.mark.skipif(os.name == "nt", reason="Windows has access lists instead of permission bits")
def test_everything_that_stays_is_readable_by_its_owner_only(demo: Finished) -> None:
    for file in demo.folder.path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_the_report_stands_alone_and_shows_the_figures(demo: Finished) -> None:
    html = demo.folder.report.read_text(encoding="utf-8")
    assert len(html.encode()) < 2_000_000
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert f"{demo.summary['balanced_accuracy']:.2f}" in html
    assert html.count("data:image/svg+xml") == 5


def test_without_intent_decoding_ends_at_chance_and_the_hand_refuses_to_arm(tmp_path: Path) -> None:
    nobody = finished(tmp_path / "session", intent=0.0, live_s=0.0)
    low, high = nobody.summary["cued"]["interval_95"]
    assert low <= 0.5 <= high or nobody.summary["balanced_accuracy"] < 0.5
    assert not nobody.summary["armed"]
    assert nobody.summary["refusal"]
    assert nobody.summary["control"]["hits"] == 0
    assert not any(view.hand.mode == "moving" for view in nobody.watcher.views)
    assert any("refuses to arm" in note for note in nobody.watcher.notes)
