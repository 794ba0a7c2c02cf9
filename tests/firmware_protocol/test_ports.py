"""Ports: what comes and goes, and what a person reads when one does not open."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_protocol import ports
from firmware_protocol.errors import PortError, PortLostError, ProtocolError
from firmware_protocol.ports import open_port, port_names

needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """The device's end of a pseudo-terminal, and the name of the host's."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    yield master, name
    for descriptor in (master, slave):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def repeat(act: Callable[[], object]) -> None:
    """What has to fail at the latest at the third time."""
    for _ in range(3):
        act()


@needs_pty
def test_bytes_go_both_ways_over_a_pseudo_terminal(pty: tuple[int, str]) -> None:
    master, name = pty
    with open_port(name, baud=921_600) as port:
        assert port.read(0.01) == b""
        os.write(master, b"\x11\x13\r\n\x00\xff")  # none of them means anything to a raw port
        assert port.read(1.0) == b"\x11\x13\r\n\x00\xff"
        port.write(b"\x00abc\n\x00" * 30)
        heard = b""
        while len(heard) < 180:  # one read may give a part of it
            heard += os.read(master, 4096)
        assert heard == b"\x00abc\n\x00" * 30


@needs_pty
def test_a_read_of_no_time_gives_what_is_here(pty: tuple[int, str]) -> None:
    master, name = pty
    with open_port(name, baud=115_200) as port:
        assert port.read(0) == b""
        os.write(master, b"x")
        assert port.read(0.5) == b"x"
        assert port.read(-1) == b""


@needs_pty
def test_closing_twice_is_fine(pty: tuple[int, str]) -> None:
    port = open_port(pty[1], baud=115_200)
    port.close()
    port.close()
    with pytest.raises(PortLostError):
        port.read(0)


@needs_pty
def test_a_port_in_use_says_so(pty: tuple[int, str]) -> None:
    with open_port(pty[1], baud=115_200), pytest.raises(PortError, match=r"in use by another program.*lsof"):
        open_port(pty[1], baud=115_200)


@needs_pty
@pytest.mark.skipif(sys.platform != "linux", reason="who has a port open, only Linux tells")
def test_a_port_in_use_says_by_whom(pty: tuple[int, str]) -> None:
    hold = (
        "import sys; from firmware_protocol.ports import open_port; "
        "port = open_port(sys.argv[1], baud=9600); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, pty[1]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(PortError, match=f"in use by process {other.pid}; end that program"):
            open_port(pty[1], baud=115_200)
        other.communicate()


@needs_pty
def test_a_device_that_vanishes_is_told_from_one_that_is_silent(pty: tuple[int, str]) -> None:
    master, name = pty
    with open_port(name, baud=115_200) as port:
        os.close(os.open(name, os.O_RDWR | os.O_NOCTTY))  # another end that comes and goes is nothing
        assert port.read(0) == b""
        os.close(master)
        with pytest.raises(PortLostError, match="check cable and power") as caught:
            repeat(lambda: port.read(0.1))
        assert caught.value.port == name
        with pytest.raises(PortLostError):
            repeat(lambda: port.write(b"x"))


@needs_pty
def test_a_device_that_takes_nothing_any_more_is_lost(
    pty: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_WRITE_TIMEOUT_S", 0.05)
    with open_port(pty[1], baud=115_200) as port, pytest.raises(PortLostError, match="took no bytes"):
        port.write(bytes(1 << 17))


def test_a_socket_is_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with open_port(url, baud=1) as port:
            peer, _ = server.accept()
            peer.sendall(b"hello")
            assert port.read(1.0) == b"hello"
            port.write(b"there")
            assert peer.recv(10) == b"there"
            peer.close()
            with pytest.raises(PortLostError):
                repeat(lambda: port.read(0.5))


def test_ports_that_select_cannot_wait_on_are_read_all_the_same() -> None:
    with open_port("loop://", baud=115_200) as port:  # pyserial's own, which has no descriptor
        assert port.read(0.03) == b""
        port.write(b"abc")
        assert port.read(0.5) == b"abc"


# ---- what is no port -----------------------------------------------------------------------------------------------


def test_a_missing_port_lists_those_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "port_names", lambda: ["/dev/ttyUSB7", "/dev/ttyACM0"])
    with pytest.raises(PortError, match=r"no port /dev/nothing.*ttyUSB7, /dev/ttyACM0.*cable in"):
        open_port("/dev/nothing", baud=115_200)


def test_a_file_and_a_directory_are_no_ports(tmp_path: Path) -> None:
    file = tmp_path / "capture.bin"
    file.write_bytes(b"x")
    with pytest.raises(PortError, match=r"is a file.*frame-validator check"):
        open_port(str(file), baud=115_200)
    with pytest.raises(PortError, match="is a directory"):
        open_port(str(tmp_path), baud=115_200)


@pytest.mark.skipif(sys.platform != "linux", reason="whose terminal it is, only Linux tells")
def test_somebodys_window_is_no_port_even_under_the_name_a_board_had(pty: tuple[int, str]) -> None:
    import termios

    master, name = pty
    # The first terminal that a session's leader opens is its own.
    work = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR); os.write(fd, b'here'); os.read(fd, 1)"
    somebody = subprocess.Popen([sys.executable, "-c", work, name], start_new_session=True)
    try:
        assert os.read(master, 64) == b"here"
        before = termios.tcgetattr(master)
        with pytest.raises(PortError, match=f"{name} is the terminal of process {somebody.pid}"):
            open_port(name, baud=115_200)
        assert termios.tcgetattr(master) == before
    finally:
        somebody.kill()
        somebody.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="a path of POSIX")
def test_a_device_that_is_no_terminal_is_no_port() -> None:
    with pytest.raises(PortError, match="not a serial port"):
        open_port("/dev/null", baud=115_200)


def test_a_socket_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(PortError, match=r"nothing answers.*does the device run there"):
        open_port(f"socket://127.0.0.1:{number}", baud=115_200)


@pytest.mark.skipif(sys.platform == "win32", reason="has no groups")
@pytest.mark.parametrize(
    ("platform", "advice"),
    [("linux", "usermod -aG .* log out and in again"), ("darwin", "System Settings"), ("win32", "driver")],
)
def test_a_port_that_may_not_be_opened_says_what_to_do(
    platform: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import serial

    def refuse(*args: Any, **options: Any) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(PortError, match=advice):
        open_port("/dev/ttyUSB0", baud=115_200)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("Not a valid baudrate: 7"), "did not open at 7 baud: Not a valid baudrate"),
        (OSError(errno.EIO, "io"), "did not open at 7 baud"),
        (OSError("could not open port 'COM9': PermissionError(13, 'Access is denied.')"), "in use"),
        (OSError("could not open port 'COM9': FileNotFoundError(2)"), "there is no port"),
    ],
)
def test_other_reasons_are_told(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    def refuse(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(PortError, match=said) as caught:
        open_port("COM9", baud=7)
    assert caught.value.port == "COM9"
    assert isinstance(caught.value, ProtocolError)


def test_names_of_ports_are_sorted_text() -> None:
    names = port_names()
    assert names == sorted(names)
