"""What the kernel is made of: machine words that mean what their Python says, tables, memory it may touch, cache."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import Data, Decoder, Event, Flag, Type, _fields, _kernels, _simd, crc32c, encode
from firmware_protocol._jit import kernel
from firmware_protocol._kernels_tables import EVENTS, KINDS, tables
from firmware_protocol._scanner import Columns, wire_array
from firmware_protocol._simd import HARDWARE_CRC, LANES, SAMPLES
from firmware_protocol.bulk import BulkDecoder
from firmware_protocol.codes import FaultKind
from firmware_protocol.crc import INITIAL
from firmware_protocol.layout import DATA

ROOT = Path(__file__).resolve().parents[2]


@kernel
def every_word(source: np.ndarray, target: np.ndarray, out: np.ndarray) -> None:  # type: ignore[type-arg]
    p, t = _simd.address(source), _simd.address(target)
    byte, word, long = _simd.load_u8(p + 1), _simd.load_u32(p + 3), _simd.load_i64(p + 5)
    _simd.store_u8(t, byte)
    _simd.store_u32(t + 1, word)
    _simd.store_i64(t + 5, long)
    zeros = _simd.copy_lanes(p + 7, t + 13)
    _simd.unpack_int24(p + 9, t + 48)
    out[0], out[1], out[2], out[3], out[4] = byte, word, long, zeros, _simd.first_bit(zeros | 1 << 40)
    if out.size > 5:
        out[5], out[6] = _simd.crc_word(word, long), _simd.crc_byte(word, byte)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x5A]), min_size=64, max_size=64).map(bytes))
def test_each_word_does_compiled_what_its_python_says(source: bytes) -> None:
    n_out = 7 if HARDWARE_CRC else 5
    results = []
    for run in (every_word, getattr(every_word, "py_func", every_word)):
        target, out = np.zeros(96, np.uint8), np.zeros(n_out, np.int64)
        run(np.frombuffer(source, np.uint8), target, out)
        results.append((target.tobytes(), out.tolist()))
    assert results[0] == results[1]


def test_words_load_and_store_little_endian_and_samples_big_endian() -> None:
    a = np.arange(1, 65, dtype=np.uint8)
    p = _simd.address(a)
    assert _simd.load_u32(p) == 0x04030201
    assert _simd.load_i64(p) == 0x0807060504030201
    out = np.zeros(SAMPLES, np.int32)
    source = np.frombuffer(b"\x00\x00\x01\xff\xff\xff\x80\x00\x00\x7f\xff\xff" + bytes(4 + 12), np.uint8)
    _simd.unpack_int24(_simd.address(source), _simd.address(out))
    assert out[:4].tolist() == [1, -1, -(1 << 23), (1 << 23) - 1]


def test_crc_words_give_the_check_value() -> None:
    register = _simd.crc_word(INITIAL, int.from_bytes(b"12345678", "little"))
    assert _simd.crc_byte(register, ord("9")) ^ INITIAL == crc32c(b"123456789") == 0xE3069283


def test_kernel_numbers_faults_as_the_enumeration_does() -> None:
    named = [getattr(_kernels, kind.name) for kind in FaultKind if kind is not FaultKind.TRUNCATED]
    assert named == [KINDS.index(kind) for kind in FaultKind if kind is not FaultKind.TRUNCATED]
    assert KINDS[_kernels.FRAME] is None


def test_an_event_row_shows_the_header_of_data_as_the_layout_says() -> None:
    assert EVENTS.itemsize == 8 * _kernels.EVENT_WORDS
    for f in DATA.fields:
        dtype, offset = EVENTS.fields[f.name][:2]
        assert (dtype.itemsize, offset - 8) == (f.size, f.offset)
    shape = {"n_channels": 0, "format": 2, "config_id": 3}
    assert {name: EVENTS.fields[name][1] - 20 for name in shape} == shape
    assert [i for i in range(4) if _kernels.SHAPE_BITS >> 8 * i & 0xFF] == sorted(shape.values())
    assert Flag.MUST_UNDERSTAND == 0x80
    assert _fields.SAMPLE_SIZE[_fields.INT24] == 3


def test_tables_are_cut_where_the_kernel_cuts_them() -> None:
    sizes = _kernels.CRC_TABLE_SIZE, 8 * 256 * _kernels.FORMAT_COLUMNS, 8 * 16 * _kernels.PACKET_COLUMNS
    assert tables().size == sum(sizes)
    crc = tables()[: sizes[0]].view(np.uint32).reshape(8, 256)
    register = INITIAL
    for byte in b"123456789":
        register = int(crc[0, (register ^ byte) & 0xFF]) ^ register >> 8
    assert register ^ INITIAL == 0xE3069283
    rules = tables()[sum(sizes[:2]) :].view(np.int64).reshape(16, -1)
    assert rules[:, _kernels.SHORTEST].nonzero()[0].tolist() == sorted(Type)


@pytest.mark.skipif(os.name != "posix", reason="needs mprotect")
def test_kernel_reads_no_byte_behind_the_wire() -> None:
    """The wire ends where a page ends, and the page behind it may not be read. In a process of its own."""
    code = "from tests.firmware_protocol.test_kernel import decode_at_the_end_of_a_page as f; f()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["all", "read"]


def decode_at_the_end_of_a_page() -> None:
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 3 * page)
    whole = np.frombuffer(memory, np.uint8)
    address = whole.ctypes.data + 2 * page
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(page), 0) == 0
    frame = encode(Data(1, 0, 2, 3, 8, 4, 0, bytes(range(1, 97))))
    longest = encode(Data(1, 0, 2, 3, 8, 26, 0, bytes(624)))
    wire = np.frombuffer(frame * 30 + longest + frame * 30 + longest[:-1], np.uint8)
    for n in range(1, min(len(wire), 2 * page)):
        part = whole[2 * page - n : 2 * page]
        part[:] = wire[:n]
        BulkDecoder(hardware=bool(n & 1) and bool(HARDWARE_CRC)).feed(part)
    print("all read")


@pytest.mark.parametrize(
    "unit",
    [
        encode(Data(0, 0, 0, 0, 1, 1, 0, bytes(3))),
        encode(Data(0, 0, 0, 0, 1, 32, 0, b"\x01" * 96)),
        encode(Data(0, 0, 0, 0, 64, 3, 0, bytes(576))),
        encode(Data(0, 0, 0, 0, 32, 5, 0, bytes(5 * 8 * 15), 0, True, 4)),
        encode(Data(0, 0, 0, 0, 6, 1, 0, bytes(21), 0, True, 6)),
        encode(Event(0, 0, 0, 0, 0, 0, 0)),
        b"\x01\x00",
        b"\x02",
        b"\xff" * 658 + b"\x00",
    ],
)
def test_kernel_writes_inside_its_columns_only(unit: bytes) -> None:
    """Each array lies in a larger one whose other bytes must stay as they are."""
    wire = wire_array(unit * (6000 // max(len(unit), 1)))
    room = Columns.for_wire(wire.size, wire.size // 2)
    fields = ("events", "values", "status", "raw")
    guarded, inner = [], []
    for name in fields:
        array = getattr(room, name)
        whole = np.full(array.size + 128, 0x55, array.dtype)
        guarded.append(whole)
        inner.append(whole[64:-64])
    state = np.zeros(_kernels.STATE_SIZE, np.int64)
    state[_kernels.HARDWARE] = bool(HARDWARE_CRC)
    _kernels.scan(wire, 0, wire.size, wire.size, 0, state, tables(), *inner)
    for name, whole in zip(fields, guarded, strict=True):
        assert (whole[:64] == 0x55).all(), name
        assert (whole[-64:] == 0x55).all(), name
    counts = [inner[0].size // _kernels.EVENT_WORDS, *(a.size for a in inner[1:])]
    assert (state[: _kernels.N_RAW + 1] <= counts).all()


def test_a_second_process_finds_the_compiled_kernel(tmp_path: Path) -> None:
    code = (
        "from firmware_protocol.bulk import BulkDecoder\nBulkDecoder()\n"
        "from firmware_protocol._kernels import scan\n"
        "print(scan.stats.cache_hits.total(), scan.stats.cache_misses.total())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert said == [["0", "1"], ["1", "0"]]


def test_where_no_folder_may_be_written_a_kernel_is_compiled_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = numba.njit

    def nowhere(**options: object) -> object:
        if "cache" in options:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", nowhere)
    assert kernel(lambda x: x + 1)(41) == 42


def test_kernel_compiles_for_one_kind_of_array_whatever_is_fed() -> None:
    if not hasattr(_kernels.scan, "signatures"):
        pytest.skip("runs as plain Python here")
    wire = encode(Event(0, 0, 0, 0, 0, 0, 0))
    for data in (wire, bytearray(wire), memoryview(wire), np.frombuffer(wire, np.uint8).copy()):
        BulkDecoder().feed(data)
    assert len(_kernels.scan.signatures) == 1


def test_kernel_as_plain_python_gives_the_same_events() -> None:
    """What coverage and a debugger run. Small streams: it is a thousand times slower."""
    code = "from tests.firmware_protocol.test_kernel import compare_in_python as f; f()"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["compared"]


def compare_in_python() -> None:
    from tests.firmware_protocol.test_bulk import both
    from tests.firmware_protocol.wires import NONCE, cut

    rng = random.Random(3)
    frame = encode(Data(1, 0, 2, 3, 8, 4, 0, bytes(range(96))))
    for k in range(40):
        wire = bytearray(frame * rng.randrange(1, 30) + rng.randbytes(rng.randrange(100)) + frame)
        for _ in range(rng.randrange(4)):
            wire[rng.randrange(len(wire))] = rng.choice((0, 1, 255, rng.randrange(256)))
        both(
            bytes(wire),
            cut(bytes(wire), [rng.randrange(1, 4000)]),
            nonce=rng.choice((None, NONCE)),
            hardware=k & 1 == 1,
        )
    print("compared")


def test_lanes_and_steps_are_what_the_scratch_space_is_made_for() -> None:
    longest = _kernels.MAX_CODED + 1
    assert -(-longest // LANES) * LANES + LANES <= _kernels.STRETCH
    astray = longest + 1 + 255 * (_kernels.STEPS - 1)  # the last place where a walk reads and writes
    assert astray < _kernels.STRETCH
    assert 3 * (longest + 1) + astray < _kernels.AHEAD
    assert 4 * _kernels.STRETCH <= _kernels.SCRATCH
    assert SAMPLES <= _kernels.SLACK


def test_walks_that_go_astray_read_and_write_no_further_than_they_may() -> None:
    """Long code bytes behind short packets: the worst that four walks side by side can meet."""
    calm = encode(Data(1, 0, 2, 3, 8, 4, 0, bytes(range(96))))
    for code in (1, 2, 117, 200, 254, 255):
        for where in range(8):
            wire = bytearray(calm * 60)
            at = (20 + where) * len(calm) + 13 * where
            wire[at : at + 900] = bytes([code]) * 900
            reference, kernel = Decoder(), BulkDecoder()
            assert kernel.feed(bytes(wire)).unpack() == reference.feed(bytes(wire))
