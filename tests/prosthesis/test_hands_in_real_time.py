"""Monitor process and simulated hands over real links: driving, unplugging, and dying in the middle of a movement."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib import import_module

import pytest

from bci.prosthesis import (
    Certificate,
    Command,
    Grip,
    HandSimulator,
    Limits,
    Profile,
    SafetyMonitor,
    replay_log,
    simulated,
)
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Heard, Replied, Tick
from bci.prosthesis.hand_dialects import DIALECTS
from bci.prosthesis.hand_simulator import STILL
from bci.prosthesis.known_hands import BUILT_IN
from bci.prosthesis.links import open_link
from bci.prosthesis.monitor_state import Mode
from bci.prosthesis.safety import TICK_US, step
from bci.selftest.safety import CHECKS

from .real_time import Operator
from .steps import moving

SLOW = Profile(limits=Limits(rate_per_s=0.5))
HANDS = ["simulated", "ability", "rh56"]


@pytest.fixture(params=HANDS)
def simulator(request):
    if request.param == "rh56":
        pytest.importorskip("pymodbus")
    with HandSimulator(request.param) as hand:
        yield hand


def moving_hand(tmp_path, simulator, opener=""):
    """An armed monitor whose hand is closing, and somebody beside it."""
    certificate = Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())
    spec = {**simulator.spec, "opener": opener}
    beside = Operator(SafetyMonitor(SLOW, log_path=tmp_path / "log", certificate=certificate, hand=spec))
    beside.arm()
    beside.ask("close")
    beside.until(lambda s: s.mode == "moving" and s.position[1] > 0.1)
    return beside


def test_each_hand_closes_on_an_intent_and_the_log_replays(tmp_path, simulator):
    beside = moving_hand(tmp_path, simulator)
    beside.until(lambda s: s.mode == "armed" and s.position[1] > 0.89)
    assert simulator.state()["position"][1] == pytest.approx(0.9, abs=0.01)
    beside.monitor.close()
    found = replay_log(tmp_path / "log")
    assert found.identical, found.difference


def test_a_hand_that_goes_away_is_a_hold(tmp_path, simulator):
    beside = moving_hand(tmp_path, simulator)
    simulator.close()
    beside.mean_nothing()
    beside.until(lambda s: s.mode in ("hold", "fault") and "the hand does not answer" in s.cause)
    beside.monitor.close()
    assert replay_log(tmp_path / "log").identical


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_monitor_killed_while_moving_leaves_each_hand_stopped_where_it_was_last_told_to_be(
    tmp_path, simulator
):
    """How soon is measured by the nightly run, and in exact time below."""
    beside = moving_hand(tmp_path, simulator)
    os.kill(beside.monitor.pid, signal.SIGKILL)
    beside.monitor.close()
    last = [item for item in read_log(tmp_path / "log") if isinstance(item, Command)][-1]
    limit = time.monotonic() + 60.0
    while (state := simulator.state())["moving"]:
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert all(at <= told + STILL for at, told in zip(state["position"], last.setpoint, strict=True))
    assert state["position"][1] > 0.1


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("name", HANDS)
def test_each_hand_stops_in_time_two_hundred_times(name):
    (check,) = [check for check in CHECKS if check.name == f"host-killed-{name}"]
    result = check.run(True)
    assert result.passed, result.measured
    assert result.figures["times"] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_hand_on_a_pseudo_terminal_is_opened_by_the_named_opener(tmp_path):
    with HandSimulator("ability", terminal=True) as simulator:
        beside = moving_hand(tmp_path, simulator, opener="bci.acquisition._serial:SerialPort")
        beside.until(lambda s: s.mode == "armed" and s.position[1] > 0.89)
        beside.monitor.close()


def test_a_port_that_is_no_socket_needs_an_opener():
    with pytest.raises(ValueError, match="opener"):
        open_link("/dev/ttyUSB0", baud=115_200)
    with pytest.raises(OSError, match=r"refused|Connection|actively"):
        open_link("socket://127.0.0.1:9", baud=115_200)


def test_a_simulated_hand_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="simulated, ability, rh56"):
        HandSimulator("hook")


def test_a_hand_that_comes_back_is_seen_again_and_can_be_armed(tmp_path, simulator):
    """Its process dies and another one takes over its port, fingers elsewhere: nothing is driven to where it was."""
    beside = moving_hand(tmp_path, simulator)
    port = simulator.port
    simulator.close()
    beside.mean_nothing()
    beside.until(lambda s: s.mode in ("hold", "fault") and "the hand does not answer" in s.cause)
    with HandSimulator(simulator.name, port=port) as again:
        beside.until(lambda s: s.position == (0.0,) * 6)
        assert again.state()["position"] == [0.0] * 6
        beside.monitor.disarm()
        beside.arm()
        assert again.state()["position"] == [0.0] * 6
        beside.monitor.close()
    assert replay_log(tmp_path / "log").identical


@pytest.mark.parametrize("name", HANDS)
@pytest.mark.parametrize("rate", [0.05, 0.8, 2.0])
def test_the_look_ahead_alone_ends_every_movement_in_150_ms(name, rate, monkeypatch):
    """In exact time: the monitor dies at each moment of a movement, and the hand has no watchdog to help it."""
    if name == "rh56":
        pytest.importorskip("pymodbus")
    monkeypatch.setattr(simulated, "WATCHDOG_US", 10**9)
    moments = range(120_000, 300_000, 13_000)
    assert 0.0 < max(after_death(name, rate, dies_us)[0] for dies_us in moments) <= 150.0


@pytest.mark.parametrize("name", HANDS)
@pytest.mark.parametrize("rate", [0.2, 0.8])
def test_a_hand_that_lags_goes_no_further_than_100_ms_of_motion_by_itself(name, rate, monkeypatch):
    """Its servos come 200 ms behind; without a limit the set points would have run as far ahead of the fingers."""
    if name == "rh56":
        pytest.importorskip("pymodbus")
    monkeypatch.setattr(simulated, "WATCHDOG_US", 10**9)
    monkeypatch.setattr(simulated, "OMEGA", 10.0)
    went = max(after_death(name, rate, dies_us)[1] for dies_us in (400_000, 507_000, 613_000))
    assert 0.0 < went <= 0.1 * rate


def after_death(name, rate, dies_us):
    """The monitor of a moving hand dies: milliseconds until it stands, and how far its furthest finger went."""
    dialect = DIALECTS[name]()
    wire = ExactWire(dialect)
    hand = make_adapter(name, wire)
    state = moving_profile(rate)
    for t in range(state.t_us + TICK_US, dies_us, TICK_US):
        wire.now_us = t
        state, _ = step(state, Heard(t, state.sample + 5, t))
        state, actions = step(state, Tick(t))
        for command in (a for a in actions if isinstance(a, Command)):
            if (reply := hand.exchange(command)) is not None:
                state, _ = step(state, Replied(t, reply))
    assert state.mode is Mode.MOVING
    dialect.idle(dies_us)
    moved_us, begun = dies_us, dialect.hand.position
    where = begun
    for t in range(dies_us, dies_us + 1_000_000, 1000):
        dialect.idle(t)
        if max(abs(a - b) for a, b in zip(dialect.hand.position, where, strict=True)) > STILL:
            moved_us, where = t, dialect.hand.position
    went = max(abs(a - b) for a, b in zip(dialect.hand.position, begun, strict=True))
    return (moved_us - dies_us) / 1000, went


@pytest.mark.parametrize("name", HANDS)
def test_no_adapter_can_speak_behind_the_monitors_back(name):
    """What is written is written by whoever calls `exchange`, before it returns: no thread could go on."""
    if name == "rh56":
        pytest.importorskip("pymodbus")
    threads = set(threading.enumerate())
    wire = ExactWire(DIALECTS[name]())
    writers = []
    write = wire.write
    wire.write = lambda data: (writers.append(threading.get_ident()), write(data))
    hand = make_adapter(name, wire)
    assert writers == []
    for n in range(1, 20):
        before = len(writers)
        hand.exchange(Command(n, n * TICK_US, "move", (0.5,) * 6))
        assert len(writers) > before
    assert set(writers) == {threading.get_ident()}
    assert set(threading.enumerate()) <= threads


class ExactWire:
    """A link whose other side is a dialect; time passes by hand."""

    def __init__(self, dialect):
        self.dialect, self.now_us, self.pending = dialect, 0, b""

    def write(self, data):
        self.pending += self.dialect.receive(data, self.now_us)

    def read(self, timeout_s):
        data, self.pending = self.pending, b""
        return data

    def close(self):
        pass


def make_adapter(name, wire):
    module, _, attribute = BUILT_IN[name].partition(":")
    return getattr(import_module(module), attribute)(wire)


def moving_profile(rate):
    """A state that has just begun a movement too long to end by itself."""
    profile = Profile(
        grips={"open": Grip(*(0.0,) * 6), "power": Grip(*(1.0,) * 6)},
        limits=Limits(rate_per_s=rate, slew_per_s2=100.0, movement_s=60.0),
    )
    return moving(profile, ticks=0)
