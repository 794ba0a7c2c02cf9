"""The conformance suite against the simulated board: in short over its pseudo-terminal, nightly whole and in memory."""

from __future__ import annotations

import math
import os

from bci.acquisition.simulator import BoardConfig, SimulatedBoard, Synthetic
from bci.acquisition.simulator._board import Board
from bci.acquisition.simulator._signals import open_signal
from bci.selftest._check import Result
from firmware_protocol.conform import Conformance, Plan, PortLine, Verdict, conform
from firmware_protocol.ports import open_port

__all__ = ["BoardInMemory", "conformance"]

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


class BoardInMemory:
    """The simulated board without process and port: a `Line` of the suite, whose time passes only in `read`.

    In real time a busy computer makes the board late, and nobody can tell that from a board that is wrong.
    """

    def __init__(self) -> None:
        self._now_ns = 0
        self._to_board = self._from_board = b""
        config = BoardConfig(Synthetic(), baud=_BAUD)
        signal = open_signal(config.signal)
        self._board = Board(config, signal, lambda: _End(self), monotonic_ns=lambda: self._now_ns)

    def now_s(self) -> float:
        return self._now_ns / 1e9

    def write(self, data: bytes) -> None:
        self._to_board += data

    def read(self, timeout_s: float) -> bytes:
        """What it sends first within `timeout_s` of its time."""
        end_ns = self._now_ns + math.ceil(timeout_s * 1e9)
        while True:
            sleep_s = self._board.step()
            if self._from_board or self._now_ns >= end_ns:
                data, self._from_board = self._from_board, b""
                return data
            self._now_ns = min(end_ns, self._now_ns + math.ceil(sleep_s * 1e9))


class _End:
    """The board's end of the line: its outlet, which takes everything."""

    url = "memory"
    connected = True

    def __init__(self, line: BoardInMemory) -> None:
        self._line = line

    def read(self) -> bytes:
        data, self._line._to_board = self._line._to_board, b""
        return data

    def write(self, data: bytes | memoryview) -> int:
        self._line._from_board += bytes(data)
        return len(data)

    def want_room(self, wanted: bool) -> None:
        pass

    def hang_up(self) -> None:
        pass


def conformance(nightly: bool) -> Result:
    """Findings of `frame-validator conform`: a few steps, nightly all of them with a stream of ten minutes."""
    if nightly:
        return _told(conform(BoardInMemory(), Plan(baud=_BAUD)))
    if not hasattr(os, "openpty"):
        return Result(True, "", skipped="this system has no pseudo-terminals")
    with SimulatedBoard() as board, open_port(board.port, baud=_BAUD) as port:
        return _told(conform(PortLine(port), Plan(baud=_BAUD, soak_s=0.0, quick=True), steps=_SHORT))


def _told(result: Conformance) -> Result:
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
