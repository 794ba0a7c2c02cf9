"""The reader kernel on real descriptors: decoding, stamping, keeping alive, overruns, hang-ups, closing."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition.receiver import DecodedLink, Received, Receiver, open_receiver
from bci.errors import DeviceLostError
from firmware_protocol import Command, Decoder, Fault, Frame, Opcode, encode_command
from tests.acquisition.boards import CONFIG, stream
from tests.acquisition.test_assembler import started

if sys.platform == "win32":
    pytest.skip("the kernel reads POSIX descriptors", allow_module_level=True)

from bci.acquisition.kernel_link import KernelLink

pytestmark = pytest.mark.timeout(60)
DELIMITER = b"\0"


class Ears:
    """A tap that remembers."""

    def __init__(self) -> None:
        self.wire = b""
        self.times: list[int] = []
        self.said: list[tuple[bytes, int]] = []
        self.gaps: list[str] = []
        self._more = threading.Condition()

    def arrived(self, data: bytes, at_ns: int) -> None:
        with self._more:
            self.wire += data
            self.times.append(at_ns)
            self._more.notify_all()

    def sent(self, data: bytes, at_ns: int) -> None:
        self.said.append((data, at_ns))

    def gap(self, reason: str, at_ns: int) -> None:
        self.gaps.append(reason)

    def wait_for(self, n_bytes: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.wire) >= n_bytes, 20)


@pytest.fixture(params=["pty", "socket"])
def far(request: pytest.FixtureRequest) -> Iterator[tuple[str, socket.socket | int]]:
    """URL of a port and what the far end is reached by."""
    if request.param == "pty":
        import tty

        master, slave = os.openpty()
        tty.setraw(slave)
        yield os.ttyname(slave), master
        for fd in (master, slave):
            with contextlib.suppress(OSError):
                os.close(fd)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}", listener
        listener.close()


def connect(far: tuple[str, socket.socket | int], **options: int) -> tuple[KernelLink, int]:
    """An open link and the descriptor of its far end."""
    url, end = far
    link = KernelLink(url, baud=921_600, **options)
    return link, end if isinstance(end, int) else end.accept()[0].detach()


def recorded(n_samples: int, *, has_status: bool = True) -> bytes:
    """Wire of a device that was started, without what comes before its first DATA."""
    device, wire = started(replace(CONFIG, has_status=has_status))
    return wire + stream(device, n_samples, events={3: 1})


def events_of(received: Sequence[Received]) -> list[Frame | Fault]:
    return [event for part in received for event in part.batch.unpack()]


def read_events(link: Receiver, n: int) -> list[Frame | Fault]:
    events: list[Frame | Fault] = []
    while len(events) < n:
        more = events_of(link.receive(10.0))
        assert more, "nothing came for 10 s"
        events += more
    return events


def send_all(fd: int, blob: bytes, *, step: int = 4096) -> None:
    while blob:
        blob = blob[os.write(fd, blob[:step]) :]


def test_what_comes_is_decoded_in_order_and_stamped_and_what_is_written_arrives(
    far: tuple[str, socket.socket | int],
) -> None:
    wire = recorded(200)
    expected = Decoder().feed(wire)
    link, fd = connect(far)
    before_ns = time.monotonic_ns()
    os.write(fd, wire[:1000])
    os.write(fd, wire[1000:])
    received: list[Received] = []
    events: list[Frame | Fault] = []
    stamps: list[int] = []
    while len(events) < len(expected):
        received = link.receive(10.0)
        events += events_of(received)
        stamps += [int(ns) for part in received for ns in part.arrived_ns]
    assert events == expected
    assert len(stamps) == len(events)
    assert stamps == sorted(stamps)
    assert before_ns < stamps[0] <= stamps[-1] <= time.monotonic_ns()
    assert link.bytes_read == len(wire)
    every_byte = bytes(range(256)) * 8
    link.write(every_byte)
    got = b""
    while len(got) < len(every_byte):
        got += os.read(fd, 4096)
    assert got == every_byte
    link.close()
    os.close(fd)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_wire_in_any_cut_gives_the_events_of_the_reference_decoder(seed: int) -> None:
    import tty

    rng = np.random.default_rng(seed)
    wire = bytearray(recorded(400, has_status=bool(seed % 2)))
    for at in rng.integers(0, len(wire), 40):
        wire[at] = int(rng.integers(256))
    wire += rng.bytes(3000) + b"\x01\0" * 500 + b"\x55" * 2000 + DELIMITER + bytes(recorded(20))
    expected = Decoder().feed(bytes(wire))
    master, slave = os.openpty()
    tty.setraw(slave)
    link = KernelLink(os.ttyname(slave), baud=921_600)
    events: list[Frame | Fault] = []
    at = 0
    while at < len(wire):
        size = int(rng.integers(1, 1500))
        os.write(master, wire[at : at + size])
        at += size
        events += events_of(link.receive(0.001))
    events += read_events(link, len(expected) - len(events)) if len(events) < len(expected) else []
    assert events == expected
    link.close()
    os.close(master)
    os.close(slave)


def test_nothing_comes_within_the_time_out_and_closing_twice_is_fine(
    far: tuple[str, socket.socket | int],
) -> None:
    link, fd = connect(far)
    assert link.receive(0.01) == []
    os.write(fd, b"\x07 half a packet")
    while not link.pending:
        assert link.receive(0.01) == []
    assert link.pending == b"\x07 half a packet"
    link.close()
    link.close()
    with pytest.raises(DeviceLostError, match="closed"):
        link.receive(0.0)
    with pytest.raises(DeviceLostError, match="closed"):
        link.write(b"x")
    os.close(fd)


def test_a_hang_up_hands_on_what_had_come_and_then_is_a_lost_device_at_once(
    far: tuple[str, socket.socket | int],
) -> None:
    wire = recorded(12)
    link, fd = connect(far)
    os.write(fd, wire)
    assert read_events(link, 1)
    os.close(fd)
    with pytest.raises(DeviceLostError, match="check cable and power") as err:
        read_events(link, 1000)
    assert err.value.port == far[0]
    with pytest.raises(DeviceLostError):
        link.receive(20.0)
    link.close()


def test_packets_that_keep_a_board_alive_leave_in_turn_although_nobody_reads(
    far: tuple[str, socket.socket | int],
) -> None:
    link, fd = connect(far)
    ears = Ears()
    link.attach(ears)
    packets = [encode_command(Command(k, 0, k, Opcode.KEEPALIVE)) for k in range(3)]
    assert not any(link.sent_alive())
    link.keep_alive(packets, every_s=0.004)
    got = b""
    while got.count(DELIMITER) < 14:  # one before and one behind each
        got += os.read(fd, 4096)
    heard = [c.request_id for c in Decoder().feed(got) if isinstance(c, Command)]
    assert heard == [k % 3 for k in range(len(heard))]
    assert all(link.sent_alive())
    link.keep_alive(())
    link.close()
    times = [at_ns for _, at_ns in ears.said]
    assert {data for data, _ in ears.said} == set(packets)
    assert times == sorted(times)
    os.close(fd)


def test_a_slow_reader_makes_the_far_side_wait_and_loses_nothing(
    far: tuple[str, socket.socket | int],
) -> None:
    wire = recorded(8000) + b"\x01\0" * 3000 + recorded(40)
    expected = Decoder().feed(wire)
    link, fd = connect(far, bank_bytes=8000, kept_bytes=5000)
    ears = Ears()
    link.attach(ears)
    sender = threading.Thread(target=send_all, args=(fd, wire))
    sender.start()
    assert read_events(link, len(expected)) == expected
    ears.wait_for(len(wire))
    assert ears.wire == wire
    assert link.bytes_skipped == 0
    assert not ears.gaps
    sender.join()
    link.close()
    os.close(fd)


def test_of_a_real_port_the_newest_is_kept_for_control_and_all_for_the_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bci.acquisition._serial.is_pseudo_terminal", lambda url: False)
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    wire = recorded(6000)
    link = KernelLink(os.ttyname(slave), baud=115_200, bank_bytes=20_000)
    ears = Ears()
    link.attach(ears)
    send_all(master, wire)
    ears.wait_for(len(wire))
    events = events_of(link.receive(1.0))
    expected = Decoder().feed(wire)
    assert ears.wire == wire
    assert events == expected[-len(events) :]
    kept = len(wire) - events[0].offset
    assert 20_000 <= kept <= 40_000
    assert link.bytes_skipped == events[0].offset
    link.close()
    os.close(master)
    os.close(slave)


def test_wire_that_the_recorder_did_not_take_in_time_is_a_gap_that_tells_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bci.acquisition._serial.is_pseudo_terminal", lambda url: False)
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    wire = recorded(2000)
    link = KernelLink(os.ttyname(slave), baud=115_200, kept_bytes=4096)
    held, ears = threading.Event(), Ears()
    first = threading.Event()
    arrived = ears.arrived

    def slow(data: bytes, at_ns: int) -> None:
        arrived(data, at_ns)
        first.set()
        held.wait(60)

    ears.arrived = slow  # type: ignore[method-assign]
    link.attach(ears)
    send_all(master, wire[:100])
    assert first.wait(60)
    send_all(master, wire[100:])
    while link.bytes_read < len(wire):
        link.receive(0.01)
    send_all(master, b"end\0")
    held.set()
    while not ears.gaps:
        send_all(master, b"end\0")
        link.receive(0.01)
    missed = int(ears.gaps[0].split()[0])
    assert 0 < missed < len(wire)
    link.close()
    os.close(master)
    os.close(slave)


def test_attaching_a_recorder_begins_with_the_next_packet_for_it_and_for_control(
    far: tuple[str, socket.socket | int],
) -> None:
    packets = [part + DELIMITER for part in recorded(20).split(DELIMITER) if part]
    link, fd = connect(far)
    early, ears = Ears(), Ears()
    link.attach(early)
    os.write(fd, packets[0] + packets[1][:5])
    early.wait_for(len(packets[0]) + 5)
    link.attach(ears)
    os.write(fd, packets[1][5:] + packets[2])
    (event,) = read_events(link, 1)
    assert event == Decoder().feed(packets[2])[0]
    ears.wait_for(len(packets[2]))
    assert ears.wire == packets[2]
    assert link.bytes_read == len(packets[2])
    link.close()
    os.close(fd)


def test_opening_and_closing_leaves_no_thread_and_no_descriptor() -> None:
    master, slave = os.openpty()
    name = os.ttyname(slave)

    def open_now() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/dev/fd").iterdir()))

    KernelLink(name, baud=115_200).close()
    before = open_now()
    for _ in range(20):
        link = KernelLink(name, baud=115_200)
        link.attach(Ears())
        link.close()
    assert open_now() == before
    os.close(master)
    os.close(slave)


def test_a_link_that_was_forgotten_ends_its_thread_and_gives_the_port_back() -> None:
    master, slave = os.openpty()
    KernelLink(os.ttyname(slave), baud=115_200).close()
    before = threading.active_count(), len(list(Path("/dev/fd").iterdir()))
    link = KernelLink(os.ttyname(slave), baud=115_200)
    assert threading.active_count() == before[0] + 1
    del link
    gc.collect()
    assert (threading.active_count(), len(list(Path("/dev/fd").iterdir()))) == before
    os.close(master)
    os.close(slave)


def test_without_compiled_code_a_python_thread_drains_the_port(
    far: tuple[str, socket.socket | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = open_receiver(far[0], baud=921_600)
    assert isinstance(link, KernelLink)
    link.close()
    if isinstance(far[1], socket.socket):
        far[1].accept()[0].close()
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)
    plain = open_receiver(far[0], baud=921_600)
    assert isinstance(plain, DecodedLink)
    fd = far[1] if isinstance(far[1], int) else far[1].accept()[0].detach()
    os.write(fd, recorded(8))
    assert read_events(plain, 3)
    plain.close()
    os.close(fd)
