"""Simulated hands on their real bytes in accelerated time: each set point is 20 ms, and sessions repeat exactly."""

from __future__ import annotations

import time

import pytest

from bci.decisions import Intent
from bci.errors import MonitorError
from bci.prosthesis import Certificate, HandSimulator, Limits, Profile, SafetyMonitor, replay_log
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Replied
from bci.prosthesis.hand_dialects import DIALECTS
from bci.prosthesis.hand_simulator import Simulation

HANDS = ["simulated", "ability", "rh56"]
PROFILE = Profile(limits=Limits(rate_per_s=0.5))


def session(folder, hand, *, live_s=0.0):
    """Arm, close the hand, open it again, in some seconds of the board's time; log and final posture."""
    certificate = Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time())
    with HandSimulator(hand, clock="frames") as simulator:
        with SafetyMonitor(
            PROFILE, log_path=folder, certificate=certificate, hand=simulator.spec, clock="driven"
        ) as monitor:
            n, closed = 0, None

            def play(seconds):
                nonlocal n
                for _ in range(round(seconds * 20)):
                    n += 1
                    monitor.signal(n * 12, n * 50_000)
                return monitor.sync()

            assert play(1.0).mode == "idle"
            monitor.arm()
            monitor.intent(Intent(1, "close", n * 12, n * 12 + 50, 0.9))
            assert play(0.5).mode == "moving"
            if live_s:
                monitor.use_clock("monotonic")
                simulator.use_clock("wall")
                begun, first = time.monotonic(), n
                while time.monotonic() - begun < live_s:
                    n = first + int((time.monotonic() - begun) * 20)
                    monitor.signal(n * 12, n * 50_000)
                    time.sleep(0.01)
                monitor.use_clock("driven")
                simulator.use_clock("frames")
                # if this process was not run for 200 ms, the hand was held; after more it is armed anew
                if play(1.5).mode not in ("armed", "moving"):
                    monitor.disarm()
                    play(0.5)
                    monitor.arm()
                monitor.intent(Intent(2, "close", n * 12, n * 12 + 50, 0.9))
            closed = play(3.0)
            monitor.intent(Intent(3, "open", n * 12, n * 12 + 50, 0.9))
            opened = play(3.0)
        return closed, opened, simulator.state()


@pytest.mark.parametrize("hand", HANDS)
def test_a_session_moves_the_hand_and_is_the_same_again(tmp_path, hand):
    if hand == "rh56":
        pytest.importorskip("pymodbus")
    heard = []
    for name in ("a", "b"):
        closed, opened, state = session(tmp_path / name, hand)
        assert closed.mode == opened.mode == "armed"
        assert closed.position[1] == pytest.approx(0.9, abs=2e-3)
        assert state["position"][1] == pytest.approx(0.0, abs=2e-3)
        assert not state["watchdog_trips"]
        assert replay_log(tmp_path / name).identical
        heard.append([item for item in read_log(tmp_path / name) if isinstance(item, Replied)])
    assert heard[0] == heard[1]
    assert len(heard[0]) > 300


@pytest.mark.parametrize("hand", HANDS)
def test_a_session_goes_over_to_real_time_and_back(tmp_path, hand):
    if hand == "rh56":
        pytest.importorskip("pymodbus")
    closed, opened, _ = session(tmp_path / "log", hand, live_s=0.5)
    assert closed.position[1] == pytest.approx(0.9, abs=2e-3)
    assert opened.mode == "armed"
    assert replay_log(tmp_path / "log").identical


def test_a_hand_that_lives_in_real_time_is_not_driven(tmp_path):
    hand = {"name": "ability", "port": "socket://127.0.0.1:9", "by_frames": False}
    with pytest.raises(MonitorError, match="real time"):
        SafetyMonitor(PROFILE, log_path=tmp_path / "a", certificate=None, clock="driven", hand=hand)


class Clock:
    def __init__(self):
        self.ns = 5_000_000_000

    def __call__(self):
        return self.ns


def test_the_end_of_a_motion_is_known_exactly_however_seldom_the_process_runs():
    times = []
    for nap_ms in (1, 7, 40, 400):
        clock = Clock()
        simulation = Simulation(DIALECTS["rh56"](), clock)
        begun = clock.ns
        simulation.dialect._setpoint = (0.05,) * 6
        for _ in range(800 // nap_ms):
            clock.ns += nap_ms * 1_000_000
            simulation.live()
        times.append((simulation.moved_ns - begun) * 1e-6)
    assert max(times) - min(times) <= 21.0  # one step of a hand that has not begun to move
    assert 50.0 < times[0] < 200.0


def test_time_goes_on_where_it_stood_when_clocks_change_over():
    clock = Clock()
    simulation = Simulation(DIALECTS["simulated"](), clock)
    clock.ns += 100_000_000
    simulation.use_clock("frames")
    clock.ns += 10_000_000_000
    simulation.live()
    assert simulation._lived_us == 100_000
    simulation.receive(b'{"n":1,"do":"look","to":[0,0,0,0,0,0]}\n')
    assert simulation._lived_us == 120_000
    simulation.use_clock("wall")
    clock.ns += 30_000_000
    simulation.live()
    assert simulation._lived_us == 150_000
