"""The C encoder and decoder: compiled with every warning an error, and equal to the Python codec in both directions."""

from __future__ import annotations

import ctypes
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bci.selftest import _c_codec
from bci.selftest._c_codec import WARNINGS, answers, build, compare_damage, compare_frames, compare_vectors
from bci.selftest._random_frames import random_frame
from firmware_protocol import Command, Decoder, Fault, FaultKind, c_text, encode, encode_command
from firmware_protocol._samples import status_word
from firmware_protocol.codes import Opcode, Status
from firmware_protocol.converter import GAINS
from firmware_protocol.exchange import decode_request
from firmware_protocol.layout import COMMANDS
from firmware_protocol.patterns import FULL_SCALE, prbs, ramp

FOLDER = c_text.FOLDER
OWN_CRC = """
#include "bfp.h"
uint32_t bfp_crc(uint32_t reg, const uint8_t *bytes, size_t n)
{
    while (n-- > 0) {
        int k;
        reg ^= *bytes++;
        for (k = 0; k < 8; k++)
            reg = (reg & 1u) ? reg >> 1 ^ 0x82F63B78u : reg >> 1;
    }
    return reg;
}
"""

needs_cc = pytest.mark.skipif(_c_codec.compiler() is None, reason="no C compiler here (cc, or what CC names)")
needs_arm = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc here (Debian: gcc-arm-none-eabi)"
)


