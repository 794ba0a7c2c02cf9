"""Faults as words: what is read, what is refused, and what a board has afterwards."""

from __future__ import annotations

import click
import numpy as np
import pytest

from bci.acquisition.simulator import BENCH_FAULT_FORMS, BENCH_FAULTS, FrontEnd, parse_bench_fault
from bci.cli._fault_options import parse_fault
from bci.qualification.known_faults import KNOWN_FAULTS

CHANNELS = tuple(f"ch{k + 1}" for k in range(8))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gain:ch3:+4%", {"kind": "gain", "channel": "ch3", "amount": 4.0}),
        ("crosstalk:ch1>ch2:-60dB", {"kind": "crosstalk", "channel": "ch1", "other": "ch2", "amount": -60.0}),
        ("clock:+80ppm", {"kind": "clock", "amount": 80.0}),
        ("swap:ch2:ch5", {"kind": "swap", "channel": "ch2", "other": "ch5"}),
        ("noise:ch4:0.5µV", {"kind": "noise", "channel": "ch4", "amount": 0.5}),
        ("offsetdrift:ch1: +2 uV/°C", {"kind": "offsetdrift", "channel": "ch1", "amount": 2.0}),
        ("jitter:2e2us", {"kind": "jitter", "amount": 200.0}),
        ("dead:ch1", {"kind": "dead", "channel": "ch1"}),
    ],
)
def test_words_are_read(text: str, fault: dict[str, object]) -> None:
    assert parse_bench_fault(text) == fault
    assert parse_fault(text, bench=True) == fault


@pytest.mark.parametrize(
    "text",
    ["gain", "gain:ch3", "gain:+4%", "gain:ch3:4", "gain:ch3:4dB", "gain:ch3:much", "swap:ch2", "swap:ch2:ch5:3dB",
     "crosstalk:ch1:-60dB", "clock:ch1:+80ppm", "humour:ch1:3%", "", "gain:ch3:+4%:5%"],
)  # fmt: skip
def test_other_words_are_refused_with_the_forms_or_the_unit(text: str) -> None:
    with pytest.raises(ValueError, match=r"there are|is given in"):
        parse_bench_fault(text)


def test_a_board_without_a_bench_says_where_such_faults_belong() -> None:
    with pytest.raises(click.BadParameter, match="bci qualify --simulated"):
        parse_fault("gain:ch3:+4%")
    with pytest.raises(click.BadParameter, match="is given in %"):
        parse_fault("gain:ch3:+4dB", bench=True)
    assert parse_fault("flip:every_bytes=500,times=none", bench=True)["kind"] == "flip"


def test_each_kind_is_documented_and_known() -> None:
    documented = {form.split(":")[0] for form in BENCH_FAULT_FORMS.split(", ")}
    assert documented == set(BENCH_FAULTS) == {fault.kind for fault in KNOWN_FAULTS}
    for form in BENCH_FAULT_FORMS.split(", "):
        FrontEnd(CHANNELS, seed=1).fault(parse_bench_fault(form))


@pytest.mark.parametrize(
    "text", ["gain:ch9:+4%", "gain:C3:+4%", "noise:ch1:-1uV", "bandwidth:ch1:90Hz", "loose:ch1:0/min"]
)
def test_a_fault_that_makes_no_sense_is_refused_by_the_board(text: str) -> None:
    with pytest.raises(ValueError, match=r"no channel|greater than 0|ends at"):
        FrontEnd(CHANNELS, seed=1).fault(parse_bench_fault(text))


def test_the_truth_is_what_the_board_has_then() -> None:
    front_end = FrontEnd(CHANNELS, seed=4)
    before = float(front_end.truth.gain[2])
    truth = front_end.fault(parse_bench_fault("gain:ch3:+4%"))
    assert truth["size"] == pytest.approx(100 * (before * 1.04 - 1))
    assert truth["channel"] == "ch3"
    with pytest.raises(ValueError, match="takes"):
        front_end.fault({"kind": "gain", "channel": "ch3"})
    assert np.isfinite(front_end.truth.crosstalk).all()
