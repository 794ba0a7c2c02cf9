"""SPEC 6: order, cadence, loss account, wraps, runs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_protocol import (
    Data,
    DeviceConfig,
    Event,
    EventCode,
    EventSource,
    Flag,
    FrameError,
    Heartbeat,
    Info,
    Log,
    LogLevel,
    Opcode,
    ReferenceDevice,
    Response,
)
from tests.firmware_protocol.bench import LABELS, Bench


def streaming(**config: object) -> Bench:
    bench = Bench(**config)
    bench.hear()
    bench.tell(Opcode.START, 0)
    return bench


def test_samples_come_out_as_they_went_in_numbered_and_timed() -> None:
    bench = streaming()
    bench.wait(1000)
    bench.convert(10)
    bench.convert(6)
    bench.hear()
    assert [(d.sample_index, d.t_us, d.n_samples) for d in bench.data()] == [
        (4 * k, 1_000_000 + 16_000 * k, 4) for k in range(4)
    ]
    assert [row for d in bench.data() for row in d.counts()] == [
        [10 * k + c for c in range(8)] for k in range(16)
    ]


def test_samples_may_be_an_array_with_a_time_for_each_row() -> None:
    bench = streaming()
    counts = np.arange(64, dtype=np.int32).reshape(8, 8)
    made = bench.device.push_samples(counts, np.arange(8) * 4010 + 500)  # type: ignore[arg-type]
    assert made == 8
    bench.wait(100)
    bench.hear()
    assert [d.t_us for d in bench.data()] == [500, 500 + 4 * 4010]
    assert np.array_equal([row for d in bench.data() for row in d.counts()], counts)


def test_a_time_may_be_a_numpy_integer() -> None:
    bench = streaming()
    bench.device.push_samples([[0] * 8] * 4, np.int64(7000))  # type: ignore[arg-type]
    bench.hear()
    assert bench.data()[0].t_us == 7000


def test_times_follow_a_rate_that_is_no_whole_number_without_drift() -> None:
    bench = streaming(rate=Fraction(500, 3), samples_per_frame=1)
    bench.device.push_samples([[0] * 8] * 10, 0)
    bench.hear()
    assert [d.t_us for d in bench.data()] == [6000 * k for k in range(10)]


def test_counts_beyond_full_scale_saturate() -> None:
    bench = streaming(samples_per_frame=1)
    bench.device.push_samples([[2**23, 2**23 - 1, -(2**23) - 1, -(2**31), 0, 0, 0, 0]], 0)
    bench.hear()
    assert bench.data()[0].counts()[0][:4] == [2**23 - 1, 2**23 - 1, -(2**23), -(2**23)]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(FrameError, match="a row of 7 samples for 8 channels"):
        streaming().device.push_samples([[0] * 8, [0] * 7], 0)


def test_no_rows_are_no_conversion() -> None:
    assert streaming().device.push_samples([], 0) == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"labels": ()}, "n_channels"),
        ({"labels": ("x",) * 65, "has_status": False}, "n_channels"),
        ({"labels": ("x",) * 9}, "n_channels"),
        ({"labels": ("a label that is too long",) * 8}, "labels"),
        ({"samples_per_frame": 0}, "n_samples"),
        ({"samples_per_frame": 24}, "n_samples"),
        ({"device_id": "x" * 25}, "device_id"),
        ({"rate": Fraction(1, 2**33)}, ""),
        ({"gain": 3}, "gain"),
        ({"channels_per_converter": 5}, "channels_per_converter"),
    ],
)
def test_a_device_that_the_protocol_cannot_carry_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(FrameError) as caught:
        Bench(**changes).device.info()
    assert caught.value.field == field


def test_samples_without_status_words() -> None:
    bench = streaming(labels=LABELS[:5], has_status=False)
    bench.convert(4)
    bench.hear()
    (data,) = bench.data()
    assert (data.has_status, data.n_channels, len(data.payload)) == (False, 5, 60)


# ---- order and cadence ----


def test_link_seq_follows_the_wire_through_every_type_and_its_wrap() -> None:
    bench = streaming(link_seq=65_530)
    for _ in range(12):
        bench.convert(5)
        bench.device.log("hello", now_us=bench.now_us, level=LogLevel.DEBUG)
        bench.command(Opcode.IDENTIFY)
        bench.hear()
    expected = [(65_530 + k) % 65_536 for k in range(len(bench.seen))]
    assert [frame.link_seq for frame in bench.seen] == expected
    assert {Data, Log, Response, Info, Heartbeat} <= {type(frame) for frame in bench.seen}


def test_responses_go_ahead_of_queued_data() -> None:
    bench = streaming()
    bench.convert(40)
    bench.command(Opcode.READ_REGISTER, 0, 0, 1)
    bench.command(Opcode.TEST_PATTERN, 0)
    heard = bench.hear()
    assert [frame.opcode for frame in heard[:2] if isinstance(frame, Response)] == [0x0A, 0x09]
    assert not any(isinstance(frame, Response) for frame in heard[2:])


def test_a_host_that_does_not_read_loses_the_oldest_answers_only() -> None:
    bench = Bench()
    bench.hear()
    for request_id in range(20):
        bench.command(Opcode.READ_REGISTER, 0, 0, 1, request_id=request_id)
    assert [frame.request_id for frame in bench.hear() if isinstance(frame, Response)] == list(range(12, 20))


def test_poll_gives_whole_packets_that_fit_into_the_room() -> None:
    bench = streaming()
    bench.convert(12)
    assert bench.device.poll(bench.now_us, 129) == b""
    assert len(bench.device.poll(bench.now_us, 130)) == 130
    assert len(bench.device.poll(bench.now_us, 389)) == 260
    assert bench.device.queued_bytes == 0


@pytest.mark.parametrize("started", [False, True])
def test_info_and_heartbeat_come_once_a_second_in_every_state(started: bool) -> None:
    bench = Bench()
    for ms in range(5500):
        if ms == 500 and started:
            bench.command(Opcode.START, 0)
        bench.now_us = ms * 1000 + 7
        bench.hear()
    beats = [frame.t_us for frame in bench.heard(Heartbeat)]
    assert beats == [k * 1_000_000 + 7 for k in range(1)] + [k * 1_000_000 + 7 for k in range(1, 6)]
    assert len(bench.heard(Info)) == 6 + started


def test_a_slow_caller_gets_one_heartbeat_late_not_many() -> None:
    bench = Bench()
    bench.hear()
    bench.wait(5300)
    assert len(bench.hear()) == 2
    bench.wait(600)
    assert bench.hear() == []
    bench.wait(100)
    assert len(bench.hear()) == 2


def test_heartbeat_carries_what_the_board_measured() -> None:
    bench = Bench(boot_id=9)
    bench.device.supply_mv, bench.device.temperature_c = 3250, 31.5
    bench.hear()
    (heartbeat,) = bench.heard(Heartbeat)
    assert (heartbeat.boot_id, heartbeat.supply_mv, heartbeat.temperature_c) == (9, 3250, 31.5)


# ---- loss account ----


def test_conversions_without_room_are_dropped_counted_and_flagged() -> None:
    bench = streaming(queue_bytes=390)
    bench.convert(24)
    bench.hear()
    bench.convert(4)
    bench.wait(1000)
    bench.hear()
    assert [(d.sample_index, d.flags) for d in bench.data()] == [
        (0, Flag.FIRST),
        (24, Flag.OVERRUN),
    ] or [d.sample_index for d in bench.data()] == [0, 4, 8, 24]
    assert bench.data()[-1].flags == Flag.OVERRUN
    beat = bench.heard(Heartbeat)[-1]
    received = sum(d.n_samples for d in bench.data())
    assert beat.sample_index - received == beat.dropped == bench.device.dropped > 0


def test_a_flag_of_dropped_data_is_carried_by_the_next() -> None:
    bench = streaming(queue_bytes=390)
    bench.hear()
    bench.tell(Opcode.STOP)
    bench.command(Opcode.START, 0)  # its INFO, 266 bytes, and the HEARTBEAT wait
    bench.convert(4)
    bench.device.mark_clock_step()
    bench.convert(4)
    bench.hear()
    bench.convert(4)
    bench.hear()
    flags = bench.data()[-1].flags
    assert flags & Flag.OVERRUN
    assert flags & Flag.CLOCK_STEPPED


def full(bench: Bench) -> None:
    """No room for anything but small packets."""
    while bench.device.log("x" * 100, now_us=bench.now_us):
        pass


def test_no_data_goes_without_the_info_of_its_configuration() -> None:
    bench = streaming(queue_bytes=300)
    bench.hear()
    full(bench)
    bench.command(Opcode.SET_CHANNEL, 0, 12, 0, 1)
    bench.convert(4)
    bench.hear(200)
    for _ in range(3):
        bench.convert(4)
        bench.hear()
    kinds = [(type(f), f.config_id) for f in bench.seen if isinstance(f, Data | Info) and f.config_id]
    assert kinds == [(Info, 1), (Data, 1)]
    assert bench.data()[-1].flags == Flag.FIRST | Flag.COMMAND_ACTED | Flag.OVERRUN


def test_what_must_come_comes_as_soon_as_there_is_room() -> None:
    bench = streaming(queue_bytes=300)
    bench.hear()
    bench.tell(Opcode.STOP)
    bench.tell(Opcode.START, 100)
    bench.hear()
    full(bench)
    bench.wait(1100)  # HEARTBEAT, INFO and the watchdog's EVENT are due
    bench.hear(0)
    n_seen = len(bench.seen)
    bench.hear()
    bench.hear()
    late = {type(frame) for frame in bench.seen[n_seen:]}
    assert {Event, Info, Heartbeat} <= late


def test_info_larger_than_the_queue_is_sent_as_far_as_it_goes() -> None:
    bench = Bench(labels=tuple(f"E{k}" for k in range(64)), samples_per_frame=2, queue_bytes=500)
    bench.hear()
    assert [page.page for page in bench.heard(Info)] == [0, 1]


def test_conversions_dropped_at_the_end_of_a_stream_are_flagged_at_the_beginning_of_the_next() -> None:
    bench = streaming(queue_bytes=300)
    bench.convert(12)  # INFO of START waits, so the last of them find no room
    bench.command(Opcode.STOP)
    bench.hear()
    bench.tell(Opcode.START, 0)
    bench.hear()
    bench.convert(4)
    bench.hear()
    assert bench.device.dropped > 0
    assert bench.data()[-1].flags == Flag.FIRST | Flag.OVERRUN


def test_events_and_info_find_room_when_data_does_not() -> None:
    bench = streaming(queue_bytes=390)
    bench.convert(40)
    assert bench.device.event(EventSource.BUTTON, 5, 6, now_us=bench.now_us)
    while bench.device.event(EventSource.BUTTON, 7, now_us=bench.now_us):
        assert bench.device.queued_bytes <= 780
    assert not bench.device.log("no room", now_us=bench.now_us)
    bench.hear()
    assert bench.heard(Event)[0].code == 5


def reset_is_answered(bench: Bench) -> None:
    """Hears its answer and what waits before it, and no more: of nine answers that wait the oldest would be lost."""
    for _ in range(9):
        if any(
            frame.opcode == Opcode.RESET_COUNTERS for frame in bench.hear(70) if isinstance(frame, Response)
        ):
            return
    raise AssertionError("RESET_COUNTERS has no answer")


@settings(max_examples=40, deadline=None)
@example([("s", 1), ("x", 1), ("c", 4), ("r", 1), ("r", 1), *[("i", 1)] * 6])  # as many answers wait as can
@example(  # conversions dropped while nothing waits, counters reset, then DATA queued again
    [
        ("i", 1),
        ("i", 1),
        ("c", 1),
        ("c", 1),
        ("c", 1),
        ("c", 1),
        ("c", 1),
        ("p", 9),
        ("r", 1),
        ("h", 1),
        ("p", 9),
    ]
)
@given(st.lists(st.tuples(st.sampled_from("cprhisx"), st.integers(1, 40)), max_size=30))
def test_every_heartbeat_accounts_for_every_conversion_before_it(steps: list[tuple[str, int]]) -> None:
    """Sent before it, or in `dropped`: whatever the pace, the commands and the order of things."""
    bench = streaming(queue_bytes=600, sample_index=2**32 - 100)
    for step, n in steps:
        match step:
            case "c":
                bench.convert(n)
            case "p":
                bench.hear(n * 40)
            case "r":
                bench.command(Opcode.RESET_COUNTERS)
                reset_is_answered(bench)
            case "h":
                bench.wait(1000)
            case "i":
                bench.command(Opcode.SET_CHANNEL, 0, 24, 0, 1)
            case "s":
                bench.command(Opcode.STOP)
            case "x":
                bench.command(Opcode.START, 0)
    bench.command(Opcode.STOP)
    bench.hear()
    sent = dropped_before_reset = 0
    for frame in bench.seen:
        match frame:
            case Data():
                sent += frame.n_samples
            case Response(opcode=Opcode.RESET_COUNTERS):
                dropped_before_reset += Heartbeat.from_counters(frame).dropped
            case Heartbeat():
                assert frame.sample_index == 2**32 - 100 + sent + frame.dropped + dropped_before_reset
    final = Heartbeat.from_counters([r for r in bench.heard(Response) if r.opcode == Opcode.STOP][-1])
    assert final.sample_index == bench.device.next_sample
    assert final.sample_index == 2**32 - 100 + sent + final.dropped + dropped_before_reset


def test_a_command_while_streaming_costs_no_conversion() -> None:
    bench = streaming()
    for opcode, arguments in [
        (Opcode.IDENTIFY, ()),
        (Opcode.KEEPALIVE, ()),
        (Opcode.SET_CHANNEL, (3, 12, 0, 1)),
        (Opcode.LEAD_OFF, (3,)),
        (Opcode.TEST_SIGNAL, (1, 1)),
        (Opcode.TEST_PATTERN, (1,)),
        (Opcode.READ_REGISTER, (0, 0, 24)),
        (Opcode.RESET_COUNTERS, ()),
    ]:
        bench.convert(3)
        bench.command(opcode, *arguments)
        bench.hear()
    bench.tell(Opcode.STOP)
    assert sum(d.n_samples for d in bench.data()) == bench.device.next_sample == 24
    assert bench.device.dropped == 0


# ---- wraps, runs, events ----


def test_counters_wrap_at_32_bits_and_stay_whole_in_the_heartbeat() -> None:
    bench = Bench(sample_index=2**32 - 2)
    bench.now_us = 2**32 - 8000
    bench.hear()
    bench.tell(Opcode.START, 0)
    bench.convert(8)
    bench.wait(1000)
    bench.hear()
    assert [d.sample_index for d in bench.data()] == [2**32 - 2, 2]
    assert [d.t_us for d in bench.data()] == [2**32 - 8000, 8000]
    beat = bench.heard(Heartbeat)[-1]
    assert beat.sample_index == 2**32 + 6
    assert beat.t_us > 2**32
    assert bench.device.next_sample == 2**32 + 6


def test_an_event_stands_at_its_conversion() -> None:
    bench = streaming()
    bench.convert(6)
    assert bench.device.event(EventSource.TRIGGER, 769, -5, now_us=bench.now_us, sample_index=3)
    assert bench.device.event(EventSource.BUTTON, 1, now_us=bench.now_us)
    bench.hear()
    shown = [(e.source, e.code, e.value, e.sample_index, e.t_us) for e in bench.heard(Event)]
    assert shown == [(1, 769, -5, 3, 24_000), (2, 1, 0, 6, 24_000)]


def test_trigger_line_shows_in_the_flags() -> None:
    bench = streaming()
    bench.convert(2)
    bench.convert(1, trigger=True)
    bench.convert(5)
    bench.hear()
    assert [d.flags for d in bench.data()] == [Flag.FIRST | Flag.TRIGGER, 0]


def test_a_run_ends_with_its_last_samples_then_the_event() -> None:
    bench = streaming()
    bench.convert(6)
    bench.device.end_run(bench.now_us)
    bench.hear()
    assert [d.n_samples for d in bench.data()] == [4, 2]
    last = bench.seen[-1]
    assert isinstance(last, Event)
    assert (last.source, last.code, last.sample_index) == (EventSource.DEVICE, EventCode.RUN_END, 6)
    assert bench.device.streaming
    bench.convert(4)
    bench.hear()
    assert bench.data()[-1].sample_index == 6


def test_a_clock_step_is_told_with_the_next_samples() -> None:
    bench = streaming()
    bench.convert(2)
    bench.device.mark_clock_step()
    bench.convert(4)
    bench.hear()
    assert [(d.n_samples, d.flags) for d in bench.data()] == [(2, Flag.FIRST), (4, Flag.CLOCK_STEPPED)]


def test_a_log_carries_time_level_and_text() -> None:
    bench = Bench()
    bench.hear()
    bench.wait(5)
    bench.device.log("µ", now_us=bench.now_us, level=LogLevel.ERROR)
    (log,) = bench.hear()
    assert log == Log(2, 0, 5000, 3, "µ")


def test_time_told_out_of_order_does_not_run_backwards() -> None:
    device = ReferenceDevice(DeviceConfig(labels=LABELS))
    device.poll(5_000_000)
    device.poll(1_000_000)
    device.event(EventSource.BUTTON, 1, now_us=2_000_000)
    assert device.poll(5_000_001) != b""
    assert device.poll(5_999_999) == b""
