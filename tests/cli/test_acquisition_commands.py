"""`bci ports`, `doctor`, `record`, `recover`, `simulate` as a user types them, with good and with bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bci.acquisition import Recording
from bci.acquisition._serial import PortEntry
from bci.acquisition.doctor import Finding
from bci.cli import main
from bci.cli._fault_options import parse_fault
from tests.acquisition.boards import port_board
from tests.acquisition.test_recording import recorded, signal

needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")


def one_sentence(text: str) -> None:
    assert "Traceback" not in text
    assert 1 <= len([line for line in text.splitlines() if line.strip()]) <= 4


# ---- record ----


@needs_pty
def test_record_makes_a_recording_with_markers_and_says_how_long_the_disk_lasts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    os.write(write, b"g\nelectrode gelled\n")
    monkeypatch.setattr("sys.stdin", os.fdopen(read))
    path = tmp_path / "x.bfp"
    with port_board(rate_hz=250) as board:
        arguments = ["record", str(path), "--port", board.url, "--seconds", "0.6", "--mark", "g=grasp"]
        assert main([*arguments, "--note", "test"]) == 0
    os.close(write)
    said = capsys.readouterr().err
    assert "the disk has room for" in said
    assert "hours" in said
    recording = Recording(path)
    assert recording.statistics.samples > 50
    assert recording.statistics.samples_lost == 0
    assert [marker.label for marker in recording.markers] == ["grasp", "electrode gelled"]
    assert recording.markers[0].code == ord("g")
    assert recording.notes == {"note": "test"}


@needs_pty
def test_record_ends_with_the_reason_when_the_disk_is_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [3000]

    def small_disk(fd: int, data: bytes) -> int:
        if isinstance(data, memoryview):
            if len(data) > room[0]:
                raise OSError(28, "No space left on device")
            room[0] -= len(data)
        return write(fd, data)

    monkeypatch.setattr("bci.acquisition.recorder.os.write", small_disk)
    path = tmp_path / "x.bfp"
    with port_board(rate_hz=1000) as board:
        assert main(["record", str(path), "--port", board.url, "--seconds", "30"]) == 2
    assert "what came before is safe" in capsys.readouterr().err
    assert Recording(path).cut_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x.bfp"], "Missing option '--port'"),
        (["x.bfp", "--port", "/dev/nothing-here"], "there is no port /dev/nothing-here"),
        (["x.bfp", "--port", "."], "is a directory, not a serial port"),
        (["x.bfp", "--port", "magic://x"], "no source is registered for magic://"),
        (["x.bfp", "--port", "p", "--mark", "g"], "--mark takes KEY=NAME"),
        (["x.bfp", "--port", "p", "--code", "one=rest"], "--code takes CODE=NAME"),
        (["x.bfp", "--port", "p", "--dialect", "klingon"], "'klingon' is not one of"),
    ],
)
def test_record_refuses_bad_input_in_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["record", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    one_sentence(said)
    assert list(tmp_path.iterdir()) == []


@needs_pty
def test_record_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.bfp").write_bytes(b"precious")
    with port_board() as board:
        assert main(["record", str(tmp_path / "x.bfp"), "--port", board.url]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "x.bfp").read_bytes() == b"precious"


# ---- recover ----


def test_recover_says_what_was_kept_and_what_was_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.bfp"
    path.write_bytes(recorded(signal())[:-30])
    assert main(["recover", str(path)]) == 0
    said = capsys.readouterr().out
    assert "of a packet that was not finished" in said
    assert "s of signal" in said
    assert Recording(tmp_path / "cut-recovered.bfp").cut_bytes == 0
    assert main(["recover", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["recover", str(path), "--force", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["cut_bytes"] > 0
    assert not result["was_whole"]
    path.write_bytes(recorded(signal()))
    assert main(["recover", str(path), "--output", str(tmp_path / "copy.bfp")]) == 0
    assert "was whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere.bfp", "No such file"), (".", "cannot recover"), ("foreign.bfp", "Nothing can be recovered")],
)
def test_recover_refuses_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign.bfp").write_bytes(b"%PDF-1.7\n" * 100)
    assert main(["recover", name, "--output", "new.bfp"]) == 2
    said = capsys.readouterr().err
    assert says in said
    one_sentence(said)
    assert not (tmp_path / "new.bfp").exists()


# ---- replay of a recording alone ----


def test_replay_plays_a_recording_and_tells_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.bfp"
    path.write_bytes(recorded(signal())[:-30])
    assert main(["replay", str(path)]) == 0
    said = capsys.readouterr().out
    assert "0.200 s  left" in said
    assert "bci recover" in said
    assert main(["replay", str(path), "--speed", "100", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["samples"] > 150
    assert result["restarts"] == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere.bfp", "there is no file"), ("foreign.bfp", "does not begin with a START packet"), (".", "no")],
)
def test_replay_refuses_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foreign.bfp").write_bytes(b"%PDF-1.7\n" * 100)
    assert main(["replay", name]) == 2
    said = capsys.readouterr().err
    assert says in said
    one_sentence(said)


# ---- ports ----


def test_ports_are_listed_with_what_is_known_of_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [PortEntry("/dev/ttyUSB7", "A1B2", "FT231X USB UART", 0x0403, 0x6015), PortEntry("/dev/ttyS0")]
    monkeypatch.setattr("bci.acquisition._serial.list_port_entries", lambda: entries)
    assert main(["ports"]) == 0
    said = capsys.readouterr().out
    assert "USB 0403:6015, FT231X USB UART, serial number A1B2" in said
    assert main(["ports", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["/dev/ttyUSB7", "/dev/ttyS0"]
    monkeypatch.setattr("bci.acquisition._serial.list_port_entries", list)
    assert main(["ports"]) == 3
    assert "No serial port" in capsys.readouterr().err


# ---- doctor ----


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        (["--lang", "en"], "zh_CN.UTF-8", "Another program holds COM9"),
        (["--lang", "zh"], "en_GB.UTF-8", "另一个程序正在使用 COM9"),
        ([], "zh_CN.UTF-8", "另一个程序正在使用 COM9"),
        ([], "C.UTF-8", "Another program holds COM9"),
    ],
)
def test_doctor_speaks_the_language_that_is_asked_for_or_that_of_the_computer(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    environment: str,
    says: str,
) -> None:
    monkeypatch.setenv("LC_ALL", environment)
    held = Finding("held", "problem", {"port": "COM9", "programs": "GUI (12)"})
    monkeypatch.setattr("bci.acquisition.doctor.examine", lambda *a, **k: iter([held]))
    assert main(["doctor", *options]) == 1
    said = capsys.readouterr().out
    assert says in said
    assert "→" in said


@needs_pty
def test_doctor_examines_a_real_port(capsys: pytest.CaptureFixture[str]) -> None:
    with port_board(rate_hz=250) as board:
        code = main(["doctor", "--port", board.url, "--seconds", "1", "--json"])
    findings = {line["finding"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert findings["board"]["n_channels"] == 8
    assert findings["no-loss"]["lost"] == 0
    assert "channels-noisy" in findings  # the test board's signal fills the range
    assert len(findings["channels"]["reports"]) == 8
    assert code == 1


def test_doctor_on_a_port_that_is_not_there_says_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--port", "/dev/nothing-here", "--lang", "en"]) == 1
    said = capsys.readouterr().out
    assert "/dev/nothing-here does not open" in said
    assert "--port" in said
    assert main(["doctor", "--seconds", "0"]) == 2
    one_sentence(capsys.readouterr().err)


# ---- simulate ----


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("reset", {"kind": "reset"}),
        (
            "lose:every_bytes=5000,times=none",
            {"kind": "lose", "every_bytes": 5000.0, "times": None},
        ),
        (
            "lead_off:channels=C3+C4,at_sample=100,seconds=2.5",
            {"kind": "lead_off", "channels": ["C3", "C4"], "at_sample": 100, "seconds": 2.5},
        ),
        ("drift:ppm=-50", {"kind": "drift", "ppm": -50.0}),
    ],
)
def test_faults_are_written_in_words(text: str, fault: dict[str, object]) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fault", "lose:often"], "'often' is no option"),
        (["--fault", "lose:at_byte=soon"], "is no option"),
        (["--fault", "melt"], "no fault 'melt'; there are lose"),
        (["--montage", "C3,Q9"], "no 10-05 position for Q9"),
        (["--montage", "C3,C4", "--dialect", "cyton"], "a Cyton has 8 channels"),
        (["--truth", "."], "--truth takes a file"),
        (["--play", "nowhere.edf"], "nowhere.edf"),
    ],
)
def test_simulate_refuses_bad_input_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--seconds", "0", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    one_sentence(said)


def test_simulate_runs_a_cyton_with_faults_and_writes_the_truth(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    truth = tmp_path / "truth.jsonl"
    arguments = ["--dialect", "cyton", "--fault", "flat:channels=C3", "--truth", str(truth), "--seconds", "0"]
    assert main(["simulate", *arguments]) == 0
    assert capsys.readouterr().out.startswith("cyton://")
    assert json.loads(truth.read_text().splitlines()[0])["fault"] == "flat"


def test_help_of_each_command_starts_without_a_scientific_library() -> None:
    code = (
        "import sys\nfrom bci.cli import main\n"
        "for name in ('record', 'recover', 'doctor', 'ports', 'simulate'):\n"
        "    assert main([name, '--help']) == 0\n"
        "heavy = {'numba', 'mne', 'scipy.signal', 'sklearn', 'serial', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
