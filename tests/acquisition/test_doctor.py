"""The examination finds each fault, names it, and stops at the first that everything else rests on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.acquisition._account import Statistics
from bci.acquisition._serial import PortEntry
from bci.acquisition.doctor import Computer, Finding, channel_reports, examine
from bci.acquisition.source import Source
from bci.chunks import Chunk, SignalInfo
from bci.errors import (
    BudgetError,
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    DevicePermissionError,
    DeviceTimeoutError,
    UnsupportedDeviceError,
)

FS = 250
NAMES = ("C3", "Cz", "C4", "O1")
INFO = SignalInfo(NAMES, Fraction(FS), (0.0223,) * 4, "board 1.0")
USB = PortEntry("/dev/ttyUSB7", "A1", "FT231X", 0x0403, 0x6015)


def eeg(seconds: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    n = round(seconds * FS)
    t = np.arange(n) / FS
    return rng.normal(0, 5, (4, n)) + 8 * np.sin(2 * np.pi * 10 * t) + 4000


class Board(Source):
    """A source that gives a signal a quarter of a second at a time; what it lost itself it tells once stopped."""

    recording_path = None

    def __init__(self, signal: np.ndarray, *, rate_error: float = 0.0, **statistics: int) -> None:
        self.labels: dict[int, str] = {}
        self._signal = signal
        self._at = 0
        self._rate_error = rate_error
        self._counts = statistics
        self.started = self.closed = False
        self.refuse: Exception | None = None

    @property
    def info(self) -> SignalInfo:
        return INFO

    @property
    def statistics(self) -> Statistics:
        counts = self._counts | ({"samples_lost_device": 0} if self.started else {})
        return Statistics(samples=self._at, **counts)

    @property
    def last_byte_ns(self) -> int:
        return 10**9 + round(self._at / FS / (1 + self._rate_error) * 1e9)

    @property
    def ended(self) -> bool:
        return self.closed

    def start(self) -> None:
        if isinstance(self.refuse, BudgetError):
            raise self.refuse
        self.started = True

    def stop(self) -> None:
        self.started = False

    def read(self, timeout_s: float) -> list[Chunk]:
        if self.refuse is not None:
            raise self.refuse
        part = self._signal[:, self._at : self._at + FS // 4]
        chunk = Chunk(part, self._at)
        self._at += part.shape[1]
        return [chunk] if part.shape[1] else []

    def mark(self, label: str, *, code: int = 0, value: int = 0) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


def found(
    board: Source | Exception | dict[str, Any], *, port: str | None = "COM9", **computer: Any
) -> dict[str, Finding]:
    opened: list[str] = []

    def open_(url: str) -> Source:
        opened.append(url)
        answer = (
            board.get(url, DeviceTimeoutError("nothing came", port=url)) if isinstance(board, dict) else board
        )
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Board)
        return answer

    settings: dict[str, Any] = {
        "ports": lambda: [USB],
        "holders": lambda port: [],
        "latency_ms": lambda port: 1,
        "may_open": lambda port: True,
        **computer,
    }
    return {f.key: f for f in examine(port, computer=Computer(open=open_, **settings))}


def problems(findings: dict[str, Finding]) -> set[str]:
    return {key for key, finding in findings.items() if finding.level == "problem"}


def test_a_good_board_has_no_problem_and_is_closed_again() -> None:
    board = Board(eeg())
    findings = found(board)
    assert problems(findings) == set()
    assert findings["board"].facts["device"] == "board 1.0"
    assert "source" not in findings["board"].facts
    assert findings["rate"].facts["rate_hz"] == pytest.approx(FS)
    assert findings["channels-fine"].facts["n"] == 4
    assert board.closed


def test_a_computer_without_ports_is_told_so_and_nothing_else() -> None:
    findings = found(Board(eeg()), port=None, ports=list)
    assert list(findings) == ["no-ports"]


def test_without_a_name_the_port_on_which_a_board_answers_is_found() -> None:
    other = PortEntry("/dev/ttyUSB8", "A2", "CP210x", 0x10C4, 0xEA60)
    bluetooth = PortEntry("/dev/ttyS0")
    findings = found({"/dev/ttyUSB8": Board(eeg())}, port=None, ports=lambda: [bluetooth, USB, other])
    assert findings["ports"].facts["ports"] == "/dev/ttyUSB7, /dev/ttyUSB8"
    assert findings["board"].facts["port"] == "/dev/ttyUSB8"
    assert problems(findings) == set()


def test_a_cyton_is_recognised_on_a_port_where_no_board_of_ours_answers() -> None:
    findings = found({"cyton://COM9": Board(eeg())})
    assert findings["board"].facts["url"] == "cyton://COM9"


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (DeviceNotFoundError("there is no port COM9", port="COM9"), "no-such-port"),
        (DevicePermissionError("may not", port="COM9"), "no-permission"),
        (DeviceBusyError("in use by process 12", port="COM9"), "held"),
        (UnsupportedDeviceError("version 3", port="COM9"), "other-version"),
        (DeviceTimeoutError("nothing came", port="COM9"), "no-answer"),
    ],
)
def test_a_port_that_gives_no_board_is_the_end_of_it(error: Exception, key: str) -> None:
    findings = found(error)
    assert problems(findings) == {key}
    assert list(findings)[-1] == key


def test_permission_and_other_programs_are_looked_at_before_anything_is_opened(tmp_path: Path) -> None:
    port = str(tmp_path / "ttyUSB7")
    Path(port).touch()
    findings = found(AssertionError("opened"), port=port, may_open=lambda path: False)
    assert problems(findings) == {"no-permission"}
    findings = found(AssertionError("opened"), port=port, holders=lambda path: [1])
    assert problems(findings) == {"held"}
    assert "(1)" in findings["held"].facts["programs"]


def test_an_adapter_that_waits_is_a_note_with_its_fix() -> None:
    findings = found(Board(eeg()), latency_ms=lambda port: 16)
    assert findings["latency"].level == "note"
    assert findings["latency"].facts["ms"] == 16
    assert findings["latency"].facts["fix"]
    assert problems(findings) == set()


def test_a_line_too_slow_a_lost_and_a_silent_board_are_told_apart() -> None:
    board = Board(eeg())
    board.refuse = BudgetError("8 channels take 120 %", port="COM9")
    assert problems(found(board)) == {"budget"}
    board = Board(eeg())
    board.refuse = DeviceLostError("unplugged", port="COM9")
    assert problems(found(board)) == {"lost"}
    assert problems(found(Board(eeg(0.2)))) == {"silent"}


@pytest.mark.parametrize(("error", "bad"), [(0.02, False), (-0.02, False), (0.05, True), (-0.05, True)])
def test_a_rate_off_by_more_than_crystals_are_is_a_problem(error: float, bad: bool) -> None:
    findings = found(Board(eeg(), rate_error=error))
    assert findings["rate"].facts["error"] == pytest.approx(error, abs=1e-3)
    assert ("rate" in problems(findings)) == bad


def test_who_lost_samples_is_named() -> None:
    findings = found(Board(eeg(), samples_lost=10, samples_lost_device=1, faults=3))
    assert problems(findings) == {"loss-on-line"}
    assert findings["loss-on-line"].facts["lost"] == 10
    assert problems(found(Board(eeg(), samples_lost=10, samples_lost_device=9))) == {"loss-by-board"}


def test_each_bad_electrode_is_named_with_what_is_wrong() -> None:
    x = eeg()
    n = x.shape[1]
    x[0] = 7.0
    x[1] = 0.0223 * (2**23 - 1)
    x[2] += 60 * np.sin(2 * np.pi * 50 * np.arange(n) / FS)
    x[3] += np.random.default_rng(1).normal(0, 300, n)
    findings = found(Board(x))
    assert problems(findings) == {"channels-flat", "channels-saturated", "channels-mains", "channels-noisy"}
    for key, name in zip(("flat", "saturated", "mains", "noisy"), NAMES, strict=True):
        assert findings[f"channels-{key}"].facts["channels"] == name
    assert findings["channels-mains"].facts["worst_uv"] == pytest.approx(60, rel=0.1)
    assert "channels-fine" not in findings


def test_an_electrode_is_off_by_its_comparator_or_by_megohms() -> None:
    off = np.array([0.0, 0.9, 0.1, 0.0])
    kohm = np.array([5.0, 5.0, 5.0, 1800.0])
    verdicts = [r.verdict for r in channel_reports(eeg(), INFO, off=off, kohm=kohm)]
    assert verdicts == ["fine", "off", "fine", "off"]


def test_the_size_of_a_signal_is_measured_right() -> None:
    t = np.arange(1000) / FS
    x = np.tile(10 * np.sin(2 * np.pi * 11 * t), (4, 1)) + 500
    reports = channel_reports(x, INFO)
    assert [r.rms_uv for r in reports] == pytest.approx([10 / np.sqrt(2)] * 4, rel=0.02)
    assert [r.mains_uv for r in reports] == pytest.approx([0.0] * 4, abs=0.1)
