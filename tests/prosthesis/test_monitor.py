"""The monitor's process: STOP, silence, death, two clocks, and what the handle says."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bci.decisions import Intent
from bci.errors import ArmingRefusedError, MonitorError, NotCertifiedError
from bci.prosthesis import Certificate, Limits, Opening, Profile, SafetyMonitor, Signal, replay_log
from bci.prosthesis._pipe import LONGEST, MessageReader, PipeError, pack
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered, Trouble
from bci.prosthesis.hand import Command
from bci.prosthesis.known_hands import make_hand
from bci.prosthesis.safety import TICK_US

SLOW = Profile(
    limits=Limits(rate_per_s=0.2),
    opening=Opening(delay_s=0.5, rate_per_s=1.0),
    signal=Signal(recover_s=0.3),
)


def certificate(**values):
    return Certificate(**{"lower": 0.6, "chance": 0.5, "runs": 2, "issued_s": time.time(), **values})


@pytest.fixture
def monitor(tmp_path):
    """A driven session with a slow hand, armed."""
    with SafetyMonitor(SLOW, log_path=tmp_path / "log.jsonl", certificate=certificate(), clock="driven") as m:
        yield m


class Board:
    """Signal messages at 10 per second of device time."""

    def __init__(self, monitor):
        self.monitor = monitor
        self.n = 0
        self.intents = 0

    def play(self, seconds, **flags):
        for _ in range(round(seconds * 10)):
            self.n += 1
            self.monitor.signal(self.n * 25, 5_000_000 + self.n * 100_000, **flags)
        return self.monitor.sync()

    def ask(self, action="close", **values):
        self.intents += 1
        sample = self.n * 25
        wanted = {
            "number": self.intents,
            "action": action,
            "sample_index": sample,
            "expires_sample": sample + 50,
        }
        self.monitor.intent(Intent(**{**wanted, "probability": 0.9, **values}))


def moving(monitor):
    board = Board(monitor)
    board.play(1.0)
    monitor.arm()
    board.ask()
    assert board.play(1.0).mode == "moving"
    return board


def test_the_monitor_starts_without_numpy():
    """So it is there in less than a tenth of a second on a quiet machine."""
    code = "import sys, bci.prosthesis.monitor_process; print({'numpy', 'numba', 'scipy'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.skipif(sys.platform == "win32", reason="priorities of POSIX")
def test_the_monitor_is_served_first_where_the_system_allows_it(monitor):
    ask = "import os; os.setpriority(os.PRIO_PROCESS, 0, -10)"
    if subprocess.run([sys.executable, "-c", ask], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this user may not ask for it")
    assert os.getpriority(os.PRIO_PROCESS, monitor.pid) == -10


def test_an_intent_moves_the_hand_and_the_log_replays(monitor):
    board = moving(monitor)
    state = board.play(8.0)
    assert state.mode == "armed"
    assert state.position[1] == pytest.approx(0.9)
    summary = monitor.close()
    assert summary["counts"]["intents accepted"] == 1
    assert summary["movements"][0]["grip"] == "power"
    found = replay_log(monitor.log_path)
    assert found.identical, found.difference
    assert found.commands == summary["counts"]["frames"]


def test_the_same_session_twice_gives_the_same_log_byte_for_byte(tmp_path):
    logs = []
    for name in ("a", "b"):
        with SafetyMonitor(SLOW, log_path=tmp_path / name, certificate=None, clock="driven") as m:
            board = Board(m)
            board.play(2.0)
            board.ask()
            board.play(3.0, lead_off=True)
        logs.append((tmp_path / name).read_bytes().split(b"\n", 1)[1])
    assert logs[0] == logs[1]


def test_stop_holds_latches_and_needs_arming_again(monitor):
    board = moving(monitor)
    monitor.stop("key")
    state = board.play(0.2)
    assert state.mode == "hold"
    assert "STOP" in state.cause
    held = state.command["setpoint"]
    board.ask()
    assert board.play(0.2).command["setpoint"] == held
    with pytest.raises(ArmingRefusedError, match="STOP"):
        monitor.arm()
    monitor.disarm()
    board.play(0.2)
    monitor.arm()
    assert monitor.sync().mode == "armed"


def test_a_signal_that_falls_silent_holds_after_200_ms(monitor):
    board = moving(monitor)
    monitor.advance(5_000_000 + board.n * 100_000 + 180_000)
    assert monitor.sync().mode == "moving"
    monitor.advance(5_000_000 + board.n * 100_000 + 220_000)
    state = monitor.sync()
    assert state.mode == "hold"
    assert "no fresh signal" in state.cause


@pytest.mark.parametrize("flags", [{"lead_off": True}, {"saturated": True}, {"outlier": True}, {"lost": 200}])
def test_a_bad_signal_holds(monitor, flags):
    board = moving(monitor)
    assert board.play(0.1, **flags).mode == "hold"


def test_nonsense_intents_do_not_move_the_hand(monitor):
    board = Board(monitor)
    board.play(1.0)
    monitor.arm()
    board.ask(expires_sample=0)
    board.ask(number=0)
    board.ask("juggle")
    board.ask(sample_index=10**9)
    state = board.play(0.2)
    assert state.mode == "armed"
    assert state.counts["intents refused"] == 4
    board.ask(probability=float("nan"))
    assert board.play(0.1).mode == "hold"


def test_closing_in_the_middle_of_a_movement_ends_with_a_frame_that_holds(monitor):
    moving(monitor)
    monitor.close()
    *_, before, last = (item for item in read_log(monitor.log_path) if isinstance(item, Command))
    assert (before.kind, last.kind) == ("move", "hold")
    assert all(held <= moved for held, moved in zip(last.setpoint, before.setpoint, strict=True))
    assert replay_log(monitor.log_path).identical


def test_a_decoder_error_holds_until_the_operator_disarms(monitor):
    board = moving(monitor)
    monitor.trouble("ValueError: covariance is not positive definite")
    assert board.play(0.2).mode == "hold"
    with pytest.raises(ArmingRefusedError):
        monitor.arm()


def test_messages_that_make_no_sense_hold(monitor):
    board = moving(monitor)
    for bad in ({"do": "fly"}, {"do": "intent", "number": "x"}, {"do": "heard", "sample": []}):
        monitor._send(bad)
    assert board.play(0.1).mode == "hold"


@pytest.mark.parametrize(
    ("cert", "words"),
    [
        (None, "no calibration certificate"),
        ({"lower": 0.4}, "beat chance"),
        ({"issued_s": 0.0}, "run out"),
        ({"model": "another"}, "another model"),
        ({"channels": ("C3", "Cz")}, "channels C3 Cz"),
    ],
)
def test_arming_is_refused_without_a_valid_certificate(tmp_path, cert, words):
    here = {"model": "in use", "channels": ("C3", "C4")}
    cert = None if cert is None else certificate(**{**here, **cert})
    with SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=cert, clock="driven", **here) as m:
        board = Board(m)
        assert board.play(1.0).mode == "idle"
        with pytest.raises(NotCertifiedError, match=words):
            m.arm()
        board.ask()
        assert board.play(1.0).position == (0.0,) * 6


def test_a_session_goes_over_from_driven_to_real_time(monitor):
    board = moving(monitor)
    before = monitor.state().t_us
    t0, n0 = time.monotonic(), board.n
    monitor.use_clock("monotonic")
    while monitor.state().t_us - before < 500_000:
        assert time.monotonic() - t0 < 60.0
        board.n += 1
        monitor.signal(board.n * 25, 5_000_000 + n0 * 100_000 + int((time.monotonic() - t0) * 1e6))
        time.sleep(0.02)
    assert time.monotonic() - t0 >= 0.5 - TICK_US * 1e-6
    while monitor.state().mode != "hold":  # for want of a signal
        assert time.monotonic() - t0 < 60.0
        time.sleep(0.02)
    monitor.close()
    moved = [item.t_us for item in read_log(monitor.log_path) if getattr(item, "kind", "") == "move"]
    assert moved[-1] > before
    assert replay_log(monitor.log_path).identical


def real_time_session(log):
    """Source of a decoder process that arms, starts a movement, says so, and then sleeps with the pipe open."""
    return f"""
