"""The firmware's sources: what they weigh, what they cost, and what they must not do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bci.selftest._firmware import EXAMPLE, make
from tests.firmware.conftest import needs_arm, needs_cc, needs_qemu

pytestmark = pytest.mark.firmware

SOURCES = sorted([*EXAMPLE.glob("*.[ch]"), *EXAMPLE.glob("host/*.[ch]")])
MAX_FLASH = 8 * 1024  # codec and command handling
MAX_RAM = 4 * 1024  # all of it, stack and all
MAX_INSTRUCTIONS = 30  # encoder, a byte of payload


def code_of(path: Path) -> str:
    """Without comments."""
    return re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_each_file_is_short_ascii_and_within_its_lines(path: Path) -> None:
    lines = path.read_text(encoding="ascii").splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 120


def test_firmware_uses_no_heap_no_text_output_and_no_floating_point() -> None:
    for path in EXAMPLE.glob("*.[ch]"):
        found = re.findall(r"\b(?:malloc|calloc|free|printf|sprintf|float|double)\b", code_of(path))
        assert found == [], path.name


def test_only_board_files_touch_registers_of_the_processor() -> None:
    """What a board maker replaces is in files of its own."""
    of_the_board = {"board_mps2.c", "startup.c", "bench.c"}  # bench: counter and UART of the same board
    touching = {path.name for path in EXAMPLE.glob("*.c") if re.search(r"0x[4E]00|__asm", code_of(path))}
    assert touching == of_the_board


@needs_arm
def test_flash_and_ram_stay_below_their_limits(tmp_path: Path) -> None:
    told = make(tmp_path)
    text, data, bss = map(int, re.search(r"^ +(\d+)\s+(\d+)\s+(\d+)\s.*firmware\.elf$", told, re.M).groups())  # type: ignore[union-attr]
    share = int(re.search(r"(\d+)  bytes of flash: codec and command handling", told)[1])  # type: ignore[index]
    assert 4000 < share <= MAX_FLASH
    assert 2000 < data + bss <= MAX_RAM
    assert share < text < 16 * 1024


@needs_arm
def test_firmware_is_built_with_the_small_crc_table_and_at_other_bauds_too(tmp_path: Path) -> None:
    small = make(tmp_path, CRC_TABLE=16, BAUD=115_200, IDLE="SPIN")
    assert int(re.search(r"(\d+)  bytes of flash", small)[1]) < MAX_FLASH - 1024  # type: ignore[index]


@needs_qemu
@pytest.mark.parametrize(("table", "limit"), [(256, MAX_INSTRUCTIONS), (16, 40)])
def test_instructions_of_the_encoder_counted_by_the_emulator(tmp_path: Path, table: int, limit: int) -> None:
    figures = bench(tmp_path, table)
    assert 5 < figures["encode-per-payload-byte-times-100"] / 100 <= limit
    assert figures["encode-zeros-per-payload-byte-times-100"] / 100 <= limit
    assert figures["crc-per-byte-times-100"] < figures["encode-per-payload-byte-times-100"]
    assert figures["hear-start-command"] < 5000


def bench(build: Path, table: int) -> dict[str, int]:
    make(build, f"{build}/bench.elf", CRC_TABLE=table)
    machine = "-M mps2-an385 -display none -monitor none -no-reboot"
    command = f"qemu-system-arm {machine} -icount shift=0 -serial stdio -kernel"
    with subprocess.Popen(
        [*command.split(), str(build / "bench.elf")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as qemu:
        assert qemu.stdout is not None
        try:
            lines = [line.split() for line in iter(lambda: qemu.stdout.readline().strip(), "end")]  # type: ignore[union-attr]
        finally:
            qemu.kill()
    return {name: int(number) for name, number in lines}


CALLED = """
#include "bfp.h"
int main(void)
{
    static uint8_t payload[108], wire[BFP_WIRE_SIZE(128)];
    bfp_data frame = {.n_channels = 8, .n_samples = 4, .format = BFP_FORMAT(true, 8), .payload = payload};
    int k;
    for (k = 0; k < 108; k++)
        payload[k] = (uint8_t)(k * 37 + 1);
    for (k = 0; k < 1000; k++)
        bfp_write_data(&frame, wire, sizeof wire);
    return 0;
}
"""


@needs_cc
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind here (Debian: valgrind)")
def test_instructions_of_the_encoder_counted_by_callgrind(tmp_path: Path) -> None:
    """A second witness, on another processor."""
    (tmp_path / "called.c").write_text(CALLED)
    folder = EXAMPLE.parent
    build = ["cc", "-std=c99", "-O2", "-g", f"-I{folder}", "-o", "called", "called.c", str(folder / "bfp.c")]
    subprocess.run(build, cwd=tmp_path, check=True)
    count = ["valgrind", "--tool=callgrind", "--callgrind-out-file=out", "./called"]
    done = subprocess.run(count, cwd=tmp_path, capture_output=True, text=True, check=False)
    total = int(re.search(r"Collected : (\d+)", done.stderr)[1])  # type: ignore[index]
    assert 5 < total / 1000 / 108 <= MAX_INSTRUCTIONS


@needs_cc
def test_hostile_bytes_never_crash_or_wedge_the_board(tmp_path: Path) -> None:
    """A million of them, under sanitizers: behind each piece IDENTIFY is answered within 100 ms."""
    make(tmp_path, f"{tmp_path}/fuzz")
    done = subprocess.run(
        [str(tmp_path / "fuzz"), "1000000"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"100\d{4} hostile bytes in \d{3,} inputs", done.stdout)


@needs_cc
def test_a_board_that_wedges_would_be_found_by_the_fuzzer(tmp_path: Path) -> None:
    """The same harness on a firmware whose decoder is not asked after an undelimited stretch."""
    for path in EXAMPLE.parent.glob("bfp.[ch]"):
        shutil.copy(path, tmp_path)
    shutil.copytree(EXAMPLE, tmp_path / "example")
    device = tmp_path / "example" / "device.c"
    text = device.read_text(encoding="utf-8")
    wrong = text.replace("while (bfp_next(&decoder, &found))", "if (bfp_next(&decoder, &found))")
    assert wrong != text
    device.write_text(wrong, encoding="utf-8")
    command = ["make", "-C", str(tmp_path / "example"), f"BUILD={tmp_path}", f"{tmp_path}/fuzz"]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    done = subprocess.run([str(tmp_path / "fuzz"), "100000"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "IDENTIFY was not answered within 100 ms" in done.stderr
