"""The checks of the qualification group in their short form, and that they can fail."""

from __future__ import annotations

import pytest

from bci.qualification import known_faults
from bci.qualification.desk import Desk
from bci.selftest import qualification

BY_NAME = {check.name: check for check in qualification.CHECKS}


@pytest.mark.nightly
@pytest.mark.timeout(3600)  # hundreds of boards: two minutes of an idle computer, many of a busy one
@pytest.mark.parametrize("name", BY_NAME)
def test_check_passes_in_its_full_size(name: str) -> None:
    result = BY_NAME[name].run(True)
    assert result.passed, result.measured
    assert result.figures


def test_the_missed_faults_check_passes_in_its_short_form() -> None:
    result = BY_NAME["bench-missed-faults"].run(False)
    assert result.passed, result.measured
    assert result.figures["faults"] == len(known_faults.KNOWN_FAULTS)


def test_a_bench_that_fails_good_boards_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = known_faults.parse_bench_fault("noise:ch1:1uV")
    noise = [m for m in known_faults.MEASUREMENTS if m.name == "noise"]
    honest = Desk.run

    def poor(desk: Desk) -> list[object]:
        return honest(Desk(seed=desk.seed, faults=[noisy]), noise)

    monkeypatch.setattr(Desk, "run", poor)
    result = BY_NAME["bench-good-boards"].run(False)
    assert not result.passed
    assert "board 0" in result.measured


def test_a_bench_that_sees_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_faults, "diagnose", lambda results: ())
    monkeypatch.setattr(known_faults, "KNOWN_FAULTS", known_faults.KNOWN_FAULTS[:3])
    result = BY_NAME["bench-missed-faults"].run(False)
    assert not result.passed
    assert result.figures["missed"] == 3
    assert not BY_NAME["bench-fault-sizes"].run(False).passed