import time, sys
from bci.decisions import Intent
from bci.prosthesis import *
m = SafetyMonitor(Profile(limits=Limits(rate_per_s=0.2), opening=Opening(delay_s=0.5, rate_per_s=1.0)),
    log_path={str(log)!r}, certificate=Certificate(lower=0.6, chance=0.5, runs=2, issued_s=time.time()))
t0 = time.monotonic()
n = 0
while True:
    n += 1
    m.signal(n, int((time.monotonic() - t0) * 1e6))
    state = m.state()
    if n == 5: m.sync()
    if n == 10: m.arm(); m.intent(Intent(1, "close", n, n + 500, 0.9))
    if n == 40: print(m.pid, flush=True)
    if n > 40 and len(sys.argv) > 1: time.sleep(1000)
    time.sleep(0.01)
"""


def wait_for_end(pid, seconds=20.0):
    """Whether a process that is no child of ours (or is reaped elsewhere) ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and ") Z" in status.read_text():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_decoder_killed_with_9_leaves_the_hand_held_then_opened_and_the_monitor_ends(tmp_path):
    log = tmp_path / "log.jsonl"
    decoder = subprocess.Popen(
        [sys.executable, "-c", real_time_session(log)], stdout=subprocess.PIPE, text=True
    )
    pid = int(decoder.stdout.readline())
    os.kill(decoder.pid, signal.SIGKILL)
    decoder.wait()
    decoder.stdout.close()
    assert wait_for_end(pid)
    items = [item for item in read_log(log) if not isinstance(item, dict)]
    gone = next(i for i, item in enumerate(items) if isinstance(item, Trouble) and item.cause == "gone")
    moved = [item for item in items[:gone] if isinstance(item, Command) and item.kind == "move"]
    assert moved
    assert isinstance(items[gone + 1], Entered)
    assert items[gone + 1].mode == "hold"
    later = [item for item in items[gone + 2 :] if isinstance(item, Command)]
    assert later[0].kind == "hold"
    assert later[0] is items[gone + 2] or items[gone + 1].before == "hold", "at once, or it was held already"
    opening = [c for c in later if c.kind == "open"]
    assert opening[0].t_us - items[gone].t_us >= 500_000
    assert all(b.setpoint[1] <= a.setpoint[1] for a, b in itertools.pairwise(later))
    assert later[-1].setpoint[1] == 0.0
    assert replay_log(log).identical


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_decoder_that_hangs_leaves_the_hand_held_after_200_ms(tmp_path):
    log = tmp_path / "log.jsonl"
    decoder = subprocess.Popen(
        [sys.executable, "-c", real_time_session(log), "hang"], stdout=subprocess.PIPE, text=True
    )
    pid = int(decoder.stdout.readline())
    time.sleep(0.6)
    decoder.kill()
    decoder.wait()
    decoder.stdout.close()
    assert wait_for_end(pid)
    entered = [item for item in read_log(log) if isinstance(item, Entered)]
    assert any("no fresh signal" in item.cause for item in entered if item.mode == "hold")
    assert replay_log(log).identical


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_monitor_killed_with_9_is_noticed_and_its_log_replays(tmp_path):
    log = tmp_path / "log.jsonl"
    with SafetyMonitor(SLOW, log_path=log, certificate=certificate(), clock="driven") as m:
        moving(m)
        os.kill(m.pid, signal.SIGKILL)
        with pytest.raises(MonitorError, match=r"gone|ended"):
            m.sync()
        assert m.close() == {}
        assert not m.alive
    found = replay_log(log)
    assert found.identical
    assert found.commands > 50


