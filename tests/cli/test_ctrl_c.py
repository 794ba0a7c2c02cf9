"""Ctrl-C where it is the normal end: the status that a caller sees says so, whatever was running just then."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: What a command does while the key falls into an import: dataclasses and Numba run code from text.
INTERRUPTED = """
import contextlib, sys
def interrupted(*_, **__):
    with contextlib.suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")
    return 0
"""
OF_BCI = """
from bci.cli import main, ports
ports.command.callback = interrupted
sys.exit(main(["ports"]))
"""
OF_VALIDATOR = """
from firmware_protocol.cli import budget, main
budget.run = interrupted
sys.exit(main("budget --channels 8 --rate 250 --baud 921600".split()))
"""


@pytest.mark.parametrize("command", [OF_BCI, OF_VALIDATOR], ids=["bci", "frame-validator"])
def test_an_interrupt_that_was_handled_is_no_death_by_signal(command, tmp_path):
    (tmp_path / "interrupted.py").write_text(INTERRUPTED + command, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],  # only `-m` ends by the note; a script's sys.exit passes it by
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
