"""The firmware's sources compiled for this computer, under sanitizers, with a clock of their own."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bci.selftest._firmware import HostBoard
from firmware_protocol import Command, Decoder, DeviceConfig, Info, ReferenceDevice, Response, encode_command
from firmware_protocol.codes import DeviceState, Opcode, Status
from firmware_protocol.conform import Plan, conform
from firmware_protocol.conform.host import Host
from firmware_protocol.frames import Data, Heartbeat
from tests.firmware.conftest import needs_cc
from tests.firmware.streaming import OF_A_SLOW_LINE, ask, at_another_baud, clean, stream

pytestmark = [pytest.mark.firmware, needs_cc]


def test_conformance_suite_finds_nothing_in_any_step(host_board: Path) -> None:
    """Nothing shortened but the long stream."""
    with HostBoard(host_board) as board:
        result = conform(board, Plan(baud=921_600, soak_s=60.0, seed=3))
    clean(result, skipped={"responses-first", "reboot"})


def test_conformance_suite_finds_nothing_on_a_slow_line(slow_host_board: Path) -> None:
    """Here INFO waits long enough to see that RESPONSEs pass it."""
    with HostBoard(slow_host_board) as board:
        result = conform(board, Plan(baud=115_200, soak_s=10.0, quick=True, seed=4))
    clean(result, skipped={"watchdog-default", "reboot"}, provoked=OF_A_SLOW_LINE)


@pytest.mark.nightly
def test_conformance_suite_finds_nothing_in_ten_minutes(host_board: Path) -> None:
    with HostBoard(host_board) as board:
        clean(conform(board, Plan(baud=921_600, seed=5)), skipped={"responses-first", "reboot"})


@pytest.mark.parametrize(("rate_hz", "drops"), [(250, False), (1000, True), (4000, True), (16_000, True)])
def test_account_is_exact_within_and_above_what_the_line_carries(
    slow_host_board: Path, rate_hz: int, drops: bool
) -> None:
    with HostBoard(slow_host_board) as board:
        told = stream(board, 5.0, baud=115_200, rate_hz=rate_hz)
    assert told.made == told.received + told.dropped
    assert told.damage == 0
    assert abs(told.made - 5 * rate_hz) <= 0.02 * 5 * rate_hz
    assert bool(told.dropped) == drops
    assert told.received >= 0.9 * min(rate_hz, 330) * 5  # the line is full, not idle
    assert told.heartbeats >= 4


@pytest.mark.parametrize("seed", range(4))
def test_interrupts_that_come_late_drop_and_count_what_they_missed(host_board: Path, seed: int) -> None:
    rng = random.Random(seed)
    missed = 0.0

    with HostBoard(host_board) as board:

        def starve(tenth: int) -> None:
            nonlocal missed
            if rng.random() < 0.3:
                seconds = rng.choice([0.0005, 0.003, 0.02, 0.3, 2.0])
                missed += seconds
                board.stall(seconds)

        told = stream(board, 6.0, rate_hz=1000, meddle=starve)
    assert told.made == told.received + told.dropped
    assert told.damage == 0
    assert told.dropped <= 1000 * missed + 10
    assert told.dropped >= 900 * missed - 50


def test_overrun_at_the_end_of_a_stream_shows_in_the_next_one(slow_host_board: Path) -> None:
    """b0 of what was dropped last is kept over STOP and START; no DATA comes before its INFO."""
    with HostBoard(slow_host_board) as board:
        host = Host(board, Plan(baud=115_200, seed=1))
        ask(host, Opcode.SET_RATE, 4000, 1)
        ask(host, Opcode.START, 0)
        host.listen(0.5)
        ask(host, Opcode.STOP)
        host.drain(0.5)
        ask(host, Opcode.SET_RATE, 250, 1)
        host.drain(0.3)
        host.heard.clear()
        ask(host, Opcode.START, 0)
        host.listen(0.3)
    kinds = [type(heard.frame) for heard in host.heard]
    first = next(heard.frame for heard in host.heard if isinstance(heard.frame, Data))
    assert first.flags == 0b11
    assert Info in kinds[: kinds.index(Data)]


def test_eight_responses_wait_ahead_of_everything(slow_host_board: Path) -> None:
    """Nine commands at once, with a full queue: the answers of eight come, before any DATA that waited."""
    with HostBoard(slow_host_board) as board:
        host = Host(board, Plan(baud=115_200, seed=1))
        ask(host, Opcode.SET_RATE, 4000, 1)
        ask(host, Opcode.START, 0)
        host.listen(1.0)
        host.heard.clear()
        exchanges = host.send_all([host.command(Opcode.READ_REGISTER, 0, 0, 24) for _ in range(8)])
        host.listen(0.3)
        assert all(exchange.answers for exchange in exchanges)
        frames = [heard.frame for heard in host.heard]
        answers = [k for k, frame in enumerate(frames) if isinstance(frame, Response)]
        between = [k for k in range(answers[0], answers[-1]) if isinstance(frames[k], Data)]
        assert len(between) <= 8  # those that were in the UART when each command came


def test_lead_off_bits_follow_the_electrodes_while_there_is_excitation(host_board: Path) -> None:
    with HostBoard(host_board) as board:
        board.electrodes_off(0b0000_0101, 0b1000_0000)
        host = Host(board, Plan(baud=921_600, seed=1))
        words = []
        for mode in (0, 1, 0):
            ask(host, Opcode.LEAD_OFF, mode)
            ask(host, Opcode.START, 0)
            host.heard.clear()
            host.listen(0.1)
            ask(host, Opcode.STOP)
            words.append({frame.payload[k : k + 3].hex() for frame in host.of(Data) for k in (0, 27)})
    assert words == [{"c00000"}, {"c05800"}, {"c00000"}]


REFERENCE = DeviceConfig(
    labels=("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"),
    device_id="BFP example board",
    firmware="1.0",
    boot_id=7,
)
# registers whose values the two may have apart
_OWN = {0, 3, *range(0x05, 0x0D), 0x11, 0x14, 0x15, 0x16, 0x17}


def random_command(rng: random.Random, number: int) -> Command:
    opcode = rng.choice([*(int(op) for op in Opcode), *(int(op) for op in Opcode), 0x0D, 0xFF])
    sizes = {2: 4, 5: 8, 6: 4, 7: 1, 8: 2, 9: 1, 10: 3, 11: rng.randrange(3, 8)}
    size = sizes.get(opcode, 0) if rng.random() < 0.9 else rng.randrange(117)
    payload = bytes(rng.choice([0, 1, 2, 3, 4, 5, 6, 12, 24, rng.randrange(256)]) for _ in range(size))
    if opcode == Opcode.SET_RATE and size == 8 and rng.random() < 0.7:
        payload = (250 << rng.randrange(8)).to_bytes(4, "little") + b"\x01\0\0\0"
    if opcode == Opcode.SET_CHANNEL and size == 4 and rng.random() < 0.5:
        payload = bytes([rng.choice([0, 7, 8, 255]), rng.choice([1, 6, 24]), rng.randrange(8), 1])
    request_id = number if rng.random() < 0.9 else rng.randrange(max(0, number - 9), number + 1)
    return Command(number, 0, request_id & 0xFFFF, opcode, payload)


@pytest.mark.parametrize("seed", range(6))
def test_firmware_answers_commands_as_the_reference_device_does(host_board: Path, seed: int) -> None:
    """Status, and what INFO says afterwards, for random commands, right, wrong and repeated."""
    rng = random.Random(seed)
    device = ReferenceDevice(REFERENCE)
    theirs, ours = Decoder(), Decoder()
    with HostBoard(host_board, boot_id=7) as board:
        for number in range(300):
            wire = encode_command(random_command(rng, number))
            board.write(wire)
            device.receive(wire, board._now_us)
            got = [f for f in ours.feed(board.run(0.05)) if isinstance(f, Response | Info)]
            expected = [f for f in theirs.feed(device.poll(board._now_us)) if isinstance(f, Response | Info)]
            assert _responses(got) == _responses(expected), (number, wire.hex())
            if (infos := _infos(got)) and (wanted := _infos(expected)):
                assert infos[-1] == wanted[-1], (number, wire.hex())


def _responses(frames: list[Response | Info]) -> list[tuple[int, ...]]:
    return [(f.request_id, f.opcode, f.status, len(f.payload)) for f in frames if isinstance(f, Response)]


def _infos(frames: list[Response | Info]) -> list[tuple[object, ...]]:
    return [
        (f.device_id, f.firmware, f.boot_id, f.state, f.rate_num, f.config_id, f.labels, f.uv_per_count, f.lead_off)
        for f in frames
        if isinstance(f, Info)
    ]  # fmt: skip


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9, 1.1, 2.0, 4.0])
def test_bytes_at_another_baud_are_counted_and_never_answered(host_board: Path, ratio: float) -> None:
    wire = b"".join(encode_command(Command(k, 0, k, Opcode.START, b"")) for k in range(20))
    with HostBoard(host_board) as board:
        host = Host(board, Plan(baud=921_600, seed=1))
        before = Heartbeat.from_counters(ask(host, Opcode.RESET_COUNTERS))
        host.heard.clear()
        host.write(at_another_baud(wire, 921_600, round(921_600 * ratio)))
        host.listen(0.5)
        assert not host.of(Response)
        after = Heartbeat.from_counters(ask(host, Opcode.STOP))
    assert after.rx_errors > 0
    assert (after.boot_id, after.sample_index) == (before.boot_id, before.sample_index)


def test_the_resampler_at_the_right_baud_changes_nothing() -> None:
    wire = bytes(range(256))
    assert at_another_baud(wire, 9600, 9600) == wire


def test_a_host_that_falls_silent_ends_the_stream_and_finds_the_board_again(host_board: Path) -> None:
    with HostBoard(host_board) as board:
        host = Host(board, Plan(baud=921_600, seed=1))
        boot_id = Heartbeat.from_counters(ask(host, Opcode.STOP)).boot_id
        ask(host, Opcode.START, 2000)
        host.listen(10.0)
        assert ask(host, Opcode.IDENTIFY).payload[4] == DeviceState.WATCHDOG
        assert host.ask(Opcode.START, 99).status == Status.BAD_ARGUMENT
        ask(host, Opcode.START, 2000)
        assert Heartbeat.from_counters(ask(host, Opcode.STOP)).boot_id == boot_id
