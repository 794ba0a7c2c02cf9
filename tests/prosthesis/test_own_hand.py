"""A hand of one's own: registered by an installed package, driven by the monitor's process over a real link."""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
import threading
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from bci.prosthesis import Certificate, Command, Limits, Profile, SafetyMonitor, replay_log
from bci.prosthesis.known_hands import BUILT_IN, TITLES, make_hand

from .real_time import Operator

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hobby_servo_hand.py"


def load_example():
    spec = importlib.util.spec_from_file_location("hobby_servo_hand", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example as another package would bring it: a module, and metadata that name its entry point."""
    site = tmp_path / "site"
    info = site / "hobby_hand-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(EXAMPLE, site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hobby-hand\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bci.hands]\nhobby = hobby_servo_hand:HobbyServoHand\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


class ServoBoard:
    """The example's simulated board on a socket."""

    def __init__(self):
        self.board = load_example().SimulatedBoard()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        line, _ = self._server.accept()
        pending = b""
        with line, suppress(OSError):  # the monitor hangs up when it ends
            while data := line.recv(4096):
                *whole, pending = (pending + data).split(b"\n")
                for request in whole:
                    self.board.write(request + b"\n")
                line.sendall(self.board.read(0.0))

    def close(self):
        self._server.close()


def test_the_example_is_found_by_its_entry_point_and_closes_on_an_intent(installed, tmp_path):
    servo = ServoBoard()
    certificate = Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())
    hand = {"name": "hobby", "port": servo.port}
    profile = Profile(limits=Limits(rate_per_s=0.8))
    with SafetyMonitor(profile, log_path=tmp_path / "log", certificate=certificate, hand=hand) as monitor:
        beside = Operator(monitor)
        beside.arm()
        beside.ask("close")
        beside.until(lambda s: s.mode == "armed" and s.position[1] > 0.89)
        summary = monitor.close()
    assert summary["hand"] == "hobby"
    assert servo.board._angles[1] == pytest.approx(0.9 * 160.0, abs=1.0)
    servo.close()
    assert replay_log(tmp_path / "log").identical


def test_a_hand_that_nobody_registered_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'hook': expected simulated, ability, rh56 or one of bci\.hands"):
        make_hand({"name": "hook", "port": "socket://127.0.0.1:9"})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"port": "/dev/ttyUSB0"}, "expected a name, simulated, ability, rh56 or one of bci.hands"),
        (
            {"name": "ability"},
            "port '': expected socket://HOST:PORT, or beside a serial port an opener such as",
        ),
        (
            {"name": "ability", "port": "COM3", "opener": "nonsense"},
            "opener = 'nonsense': expected MODULE:NAME",
        ),
        ({"name": "ability", "port": "COM3", "opener": "socket:nope"}, "has no attribute 'nope'"),
        ({"name": "ability", "port": "COM3", "opener": ":x"}, "opener = ':x': expected MODULE:NAME"),
        (
            {"name": "ability", "port": "socket://nowhere"},
            "port 'socket://nowhere': expected socket://HOST:PORT",
        ),
        ({"name": "ability", "port": "socket://h:", "baud": 9600}, "expected socket://HOST:PORT"),
        (
            {"name": "ability", "port": "socket://127.0.0.1:9", "baud": "fast"},
            "baud = 'fast': expected a whole",
        ),
        (
            {"name": "simulated", "object": 3},
            "options {'object': 3} of the simulated hand: expected object_at",
        ),
    ],
)
def test_a_hand_that_cannot_be_meant_is_refused_with_what_was_expected(spec, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        make_hand(spec)


@pytest.mark.parametrize("port", ["socket://127.0.0.1:9", "socket://127.0.0.1:99999"])
def test_a_hand_that_is_not_there_is_told_by_its_port(port):
    with pytest.raises(
        ConnectionError, match=rf"^nothing answers at {port} \(.+\): is the hand or its simul"
    ):
        make_hand({"name": "ability", "port": port})


def test_the_projects_own_hands_stand_in_its_entry_points():
    """Other programs list hands by that group; here they are found without an installation, too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["bci.hands"] == BUILT_IN
    assert set(TITLES) == set(BUILT_IN)


def test_the_example_runs_and_adapts_its_simulated_board(capsys):
    example = load_example()
    assert example.main(["--seconds", "0.2"]) == 0
    assert "th" in capsys.readouterr().out
    hand = example.HobbyServoHand(example.SimulatedBoard())
    for n in range(60):
        reply = hand.exchange(Command(n, 0, "move", (0.5,) * 6))
    assert reply.position == pytest.approx((0.5,) * 6)
    reply = hand.exchange(Command(61, 0, "look", (0.0,) * 6))
    reply = hand.exchange(Command(62, 0, "look", (0.0,) * 6)) or reply
    assert reply.position == pytest.approx((0.5,) * 6)
    board = example.SimulatedBoard()
    board.read = lambda timeout_s: b"P 1 2 x 4 5 6\nnoise\n\n"
    assert example.HobbyServoHand(board).exchange(Command(1, 0, "hold", (0.0,) * 6)) is None
    hand.close()
