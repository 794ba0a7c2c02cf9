"""A Cyton as a source: rows, losses and rounds of its counter told by time, recorded and read back bit for bit."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.acquisition import Recording, SimulatedBoard, open_source, recover
from bci.acquisition.cyton import CytonAssembler, CytonDevice, CytonSource
from bci.acquisition.cyton.wire import CytonDecoder, CytonFrame, uv_per_count
from bci.acquisition.simulator import Synthetic
from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise
from bci.chunks import Chunk
from bci.errors import DeviceRefusedError, DeviceTimeoutError, MontageMismatchError
from tests.acquisition.board_bench import Bench, Ramp
from tests.acquisition.cyton_bench import CytonBench, counts, frames

FRAME_NS = 4_000_000
EIGHT = ("C3", "C4", "Cz", "O1", "O2", "Fz", "F3", "F4")


def joined(chunks: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.data_uv for chunk in chunks if chunk.n_samples], axis=1)


def uv(first: int, n: int, n_channels: int = 8) -> np.ndarray:
    return counts(first, n, n_channels).T * uv_per_count(24)


def fed(arrivals: list[tuple[bytes, int]], *, daisy: bool = False) -> tuple[list[Chunk], CytonAssembler]:
    assembler = CytonAssembler(daisy=daisy)
    assembler.begin()
    chunks = [chunk for data, at_ns in arrivals for chunk in assembler.feed(data, at_ns)]
    return chunks + assembler.end(), assembler


def on_time(
    numbers: range | list[int], *, rate_error: float = 0.0, jitter_ns: int = 0
) -> list[tuple[bytes, int]]:
    """Frames at the board's pace, each late by up to `jitter_ns`."""
    rng = np.random.default_rng(2)
    period = FRAME_NS / (1 + rate_error)
    return [
        (frames(1, first=k)[0], 10**9 + round(k * period) + int(rng.integers(jitter_ns + 1))) for k in numbers
    ]


# ---- rounds of the counter ----


@pytest.mark.parametrize("n_lost", [1, 100, 255, 256, 257, 511, 1000, 2560, 5000])
@pytest.mark.parametrize("rate_error", [0.0, 0.025, -0.025])
def test_frames_lost_in_a_row_are_counted_however_often_the_counter_went_round(
    n_lost: int, rate_error: float
) -> None:
    numbers = [*range(1500), *range(1500 + n_lost, 3000 + n_lost)]
    chunks, assembler = fed(on_time(numbers, rate_error=rate_error, jitter_ns=16_000_000))
    assert assembler.statistics.samples_lost == n_lost
    assert [chunk.lost_before for chunk in chunks if chunk.lost_before] == [n_lost]
    np.testing.assert_array_equal(joined(chunks), np.hstack([uv(0, 1500), uv(1500 + n_lost, 1500)]))
    gap = next(chunk for chunk in chunks if chunk.lost_before)
    assert gap.first_sample == 1500 + n_lost


@pytest.mark.parametrize("stall_s", [0.4, 0.9, 1.1, 2.0, 5.0])
def test_a_stall_that_lost_nothing_is_no_loss(stall_s: float) -> None:
    """A busy computer or USB hands over late, and all at once, what came meanwhile."""
    begin, end = 10**9 + 1000 * FRAME_NS, 10**9 + 1000 * FRAME_NS + round(stall_s * 1e9)
    late = [(data, end if begin <= at < end else at) for data, at in on_time(range(3000))]
    chunks, assembler = fed(late)
    assert assembler.statistics.samples_lost == 0
    np.testing.assert_array_equal(joined(chunks), uv(0, 3000))


