"""Every example script runs for a few seconds, without hardware, and says what it did."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

#: Script → options that keep it short, and words that it must print.
SHORT = {
    "01_check_signal.py": (["--lang", "en"], "All electrodes are good."),
    "02_calibrate.py": (
        ["--lang", "zh", "--blocks", "2", "--trials", "8", "--intent", "1.6", "--no-report"],
        "可以开始控制",
    ),
    "03_control_hand.py": (
        ["--lang", "en", "--blocks", "2", "--trials", "8", "--check-trials", "2", "--intent", "1.6"],
        "false movements a minute",
    ),
}


def run(script: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), *options]
    environment = os.environ | {"BCI_SESSIONS": str(folder / "store"), "PYTHONUTF8": "1"}
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=120, cwd=folder, env=environment
    )


@pytest.mark.parametrize("script", SHORT)
def test_the_example_runs_on_the_simulated_board(script: str, tmp_path: Path) -> None:
    options, words = SHORT[script]
    done = run(script, *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["store"], "everything lies in one folder"
    assert len(list(tmp_path.glob("store/users/u-*/visits/001-*/session.json"))) == 1


def test_the_first_script_shows_a_programs_own_way_too() -> None:
    spec = importlib.util.spec_from_file_location("check_signal", EXAMPLES / "01_check_signal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.look_once() == "All electrodes are good."


@pytest.mark.parametrize(
    "script", ["01_check_signal.py", "15_cyton.py", "21_validate_firmware.py", "hobby_servo_hand.py"]
)
def test_an_example_says_what_to_do_about_a_missing_port(script: str, tmp_path: Path) -> None:
    done = run(script, "--port", "/dev/no-such-port", folder=tmp_path)
    assert done.returncode == 2
    assert "/dev/no-such-port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_simulated_wearer_explains_itself_and_takes_no_option_for_a_file(tmp_path: Path) -> None:
    assert "wearer.bfp" in run("simulated_wearer.py", "--help", folder=tmp_path).stdout
    assert list(tmp_path.iterdir()) == []


def test_every_script_explains_itself(tmp_path: Path) -> None:
    for script in SHORT:
        done = run(script, "--help", folder=tmp_path)
        assert done.returncode == 0
        assert "--port" in done.stdout


def test_the_clinics_scripts_explain_themselves_in_chinese_alone(tmp_path: Path) -> None:
    for script in ("01_check_signal.py", "02_calibrate.py", "03_control_hand.py", "04_session_report.py"):
        done = run(script, "--help", "--lang", "zh", folder=tmp_path)
        assert done.stdout.startswith("用法")
