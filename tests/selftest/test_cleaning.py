"""The checks of the cleaning group in their short form, and that they can fail."""

from __future__ import annotations

import numpy as np
import pytest

from bci.selftest import cleaning

BY_NAME = {check.name: check for check in cleaning.CHECKS}


@pytest.mark.parametrize("name", BY_NAME)
def test_check_passes_in_its_short_form(name: str) -> None:
    result = BY_NAME[name].run(False)
    assert result.passed, result.measured
    assert result.figures


@pytest.mark.nightly
@pytest.mark.parametrize("name", BY_NAME)
def test_check_passes_in_its_full_size(name: str) -> None:
    assert BY_NAME[name].run(True).passed


def test_a_filter_that_forgets_at_cuts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(cleaning.SosFilter):
        def process(self, x_uv: np.ndarray) -> np.ndarray:
            self.reset()
            return super().process(x_uv)

    monkeypatch.setattr(cleaning, "SosFilter", Forgetful)
    monkeypatch.setattr(cleaning, "NUMBERED", {})
    any_cut, recordings = BY_NAME["any-cut"].run(False), BY_NAME["recordings"].run(False)
    assert not any_cut.passed
    assert "filter" in any_cut.measured
    assert not recordings.passed


def test_a_filter_of_other_numbers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(cleaning.SosFilter):
        def process(self, x_uv: np.ndarray) -> np.ndarray:
            return super().process(x_uv) * (1 + 1e-9)

    monkeypatch.setattr(cleaning, "SosFilter", Off)
    assert not BY_NAME["filter-parity"].run(False).passed
