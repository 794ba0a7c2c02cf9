"""Streams of the firmware on an emulated Cortex-M3: the loss account closes to the last conversion, come what may."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bci.selftest._qemu_board import QemuBoard
from firmware_protocol.conform import PortLine
from firmware_protocol.ports import open_port
from tests.firmware.conftest import needs_qemu
from tests.firmware.streaming import stream

pytestmark = [pytest.mark.firmware, needs_qemu]

BAUD = 921_600
VIRTUAL = "shift=6,sleep=off"  # time is counted in instructions, and a sleeping board's passes at once


@pytest.mark.parametrize(
    "seconds", [30, pytest.param(600, marks=pytest.mark.nightly)], ids=["half-a-minute", "ten-minutes"]
)
def test_streaming_loses_nothing_and_the_account_is_exact(firmware: Path, seconds: int) -> None:
    with QemuBoard(firmware, icount=VIRTUAL) as board, open_port(board.url, baud=BAUD) as port:
        told = stream(PortLine(port), 4.0 * seconds, conversions=250 * seconds)
    assert told.received >= 250 * seconds
    assert (told.made, told.dropped, told.damage) == (told.received, 0, 0)
    assert told.heartbeats >= seconds - 1


@pytest.mark.parametrize("rate_hz", [pytest.param(500, marks=pytest.mark.nightly), 2000])
def test_account_is_exact_at_rates_above_what_the_line_carries(slow_firmware: Path, rate_hz: int) -> None:
    """115,200 baud carry 320 conversions a second."""
    with QemuBoard(slow_firmware, icount=VIRTUAL) as board, open_port(board.url, baud=115_200) as port:
        told = stream(PortLine(port), 40.0, baud=115_200, rate_hz=rate_hz, conversions=2000)
    assert told.made == told.received + told.dropped
    assert told.damage == 0
    assert told.dropped / told.made > 0.8 * (1 - 360 / rate_hz)


def test_account_is_exact_when_the_emulator_gets_no_time(firmware: Path) -> None:
    """Stopped again and again for up to 0.4 s: interrupts come late, and what they missed is counted."""
    rng = random.Random(5)
    stopped = False

    with QemuBoard(firmware) as board, open_port(board.url, baud=BAUD) as port:

        def starve(tenth: int) -> None:
            nonlocal stopped
            stopped = tenth < 45 and not stopped and rng.random() < 0.5  # it runs when STOP is asked
            (board.stop if stopped else board.go_on)()

        told = stream(PortLine(port), 5.0, rate_hz=1000, meddle=starve)
        board.go_on()
    assert told.made == told.received + told.dropped
    assert told.damage == 0
    assert told.dropped > 200


@pytest.mark.nightly
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system cannot keep programs to a processor"
)
def test_account_is_exact_when_other_programs_take_the_computer(firmware: Path) -> None:
    """A twohundredth of a processor is left for all threads of QEMU, each of which stands still where it happens to."""
    processor = max(os.sched_getaffinity(0))
    others: list[subprocess.Popen[bytes]] = []

    with QemuBoard(firmware) as board, open_port(board.url, baud=BAUD) as port:
        for thread in Path(f"/proc/{board.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {processor})
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)

        def starve(tenth: int) -> None:
            if tenth == 5:
                spin = f"import os; os.sched_setaffinity(0, {{{processor}}})\nwhile True: pass"
                others.extend(subprocess.Popen([sys.executable, "-c", spin]) for _ in range(3))
            elif tenth == 50:
                for other in others:
                    other.kill()
                    other.wait()

        try:
            told = stream(PortLine(port), 6.0, rate_hz=1000, meddle=starve)
        finally:
            for other in others:
                other.kill()
                other.wait()
    assert told.made == told.received + told.dropped
    assert told.damage == 0
    assert told.dropped > 0
