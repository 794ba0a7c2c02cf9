"""Boards and recordings as sources: opening, runs, replay, loss of the board, bad input."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import BoardSource, Recording, RecordingSource, SerialLink, open_source
from bci.acquisition import source as source_module
from bci.chunks import Chunk
from bci.errors import (
    BudgetError,
    DeviceLostError,
    DeviceNotFoundError,
    DeviceTimeoutError,
    RecordingError,
)
from firmware_protocol import Command, Decoder, FrameError, LeadOff, Opcode, encode_command
from tests.acquisition.boards import CHANNELS, Bench, PortBoard, expected_uv, port_board
from tests.acquisition.test_assembler import flat

pytestmark = pytest.mark.timeout(60)
KINDS = ["socket"] if sys.platform == "win32" else ["pty", "socket"]


def on_bench(bench: Bench, **options: object) -> BoardSource:
    return BoardSource(
        bench.port,
        baud=bench.baud,
        link=bench,
        clock_ns=bench.clock_ns,
        wall_clock=lambda: datetime(2024, 2, 29, tzinfo=UTC),
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture(params=KINDS)
def board(request: pytest.FixtureRequest) -> Iterator[PortBoard]:
    with port_board(request.param) as board:
        yield board


def read_samples(source: object, n: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    while sum(chunk.n_samples for chunk in chunks) < n:
        more = source.read(20.0)  # type: ignore[attr-defined]
        assert more, "nothing came for 20 s"
        chunks += more
    return chunks


# ---- a real port ----


def test_a_board_streams_through_a_real_port_and_its_recording_gives_the_same_chunks(
    board: PortBoard, tmp_path: Path
) -> None:
    path = tmp_path / "x.bfp"
    with open_source(board.url, labels={2: "left"}, record_to=path, notes={"runs": ["R1", "R2"]}) as source:
        assert source.info.channels == CHANNELS
        live = []
        for _ in range(2):
            source.start()
            live += read_samples(source, 300)
            source.mark("pause", code=4)
            source.stop()
        before_ns = source.last_byte_ns
        live += source.read(0.0)
        assert 0 < before_ns <= source.last_byte_ns
    assert source.ended
    assert source.recording_path == path
    data = np.concatenate([c.data_uv for c in live], axis=1)
    first = next(c.first_sample for c in live if c.restart)
    assert first > 0, "what the check of the test pattern used up"
    np.testing.assert_array_equal(data, expected_uv(first, data.shape[1]))
    assert sum(c.restart for c in live) == 2

    statistics = source.statistics
    assert statistics.samples_lost == 0
    assert statistics.faults == 0
    recording = Recording(path)
    assert recording.statistics == statistics
    assert recording.notes == {"runs": ["R1", "R2"]}
    assert b"".join(recording.wire()).endswith(b"\0")
    with open_source(path) as replay:
        assert replay.info == source.info
        assert replay.labels == {2: "left"}
        again = list(replay)
        assert replay.ended
        assert replay.statistics == statistics
    n = data.shape[1]
    values = np.concatenate([c.data_uv for c in again], axis=1)
    np.testing.assert_array_equal(values[:, :n], data)
    marks = [m for c in again for m in c.markers]
    assert [m.label for m in marks] == ["pause", "pause"]
    assert marks == [m for c in live for m in c.markers]


def test_an_unplugged_board_is_lost_after_what_had_come_and_its_recording_is_readable(
    board: PortBoard, tmp_path: Path
) -> None:
    path = tmp_path / "x.bfp"
    chunks: list[Chunk] = []
    with open_source(board.url, record_to=path) as source:
        source.start()
        chunks += read_samples(source, 200)
        board.unplug()
        with pytest.raises(DeviceLostError) as err:
            chunks.extend(source)
        assert err.value.port == board.url
    data = np.concatenate([c.data_uv for c in chunks], axis=1)
    np.testing.assert_array_equal(data, expected_uv(chunks[0].first_sample, data.shape[1]))
    recording = Recording(path)
    assert recording.statistics.samples == data.shape[1]
    assert recording.statistics.samples_lost == 0


def test_a_board_left_streaming_is_stopped_and_its_old_samples_are_not_ours(
    board: PortBoard, tmp_path: Path
) -> None:
    with open_source(board.url) as first:
        first.start(watchdog_ms=0)  # type: ignore[call-arg]
        read_samples(first, 50)
        first.client._link.close()  # type: ignore[attr-defined]  # a program that died
    if board.url.startswith("socket"):
        return  # this test's socket board serves one host
    path = tmp_path / "x.bfp"
    with open_source(board.url, record_to=path) as second:
        second.start()
        chunks = read_samples(second, 50)
    assert chunks[0].restart
    assert chunks[0].lost_before == 0
    assert Recording(path).statistics.faults == 0
    replayed = [c for c in Recording(path) if c.n_samples]
    assert replayed[0].first_sample == chunks[0].first_sample
    assert replayed[0].restart


def test_a_busy_program_keeps_the_board_running() -> None:
    """Keepalives leave a fifth of the watchdog's time apart, although nobody reads."""
    with port_board(KINDS[0]) as board, open_source(board.url) as source:
        source.start(watchdog_ms=5000)  # type: ignore[call-arg]
        heard: list[bytes] = []
        receive = board.device.receive
        board.device.receive = lambda data, now_us: (heard.append(data), receive(data, now_us))  # type: ignore[method-assign, func-returns-value]
        until = time.monotonic() + 60.0
        while len(heard) < 3:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert board.device.streaming
        chunks = read_samples(source, 1200)
        assert not [m for c in chunks for m in c.markers if m.label == "watchdog"]


