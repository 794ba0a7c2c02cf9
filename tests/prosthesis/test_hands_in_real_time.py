"""Monitor process and simulated hands over real links: driving, unplugging, and dying in the middle of a movement."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from bci.decisions import Intent
from bci.prosthesis import Certificate, HandSimulator, Limits, Profile, SafetyMonitor, replay_log
from bci.prosthesis.links import open_link

SLOW = Profile(limits=Limits(rate_per_s=0.5))
HANDS = ["ability", "rh56"]


@pytest.fixture(params=HANDS)
def simulator(request):
    if request.param == "rh56":
        pytest.importorskip("pymodbus")
    with HandSimulator(request.param) as hand:
        hand.name = request.param
        yield hand


class Session:
    """An armed monitor that has been asked to close the hand."""

    def __init__(self, tmp_path, simulator, opener=""):
        certificate = Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())
        spec = {"name": simulator.name, "port": simulator.port, "opener": opener}
        self.monitor = SafetyMonitor(SLOW, log_path=tmp_path / "log", certificate=certificate, hand=spec)
        self.begun, self.n = time.monotonic(), 0
        self.until(lambda s: s.mode == "idle")
        self.monitor.arm()
        self.monitor.intent(Intent(1, "close", self.n, self.n + 100, 0.9))
        self.until(lambda s: s.mode == "moving" and s.position[1] > 0.1)

    def until(self, done, seconds=15.0):
        """Keep the signal fresh until it is so."""
        limit = time.monotonic() + seconds
        while not done(self.monitor.state()):
            assert time.monotonic() < limit, self.monitor.state()
            self.n += 1
            self.monitor.signal(self.n, int((time.monotonic() - self.begun) * 1e6))
            time.sleep(0.01)


def test_each_hand_closes_on_an_intent_and_the_log_replays(tmp_path, simulator):
    session = Session(tmp_path, simulator)
    session.until(lambda s: s.mode == "armed")
    time.sleep(0.1)
    assert simulator.state()["position"][1] == pytest.approx(0.9, abs=0.01)
    session.monitor.close()
    found = replay_log(tmp_path / "log")
    assert found.identical, found.difference


def test_a_hand_that_goes_away_is_a_hold(tmp_path, simulator):
    session = Session(tmp_path, simulator)
    simulator.close()
    session.until(lambda s: s.mode == "hold")
    assert "does not answer" in session.monitor.state().cause
    session.monitor.close()
    assert replay_log(tmp_path / "log").identical


def time_to_stop(tmp_path, simulator):
    """Kill the monitor with -9 while the hand moves; milliseconds from the kill to the last motion."""
    session = Session(tmp_path, simulator)
    killed_ns = time.monotonic_ns()
    os.kill(session.monitor.pid, signal.SIGKILL)
    time.sleep(0.5)
    state = simulator.state()
    session.monitor.close()
    return (state["moved_ns"] - killed_ns) * 1e-6, state


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_monitor_killed_while_moving_leaves_each_hand_stopped_in_time(tmp_path, simulator):
    took_ms, state = time_to_stop(tmp_path, simulator)
    assert (
        took_ms <= 300.0
    )  # a busy machine adds to it; the nightly run takes the RH56's 150 ms by the letter
    assert 0.1 < state["position"][1] < 0.85
    assert not state["moving"]


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("name", HANDS)
def test_each_hand_stops_in_time_two_hundred_times(tmp_path, name):
    times = []
    for n in range(200):
        folder = tmp_path / str(n)
        folder.mkdir()
        with HandSimulator(name) as hand:
            hand.name = name
            times.append(time_to_stop(folder, hand)[0])
    assert max(times) <= (300.0 if name == "ability" else 150.0)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_hand_on_a_pseudo_terminal_is_opened_by_the_named_opener(tmp_path):
    with HandSimulator("ability", terminal=True) as simulator:
        simulator.name = "ability"
        session = Session(tmp_path, simulator, opener="bci.acquisition._serial:SerialPort")
        session.until(lambda s: s.mode == "armed")
        session.monitor.close()


def test_a_port_that_is_no_socket_needs_an_opener():
    with pytest.raises(ValueError, match="opener"):
        open_link("/dev/ttyUSB0", baud=115_200)
    with pytest.raises(OSError, match=r"refused|Connection|actively"):
        open_link("socket://127.0.0.1:9", baud=115_200)


def test_a_simulated_hand_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="ability, rh56"):
        HandSimulator("hook")
