"""A board that is lost and comes back, silent boards, and which port is asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bci.acquisition import Recording
from bci.acquisition._serial import PortEntry
from bci.acquisition.board import BoardSource
from bci.acquisition.receiver import DecodedLink
from bci.acquisition.reconnect import PortFinder
from bci.chunks import Chunk
from bci.dsp.gaps import GapPolicy
from bci.errors import DeviceLostError, DeviceNotFoundError
from firmware_protocol import LeadOff
from firmware_protocol.device import ReferenceDevice
from tests.acquisition.boards import CONFIG, Bench
from tests.acquisition.test_assembler import flat

pytestmark = pytest.mark.timeout(60)


class Cable(Bench):
    """A bench whose cable can be pulled: reading and writing then fail, as does opening it."""

    def __init__(self, device: ReferenceDevice | None = None) -> None:
        super().__init__(device)
        self.out = False
        self.closed = 0

    def read(self, timeout_s: float) -> list:  # type: ignore[type-arg]
        self._fail()
        return super().read(timeout_s)

    def write(self, data: bytes) -> None:
        self._fail()
        super().write(data)

    def close(self) -> None:
        self.closed += 1
        self.attach(None)

    def _fail(self) -> None:
        if self.out:
            raise DeviceLostError("lost the connection to bench (gone)", port="bench")


def source_on(
    bench: Cable, *, names: Callable[[], list[str]] | None = None, **options: object
) -> BoardSource:
    """A source that opens the bench under whatever name it is found."""
    opened: list[str] = []

    def open_link(url: str, *, baud: int) -> DecodedLink:
        opened.append(url)
        if bench.out:
            raise DeviceNotFoundError(f"there is no port {url}", port=url)
        return DecodedLink(bench, clock_ns=bench.clock_ns)

    listed = names or (lambda: ["/dev/ttyX0"])
    source = BoardSource(
        "/dev/ttyX0",
        baud=921_600,
        ports=lambda: [PortEntry(name, "A7") for name in listed()],
        open_link=open_link,
        clock_ns=bench.clock_ns,
        **options,  # type: ignore[arg-type]
    )
    source.opened = opened  # type: ignore[attr-defined]
    return source


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def labels(chunks: list[Chunk]) -> list[str]:
    return [marker.label for chunk in chunks for marker in chunk.markers]


def test_without_reconnecting_a_lost_board_is_an_error() -> None:
    bench = Cable()
    source = source_on(bench)
    source.start()
    bench.out = True
    with pytest.raises(DeviceLostError):
        source.read(1.0)


def test_a_board_that_comes_back_under_another_name_is_configured_and_started_as_before(
    tmp_path: Path,
) -> None:
    bench = Cable()
    now = ["/dev/ttyX0"]
    source = source_on(bench, names=lambda: now, reconnect=True, record_to=tmp_path / "x.bfp")
    source.client.set_channel(2, gain=12)
    source.client.set_lead_off(LeadOff.DC)
    configured = source.info
    source.start(watchdog_ms=3000)
    bench.streams_hz = 1000
    live = [c for _ in range(20) for c in source.read(0.01)]
    bench.out = True
    now[:] = []
    lost = source.read(1.0)
    live += lost
    assert labels(lost) == ["lost"]
    assert not source.connected
    assert source.read(0.0) == []
    bench.device = ReferenceDevice(replace(CONFIG, boot_id=99))  # it had no power meanwhile
    bench.out = False
    now[:] = ["/dev/ttyX3"]
    back = [c for _ in range(40) for c in source.read(0.01)]
    live += back
    assert source.connected
    assert labels(back) == ["returned"]
    assert source.opened[-1] == "/dev/ttyX3"  # type: ignore[attr-defined]
    assert source.info == configured
    assert bench.device.lead_off == LeadOff.DC
    assert bench.device.streaming
    assert any(c.restart and c.n_samples for c in back)
    source.close()
    recording = Recording(tmp_path / "x.bfp")
    assert recording.statistics == source.statistics
    assert recording.statistics.resets == 1
    assert [gap.reason for gap in recording.gaps] == ["lost the connection to bench (gone)"]
    again = flat(list(recording))
    values = flat(live)
    assert again[1].startswith(values[1])
    assert [m.label for m in recording.markers] == ["lost", "returned"]


def test_what_a_board_went_on_converting_while_it_was_away_is_lost_and_counted() -> None:
    bench = Cable()
    source = source_on(bench, reconnect=True)
    source.start()
    bench.streams_hz = 1000
    before = [c for _ in range(10) for c in source.read(0.01)]
    bench.out = True
    source.read(0.1)
    bench.device.push_samples([[1] * 8] * 777, bench.now_ns // 1000)
    bench.device.poll(bench.now_ns // 1000)
    bench.out = False
    after = [c for _ in range(20) for c in source.read(0.01) if c.n_samples]
    assert after[0].first_sample - after[0].lost_before == before[-1].end_sample
    assert after[0].lost_before >= 777
    source.close()


def test_a_strange_board_on_the_port_is_left_alone_and_the_search_goes_on() -> None:
    bench = Cable()
    mine = bench.device
    source = source_on(bench, reconnect=True)
    source.start()
    told = source.info
    bench.out = True
    source.read(0.1)
    bench.device, bench.out = ReferenceDevice(replace(CONFIG, device_id="someone else's")), False
    assert labels([c for _ in range(5) for c in source.read(0.01)]) == []
    assert not source.connected
    assert source.info == told, "of the board that is looked for, not of the stranger"
    assert bench.closed > 1
    bench.device = mine
    assert "returned" in labels([c for _ in range(5) for c in source.read(0.01)])
    source.close()


def test_a_run_that_was_stopped_while_the_board_was_away_is_not_started_again() -> None:
    bench = Cable()
    source = source_on(bench, reconnect=True)
    source.start()
    bench.out = True
    source.read(0.1)
    source.stop()
    bench.out = False
    assert "returned" in labels([c for _ in range(5) for c in source.read(0.01)])
    assert not bench.device.streaming
    source.close()


def read_for(source: BoardSource, bench: Bench, seconds: float) -> list[Chunk]:
    until_ns = bench.now_ns + round(seconds * 1e9)
    chunks: list[Chunk] = []
    while bench.now_ns < until_ns:
        chunks += source.read(0.05)
    return chunks


def test_silence_while_streaming_is_stalled_after_300_ms_and_over_with_the_next_byte() -> None:
    bench = Cable()
    source = source_on(bench)
    source.start()
    bench.streams_hz = 1000
    read_for(source, bench, 0.2)
    bench.mute = True
    quiet_ns = bench.now_ns
    chunks: list[Chunk] = []
    while not labels(chunks):
        chunks = source.read(0.02)
    assert labels(chunks) == ["stalled"]
    assert 300e6 <= bench.now_ns - quiet_ns <= 360e6
    assert labels(read_for(source, bench, 2.0)) == [], "said once, and the port is kept"
    bench.mute = False
    assert sum(c.n_samples for c in read_for(source, bench, 0.2)) > 0
    bench.mute = True
    assert labels(read_for(source, bench, 0.5)) == ["stalled"]


def test_three_seconds_of_silence_end_the_connection() -> None:
    bench = Cable()
    source = source_on(bench)
    source.start()
    bench.mute = True
    quiet_ns = bench.now_ns
    with pytest.raises(DeviceLostError, match="silent for 3 s"):
        read_for(source, bench, 10.0)
    assert 3.0e9 <= bench.now_ns - quiet_ns <= 3.3e9


def test_an_idle_board_may_be_silent_and_so_may_one_that_nobody_listened_to() -> None:
    bench = Cable()
    source = source_on(bench)
    bench.mute = True
    assert labels(read_for(source, bench, 5.0)) == []
    bench.mute = False
    source.start()
    bench.streams_hz = 1000
    read_for(source, bench, 0.1)
    bench.now_ns += 10_000_000_000  # a program that trains a model
    assert "stalled" not in labels(source.read(0.01))


def test_a_heartbeat_alone_is_no_signal_so_silence_is_told_once() -> None:
    bench = Cable()
    source = source_on(bench)
    source.start(watchdog_ms=0)
    bench.streams_hz = 1000
    read_for(source, bench, 0.2)
    bench.streams_hz = 0
    assert labels(read_for(source, bench, 8.0)) == ["stalled"]


# ---- runs that the board ended by itself ----


def rebooted(bench: Cable) -> None:
    bench.device = ReferenceDevice(replace(CONFIG, boot_id=99))


def fell_silent(bench: Cable) -> None:
    """The computer slept: nothing is sent, and the board's watchdog ends the run."""
    bench.now_ns += 6_000_000_000


