"""`start.py`: the one command of a fresh checkout."""

from __future__ import annotations

import ast
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bci.language import columns, use_language

START = Path(__file__).resolve().parents[1] / "start.py"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with an environment that is not there yet."""
    monkeypatch.setenv("BCI_VENV", str(tmp_path / "venv"))
    spec = importlib.util.spec_from_file_location("start", START)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_slip_of_the_pen_is_named_and_nothing_is_made(
    start: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start.main(["domo"]) == 2
    assert "'domo'" in capsys.readouterr().err
    assert start.main([]) == 0
    assert all(len(line) < 80 for line in capsys.readouterr().out.splitlines())
    assert not start.VENV.exists()


@pytest.mark.parametrize("asked", [["--lang", "zh"], ["--lang=zh"]])
def test_it_speaks_chinese_where_that_is_asked_for(
    start: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.setattr(start, "can_show", lambda text: True)
    try:
        assert start.main(["domo", *asked]) == 2
        assert "不是 demo、test、setup 之一" in capsys.readouterr().err
        assert start.main(["help", *asked]) == 0
        assert max(map(columns, capsys.readouterr().out.splitlines())) < 80
        monkeypatch.setattr(start, "can_show", lambda text: False)
        assert start.main(["domo", *asked]) == 2
        assert "is none of" in capsys.readouterr().err, "a console without Chinese signs"
    finally:
        use_language("en")


def test_what_runs_before_anything_is_installed_needs_no_library_and_is_read_by_an_old_python() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, str(START)]  # -S: without site-packages
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    ours = [
        START,
        *(START.parent / f"{name.replace('.', '/')}.py" for name in loaded if name.startswith("bci.")),
    ]
    assert len(ours) > 2
    for path in ours:
        path = path if path.exists() else path.with_suffix("") / "__init__.py"
        # so it can say that it is too old
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_folder_that_cannot_be_made_is_named(
    start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(start, "VENV", tmp_path / "file" / "venv")
    assert start.main(["setup"]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="stands a script in for Python")
def test_an_environment_whose_making_was_interrupted_is_made_whole_and_a_whole_one_left_alone(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, installed = [], []

    def create(folder: Path, *, with_pip: bool) -> None:
        made.append(folder)
        start.PYTHON.write_text("#!/bin/sh\nexit 0\n")

    monkeypatch.setattr(start.venv, "create", create)
    monkeypatch.setattr(start, "run", lambda command: installed.append(command) or 0)
    start.BIN.mkdir(parents=True)
    start.PYTHON.write_text("#!/bin/sh\nexit 1\n")  # a Python without pip
    start.PYTHON.chmod(0o700)
    assert start.set_up("") == 0
    assert made == [start.VENV]
    assert start.set_up("") == 0
    assert (len(made), len(installed)) == (1, 1), "nothing to do the second time"
    monkeypatch.setattr(start, "HERE", START.parent / "docs" / "..")  # the checkout under another name
    assert start.set_up("") == 0
    assert (len(made), len(installed)) == (1, 2), "its commands hold the old path: installed again"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of a terminal, by hand")
def test_ctrl_c_lets_the_command_end_in_its_own_order() -> None:
    child = (
        "import time\n"
        "try:\n print('up', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n time.sleep(0.6); print('hand at rest', flush=True)"
    )
    code = (
        "import sys, runpy; start = runpy.run_path(sys.argv[1])\n"
        "try:\n start['run']([sys.executable, '-c', sys.argv[2]])\n"
        "except KeyboardInterrupt:\n sys.exit(130)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(START), child], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to both
        assert process.stdout.read() == b"hand at rest\n"
        assert process.wait() == 130
