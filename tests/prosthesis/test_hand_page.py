"""The page about the hand says what the code does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from bci.prosthesis import Limits, Opening, Profile, Signal, read_profile
from bci.prosthesis.hand import DOFS
from bci.prosthesis.monitor_state import CAUSES, PASSING, UNKNOWN
from bci.prosthesis.user_profile import CONTROLS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hand.md").read_text(encoding="utf-8")
TOML = [text for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "entry-points" not in text]


def profile(tmp_path, text):
    path = tmp_path / "profile.toml"
    path.write_text(text, encoding="utf-8")
    return read_profile(path)


@pytest.mark.parametrize("text", TOML)
def test_each_profile_of_the_page_is_one(tmp_path, text):
    profile(tmp_path, text)


def test_the_whole_profile_of_the_page_names_every_setting_and_is_what_holds_without_a_file(tmp_path):
    assert profile(tmp_path, TOML[0]) == Profile()
    table = tomllib.loads(TOML[0])
    assert set(table) == {field.name for field in fields(Profile)}
    for name, kind in (("limits", Limits), ("opening", Opening), ("signal", Signal)):
        assert set(table[name]) == {field.name for field in fields(kind)}
    assert set(table["grips"]["open"]) == set(DOFS)


def test_the_page_says_of_each_doubt_whether_it_passes_and_whether_the_hand_may_be_opened():
    told = re.findall(r"^\| (.+) \| (yes|no) \| (yes|no) \|$", PAGE, re.MULTILINE)
    words = {True: "yes", False: "no"}
    assert told == [
        (text, words[name in PASSING], words[name not in UNKNOWN]) for name, text in CAUSES.items()
    ]


def test_the_page_names_every_control():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)[1:] == list(CONTROLS)
