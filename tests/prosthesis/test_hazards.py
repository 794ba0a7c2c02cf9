"""The hazard table: every control is linked to a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
LINK = re.compile(r"\[(test_\w+\.py)::(test_\w+)\]\(([^)]+)\)")


def rows():
    text = (DOCS / "hazards.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if re.match(r"\| H\d+ \|", line)]


def test_every_hazard_has_a_number_a_control_and_a_test():
    found = rows()
    assert len(found) >= 20
    numbers = [int(row.split("|")[1].strip()[1:]) for row in found]
    assert numbers == list(range(1, len(found) + 1))
    for row in found:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 6
        assert all(cells)
        assert LINK.search(cells[5]), row


def test_every_link_of_the_table_leads_to_a_test_that_runs_each_time():
    for row in rows():
        assert row.count("::test_") == len(LINK.findall(row)), row
        for file, name, target in LINK.findall(row):
            path = (DOCS / target).resolve()
            assert path.name == file
            tree = ast.parse(path.read_text(encoding="utf-8"))
            tests = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in tests, name
            assert "nightly" not in {getattr(mark, "attr", "") for mark in tests[name].decorator_list}, name


def test_it_says_plainly_that_this_is_no_medical_device():
    text = (DOCS / "hazards.md").read_text(encoding="utf-8")
    assert "not a certified medical device" in text
