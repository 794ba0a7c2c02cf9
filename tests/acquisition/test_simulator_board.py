"""The board keeps the protocol, its baud rate and its promises about time, runs and faults."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.acquisition.simulator._faults import WIRE_FAULTS, SignalFaults, WireFaults
from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise
from firmware_protocol import (
    DeviceState,
    EventCode,
    EventSource,
    Fault,
    Flag,
    Heartbeat,
    Info,
    LeadOff,
    Opcode,
    Response,
)
from tests.acquisition.board_bench import Bench, Ramp

# ---- time ----


def test_a_board_in_real_time_gives_its_rate_and_the_exact_samples() -> None:
    bench = Bench()
    bench.start()
    bench.run(2.0)
    counts = bench.counts()
    assert 492 <= len(counts) <= 500
    np.testing.assert_array_equal(counts, quantise(Ramp().read(0, 0, len(counts))).T)
    assert not bench.of(Fault)
    assert bench.of(Info)[0].uv_per_count[0] == pytest.approx(UV_PER_COUNT)


@pytest.mark.parametrize("baud", [115_200, 921_600])
def test_no_byte_comes_before_its_bits_can_have_been_sent(baud: int) -> None:
    bench = Bench(baud=baud)
    begin_ns = bench.now_ns
    bench.start()
    bench.run(3.0)
    times, ends = np.array(bench.arrivals).T
    previous_end = 0
    for frame in bench.frames():
        assert not isinstance(frame, Fault)
        end = bench.wire.got.index(0, frame.offset) + 1
        arrived_us = (times[np.searchsorted(ends, end)] - begin_ns) / 1e3
        on_line_us = (end - frame.offset) * 10e6 / baud
        if frame in bench.data():
            last_ready_us = frame.t_us + (frame.n_samples - 1) * 4000  # type: ignore[union-attr]
            assert arrived_us >= last_ready_us + on_line_us - 1
            info_us = 660 * 10e6 / baud  # the longest packet that may have been on the line before it
            assert arrived_us < last_ready_us + 3 * on_line_us + info_us + 10_000
        previous_end = end
    assert previous_end * 10 / baud <= 3.01


def test_a_line_too_slow_drops_whole_packets_and_counts_every_conversion() -> None:
    bench = Bench(baud=28_800, signal=Ramp(n_samples=10_000))  # carries 2,880 of 8,000 bytes a second
    bench.start()
    bench.run(12.0)
    assert not bench.of(Fault)
    last = bench.of(Heartbeat)[-1]
    received = sum(f.n_samples for f in bench.data() if f.offset < last.offset)
    assert last.dropped > 100
    assert received + last.dropped == last.sample_index
    overrun = [f for f in bench.data() if f.flags & Flag.OVERRUN]
    assert overrun
    seqs = [f.link_seq for f in bench.frames()]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))  # what the device dropped never had a number


def test_a_host_that_stops_reading_loses_whole_packets_and_can_go_on() -> None:
    bench = Bench()
    bench.start()
    bench.run(0.5)
    bench.wire.room = 100  # the port fills up in the middle of a packet
    bench.run(3.0)
    bench.wire.room = float("inf")
    bench.run(0.4)
    assert not bench.of(Fault)
    bench.send(Opcode.STOP)
    bench.run(0.1)
    final = Heartbeat.from_counters(bench.of(Response)[-1])
    assert final.dropped > 200
    assert len(bench.counts()) + final.dropped == final.sample_index


@pytest.mark.parametrize("speed", [0.5, 4.0, 50.0])
def test_other_speeds_scale_the_clock_and_the_line_alike(speed: float) -> None:
    bench = Bench(speed=speed, signal=Ramp(n_samples=100_000))
    bench.start()
    bench.run(2.0)
    assert len(bench.counts()) == pytest.approx(500 * speed, abs=16)
    assert bench.of(Heartbeat)[-1].dropped == 0
    assert bench.of(Heartbeat)[-1].t_us == pytest.approx(2e6 * speed, abs=1.1e6)


def test_at_speed_0_time_waits_for_the_reader_and_nothing_is_dropped() -> None:
    bench = Bench(speed=0.0)
    bench.start()
    bench.wire.room = 3000
    bench.run(5.0)
    assert len(bench.wire.got) == 3000
    for _ in range(100):
        bench.wire.room = 1000
        bench.run(0.001)
    np.testing.assert_array_equal(bench.counts(), quantise(Ramp().read(0, 0, 1000)).T)
    assert not bench.of(Fault)
    assert [f.t_us - bench.data()[0].t_us for f in bench.data()] == [16_000 * k for k in range(250)]


def test_the_pace_may_change_in_the_middle_of_a_run() -> None:
    bench = Bench(speed=0.0, signal=Ramp(n_samples=5000))
    bench.start()
    bench.wire.room = 20_000
    bench.run(0.01)
    bench.board.set_speed(1.0)
    bench.wire.room = float("inf")
    before = bench.board._device.next_sample
    bench.run(2.0)
    bench.board.set_speed(0.0)
    assert bench.board._device.next_sample == pytest.approx(before + 500, abs=8)
    bench.run(0.1)
    np.testing.assert_array_equal(bench.counts(), quantise(Ramp(n_samples=5000).read(0, 0, 5000)).T)


def test_the_pace_may_be_set_to_change_at_a_sample_of_a_run_to_come() -> None:
    bench = Bench(speed=0.0, signal=Ramp(n_samples=2000))
    bench.board.set_speed(1.0, run=1, at_sample=700)
    for _ in range(2):
        bench.start()
        bench.run(0.5)
        bench.send(Opcode.STOP)
        bench.run(0.01)
    data = bench.data()
    second = next(f.sample_index for f in data[1:] if f.flags & Flag.FIRST)
    assert second == 2000  # the first run was over at once, though it has more than 700 samples
    assert data[-1].sample_index - second == pytest.approx(700 + 125, abs=8)


def test_a_crystal_that_runs_fast_gives_more_samples_of_the_same_spacing() -> None:
    bench = Bench(drift_ppm=20_000, signal=Ramp(n_samples=100_000))
    bench.start()
    bench.run(10.0)
    assert len(bench.counts()) == pytest.approx(2500 * 1.02, abs=8)
    assert bench.data()[1].t_us - bench.data()[0].t_us == 16_000


def test_counters_near_their_end_wrap_and_go_on() -> None:
    bench = Bench(first_sample=2**32 - 100, first_t_us=2**32 - 500_000)
    bench.start()
    bench.run(1.5)
    frames = bench.data()
    indices = [f.sample_index for f in frames]
    assert indices[0] == 2**32 - 100
    assert 0 in indices
    assert all((b - a) % 2**32 == 4 for a, b in itertools.pairwise(indices))
    assert frames[-1].t_us < frames[0].t_us
    assert bench.of(Heartbeat)[-1].sample_index > 2**32


# ---- runs ----


def test_each_start_plays_the_next_run_with_its_cue_and_says_where_it_ends() -> None:
    bench = Bench(signal=Ramp(n_samples=301, cue=50))
    for _ in range(3):
        bench.start()
        bench.run(2.0)
        bench.send(Opcode.STOP)
        bench.run(0.1)
    data = bench.data()
    np.testing.assert_array_equal(
        bench.counts(), quantise(np.hstack([Ramp().read(run, 0, 301) for run in (0, 1)])).T
    )
    assert [f.sample_index for f in data if f.flags & Flag.FIRST] == [0, 301]
    assert [(e.code, e.sample_index) for e in bench.events(EventSource.TRIGGER)] == [(7, 50), (7, 351)]
    ends = [e.sample_index for e in bench.events(EventSource.DEVICE) if e.code == EventCode.RUN_END]
    assert ends == [301, 602, 602]  # the third START found no more signal
    marked = [f for f in data if f.flags & Flag.TRIGGER]
    assert [
        f.sample_index <= cue < f.sample_index + f.n_samples for f, cue in zip(marked, (50, 351), strict=True)
    ]
    assert [entry for entry in bench.truth if "cue" in entry] == [
        {"cue": "right", "code": 7, "sample": 50},
        {"cue": "right", "code": 7, "sample": 351},
    ]


def test_after_the_end_of_a_run_the_board_streams_on_without_conversions() -> None:
    bench = Bench(signal=Ramp(n_samples=100))
    bench.start()
    bench.run(4.0)
    assert len(bench.counts()) == 100
    beats = bench.of(Heartbeat)
    assert len(beats) >= 4
    assert beats[-1].sample_index == 100
    assert bench.board._device.state == DeviceState.STREAMING


def test_stop_and_start_in_one_breath_begin_the_next_run() -> None:
    bench = Bench()
    bench.start()
    bench.run(0.5)
    bench.send(Opcode.STOP)
    bench.start()
    bench.run(0.5)
    assert [entry["run"] for entry in bench.truth if "run" in entry] == [0, 1]


def test_a_board_without_status_words_carries_odd_numbers_of_channels() -> None:
    bench = Bench(signal=Ramp(n_channels=15))
    bench.start()
    bench.run(1.0)
    np.testing.assert_array_equal(bench.counts()[:200], quantise(Ramp(n_channels=15).read(0, 0, 200)).T)


def test_frames_that_do_not_fit_a_packet_are_refused_with_what_would() -> None:
    with pytest.raises(ValueError, match="at most 23"):
        Bench(samples_per_frame=24)
    assert Bench(samples_per_frame=23)


# ---- the watchdog ----


def test_the_watchdog_stops_a_board_whose_host_is_silent() -> None:
    bench = Bench(signal=Ramp(n_samples=10_000))
    bench.start(watchdog_ms=1000)
    bench.run(3.0)
    assert 240 <= len(bench.counts()) <= 256
    assert bench.board._device.state == DeviceState.WATCHDOG


@pytest.mark.parametrize("speed", [0.0, 100.0])
def test_a_fast_clock_does_not_starve_the_watchdog_of_a_host_that_lives(speed: float) -> None:
    bench = Bench(speed=speed, signal=Ramp(n_samples=20_000))
    bench.start(watchdog_ms=5000)
    bench.run(1.0)
    assert len(bench.counts()) == 20_000 if speed == 0 else len(bench.counts()) > 19_000


def test_a_fast_clock_does_not_save_a_host_that_died() -> None:
    bench = Bench(speed=10.0, signal=Ramp(n_samples=200_000))
    bench.start(watchdog_ms=5000)
    bench.run(8.0)
    assert bench.board._device.state == DeviceState.WATCHDOG


def test_a_command_cut_by_a_keepalive_of_the_board_itself_still_arrives() -> None:
    bench = Bench(speed=10.0, signal=Ramp(n_samples=200_000))
    bench.start()
    bench.run(0.1)
    bench.send(Opcode.STOP)
    said, bench.wire.said = bench.wire.said, b""
    for at in range(len(said)):
        bench.wire.said = said[at : at + 1]
        bench.run(0.005)
    assert bench.board._device.state == DeviceState.IDLE


# ---- faults of the line ----


def damaged(
    kind: str, data: bytes, cuts: list[int], **arguments: object
) -> tuple[bytes, list[dict[str, object]]]:
    truth: list[dict[str, object]] = []
    faults = WireFaults(truth.append, seed=1)
    faults.add(kind, **arguments)  # type: ignore[arg-type]
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    return b"".join(faults.pass_on(data[a:b]) for a, b in itertools.pairwise(edges)), truth


@given(
    kind=st.sampled_from(sorted(WIRE_FAULTS)),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    every=st.sampled_from([1.0, 7.0, 60.0]),
    times=st.sampled_from([1, 4, None]),
    at=st.sampled_from([None, 0, 3, 250]),
)
@settings(max_examples=60, deadline=None)
def test_the_truth_undoes_every_damage_and_cuts_do_not_matter(
    kind: str, cuts: list[int], every: float, times: int | None, at: int | None
) -> None:
    clean = bytes(range(1, 200)) * 2
    wire, truth = damaged(kind, clean, cuts, every_bytes=every, times=times, at_byte=at)
    whole, truth_whole = damaged(kind, clean, [], every_bytes=every, times=times, at_byte=at)
    assert (wire, truth) == (whole, truth_whole)
    restored = bytearray(wire)
    for entry in reversed(truth):
        start, became = int(str(entry["wire_byte"])), bytes.fromhex(str(entry["became"]))
        assert restored[start : start + len(became)] == became
        restored[start : start + len(became)] = bytes.fromhex(str(entry["was"]))
    assert restored == clean
    if at == 3 and every == 1.0 and times is not None:
        assert [entry["byte"] for entry in truth] == list(range(3, 3 + times))
        assert wire != clean


def test_damage_on_the_line_costs_the_packets_it_hits_and_no_other() -> None:
    bench = Bench(
        faults=({"kind": "flip", "every_bytes": 2000, "times": None},), signal=Ramp(n_samples=100_000)
    )
    bench.start()
    bench.run(10.0)
    hits = [entry for entry in bench.truth if entry.get("fault") == "flip"]
    assert len(hits) > 10
    faults = bench.of(Fault)
    assert faults
    for hit in hits:
        assert any(f.offset <= hit["wire_byte"] <= f.offset + f.length + 1 for f in faults)
    assert bench.of(Heartbeat)[-1].dropped == 0  # the device knows nothing of it


def test_a_stalled_line_is_silent_and_the_converter_goes_on() -> None:
    bench = Bench(signal=Ramp(n_samples=10_000))
    bench.start()
    bench.run(1.0)
    bench.board.fault("stall", {"seconds": 2.0})
    before = len(bench.wire.got)
    bench.run(1.9)
    assert len(bench.wire.got) == before
    bench.run(3.1)
    assert len(bench.wire.got) > before
    assert bench.of(Heartbeat)[-1].dropped > 0
    assert bench.board._device.next_sample == pytest.approx(1500, abs=8)


def test_at_speed_0_a_stall_drops_nothing() -> None:
    bench = Bench(speed=0.0, faults=({"kind": "stall", "seconds": 0.5},), signal=Ramp(n_samples=10_000))
    bench.start()
    bench.run(2.0)
    assert len(bench.counts()) == 10_000


def test_a_reset_starts_the_counters_anew_under_another_boot_id() -> None:
    bench = Bench(first_sample=5000)
    bench.start()
    bench.run(1.0)
    bench.board.fault("reset", {})
    bench.run(1.5)
    bench.start()
    bench.run(0.5)
    boots = [info.boot_id for info in bench.of(Info)]
    assert len(set(boots)) == 2
    firsts = [f.sample_index for f in bench.data() if f.flags & Flag.FIRST]
    assert firsts == [5000, 0]
    assert [entry["run"] for entry in bench.truth if "run" in entry] == [0, 1]


def test_unplugging_hangs_up_and_the_board_goes_on_without_a_port() -> None:
    bench = Bench(signal=Ramp(n_samples=10_000))
    bench.start()
    bench.run(1.0)
    first = bench.wire
    bench.board.unplug()
    bench.board.unplug()
    assert first.hung_up
    bench.run(1.0)
    bench.board.plug()
    assert bench.wire is not first
    bench.run(1.0)
    assert bench.board._device.next_sample == pytest.approx(750, abs=8)
    assert bench.data()[-1].sample_index > 700


# ---- faults of electrodes and converter ----


def test_electrode_faults_hit_the_channels_and_samples_they_name() -> None:
    faults = (
        {"kind": "saturate", "channels": ["E2"], "at_sample": 101, "seconds": 0.2},
        {"kind": "flat", "channels": ["E3", "E4"], "at_sample": 150, "seconds": 0.2},
        {"kind": "noisy", "channels": ["E1"], "at_sample": 203, "seconds": 0.2},
    )
    bench = Bench(faults=faults)
    bench.start()
    bench.run(1.5)
    counts = bench.counts()
    expected = quantise(Ramp().read(0, 0, len(counts))).T.copy()
    expected[101:151, 1] = 2**23 - 1
    expected[150:200, 2:4] = 0
    noise = counts[203:253, 0] - expected[203:253, 0]
    assert 300 < noise.std() * UV_PER_COUNT < 600
    expected[203:253, 0] = counts[203:253, 0]
    np.testing.assert_array_equal(counts, expected)
    assert {"fault": "saturate", "channels": ["E2"], "sample": 101, "n_samples": 50} in bench.truth


def test_noise_of_an_electrode_is_the_same_however_the_samples_are_cut() -> None:
    def noise(step: int) -> np.ndarray:
        faults = SignalFaults(["a", "b"], lambda entry: None, seed=1)
        faults.add("noisy", channels=["b"], first=1000, n_samples=100)
        blocks = []
        for first in range(900, 1200, step):
            block = np.zeros((min(step, 1200 - first), 2), np.int32)
            faults.pass_on(block, first)
            blocks.append(block)
        return np.vstack(blocks)

    np.testing.assert_array_equal(noise(300), noise(7))
    assert noise(300)[100:200, 1].all()
    assert not noise(300)[:, 0].any()


def test_a_slipped_bus_gives_the_bits_of_the_neighbours() -> None:
    bench = Bench(faults=({"kind": "spi_slip", "at_sample": 10, "seconds": 0.04},))
    bench.start()
    bench.run(0.2)
    counts = bench.counts()
    clean = quantise(Ramp().read(0, 0, len(counts))).T

    def bits(row: np.ndarray) -> str:
        return "".join(f"{int(v) & 0xFFFFFF:024b}" for v in row)

    assert all(bits(counts[k]) == bits(clean[k])[1:] + "0" for k in range(10, 20))
    np.testing.assert_array_equal(np.delete(counts, range(10, 20), 0), np.delete(clean, range(10, 20), 0))


def test_an_electrode_that_is_off_shows_in_the_status_words_while_lead_off_is_on() -> None:
    bench = Bench(faults=({"kind": "lead_off", "channels": ["E3"], "at_sample": 102, "seconds": 0.2},))
    bench.send(Opcode.LEAD_OFF, bytes([LeadOff.DC]))
    bench.start()
    bench.run(1.0)
    words = [word for f in bench.data() for (word,) in f.status_words()]
    off = [k for k, word in enumerate(words) if word >> 12 & 0xFF == 0b100]
    assert off == list(range(102, 152))


@pytest.mark.parametrize(
    ("kind", "arguments", "says"),
    [
        ("melt", {}, "no fault 'melt'; there are"),
        ("flip", {"every_bytes": 0}, "every_bytes"),
        ("flip", {"colour": 1}, "colour"),
        ("flat", {"channels": ["Oz"]}, "no channel Oz"),
        ("drift", {}, "ppm"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_with_what_does(
    kind: str, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Bench().board.fault(kind, arguments)


def test_the_text_of_a_bootloader_is_one_fault_and_the_next_packet_is_whole() -> None:
    bench = Bench(faults=({"kind": "text", "at_byte": 5000},))
    bench.start()
    bench.run(2.0)
    assert len(bench.of(Fault)) in (1, 2)
    assert b"POWERON_RESET" in bench.wire.got
