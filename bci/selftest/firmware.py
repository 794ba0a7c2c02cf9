"""Checks of the firmware group: the example firmware's size, cost and behaviour, under QEMU and on this computer."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bci.errors import BciError
from bci.selftest._check import Check, Result
from bci.selftest._firmware import HostBoard, make, missing
from bci.selftest._qemu_board import QemuBoard, SteppedBoard

if TYPE_CHECKING:
    from firmware_protocol.conform import Line, Plan

__all__ = ["CHECKS"]

_BAUD = 921_600
_SOAK_S = 60.0  # of the board's own time; nightly ten minutes
_MAX_FLASH, _MAX_RAM, _MAX_INSTRUCTIONS = 8 * 1024, 4 * 1024, 30.0
_PATIENCE_S = 60.0  # a board that runs faster than it is read has much under way
_BENCH = "qemu-system-arm -M mps2-an385 -display none -monitor none -icount shift=0 -no-reboot -serial stdio -kernel"


def _with(programs: tuple[str, ...], measure: Callable[[Path, bool], Result]) -> Callable[[bool], Result]:
    """`measure` in a folder of its own; skipped where a program is missing, missed where the firmware is at fault."""

    def run(nightly: bool) -> Result:
        if why := missing("make", *programs):
            return Result(True, "not measured", skipped=why)
        try:
            with tempfile.TemporaryDirectory() as folder:
                return measure(Path(folder), nightly)
        except BciError as err:
            return Result(False, str(err))

    return run


def _size(build: Path, nightly: bool) -> Result:
    told = make(build)
    whole = re.search(r"^ +(\d+)\s+(\d+)\s+(\d+)\s.*firmware\.elf$", told, re.MULTILINE)
    share = re.search(r"(\d+)  bytes of flash: codec", told)
    if whole is None or share is None:
        return Result(False, f"the build does not print its size: {told[-200:]}")
    flash, ram = int(share[1]), int(whole[2]) + int(whole[3])
    figures = {"flash_bytes": flash, "ram_bytes": ram, "whole_flash_bytes": int(whole[1])}
    measured = f"{flash:,} bytes of flash for codec and commands, {ram:,} bytes of RAM in all"
    return Result(flash <= _MAX_FLASH and ram <= _MAX_RAM, measured, figures)


def _instructions(build: Path, nightly: bool) -> Result:
    make(build, f"{build}/bench.elf")
    figures: dict[str, float] = {}
    command = [*_BENCH.split(), str(build / "bench.elf")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as qemu:
        assert qemu.stdout is not None
        try:
            for line in iter(lambda: (qemu.stdout and qemu.stdout.readline().strip()) or "end", "end"):
                name, number = line.split()
                figures[name.removesuffix("-times-100")] = int(number) / (
                    100 if name.endswith("-times-100") else 1
                )
        finally:
            qemu.kill()
    worst = max(figures["encode-per-payload-byte"], figures["encode-zeros-per-payload-byte"])
    measured = (
        f"{figures['encode-per-payload-byte']:.1f} instructions a byte of payload, {worst:.1f} at worst"
    )
    return Result(worst <= _MAX_INSTRUCTIONS, measured, figures)


def _conforms(board: Line, plan: Plan) -> Result:
    from firmware_protocol.conform import Verdict, conform

    result = conform(board, plan)
    findings = sum(n for (rule, _), n in result.report.counts.items() if rule != "FP110")
    findings += len(result.report.causes)
    passed = len(result.of(Verdict.PASSED))
    figures = {"findings": findings, "steps_passed": passed, "board_seconds": round(board.now_s())}
    return Result(not findings and passed > 50, f"{findings} findings in {passed} steps", figures)


def _conformance(build: Path, nightly: bool) -> Result:
    from firmware_protocol.conform import Plan

    make(build, f"{build}/host_board")
    with HostBoard(build / "host_board") as board:
        return _conforms(board, Plan(baud=_BAUD, soak_s=10 * _SOAK_S if nightly else _SOAK_S, seed=1))


def _emulated_conformance(build: Path, nightly: bool) -> Result:
    from firmware_protocol.conform import Plan

    make(build, IDLE="SPIN")
    # 16,000 conversions a second, each read byte by byte from the model of the converter, ask for a faster processor.
    icount = f"shift={4 if nightly else 6},sleep=off"
    soak_s = 10 * _SOAK_S if nightly else _SOAK_S / 12
    plan = Plan(baud=_BAUD, soak_s=soak_s, quick=not nightly, overload=nightly, seed=4)
    with SteppedBoard(build / "firmware.elf", icount=icount) as board:
        return _conforms(board, plan)


def _streaming(build: Path, nightly: bool) -> Result:
    from firmware_protocol.codes import Opcode
    from firmware_protocol.conform import Plan, PortLine
    from firmware_protocol.conform.host import Host
    from firmware_protocol.frames import Heartbeat, Response
    from firmware_protocol.ports import open_port

    make(build)
    wanted = 250 * round(10 * _SOAK_S if nightly else _SOAK_S / 2)
    with (
        QemuBoard(build / "firmware.elf", icount="shift=6,sleep=off") as board,
        open_port(board.url, baud=_BAUD) as port,
    ):
        host = Host(PortLine(port), Plan(baud=_BAUD))

        def ask(opcode: int, *arguments: int) -> Response:
            answer = host.answer_to(host.send(opcode, *arguments), _PATIENCE_S)
            if answer is None:
                raise BciError(f"opcode {opcode} was not answered")
            return answer

        ask(Opcode.RESET_COUNTERS)
        first = int.from_bytes(ask(Opcode.START, 0).payload, "little")
        end_s = host.now_s + wanted / 25  # ten times slower than a real board
        while host.conversions < wanted and host.now_s < end_s:
            host.listen(0.2)
            host.heard.clear()
        told = Heartbeat.from_counters(ask(Opcode.STOP))
        host.drain(0.5)
    made = told.sample_index - first
    on_the_link = made - told.dropped - host.conversions
    figures = {
        "made": made,
        "received": host.conversions,
        "dropped": told.dropped,
        "lost_on_link": on_the_link,
    }
    measured = (
        f"{made:,} conversions, {told.dropped} dropped by its own count, {on_the_link} lost on the link"
    )
    return Result(made >= wanted and not on_the_link and not host.damage, measured, figures)


def _hostile(build: Path, nightly: bool) -> Result:
    make(build, f"{build}/hostile")
    n = 100_000_000 if nightly else 1_000_000
    done = subprocess.run([str(build / "hostile"), str(n)], capture_output=True, text=True, check=False)
    if done.returncode:
        return Result(False, done.stderr.strip()[-500:])
    tried, inputs = map(int, re.findall(r"\d+", done.stdout)[:2])
    return Result(True, done.stdout.strip(), {"bytes": tried, "inputs": inputs})


_ARM = ("arm-none-eabi-gcc", "qemu-system-arm")
CHECKS: list[Check] = [
    Check(
        "firmware-size",
        "firmware",
        "flash of codec and command handling, RAM of the whole firmware, 8 channels, 4 conversions a packet",
        "at most 8 KiB and 4 KiB",
        _with(_ARM[:1], _size),
    ),
    Check(
        "firmware-encoder",
        "firmware",
        "instructions of a Cortex-M3 for each byte of payload, CRC by table, counted by QEMU",
        "at most 30",
        _with(_ARM, _instructions),
    ),
    Check(
        "firmware-conformance",
        "firmware",
        "all steps of the conformance suite on the firmware's sources under sanitizers; nightly ten minutes of stream",
        "no finding",
        _with(("cc",), _conformance),
    ),
    Check(
        "firmware-conformance-emulated",
        "firmware",
        "the same steps on a Cortex-M3 under QEMU, in short; nightly at full length, with ten minutes of stream",
        "no finding",
        _with(_ARM, _emulated_conformance),
    ),
    Check(
        "firmware-streaming",
        "firmware",
        "half a minute of the firmware's own time under QEMU, nightly ten",
        "nothing lost on the link, the account exact",
        _with(_ARM, _streaming),
    ),
    Check(
        "firmware-hostile-bytes",
        "firmware",
        "a million hostile bytes to its command port, nightly a hundred million, under sanitizers",
        "IDENTIFY behind them is answered within 100 ms",
        _with(("cc",), _hostile),
    ),
]
