"""The fault drill: each fault once, against running processes."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from bci.prosthesis import drill, drill_session, monitor, run_drill
from bci.prosthesis.drill import drills
from bci.prosthesis.events import Entered
from bci.prosthesis.monitor_state import CAUSES

OTHERS = [pytest.param(hand, marks=pytest.mark.nightly) for hand in ("simulated", "rh56")]

HUNG = {
    "decoder hangs in an endless loop",
    "decoder holds the interpreter lock in C code",
    "decoder stands still for its garbage collector",
}


@pytest.mark.parametrize("hand", ["ability", *OTHERS])
def test_every_fault_of_the_drill_is_held_or_refused(hand):
    """However long it takes on a machine that does other things at the same time."""
    told = []
    results = run_drill(hand=hand, progress=told.append)
    assert told == results
    assert [r.fault for r in results] == list(drills())
    assert [r for r in results if not r.outcome.startswith(("held: ", "refused: ", "the hand"))] == []
    timed = {r.fault for r in results if not math.isnan(r.frame_ms)}
    assert timed >= HUNG
    assert ("disk full" in timed) == (sys.platform == "linux")


@pytest.mark.nightly
@pytest.mark.parametrize("hand", ["ability", "simulated", "rh56"])
def test_every_fault_of_the_drill_is_held_or_refused_in_time(hand):
    assert [r for r in run_drill(hand=hand) if not r.passed] == []


def test_a_drill_can_fail(monkeypatch):
    """A monitor that obeys no STOP is found out."""
    monkeypatch.setattr(monitor.SafetyMonitor, "stop", lambda self, source: None)
    monkeypatch.setattr(drill_session, "WAIT_S", 2.0)
    (result,) = run_drill(faults=["STOP by the program"])
    assert not result.passed
    assert "no fresh signal" in result.outcome  # the drill falls silent while it waits


def held(monkeypatch, entered, *, frames_ms=(), doubt="outlier"):
    log = [{"zero_monotonic_ns": 0}, *entered]
    monkeypatch.setattr(drill, "read_log", lambda path: iter(log))
    return drill._held("test", Path(), 0, doubt, 40.0, frames_ms)


@pytest.mark.parametrize(
    ("ms", "frame_ms", "passed"),
    [(40.0, 20.0, True), (40.1, 1.0, False), (1.0, 20.1, False), (1.0, math.nan, True)],
)
def test_a_drill_passes_only_within_both_of_its_times(monkeypatch, ms, frame_ms, passed):
    frames = [] if math.isnan(frame_ms) else [frame_ms]
    entered = Entered(int(ms * 1000), "moving", "hold", CAUSES["outlier"])
    assert held(monkeypatch, [entered], frames_ms=frames).passed == passed


def test_a_hand_that_is_held_for_another_reason_does_not_pass(monkeypatch):
    both = f"{CAUSES['stale']}; {CAUSES['outlier']}"
    for cause, passed in ((CAUSES["outlier"], True), (both, True), (CAUSES["stale"], False)):
        assert held(monkeypatch, [Entered(1000, "moving", "hold", cause)]).passed == passed


def test_a_hand_that_was_held_before_the_fault_shows_nothing(monkeypatch):
    before = Entered(-200_000, "moving", "hold", CAUSES["stale"])
    more = Entered(1000, "hold", "hold", f"{CAUSES['stale']}; {CAUSES['outlier']}")
    result = held(monkeypatch, [before, more])
    assert not result.passed
    assert result.outcome == "held before the fault: no fresh signal"
    again = [
        Entered(-150_000, "armed", "moving", "intent 2"),
        Entered(1000, "moving", "hold", CAUSES["outlier"]),
    ]
    assert held(monkeypatch, [before, *again]).passed


def test_a_hold_has_the_time_of_the_frame_whose_answer_told_of_the_fault(monkeypatch):
    result = held(monkeypatch, [Entered(-20_000, "moving", "hold", CAUSES["outlier"])])
    assert (result.passed, result.ms) == (True, 0.0)


def test_a_session_that_is_never_held_fails(monkeypatch):
    result = held(monkeypatch, [])
    assert not result.passed
    assert result.outcome == "not held"


@pytest.mark.parametrize("reason", ["number not above", "not armed"])
def test_an_intent_that_is_refused_for_another_reason_does_not_pass(monkeypatch, reason):
    monkeypatch.setitem(drill._REFUSED, "test", ({"number": 1}, reason))
    assert run_drill(faults=["test"])[0].passed == (reason == "number not above")


def test_an_intent_that_is_obeyed_does_not_pass(monkeypatch):
    monkeypatch.setitem(drill._REFUSED, "test", ({}, "expired"))
    (result,) = run_drill(faults=["test"])
    assert (result.passed, result.outcome) == (False, "not refused")
