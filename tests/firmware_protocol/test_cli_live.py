"""frame-validator live: a port is watched; here it is made up, and its clock with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_protocol import Decoder, Fault, Opcode, Response, encode
from firmware_protocol.cli import live, main
from firmware_protocol.errors import PortError, PortLostError

from .captures import Board, good
from .gallery import noisy_line

Printed = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

BOARD = Board(seconds=3.0, has_status=True)


class FakePort:
    """Gives a capture in 300 blocks, one each `block_s` of a clock of its own, then whatever `end` is."""

    def __init__(self, wire: bytes, end: BaseException | None, block_s: float = 0.01) -> None:
        size = max(len(wire) // 300, 1)
        self._blocks: Iterator[bytes] = iter([wire[at : at + size] for at in range(0, len(wire), size)])
        self._end = end
        self._block_s = block_s
        self.seconds = 0.0
        self.written = b""

    def read(self, timeout_s: float) -> bytes:
        self.seconds += self._block_s
        block = next(self._blocks, None)
        if block is None and self._end is not None:
            raise self._end
        return block or b""

    def write(self, data: bytes) -> None:
        self.written += data


@contextmanager
def opened(port: FakePort) -> Iterator[FakePort]:
    yield port


def in_this_thread(port: FakePort) -> Iterator[tuple[int, bytes]]:
    while True:
        data = port.read(0.05)
        yield int(port.seconds * 1e9), data


def watched(
    monkeypatch: Patch, wire: bytes, *args: str, end: BaseException | None = None, block_s: float = 0.01
) -> tuple[int, FakePort]:
    """Exit status of `live` on a port that gives `wire`; time passes with what is read."""
    port = FakePort(wire, end, block_s)
    monkeypatch.setattr("firmware_protocol.ports.open_port", lambda url, baud: opened(port))
    monkeypatch.setattr(live, "_reading", in_this_thread)
    monkeypatch.setattr(live.time, "monotonic", lambda: port.seconds)
    return main(["live", "/dev/board", *args]), port


LOST = PortLostError("lost /dev/board (input/output error)", port="/dev/board")


def test_a_good_stream_is_clean_and_a_line_tells_so_each_second(monkeypatch: Patch, capsys: Printed) -> None:
    status, port = watched(monkeypatch, good(BOARD), "--seconds", "4")
    assert status == 0
    lines = capsys.readouterr().out.splitlines()
    assert " s  " in lines[0]
    assert lines[-1].startswith("clean")
    assert port.written == b""


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_a_report_has_standard_output_for_itself(terminal: bool, monkeypatch: Patch, capsys: Printed) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    status, _ = watched(monkeypatch, noisy_line(BOARD), "--seconds", "4", "--json")
    said = capsys.readouterr()
    assert json.loads(said.out)["exit_status"] == status == 1
    assert "conversions" in said.err
    assert "FP102" in said.err


def test_two_reports_on_standard_output_are_refused_before_a_byte_is_read(
    monkeypatch: Patch, capsys: Printed
) -> None:
    status, port = watched(monkeypatch, good(BOARD), "--json", "--junit", "--seconds", "4")
    assert (status, port.seconds) == (2, 0.0)
    assert "--json and --junit cannot share standard output" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_a_byte_is_read(
    monkeypatch: Patch, capsys: Printed, tmp_path: Path
) -> None:
    for target, why in (("nowhere/x.html", "there is no folder"), ("", "is a folder; name a file")):
        status, port = watched(monkeypatch, good(BOARD), "--html", str(tmp_path / target))
        assert (status, port.seconds) == (2, 0.0)
        assert why in capsys.readouterr().err


def test_findings_are_told_as_they_come(monkeypatch: Patch, capsys: Printed) -> None:
    status, _ = watched(monkeypatch, noisy_line(BOARD), "--seconds", "4")
    assert status == 1
    text = capsys.readouterr().out
    assert text.index("error FP1") < text.index("cause FP909 line-damage")


def test_a_port_that_goes_away_ends_it_with_the_report(monkeypatch: Patch, capsys: Printed) -> None:
    status, _ = watched(monkeypatch, good(BOARD), end=LOST)
    assert status == 0
    assert "lost /dev/board" in capsys.readouterr().out


def test_ctrl_c_ends_it_with_the_report(monkeypatch: Patch, capsys: Printed) -> None:
    status, _ = watched(monkeypatch, good(BOARD), end=KeyboardInterrupt())
    assert status == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("clean")


def test_a_silent_port_has_no_frames(monkeypatch: Patch, capsys: Printed) -> None:
    status, _ = watched(monkeypatch, b"", "--seconds", "1")
    assert status == 3
    assert "no-answer" in capsys.readouterr().out


def test_start_sends_start_keepalive_and_stop(monkeypatch: Patch) -> None:
    status, port = watched(monkeypatch, good(BOARD), "--start", "--seconds", "4")
    sent = [f for f in Decoder().feed(port.written) if not isinstance(f, Fault)]
    opcodes = [frame.opcode for frame in sent]  # type: ignore[union-attr]
    assert (opcodes[0], opcodes[-1]) == (Opcode.START, Opcode.STOP)
    assert set(opcodes[1:-1]) == {Opcode.KEEPALIVE}
    assert status == 0


def test_a_device_that_does_not_answer_start_is_named(monkeypatch: Patch, capsys: Printed) -> None:
    wire = b"".join(encode(f) for f in Decoder().feed(good(BOARD)) if not isinstance(f, Fault | Response))
    status, _ = watched(monkeypatch, wire, "--start", "--seconds", "4")
    assert status == 1
    assert "cause FP960 no-answer" in capsys.readouterr().out


def test_the_bytes_that_came_may_be_saved(monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "capture.bin"
    wire = good(BOARD)
    watched(monkeypatch, wire, "--seconds", "4", "--save", str(path))
    assert path.read_bytes() == wire
    assert watched(monkeypatch, wire, "--seconds", "4", "--save", str(path))[0] == 2  # not overwritten


def test_in_a_terminal_one_picture_is_drawn_over_itself(monkeypatch: Patch, capsys: Printed) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    status, _ = watched(monkeypatch, noisy_line(BOARD), "--seconds", "4")
    assert status == 1
    text = capsys.readouterr().out
    assert "\x1b[J" in text
    assert "Ctrl-C ends" in text


def test_a_port_that_does_not_open_ends_with_2(monkeypatch: Patch, capsys: Printed) -> None:
    def refuses(url: str, baud: int) -> None:
        raise PortError("there is no port /dev/board", port=url)

    monkeypatch.setattr("firmware_protocol.ports.open_port", refuses)
    assert main(["live", "/dev/board"]) == 2
    assert "there is no port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("device_s", "says"), [(30.0, "Hz by the host clock"), (60.0, "the device's clock runs 2 times as fast")]
)
def test_the_rate_is_measured_by_the_host_clock(
    device_s: float, says: str, monkeypatch: Patch, capsys: Printed
) -> None:
    wire = good(replace(BOARD, seconds=device_s, n_samples=20))
    watched(monkeypatch, wire, "--seconds", "31", block_s=0.1)
    assert says in capsys.readouterr().out


def test_a_thread_reads_so_that_no_pause_loses_a_byte() -> None:
    blocks = live._reading(FakePort(b"abc", LOST))
    assert [data for _, data in (next(blocks), next(blocks), next(blocks))] == [b"a", b"b", b"c"]
    with pytest.raises(PortLostError):
        next(blocks)