@pytest.mark.parametrize("n_lost", [200, 600, 601])
def test_a_buffer_that_overflowed_in_a_stall_lost_what_lies_at_its_end(n_lost: int) -> None:
    """The computer looks away for 3 s: a full buffer hands over its first 100 frames late, the rest is gone."""
    resumed = 10**9 + (1100 + n_lost) * FRAME_NS
    late = [(data, max(at_ns, resumed)) for data, at_ns in on_time(range(1000, 1100))]
    arrivals = [*on_time(range(1000)), *late, *on_time(range(1100 + n_lost, 2500))]
    chunks, assembler = fed(arrivals)
    assert assembler.statistics.samples_lost == n_lost
    gap = next(chunk for chunk in chunks if chunk.lost_before)
    assert (gap.first_sample, gap.lost_before) == (1100 + n_lost, n_lost)


def test_a_gap_is_told_at_once_or_within_a_third_of_a_second() -> None:
    assembler = CytonAssembler(daisy=False)
    assembler.begin()
    told_ns = 0
    for data, at_ns in on_time([*range(1000), *range(1600, 2000)]):
        if any(chunk.lost_before for chunk in assembler.feed(data, at_ns)):
            told_ns = at_ns - (10**9 + 1600 * FRAME_NS)
            break
    assert 0 < told_ns <= 330_000_000


def test_runs_begin_anew_and_sample_numbers_go_on() -> None:
    assembler = CytonAssembler(daisy=False)
    chunks = []
    for run in range(2):
        chunks += assembler.begin()
        for data, at_ns in on_time(range(40)):
            chunks += assembler.feed(data, run * 10**10 + at_ns)
    chunks += assembler.end()
    assert [chunk.first_sample for chunk in chunks if chunk.restart] == [0, 40]
    assert assembler.statistics.samples == 80
    assert assembler.statistics.samples_lost == 0


# ---- Daisy ----


def test_a_row_of_sixteen_is_an_even_frame_and_the_odd_one_behind_it() -> None:
    chunks, assembler = fed(on_time(range(40)), daisy=True)
    rows = counts(0, 40).reshape(20, 2, 8)
    np.testing.assert_array_equal(joined(chunks)[:8].T, rows[:, 1] * uv_per_count(24))
    np.testing.assert_array_equal(joined(chunks)[8:].T, rows[:, 0] * uv_per_count(24))
    assert assembler.info.fs_hz == 125
    assert assembler.info.n_channels == 16