ENDINGS = pytest.mark.parametrize(
    ("end_run", "why"),
    [(rebooted, "was reset while it streamed"), (fell_silent, "heard nothing from this computer for 5 s")],
)


@ENDINGS
def test_a_run_that_the_board_ended_is_an_error_that_says_why(
    end_run: Callable[[Cable], None], why: str
) -> None:
    bench = Cable()
    source = source_on(bench)
    source.start()
    bench.streams_hz = 1000
    read_for(source, bench, 0.2)
    end_run(bench)
    with pytest.raises(DeviceLostError, match=why):
        read_for(source, bench, 4.0)
    source.stop()
    read_for(source, bench, 0.1)  # the port is whole: what was on its way can be read, and a run begun
    source.start()
    assert any(chunk.n_samples for chunk in read_for(source, bench, 0.2))


@ENDINGS
def test_a_run_that_the_board_ended_is_begun_again_where_that_is_wanted(
    end_run: Callable[[Cable], None], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Cable()
    source = source_on(bench, reconnect=True)
    source.client.set_lead_off(LeadOff.DC)
    source.start()
    bench.streams_hz = 1000
    gaps = GapPolicy(source.info.n_channels, fs_hz=source.info.fs_hz)
    chunks = read_for(source, bench, 0.2)
    end_run(bench)
    chunks += read_for(source, bench, 4.0)
    for chunk in chunks:
        gaps.process(chunk)  # numbers that begin anew are no overlap
    assert [label for label in labels(chunks) if label != "stalled"] == ["watchdog"] * (
        end_run is fell_silent
    ) + ["lost", "returned"]
    assert why in caplog.text
    assert bench.device.streaming
    assert bench.device.lead_off == LeadOff.DC
    assert chunks[-1].n_samples


# ---- which port ----


def test_an_adapter_with_a_serial_number_is_found_by_it_under_any_name() -> None:
    ports = [PortEntry("COM3", "A7"), PortEntry("COM4", "B1")]
    finder = PortFinder("COM3", lambda: ports)
    ports[:] = [PortEntry("COM3", "B1"), PortEntry("COM9", "A7")]
    assert finder.candidates() == ["COM9"]
    ports[:] = []
    assert finder.candidates() == []


def test_without_a_serial_number_all_ports_of_its_kind_are_asked_its_own_name_first() -> None:
    kind = {"vendor_id": 0x1A86, "product_id": 0x7523}
    ports = [PortEntry("COM5", "", **kind), PortEntry("COM6", "", **kind), PortEntry("COM7", "x", "", 1, 2)]
    finder = PortFinder("COM6", lambda: ports)
    assert finder.candidates() == ["COM6", "COM5"]


def test_a_socket_comes_back_under_its_own_name() -> None:
    assert PortFinder("socket://127.0.0.1:9", list).candidates() == ["socket://127.0.0.1:9"]


@pytest.mark.skipif(sys.platform == "win32", reason="device paths are POSIX")
def test_a_pseudo_terminal_that_is_gone_is_no_candidate() -> None:
    assert PortFinder("/dev/pts/99999", list).candidates() == []
