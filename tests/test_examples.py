"""Every example script runs for a few seconds, without hardware, and says what it did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

#: Script → options that keep it short, and words that it must print.
SHORT = {
    "01_check_signal.py": (["--seconds", "2"], "   2 s  "),
    "03_control_hand.py": (["--live", "0"], "balanced accuracy"),
}


def run(script: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


@pytest.mark.parametrize("script", SHORT)
def test_the_example_runs_on_the_simulated_board(script: str, tmp_path: Path) -> None:
    options, words = SHORT[script]
    done = run(script, *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_an_example_says_what_to_do_about_a_missing_port(tmp_path: Path) -> None:
    done = run("01_check_signal.py", "--port", "/dev/no-such-port", folder=tmp_path)
    assert done.returncode == 2
    assert "/dev/no-such-port" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_script_explains_itself(tmp_path: Path) -> None:
    for script in SHORT:
        done = run(script, "--help", folder=tmp_path)
        assert done.returncode == 0
        assert "--port" in done.stdout