def cc(folder: Path, *options: str, compiler: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [compiler or _c_codec.compiler() or "cc", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """bfp.c as a library that Python calls."""
    path = tmp_path_factory.mktemp("c") / "bfp.so"
    done = cc(FOLDER, *WARNINGS, "-O1", "-fPIC", "-shared", "-o", str(path), "bfp.c")
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(path))


@pytest.mark.parametrize("name", c_text.FILES)
def test_c_files_are_those_that_the_layout_makes(name: str) -> None:
    """If this fails: python -m firmware_protocol.c_text"""
    assert (FOLDER / name).read_text(encoding="utf-8") == c_text.written(name)


def test_a_changed_layout_would_change_the_header() -> None:
    text = c_text.written("bfp.h")
    spoiled = re.sub(r"(BFP_DATA_AT_N_CHANNELS +)12u", r"\g<1>13u", text)
    assert spoiled != text
    assert c_text.with_parts(spoiled) == text


@needs_cc
@pytest.mark.parametrize("board", [(), ("-DBFP_BOARD",)], ids=["whole", "board"])
@pytest.mark.parametrize("table", ["256", "16", "0"])
def test_codec_compiles_without_a_warning(tmp_path: Path, table: str, board: tuple[str, ...]) -> None:
    strict = "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes"
    out = str(tmp_path / "bfp.o")
    done = cc(FOLDER, *WARNINGS, *strict, f"-DBFP_CRC_TABLE={table}", *board, "-Os", "-c", "-o", out, "bfp.c")
    assert (done.returncode, done.stderr) == (0, "")


PAGE = """
#include "bfp.h"
static uint8_t uart_buffer[BFP_WIRE_SIZE(BFP_MAX_PACKET)], burst[4 * 27], config_id, byte, status;
static uint16_t link_seq;
static uint64_t sample_index, t_us;
static uint32_t rx_errors;
static bool first, streaming;
bool uart_ring_take(uint8_t *taken);
size_t send(void);
void hear(void);
size_t send(void)
{
    %s
    return n;
}
void hear(void)
{
    (void)status;
    %s
}
"""


@needs_cc
def test_code_on_the_page_for_firmware_engineers_compiles(tmp_path: Path) -> None:
    page = FOLDER.parents[1] / "docs" / "vectors.md"
    if not page.exists():
        pytest.skip("no docs beside the package")
    blocks = re.findall(r"```c\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "page.c").write_text(PAGE % tuple(blocks), encoding="utf-8")
    done = cc(tmp_path, *WARNINGS, f"-I{FOLDER}", "-c", "page.c")
    assert (done.returncode, done.stderr) == (0, "")


@needs_cc
@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm here")
def test_codec_calls_nothing_that_it_does_not_bring(tmp_path: Path) -> None:
    """No malloc, no memcpy, no arithmetic of a library."""
    plain = "-std=c99", "-Os", "-fno-stack-protector"  # which some systems add to every program
    assert cc(FOLDER, *plain, "-c", "-o", str(tmp_path / "bfp.o"), "bfp.c").returncode == 0
    undefined = subprocess.run(
        ["nm", "-u", "bfp.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert undefined.stdout.split() == []


@needs_cc
def test_codec_uses_no_floating_point(tmp_path: Path) -> None:
    """The compiler is told to refuse every floating-point register."""
    (tmp_path / "probe.c").write_text("int f(void) { return 1; }\n")
    if cc(tmp_path, "-mgeneral-regs-only", "-c", "probe.c").returncode:
        pytest.skip("this compiler has no -mgeneral-regs-only")
    out = str(tmp_path / "bfp.o")
    assert cc(FOLDER, "-std=c99", "-mgeneral-regs-only", "-Os", "-c", "-o", out, "bfp.c").returncode == 0
    for name in ("bfp.h", "bfp.c"):
        code = re.sub(r"/\*.*?\*/", "", (FOLDER / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        assert re.findall(r"\b(?:float|double|malloc|calloc|free)\b", code) == []


@needs_cc
@pytest.mark.parametrize("table", ["256", "0"])
def test_no_function_of_the_codec_calls_itself_even_through_others(table: str) -> None:
    code = cc(FOLDER, "-std=c99", "-E", "-P", f"-DBFP_CRC_TABLE={table}", "bfp.c").stdout
    bodies = dict(re.findall(r"^[\w \*]*?(\w+)\([^;{]*\)\n\{\n(.*?)^\}", code, re.DOTALL | re.MULTILINE))
    assert {"bfp_next", "walk", "put", "bfp_write_info"} <= set(bodies)
    calls = {name: {c for c in re.findall(r"(\w+)\(", body) if c in bodies} for name, body in bodies.items()}
    done: set[str] = set()
    while left := {name for name in calls if name not in done}:
        leaves = {name for name in left if calls[name] <= done}
        assert leaves, f"calls in a circle among {sorted(left)}"
        done |= leaves


@needs_cc
def test_header_is_taken_by_a_cpp_compiler(tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here")
    (tmp_path / "main.cpp").write_text('#include "bfp.h"\nint main() { bfp_data d = {}; return d.flags; }\n')
    done = cc(
        tmp_path, "-Wall", "-Wextra", "-Werror", f"-I{FOLDER}", "-fsyntax-only", "main.cpp", compiler=compiler
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_cc
@pytest.mark.parametrize("table", ["256", "16", "0"])
def test_codec_agrees_with_every_golden_vector(tmp_path: Path, table: str) -> None:
    options = [f"-DBFP_CRC_TABLE={table}"]
    if table == "0":
        (tmp_path / "own.c").write_text(OWN_CRC)
        options.append("own.c")
    assert compare_vectors(build(tmp_path, *options)) > 400


@needs_cc
def test_random_frames_are_coded_and_decoded_alike(program: Path) -> None:
    assert compare_frames(program, 20_000, seed=21) == 20_000


@needs_cc
def test_damaged_streams_give_the_same_frames_and_faults(program: Path) -> None:
    assert compare_damage(program, 4000, seed=22) > 4000


@needs_cc
def test_codec_does_nothing_undefined(tmp_path: Path) -> None:
    (tmp_path / "probe.c").write_text("int main(void) { return 0; }\n")
    if (
        cc(tmp_path, *_c_codec.SANITIZERS, "probe.c").returncode
        or cc(tmp_path, compiler="./a.out").returncode
    ):
        pytest.skip("no AddressSanitizer or UndefinedBehaviorSanitizer here")
    sanitized = build(tmp_path, *_c_codec.SANITIZERS)
    assert compare_vectors(sanitized) > 400
    assert compare_frames(sanitized, 1000, seed=23) == 1000
    assert compare_damage(sanitized, 1000, seed=24) > 1000


@needs_cc
def test_a_difference_would_be_seen(tmp_path: Path) -> None:
    """A codec with one wrong number in it is found by vectors, frames and damage."""
    build(tmp_path)
    text = (tmp_path / "bfp.c").read_text(encoding="utf-8")
    (tmp_path / "bfp.c").write_text(text.replace("0x1350F3F4u", "0x1350F3F5u"), encoding="utf-8")
    assert cc(tmp_path, "-std=c99", "-o", "bfp_check", "bfp_check.c", "bfp.c").returncode == 0
    for compare in (
        compare_vectors,
        lambda p: compare_frames(p, 300, 1),
        lambda p: compare_damage(p, 300, 1),
    ):
        with pytest.raises(_c_codec.DifferenceError):
            compare(tmp_path / "bfp_check")


@needs_cc
def test_a_board_hears_the_same_commands_in_less_memory(tmp_path: Path) -> None:
    board = build(tmp_path, "-DBFP_BOARD")
    rng = random.Random(5)
    for _ in range(200):
        commands = [Command(k, 0, k, rng.randrange(14), rng.randbytes(rng.randrange(117))) for k in range(5)]
        wire = bytearray(b"".join(map(encode_command, commands)))
        for _ in range(rng.randrange(3)):
            wire[rng.randrange(len(wire))] = rng.choice((0, 1, 255, rng.randrange(256)))
        events = Decoder().feed(bytes(wire))
        (answer,) = answers(board, [decode_request(bytes(wire))])
        heard = [line for line in answer.decode().splitlines() if not line.startswith("fault")]
        assert len(heard) >= sum(isinstance(event, Command) for event in events) - 1
        expected = [event.link_seq for event in events if not isinstance(event, Fault)]
        got = [int(re.search(r"link_seq=(\d+)", line)[1]) for line in heard]  # type: ignore[index]
        assert set(got) <= set(expected)
    long = b"\x55" * 131 + b"\x00" + encode(Command(1, 0, 2, 3))
    (answer,) = answers(board, [decode_request(long)])
    assert [line.split(" ")[:2] for line in answer.decode().splitlines()] == [
        ["fault", f"kind={FaultKind.UNDELIMITED}"],
        ["COMMAND", "offset=132"],
    ]


@needs_cc
def test_samples_patterns_and_scales_are_those_of_the_codec(library: ctypes.CDLL) -> None:
    for name in ("bfp_get_int24", "bfp_ramp", "bfp_prbs", "bfp_status_word"):
        getattr(library, name).restype = ctypes.c_int32
    for value in (0, 1, -1, FULL_SCALE - 1, -FULL_SCALE, 0x123456, -0x123456):
        three = (ctypes.c_uint8 * 3)()
        library.bfp_put_int24(three, ctypes.c_int32(value))
        assert bytes(three) == (value & 0xFFFFFF).to_bytes(3)
        assert library.bfp_get_int24(three) == value
    for index in (0, 1, 1000, 2**31, 2**32 - 1, 2**32 + 7, 2**40 + 12345):
        for channel in (0, 1, 7, 63):
            low = ctypes.c_uint32(index & 0xFFFFFFFF)
            assert library.bfp_ramp(low, ctypes.c_uint8(channel)) == ramp(index, channel)
            assert library.bfp_prbs(low, ctypes.c_uint8(channel)) == prbs(index, channel)
    assert library.bfp_status_word(0x81, 0x42, 0x9) == status_word(0x81, 0x42, 0x9)
    scales = (ctypes.c_double * 7).in_dll(library, "bfp_ads1299_uv_per_count")
    if sys.byteorder == "little":
        assert list(scales) == [4.5e6 / gain / (FULL_SCALE - 1) for gain in GAINS]


@needs_cc
def test_numbers_go_little_endian_both_ways(library: ctypes.CDLL) -> None:
    eight = (ctypes.c_uint8 * 8)()
    library.bfp_put_u64(eight, ctypes.c_uint64(0x8877665544332211))
    assert bytes(eight) == bytes.fromhex("1122334455667788")
    library.bfp_get_u64.restype = ctypes.c_uint64
    assert library.bfp_get_u64(eight) == 0x8877665544332211
    library.bfp_get_u32.restype = ctypes.c_uint32
    assert library.bfp_get_u32(eight) == 0x44332211


@needs_cc
def test_encoder_writes_nothing_without_room_and_nothing_behind_it(library: ctypes.CDLL) -> None:
    library.bfp_write.restype = ctypes.c_size_t
    rng = random.Random(6)
    for _ in range(100):
        packet = random_frame(rng).pack()
        wire = encode(Decoder().feed(_sealed(packet))[0])  # type: ignore[arg-type]
        needs = len(packet) + 4 + -(-(len(packet) + 4) // 254) + 1
        for room in (0, 1, len(wire) - 1, needs - 1, needs, needs + 3):
            buffer = (ctypes.c_uint8 * (room + 16))(*([0xAA] * (room + 16)))
            n = library.bfp_write(
                packet[:4],
                ctypes.c_size_t(4),
                packet[4:],
                ctypes.c_size_t(len(packet) - 4),
                buffer,
                ctypes.c_size_t(room),
            )
            assert n == (len(wire) if room >= needs else 0)
            assert bytes(buffer[n:]) == b"\xaa" * (room + 16 - n)
            assert bytes(buffer[:n]) == wire[:n]


def _sealed(packet: bytes) -> bytes:
    from firmware_protocol import seal

    return seal(packet)


@needs_cc
@pytest.mark.parametrize("wire", [b"\x55" * 3000, (b"\x55" * 100 + b"\x00") * 30, bytes(range(256)) * 9])
def test_decoder_that_is_never_asked_writes_no_further_than_its_memory(
    library: ctypes.CDLL, wire: bytes
) -> None:
    memory = (ctypes.c_uint8 * (c_text.RAM_WHOLE + 4000))(*([0xAA] * (c_text.RAM_WHOLE + 4000)))
    library.bfp_decoder_init(memory)
    for byte in wire:
        library.bfp_receive(memory, ctypes.c_uint8(byte))
    assert bytes(memory[c_text.RAM_WHOLE :]) == b"\xaa" * 4000


class _CCommand(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint8),
        ("link_seq", ctypes.c_uint16),
        ("request_id", ctypes.c_uint16),
        ("opcode", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("payload", ctypes.c_void_p),
    )


@needs_cc
@pytest.mark.parametrize("streaming", [False, True])
def test_commands_are_checked_in_the_order_of_the_specification(
    library: ctypes.CDLL, streaming: bool
) -> None:
    library.bfp_check_command.restype = ctypes.c_uint8
    for opcode in range(256):
        for length in range(117):
            got = library.bfp_check_command(
                ctypes.byref(_CCommand(opcode=opcode, length=length)), ctypes.c_bool(streaming)
            )
            if opcode not in COMMANDS:
                assert got == Status.UNKNOWN_OPCODE
                continue
            form = COMMANDS[Opcode(opcode)]
            right = length > form.struct.size if form.more_arguments else length == form.struct.size
            if not right and not (form.optional and length == 0):
                assert got == Status.BAD_LENGTH
            else:
                assert got == (Status.BUSY if streaming and not form.while_streaming else Status.OK)


def arm(folder: Path, processor: str, table: int) -> dict[str, int]:
    """Sections of a board's share, linked."""
    kept = [*(f"bfp_write_{name}" for name in c_text.BOARD_SENDS), *c_text.BOARD_HEARS]
    linked = ["-nostdlib", "-Wl,--gc-sections,-e,bfp_next", *(f"-Wl,-u,{name}" for name in kept)]
    done = cc(
        FOLDER,
        *WARNINGS,
        *c_text.SIZE_OPTIONS,
        f"-mcpu={processor}",
        f"-DBFP_CRC_TABLE={table}",
        *linked,
        "-o",
        str(folder / "board.elf"),
        "bfp.c",
        compiler="arm-none-eabi-gcc",
    )
    assert (done.returncode, done.stderr) == (0, "")
    size = cc(folder, "board.elf", compiler="arm-none-eabi-size").stdout.splitlines()[1].split()
    return dict(zip(("text", "data", "bss"), map(int, size[:3]), strict=True))


@needs_arm
@pytest.mark.parametrize("processor", c_text.FLASH)
def test_flash_on_a_microcontroller_is_what_the_header_says(tmp_path: Path, processor: str) -> None:
    same = cc(tmp_path, "-dumpfullversion", compiler="arm-none-eabi-gcc").stdout.strip() in c_text.COMPILER
    for table, stated in zip((256, 16), c_text.FLASH[processor], strict=True):
        sizes = arm(tmp_path, processor, table)
        assert (sizes["data"], sizes["bss"]) == (0, 0)
        assert sizes["text"] == stated if same else sizes["text"] < 1.2 * stated


@needs_arm
def test_memory_of_a_decoder_is_what_the_header_says(tmp_path: Path) -> None:
    (tmp_path / "one.c").write_text('#include "bfp.h"\nbfp_decoder d;\n')
    for options, stated in ((("-DBFP_BOARD",), c_text.RAM_BOARD), ((), c_text.RAM_WHOLE)):
        done = cc(tmp_path, "-mthumb", f"-I{FOLDER}", *options, "-c", "one.c", compiler="arm-none-eabi-gcc")
        assert done.returncode == 0, done.stderr
        assert (
            int(cc(tmp_path, "one.o", compiler="arm-none-eabi-size").stdout.splitlines()[1].split()[2])
            == stated
        )
