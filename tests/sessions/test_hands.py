"""The demonstration with each hand's simulator, with a user's profile, and an operator who respects STOP."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bci.cli import main
from bci.errors import ProfileError
from bci.prosthesis import Profile, Snapshot
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered
from bci.sessions.arming import Operator
from bci.sessions.demo import DemoOptions, run_demo
from bci.sessions.replay import replay_session
from tests.sessions.conftest import Finished, finished


@pytest.mark.nightly
@pytest.mark.parametrize("hand", ["ability", "rh56"])
def test_the_whole_way_with_each_hand_on_its_real_bytes(tmp_path: Path, hand: str) -> None:
    if hand == "rh56":
        pytest.importorskip("pymodbus")
    # Without a part in real time, in which a busy computer may well be too late; that clocks can be changed over is
    # tested with the hands alone.
    done = finished(tmp_path / "session", hand=hand, live_s=0.0)
    assert done.summary["armed"]
    assert done.summary["control"]["hits"] > 0
    # The synthetic wearer blinks and bites; nothing else, and the hand and its link least of all, may hold it.
    assert set(done.summary["control"]["holds"]) <= {"the signal is unlike anything in the calibration"}
    assert done.summary["what"]["hand"] == hand
    assert "socket://" in done.summary["what"]["hand_title"]
    # Of the log: a person is shown a few looks a second only, and a movement faster than life falls between them.
    assert any(item.mode == "moving" for item in read_log(done.folder.events) if isinstance(item, Entered))
    assert any(max(view.hand.position) > 0.5 for view in done.watcher.views)
    assert replay_session(done.folder).difference == ""
    assert done.summary["what"]["hand_title"] in done.folder.report.read_text(encoding="utf-8")


def test_the_default_hand_is_named_in_summary_notes_and_report(demo: Finished) -> None:
    assert demo.summary["what"]["hand"] == "simulated"
    title = demo.summary["what"]["hand_title"]
    assert title in demo.watcher.notes
    assert "simulated hand" in demo.folder.report.read_text(encoding="utf-8")


def test_a_profile_that_maps_nothing_to_the_decoders_class_ends_it_at_once(tmp_path: Path) -> None:
    profile = Profile(intents={"left": "toggle"})
    with pytest.raises(ProfileError, match="maps nothing to right"):
        run_demo(DemoOptions(output=tmp_path / "session", profile=profile))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hand", "hook"], "simulated"),
        (["--profile", "no-such-file.toml"], "name a profile file"),
        (["--budget", "0"], "0.05"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path / "out"), *options]) == 2
    assert words in capsys.readouterr().err


def test_control_knows_hands_of_other_packages_and_asks_for_their_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registered = EntryPoint("hobby", "hobby_servo_hand:HobbyServoHand", "bci.hands")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [registered])
    store = ["--store", str(tmp_path / "store"), "--user", "u-nobody"]
    for options, words in (
        (["--hand", "hook"], "these are known: simulated, ability, rh56, hobby"),
        (["--hand", "hobby"], "say with --hand-port"),
        # the hand is taken as it is
        (["--hand", "hobby", "--hand-port", "socket://127.0.0.1:1"], "u-nobody"),
    ):
        assert main(["control", *store, *options]) == 2
        assert words in capsys.readouterr().err


class Monitor:
    """As much of a monitor as an operator looks at."""

    def __init__(self) -> None:
        self.view = Snapshot(mode="idle")
        self.calls: list[str] = []

    def sync(self) -> Snapshot:
        return self.view

    def arm(self) -> None:
        self.calls.append("arm")

    def disarm(self) -> None:
        self.calls.append("disarm")


def test_an_operator_arms_and_acknowledges_faults_but_never_a_stop() -> None:
    monitor: Any = Monitor()
    operator = Operator(monitor, fs_hz=250.0)
    operator.look(0)
    operator.look(100)  # not yet a second later
    assert monitor.calls == ["arm"]
    monitor.view = Snapshot(mode="fault", cause="no fresh signal")
    operator.look(250)
    assert monitor.calls == ["arm", "disarm", "arm"]
    assert operator.rearmed == 1
    monitor.view = Snapshot(mode="fault", cause="STOP was pressed", stopped=True)
    for sample in range(500, 5000, 250):
        operator.look(sample)
    monitor.view = Snapshot(mode="idle")
    operator.look(6000)
    assert len(monitor.calls) == 3
    assert operator.stopped
    assert operator.refusal == "STOP was pressed"


def test_the_expected_hit_rate_is_stated_before_the_hand_is_armed(demo: Finished) -> None:
    (note,) = [note for note in demo.watcher.notes if "expected to follow" in note]
    assert note.startswith("at most 1 false movements a minute")
    assert f"{demo.summary['calibration']['expected_hit_rate']:.0%}" in note
