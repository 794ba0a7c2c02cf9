"""Limits are decoded strictly, may be tightened and not loosened, and judge as they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bci.errors import LimitsError
from bci.qualification.limits import SHIPPED, judged, not_measured, read_limits, shipped_limits

WHOLE = (SHIPPED / "ads1299.toml").read_text()


def tighter(path: Path, body: str, *, base: str = "ads1299", schema: str = "bci-limits-tighter/1") -> Path:
    path.write_text(f'schema = "{schema}"\nname = "ours"\nbase = "{base}"\n{body}')
    return path


def test_every_shipped_limit_has_unit_and_source() -> None:
    limits = shipped_limits()
    assert len(limits.limits) > 40
    assert len(limits.sha256) == 64
    for name, limit in limits.limits.items():
        assert limit.unit, name
        assert len(limit.source) > 10, name


def test_a_bench_tightens(tmp_path: Path) -> None:
    ours = read_limits(tighter(tmp_path / "ours.toml", "[limits.offset]\nlow = -100.0\nhigh = 90.0\n"))
    assert (ours["offset"].low, ours["offset"].high) == (-100.0, 90.0)
    assert ours["thd"] == shipped_limits()["thd"]
    assert ours.name == "ours"
    assert ours.sha256 != shipped_limits().sha256
    again = read_limits(tighter(tmp_path / "more.toml", "[limits.offset]\nhigh = 50.0\n", base="ours"))
    assert (again["offset"].low, again["offset"].high) == (-100.0, 50.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[limits.offset]\nhigh = 301.0\n", "may only tighten"),
        ("[limits.bandwidth]\nlow = 20.0\n", "may only tighten"),
        ("[limits.humour]\nhigh = 1.0\n", "nothing measures"),
        ("[limits.offset]\nhigh = 100.0\nunit = 'mV'\n", "unit"),
        ("[limits.offset]\nhigh = '100'\n", "float"),
        ("[limits.offset]\nlow = 50.0\nhigh = 40.0\n", "not below"),
        ("extra = 1\n", "extra"),
    ],
)
def test_what_would_loosen_or_is_foreign_is_refused(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(LimitsError, match=said) as caught:
        read_limits(tighter(tmp_path / "ours.toml", body))
    assert caught.value.path == tmp_path / "ours.toml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 'bci-limits/9'\n", "schema is 'bci-limits/9'"),
        ("no toml at all [", "no TOML"),
        (WHOLE.replace("[limits.offset]", "[limits.offsett]"), "missing: offset"),
        (WHOLE.replace("high = 300.0", "hihg = 300.0"), "hihg"),
        (WHOLE.replace('unit = "µV"\nlow = -300.0\nhigh = 300.0', 'unit = "µV"'), "neither low nor high"),
        (WHOLE.replace("low = -300.0\nhigh = 300.0", "low = 300.0\nhigh = 300.0"), "not below"),
        (WHOLE.replace('"DS 7.5: offset error 60 µV typical, no maximum; five times that"', '" "'), "no source"),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(LimitsError, match=said):
        read_limits(path)


def test_a_missing_file_and_a_missing_base_are_said(tmp_path: Path) -> None:
    with pytest.raises(LimitsError, match="cannot be read"):
        read_limits(tmp_path / "none.toml")
    with pytest.raises(LimitsError, match="no limits file elsewhere"):
        read_limits(tighter(tmp_path / "ours.toml", "[limits.offset]\nhigh = 100.0\n", base="elsewhere"))


def test_a_whole_file_may_be_looser(tmp_path: Path) -> None:
    path = tmp_path / "loose.toml"
    path.write_text(WHOLE.replace("high = 300.0", "high = 900.0"))
    assert read_limits(path)["offset"].high == 900.0


@pytest.mark.parametrize(
    ("value", "uncertainty", "verdict"),
    [
        (0.0, 10.0, "pass"),
        (299.9, 10.0, "pass"),  # simple acceptance: inside is inside
        (300.1, 10.0, "fail"),
        (-320.0, 10.0, "fail"),
        (180.0, 119.0, "pass"),  # inside by more than its uncertainty
        (290.0, 151.0, "not measured"),  # could be either, and too uncertain to say
        (470.0, 151.0, "fail"),  # outside, whatever the uncertainty
        (math.nan, 1.0, "not measured"),
        (0.0, math.inf, "not measured"),
    ],
)
def test_the_decision_rule(value: float, uncertainty: float, verdict: str) -> None:
    result = judged(
        shipped_limits(), "offset", "ch1", value, uncertainty, fails="Too far.", facts={"fault": "offset"}
    )
    assert result.verdict == verdict
    assert (result.reason == "Too far.") == (verdict == "fail")
    assert ("fault" in result.facts) == (verdict == "fail")
    assert bool(result.reason) == (verdict != "pass")


def test_a_fault_of_twice_the_limit_is_missed_once_in_thirty_thousand_at_the_worst_uncertainty_allowed() -> (
    None
):
    """The claim of the rule, by drawing: true value twice the limit, uncertainty as large as the rule takes."""
    limits, rng = shipped_limits(), np.random.default_rng(1)
    drawn = rng.normal(600.0, 75.0, 20_000)  # limit 300, so half of it is U = 150, k = 2
    verdicts = [judged(limits, "offset", None, float(x), 150.0).verdict for x in drawn]
    assert verdicts.count("pass") <= 3
    assert verdicts.count("not measured") == 0


def test_not_measured_fails_nobody() -> None:
    result = not_measured(shipped_limits(), "thd", "ch1", "No generator.")
    assert (result.verdict, result.reason, result.unit) == ("not measured", "No generator.", "dB")
    assert math.isnan(result.value)
