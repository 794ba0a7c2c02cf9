"""Checks of the safety group: quick forms of some; the whole drill runs with the prosthesis tests."""

from __future__ import annotations

import json
import math

import pytest

from bci.cli import main
from bci.prosthesis import drill
from bci.prosthesis.drill import Drill, drills
from bci.selftest import all_checks
from bci.selftest.safety import CHECKS


def check(name: str):
    (found,) = [c for c in CHECKS if c.name == name]
    return found


def test_every_fault_of_the_drill_is_a_check_and_so_are_dying_hosts_and_random_steps() -> None:
    names = {c.name for c in all_checks("safety")}
    assert len(names) == len(CHECKS) == len(drills()) - 1 + 4
    assert {"host-killed-simulated", "host-killed-ability", "host-killed-rh56", "random-steps"} <= names
    assert all(c.group == "safety" and c.name == c.name.lower() for c in CHECKS)


def test_a_fault_is_told_with_its_times(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["selftest", "fault-electrode-off", "fault-intent-expired", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["check"] for line in lines] == ["fault-electrode-off", "fault-intent-expired"]
    assert "held: an electrode is off" in lines[0]["measured"]
    assert lines[0]["ability_ms"] >= 0.0
    assert lines[0]["ability_frame_ms"] >= 0.0
    assert lines[1]["measured"].startswith("refused: expired at sample 0")
    assert code == (0 if all(line["passed"] for line in lines) else 1)


def test_a_dying_host_is_told_with_its_times() -> None:
    result = check("host-killed-simulated").run(False)
    assert result.figures["times"] == 2
    assert 0.0 <= result.figures["median_ms"] <= result.figures["longest_ms"]
    assert result.passed == (result.figures["late"] == 0)


@pytest.mark.parametrize("passed", [True, False])
def test_a_fault_passes_only_where_the_drill_does(passed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Drill("electrode off", passed, 3.0, 40.0, math.nan, "held: for the test")
    monkeypatch.setattr(drill, "drills", lambda: {"electrode off": lambda log, hand: told})
    result = check("fault-electrode-off").run(False)
    assert result.passed == passed
    assert result.measured == "held: for the test, 3.0 ms after the fault"
    nightly = check("fault-electrode-off").run(True)
    assert nightly.measured.startswith("simulated: held: for the test")


def test_without_pymodbus_the_rh56_is_skipped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymodbus", None)
    result = check("host-killed-rh56").run(False)
    assert "pymodbus is not installed" in (result.skipped or "")