@pytest.mark.parametrize("n_lost", [1, 2, 3, 256, 257])
@pytest.mark.parametrize("at", [700, 701])
def test_halves_of_two_instants_are_never_joined(n_lost: int, at: int) -> None:
    numbers = [*range(at), *range(at + n_lost, 1400 + n_lost)]
    chunks, assembler = fed(on_time(numbers), daisy=True)
    there = set(numbers)
    whole = [row for row in range((1400 + n_lost) // 2) if {2 * row, 2 * row + 1} <= there]
    expected = np.array([np.r_[counts(2 * r + 1, 1)[0], counts(2 * r, 1)[0]] for r in whole])
    np.testing.assert_array_equal(joined(chunks).T, expected * uv_per_count(24))
    numbered = [chunk.first_sample + k for chunk in chunks for k in range(chunk.n_samples)]
    assert numbered == whole
    assert assembler.statistics.samples_lost == whole[-1] + 1 - len(whole)


def test_names_must_fit_the_board() -> None:
    with pytest.raises(ValueError, match="2 names for 8 channels"):
        CytonAssembler(daisy=False, channels=("C3", "C4"))


# ---- the source, on a bench ----


def opened(bench: CytonBench, **options: Any) -> CytonSource:
    return CytonSource("cyton://bench", link=bench, clock_ns=bench.clock_ns, **options)  # type: ignore[arg-type]


def streamed(source: CytonSource, n: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    while sum(chunk.n_samples for chunk in chunks) < n:
        chunks += source.read(0.5)
    return chunks


@pytest.mark.parametrize("n_channels", [8, 16])
def test_a_recording_of_a_cyton_gives_its_chunks_bit_for_bit(tmp_path: Path, n_channels: int) -> None:
    bench, path = CytonBench(n_channels), tmp_path / "x.bfp"
    bench.lost = {*range(300, 310), *range(600, 900), 1200}
    with opened(bench, record_to=path, notes={"who": "nobody"}, labels={1: "rest"}) as source:
        live = []
        for run in range(2):
            source.start()
            live += streamed(source, 700)
            source.mark(f"end {run}", code=run)
            source.stop()
            live += source.read(0)
            source.set_channel(2, gain=12)
        info, statistics = source.info, source.statistics
    recording = Recording(path)
    played = list(recording)
    np.testing.assert_array_equal(joined(played), joined(live))
    assert [(c.first_sample, c.lost_before, c.restart) for c in played if c.lost_before or c.restart] == [
        (c.first_sample, c.lost_before, c.restart) for c in live if c.lost_before or c.restart
    ]
    assert recording.statistics == statistics
    assert recording.info.channels == info.channels
    assert [m.label for m in recording.markers] == ["end 0", "end 1"]
    assert recording.notes == {"who": "nobody"}
    assert recording.labels == {1: "rest"}
    first_of_second_run = next(c for c in live[1:] if c.restart).first_sample
    assert first_of_second_run > 0
    with open_source(path) as replayed:
        np.testing.assert_array_equal(joined([chunk for chunk in replayed if chunk.n_samples]), joined(live))
    assert recover(path.read_bytes()).was_whole
    assert recording.duration_s == pytest.approx((statistics.samples + statistics.samples_lost) / info.fs_hz)


def test_a_gain_that_was_set_scales_what_comes_after_it(tmp_path: Path) -> None:
    bench = CytonBench()
    with opened(bench) as source:
        source.set_channel(0, gain=1)
        source.start()
        chunks = streamed(source, 20)
        first = bench.device.next_sample - 0
    assert source.info.uv_per_count[:2] == (uv_per_count(1), uv_per_count(24))
    np.testing.assert_allclose(joined(chunks)[0], counts(0, joined(chunks).shape[1])[:, 0] * uv_per_count(1))
    assert first


def test_a_cyton_left_streaming_is_stopped_and_its_old_frames_are_not_ours() -> None:
    bench = CytonBench()
    bench.write(b"b")
    bench.read(1.0)
    with opened(bench) as source:
        assert not bench.device.streaming
        source.start()
        first = streamed(source, 10)[0]
        assert first.restart
        assert first.first_sample == 0


def test_electrodes_may_be_named_in_the_url() -> None:
    names = ("C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2")
    bench = CytonBench()
    url = f"cyton://bench?channels={','.join(names)}"
    with CytonSource(url, link=bench, clock_ns=bench.clock_ns) as source:  # type: ignore[arg-type]
        assert source.info.channels == names
    with pytest.raises(MontageMismatchError, match="1 names for 8 channels"):
        CytonSource("cyton://bench?channels=C3", link=CytonBench(), clock_ns=bench.clock_ns)  # type: ignore[arg-type]


def test_commands_are_refused_while_it_streams() -> None:
    with opened(CytonBench()) as source:
        source.start()
        with pytest.raises(DeviceRefusedError, match="stop it first"):
            source.set_channel(0, gain=6)
        source.stop()
        source.set_lead_off(3, positive=True)
        with pytest.raises(ValueError, match="a gain of"):
            source.set_channel(0, gain=5)
        assert "CH1SET, 05, 68" in source.registers()


def test_a_port_without_a_cyton_says_what_to_look_at() -> None:
    bench = CytonBench()
    bench.mute = True
    with pytest.raises(DeviceTimeoutError, match="switched to PC"):
        opened(bench)


class Laconic(CytonBench):
    """An emulator that answers `v` only, streams two fifths slower than a board, and knows no other command."""

    def write(self, data: bytes) -> None:
        if data == b"v":
            self._waiting += b"OpenBCI Emulator $$$"
        elif data in (b"b", b"s"):
            super().write(data)

    def _convert(self) -> None:
        super()._convert()
        self._due_ns += 1_600_000 * (self._due_ns > self.now_ns and not self.held and bool(self._waiting))


def test_an_emulator_of_few_words_and_another_rate_is_understood() -> None:
    """As BrainFlow's own emulator of a Cyton is: about 180 frames a second, no description, no settings."""
    bench = Laconic()
    with opened(bench) as source:
        source.start()
        chunks = streamed(source, 1000)
        assert source.statistics.samples_lost == 0
        assert source.info.n_channels == 8
    np.testing.assert_array_equal(joined(chunks)[:, :1000], uv(0, joined(chunks).shape[1])[:, :1000])
    assert bench.now_ns - 10**9 > 1.2 * 1000 * FRAME_NS


# ---- the device ----


def test_a_client_of_another_library_hears_what_it_expects() -> None:
    """What BrainFlow 5.23 said to this device when it streamed from it, and what it took for right."""
    device = CytonDevice(8)
    heard = []
    for command in (b"v", b"d", b"x1050110X", b"d", b"b"):
        device.receive(command, 0)
        heard.append(device.poll(0))
    assert heard[0].endswith(b"$$$")
    assert b"On Board ADS1299 Device ID: 0x3E" in heard[0]
    assert heard[1:4] == [
        b"updating channel settings to default$$$",
        b"Success: Channel set for 1$$$",
        b"updating channel settings to default$$$",
    ]
    assert heard[4] == b""
    device.push_samples(counts(0, 3), 0)
    assert device.poll(0, None) == b"".join(
        frame[:26] + (b"\0\0\0\0\x1f\x40" if k == 0 else bytes(6)) + b"\xc0"
        for k, frame in enumerate(frames(3))
    )


def test_a_daisy_sends_means_of_two_conversions_in_turn() -> None:
    device = CytonDevice(16)
    device.receive(b"b", 0)
    x = np.arange(16 * 4).reshape(4, 16) * 10 - 300
    device.push_samples(x, 0)
    wire = device.poll(0, None)
    got = [
        [int.from_bytes(wire[33 * f + k : 33 * f + k + 3], signed=True) for k in range(2, 26, 3)]
        for f in range(4)
    ]
    halves = [slice(8, 16), slice(0, 8), slice(8, 16), slice(0, 8)]
    expected = [np.trunc((x[max(k - 1, 0), h] + x[k, h]) / 2) for k, h in enumerate(halves)]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"D", b"060110$$$"),
        (b"~~", b"Success: Sample rate is 250Hz$$$"),
        (b"~6", b"Success: Sample rate is 250Hz$$$"),
        (b"z810Z", b"Success: Lead off set for 8$$$"),
        (b"x1X", b"Failure: too few chars$$$"),
        (b"C", b"no daisy to attach!8$$$"),
        (b"?", b"Board ADS Registers\nADS_ID, 00, 3E, 0, 0, 1, 1, 1, 1, 1, 0\n"),
    ],
)
def test_commands_are_answered_as_the_firmware_does(sent: bytes, answer: bytes) -> None:
    device = CytonDevice(8)
    device.receive(sent, 0)
    reply = device.poll(0, None)
    assert reply.startswith(answer)
    assert reply.endswith(b"$$$")