def test_opening_and_closing_many_times_leaves_nothing_behind() -> None:
    if sys.platform == "win32":
        pytest.skip("counts descriptors of POSIX")
    with port_board("pty") as board:

        def open_now() -> tuple[int, int]:
            return threading.active_count(), len(list(Path("/dev/fd").iterdir()))

        open_source(board.url).close()
        before = open_now()
        for _ in range(10):
            open_source(board.url).close()
        assert open_now() == before


def test_a_port_on_which_nobody_answers_is_closed_again(tmp_path: Path) -> None:
    with port_board(KINDS[0], silent=True) as board:
        n_threads = threading.active_count()
        with pytest.raises(DeviceTimeoutError, match="the answer to IDENTIFY did not come"):
            open_source(board.url, record_to=tmp_path / "x.bfp")
        assert threading.active_count() == n_threads
    assert not (tmp_path / "x.bfp").exists()


# ---- in simulated time ----


def test_reading_waits_for_samples_and_times_out_empty() -> None:
    bench = Bench()
    source = on_bench(bench)
    before_ns = bench.now_ns
    assert source.read(2.5) == []  # heartbeats come, samples do not
    assert 2.5e9 <= bench.now_ns - before_ns < 2.6e9
    source.start()
    bench.streams_hz = 1000
    first = bench.device.next_sample
    (chunk,) = source.read(1.0)
    assert (chunk.first_sample, chunk.restart, chunk.lost_before) == (first, True, 0)


def test_the_stream_that_the_link_cannot_carry_is_refused_and_the_source_stays_usable() -> None:
    source = on_bench(Bench(baud=19_200))
    assert not source.pattern_checked
    with pytest.raises(BudgetError, match="What would fit"):
        source.start()
    assert source.client.set_channel(None, gain=12)
    source.close()


def test_closing_stops_the_board_and_twice_is_fine() -> None:
    bench = Bench()
    source = on_bench(bench)
    source.start()
    source.close()
    source.close()
    assert not bench.device.streaming
    assert source.ended
    with pytest.raises(DeviceLostError, match="closed"):
        source.read(1.0)
    assert list(source) == []