def test_a_monitor_that_cannot_write_its_log_refuses_to_start(tmp_path):
    (tmp_path / "a").write_text("not to be overwritten")
    with pytest.raises(MonitorError, match="refused to start"):
        SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None)
    assert (tmp_path / "a").read_text() == "not to be overwritten"


def test_settings_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(MonitorError, match="clock"):
        SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None, clock="sundial")
    with pytest.raises(MonitorError, match="real time"):
        SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None, clock="driven", hand="ability")
    with pytest.raises(MonitorError, match="no hand is called"):
        SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None, hand="captain hook")


def test_driven_ticks_run_much_faster_than_real_time(tmp_path):
    begun_s = sum(os.times()[:4])  # processor time of this process and, once they have ended, of its children
    with SafetyMonitor(Profile(), log_path=tmp_path / "a", certificate=certificate(), clock="driven") as m:
        board = Board(m)
        board.play(1.0)
        m.arm()
        for _ in range(30):
            board.ask("grasp")
            board.play(4.0)
    assert sum(os.times()[:4]) - begun_s < 120.0 / 50.0  # start and end of the process are in it


def test_close_twice_is_fine_and_calls_after_it_say_so(tmp_path):
    m = SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=None)
    assert m.close() == m.close()
    with pytest.raises(MonitorError):
        m.stop()