def test_channels_are_switched_off_by_their_keys_and_a_daisy_by_c() -> None:
    device = CytonDevice(16)
    device.receive(b"2wcb", 0)
    device.receive(b"s@b", 0)
    device.poll(0, None)
    device.push_samples(counts(0, 1, 16), 0)
    assert device.uv_per_count[0] == uv_per_count(24)
    assert not device.daisy


def test_a_cyton_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="8 channels, with Daisy 16"):
        CytonDevice(4)


# ---- over a real port ----


def test_a_simulated_cyton_streams_through_a_port_of_its_own_process(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    with (
        SimulatedBoard(Synthetic(montage=EIGHT), dialect="cyton", truth_path=truth) as board,
        open_source(f"cyton://{board.port}", record_to=tmp_path / "x.bfp") as source,
    ):
        source.start()
        chunks: list[Chunk] = []
        for strikes in (True, True, True, False):
            end = sum(c.n_samples for c in chunks) + 30
            while sum(c.n_samples for c in chunks) < end:
                chunks += source.read(1.0)
            if strikes:
                board.fault("lose")
        source.stop()
        chunks += source.read(0)
        assert source.info.device == "OpenBCI Cyton v3.1.2"
        lost = source.statistics.samples_lost
    np.testing.assert_array_equal(joined(list(Recording(tmp_path / "x.bfp"))), joined(chunks))
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    dropped = sum(entry.get("dropped", 0) for entry in told)  # where this program was kept from reading
    assert lost == sum(chunk.lost_before for chunk in chunks)
    assert sum(entry.get("fault") == "lose" for entry in told) == 3
    assert 2 <= lost <= 3 + dropped  # a byte beside its equal leaves nothing missing but itself
    for before, after in itertools.pairwise(chunk for chunk in chunks if chunk.n_samples):
        assert before.end_sample + after.lost_before == after.first_sample


# ---- the simulated board in this dialect, on a bench ----


def cyton_board(**config: Any) -> Bench:
    bench = Bench(Ramp(n_samples=100_000), dialect="cyton", **config)
    bench.wire.said += b"v"
    bench.run(0.5)
    bench.wire.got.clear()
    bench.arrivals.clear()
    bench.wire.said += b"b"
    return bench


def test_a_simulated_cyton_is_paced_at_its_line_and_gives_the_exact_samples() -> None:
    bench = cyton_board()
    begin_ns = bench.now_ns
    bench.run(4.0)
    wire = bytes(bench.wire.got)
    assert len(wire) // 33 == pytest.approx(1000, abs=3)
    for at_ns, n_bytes in bench.arrivals:
        frames_there = -(-n_bytes // 33)
        assert at_ns - begin_ns >= frames_there * FRAME_NS + 33 * 10e9 / 115_200 - 1e6
    chunks, _ = fed([(wire, 0)])
    expected = quantise(Ramp(n_samples=100_000).read(0, 0, joined(chunks).shape[1])) * UV_PER_COUNT
    np.testing.assert_allclose(joined(chunks), expected)


def test_a_cyton_whose_port_is_full_drops_whole_frames_and_counts_them() -> None:
    bench = cyton_board()
    bench.run(1.0)
    bench.wire.room = 10
    bench.run(3.0)
    bench.wire.room = float("inf")
    bench.run(2.0)
    dropped = sum(entry["dropped"] for entry in bench.truth if "dropped" in entry)
    assert dropped > 500
    events = CytonDecoder().feed(bytes(bench.wire.got))
    numbers = [event.counter for event in events if isinstance(event, CytonFrame)]
    assert len(numbers) == len(events)
    steps = [(b - a) % 256 for a, b in itertools.pairwise(numbers)]
    assert sum(step - 1 for step in steps) == dropped % 256
    assert max(steps) > 1


def test_a_byte_lost_on_the_line_of_a_simulated_cyton_costs_one_row() -> None:
    bench = cyton_board()
    bench.board.fault("lose", {"at_byte": bench.board._uart.faults.byte + 33 * 400 + 17})
    bench.run(4.0)
    (entry,) = [entry for entry in bench.truth if entry.get("fault") == "lose"]
    assert entry["became"] == ""
    chunks, assembler = fed([(bytes(bench.wire.got), 0)])
    assert assembler.statistics.samples_lost == 1
    (gap,) = [chunk for chunk in chunks if chunk.lost_before]
    assert gap.first_sample == 401
