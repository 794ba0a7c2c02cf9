"""Capability, gauge study, yield: held against published examples and against simulated lines of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bci.qualification.batch_statistics import (
    ENOUGH_BOARDS,
    Trial,
    capability,
    first_pass_yield,
    gauge_study,
    histogram,
    pareto,
)

# AIAG, Measurement Systems Analysis: ten parts, three appraisers, three trials each.
AIAG = {
    "A": (
        (0.29, -0.56, 1.34, 0.47, -0.80, 0.02, 0.59, -0.31, 2.26, -1.36),
        (0.41, -0.68, 1.17, 0.50, -0.92, -0.11, 0.75, -0.20, 1.99, -1.25),
        (0.64, -0.58, 1.27, 0.64, -0.84, -0.21, 0.66, -0.17, 2.01, -1.31),
    ),
    "B": (
        (0.08, -0.47, 1.19, 0.01, -0.56, -0.20, 0.47, -0.63, 1.80, -1.68),
        (0.25, -1.22, 0.94, 1.03, -1.20, 0.22, 0.55, 0.08, 2.12, -1.62),
        (0.07, -0.68, 1.34, 0.20, -1.28, 0.06, 0.83, -0.34, 2.19, -1.50),
    ),
    "C": (
        (0.04, -1.38, 0.88, 0.14, -1.46, -0.29, 0.02, -0.46, 1.77, -1.49),
        (-0.11, -1.13, 1.09, 0.20, -1.07, -0.67, 0.01, -0.56, 1.45, -1.77),
        (-0.15, -0.96, 0.67, 0.11, -1.45, -0.49, 0.21, -0.49, 1.87, -2.16),
    ),
}


def aiag(operators: str = "ABC") -> list[Trial]:
    return [
        Trial(f"part {k}", name, value)
        for name in operators
        for row in AIAG[name]
        for k, value in enumerate(row)
    ]


def test_gauge_study_gives_the_published_figures_of_the_aiag_example() -> None:
    study = gauge_study(aiag())
    assert study is not None
    assert (study.n_parts, study.n_operators, study.n_repeats) == (10, 3, 3)
    assert study.repeatability == pytest.approx(0.199933, abs=2e-6)
    assert study.reproducibility == pytest.approx(0.226838, abs=2e-6)
    assert study.gauge == pytest.approx(0.302373, abs=2e-6)
    assert study.parts == pytest.approx(1.042327, abs=2e-6)
    assert study.percent == pytest.approx(27.86, abs=0.01)
    assert study.categories == 4


def test_one_operator_gives_repeatability_alone() -> None:
    study = gauge_study(aiag("A"), low=-3.0, high=3.0)
    assert study is not None
    assert study.reproducibility is None
    cells = np.array(AIAG["A"])
    assert study.repeatability == pytest.approx(math.sqrt(cells.var(axis=0, ddof=1).mean()))
    assert study.percent_of_tolerance == pytest.approx(100 * 6 * study.gauge / 6.0)


def test_gauge_study_finds_the_truth_of_a_simulated_line_with_interaction() -> None:
    rng = np.random.default_rng(5)
    parts, operators = rng.normal(0, 2.0, 60), rng.normal(0, 0.7, 12)
    both = rng.normal(0, 0.5, (60, 12))
    trials = [
        Trial(str(p), str(o), parts[p] + operators[o] + both[p, o] + rng.normal(0, 0.4))
        for p in range(60)
        for o in range(12)
        for _ in range(3)
    ]
    study = gauge_study(trials)
    assert study is not None
    assert study.repeatability == pytest.approx(0.4, rel=0.06)
    assert study.reproducibility == pytest.approx(math.hypot(operators.std(ddof=1), 0.5), rel=0.06)
    assert study.parts == pytest.approx(parts.std(ddof=1), rel=0.03)


def test_unequal_repeats_are_cut_to_a_balanced_study_and_too_few_give_none() -> None:
    trials = [*aiag("AB"), Trial("part 0", "A", 9.0), Trial("part 99", "A", 1.0)]
    assert gauge_study(trials) == gauge_study(aiag("AB"))
    assert gauge_study([Trial("x", "A", 1.0), Trial("x", "A", 2.0), Trial("y", "A", 2.0)]) is None
    lonely = [*aiag("A"), Trial("elsewhere", "D", 1.0), Trial("elsewhere", "D", 2.0)]
    assert gauge_study(lonely) == gauge_study(aiag("A"))  # D shares no board with A


def test_cpk_is_that_of_the_nist_handbook_example() -> None:
    """NIST/SEMATECH e-Handbook 6.1.6: USL 20, LSL 8, mean 16, s 2 give Cpk 0.6667."""
    unit = np.random.default_rng(1).standard_normal(50)
    values = 16 + 2 * (unit - unit.mean()) / unit.std(ddof=1)
    found = capability(values, low=8.0, high=20.0)
    assert found.ppk == pytest.approx(2 / 3)
    assert capability(values, low=8.0, high=None).ppk == pytest.approx(4 / 3)
    assert found.ppk_interval is not None
    # the handbook's own formula for the interval of an index
    half = 1.959964 * math.sqrt(1 / (9 * 50) + (2 / 3) ** 2 / (2 * 49))
    assert found.ppk_interval.high == pytest.approx(2 / 3 + half, abs=1e-6)


def test_intervals_of_cpk_and_ppk_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    hits = np.zeros(2)
    for _ in range(600):
        found = capability(rng.normal(0.0, 1.0, 40), low=-4.0, high=4.0)
        for k, interval in enumerate((found.cpk_interval, found.ppk_interval)):
            assert interval is not None
            hits[k] += interval.low <= 4 / 3 <= interval.high
    assert (np.abs(hits / 600 - 0.95) < 0.035).all(), hits / 600


def test_a_drifting_line_has_a_better_cpk_than_ppk() -> None:
    drifting = np.random.default_rng(3).normal(0, 0.1, 100) + np.linspace(-1, 1, 100)
    found = capability(drifting, low=-2.0, high=2.0)
    assert found.cpk is not None
    assert found.ppk is not None
    assert found.cpk > 3 * found.ppk


def test_capability_says_when_it_rests_on_too_few_boards_or_on_nothing() -> None:
    assert capability([1.0], low=0.0, high=2.0).cpk is None
    assert capability([], low=0.0, high=2.0).n == 0
    assert capability([1.0, 2.0], low=None, high=None).ppk is None
    assert capability([1.0, 1.0, 1.0], low=0.0, high=2.0).ppk is None  # no spread: no index
    assert not capability(range(ENOUGH_BOARDS - 1), low=0.0, high=99.0).enough
    assert capability(range(ENOUGH_BOARDS), low=0.0, high=99.0).enough
    assert capability([1.0, math.nan, 2.0], low=0.0, high=3.0).n == 2


def test_boards_that_differ_by_rounding_alone_have_no_capability() -> None:
    found = capability([0.1 + 0.2, 0.3, 0.3], low=0.0, high=1.0)
    assert (found.cpk, found.ppk, found.sd_overall) == (None, None, 0.0)


def test_first_pass_yield_and_pareto_count_what_they_are_given() -> None:
    found = first_pass_yield([True] * 9 + [False])
    assert (found.passed, found.n, found.share) == (9, 10, 0.9)
    assert found.interval is not None
    assert found.interval.low < 0.9 < found.interval.high
    assert first_pass_yield([]).share is None
    assert pareto(["gain", "noise", "gain", "clock"]) == [
        ("gain", 2, 0.5),
        ("clock", 1, 0.75),
        ("noise", 1, 1.0),
    ]


def test_histogram_holds_every_value_once() -> None:
    values = np.random.default_rng(4).normal(size=200)
    edges, counts = histogram(values)
    assert counts.sum() == 200
    assert len(edges) == len(counts) + 1
    assert histogram([2.0, 2.0])[1].sum() == 2
