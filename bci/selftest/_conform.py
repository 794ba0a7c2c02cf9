"""The conformance suite against the simulated board, over its pseudo-terminal and in real time."""

from __future__ import annotations

import os

from bci.acquisition.simulator import SimulatedBoard
from bci.selftest._check import Result

__all__ = ["conformance"]

_SHORT = (
    "answers",
    "identify",
    "bad-crc",
    "half-frame",
    "test-pattern",
    "start",
    "stop-account",
    "watchdog",
    "FP79",
)
_BAUD = 921_600


def conformance(nightly: bool) -> Result:
    """Findings of `frame-validator conform`: a few steps, nightly all of them with a stream of ten minutes."""
    if not hasattr(os, "openpty"):
        return Result(True, "", skipped="this system has no pseudo-terminals")
    from firmware_protocol.conform import Plan, PortLine, Verdict, conform
    from firmware_protocol.ports import open_port

    plan = Plan(baud=_BAUD, soak_s=600.0 if nightly else 0.0, quick=not nightly)
    with SimulatedBoard() as board, open_port(board.port, baud=_BAUD) as port:
        result = conform(PortLine(port), plan, steps=() if nightly else _SHORT)
    passed = len(result.of(Verdict.PASSED))
    findings = sum(result.report.counts.values()) + len(result.report.causes)
    conversions = int(result.report.numbers["samples"])
    latest_ms = max(result.latencies_s, default=0.0) * 1000
    told = f"{findings} findings in {passed} steps, {conversions:,} conversions; answers within {latest_ms:.0f} ms"
    figures = {
        "findings": findings,
        "steps_passed": passed,
        "conversions": conversions,
        "commands": len(result.latencies_s),
        "latest_answer_ms": round(latest_ms, 1),
    }
    return Result(not findings and result.exit_status() == 0, told, figures)
