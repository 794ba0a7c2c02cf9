"""The firmware's sources: what they weigh, what they cost, and what they must not do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bci.selftest._firmware import EXAMPLE, BuildError, make
from tests.firmware.conftest import needs, needs_arm, needs_cc, needs_qemu
from tests.fuzz.seeds import FOLDER

pytestmark = pytest.mark.firmware

SOURCES = sorted([*EXAMPLE.glob("*.[ch]"), *EXAMPLE.glob("host/*.[ch]")])
SEEDS = FOLDER / "firmware"
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
def test_a_board_in_a_folder_of_its_own_takes_the_place_of_the_example(tmp_path: Path) -> None:
    board = tmp_path / "a board"  # make splits names at blanks
    board.mkdir()
    with pytest.raises(BuildError, match=r"without spaces in its name, with one \*\.ld file"):
        make(tmp_path, BOARD=board)
    board = board.rename(tmp_path / "mine")
    for name in ("board_mps2.c", "startup.c", "ads1299_model.c", "mps2.ld"):
        shutil.copy(EXAMPLE / name, board)
    (board / "vendor.s").write_text(".section .text.vendor\n.global vendor\nvendor: bx lr\n")
    make(tmp_path, BOARD=board, CPU="cortex-m4")
    assert {path.name for path in (tmp_path / "board").glob("*.o")} == {
        "board_mps2.c.o",
        "startup.c.o",
        "ads1299_model.c.o",
        "vendor.s.o",
    }
    assert not (tmp_path / "arm" / "board_mps2.o").exists()


def test_the_page_counts_the_functions_of_a_board() -> None:
    declared = re.findall(r"^\w+ (\w+)\(", code_of(EXAMPLE / "board.h"), re.MULTILINE)
    page = (Path(__file__).parents[2] / "docs" / "firmware.md").read_text(encoding="utf-8")
    assert f"asks of a board: {len(declared)} functions" in page


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


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fuzz target without libFuzzer, under sanitizers."""
    build = tmp_path_factory.mktemp("hostile")
    make(build, f"{build}/hostile")
    return build / "hostile"


def ran(*command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=timeout_s
    )


@needs_cc
def test_hostile_bytes_never_crash_or_wedge_the_board(hostile: Path) -> None:
    """A million of them: behind each piece IDENTIFY is answered within 100 ms, and the loss account stays exact."""
    done = ran(hostile, "1000000")
    assert done.returncode == 0, done.stderr
    assert re.match(r"100\d{4} hostile bytes in \d{3,} inputs", done.stdout)


@needs_cc
def test_each_seed_of_the_fuzzer_leaves_the_board_whole(hostile: Path) -> None:
    done = ran(hostile, *sorted(SEEDS.iterdir()))
    assert (done.returncode, done.stderr) == (0, "")


@needs_cc
@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        ("device.c", "while (bfp_next(&decoder, &found))", "if (bfp_next(&decoder, &found))", "not answered"),
        ("outbox.c", "made.dropped += n;", "made.dropped += n - (n > 1u);", "neither sent nor dropped"),
        ("device.c", "link_seq++;", "link_seq = link_seq != 300u ? link_seq + 1u : 302u;", "link_seq"),
    ],
    ids=["wedges", "miscounts", "skips a number"],
)
def test_a_board_that_is_wrong_would_be_found(
    tmp_path: Path, file: str, right: str, wrong: str, said: str
) -> None:
    """The same harness on a firmware that differs in one place."""
    for path in EXAMPLE.parent.glob("bfp.[ch]"):
        shutil.copy(path, tmp_path)
    shutil.copytree(EXAMPLE, tmp_path / "example")
    source = tmp_path / "example" / file
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    target = f"{tmp_path}/hostile"
    build = ran("make", "-C", tmp_path / "example", f"BUILD={tmp_path}", target, "CFLAGS=-O0 -Wno-conversion")
    assert build.returncode == 0, build.stderr
    done = ran(target, "300000")
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.nightly
@needs("make", "clang")
@pytest.mark.timeout(1800)
def test_libfuzzer_finds_nothing(tmp_path: Path) -> None:
    """As `make fuzz`, for a number of inputs in place of ten minutes."""
    try:
        make(tmp_path, f"{tmp_path}/fuzz")
    except BuildError as err:
        if "libclang_rt.fuzzer" not in str(err):
            raise
        pytest.skip("clang has no libFuzzer here (Debian: libclang-rt-dev)")
    found = tmp_path / "corpus"
    found.mkdir()
    options = "-runs=20000", "-seed=1", "-max_len=512", f"-artifact_prefix={tmp_path}/"
    done = ran(tmp_path / "fuzz", *options, found, SEEDS, timeout_s=1500)
    assert done.returncode == 0, done.stderr[-4000:]
    assert re.search(r"Done 20\d{3} runs", done.stderr)
    assert len([*found.iterdir()]) > 100
