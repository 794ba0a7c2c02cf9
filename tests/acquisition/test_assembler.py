"""Frames to chunks: exact loss, any cut, restarts, scales, markers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.acquisition.assembler import Assembler
from bci.chunks import Chunk
from firmware_protocol import (
    Command,
    Data,
    Decoder,
    Event,
    EventSource,
    Fault,
    Flag,
    Frame,
    Heartbeat,
    Info,
    Opcode,
    encode,
    encode_command,
)
from firmware_protocol.batch import Batch
from firmware_protocol.bulk import BulkDecoder
from firmware_protocol.device import DeviceConfig, ReferenceDevice
from tests.acquisition.boards import CONFIG, counts, expected_uv, stream
from tests.acquisition.plain_assembler import PlainAssembler


def started(config: DeviceConfig = CONFIG, *, at_us: int = 0) -> tuple[ReferenceDevice, bytes]:
    """A device that streams without watchdog, and what it has sent so far."""
    device = ReferenceDevice(config)
    return device, command(device, Opcode.START, (0).to_bytes(4, "little"), at_us=at_us, request_id=1)


def command(
    device: ReferenceDevice, opcode: Opcode, payload: bytes = b"", *, at_us: int, request_id: int
) -> bytes:
    device.receive(encode_command(Command(0, 0, request_id, opcode, payload)), at_us)
    return device.poll(at_us)


def packets(wire: bytes) -> list[bytes]:
    return [part + b"\0" for part in wire.split(b"\0") if part]


def assembled(wire: bytes, **options: object) -> tuple[list[Chunk], Assembler]:
    assembler = Assembler(**options)  # type: ignore[arg-type]
    chunks = assembler.feed(BulkDecoder().feed(wire))
    assembler.finish()
    return chunks, assembler


def columns(frames: Iterable[Frame | Fault]) -> Batch:
    """Frames as the decoder of columns gives them."""
    return BulkDecoder().feed(b"".join(encode(f) for f in frames if not isinstance(f, Fault)))


def flat(chunks: list[Chunk]) -> tuple[list[object], bytes]:
    """What must not depend on cuts: stretches of samples with what stands before them, markers, values."""
    pieces: list[list[object]] = []
    values = b""
    for chunk in chunks:
        if chunk.n_samples:
            if chunk.restart or chunk.lost_before or not pieces:
                pieces.append([chunk.first_sample, chunk.lost_before, chunk.restart, 0])
            pieces[-1][3] += chunk.n_samples  # type: ignore[operator]
        values += chunk.data_uv.tobytes(order="F")
    return [*pieces, [m for c in chunks for m in c.markers]], values


def test_samples_come_out_as_counts_times_scale_in_fortran_order() -> None:
    device, wire = started()
    chunks, assembler = assembled(wire + stream(device, 40))
    data = np.concatenate([c.data_uv for c in chunks], axis=1)
    np.testing.assert_allclose(data, expected_uv(0, 40), rtol=1e-15)
    assert data.dtype == np.float64
    assert all(c.data_uv.flags.f_contiguous for c in chunks)
    assert assembler.info is not None
    assert assembler.info.channels == CONFIG.labels
    assert assembler.info.rate == 250


def test_status_words_are_no_samples() -> None:
    device, wire = started(replace(CONFIG, has_status=True))
    chunks, _ = assembled(wire + stream(device, 12))
    np.testing.assert_allclose(
        np.concatenate([c.data_uv for c in chunks], axis=1), expected_uv(0, 12), rtol=1e-15
    )


def test_float32_samples_of_a_transcode_are_scaled_alike() -> None:
    info = replace(ReferenceDevice(CONFIG).info()[0], sample_type=1)
    values = np.array([[1.5, -2.25, 0, 0, 0, 0, 0, 1e6], [3, 4, 5, 6, 7, 8, 9, 10]], dtype="<f4")
    frame = Data(0, 0, 7, 0, 8, 2, info.config_id, values.tobytes(), sample_type=1)
    (chunk,) = Assembler().feed(columns([info, frame]))
    np.testing.assert_array_equal(chunk.data_uv, values.T.astype(float) * info.uv_per_count[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 2**33), st.integers(1, 7))
def test_any_loss_pattern_is_accounted_exactly(arrives: list[bool], first: int, per_frame: int) -> None:
    device, wire = started(replace(CONFIG, sample_index=first, samples_per_frame=per_frame))
    frames = packets(stream(device, per_frame * len(arrives)))
    data = [packet for packet in frames if isinstance(Decoder().feed(packet)[0], Data)]
    assert len(data) == len(arrives)
    lost = {packet for packet, kept in zip(data, arrives, strict=True) if not kept}
    stop = command(device, Opcode.STOP, at_us=10**9, request_id=2)
    chunks, assembler = assembled(wire + b"".join(p for p in frames if p not in lost) + stop)

    at = first
    for chunk in chunks:
        at += chunk.lost_before
        assert chunk.first_sample == at
        index = np.arange(at, at + chunk.n_samples)
        np.testing.assert_array_equal(chunk.data_uv, expected_uv(int(at), len(index)))
        at = chunk.end_sample
    statistics = assembler.statistics
    assert statistics.samples == per_frame * sum(arrives)
    assert statistics.samples_lost == per_frame * (len(arrives) - sum(arrives))
    assert statistics.samples_lost_link == statistics.samples_lost
    assert [c.restart for c in chunks] == [True] + [False] * (len(chunks) - 1) if any(arrives) else not chunks


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 900), max_size=40), st.integers(0, 5))
def test_the_same_samples_come_out_for_any_cut_of_the_bytes(sizes: list[int], noise: int) -> None:
    device, wire = started(replace(CONFIG, sample_index=2**32 - 50))
    wire += stream(device, 90, events={10: 2, 33: 1}) + b"\x55" * noise + b"\0"
    wire += b"".join(packets(stream(device, 60, at_us=360_000))[3:])
    whole, _ = assembled(wire)
    assembler, decoder, chunks, at = Assembler(), BulkDecoder(), [], 0
    for size in [*sizes, len(wire)]:
        chunks += assembler.feed(decoder.feed(wire[at : at + size]))
        at += size
    assert flat(chunks) == flat(whole)


def test_a_chunk_is_never_much_longer_than_asked_and_short_chunks_hold_the_same() -> None:
    device, wire = started()
    wire += stream(device, 200)
    short, _ = assembled(wire, max_samples=16)
    whole, _ = assembled(wire)
    assert {c.n_samples for c in short[:-1]} == {16}
    assert len(short) > len(whole)
    assert flat(short) == flat(whole)


def test_repeated_packets_give_their_samples_once() -> None:
    device, wire = started()
    frames = packets(stream(device, 40))
    twice = [copy for packet in frames for copy in (packet, packet)]
    chunks, assembler = assembled(wire + b"".join(twice))
    assert flat(chunks) == flat(assembled(wire + b"".join(frames))[0])
    assert assembler.statistics.repeated == 40


def test_a_packet_that_partly_repeats_gives_its_new_samples_only() -> None:
    info = ReferenceDevice(CONFIG).info()[0]

    def data(first: int) -> Data:
        raw = (counts(first, 4) & 0xFFFFFF).astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        return Data(0, 0, first, 0, 8, 4, 0, raw)

    chunks = Assembler().feed(columns([info, data(8), data(10)]))
    np.testing.assert_array_equal(np.concatenate([c.data_uv for c in chunks], axis=1), expected_uv(8, 6))


def test_what_the_board_dropped_and_what_the_link_lost_are_told_apart() -> None:
    device, wire = started(replace(CONFIG, queue_bytes=800))
    wire += stream(device, 40)
    device.push_samples(counts(40, 200), 160_000)  # more than its queue holds, before anybody polls
    dropped = device.dropped
    assert dropped > 0
    frames = packets(device.poll(960_000) + stream(device, 40, at_us=960_000))
    victim = next(p for p in frames if isinstance(Decoder().feed(p)[0], Data))
    frames.remove(victim)
    tail = device.poll(2_500_000)  # a heartbeat
    statistics = assembled(wire + b"".join(frames) + tail)[1].statistics
    assert statistics.samples_lost_device == dropped
    assert statistics.samples_lost_link == 4
    assert statistics.samples_lost == dropped + 4


def test_conversions_missing_at_the_end_are_known_from_the_next_heartbeat() -> None:
    device, wire = started()
    frames = packets(stream(device, 40))
    statistics = assembled(wire + b"".join(frames[:-2]) + device.poll(2_000_000))[1].statistics
    assert statistics.samples_lost == 8


def test_counters_reset_in_the_middle_keep_the_split_exact() -> None:
    device, wire = started(replace(CONFIG, queue_bytes=800))
    for k in range(2):
        device.push_samples(counts(device.next_sample, 200), 1_000_000 * k)
        wire += device.poll(1_000_000 * k + 999_999)
        wire += command(device, Opcode.RESET_COUNTERS, at_us=1_000_000 * k + 999_999, request_id=10 + k)
    wire += stream(device, 400, at_us=2_000_000)
    statistics = assembled(wire)[1].statistics
    assert statistics.samples_lost > 0
    assert statistics.samples_lost_device == statistics.samples_lost


def test_data_waits_for_the_info_that_says_what_it_means() -> None:
    device, wire = started()
    wire += stream(device, 600)  # 2.4 s: INFO comes again
    events = Decoder().feed(wire)
    first_info = next(i for i, e in enumerate(events) if isinstance(e, Info))
    late = [e for i, e in enumerate(events) if i != first_info and not (isinstance(e, Info) and i < 30)]
    assembler = Assembler()
    second_info = next(i for i, e in enumerate(late) if isinstance(e, Info))
    assert assembler.feed(columns(late[:second_info])) == []
    assert flat(assembler.feed(columns(late[second_info:]))) == flat(assembled(wire)[0])
    assert assembler.statistics.samples_lost == 0


def test_each_configuration_has_its_own_scale() -> None:
    device, wire = started()
    wire += stream(device, 20)
    wire += command(device, Opcode.SET_CHANNEL, bytes([255, 12, 0, 1]), at_us=90_000, request_id=5)
    wire += stream(device, 20, at_us=90_000)
    chunks, assembler = assembled(wire)
    data = np.concatenate([c.data_uv for c in chunks], axis=1)
    np.testing.assert_allclose(data[:, :20], expected_uv(0, 20), rtol=1e-14)
    np.testing.assert_allclose(data[:, 20:], 2 * expected_uv(20, 20), rtol=1e-14)
    assert assembler.statistics.samples_lost == 0
    assert not chunks[-1].restart


def test_info_in_pages_is_used_once_all_pages_agree() -> None:
    labels = tuple(f"E{k}" for k in range(40))
    device, wire = started(replace(CONFIG, labels=labels, samples_per_frame=2))
    wire += stream(device, 6)
    chunks, assembler = assembled(wire)
    assert assembler.info is not None
    assert assembler.info.channels == labels
    np.testing.assert_allclose(chunks[0].data_uv, expected_uv(0, 6, 40), rtol=1e-15)
    events = [e for e in Decoder().feed(wire) if not (isinstance(e, Info) and e.page == 1)]
    assert Assembler().feed(columns(events)) == []


def test_every_start_is_a_restart_and_the_sample_number_goes_on() -> None:
    device, wire = started()
    wire += stream(device, 22)
    wire += command(device, Opcode.STOP, at_us=100_000, request_id=2)
    wire += command(device, Opcode.START, at_us=200_000, request_id=3)
    wire += stream(device, 8, at_us=200_000)
    chunks, assembler = assembled(wire)
    assert [(c.first_sample, c.n_samples, c.lost_before, c.restart) for c in chunks] == [
        (0, 22, 0, True),
        (22, 8, 0, True),
    ]
    assert assembler.statistics.restarts == 2


def test_a_restart_is_seen_even_if_its_first_packet_is_lost() -> None:
    device, wire = started()
    wire += stream(device, 20) + command(device, Opcode.STOP, at_us=100_000, request_id=2)
    wire += command(device, Opcode.START, at_us=200_000, request_id=3)
    run = packets(stream(device, 12, at_us=200_000))
    first = next(p for p in run if isinstance(f := Decoder().feed(p)[0], Data) and f.flags & Flag.FIRST)
    run.remove(first)
    chunks, _ = assembled(wire + b"".join(run))
    assert [(c.first_sample, c.lost_before, c.restart) for c in chunks] == [(0, 0, True), (24, 4, True)]


def test_a_board_that_was_reset_begins_a_new_count_with_a_restart() -> None:
    device, wire = started()
    wire += stream(device, 40)
    again, more = started(replace(CONFIG, boot_id=77, labels=CONFIG.labels[::-1]))
    chunks, assembler = assembled(wire + more + stream(again, 8))
    assert [(c.first_sample, c.lost_before, c.restart) for c in chunks] == [(0, 0, True), (0, 0, True)]
    assert assembler.statistics.resets == 1
    assert assembler.info is not None
    assert assembler.info.channels[0] == "O2"


def test_markers_carry_names_codes_and_64_bit_sample_numbers() -> None:
    device, wire = started(replace(CONFIG, sample_index=2**32 - 8))
    wire += stream(device, 20, events={4: 2, 12: 9})
    chunks, _ = assembled(wire, labels={2: "left"})
    markers = [m for c in chunks for m in c.markers]
    assert [(m.sample_index, m.label, m.code, m.source) for m in markers] == [
        (2**32 - 4, "left", 2, "trigger"),
        (2**32 + 4, "9", 9, "trigger"),
    ]


def test_the_end_of_a_run_arrives_although_no_sample_follows() -> None:
    device, wire = started()
    assembler, decoder = Assembler(), BulkDecoder()
    assembler.feed(decoder.feed(wire + stream(device, 8)))
    device.end_run(40_000)
    (chunk,) = assembler.feed(decoder.feed(device.poll(40_000)))
    assert chunk.data_uv.shape == (8, 0)
    assert [(m.label, m.sample_index, m.source) for m in chunk.markers] == [("run_end", 8, "device")]
    assert chunk.first_sample == chunk.end_sample == 8


def test_events_of_unknown_sources_are_markers_with_a_plain_name() -> None:
    info = ReferenceDevice(CONFIG).info()[0]
    events = [Event(0, 0, 3, 0, source, 5, 1) for source in (9, EventSource.BUTTON)]
    (chunk,) = Assembler(labels={5: "rest"}).feed(columns([info, *events]))
    found = [(m.label, m.source) for m in chunk.markers]
    assert found == [("source 9 5", "source 9"), ("button 5", "button")]


def test_a_heartbeat_tells_the_upper_half_of_the_sample_number_before_the_first_sample() -> None:
    info = ReferenceDevice(CONFIG).info()[0]
    heartbeat = Heartbeat(0, 0, info.boot_id, 0, 5 * 2**32 + 10, 0, 0)
    frame = Data(0, 0, 14, 0, 8, 1, 0, bytes(24))
    (chunk,) = Assembler().feed(columns([info, heartbeat, frame]))
    assert (chunk.first_sample, chunk.lost_before) == (5 * 2**32 + 14, 4)


def test_packets_no_scale_fits_are_lost_samples_and_not_an_exception() -> None:
    info = ReferenceDevice(CONFIG).info()[0]
    frames = [Data(0, 0, k, 0, n, 1, 0, bytes(3 * n)) for k, n in ((0, 8), (1, 5), (2, 8))]
    assembler = Assembler()
    chunks = assembler.feed(columns([info, *frames]))
    assert [c.lost_before for c in chunks] == [0, 1]
    assert assembler.statistics.rejected == 1


@pytest.mark.parametrize("rate", [Fraction(250), Fraction(16000, 3)])
def test_the_rate_is_the_fraction_the_board_states(rate: Fraction) -> None:
    info = ReferenceDevice(replace(CONFIG, rate=rate)).info()[0]
    assembler = Assembler()
    assembler.feed(columns([info]))
    assert assembler.info is not None
    assert assembler.info.rate == rate


def eventful(rng: np.random.Generator) -> bytes:
    """Wire of a board to which everything happens: losses, doubles, gains, runs, resets, floats, noise."""
    has_status, per_frame = bool(rng.integers(2)), int(rng.integers(1, 9))
    config = replace(
        CONFIG, has_status=has_status, samples_per_frame=per_frame, sample_index=2**32 - 150, queue_bytes=4000
    )
    device, wire = started(config)
    at_us = 0
    for k in range(12):
        match int(rng.integers(7)):
            case 0:
                wire += command(device, Opcode.STOP, at_us=at_us, request_id=100 + k)
                at_us += 2_000_000
                wire += command(device, Opcode.START, bytes(4), at_us=at_us, request_id=200 + k)
            case 1:
                gain = bytes([int(rng.integers(8)), 12, 0, 1])
                wire += command(device, Opcode.SET_CHANNEL, gain, at_us=at_us, request_id=300 + k)
            case 2 if k == 7:
                device, more = started(replace(config, boot_id=77, sample_index=3), at_us=at_us)
                wire += more
            case 3:
                device.push_samples(counts(device.next_sample, 150), at_us)  # more than fits its queue
            case 4:
                wire += rng.bytes(int(rng.integers(1, 800))) + b"\0"
        n = int(rng.integers(1, 60))
        wire += stream(device, n, at_us=at_us, events={n // 2: int(rng.integers(1, 4))})
        at_us += 4000 * n + int(rng.integers(2)) * 1_000_000
    kept: list[bytes] = []
    for packet in packets(wire):
        kept += [packet] * int(rng.choice(4, p=(0.05, 0.88, 0.05, 0.02)))
        if rng.random() < 0.01 and len(kept) > 6:
            kept.insert(len(kept) - 4, kept.pop())
    return b"".join(kept)


@pytest.mark.parametrize("seed", range(25))
def test_columns_give_the_chunks_of_the_plain_assembler_one_for_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wire = eventful(rng)
    limit = [None, 1, 10, 64][seed % 4]
    fast, plain = Assembler(max_samples=limit), PlainAssembler(max_samples=limit)
    columns_of, frames_of = BulkDecoder(), Decoder()
    at = 0
    while at < len(wire):
        size = int(rng.integers(1, 4000))
        data = wire[at : at + size]
        at += size
        expected = plain.feed(frames_of.feed(data))
        got = fast.feed(columns_of.feed(data))
        assert [describe(c) for c in got] == [describe(c) for c in expected]
    fast.finish()
    plain.finish()
    assert fast.statistics == plain.statistics
    assert fast.info == plain.info
    assert fast.next_sample == plain.next_sample


def describe(chunk: Chunk) -> tuple[object, ...]:
    status = None if chunk.status is None else chunk.status.tolist()
    values = chunk.data_uv.tobytes(order="F")
    return chunk.first_sample, chunk.lost_before, chunk.restart, chunk.markers, values, status
