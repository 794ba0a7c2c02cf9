"""Wire to columns: COBS, CRC-32C and int24 of 8 channels × 4 samples a frame, against what one would write without us.

The samples are counts of a real recording (`mi_openbci` below $BCI_DATA or ../shared/data; without it, noise of about
its size, and the table says so): how many zero bytes they hold decides how long COBS takes. All decode the wire in
blocks, as a file is read, and hand out samples and sample_index of each. Rivals: PyPI `cobs` and `google-crc32c`, both
in C, with vectorised numpy; `construct`, compiled, if it is installed. A rate to reach is shown as a rival that has
this rate, so the ratio is how many times it was reached.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._measure import Row, compare, median_time, say
from firmware_protocol import Data, Decoder, _kernels, crc32c, encode
from firmware_protocol._kernels_tables import tables
from firmware_protocol._scanner import Columns, wire_array
from firmware_protocol._simd import HARDWARE_CRC
from firmware_protocol.bulk import BulkDecoder, decode_file
from firmware_protocol.live import LiveRing

N_CHANNELS, N_SAMPLES = 8, 4
PACKET = 16 + 3 * N_CHANNELS * N_SAMPLES + 4
UV_PER_COUNT = 4.5 / 24 / (2**23 - 1) * 1e6  # ADS1299, gain 24
BLOCK = 1 << 19
NO_TARGET = float("nan")
DATA_ROOT = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

Decoded = tuple[NDArray[np.int32], NDArray[np.uint32]]  # samples, sample_index


def run(quick: bool) -> list[Row]:
    counts, origin = real_counts(quick)
    wire = wire_of(counts)
    packets = b"".join(frame.pack() for frame in Decoder().feed(wire) if isinstance(frame, Data))
    zeros = 100 * packets.count(0) / len(packets)
    work = f"{len(wire) / 1e6:.1f} MB of {origin}, {zeros:.1f} % zero bytes"
    rounds = 5 if quick else 21
    return [
        *bulk(work, wire, rounds),
        *slow_rivals(wire_of(counts[: 2000 * N_SAMPLES]), rounds),
        *hostile(1 if quick else 8, rounds),
        captured(wire, rounds),
        *live(wire, rounds),
    ]


# ---- what is decoded -----------------------------------------------------------------------------------------


def real_counts(quick: bool) -> tuple[NDArray[np.int32], str]:
    """ADC counts, shape (n, N_CHANNELS), and where they are from."""
    paths = sorted((DATA_ROOT / "mi_openbci" / "S02").glob("*.edf"))[: 1 if quick else None]
    if not paths:
        noise = np.random.default_rng(1).normal(0, 12 / UV_PER_COUNT, (40_000, N_CHANNELS))
        return noise.astype(np.int32), "noise of 12 µV (no recording here)"
    from edfio import read_edf

    # Their physical dimension is blank; the numbers are µV.
    runs = [np.array([s.data for s in read_edf(path).signals[:N_CHANNELS]]).T for path in paths]
    x = np.concatenate(runs) / UV_PER_COUNT
    return np.rint(x[: len(x) // N_SAMPLES * N_SAMPLES]).astype(
        np.int32
    ), f"{len(paths)} run(s) of mi_openbci S02"


def wire_of(counts: NDArray[np.int32]) -> bytes:
    payload = np.ascontiguousarray(counts, ">i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    size = 3 * N_CHANNELS * N_SAMPLES
    return b"".join(
        encode(
            Data(
                k & 0xFFFF,
                0,
                N_SAMPLES * k,
                16_000 * k,
                N_CHANNELS,
                N_SAMPLES,
                1,
                payload[size * k : size * (k + 1)],
            )
        )
        for k in range(len(payload) // size)
    )


def in_blocks(wire: bytes) -> list[bytes]:
    """Whole frames, about BLOCK bytes each."""
    blocks = []
    at = 0
    while at < len(wire):
        end = wire.find(0, at + BLOCK) + 1 or len(wire)
        blocks.append(wire[at:end])
        at = end
    return blocks


# ---- who decodes it ------------------------------------------------------------------------------------------


def ours(wire: bytes, decoder: BulkDecoder) -> Decoded:
    batch = decoder.feed(wire)
    return batch.samples, batch.data["sample_index"]


def with_cobs_and_crc32c(wire: bytes) -> Decoded:
    """The fastest we could write with them. It knows the one shape of its frames, and resynchronises at delimiters.

    The CRC over a packet and its own CRC is a constant, which saves cutting each packet in two. Samples are read as
    big-endian int32 one byte early, and shifted.
    """
    import google_crc32c
    from cobs import cobs

    packets = list(map(cobs.decode, wire.split(b"\x00")[:-1]))
    checks = np.fromiter(map(google_crc32c.value, packets), np.uint32, len(packets))
    whole = np.flatnonzero(checks == _RESIDUE)
    if len(whole) < len(packets):
        packets = [packets[k] for k in whole]
    joined = b"".join(packets)
    shape = len(packets), N_CHANNELS * N_SAMPLES
    values: NDArray[np.int32] = np.ndarray(shape, ">i4", joined, offset=15, strides=(PACKET, 3)).astype(
        np.int32
    )
    values <<= 8
    values >>= 8
    index = np.ndarray((len(packets),), "<u4", joined, offset=4, strides=(PACKET,))
    return values.reshape(-1, N_CHANNELS), index


_RESIDUE = crc32c(bytes(4) + crc32c(bytes(4)).to_bytes(4, "little"))


def with_construct(wire: bytes, parse: Callable[[bytes], Any]) -> Decoded:
    import google_crc32c
    from cobs import cobs

    packets = [cobs.decode(coded) for coded in wire.split(b"\x00")[:-1]]
    parsed = [parse(packet) for packet in packets if google_crc32c.value(packet) == _RESIDUE]
    index = np.array([p.sample_index for p in parsed], np.uint32)
    return np.array([p.samples for p in parsed], np.int32).reshape(-1, N_CHANNELS), index


def compiled_construct() -> Callable[[bytes], Any]:
    import construct as c

    return (
        c.Struct(
            "head" / c.Int8ul,
            "flags" / c.Int8ul,
            "link_seq" / c.Int16ul,
            "sample_index" / c.Int32ul,
            "t_us" / c.Int32ul,
            "n_channels" / c.Int8ul,
            "n_samples" / c.Int8ul,
            "format" / c.Int8ul,
            "config_id" / c.Int8ul,
            "samples" / c.Array(N_CHANNELS * N_SAMPLES, c.Int24sb),
            "crc" / c.Int32ul,
        )
        .compile()
        .parse
    )


def with_reference(wire: bytes) -> Decoded:
    frames = [frame for frame in Decoder().feed(wire) if isinstance(frame, Data)]
    index = np.array([frame.sample_index for frame in frames], np.uint32)
    return np.array([row for frame in frames for row in frame.counts()], np.int32), index


def same(a: Decoded, b: Decoded) -> None:
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# ---- rows ----------------------------------------------------------------------------------------------------


def at_rate(work: str, decode: Callable[[], Any], n_bytes: int, target: float, rounds: int) -> Row:
    """Bytes a second, against a rate to reach."""
    say(work)
    seconds = median_time(decode, rounds=rounds)
    known = target == target
    return Row(
        work=work,
        rival=f"{target / 1e6:.0f} MB/s" if known else "",
        ours_s=seconds,
        rival_s=n_bytes / target,
        ratio=n_bytes / target / seconds,
        target=1 if known else NO_TARGET,
        note=f"{n_bytes / seconds / 1e6:.0f} MB/s",
    )


def bulk(work: str, wire: bytes, rounds: int) -> list[Row]:
    blocks = in_blocks(wire)
    decoder, by_table = BulkDecoder(), BulkDecoder(hardware=False)

    def each(decode: Callable[[bytes], Decoded]) -> None:
        for block in blocks:
            decode(block)

    for block in blocks:
        same(ours(block, decoder), with_cobs_and_crc32c(block))
        same(ours(block, by_table), ours(block, decoder))
    return [
        compare(
            work,
            lambda: each(lambda block: ours(block, decoder)),
            lambda: each(with_cobs_and_crc32c),
            rival_name="cobs + google-crc32c + numpy",
            target=6,
            equal=None,
            rounds=rounds,
        ),
        at_rate("the same", lambda: each(lambda block: ours(block, decoder)), len(wire), 600e6, rounds),
        at_rate(
            "the same, CRC by table",
            lambda: each(lambda block: ours(block, by_table)),
            len(wire),
            NO_TARGET,
            rounds,
        ),
    ]


def slow_rivals(wire: bytes, rounds: int) -> list[Row]:
    decoder = BulkDecoder()
    rivals = [("our own reference decoder, plain Python", with_reference, NO_TARGET)]
    try:
        parse = compiled_construct()
        rivals.append(("cobs + google-crc32c + construct, compiled", lambda w: with_construct(w, parse), 100))
    except ImportError:
        say("construct is not installed (pip install construct): that comparison is left out")
    return [
        compare(
            f"{wire.count(0)} of these frames",
            lambda: ours(wire, decoder),
            lambda rival=rival: rival(wire),
            rival_name=name,
            target=target,
            equal=same,
            rounds=rounds // 2 + 1,
        )
        for name, rival, target in rivals
    ]


def hostile(megabytes: int, rounds: int) -> list[Row]:
    """Nothing but faults, as dense as they come. The reference agrees on the first of them."""
    n = megabytes << 20
    rng = np.random.default_rng(2)
    half = (rng.integers(1, 256, n) * rng.integers(0, 2, n)).astype(np.uint8).tobytes()
    rows = []
    for name, wire in (
        ("every other byte", bytes([1, 0]) * (n // 2)),
        ("half of all bytes, at random", half),
    ):
        assert BulkDecoder().feed(wire[:20_000]).unpack() == Decoder().feed(wire[:20_000])
        blocks = [wire[at : at + BLOCK] for at in range(0, n, BLOCK)]

        def decode(blocks: list[bytes] = blocks, decoder: BulkDecoder = BulkDecoder()) -> None:  # noqa: B008
            for block in blocks:
                decoder.feed(block)

        rows.append(at_rate(f"hostile: {n / 1e6:.0f} MB, delimiters: {name}", decode, n, 100e6, rounds))
    return rows


def captured(wire: bytes, rounds: int) -> Row:
    """A file of 256 MB, mapped, block by block."""
    times = max(1, (256 << 20) // len(wire))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.bin"
        with path.open("wb") as file:
            for _ in range(times):
                file.write(wire)

        def decode() -> int:
            return sum(len(batch.events) for batch in decode_file(path))

        assert decode() == times * wire.count(0)
        size = path.stat().st_size
        return at_rate(f"decode_file of {size / 1e6:.0f} MB", decode, size, NO_TARGET, rounds // 4 + 1)


def live(wire: bytes, rounds: int) -> list[Row]:
    """One frame a call: the kernel alone, and the ring with the batch it hands out."""
    frames = [coded + b"\x00" for coded in wire.split(b"\x00")[:1000]]
    expected = ours(b"".join(frames), BulkDecoder())[0]
    ring = LiveRing()
    np.testing.assert_array_equal(np.concatenate([ring.feed(frame).samples for frame in frames]), expected)
    columns, state = (
        Columns.for_wire(sum(map(len, frames)), len(frames)),
        np.zeros(_kernels.STATE_SIZE, np.int64),
    )
    arrays = [wire_array(frame) for frame in frames]
    to = tables(), columns.events, columns.values, columns.status, columns.raw

    def kernel() -> None:
        state[:] = 0
        state[_kernels.HARDWARE] = bool(HARDWARE_CRC)
        for array in arrays:
            _kernels.scan(array, 0, array.size, array.size, 0, state, *to)

    def feed() -> None:
        for frame in frames:
            ring.feed(frame)

    kernel()
    np.testing.assert_array_equal(columns.values[: expected.size], expected.ravel())
    rows = []
    for name, call, target_s in (("kernel call", kernel, 2e-6), ("LiveRing.feed", feed, NO_TARGET)):
        seconds = median_time(call, rounds=rounds) / len(frames)
        rows.append(
            Row(
                work=f"a live frame: {name}",
                rival="2 µs" if target_s == target_s else "",
                ours_s=seconds,
                rival_s=target_s,
                ratio=seconds / target_s,
                target=1 if target_s == target_s else NO_TARGET,
                at_most=True,
            )
        )
    return rows
