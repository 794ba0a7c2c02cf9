"""The board as a process: it comes up, speaks through a real port, and never outlives its host."""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition.simulator import CuedRun, Played, SimulatedBoard, Synthetic, SyntheticEeg
from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise
from bci.chunks import Marker
from bci.errors import DeviceLostError, MontageMismatchError, RecordingError
from bci.interop import SignalFile, write_play_file
from firmware_protocol import (
    Command,
    Data,
    Decoder,
    Event,
    EventCode,
    EventSource,
    Fault,
    Frame,
    Heartbeat,
    Info,
    Opcode,
    Response,
    encode_command,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals and process groups of POSIX")
TIMEOUT_S = 60.0


class Host:
    """The least that can read a port: bytes in, frames out."""

    def __init__(self, url: str) -> None:
        self._socket: socket.socket | None = None
        if url.startswith("socket://"):
            host, port = url.removeprefix("socket://").split(":")
            self._socket = socket.create_connection((host, int(port)))
            self.fd = self._socket.fileno()
        else:
            self.fd = os.open(url, os.O_RDWR | os.O_NOCTTY)
        self._decoder = Decoder()
        self.frames: list[Frame | Fault] = []

    def send(self, opcode: Opcode, payload: bytes = b"", request: int = 1) -> None:
        os.write(self.fd, encode_command(Command(0, 0, request, opcode, payload)))

    def read_until(self, done: Callable[[Frame | Fault], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.1)[0]:
                new = self._decoder.feed(os.read(self.fd, 65536))
                self.frames += new
                if any(done(frame) for frame in new):
                    return
        raise AssertionError(f"not within {TIMEOUT_S} s; {len(self.frames)} frames came")

    def read_run(self) -> None:
        self.read_until(
            lambda f: isinstance(f, Event) and (f.source, f.code) == (EventSource.DEVICE, EventCode.RUN_END)
        )

    def counts(self) -> np.ndarray:
        return np.array([row for f in self.frames if isinstance(f, Data) for row in f.counts()])

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self.fd)


def gone(pid: int) -> bool:
    """Whether a process has ended, within the time a test waits."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    x = np.random.default_rng(0).normal(0, 30, (15, 1500)) + 20_000
    names = tuple(f"E{k}" for k in range(15))
    cue = (Marker(100, "right", 2),)
    runs = [
        SignalFile(Path("x"), names, Fraction(125), part, cue, ("rest", "right"), "uV")
        for part in np.split(x, 2, axis=1)
    ]
    return write_play_file(runs, tmp_path_factory.mktemp("play") / "p.npz"), x


@posix
def test_a_played_recording_comes_through_a_real_port_within_half_a_step(
    recording: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, x = recording
    truth = tmp_path / "truth.jsonl"
    with SimulatedBoard(Played(str(path)), speed=0.0, truth_path=truth) as board:
        assert (board.rate, board.n_runs, board.labels) == (125, 2, {1: "rest", 2: "right"})
        host = Host(board.port)
        for run in (1, 2):
            host.send(Opcode.START, request=2 * run)
            host.read_run()
            host.send(Opcode.STOP, request=2 * run + 1)
        host.read_until(lambda f: isinstance(f, Response) and f.request_id == 5)
        host.close()
    assert not [f for f in host.frames if isinstance(f, Fault)]
    np.testing.assert_allclose(host.counts() * UV_PER_COUNT, x.T, atol=UV_PER_COUNT / 2 * (1 + 1e-6), rtol=0)
    cues = [f.sample_index for f in host.frames if isinstance(f, Event) and f.source == EventSource.TRIGGER]
    assert cues == [100, 850]
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [entry["sample"] for entry in told if "cue" in entry] == [100, 850]
    assert truth.stat().st_mode & 0o077 == 0


@posix
def test_the_wearer_on_the_wire_is_the_wearer_in_python() -> None:
    synthetic = Synthetic(seed=5, runs=(CuedRun(trials_per_class=1),))
    with SimulatedBoard(synthetic, speed=0.0) as board:
        host = Host(board.port)
        host.send(Opcode.START)
        host.read_run()
        host.close()
    eeg = SyntheticEeg(synthetic)
    expected = quantise(eeg.read(0, 0, eeg.run_samples(0))).T
    assert np.abs(host.counts() - expected).max() <= 1  # the head model may differ in its last bit
    cues = [
        (f.sample_index, f.code)
        for f in host.frames
        if isinstance(f, Event) and f.source == EventSource.TRIGGER
    ]
    assert cues == eeg.cues(0)
    assert next(f.labels for f in host.frames if isinstance(f, Info)) == synthetic.montage


def test_a_socket_serves_one_host_after_another(recording: tuple[Path, np.ndarray]) -> None:
    with SimulatedBoard(Played(str(recording[0])), speed=0.0, transport="socket") as board:
        assert board.port.startswith("socket://127.0.0.1:")
        for request in (1, 2):
            host = Host(board.port)
            host.send(Opcode.IDENTIFY, request=request)
            host.read_until(lambda f, wanted=request: isinstance(f, Response) and f.request_id == wanted)
            host.close()


@posix
def test_a_port_may_be_closed_and_opened_again(recording: tuple[Path, np.ndarray]) -> None:
    with SimulatedBoard(Played(str(recording[0]))) as board:
        for request in (1, 2, 3):
            host = Host(board.port)
            host.send(Opcode.IDENTIFY, request=request)
            host.read_until(lambda f, wanted=request: isinstance(f, Response) and f.request_id == wanted)
            host.close()


@posix
def test_unplugging_is_an_io_error_for_the_host_and_plugging_in_a_new_port(
    recording: tuple[Path, np.ndarray],
) -> None:
    with SimulatedBoard(Played(str(recording[0]))) as board:
        host = Host(board.port)
        host.read_until(lambda f: isinstance(f, Heartbeat))
        board.unplug()

        def use() -> None:
            while os.read(host.fd, 4096):
                pass
            os.write(host.fd, b"?")

        with pytest.raises(OSError, match="Input/output") as caught:
            use()
        assert caught.value.errno == errno.EIO
        host.close()
        left = board.port
        assert not Path(left).exists()
        others = [os.openpty() for _ in range(3)]
        assert left not in {os.ttyname(end) for _, end in others}, "kept for it while it is away"
        assert board.plug() == left, "as an adapter comes back under its name"
        for ends in others:
            for end in ends:
                os.close(end)
        host = Host(board.port)
        host.read_until(lambda f: isinstance(f, Heartbeat))
        host.close()


def test_a_socket_that_was_unplugged_comes_back_under_its_number(recording: tuple[Path, np.ndarray]) -> None:
    with SimulatedBoard(Played(str(recording[0])), speed=0.0, transport="socket") as board:
        before = board.port
        board.unplug()
        assert board.plug() == before


@posix
def test_speed_and_faults_are_in_force_when_the_call_returns(
    recording: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    truth = tmp_path / "truth.jsonl"
    with SimulatedBoard(Played(str(recording[0])), truth_path=truth) as board:
        host = Host(board.port)
        host.send(Opcode.START)
        host.read_until(lambda f: isinstance(f, Data))
        board.fault("saturate", channels=["E3"], seconds=1)
        board.speed(0.0)
        host.read_run()
        with pytest.raises(ValueError, match="no fault"):
            board.fault("melt")
        with pytest.raises(ValueError, match="speed"):
            board.speed(-1.0)
        host.close()
    saturated = np.flatnonzero(host.counts()[:, 3] == 2**23 - 1)
    told = next(entry for entry in map(json.loads, truth.read_text().splitlines()) if "fault" in entry)
    assert saturated.tolist() == list(range(told["sample"], told["sample"] + told["n_samples"]))


@posix
def test_the_schedule_of_a_run_is_told_before_it_is_played() -> None:
    synthetic = Synthetic(seed=5, runs=(CuedRun(trials_per_class=1), CuedRun(trials_per_class=2)))
    eeg = SyntheticEeg(synthetic)
    with SimulatedBoard(synthetic) as board:
        assert board.schedule(1) == (eeg.cues(1), eeg.run_samples(1))
        assert board.schedule(0) == (eeg.cues(0), eeg.run_samples(0))


# ---- ends ----


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A signal that needs no head model."""
    run = SignalFile(Path("x"), ("C3",), Fraction(250), np.ones((1, 50)), (), ("rest",), "uV")
    return Played(str(write_play_file([run], tmp_path_factory.mktemp("tiny") / "p.npz")))


@posix
def test_close_ends_the_process_and_may_be_called_twice(tiny: Played) -> None:
    board = SimulatedBoard(tiny)
    assert os.getpgid(board.pid) == board.pid != os.getpgid(0)
    board.close()
    board.close()
    assert gone(board.pid)
    with pytest.raises(DeviceLostError, match="start it again"):
        board.speed(1.0)


@posix
def test_an_exception_and_a_forgotten_handle_leave_no_process_behind(tiny: Played) -> None:
    with pytest.raises(RuntimeError), SimulatedBoard(tiny) as board:
        raise RuntimeError
    assert gone(board.pid)
    pid = SimulatedBoard(tiny).pid
    gc.collect()
    assert gone(pid)


@posix
@pytest.mark.parametrize("forked_child_holds_the_pipe", [False, True])
def test_the_board_is_gone_when_its_host_is_killed(tiny: Played, forked_child_holds_the_pipe: bool) -> None:
    code = (
        "import os, sys, time\n"
        "from bci.acquisition.simulator import SimulatedBoard, Played\n"
        f"board = SimulatedBoard(Played({tiny.path!r}))\n"
        f"child = os.fork() if {forked_child_holds_the_pipe} else -1\n"
        "if child: print(board.pid, child, flush=True)\n"
        "time.sleep(60)\n"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert host.stdout is not None
        pid, child = map(int, host.stdout.readline().split())
        host.kill()
        host.wait()
        assert gone(pid)
    finally:
        host.kill()
        if forked_child_holds_the_pipe:
            os.kill(child, signal.SIGKILL)
        host.communicate()


@posix
def test_a_ctrl_c_for_the_host_is_none_for_the_board(tiny: Played) -> None:
    code = (
        "import os, signal, time\n"
        "from bci.acquisition.simulator import SimulatedBoard, Played\n"
        f"with SimulatedBoard(Played({tiny.path!r})) as board:\n"
        "    try:\n"
        "        os.killpg(0, signal.SIGINT); time.sleep(9)\n"
        "    except KeyboardInterrupt:\n"
        "        board.speed(2.0); print(board.pid)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        check=True,
    )
    assert gone(int(out.stdout))
    assert out.stderr == ""


# ---- what cannot be played ----


def test_a_board_that_cannot_play_says_why_and_leaves_no_process(tiny: Played) -> None:
    with pytest.raises(RecordingError, match="absent"):
        SimulatedBoard(Played("absent.npz"))
    with pytest.raises(MontageMismatchError, match="Q7"):
        SimulatedBoard(Synthetic(montage=("C3", "Q7")))
    with pytest.raises(ValueError, match="no fault"):
        SimulatedBoard(tiny, faults=[{"kind": "melt"}])


def test_starting_a_board_costs_its_host_no_scientific_import() -> None:
    code = (
        "import sys\n"
        "from bci.acquisition.simulator import SimulatedBoard, Synthetic, Played\n"
        "heavy = {'mne', 'scipy', 'numba', 'sklearn', 'serial', 'matplotlib'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
