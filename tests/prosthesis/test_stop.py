"""STOP by program, button and other processes: taken by the monitor's process, whatever its mode and the decoder's."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from bci.decisions import Intent
from bci.errors import ArmingRefusedError, MonitorError
from bci.prosthesis import Certificate, Limits, Opening, Profile, SafetyMonitor, Signal, send_stop
from bci.prosthesis.stop_lines import StopButton, StopListener

SLOW = Profile(
    limits=Limits(rate_per_s=0.2),
    opening=Opening(delay_s=0.5, rate_per_s=0.05),
    signal=Signal(recover_s=0.3),
)


class Board:
    """An armed session in driven time, with a button on a socket."""

    def __init__(self, folder):
        self.button = socket.create_server(("127.0.0.1", 0))
        port = f"socket://127.0.0.1:{self.button.getsockname()[1]}"
        certificate = Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())
        self.monitor = SafetyMonitor(
            SLOW,
            log_path=folder / "log.jsonl",
            certificate=certificate,
            clock="driven",
            stop_buttons=[{"port": port, "name": "red button"}],
        )
        self.line, _ = self.button.accept()
        self.n = 0

    def play(self, seconds, **flags):
        for _ in range(round(seconds * 10)):
            self.n += 1
            self.monitor.signal(self.n * 25, 5_000_000 + self.n * 100_000, **flags)
        return self.monitor.sync()

    def reach(self, mode):
        """Bring the monitor into `mode`."""
        if mode == "disarmed":
            return
        self.play(0.5)
        if mode == "idle":
            return
        self.monitor.arm()
        if mode == "armed":
            return
        self.monitor.intent(Intent(1, "close", self.n * 25, self.n * 25 + 50, 0.9))
        self.play(1.0)
        if mode != "moving":
            self.monitor.trouble("for the test")
            self.play(0.2 if mode == "hold" else 1.0)

    def close(self):
        self.monitor.close()
        self.line.close()
        self.button.close()


@pytest.fixture
def board(tmp_path):
    made = Board(tmp_path)
    yield made
    made.close()


PRESS = {
    "program": lambda board: board.monitor.stop("key"),
    "button": lambda board: board.line.sendall(b"\0"),
    "other process": lambda board: send_stop(board.monitor.stop_address, "web"),
    "button unplugged": lambda board: board.line.close(),
}


def wait_for_stop(monitor):
    until = time.monotonic() + 60.0
    while not (state := monitor.sync()).stopped:
        assert time.monotonic() < until
    return state


@pytest.mark.parametrize("press", PRESS)
def test_each_way_to_stop_holds_and_latches(board, press):
    board.reach("moving")
    PRESS[press](board)
    state = wait_for_stop(board.monitor)
    assert state.mode == "hold"
    held = state.command["setpoint"]
    board.monitor.intent(Intent(2, "close", board.n * 25, board.n * 25 + 50, 0.9))
    assert board.play(0.3).command["setpoint"] == held
    with pytest.raises(ArmingRefusedError, match="STOP was pressed"):
        board.monitor.arm()
    board.monitor.disarm()
    board.play(0.2)
    board.monitor.arm()
    assert board.monitor.sync().mode == "armed"


@pytest.mark.parametrize("mode", ["disarmed", "idle", "armed", "moving", "hold", "fault"])
def test_stop_from_another_process_latches_in_every_mode(board, mode):
    board.reach(mode)
    assert board.monitor.sync().mode == mode
    send_stop(board.monitor.stop_address, "web")
    assert wait_for_stop(board.monitor).mode == "hold"
    with pytest.raises(ArmingRefusedError):
        board.monitor.arm()


def test_the_log_says_who_pressed(board):
    board.reach("moving")
    board.line.sendall(b"x")
    wait_for_stop(board.monitor)
    board.monitor.close()
    assert '"source":"red button"' in board.monitor.log_path.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_button_on_a_serial_line_stops(tmp_path):
    import tty

    controller, terminal = os.openpty()
    tty.setraw(terminal)
    button = {"port": os.ttyname(terminal), "opener": "bci.acquisition._serial:SerialPort"}
    with SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None, stop_buttons=[button]) as monitor:
        assert not monitor.sync().stopped
        os.write(controller, b"!")
        assert wait_for_stop(monitor).mode == "hold"
    os.close(controller)
    os.close(terminal)


def test_a_session_does_not_begin_with_a_button_that_is_not_there(tmp_path):
    button = {"port": "socket://127.0.0.1:9"}
    with pytest.raises(MonitorError, match="refused to start"):
        SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None, stop_buttons=[button])


def test_whoever_presses_where_nobody_listens_is_told():
    for address in ("127.0.0.1:9", "", "nonsense"):
        with pytest.raises(MonitorError, match="STOP was not taken"):
            send_stop(address)


def test_a_stop_that_is_not_confirmed_is_told():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(MonitorError, match="STOP was not taken"):
            send_stop(address, timeout_s=0.05)
    pressed = []
    listener = StopListener(pressed.append)
    listener._press = lambda source: listener.close()
    listener.start()
    send_stop(listener.address)  # closing the listener hangs up on nobody who is being heard
    with pytest.raises(MonitorError):
        send_stop(listener.address)


def test_who_connects_and_says_nothing_means_nothing(monkeypatch):
    from bci.prosthesis import stop_lines

    monkeypatch.setattr(stop_lines, "SILENT_S", 1.0)
    pressed = []
    listener = StopListener(pressed.append)
    listener.start()
    host, _, port = listener.address.rpartition(":")
    with socket.create_connection((host, int(port))) as silent:
        assert silent.recv(10) == b""  # hung up on
    with socket.create_connection((host, int(port))):
        pass
    send_stop(listener.address, "x" * 1000)
    assert pressed == ["x" * 199]
    listener.close()


def test_a_button_that_is_let_go_of_presses_no_more():
    with socket.create_server(("127.0.0.1", 0)) as server:
        pressed = []
        spec = {"port": f"socket://127.0.0.1:{server.getsockname()[1]}"}
        button = StopButton(spec, pressed.append)
        line, _ = server.accept()
        button.start()
        line.sendall(b"!!")
        until = time.monotonic() + 60.0
        while not pressed and time.monotonic() < until:
            time.sleep(0.005)
        count = len(pressed)
        button.close()
        button.join(60.0)
        line.close()
    assert count >= 1
    assert set(pressed) == {spec["port"]}


class Pulled:
    """A serial link whose library fails in a way of its own when the plug is pulled."""

    def __init__(self, port, *, baud):
        pass

    def read(self, timeout_s):
        raise TypeError("an integer is required (got type NoneType)")

    def close(self):
        pass


def test_a_button_that_is_lost_is_a_stop_however_its_library_says_so():
    pressed = []
    button = StopButton(
        {"port": "x", "name": "red", "opener": "tests.prosthesis.test_stop:Pulled"}, pressed.append
    )
    button.run()
    assert pressed == ["red was lost: an integer is required (got type NoneType)"]


def test_a_listener_that_cannot_go_on_is_a_stop_and_one_that_was_closed_is_none():
    pressed = []
    listener = StopListener(pressed.append)
    listener.close()
    listener.run()
    assert pressed == []
    lost = StopListener(pressed.append)
    lost._server.close()
    lost.run()
    assert len(pressed) == 1
    assert pressed[0].startswith("the line for other programs was lost")
