"""The checks of the protocol group in their short form. What needs the computer to itself is only measured here."""

from __future__ import annotations

import pytest

from bci.errors import BciError
from bci.selftest import _c_codec, _corruption, protocol
from bci.selftest.protocol import CHECKS

#: Rates, and a board in real time: late where its process waits. In exact time: acquisition/test_simulator_conforms.py.
TIMED = {"decode-rate", "decode-rate-hostile", "conformance"}
BY_NAME = {check.name: check for check in CHECKS}


@pytest.mark.parametrize("name", BY_NAME)
def test_check_passes_in_its_short_form(name: str) -> None:
    result = BY_NAME[name].run(False)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.passed or name in TIMED, result.measured
    assert all(value >= 0 for value in result.figures.values() if not isinstance(value, str))
    assert result.figures


def test_a_wrong_frame_is_a_missed_figure_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(n_bytes: int, seed: int) -> int:
        raise BciError("garbage gave a frame")

    monkeypatch.setattr(_corruption, "garbage", wrong)
    result = BY_NAME["garbage"].run(False)
    assert (result.passed, result.measured) == (False, "garbage gave a frame")


def test_a_codec_that_differs_is_a_missed_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    if _c_codec.compiler() is None:
        pytest.skip("no C compiler here (cc, or what CC names)")
    monkeypatch.setattr(_c_codec, "encode", lambda frame: b"\x00")
    result = BY_NAME["c-random-frames"].run(False)
    assert not result.passed
    assert "Python says b'\\x00', C says" in result.measured


def test_without_a_compiler_the_c_checks_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    for name in ("c-golden-vectors", "c-random-frames", "c-damaged-streams"):
        result = BY_NAME[name].run(False)
        assert result.skipped == "no C compiler here (cc, or what CC names)"


def test_names_are_unique_and_all_of_this_group() -> None:
    assert len(BY_NAME) == len(CHECKS)
    assert {check.group for check in CHECKS} == {"protocol"}
    assert protocol.__doc__
