"""Ports: what opening says when it fails, draining, stamping, keepalives, hang-ups, closing."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from bci.acquisition.link import Arrival, SerialLink
from bci.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    DevicePermissionError,
    DeviceTimeoutError,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
pytestmark = pytest.mark.timeout(30)


class Ears:
    """A tap that remembers."""

    def __init__(self) -> None:
        self.heard: list[Arrival] = []
        self.said: list[bytes] = []
        self._more = threading.Condition()

    def arrived(self, data: bytes, at_ns: int) -> None:
        with self._more:
            self.heard.append(Arrival(data, at_ns))
            self._more.notify_all()

    def wait_for(self, n_bytes: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: sum(len(a.data) for a in self.heard) >= n_bytes, 20)

    def sent(self, data: bytes, at_ns: int) -> None:
        self.said.append(data)


@pytest.fixture(params=["pty", "socket"])
def far(request: pytest.FixtureRequest) -> Iterator[tuple[str, socket.socket | int]]:
    """URL of a port and what the far end is reached by."""
    if request.param == "pty":
        if sys.platform == "win32":
            pytest.skip("pseudo-terminals are POSIX")
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


def connect(far: tuple[str, socket.socket | int], **options: object) -> tuple[SerialLink, int]:
    """An open link and the descriptor of its far end."""
    url, end = far
    link = SerialLink(url, baud=921_600, **options)  # type: ignore[arg-type]
    return link, end if isinstance(end, int) else end.accept()[0].detach()


def read_until(link: SerialLink, n_bytes: int) -> list[Arrival]:
    arrivals: list[Arrival] = []
    while sum(len(a.data) for a in arrivals) < n_bytes:
        more = link.read(10.0)
        assert more, "nothing came for 10 s"
        arrivals += more
    return arrivals


@posix
def test_bytes_pass_in_both_directions_unchanged_and_stamped(far: tuple[str, socket.socket | int]) -> None:
    every_byte = bytes(range(256)) * 8
    ticks = iter(range(1000, 10**9))
    link, fd = connect(far, clock_ns=lambda: next(ticks))
    ears = Ears()
    link.attach(ears)
    os.write(fd, every_byte)
    arrivals = read_until(link, len(every_byte))
    assert b"".join(a.data for a in arrivals) == every_byte
    assert [a.at_ns for a in arrivals] == sorted({a.at_ns for a in arrivals})
    link.write(every_byte)
    got = b""
    while len(got) < len(every_byte):
        got += os.read(fd, 4096)
    assert got == every_byte
    assert ears.heard == arrivals
    assert ears.said == [every_byte]
    link.close()
    os.close(fd)


@posix
def test_a_program_that_did_not_get_to_run_is_no_port_that_takes_nothing(
    far: tuple[str, socket.socket | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, fd = connect(far)
    monkeypatch.setattr("serial.serialutil.Timeout.expired", lambda timeout: True)  # it slept past the end
    link.write(b"taken")
    assert os.read(fd, 16) == b"taken"
    monkeypatch.setattr("bci.acquisition._serial.WRITE_TIMEOUT_S", 0.01)
    with pytest.raises(DeviceTimeoutError, match="took no bytes"):
        link.write(bytes(1 << 24))  # nobody reads at the other end
    link.close()
    os.close(fd)


@posix
def test_reading_times_out_empty_and_closing_twice_is_fine(far: tuple[str, socket.socket | int]) -> None:
    link, fd = connect(far)
    assert link.read(0.01) == []
    link.close()
    link.close()
    with pytest.raises(DeviceLostError, match="closed"):
        link.read(0.0)
    with pytest.raises(DeviceLostError, match="closed"):
        link.write(b"x")
    os.close(fd)


@posix
def test_a_hang_up_hands_on_what_had_come_and_then_is_a_lost_device(
    far: tuple[str, socket.socket | int],
) -> None:
    link, fd = connect(far)
    os.write(fd, b"last words")
    assert b"".join(a.data for a in read_until(link, 10)) == b"last words"
    os.close(fd)
    for _ in range(2):
        with pytest.raises(DeviceLostError, match="check cable and power") as err:
            link.read(20.0)
        assert err.value.port == far[0]
    link.close()


@posix
def test_closing_ends_a_read_that_waits_in_another_thread(far: tuple[str, socket.socket | int]) -> None:
    link, fd = connect(far)
    outcome: list[object] = []

    def wait() -> None:
        try:
            outcome.append(link.read(60.0))
        except DeviceLostError as err:
            outcome.append(err)

    waiting = threading.Thread(target=wait)
    waiting.start()
    link.close()
    waiting.join(60)
    assert not waiting.is_alive()
    assert isinstance(outcome[0], DeviceLostError)
    os.close(fd)


@posix
def test_keepalives_leave_from_the_reader_thread_each_made_anew(
    far: tuple[str, socket.socket | int],
) -> None:
    link, fd = connect(far)
    numbers = iter(range(100))
    link.keepalive(lambda: b"%d;" % next(numbers), every_s=0.005)
    got = b""
    while got.count(b";") < 5:
        got += os.read(fd, 64)
    assert got.startswith(b"0;1;2;3;4;")
    link.keepalive(None)
    link.close()
    os.close(fd)


@posix
def test_a_slow_reader_makes_a_pseudo_terminal_wait_and_loses_nothing(
    far: tuple[str, socket.socket | int],
) -> None:
    link, fd = connect(far, max_pending_bytes=1000)
    blob = os.urandom(300_000)
    sender = threading.Thread(target=_send_all, args=(fd, blob))
    sender.start()
    assert b"".join(a.data for a in read_until(link, len(blob))) == blob
    assert link.dropped_bytes == 0
    sender.join()
    link.close()
    os.close(fd)


def _send_all(fd: int, blob: bytes) -> None:
    while blob:
        blob = blob[os.write(fd, blob[:4096]) :]


@posix
def test_of_a_real_port_the_newest_bytes_are_kept_for_control_and_all_for_the_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bci.acquisition._serial.is_pseudo_terminal", lambda url: False)
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    link = SerialLink(os.ttyname(slave), baud=115_200, max_pending_bytes=10_000)
    ears = Ears()
    link.attach(ears)
    blob = os.urandom(100_000)
    _send_all(master, blob)
    ears.wait_for(len(blob))
    kept = b"".join(a.data for a in link.read(1.0))
    assert blob.endswith(kept)
    assert 0 < len(kept) <= 10_000
    assert link.dropped_bytes == len(blob) - len(kept) > 0
    link.close()
    os.close(master)
    os.close(slave)


@posix
def test_attaching_a_recorder_begins_with_the_next_packet_for_it_and_for_control(
    far: tuple[str, socket.socket | int],
) -> None:
    link, fd = connect(far)
    early, ears = Ears(), Ears()
    link.attach(early)
    os.write(fd, b"one\0tw")
    early.wait_for(6)
    link.attach(ears)
    os.write(fd, b"o\0three\0")
    assert read_until(link, 6) == ears.heard
    assert b"".join(a.data for a in ears.heard) == b"three\0"
    link.close()
    os.close(fd)


@posix
def test_opening_and_closing_leaves_no_thread_and_no_descriptor() -> None:
    master, slave = os.openpty()
    name = os.ttyname(slave)

    def open_now() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/dev/fd").iterdir()))

    before = open_now()
    for _ in range(30):
        SerialLink(name, baud=115_200).close()
    assert open_now() == before
    os.close(master)
    os.close(slave)


# ---- what opening says when it fails ----


def failure(url: str) -> DeviceError:
    with pytest.raises(DeviceError) as err:
        SerialLink(url, baud=921_600)
    assert err.value.port == url
    return err.value


def test_a_missing_port_names_the_ports_that_are_there() -> None:
    err = failure("/dev/ttyUSB_absent" if sys.platform != "win32" else "COM250")
    assert isinstance(err, DeviceNotFoundError)
    assert "ports on this computer now" in str(err)


def test_a_directory_or_an_ordinary_file_is_named_as_such(tmp_path: Path) -> None:
    err = failure(str(tmp_path))
    assert isinstance(err, DeviceNotFoundError)
    assert "is a directory, not a serial port" in str(err)
    ordinary = tmp_path / "signal.edf"
    ordinary.write_bytes(b"0")
    assert "is an ordinary file" in str(failure(str(ordinary)))


@posix
def test_a_device_that_is_no_terminal_is_named_as_such() -> None:
    assert "not a serial port" in str(failure("/dev/null"))


def test_a_socket_where_nobody_listens_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    err = failure(f"socket://127.0.0.1:{port}")
    assert isinstance(err, DeviceNotFoundError)
    assert "nothing answers at" in str(err)


def test_a_malformed_or_unknown_url_says_what_is_expected() -> None:
    for url in ("socket://nowhere", "carrier-pigeon://loft"):
        assert "socket://HOST:PORT" in str(failure(url))


@posix
def test_a_port_that_another_program_holds_is_busy() -> None:
    master, slave = os.openpty()
    with serial.Serial(os.ttyname(slave), exclusive=True):
        err = failure(os.ttyname(slave))
    assert isinstance(err, DeviceBusyError)
    assert "in use by another program" in str(err)
    os.close(master)
    os.close(slave)


@posix
def test_a_port_without_permission_names_the_group_to_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    err = failure("/dev/ttyUSB0")
    assert isinstance(err, DevicePermissionError)
    assert "usermod -aG dialout" in str(err)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("could not open port 'COM3': FileNotFoundError(2, 'missing', None, 2)", DeviceNotFoundError),
        ("could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)", DeviceBusyError),
    ],
)
def test_what_windows_says_is_understood(
    monkeypatch: pytest.MonkeyPatch, text: str, kind: type[DeviceError]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise serial.SerialException(text)

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    assert isinstance(failure("COM3"), kind)
