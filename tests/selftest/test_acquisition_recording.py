"""The short form of what `bci selftest` measures of recordings."""

from __future__ import annotations

import pytest

from bci.selftest import Check
from bci.selftest._acquisition_recording import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_recordings_keep_what_the_documentation_promises(check: Check) -> None:
    result = check.run(False)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.passed, result.measured
