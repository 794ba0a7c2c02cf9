"""What goes wrong on the way: each ends with one plain message, a held hand, and a readable recording."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bci.acquisition import Recording
from bci.acquisition.simulator import SimulatedBoard
from bci.cli import main
from bci.errors import DeviceLostError, DiskFullError
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered
from bci.sessions import demo as demo_module
from bci.sessions.observer import ControlView
from tests.sessions.conftest import Watcher

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


def last_mode(log: Path) -> str:
    return [item for item in read_log(log) if isinstance(item, Entered)][-1].mode


def wait_until(true: Callable[[], bool], what: str, seconds: float = 200.0) -> None:
    """A bounded wait for a state that must come; how long it takes decides nothing."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}"
        time.sleep(0.02)


def test_a_board_unplugged_in_control_stops_the_hand_and_keeps_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards: list[SimulatedBoard] = []

    class Board(SimulatedBoard):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[arg-type]
            boards.append(self)

    class PullsTheCable(Watcher):
        def control(self, view: ControlView) -> None:
            super().control(view)
            if view.live:
                boards[0].unplug()

    monkeypatch.setattr(demo_module, "SimulatedBoard", Board)
    watcher = PullsTheCable()
    folder = tmp_path / "session"
    with pytest.raises(DeviceLostError):
        demo_module.run_demo(demo_module.DemoOptions(output=folder, live_s=8.0), watcher)
    assert last_mode(folder / "events.jsonl") in ("hold", "disarmed", "idle")
    recording = Recording(folder / "recording.bfp")
    assert recording.statistics.samples > 3 * 200 * 250
    # at most what the board drops while this computer stands still
    assert recording.statistics.samples_lost < 250


def start_demo(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bci.cli", "demo", "--output", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def processes_naming(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text in (entry / "cmdline").read_text(errors="replace"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@linux
def test_the_decoder_killed_leaves_the_hand_held_and_no_process_behind(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    log = folder / "events.jsonl"
    demo = start_demo(folder, "--live", "60")
    try:
        wait_until(lambda: log.exists() and '"armed"' in log.read_text(), "the hand armed")
        children = children_of(demo.pid)
        assert len(children) == 2  # board and monitor
    finally:
        demo.kill()
        demo.communicate()
    wait_until(lambda: '"gone"' in log.read_text(), "the monitor noticed")
    wait_until(lambda: not any(map(alive, children)), "board and monitor ended")
    entered = [item for item in read_log(log) if isinstance(item, Entered)]
    held = next(k for k, item in enumerate(entered) if "gone" in item.cause or item.mode == "hold")
    assert all(item.mode in ("hold", "fault") for item in entered[held:])


@linux
def test_ctrl_c_closes_everything_and_keeps_the_recording(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    log = folder / "events.jsonl"
    demo = start_demo(folder, "--live", "60")
    try:
        wait_until(lambda: log.exists() and '"armed"' in log.read_text(), "the hand armed")
        children = children_of(demo.pid)
        demo.send_signal(signal.SIGINT)
        _, err = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 130
    assert "Traceback" not in err
    assert str(folder / "recording.bfp") in err
    assert not any(map(alive, children))
    assert Recording(folder / "recording.bfp").statistics.samples > 0


# ---- bad input: one message that names what came, what was expected and what to do; exit status 2


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.fixture
def out(tmp_path: Path) -> tuple[str, str]:
    return "--output", str(tmp_path / "session")


def test_a_missing_port_is_named(capsys: pytest.CaptureFixture[str], out: tuple[str, str]) -> None:
    assert "/dev/no-such-port" in refused(capsys, "demo", "--port", "/dev/no-such-port", *out)


def test_a_directory_is_no_port(
    capsys: pytest.CaptureFixture[str], out: tuple[str, str], tmp_path: Path
) -> None:
    assert "director" in refused(capsys, "demo", "--port", str(tmp_path), *out)


def test_a_missing_recording_is_named(capsys: pytest.CaptureFixture[str], out: tuple[str, str]) -> None:
    assert "no/such/folder" in refused(capsys, "demo", "--recording", "no/such/folder", *out)


def test_an_empty_folder_says_what_was_expected(
    capsys: pytest.CaptureFixture[str], out: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert ".edf" in refused(capsys, "demo", "--recording", str(tmp_path / "empty"), *out)


def test_an_existing_session_is_never_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "not empty" in refused(capsys, "demo", "--output", str(tmp_path))
    assert (tmp_path / "file").read_text() == "mine"


def test_an_unknown_subject_lists_those_there_are(
    capsys: pytest.CaptureFixture[str], out: tuple[str, str], shared_data: Callable[[str], Path]
) -> None:
    folder = str(shared_data("mi_openbci"))
    assert "S02" in refused(capsys, "demo", "--recording", folder, "--subject", "S99", *out)


def test_a_label_that_is_not_there_lists_those_that_are(
    capsys: pytest.CaptureFixture[str], out: tuple[str, str], shared_data: Callable[[str], Path]
) -> None:
    folder = str(shared_data("mi_openbci"))
    labels = ("--label", "right=No_Such_Marker", "--label", "rest=OVTK_GDF_Tongue")
    message = refused(capsys, "demo", "--recording", folder, "--subject", "S02", *labels, *out)
    assert "No_Such_Marker" in message
    assert "OVTK_GDF_Right" in message


def test_runs_of_two_devices_cannot_be_mixed(
    capsys: pytest.CaptureFixture[str],
    out: tuple[str, str],
    shared_data: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "S01_R1.edf").symlink_to(shared_data("mi_openbci/S02/S02_R1.edf"))
    (mixed / "S01_R2.edf").symlink_to(shared_data("eegmmidb/S001R04.edf"))
    labels = ("--label", "right=OVTK_GDF_Right", "--label", "rest=OVTK_GDF_Tongue")
    message = refused(capsys, "demo", "--recording", str(mixed), *labels, *out)
    assert "S01_R2.edf" in message


def test_too_few_trials_are_counted(
    capsys: pytest.CaptureFixture[str], out: tuple[str, str], shared_data: Callable[[str], Path]
) -> None:
    folder = str(shared_data("mi_openbci"))
    runs = ("--calibrate", "R9", "--control", "R2")
    assert "R1" in refused(capsys, "demo", "--recording", folder, "--subject", "S02", *runs, *out)


def test_a_demonstration_that_would_fill_the_disk_does_not_begin(tmp_path: Path) -> None:
    options = demo_module.DemoOptions(output=tmp_path / "session", free=lambda folder: 1.0)
    with pytest.raises(DiskFullError, match=r"nearly full: 1 MB are free in .*, this recording needs 50 MB"):
        demo_module.run_demo(options)
    assert list((tmp_path / "session").iterdir()) == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no-such"):
        main(["demo", "--debug", "--recording", "no-such", "--output", str(tmp_path / "s")])


def test_json_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    demo = start_demo(tmp_path / "session", "--json", "--live", "0")
    out, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0
    assert json.loads(out)["balanced_accuracy"] > 0.5
