"""`bci selftest firmware`: the group is there, and its checks reach what they promise."""

from __future__ import annotations

import pytest

from bci.selftest import all_checks, firmware
from bci.selftest._check import Result
from bci.selftest._firmware import missing
from bci.selftest.firmware import CHECKS

pytestmark = pytest.mark.firmware
BY_NAME = {check.name: check for check in CHECKS}


def test_group_has_a_check_for_each_figure() -> None:
    assert [check.name for check in all_checks("firmware")] == list(BY_NAME)
    assert {check.group for check in CHECKS} == {"firmware"}


def test_a_missing_compiler_is_said_and_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "missing", lambda *programs: f"no {programs[-1]} here")
    results = [check.run(False) for check in CHECKS]
    assert all(isinstance(result, Result) and result.skipped for result in results)


def test_where_there_are_no_unix_sockets_the_checks_with_qemu_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("socket.AF_UNIX", raising=False)
    assert "Linux or macOS" in (missing("make", "qemu-system-arm") or "")


@pytest.mark.nightly
@pytest.mark.parametrize("name", BY_NAME)
def test_check_passes_in_its_short_form(name: str) -> None:
    result = BY_NAME[name].run(False)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.passed, result.measured
    assert result.figures
