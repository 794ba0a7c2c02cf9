"""SPEC 5: every command, every status, the cache, the watchdog."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest

from firmware_protocol import (
    Command,
    DeviceState,
    Event,
    EventCode,
    EventSource,
    Fault,
    Flag,
    Heartbeat,
    Info,
    Log,
    Opcode,
    Response,
    Status,
    Unknown,
    encode,
    encode_command,
)
from firmware_protocol.codes import LeadOff
from firmware_protocol.layout import COMMANDS
from firmware_protocol.patterns import pattern_counts
from tests.firmware_protocol.bench import LABELS, Bench, u32

OK = Status.OK


def streaming(**config: object) -> Bench:
    bench = Bench(**config)
    bench.hear()
    bench.tell(Opcode.START, 0)
    return bench


# ---- identify, start, stop ----


def test_identify_tells_who_it_is_and_sends_all_pages_of_info() -> None:
    bench = Bench(labels=tuple(f"E{k}" for k in range(40)), boot_id=0xC0FFEE)
    bench.hear()
    bench.command(Opcode.IDENTIFY)
    response, *pages = bench.hear()
    assert isinstance(response, Response)
    assert COMMANDS[Opcode.IDENTIFY].result_struct.unpack(response.payload) == (0xC0FFEE, 0, 0, 40, 3)
    assert all(isinstance(page, Info) for page in pages)
    described = [(p.page, p.pages, p.first_channel, len(p.labels)) for p in pages if isinstance(p, Info)]
    assert described == [(0, 3, 0, 16), (1, 3, 16, 16), (2, 3, 32, 8)]


def test_start_answers_the_first_sample_and_sends_info_before_data() -> None:
    bench = Bench(sample_index=77)
    bench.hear()
    response = bench.tell(Opcode.START)
    assert response.payload == struct.pack("<Q", 77)
    bench.convert(8)
    bench.hear()
    kinds = [type(frame).__name__ for frame in bench.seen[-4:]]
    assert kinds == ["Response", "Info", "Data", "Data"]
    assert [data.flags for data in bench.data()] == [Flag.FIRST, 0]
    assert bench.data()[0].sample_index == 77


def test_a_second_start_is_busy_and_changes_nothing() -> None:
    bench = streaming()
    bench.convert(2)
    assert bench.ask(Opcode.START, 100).status == Status.BUSY
    bench.convert(2)
    bench.wait(10_000)  # the watchdog of the refused START is not in force
    bench.hear()
    assert bench.device.streaming
    assert [(d.n_samples, d.flags) for d in bench.data()] == [(4, Flag.FIRST)]


def test_stop_sends_the_rest_and_answers_the_final_account() -> None:
    bench = streaming()
    bench.convert(6)
    response = bench.tell(Opcode.STOP)
    assert [d.n_samples for d in bench.data()] == [4, 2]
    account = Heartbeat.from_counters(response)
    assert (account.sample_index, account.dropped) == (6, 0)
    last = bench.seen[-1]
    assert isinstance(last, Heartbeat)
    assert (last.sample_index, last.dropped) == (6, 0)
    assert bench.device.state == DeviceState.IDLE


def test_stop_while_idle_is_fine() -> None:
    bench = Bench()
    bench.hear()
    assert Heartbeat.from_counters(bench.tell(Opcode.STOP)).sample_index == 0
    assert bench.device.state == DeviceState.IDLE


def test_no_conversion_happens_while_stopped_and_numbers_go_on_after_it() -> None:
    bench = streaming()
    bench.convert(4)
    bench.tell(Opcode.STOP)
    assert bench.device.push_samples([[0] * 8], bench.now_us) == 0
    bench.tell(Opcode.START, 0)
    bench.convert(4)
    bench.hear()
    assert [d.sample_index for d in bench.data()] == [0, 4]
    assert [d.flags for d in bench.data()] == [Flag.FIRST, Flag.FIRST]


def test_first_flag_of_a_stop_without_data_does_not_hide_later_flags() -> None:
    bench = streaming()
    bench.tell(Opcode.STOP)
    bench.tell(Opcode.START, 0)
    bench.convert(4)
    bench.hear()
    assert [d.flags for d in bench.data()] == [Flag.FIRST]


# ---- configuration ----


def test_set_rate_changes_rate_and_config_id_while_idle() -> None:
    bench = Bench()
    bench.hear()
    assert bench.tell(Opcode.SET_RATE, 1000, 2).payload == b"\x01"
    assert bench.device.rate == 500
    info = bench.heard(Info)[-1]
    assert (info.rate_num, info.rate_den, info.config_id) == (500, 1, 1)
    assert bench.tell(Opcode.READ_REGISTER, 0, 1, 1).payload == b"\x95"


@pytest.mark.parametrize(("num", "den"), [(300, 1), (0, 1), (250, 0)])
def test_a_rate_that_the_converter_has_not_is_refused(num: int, den: int) -> None:
    bench = Bench()
    bench.hear()
    assert bench.ask(Opcode.SET_RATE, num, den).status == Status.BAD_ARGUMENT
    assert (bench.device.rate, bench.device.config_id) == (250, 0)


def test_a_board_with_another_clock_offers_its_own_rates() -> None:
    bench = Bench(rate=Fraction(160), rates=frozenset({Fraction(500, 3)}))
    bench.hear()
    assert bench.tell(Opcode.SET_RATE, 500, 3).payload == b"\x01"
    assert bench.tell(Opcode.SET_RATE, 160, 1).payload == b"\x02"


@pytest.mark.parametrize("opcode", [Opcode.SET_RATE, Opcode.WRITE_REGISTER])
def test_what_is_not_for_a_running_stream_is_busy(opcode: Opcode) -> None:
    bench = streaming()
    arguments, more = ((500, 1), b"") if opcode == Opcode.SET_RATE else ((0, 5), b"\x60")
    assert bench.ask(opcode, *arguments, more=more).status == Status.BUSY
    assert bench.device.config_id == 0


def test_set_channel_changes_the_scale_between_two_samples_without_losing_one() -> None:
    bench = streaming()
    bench.convert(6)
    bench.tell(Opcode.SET_CHANNEL, 2, 6, 0, 1)
    bench.convert(4)
    bench.hear()
    shown = [(d.sample_index, d.n_samples, d.config_id, d.flags) for d in bench.data()]
    assert shown == [(0, 4, 0, Flag.FIRST), (4, 2, 0, 0), (6, 4, 1, Flag.COMMAND_ACTED)]
    order = [type(frame).__name__ for frame in bench.seen]
    assert order.index("Info", order.index("Data")) < len(order) - 1 - order[::-1].index("Data")
    scale = bench.heard(Info)[-1].uv_per_count
    assert scale[2] == pytest.approx(4 * scale[1])
    assert scale[1] == pytest.approx(0.02235174)
    rows = [row for d in bench.data() for row in d.counts()]
    assert rows == [[10 * k + c for c in range(8)] for k in range(10)]


def test_set_channel_255_is_all_and_a_channel_without_power_is_zero() -> None:
    bench = streaming()
    bench.tell(Opcode.SET_CHANNEL, 255, 1, 0, 1)
    bench.tell(Opcode.SET_CHANNEL, 7, 1, 1, 0)
    bench.convert(1)
    bench.hear()
    assert set(bench.device.uv_per_count) == {4.5e6 / (2**23 - 1)}
    bench.tell(Opcode.STOP)
    assert bench.data()[-1].counts() == [[0, 1, 2, 3, 4, 5, 6, 0]]
    assert bench.tell(Opcode.READ_REGISTER, 0, 11, 2).payload == b"\x00\x81"


@pytest.mark.parametrize("arguments", [(8, 24, 0, 1), (0, 3, 0, 1), (0, 24, 8, 1), (0, 24, 0, 2)])
def test_set_channel_refuses_what_a_channel_has_not(arguments: tuple[int, ...]) -> None:
    bench = Bench()
    bench.hear()
    assert bench.ask(Opcode.SET_CHANNEL, *arguments).status == Status.BAD_ARGUMENT
    assert bench.device.config_id == 0


def test_config_id_wraps_at_256() -> None:
    bench = Bench()
    bench.hear()
    for _ in range(256):
        bench.tell(Opcode.SET_CHANNEL, 0, 24, 0, 1)
    assert bench.device.config_id == 0


@pytest.mark.parametrize(
    ("mode", "flags", "loff"), [(1, 0, 0), (2, Flag.AC_LEAD_OFF, 2), (3, Flag.AC_LEAD_OFF, 3)]
)
def test_lead_off_shows_in_flags_status_words_info_and_registers(mode: int, flags: int, loff: int) -> None:
    bench = streaming()
    bench.convert(4, lead_off_p=0xFF)
    bench.tell(Opcode.LEAD_OFF, mode)
    bench.convert(4, lead_off_p=0b0000_0101, lead_off_n=0b1000_0000, gpio=9)
    bench.hear()
    before, during = bench.data()
    assert before.status_words() == [[0xC00000]] * 4
    assert during.flags == flags | Flag.COMMAND_ACTED
    assert during.status_words() == [[0b1100_00000101_10000000_1001]] * 4
    assert during.config_id == 0
    assert (bench.heard(Info)[-1].lead_off, bench.device.lead_off) == (mode, LeadOff(mode))
    assert bench.tell(Opcode.READ_REGISTER, 0, 4, 1).payload == bytes([loff])
    assert bench.tell(Opcode.READ_REGISTER, 0, 0x0F, 2).payload == b"\xff\xff"
    bench.tell(Opcode.LEAD_OFF, 0)
    assert bench.tell(Opcode.READ_REGISTER, 0, 0x0F, 2).payload == b"\x00\x00"


def test_lead_off_bits_go_to_the_converter_of_their_channel() -> None:
    bench = streaming(labels=LABELS * 2)
    bench.tell(Opcode.LEAD_OFF, 1)
    bench.convert(4, lead_off_p=0x0102)
    bench.hear()
    assert bench.data()[0].status_words()[0] == [0xC02000, 0xC01000]


def test_a_tone_that_the_rate_is_no_multiple_of_is_unsupported() -> None:
    bench = Bench(rate=Fraction(160), rates=frozenset({Fraction(250)}))
    bench.hear()
    assert bench.ask(Opcode.LEAD_OFF, 2).status == Status.UNSUPPORTED
    bench.tell(Opcode.LEAD_OFF, 3)
    bench.tell(Opcode.SET_RATE, 250, 1)
    bench.tell(Opcode.LEAD_OFF, 2)
    assert bench.ask(Opcode.SET_RATE, 160, 1).status == Status.UNSUPPORTED
    assert bench.ask(Opcode.LEAD_OFF, 4).status == Status.BAD_ARGUMENT


def test_test_signal_is_a_square_wave_of_the_stated_height_and_frequency() -> None:
    bench = streaming(samples_per_frame=20)
    bench.tell(Opcode.SET_CHANNEL, 1, 12, 0, 1)
    bench.tell(Opcode.TEST_SIGNAL, 1, 2)
    for _ in range(64):
        bench.convert(20)
        bench.hear()
    rows = [row for d in bench.data() for row in d.counts()]
    level = round(2 * 4.5e6 / 2400 / bench.device.uv_per_count[0])
    assert {row[0] for row in rows} == {level, -level}
    assert rows[0][0] == level
    assert abs(rows[0][1] - level / 2) <= 1
    edges = [k for k in range(1, len(rows)) if rows[k][0] != rows[k - 1][0]]
    assert edges == [128 * k for k in range(1, 10)]  # 250 Hz / (125/128 Hz) / 2
    assert all(d.flags & Flag.TEST_SIGNAL and d.config_id == 1 for d in bench.data())


def test_test_signal_fast_and_dc() -> None:
    bench = streaming(samples_per_frame=16)
    bench.tell(Opcode.TEST_SIGNAL, 2, 1)
    for _ in range(9):
        bench.convert(16)
        bench.hear()
    rows = [row[0] for d in bench.data() for row in d.counts()]
    assert [k for k in range(1, 144) if rows[k] != rows[k - 1]] == [64, 128]
    bench.tell(Opcode.TEST_SIGNAL, 3, 1)
    bench.convert(16)
    bench.hear()
    assert {row[0] for row in bench.data()[-1].counts()} == {max(rows)}
    assert bench.tell(Opcode.READ_REGISTER, 0, 2, 1).payload == b"\xd3"
    assert bench.ask(Opcode.TEST_SIGNAL, 4, 1).status == Status.BAD_ARGUMENT
    assert bench.ask(Opcode.TEST_SIGNAL, 1, 3).status == Status.BAD_ARGUMENT


def test_a_channel_put_to_another_input_keeps_it_while_the_test_signal_is_on() -> None:
    bench = streaming(samples_per_frame=16)
    bench.tell(Opcode.SET_CHANNEL, 255, 24, 1, 1)
    bench.tell(Opcode.SET_CHANNEL, 1, 24, 5, 1)
    bench.tell(Opcode.TEST_SIGNAL, 3, 1)
    assert [place.mux for place in bench.device.setup.inputs][:3] == [1, 5, 1]
    bench.device.push_samples([[7] * len(LABELS)] * 16, bench.now_us + 1)
    bench.hear()
    row = bench.data()[-1].counts()[0]
    assert row[1] == round(4.5e6 / 2400 / bench.device.uv_per_count[1])
    assert set(row[:1] + row[2:]) == {7}


def test_a_device_whose_caller_makes_the_test_signal_passes_on_what_is_pushed() -> None:
    bench = streaming(samples_per_frame=16, makes_test_signal=False)
    bench.tell(Opcode.TEST_SIGNAL, 1, 2)
    bench.device.push_samples([[7] * len(LABELS)] * 16, bench.now_us + 1)
    bench.hear()
    data = bench.data()[-1]
    assert {value for row in data.counts() for value in row} == {7}
    assert data.flags & Flag.TEST_SIGNAL
    assert bench.device.setup.test_amplitude == 2


def test_conversions_that_nobody_fetched_are_counted_as_dropped() -> None:
    bench = streaming(samples_per_frame=4)
    bench.convert(4)
    before = bench.device.next_sample
    bench.device.miss(3)
    bench.convert(4)
    bench.hear()
    first, second = bench.data()[-2:]
    assert bench.device.next_sample == before + 3 + 4
    assert (second.sample_index, bench.device.dropped) == (first.sample_index + 4 + 3, 3)
    assert second.flags & Flag.OVERRUN


@pytest.mark.parametrize("pattern", [1, 2])
def test_test_pattern_replaces_the_samples_by_known_numbers(pattern: int) -> None:
    bench = streaming(sample_index=2**32 - 2)
    bench.tell(Opcode.TEST_PATTERN, pattern)
    assert bench.device.pattern == pattern
    bench.convert(4)
    bench.tell(Opcode.TEST_PATTERN, 0)
    bench.convert(4)
    bench.hear()
    known, plain = bench.data()
    assert known.counts() == [pattern_counts(pattern, 2**32 - 2 + k, 8) for k in range(4)]  # type: ignore[arg-type]
    assert (known.flags & Flag.TEST_SIGNAL, plain.flags & Flag.TEST_SIGNAL) == (Flag.TEST_SIGNAL, 0)
    assert bench.ask(Opcode.TEST_PATTERN, 3).status == Status.BAD_ARGUMENT


def test_registers_read_as_a_converter_of_its_size_has_them_at_reset() -> None:
    bench = Bench()
    bench.hear()
    registers = bench.tell(Opcode.READ_REGISTER, 0, 0, 24).payload
    assert registers.hex() == "3e96c06000" + "60" * 8 + "00" * 7 + "0f000000"


@pytest.mark.parametrize(("c", "expected"), [(8, b"\x3e"), (6, b"\x3d"), (4, b"\x3c")])
def test_register_id_tells_the_number_of_channels(c: int, expected: bytes) -> None:
    bench = Bench(labels=("x",) * 24, channels_per_converter=c)
    bench.hear()
    assert bench.tell(Opcode.READ_REGISTER, 24 // c - 1, 0, 1).payload == expected
    assert bench.ask(Opcode.READ_REGISTER, 24 // c, 0, 1).status == Status.BAD_ARGUMENT


def test_written_registers_act_and_begin_a_configuration() -> None:
    bench = Bench()
    bench.hear()
    assert bench.tell(Opcode.WRITE_REGISTER, 0, 5, more=b"\x50\x40").payload == b"\x01"
    scale = bench.device.uv_per_count
    assert scale[0] == pytest.approx(2 * scale[2])
    assert scale[1] == pytest.approx(3 * scale[2])
    assert bench.tell(Opcode.READ_REGISTER, 0, 5, 2).payload == b"\x50\x40"


@pytest.mark.parametrize("address", [0, 1, 2, 4, 0x0F, 0x10, 0x12, 0x13, 24, 255])
def test_registers_of_a_command_or_of_the_converter_are_not_written(address: int) -> None:
    bench = Bench()
    bench.hear()
    assert bench.ask(Opcode.WRITE_REGISTER, 0, address, more=b"\x60").status == Status.BAD_ARGUMENT
    assert bench.device.config_id == 0


def test_a_gain_or_register_or_converter_that_does_not_exist_is_not_written() -> None:
    bench = Bench()
    bench.hear()
    assert bench.ask(Opcode.WRITE_REGISTER, 0, 5, more=b"\x70").status == Status.BAD_ARGUMENT
    assert bench.ask(Opcode.WRITE_REGISTER, 0, 23, more=b"\0\0").status == Status.BAD_ARGUMENT
    assert bench.ask(Opcode.WRITE_REGISTER, 1, 5, more=b"\x60").status == Status.BAD_ARGUMENT


@pytest.mark.parametrize(("address", "count"), [(0, 0), (0, 25), (24, 1)])
def test_registers_that_do_not_exist_are_not_read(address: int, count: int) -> None:
    bench = Bench()
    bench.hear()
    assert bench.ask(Opcode.READ_REGISTER, 0, address, count).status == Status.BAD_ARGUMENT


# ---- statuses, cache ----


def test_an_opcode_that_nobody_knows() -> None:
    bench = Bench()
    bench.hear()
    bench.send(0x55, b"")
    (response,) = bench.hear()
    assert isinstance(response, Response)
    assert (response.opcode, response.status) == (0x55, Status.UNKNOWN_OPCODE)


@pytest.mark.parametrize("opcode", [o for o in Opcode if o != Opcode.KEEPALIVE])
def test_arguments_of_another_length_are_refused(opcode: Opcode) -> None:
    bench = Bench()
    bench.hear()
    form = COMMANDS[opcode]
    for length in (form.struct.size - 1, form.struct.size + 1):
        legal = (
            length < 0
            or (length == 0 and form.optional)
            or (form.more_arguments and length > form.struct.size)
        )
        if not legal:
            bench.send(opcode, bytes(length))
            response = bench.hear()[0]
            assert isinstance(response, Response)
            assert response.status == Status.BAD_LENGTH
    if form.more_arguments:
        bench.send(opcode, bytes(form.struct.size))
        assert bench.hear()[0].status == Status.BAD_LENGTH  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("watchdog_ms", "status"), [(0, OK), (100, OK), (3_600_000, OK), (99, 3), (3_600_001, 3)]
)
def test_watchdog_time_is_off_or_within_its_range(watchdog_ms: int, status: int) -> None:
    bench = Bench()
    bench.hear()
    assert bench.ask(Opcode.START, watchdog_ms).status == status


def test_a_repeated_request_is_answered_again_but_done_once() -> None:
    bench = Bench()
    bench.hear()
    first = bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=9)
    bench.wait(250)
    again = bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=9)
    assert (again.status, again.payload) == (first.status, first.payload) == (OK, b"\x01")
    assert bench.device.config_id == 1
    assert again.t_us - first.t_us == 250_000  # each answer tells when its own request came


def test_a_repeated_start_is_not_busy() -> None:
    bench = Bench()
    bench.hear()
    assert [bench.ask(Opcode.START, 0, request_id=5).status for _ in range(3)] == [OK, OK, OK]


@pytest.mark.parametrize(("opcode", "more"), [(Opcode.STOP, b""), (Opcode.START, u32(1000))])
def test_a_request_id_with_other_content_is_refused(opcode: Opcode, more: bytes) -> None:
    bench = Bench()
    bench.hear()
    bench.ask(Opcode.START, 0, request_id=5)
    assert bench.ask(opcode, more=more, request_id=5).status == Status.ID_REUSED
    assert bench.device.streaming
    assert bench.ask(Opcode.START, 0, request_id=5).status == OK


def test_a_request_is_forgotten_after_a_second() -> None:
    bench = Bench()
    bench.hear()
    bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=5)
    bench.wait(999)
    bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=5)
    assert bench.device.config_id == 1
    bench.wait(1)
    bench.command(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=5)
    assert bench.device.config_id == 2


def test_eight_requests_are_remembered_and_the_ninth_pushes_out_the_first() -> None:
    bench = Bench()
    bench.hear()
    for request_id in range(8):
        bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=request_id)
    bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=0)
    assert bench.device.config_id == 8
    bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=100)
    bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=1)
    assert bench.device.config_id == 9
    bench.ask(Opcode.SET_CHANNEL, 0, 12, 0, 1, request_id=0)
    assert bench.device.config_id == 10


def test_keepalive_is_neither_answered_nor_remembered() -> None:
    bench = Bench()
    bench.hear()
    for _ in range(20):
        bench.command(Opcode.KEEPALIVE, request_id=7)
    assert bench.hear() == []
    assert bench.ask(Opcode.IDENTIFY, request_id=7).status == OK


# ---- what the device hears ----


def damaged(command: Command) -> bytes:
    wire = bytearray(encode_command(command))
    wire[5] ^= 0x08
    return bytes(wire)


@pytest.mark.parametrize(
    ("heard", "n_errors"),
    [
        (damaged(Command(0, 0, 1, Opcode.IDENTIFY)), 1),
        (b"\x00half a comm\x00", 1),
        (encode(Log(0, 0, 0, 0, "what is this")), 1),
        (encode(Command(0, Flag.MUST_UNDERSTAND, 1, Opcode.IDENTIFY)), 1),
        (encode(Unknown(0, 0, 9, b"of a later time")), 0),
        (b"\x00\x00\x00", 0),
    ],
    ids=["bad crc", "noise", "not a command", "must understand", "unknown type", "delimiters"],
)
def test_what_is_no_command_is_counted_and_never_answered(heard: bytes, n_errors: int) -> None:
    bench = Bench()
    bench.hear()
    bench.device.receive(heard, bench.now_us)
    assert bench.hear() == []
    assert Heartbeat.from_counters(bench.tell(Opcode.STOP)).rx_errors == n_errors


def test_half_a_command_then_silence_does_not_harm_the_next_one() -> None:
    bench = Bench()
    bench.hear()
    half = encode_command(Command(0, 0, 1, Opcode.IDENTIFY))[:7]
    bench.device.receive(half, bench.now_us)
    bench.wait(3000)
    bench.hear()
    assert bench.ask(Opcode.IDENTIFY).status == OK


def test_a_command_may_come_byte_by_byte_and_its_time_is_that_of_the_last_one() -> None:
    bench = Bench()
    bench.hear()
    for byte in encode_command(Command(0, 0, 1, Opcode.STOP)):
        bench.wait(1)
        bench.device.receive(bytes([byte]), bench.now_us)
    response = bench.hear()[0]
    assert isinstance(response, Response)
    assert response.t_us == bench.now_us


def test_reset_counters_answers_what_they_were() -> None:
    bench = streaming(queue_bytes=300)
    bench.device.receive(b"\x00noise\x00", bench.now_us)
    bench.convert(16)
    bench.hear()
    before = Heartbeat.from_counters(bench.tell(Opcode.RESET_COUNTERS))
    assert (before.sample_index, before.dropped, before.rx_errors) == (16, 8, 1)
    after = Heartbeat.from_counters(bench.tell(Opcode.STOP))
    assert (after.sample_index, after.dropped, after.rx_errors) == (16, 0, 0)
    assert bench.device.dropped == 0


# ---- watchdog ----


def test_the_watchdog_ends_a_stream_that_nobody_feeds() -> None:
    bench = Bench()
    bench.hear()
    bench.tell(Opcode.START, 200)
    bench.convert(60)
    bench.hear()
    assert bench.device.state == DeviceState.WATCHDOG
    assert bench.device.next_sample == 50
    (event,) = bench.heard(Event)
    assert (event.source, event.code, event.value) == (EventSource.DEVICE, EventCode.WATCHDOG, 200)
    assert (event.sample_index, event.t_us) == (50, 200_000)
    assert sum(d.n_samples for d in bench.data()) == 50


@pytest.mark.parametrize("feed", [Opcode.KEEPALIVE, Opcode.IDENTIFY])
def test_any_command_feeds_the_watchdog(feed: Opcode) -> None:
    bench = Bench()
    bench.hear()
    bench.tell(Opcode.START, 200)
    for _ in range(10):
        bench.wait(199)
        bench.command(feed)
        bench.hear()
    assert bench.device.streaming
    bench.wait(200)
    bench.hear()
    assert bench.device.state == DeviceState.WATCHDOG


def test_noise_does_not_feed_the_watchdog() -> None:
    bench = Bench()
    bench.hear()
    bench.tell(Opcode.START, 200)
    bench.wait(199)
    bench.device.receive(b"\x00noise\x00", bench.now_us)
    bench.wait(1)
    bench.hear()
    assert not bench.device.streaming


def test_the_watchdog_is_five_seconds_unless_said_otherwise() -> None:
    bench = Bench()
    bench.hear()
    bench.tell(Opcode.START)
    bench.wait(4999)
    bench.hear()
    assert bench.device.streaming
    bench.wait(1)
    bench.hear()
    assert not bench.device.streaming


def test_after_the_watchdog_a_stop_leads_to_idle_and_a_start_to_a_stream() -> None:
    bench = Bench()
    bench.hear()
    bench.tell(Opcode.START, 100)
    bench.wait(100)
    bench.hear()
    assert bench.heard(Info)[-1].state == DeviceState.STREAMING
    bench.tell(Opcode.IDENTIFY)
    assert bench.heard(Info)[-1].state == DeviceState.WATCHDOG
    bench.tell(Opcode.START, 100)
    assert bench.device.streaming
    bench.wait(100)
    bench.hear()
    bench.tell(Opcode.STOP)
    assert bench.device.state == DeviceState.IDLE
    bench.wait(10_000)
    assert not any(isinstance(frame, Fault) for frame in bench.hear())
    assert len(bench.heard(Event)) == 2
