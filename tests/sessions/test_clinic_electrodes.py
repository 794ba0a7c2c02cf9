"""One verdict for each electrode, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from bci.chunks import Chunk, SignalInfo
from bci.dsp import ChannelQuality
from bci.language import use_language
from bci.sessions.bench import Bench, Wearer
from bci.sessions.electrodes import Electrode, ElectrodeWatch, cap_off, judge, summary_sentence
from bci.sessions.signal_check import Gate


@pytest.fixture(params=["en", "zh"])
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    use_language(request.param)
    yield request.param
    use_language("en")


def quality(name: str, score: int, *causes: str) -> ChannelQuality:
    return ChannelQuality(name, score, causes, causes, 0.0, 10.0, 1.0, 5.0)


@pytest.mark.parametrize(
    ("score", "causes", "off", "kohm", "level", "finding"),
    [
        (100, (), False, 5.0, "good", ""),
        (90, ("mains",), False, 29.0, "good", ""),
        (60, ("mains",), False, 5.0, "fair", "mains"),
        (40, ("noise",), False, None, "bad", "noise"),
        (60, ("muscle",), False, 5.0, "fair", "muscle"),
        (100, (), False, 45.0, "fair", "impedance"),
        (100, (), False, 120.0, "bad", "impedance"),
        (100, (), False, 1900.0, "bad", "off"),
        (100, (), True, None, "bad", "off"),
        (0, ("flat", "weak"), False, 0.0, "bad", "flat"),
        (0, ("railed",), False, 0.1, "bad", "railed"),
        (30, ("waves",), False, None, "bad", "waves"),
        (49, ("offset",), False, None, "bad", "offset"),
        (10, ("lost",), False, None, "bad", "lost"),
    ],
)
def test_the_gravest_finding_decides_and_is_put_in_words(
    score: int, causes: tuple[str, ...], off: bool, kohm: float | None, level: str, finding: str, spoken: str
) -> None:
    found = judge(quality("C3", score, *causes), off=off, kohm=kohm)
    assert found.level == level
    assert (found.findings[0] if found.findings else "") == finding
    assert bool(found.advice) == bool(finding), "whoever hears of a fault hears what to do"
    told = found.sentence + found.advice
    assert any("\u4e00" <= sign <= "\u9fff" for sign in told) == (spoken == "zh")
    assert "C3" in told or finding == "lost"
    if spoken == "en" and finding == "off":
        assert found.advice == "Wet electrode C3 again and press it on."


def test_an_electrode_without_signal_has_no_impedance() -> None:
    """No tone comes through it, which would look like 0 kΩ."""
    assert judge(quality("C3", 0, "flat"), kohm=0.0).impedance_kohm is None


def electrodes(*levels: str) -> list[Electrode]:
    return [
        Electrode(
            f"E{k}", level, ("off",) if level == "bad" else (), None, f"E{k} has no contact.", "Wet it."
        )  # type: ignore[arg-type]
        for k, level in enumerate(levels)
    ]


def test_three_of_four_without_contact_are_a_cap_that_is_not_on() -> None:
    assert cap_off(electrodes("bad", "bad", "bad", "good"))
    assert not cap_off(electrodes("bad", "bad", "good", "good"))
    assert "cap does not seem to be on: 3 of 4" in summary_sentence(electrodes("bad", "bad", "bad", "good"))


def test_many_electrodes_disturbed_by_waves_are_no_missing_cap() -> None:
    moving = [judge(quality(f"E{k}", 20, "waves")) for k in range(4)]
    assert not cap_off(moving)


def test_the_gate_looks_at_needed_electrodes_alone_and_lets_only_named_ones_pass() -> None:
    seen = electrodes("bad", "good", "bad")
    assert Gate().refused(seen) == ("E0", "E2")
    assert Gate(needed=("E1", "E2")).refused(seen) == ("E2",)
    assert Gate(override=("E0",), by="N").refused(seen) == ("E2",)
    assert Gate(override=("E0", "E2")).refused(seen) == ("E0", "E2"), "nobody answers for it"
    assert Gate(override=("all",), by="N").refused(seen) == ()
    assert "--override E0,E2 --by NAME" in Gate().refusal([*seen, *electrodes("good", "good")])


def test_a_look_needs_some_seconds_and_puts_needed_electrodes_first() -> None:
    info = SignalInfo(("F3", "C3", "C4"), Fraction(250))
    watch = ElectrodeWatch(info, ("C4",))
    rng = np.random.default_rng(1)
    for k in range(5):
        assert watch.look() == ()
        assert summary_sentence(watch.look()).startswith("Listening")
        watch.process(Chunk(np.asfortranarray(10.0 * rng.standard_normal((3, 200))), 200 * k))
    assert [e.name for e in watch.look()] == ["C4", "F3", "C3"]


def test_measured_impedances_are_the_simulated_ones_within_the_currents_tolerance() -> None:
    """The truth is what the board was told; its current is up to 20 % off what anybody assumes."""
    truth = (2.0, 5.0, 10.0, 45.0, 150.0, 900.0)
    names = ("C3", "Cz", "C4", "CP1", "CP2", "Fz")
    with Bench(fast=True, wearer=Wearer(montage=names, impedance_kohm=truth)) as bench:
        watch = ElectrodeWatch(bench.info, lead_off=bench.measure_impedance())
        bench.start()
        for _ in range(3):
            for chunk in bench.read(2.0):
                watch.process(chunk)
        found = {e.name: e for e in watch.look()}
    for name, kohm in zip(names, truth, strict=True):
        measured = found[name].impedance_kohm
        assert measured is not None
        assert measured == pytest.approx(kohm, rel=0.25, abs=0.8), name
    assert [found[name].level for name in names] == ["good", "good", "good", "fair", "bad", "bad"]
    assert found["Fz"].findings == ("off",)
