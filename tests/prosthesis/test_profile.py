"""Profiles: strict, named errors, and the way to the monitor's process and back."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bci.errors import ProfileError
from bci.language import speaking
from bci.prosthesis import Certificate, Grip, Limits, Profile, read_profile
from bci.prosthesis.profile_file import from_table

GOOD = """
user = "P07"
control = "switch"
budget_per_min = 0.5
closing = "cup"

[intents]
grasp = "toggle"

[grips.cup]
thumb = 0.5
index = 0.6
middle = 0.6

[limits]
rate_per_s = 0.4
lowest = [0, 0, 0, 0, 0, 0]

[opening]
allowed = false
"""


def write(tmp_path, text):
    path = tmp_path / "user.toml"
    path.write_text(text)
    return path


def test_a_profile_file_is_read_whole(tmp_path):
    profile = read_profile(write(tmp_path, GOOD))
    assert profile.grips["cup"] == Grip(thumb=0.5, index=0.6, middle=0.6)
    assert "open" in profile.grips
    assert profile.limits.rate_per_s == 0.4
    assert not profile.opening.allowed
    assert profile.signal == Profile().signal


def test_a_profile_survives_json_unchanged(tmp_path):
    profile = read_profile(write(tmp_path, GOOD))
    assert from_table(Profile, json.loads(json.dumps(asdict(profile)))) == profile


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("speed = 3", "unknown key speed"),
        ("[limits]\nrate = 3", "unknown key limits.rate"),
        ("[grips.cup]\nthum = 1", "unknown key grips.cup.thum"),
        ("[limits]\nrate_per_s = 30", "limits.rate_per_s = 30: expected a number from 0.01 to 2 closures/s"),
        ("[limits]\nrate_per_s = nan", "limits.rate_per_s = nan"),
        ('[limits]\nrate_per_s = "fast"', "limits.rate_per_s = 'fast'"),
        ("[limits]\nrate_per_s = true", "limits.rate_per_s = true"),
        (
            "[limits]\nrate_per_s = [1, 1, 1]",
            "limits.rate_per_s = [1, 1, 1]: expected a number from 0.01 to 2",
        ),
        ("[limits]\nrate_per_s = [1, 1, 1, 1, 1, 4]", "or six (thumb, index"),
        ("[limits]\nslew_per_s2 = [1, 1, 1, 1, 1, true]", "limits.slew_per_s2"),
        (
            "[limits]\nslew_per_s2 = 0.09",
            "limits.slew_per_s2 = 0.09: expected a number from 0.1 to 100 closures/s²",
        ),
        ("sequence_within_s = 0.1", "sequence_within_s = 0.1: expected a number from 0.2 to 10 s"),
        ("sequences = 3", "sequences = 3: expected a table"),
        ('[sequences]\n"left right" = "fist"', "sequences.left right = 'fist'"),
        ('[sequences]\n"left  right" = "power"', "sequence 'left  right': expected actions with one blank"),
        ('[sequences]\n"" = "power"', "sequence ''"),
        (
            'control = "hold"\n[sequences]\n"left right" = "power"',
            "sequences need control = 'switch', got 'hold'",
        ),
        ('closing = "toggle"', "closing = 'toggle': expected the name of a grip"),
        ("[limits]\nlowest = [0, 0]", "limits.lowest = [0, 0]: expected six"),
        (
            "[limits]\nlowest = [1, 1, 1, 1, 1, 1]\nhighest = [1, 1, 0.5, 1, 1, 1]",
            "lowest middle 1 lies above",
        ),
        ("[signal]\nstale_s = 0.5", "signal.stale_s = 0.5: expected a number from 0.05 to 0.2 s"),
        ("[opening]\nallowed = 1", "opening.allowed = 1: expected true or false"),
        ("[opening]\ndelay_s = 0", "opening.delay_s = 0"),
        ("budget_per_min = 0", "budget_per_min = 0"),
        ('control = "magic"', "control = 'magic'"),
        ('closing = "fist"', "closing = 'fist'"),
        (
            '[intents]\ngrasp = "fist"',
            "intents.grasp = 'fist': expected one of open, power, pinch, key, point, toggle",
        ),
        ("[intents]\ngrasp = 3", "intents.grasp = 3"),
        ("intents = 3", "intents = 3: expected a table"),
        ("grips = 3", "grips = 3: expected a table"),
        ("limits = 3", "limits = 3: expected a table"),
        ("[grips]\ncup = 3", "grips.cup = 3: expected a table"),
        ("[grips.cup]\nthumb = 2", "grips.cup.thumb = 2: expected a closure"),
        ('[grips.cup]\nthumb = "far"', "grips.cup.thumb = 'far'"),
        ("user = 3", "user = 3: expected a text"),
        ("user = ", "not a TOML file: Invalid value (at end of document); correct it there"),
        ("[signal]\nloss_burst_samples = 2.5", "signal.loss_burst_samples = 2.5: expected a whole number"),
        (
            "[grips.open]\nthumb = 0",
            "grips.open = {thumb = 0}: expected all five fingers",
        ),
        (
            "[grips.open]\nthumb = 0\nindex = 0.6\nmiddle = 0\nring = 0\nlittle = 0",
            "index = 0.6, middle = 0, ring = 0, little = 0}: expected all five fingers, each at 0.5 or less",
        ),
        ('[intents]\ngrasp = "power"', "no intent opens the hand"),
        ('[sequences]\n"left right" = "power"', "no intent opens the hand"),
        ("intents = {}", "no intent opens the hand"),
        (
            "budget_per_min = 1979-05-27",
            "budget_per_min = 1979-05-27: expected a number from 0.05 to 20 false act",
        ),
        ("[[limits]]\nmovement_s = 1", "limits = [{'movement_s': 1}]: expected a table"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ProfileError) as caught:
        read_profile(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_with_a_byte_order_mark_is_a_profile_and_one_of_another_encoding_is_told(tmp_path):
    path = tmp_path / "p.toml"
    path.write_bytes(b'\xef\xbb\xbfuser = "u-1"')
    assert read_profile(path).user == "u-1"
    path.write_bytes('user = "使用者"'.encode("gbk"))
    with pytest.raises(ProfileError, match="not a text in UTF-8; save it as one in your editor"):
        read_profile(path)


def test_in_chinese_no_english_word_is_left_in_a_refusal_but_names_of_the_file(tmp_path):
    """Names of settings are what stands in the file; units and everything else is said in the language."""
    for text, told in (
        ("budget_per_min = 0", "budget_per_min = 0：应为 0.05 到 20 次误动作/分钟 的数"),
        ("[limits]\nrate_per_s = 9", "limits.rate_per_s = 9：应为 0.01 到 2 闭合度/秒 的一个数"),
        ("[signal]\nloss_burst_samples = -1", "signal.loss_burst_samples = -1：应为 0 到 10000 采样 的数"),
    ):
        with speaking("zh"), pytest.raises(ProfileError) as caught:
            read_profile(write(tmp_path, text))
        assert told in str(caught.value)


def test_a_missing_profile_says_what_to_do(tmp_path):
    with pytest.raises(ProfileError, match="name a profile file"):
        read_profile(tmp_path / "nobody.toml")


def test_a_hand_that_cannot_open_is_no_profile():
    with pytest.raises(ProfileError, match="lacks 'open'"):
        Profile(grips={"power": Grip(1.0)}, intents={})


def test_the_default_profile_follows_the_decoders_classes():
    assert Profile.for_classes(["rest", "grasp"]).intents == {"grasp": "toggle"}
    assert Profile.for_classes(["left", "rest", "right"]).intents == {"left": "open", "right": "power"}
    with pytest.raises(ProfileError, match="6 classes"):
        Profile.for_classes("abcdef")


def test_limits_are_checked_wherever_they_come_from():
    with pytest.raises(ProfileError):
        Limits(force_n=0.0)


# ---- the certificate


def certificate(**values):
    return Certificate(**{"lower": 0.6, "chance": 0.5, "runs": 2, "issued_s": 1000.0, "model": "m", **values})


def test_a_certificate_whose_bound_beats_chance_allows_arming():
    assert certificate().refusal(1000.0, model="m") == ""
    assert certificate(valid_for_s=60.0).refusal(1060.0, model="m") == ""


@pytest.mark.parametrize(
    ("values", "now_s", "words"),
    [
        ({"lower": 0.5}, 1000.0, "beat chance"),
        ({"lower": float("nan")}, 1000.0, "beat chance"),
        ({"chance": float("nan")}, 1000.0, "beat chance"),
        ({"runs": 1}, 1000.0, "at least 2"),
        ({}, 1000.0 + 12 * 3600 + 1, "run out"),
        ({}, 0.0, "run out"),
        ({}, 999.0, "run out"),
        ({"valid_for_s": 60.0}, 999.0, "run out"),
        ({"valid_for_s": 60.0}, 1061.0, "run out"),
        ({"valid_for_s": 1e9}, 1000.0 + 12 * 3600 + 1, "run out"),
        ({"valid_for_s": float("inf")}, 0.0, "run out"),
        ({"valid_for_s": float("nan")}, 1000.0, "run out"),
        ({"model": "other"}, 1000.0, "another model"),
        ({"channels": ("C3",)}, 1000.0, "channels C3"),
    ],
)
def test_any_other_certificate_is_refused_with_its_reason(values, now_s, words):
    assert words in certificate(**values).refusal(now_s, model="m", channels=("C4",))


def test_rates_may_differ_between_degrees_of_freedom(tmp_path):
    text = "[limits]\nrate_per_s = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]\nslew_per_s2 = 2"
    limits = read_profile(write(tmp_path, text)).limits
    assert limits.rates == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert limits.slews == (2,) * 6


def test_a_profile_with_sequences_moves_by_them_alone(tmp_path):
    text = 'sequence_within_s = 3\n[sequences]\n"left" = "open"\n"left right" = "pinch"'
    profile = read_profile(write(tmp_path, text))
    assert profile.actions == {"left": "open", "left right": "pinch"}
    profile.require(["left", "rest", "right"])
    with pytest.raises(ProfileError, match="never says"):
        profile.require(["left", "rest"])


def test_a_class_that_means_nothing_to_the_profile_is_told_before_the_session():
    Profile().require(["rest", "grasp"])
    with pytest.raises(
        ProfileError, match="maps nothing to fist, foot, which the decoder may say: add it to intents"
    ):
        Profile().require(["rest", "fist", "foot"])
    with pytest.raises(ProfileError, match="add it to sequences"):
        Profile(sequences={"left": "open"}).require(["rest", "left", "foot"])


def test_a_release_opens_unless_the_profile_says_otherwise():
    assert Profile(control="hold").actions["release"] == "open"
    assert (
        Profile(control="hold", intents={"grasp": "toggle", "release": "power"}).actions["release"] == "power"
    )


def test_a_held_intent_whose_end_means_nothing_is_refused():
    """The hand would stay closed when it is let go of, and nobody would know why."""
    with pytest.raises(ProfileError, match=r"control = 'hold' needs intents\.release"):
        Profile(control="hold", intents={"grasp": "toggle"})
