"""The simulated board keeps the protocol: the conformance suite finds nothing, on a clock that only the test moves."""

from __future__ import annotations

import pytest

from bci.selftest._conform import BoardInMemory
from firmware_protocol.conform import Plan, Verdict, conform


def clean(plan: Plan, *, skipped: set[str]) -> None:
    result = conform(BoardInMemory(), plan)
    assert [(f.rule.id, f.text, f.got) for f in result.report.findings] == []
    assert result.report.causes == []
    assert result.exit_status(strict=True) == 0
    assert not result.of(Verdict.NOT_RUN)
    assert {step.rule.name for step in result.of(Verdict.SKIPPED)} == skipped


def test_the_suite_finds_nothing_in_any_step() -> None:
    skipped = {"watchdog-default", "overload", "reboot"}
    clean(Plan(baud=921_600, quick=True, soak_s=3.0, seed=1), skipped=skipped)


@pytest.mark.nightly
def test_the_suite_finds_nothing_in_all_steps_and_ten_minutes() -> None:
    clean(Plan(baud=921_600, seed=2), skipped={"overload", "reboot"})
