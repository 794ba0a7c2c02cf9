"""Every deliberately wrong device is found by `conform`, and its mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_protocol.conform import STEPS, Conformance, Verdict
from tests.firmware_protocol.wrong_devices import WRONG, filled, step_table, tried, wrong_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def assert_found(name: str, result: Conformance) -> None:
    failed = {step.rule.name for step in result.of(Verdict.FAILED)}
    causes = {cause.name for cause in result.report.causes}
    assert set(WRONG[name].steps) <= failed
    assert not WRONG[name].cause or WRONG[name].cause in causes
    assert result.exit_status() == WRONG[name].exit_status


@pytest.mark.parametrize("name", WRONG)
def test_conform_finds_and_names(name: str) -> None:
    assert_found(name, tried(name))


@pytest.mark.nightly
@pytest.mark.parametrize("name", WRONG)
def test_conform_finds_and_names_with_all_its_steps(name: str) -> None:
    assert_found(name, tried(name, ()))


def test_the_table_names_steps_that_there_are() -> None:
    names = {rule.name for rule, _ in STEPS}
    assert {step for wrong in WRONG.values() for step in wrong.steps} <= names


def test_the_page_names_every_step_and_every_wrong_device() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, "steps", step_table()) == page
    assert [name for name in WRONG if f"| `{name}` | {WRONG[name].what} |" not in page] == []


@pytest.mark.nightly
def test_the_page_says_what_is_said_of_wrong_devices() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, "wrong devices", wrong_table()) == page
