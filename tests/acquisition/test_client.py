"""The command dialogue against the reference device, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import count
from typing import Any

import pytest

from bci.acquisition.client import BoardClient
from bci.acquisition.receiver import DecodedLink
from bci.errors import (
    BudgetError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UnsupportedDeviceError,
)
from firmware_protocol import (
    Command,
    Data,
    Decoder,
    DeviceState,
    Fault,
    Frame,
    LeadOff,
    Log,
    Opcode,
    Pattern,
    TestSignal,
    encode,
    seal,
)
from firmware_protocol.device import ReferenceDevice
from tests.acquisition.boards import CHANNELS, CONFIG, Bench


def dialogue(bench: Bench | None = None, **options: Any) -> tuple[BoardClient, Bench]:
    bench = bench or Bench()
    return BoardClient(DecodedLink(bench, clock_ns=bench.clock_ns), clock_ns=bench.clock_ns, **options), bench


def commands(bench: Bench) -> list[Command]:
    return [c for c in Decoder().feed(b"".join(bench.sent)) if isinstance(c, Command)]


def test_identify_gives_the_boards_description_of_its_signal() -> None:
    client, _ = dialogue()
    configuration = client.identify()
    assert configuration.signal.channels == CHANNELS
    assert configuration.signal.rate == 250
    assert configuration.signal.device == "BFP reference device 1.0"
    assert configuration.samples_per_frame == 4
    assert client.configuration == configuration


def test_a_board_of_64_channels_is_identified_by_all_its_pages() -> None:
    labels = tuple(f"E{k}" for k in range(64))
    client, _ = dialogue(Bench(ReferenceDevice(replace(CONFIG, labels=labels, samples_per_frame=1))))
    assert client.identify().signal.channels == labels


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_command_is_repeated_with_the_same_request_id_after_250_ms(lost: int) -> None:
    client, bench = dialogue()
    bench.deaf = lost
    client.identify()
    assert len({c.request_id for c in commands(bench)}) == 1
    assert len(bench.sent) == lost + 1
    assert lost * 0.25 <= bench.now_ns / 1e9 < lost * 0.25 + 0.1


def test_a_repeated_start_begins_the_stream_once() -> None:
    client, bench = dialogue()
    client.identify()
    bench.mute = True
    with pytest.raises(DeviceTimeoutError):
        client.request(Opcode.START, 0)
    bench.mute = False
    assert bench.device.state == DeviceState.STREAMING
    assert [c.opcode for c in commands(bench)] == [Opcode.IDENTIFY] + 3 * [Opcode.START]


def test_request_ids_begin_at_random_and_wrap() -> None:
    starts = set()
    for _ in range(8):
        client, bench = dialogue()
        client.identify()
        starts.add(commands(bench)[0].request_id)
    assert len(starts) > 1
    client, bench = dialogue(first_request_id=0xFFFF)
    client.identify()
    client.stop()
    assert [c.request_id for c in commands(bench)] == [0xFFFF, 0]


def test_silence_is_a_time_out_that_asks_for_power_and_cable() -> None:
    client, bench = dialogue()
    bench.mute = True
    with pytest.raises(DeviceTimeoutError, match="nothing came: is the board on") as err:
        client.identify()
    assert err.value.port == "bench"
    assert bench.now_ns == pytest.approx(0.75e9, rel=0.02)


def test_an_answer_that_came_while_this_program_did_not_get_to_run_is_heard() -> None:
    bench, asked = Bench(), count()
    link = DecodedLink(bench, clock_ns=bench.clock_ns)
    client = BoardClient(link, clock_ns=lambda: bench.clock_ns() + next(asked) * 10**9)
    client.identify()
    assert len(bench.sent) == 1


def test_garbage_is_shown_with_its_first_bytes() -> None:
    client, bench = dialogue()
    bench.silent = True
    bench.noise = b"\xa0\x17 hello there, I am a modem\r\n"
    with pytest.raises(DeviceTimeoutError, match=r"a0 17 20 68 65 .*not 921600 baud"):
        client.identify()


def test_a_board_that_streams_but_does_not_hear_is_told_from_garbage() -> None:
    client, bench = dialogue()
    bench.deaf = 3
    with pytest.raises(DeviceTimeoutError, match="whole frames came, but no answer"):
        client.identify()


def test_an_unknown_protocol_version_is_unsupported_at_once() -> None:
    client, bench = dialogue()
    bench.silent = True
    bench.noise = seal(b"\x23\x00\x00\x00future")
    with pytest.raises(UnsupportedDeviceError, match=r"version 2.*knows version 1"):
        client.identify()
    assert bench.now_ns < 0.4e9


def test_start_sets_the_watchdog_and_probes_five_times_as_often() -> None:
    client, bench = dialogue()
    client.identify()
    assert client.start() == 0
    assert commands(bench)[-1].payload == (5000).to_bytes(4, "little")
    assert bench.keepalive_s == 1.0
    client.stop()
    assert bench.keepalive_s == 0
    client.start(watchdog_ms=500)
    assert bench.keepalive_s == 0.1
    client.stop()
    client.start(watchdog_ms=0)
    assert bench.keepalive_s == 1.0, "the clock is probed all the same"


def test_starting_twice_is_refused_as_busy() -> None:
    client, _ = dialogue()
    client.start()
    with pytest.raises(DeviceRefusedError, match=r"BUSY .it streams; stop it first") as err:
        client.start()
    assert err.value.status == "BUSY"


def test_what_the_link_cannot_carry_is_refused_before_anything_is_sent() -> None:
    client, bench = dialogue(Bench(baud=9600))
    client.identify()
    n_sent = len(bench.sent)
    with pytest.raises(BudgetError, match=r"9600 baud.*would fit") as err:
        client.start()
    assert err.value.port == "bench"
    assert len(bench.sent) == n_sent


def test_frames_that_arrive_during_a_dialogue_are_kept_in_order() -> None:
    events: list[Frame | Fault] = []
    client, bench = dialogue(deliver=lambda received: events.extend(received.batch.unpack()))
    client.identify()
    client.start()
    bench.streams_hz = 1000
    for _ in range(20):
        client.read_registers(0)
    client.poll(0.0)
    data = [e for e in events if isinstance(e, Data)]
    assert [d.sample_index for d in data] == list(range(0, 4 * len(data), 4))
    assert len(data) > 3
    assert client.last_data_ns > 0
    seqs = [e.link_seq for e in events if not isinstance(e, Fault)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_settings_reach_the_board_and_a_new_scale_comes_back() -> None:
    client, bench = dialogue()
    before = client.identify()
    assert client.set_rate(500).signal.rate == 500
    assert client.set_channel(2, gain=12).signal.uv_per_count[2] == 2 * before.signal.uv_per_count[2]
    assert client.set_channel(None, gain=6, mux=1).signal.uv_per_count == tuple(
        4 * scale for scale in before.signal.uv_per_count
    )
    client.set_lead_off(LeadOff.DC)
    assert bench.device.lead_off == LeadOff.DC
    client.set_test_signal(TestSignal.SLOW, amplitude=2)
    client.set_test_pattern(Pattern.RAMP)
    assert client.read_registers(0, 2) == bytes([0x3E, 0x95])
    client.write_registers(0x14, b"\x0a")
    assert client.read_registers(0x14) == b"\x0a"
    assert client.reset_counters().rx_errors == 0


def test_a_rate_the_converter_does_not_have_is_refused_with_its_reason() -> None:
    client, _ = dialogue()
    with pytest.raises(DeviceRefusedError, match=r"BAD_ARGUMENT .its converter has no such setting"):
        client.set_rate(Fraction(1, 3))


def test_an_argument_that_does_not_fit_its_field_is_a_value_error() -> None:
    client, bench = dialogue()
    with pytest.raises(ValueError, match="SET_CHANNEL does not take"):
        client.set_channel(300, gain=24)
    assert bench.sent == []


def test_the_rate_cannot_change_while_the_board_streams() -> None:
    client, _ = dialogue()
    client.start()
    with pytest.raises(DeviceRefusedError, match="BUSY"):
        client.set_rate(500)


def test_stop_returns_the_counters_after_all_queued_data() -> None:
    client, bench = dialogue()
    client.start()
    bench.streams_hz = 1000
    client.poll(0.0)
    counters = client.stop()
    assert counters.sample_index == bench.device.next_sample
    assert counters.dropped == 0


def test_text_of_the_board_is_handed_on_like_any_frame() -> None:
    heard: list[Frame | Fault] = []
    client, bench = dialogue(deliver=lambda received: heard.extend(received.batch.unpack()))
    bench.noise = encode(Log(0, 0, 0, 1, "hello"))
    assert client.poll(0.0)
    assert any(isinstance(e, Log) and e.text == "hello" for e in heard)


def test_every_answered_command_probes_the_boards_clock_even_if_it_was_repeated() -> None:
    probes: list[tuple[int, int, int]] = []
    client, bench = dialogue(probed=lambda *times: probes.append(times))
    bench.now_ns = 7_000_000_000
    bench.deaf = 1
    client.identify()
    ((sent_ns, device_us, received_ns),) = probes
    assert sent_ns == 7_000_000_000, "of the first try: the board cannot have heard it before that"
    assert sent_ns <= device_us * 1000 <= received_ns == bench.now_ns


def test_a_common_reference_is_set_in_every_converter() -> None:
    labels = tuple(f"E{k}" for k in range(16))
    client, _ = dialogue(Bench(ReferenceDevice(replace(CONFIG, labels=labels))))
    for common, bit in ((True, 0x20), (False, 0)):
        assert client.set_reference(common=common).signal.channels == labels
        assert [client.read_registers(0x15, converter=k)[0] & 0x20 for k in range(2)] == [bit, bit]


def test_settings_can_be_made_again_on_a_board_that_has_forgotten_them() -> None:
    client, _ = dialogue()
    client.set_rate(500)
    client.set_channel(None, gain=12)
    client.set_channel(3, gain=6)
    client.set_channel(3, gain=8)
    client.set_lead_off(LeadOff.DC)
    client.write_registers(0x14, b"\x0a")
    configured = client.configuration
    again, fresh = dialogue()
    again.restore(client.settings)
    assert configured is not None
    assert again.configuration is not None
    assert again.configuration.signal == configured.signal
    assert fresh.device.lead_off == LeadOff.DC
    assert again.read_registers(0x14) == b"\x0a"
    assert again.settings == client.settings
