"""Captures of any size: block by block, with the events of the whole, in memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import CaptureError, Data, Decoder, encode
from firmware_protocol.bulk import BulkDecoder, decode_file
from tests.firmware_protocol.wires import NONCE, wires

ROOT = Path(__file__).resolve().parents[2]
FRAME = encode(Data(1, 0, 2, 3, 8, 4, 0, bytes(range(96))))


@settings(max_examples=25, deadline=None)
@given(
    wire=wires(),
    block_bytes=st.sampled_from([1, 100, 659, 4096, 1 << 19]),
    nonce=st.sampled_from([None, NONCE]),
)
def test_a_file_gives_the_events_of_its_bytes_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, wire: bytes, block_bytes: int, nonce: int | None
) -> None:
    path = tmp_path_factory.mktemp("capture") / "wire.bin"
    path.write_bytes(wire)
    batches = list(decode_file(path, nonce=nonce, block_bytes=block_bytes))
    reference = Decoder(nonce=nonce)
    assert [event for batch in batches for event in batch.unpack()] == [
        *reference.feed(wire),
        *reference.finish(),
    ]
    assert sum(batch.discarded for batch in batches) == reference.discarded
    assert batches[-1].end == len(wire)


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "empty.bin"
    path.touch()
    assert [len(batch.events) for batch in decode_file(path)] == [0]


def test_a_file_that_is_not_there_or_is_a_folder_is_a_capture_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.bin", tmp_path):
        with pytest.raises(CaptureError, match="cannot be read as a capture") as caught:
            next(decode_file(path))
        assert isinstance(caught.value.__cause__, OSError)


def test_reading_may_stop_in_the_middle_and_the_file_may_then_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "wire.bin"
    path.write_bytes(FRAME * 100)
    batches = decode_file(path, block_bytes=len(FRAME))
    assert len(next(batches).data) == 1
    batches.close()
    path.unlink()


def test_batches_that_are_kept_stay_as_they_are(tmp_path: Path) -> None:
    """Columns are used again, but only where nobody looks into them any more: not even by one of their arrays."""
    path = tmp_path / "wire.bin"
    counts = np.arange(40_000, dtype=">i4").reshape(-1, 4, 8)
    rows = [c.reshape(-1, 1).view(np.uint8)[:, 1:].tobytes() for c in counts]
    path.write_bytes(b"".join(encode(Data(0, 0, k, k, 8, 4, 0, row)) for k, row in enumerate(rows)))
    kept_samples = [batch.samples for batch in decode_file(path, block_bytes=4096) if batch.n_data]
    kept_times = [batch.data["t_us"] for batch in decode_file(path, block_bytes=4096)]
    assert np.concatenate(kept_samples).ravel().tolist() == list(range(40_000))
    assert np.concatenate(kept_times).tolist() == list(range(1250))


def test_columns_are_used_again_once_nobody_looks() -> None:
    decoder = BulkDecoder()
    places = set()
    for _ in range(20):
        batch = decoder.feed(FRAME * 100)
        places.add(batch.values.ctypes.data)
    assert len(places) == 2  # the one just held, and the one being written


def test_dense_delimiters_grow_the_columns_and_lose_nothing() -> None:
    wire = b"\x01\x00" * 50_000 + FRAME
    batch = BulkDecoder().feed(wire)
    assert len(batch.events) == 50_001
    assert np.array_equal(batch.events["offset"], np.arange(50_001) * 2)
    assert batch.events["kind"][-1] == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads VmHWM, which Linux has")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Highest resident size of a process that decodes 8 MB, and of one that decodes 160 MB."""
    code = (
        "import sys\nfrom firmware_protocol.bulk import decode_file\n"
        "n = sum(len(batch.events) for batch in decode_file(sys.argv[1]))\n"
        "print(n, next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    used = []
    for megabytes in (8, 160):
        path = tmp_path / "wire.bin"
        path.write_bytes(FRAME * (megabytes * 1_000_000 // len(FRAME)))
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        n_events, kilobytes = map(int, done.stdout.split())
        assert n_events == megabytes * 1_000_000 // len(FRAME)
        used.append(kilobytes)
    assert used[1] - used[0] < 16_000
