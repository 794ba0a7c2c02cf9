"""Every deliberately wrong device is found by `conform`, and its mistake named."""

from __future__ import annotations

import pytest

from firmware_protocol.conform import STEPS, Plan, Verdict, conform
from tests.firmware_protocol.wrong_devices import WRONG

#: Steps in which much is sent: for mistakes that the bytes themselves show.
_MUCH = ("set-channel", "test-pattern", "start", "commands-while-streaming", "heartbeat-atomic", "soak")


def found(name: str, steps: tuple[str, ...]) -> None:
    wrong = WRONG[name]
    result = conform(wrong.make(), Plan(baud=wrong.baud, quick=True, soak_s=3, seed=1), steps=steps)
    failed = {step.rule.name for step in result.steps if step.verdict == Verdict.FAILED}
    causes = {cause.name for cause in result.report.causes}
    assert set(wrong.steps) <= failed
    assert not wrong.cause or wrong.cause in causes
    assert result.exit_status() == wrong.exit_status


@pytest.mark.parametrize("name", WRONG)
def test_conform_finds_and_names(name: str) -> None:
    wrong = WRONG[name]
    found(name, (*wrong.steps, *_MUCH) if wrong.cause or not wrong.steps else wrong.steps)


@pytest.mark.nightly
@pytest.mark.parametrize("name", WRONG)
def test_conform_finds_and_names_with_all_its_steps(name: str) -> None:
    found(name, ())


def test_the_table_names_steps_that_there_are() -> None:
    names = {rule.name for rule, _ in STEPS}
    assert {step for wrong in WRONG.values() for step in wrong.steps} <= names