def test_samples_read_by_nobody_before_closing_are_not_lost_ones() -> None:
    bench = Bench()
    source = on_bench(bench)
    first = bench.device.next_sample
    source.start()
    bench.streams_hz = 1000
    source.read(1.0)
    bench.device.push_samples(np.zeros((50, 8), dtype=int), bench.now_ns // 1000)
    source.stop()
    source.close()
    assert source.statistics.samples == bench.device.next_sample - first
    assert source.statistics.samples_lost == 0


def test_what_the_board_dropped_last_is_its_own_loss_once_it_has_stopped() -> None:
    """Between its last HEARTBEAT and STOP it says of no loss whose it was; behind its last sample it does."""
    bench = Bench()
    source = on_bench(bench)
    source.start()
    bench.streams_hz = 1000
    source.read(1.0)
    bench.room = 700  # the answer goes ahead of what is queued
    bench.device.push_samples(np.zeros((5000, 8), dtype=int), bench.now_ns // 1000)
    source.stop()
    statistics = source.statistics
    assert statistics.samples_lost == bench.device.dropped > 500
    assert statistics.samples_lost_device == statistics.samples_lost
    after_ns = bench.now_ns
    source.stop()
    assert bench.now_ns - after_ns < 50e6, "idle already: nothing to wait for"


def test_a_changed_gain_shows_in_the_info_and_not_in_the_signal() -> None:
    bench = Bench()
    source = on_bench(bench)
    before = source.info.uv_per_count
    source.client.set_channel(None, gain=12)
    assert source.info.uv_per_count == tuple(2 * scale for scale in before)


def test_a_mark_is_at_the_next_sample_and_comes_out_once() -> None:
    bench = Bench()
    source = on_bench(bench)
    source.mark("eyes closed", code=3)
    (chunk,) = source.read(1.0)
    assert chunk.n_samples == 0
    assert [(m.label, m.sample_index, m.code, m.source) for m in chunk.markers] == [
        ("eyes closed", bench.device.next_sample, 3, "host")
    ]
    assert source.read(0.0) == []


def test_a_mark_that_does_not_fit_is_refused_and_the_recording_goes_on(tmp_path: Path) -> None:
    source = on_bench(Bench(), record_to=tmp_path / "x.bfp")
    with pytest.raises(FrameError):
        source.mark("too much", code=70_000)
    source.mark("fits", code=65_535)
    source.close()
    assert source.recording_error is None
    assert [m.label for m in Recording(tmp_path / "x.bfp").markers] == ["fits"]


def test_the_recording_holds_the_commands_of_the_host(tmp_path: Path) -> None:
    bench = Bench()
    source = on_bench(bench, record_to=tmp_path / "x.bfp")
    source.start()
    source.close()
    from firmware_protocol import Sent, Splitter

    sent = [p.data for p in Splitter().feed((tmp_path / "x.bfp").read_bytes()) if isinstance(p, Sent)]
    opcodes = [c.opcode for c in Decoder().feed(b"".join(sent)) if isinstance(c, Command)]
    opcodes = [opcode for opcode in opcodes if opcode != Opcode.READ_REGISTER]  # probes of the clock
    assert opcodes == [Opcode.IDENTIFY, Opcode.STOP, Opcode.START, Opcode.STOP]


def test_live_and_replayed_chunks_agree_through_faults_on_the_line(tmp_path: Path) -> None:
    bench = Bench()
    source = on_bench(bench, labels={2: "left"}, record_to=tmp_path / "x.bfp")
    first = bench.device.next_sample
    source.start()
    live: list[Chunk] = []
    bench.streams_hz = 1000
    rng = np.random.default_rng(5)
    for k in range(400):
        if k % 37 == 5:
            bench.noise = rng.bytes(int(rng.integers(1, 900)))
        if k % 50 == 20:
            bench.mute = True
            bench.read(0.0)
            bench.mute = False
        if k % 90 == 80:
            bench.device.event(1, 2, now_us=bench.now_ns // 1000)
        live += source.read(0.0)
    source.close()
    recording = Recording(tmp_path / "x.bfp")
    again = list(recording)
    values, whole = flat(live), flat(again)
    assert whole[1].startswith(values[1])
    assert values[0][:-2] == whole[0][: len(values[0]) - 2]  # the last stretch and the markers go on
    assert recording.statistics == source.statistics
    assert source.statistics.samples_lost > 0
    assert source.statistics.samples + source.statistics.samples_lost == bench.device.next_sample - first


def test_commands_while_streaming_cost_no_sample(board: PortBoard) -> None:
    with open_source(board.url) as source:
        source.start()
        chunks = read_samples(source, 50)
        for k in range(12):
            source.client.read_registers(0)  # type: ignore[attr-defined]
            source.client.set_lead_off(LeadOff.DC if k % 2 else LeadOff.OFF)  # type: ignore[attr-defined]
            chunks += source.read(0.01)
        chunks += read_samples(source, 50)
        assert [c.lost_before for c in chunks] == [0] * len(chunks)
        assert source.statistics.samples_lost == 0
        data = np.concatenate([c.data_uv for c in chunks], axis=1)
        np.testing.assert_array_equal(data, expected_uv(chunks[0].first_sample, data.shape[1]))


def test_a_port_drained_by_a_python_thread_gives_the_same(board: PortBoard, tmp_path: Path) -> None:
    """What Windows and pyserial's rarer URLs use."""
    source = BoardSource(
        board.url, baud=921_600, link=SerialLink(board.url, baud=921_600), record_to=tmp_path / "x.bfp"
    )
    with source:
        source.start()
        chunks = read_samples(source, 400)
        data = np.concatenate([c.data_uv for c in chunks], axis=1)
        np.testing.assert_array_equal(data, expected_uv(chunks[0].first_sample, data.shape[1]))
        assert source.clock.known
        board.unplug()
        with pytest.raises(DeviceLostError):
            list(source)
    assert Recording(tmp_path / "x.bfp").statistics == source.statistics


# ---- replay ----


def recorded(path: Path) -> tuple[int, list[Chunk]]:
    """A recording of two runs with cues, and the chunks that were live."""
    bench = Bench()
    source = on_bench(bench, labels={2: "left"}, record_to=path)
    live: list[Chunk] = []
    for _ in range(2):
        source.start()
        bench.streams_hz = 1000
        for k in range(60):
            if k % 20 == 7:
                bench.device.event(1, 2, now_us=bench.now_ns // 1000)
            live += source.read(0.0)
        bench.streams_hz = 0
        source.stop()
    source.close()
    return source.statistics.samples, live


@pytest.mark.parametrize("speed", [0.0, 1.0, 7.5])
def test_a_replay_of_any_pace_holds_the_same_samples_and_markers(tmp_path: Path, speed: float) -> None:
    n_samples, _ = recorded(tmp_path / "x.bfp")
    now_ns = 10**12

    def sleep(seconds: float) -> None:
        nonlocal now_ns
        now_ns += max(round(seconds * 1e9), 1)

    with RecordingSource(tmp_path / "x.bfp", speed=speed, clock_ns=lambda: now_ns, sleep=sleep) as source:
        source.start()
        played = list(source)
        assert source.ended
    assert flat(played) == flat(list(Recording(tmp_path / "x.bfp")))
    took_s = (now_ns - 10**12) / 1e9
    assert took_s == pytest.approx(n_samples / 250 / speed if speed else 0.0, abs=0.01)
    if speed:
        assert max(c.n_samples for c in played) <= 0.02 * speed * 250 + 4
        assert 10**12 < source.last_byte_ns <= now_ns


def test_a_paced_replay_keeps_to_its_time_out(tmp_path: Path) -> None:
    recorded(tmp_path / "x.bfp")
    now_ns = 0

    def sleep(seconds: float) -> None:
        nonlocal now_ns
        now_ns += round(seconds * 1e9)

    source = RecordingSource(tmp_path / "x.bfp", speed=0.01, clock_ns=lambda: now_ns, sleep=sleep)
    assert source.read(0.5) == []
    assert now_ns == 500_000_000
    source.close()
    assert source.ended
    assert source.read(1.0) == []
    with pytest.raises(ValueError, match="speed is 0"):
        RecordingSource(tmp_path / "x.bfp", speed=-1.0)


# ---- what open_source chooses ----


def test_a_recording_is_opened_as_such_whatever_its_name(tmp_path: Path) -> None:
    source = on_bench(Bench(), labels={1: "rest"}, record_to=tmp_path / "x.bfp")
    source.close()
    (tmp_path / "renamed.dat").write_bytes((tmp_path / "x.bfp").read_bytes())
    with open_source(tmp_path / "renamed.dat", labels={1: "other"}) as replay:
        assert replay.labels == {1: "other"}
        replay.start()
        assert replay.read(1.0) == []
        assert replay.ended
        replay.stop()
        with pytest.raises(ValueError, match="is a recording"):
            replay.mark("x")
    with pytest.raises(RecordingError, match="is a file, not a board's port"):
        open_source(tmp_path / "x.bfp", record_to=tmp_path / "y.bfp")


def test_bad_input_names_what_came_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFoundError, match="is a directory"):
        open_source(tmp_path)
    with pytest.raises(RecordingError, match="there is no file"):
        open_source(tmp_path / "missing.bfp")
    (tmp_path / "x.edf").write_bytes(b"0       " * 100)
    with pytest.raises(RecordingError, match="bci import"):
        open_source(tmp_path / "x.edf")
    with pytest.raises(DeviceNotFoundError, match="no source is registered for ftp"):
        open_source("ftp://somewhere")
    bench = Bench()
    (tmp_path / "there.bfp").write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        on_bench(bench, record_to=tmp_path / "there.bfp")


def test_another_package_may_register_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def factory(url: str, **options: object) -> str:
        seen.update(options, url=url)
        return "a source"

    monkeypatch.setattr(sys.modules[__name__], "made_by", factory, raising=False)
    entry = EntryPoint("moon", f"{__name__}:made_by", "bci.sources")
    monkeypatch.setattr(source_module, "entry_points", lambda **wanted: [entry])
    assert open_source("moon://base", labels={1: "a"}) == "a source"
    assert seen["url"] == "moon://base"
    assert seen["labels"] == {1: "a"}


def test_commands_of_a_stranger_do_not_confuse_the_dialogue() -> None:
    bench = Bench()
    source = on_bench(bench)
    bench.device.receive(encode_command(Command(0, 0, 1, Opcode.IDENTIFY)), bench.now_ns // 1000)
    assert source.client.identify().signal.channels == CHANNELS