def test_a_hand_of_ones_own_is_found_by_its_entry_point(monkeypatch):
    import importlib.metadata

    class Mine:
        baud = 9600

        def __init__(self, link, *, gain):
            self.link, self.gain = link, gain

    class Point:
        def load(self):
            return Mine

    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group, name: [Point()] if name == "mine" else []
    )
    spec = {"name": "mine", "port": "anywhere", "opener": "tests.prosthesis.test_monitor:Opened", "gain": 3}
    hand = make_hand(spec)
    assert (hand.gain, hand.link._link.port, hand.link._link.baud) == (3, "anywhere", 9600)


class Opened:
    """What an opener returns, for the test above."""

    def __init__(self, port, *, baud):
        self.port, self.baud = port, baud


# ---- the pipe


def test_messages_are_the_same_however_the_stream_is_cut():
    messages = [{"do": "a", "x": [1, 2.5, None]}, {"é": "µ"}, {}, {"half a surrogate pair": "\udcff"}]
    data = b"".join(pack(m) for m in messages)
    for size in (1, 2, 3, 7, len(data)):
        reader = MessageReader()
        got = [m for i in range(0, len(data), size) for m in reader.feed(data[i : i + size])]
        assert got == messages


@pytest.mark.parametrize(
    "data", [(LONGEST + 1).to_bytes(4, "little"), b"\2\0\0\0[]", b"\3\0\0\0{x}", b"\1\0\0\0\xff"]
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(PipeError):
        MessageReader().feed(data)


def test_the_process_ends_by_itself_when_nobody_opens_a_session():
    command = [sys.executable, "-m", "bci.prosthesis.monitor_process"]
    assert (
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60).returncode
        == 2
    )


NESTED = b"[" * 500_000


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff garbage", len(NESTED).to_bytes(4, "little") + NESTED])
def test_a_host_that_sends_garbage_after_opening_is_held_and_left(tmp_path, garbage):
    with SafetyMonitor(SLOW, log_path=tmp_path / "a", certificate=certificate(), clock="driven") as m:
        moving(m)
        m._stdin.write(garbage)
        m._stdin.flush()
        until = time.monotonic() + 60
        while m.alive and time.monotonic() < until:
            time.sleep(0.02)
        assert not m.alive
    modes = [item.mode for item in read_log(tmp_path / "a") if isinstance(item, Entered)]
    assert modes[-2:] == ["hold", "fault"]
    assert json.loads((tmp_path / "a").read_text().splitlines()[0])["clock"] == "driven"
