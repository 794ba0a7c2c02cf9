"""The fault drill: each fault once, against running processes."""

from __future__ import annotations

import math
import sys
import time

import pytest

from bci.prosthesis import drill, monitor, run_drill
from bci.prosthesis.drill import FRAME_MS, drills
from bci.prosthesis.events import Entered

#: The drill's own limits are for a machine that does nothing else; tests share theirs.
BUSY_MS = 250.0


@pytest.mark.parametrize(
    "hand",
    [
        "ability",
        pytest.param("simulated", marks=pytest.mark.nightly),
        pytest.param("rh56", marks=pytest.mark.nightly),
    ],
)
def test_every_fault_of_the_drill_is_held_or_refused_in_time(hand):
    told = []
    results = run_drill(hand=hand, progress=told.append)
    assert told == results
    assert [r.fault for r in results] == list(drills())
    assert [r for r in results if not r.outcome.startswith(("held", "refused", "the hand"))] == []
    assert [r for r in results if r.ms > r.limit_ms + BUSY_MS] == []
    assert [r for r in results if r.frame_ms > FRAME_MS + BUSY_MS] == []
    timed = {r.fault for r in results if not math.isnan(r.frame_ms)}
    assert {
        "decoder hangs in an endless loop",
        "decoder holds the interpreter lock in C code",
        "decoder stands still for its garbage collector",
    } <= timed
    assert ("disk full" in timed) == (sys.platform == "linux")


def test_a_drill_can_fail(monkeypatch):
    """A monitor that obeys no STOP is found out."""
    monkeypatch.setattr(monitor.SafetyMonitor, "stop", lambda self, source: None)
    monkeypatch.setattr(drill, "WAIT_S", 0.3)
    (result,) = run_drill(faults=["STOP by the program"])
    assert not result.passed
    assert "no fresh signal" in result.outcome  # the drill falls silent while it waits


@pytest.mark.parametrize(
    ("ms", "frame_ms", "passed"),
    [(40.0, 20.0, True), (40.1, 1.0, False), (1.0, 20.1, False), (1.0, math.nan, True)],
)
def test_a_drill_passes_only_within_both_of_its_times(tmp_path, monkeypatch, ms, frame_ms, passed):
    log = [{"zero_monotonic_ns": 0}, Entered(int(ms * 1000), "moving", "hold", "for the test")]
    monkeypatch.setattr(drill, "read_log", lambda path: iter(log))
    frames = [] if math.isnan(frame_ms) else [frame_ms]
    assert drill._held("test", tmp_path, 0, 40.0, frames).passed == passed


def test_a_session_that_is_never_held_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(drill, "read_log", lambda path: iter([{"zero_monotonic_ns": time.monotonic_ns()}]))
    result = drill._held("test", tmp_path, 0, 40.0)
    assert not result.passed
    assert result.outcome == "not held"
