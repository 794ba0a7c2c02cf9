"""frame-validator explain: one rule, some, or the list of all."""

from __future__ import annotations

import json

import pytest

from firmware_protocol.cli import main
from firmware_protocol.validator import RULES

Printed = pytest.CaptureFixture[str]


def test_without_a_rule_all_are_listed_in_order(capsys: Printed) -> None:
    assert main(["explain"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == sorted(RULES)


@pytest.mark.parametrize("word", ["FP104", "crc-mismatch"])
def test_a_rule_is_explained_by_identifier_or_name(word: str, capsys: Printed) -> None:
    assert main(["explain", word]) == 0
    text = capsys.readouterr().out
    assert text.startswith("FP104 crc-mismatch  MUST  [SPEC 3.2]")
    assert "0x1EDC6F41" in text
    assert "change" in text


def test_the_beginning_of_an_identifier_means_all_that_begin_so(capsys: Printed) -> None:
    assert main(["explain", "--json", "FP91"]) == 0
    rules = json.loads(capsys.readouterr().out)
    assert {rule["id"] for rule in rules} == {id_ for id_ in RULES if id_.startswith("FP91")}
    assert all(rule[key] for rule in rules for key in ("name", "level", "section", "text", "hint"))


@pytest.mark.parametrize(("word", "says"), [("FP1044", "did you mean FP104"), ("zzzzz", "lists them")])
def test_an_unknown_rule_is_an_error_with_advice(word: str, says: str, capsys: Printed) -> None:
    assert main(["explain", word]) == 2
    assert says in capsys.readouterr().err


def test_every_rule_says_what_it_asks_for_and_what_to_change() -> None:
    for rule in RULES.values():
        assert rule.text.strip().endswith("."), rule.id
        assert len(rule.hint) > 15, rule.id
