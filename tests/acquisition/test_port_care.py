"""Locks that name their holder, latency timers, and the check of the test pattern."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import open_source
from bci.acquisition.client import BoardClient
from bci.acquisition.low_latency import advice, read_latency_ms, set_low_latency
from bci.acquisition.pattern_check import check_pattern, mismatch
from bci.acquisition.port_lock import PortLock
from bci.acquisition.receiver import DecodedLink
from bci.errors import (
    DeviceBusyError,
    DeviceNotFoundError,
    DeviceRefusedError,
    DeviceTimeoutError,
    PatternMismatchError,
)
from firmware_protocol import Opcode, Pattern
from firmware_protocol.device import ReferenceDevice
from firmware_protocol.patterns import pattern_counts
from firmware_protocol.ports import holders
from tests.acquisition.boards import CONFIG, Bench, port_board

posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
pytestmark = pytest.mark.timeout(60)


# ---- what is no board's port ----


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="whose terminal it is, only Linux tells")
def test_somebodys_terminal_is_not_touched_even_under_the_name_a_lost_board_had() -> None:
    import termios

    # A window in which somebody works: the first terminal that a session's leader opens is its own.
    work = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR); os.write(fd, b'here'); os.read(fd, 1)"
    master, slave = os.openpty()
    name = os.ttyname(slave)
    somebody = subprocess.Popen([sys.executable, "-c", work, name], start_new_session=True)
    try:
        assert os.read(master, 64) == b"here"
        before = termios.tcgetattr(slave)
        with pytest.raises(DeviceNotFoundError, match=f"{name} is the terminal of process {somebody.pid}"):
            open_source(name)
        assert termios.tcgetattr(slave) == before
        os.set_blocking(master, False)
        with pytest.raises(BlockingIOError):
            os.read(master, 64)  # nothing was written there
    finally:
        somebody.kill()
        somebody.wait()
        os.close(master)
        os.close(slave)


# ---- one program at a time ----


def test_a_second_lock_names_the_process_that_holds_the_first_and_is_free_after_it(tmp_path: Path) -> None:
    lock = PortLock("COM7", directory=tmp_path)
    with pytest.raises(DeviceBusyError, match="in use by this program"):
        PortLock("COM7", directory=tmp_path)
    PortLock("COM8", directory=tmp_path).release()
    lock.release()
    lock.release()
    PortLock("COM7", directory=tmp_path).release()


@posix
def test_a_process_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = PortLock("COM7", directory=tmp_path)
    copy = os.dup(lock._fd or 0)  # what a forked process has
    lock.release()
    PortLock("COM7", directory=tmp_path).release()
    os.close(copy)


def test_another_program_is_told_the_process_id_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys; from bci.acquisition.port_lock import PortLock; "
        f"lock = PortLock('COM7', directory={str(tmp_path)!r}); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DeviceBusyError, match=f"process {other.pid}.*end that program") as err:
            PortLock("COM7", directory=tmp_path)
        assert err.value.port == "COM7"
        other.kill()
    PortLock("COM7", directory=tmp_path).release()


def test_a_folder_that_nobody_may_write_to_leaves_the_ports_own_exclusive_mode(tmp_path: Path) -> None:
    PortLock("COM7", directory=tmp_path / "missing").release()


@posix
def test_two_sources_on_one_port_are_refused_by_name() -> None:
    with (
        port_board("pty") as board,
        open_source(board.url),
        pytest.raises(DeviceBusyError, match="in use by this program"),
    ):
        open_source(board.url)
    with port_board("pty") as board:
        open_source(board.url).close()
        open_source(board.url).close()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_who_has_a_port_open_is_known() -> None:
    master, slave = os.openpty()
    assert os.getpid() in holders(os.ttyname(slave))
    os.close(master)
    os.close(slave)


# ---- the latency timer ----


@pytest.mark.skipif(sys.platform != "linux", reason="sysfs is Linux")
def test_a_timer_that_may_be_written_is_set_and_one_that_may_not_has_its_fix_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied")

    timer = tmp_path / "ttyUSB5" / "latency_timer"
    timer.parent.mkdir()
    timer.write_text("16\n")
    with Path(os.devnull).open() as port:
        assert set_low_latency(port.fileno(), "/dev/ttyUSB5", sysfs=tmp_path).low
        assert read_latency_ms("/dev/ttyUSB5", sysfs=tmp_path) == 1
        assert set_low_latency(port.fileno(), "/dev/ttyACM0", sysfs=tmp_path).timer_ms is None
        timer.write_text("16\n")
        monkeypatch.setattr(Path, "write_text", refuse)
        latency = set_low_latency(port.fileno(), "/dev/ttyUSB5", sysfs=tmp_path)
    assert latency.timer_ms == 16
    assert "sudo tee /sys/bus/usb-serial/devices/ttyUSB5/latency_timer" in latency.fix
    assert "udev" in latency.fix


@pytest.mark.parametrize(
    ("platform", "url", "word"),
    [
        ("linux", "/dev/ttyUSB0", "latency_timer"),
        ("darwin", "/dev/cu.usbserial-1", "/dev/cu."),
        ("win32", "COM3", "Device Manager"),
    ],
)
def test_every_system_has_its_own_advice(platform: str, url: str, word: str) -> None:
    assert word in advice(url, platform=platform)


# ---- the test pattern ----


def ramp(first: int, n: int, n_channels: int = 8) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(first, first + n, dtype=np.uint32)
    rows = [pattern_counts(Pattern.RAMP, int(i), n_channels) for i in index]
    return index, np.array(rows, np.int32)


def signed(words: np.ndarray) -> np.ndarray:
    return ((words & 0xFFFFFF) ^ 0x800000) - 0x800000


def test_the_ramp_of_any_conversion_is_right() -> None:
    for first in (0, 5, 2**32 - 3):
        index, counts = ramp(first, 3)
        assert mismatch(index, counts) == ""


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda c: signed((c & 0xFF) << 16 | c & 0xFF00 | (c >> 16) & 0xFF), "reverse order"),
        (lambda c: signed(c ^ 0x800000), "sign bit is inverted"),
        (lambda c: c & 0x7FFFFF, "sign is lost"),
        (lambda c: signed(c & 0xFFFF00), "upper 16 bits"),
        (lambda c: signed(c << 1), "up by one bit"),
        (lambda c: signed((c & 0xFFFFFF) >> 1), "down by one bit"),
        (lambda c: c[:, [0, 1, 3, 2, 4, 5, 6, 7]], "channel 3 shows what belongs to channel 4"),
        (lambda c: c + (np.arange(8) == 5), "channel 6: expected 0x"),
    ],
)
def test_what_is_wrong_with_samples_is_named(spoil: object, cause: str) -> None:
    index, counts = ramp(1000, 8)
    assert cause in mismatch(index, spoil(counts))  # type: ignore[operator]


def checked(bench: Bench) -> bool:
    client = BoardClient(DecodedLink(bench, clock_ns=bench.clock_ns), clock_ns=bench.clock_ns)
    client.identify()
    return check_pattern(client, clock_ns=bench.clock_ns)


@pytest.mark.parametrize("n_channels", [1, 8, 64])
def test_a_board_whose_pattern_arrives_right_is_idle_and_without_pattern_afterwards(n_channels: int) -> None:
    labels = tuple(f"E{k}" for k in range(n_channels))
    bench = Bench(ReferenceDevice(replace(CONFIG, labels=labels, samples_per_frame=1)))
    assert checked(bench)
    assert not bench.device.streaming
    assert bench.device.pattern == Pattern.OFF
    assert bench.keepalive_s == 0


def test_a_board_that_sends_other_numbers_is_refused_before_its_first_sample() -> None:
    class Slipped(ReferenceDevice):
        @property
        def pattern(self) -> Pattern:
            return Pattern.RAMP

    device = Slipped(CONFIG)
    device._setup.convert = lambda first, rows: rows  # type: ignore[method-assign]  # it forgot the pattern
    with pytest.raises(
        PatternMismatchError, match=r"does not send its test pattern.*mend its firmware"
    ) as err:
        checked(Bench(device))
    assert err.value.port == "bench"


def test_a_board_without_patterns_is_used_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    request = BoardClient.request

    def refuse(self: BoardClient, opcode: Opcode, *arguments: int, **more: bytes) -> object:
        if opcode == Opcode.TEST_PATTERN:
            raise DeviceRefusedError("refused", port="bench", status="UNKNOWN_OPCODE")
        return request(self, opcode, *arguments, **more)

    monkeypatch.setattr(BoardClient, "request", refuse)
    assert not checked(Bench())


def test_a_board_that_answers_and_converts_nothing_is_told_so() -> None:
    bench = Bench()
    bench.device.push_samples = lambda *args, **options: 0  # type: ignore[method-assign]
    with pytest.raises(DeviceTimeoutError, match="sent no DATA within 2 s; does its converter run"):
        checked(bench)
