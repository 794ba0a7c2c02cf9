"""The check of permuted labels can fail, and does not."""

from __future__ import annotations

import numpy as np
import pytest

from bci.selftest import all_checks
from bci.selftest.decoding import permuted, rhythmic_run


def test_permuted_labels_are_rarely_certified_and_true_ones_are() -> None:
    (check,) = all_checks("decoding")
    result = check.run(False)
    assert result.passed, result.measured
    assert result.figures["true_labels_certified"]


def test_a_decoder_that_certifies_everything_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bci.selftest.decoding._refusal", lambda runs: "")
    (check,) = all_checks("decoding")
    assert not check.run(False).passed


def test_permuting_keeps_the_classes_and_the_signal() -> None:
    run = rhythmic_run(3)
    other = permuted(run, np.random.default_rng(0))
    assert sorted(m.label for m in other.markers) == sorted(m.label for m in run.markers)
    assert [m.label for m in other.markers] != [m.label for m in run.markers]
    assert other.chunks is run.chunks
