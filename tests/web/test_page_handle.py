"""`LivePage`: whoever hands over signal never waits, whatever becomes of browser and server."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.sync.client import connect

from bci.chunks import Chunk, SignalInfo
from bci.errors import BciError, PageError
from bci.language import use_language
from bci.web import LivePage
from tests.web.conftest import INFO, Feed, wait_until

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc")

CHUNK = np.asfortranarray(np.random.default_rng(0).normal(0, 10, (16, 4)))


def cost_ns(page, n, first):
    """Processor time of this thread that handing over n chunks takes, each."""
    started = time.thread_time_ns()
    for k in range(n):
        page.signal(Chunk(CHUNK, first + 4 * k))
    return (time.thread_time_ns() - started) / n


def memory_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@posix
@linux
def test_a_server_that_stands_still_costs_the_sender_nothing_and_drops_are_counted(page):
    first = 10**9
    before = min(cost_ns(page, 500, first + k * 2000) for k in range(5))
    os.kill(page.pid, signal.SIGSTOP)
    try:
        dropped = page.dropped
        held = [cost_ns(page, 500, first + 10**6 + k * 2000) for k in range(40)]
        assert page.dropped - dropped >= 40 * 500 - 3000  # two seconds wait, and what lies in the pipe
        assert len(page._chunks) * 4 <= 2 * 1000
        assert min(held) < 5 * before + 20_000
    finally:
        os.kill(page.pid, signal.SIGCONT)
    samples = wait_until(lambda: page.counts, "the server says nothing")["samples"]

    def heard():
        page.signal(Chunk(CHUNK, first + 10**8 + int(time.monotonic() * 1000)))
        return page.counts["samples"] > samples

    wait_until(heard, "the page did not come back")


@linux
def test_a_browser_that_takes_nothing_costs_only_itself(page):
    parts = urlsplit(page.url)
    name = f"bci_{parts.port}={parts.query.removeprefix('t=')}"
    view = json.dumps({"do": "view", "band": "none", "notch_hz": 0, "seconds": 10, "pixels": 4000})
    options = {
        "origin": f"http://{parts.netloc}", "additional_headers": {"Cookie": name}, "proxy": None, "max_size": None
    }  # fmt: skip
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((parts.hostname, parts.port))
    dropped, skipped = page.dropped, wait_until(lambda: page.counts, "no word")["frames_skipped"]
    with (
        connect(f"ws://{parts.netloc}/live", sock=line, max_queue=1, **options) as stalled,
        connect(f"ws://{parts.netloc}/live", **options) as other,
    ):
        stalled.send(view)  # and never reads again: the library takes one message, then the socket fills
        other.send(view)
        seconds = np.asfortranarray(np.zeros((16, 1000)))
        feed = Feed(page)
        feed.next = 2 * 10**9
        frames = 0
        while page.counts["frames_skipped"] - skipped < 20:
            feed.send(seconds, lost=1000)
            while not isinstance(other.recv(timeout=60), bytes):
                pass
            frames += 1
            if frames == 3:
                memory = memory_bytes(page.pid)
            assert frames < 5000
        assert frames > 5  # the other one saw everything meanwhile
        assert page.dropped == dropped
        assert memory_bytes(page.pid) - memory < 60e6
        line.shutdown(socket.SHUT_RDWR)


def test_showing_what_the_page_cannot_show_is_a_mistake(page):
    with pytest.raises(TypeError, match="cannot show electrode, stages"):
        page.show(electrode=[], stages=None)


def test_numbers_of_numpy_and_nan_can_be_shown(page):
    page.show(probabilities={"right": np.float64(0.5), "rest": float("nan")}, hand={"position": np.zeros(6)})
    page.show(probabilities=None, hand=None)


def test_a_port_that_is_taken_is_told_in_words(page):
    port = urlsplit(page.url).port
    with pytest.raises(PageError, match=f"port {port} of this computer cannot be had"):
        LivePage(INFO, port=port)
    assert issubclass(PageError, BciError)


@posix
def test_a_server_that_dies_is_started_again_at_the_same_address():
    info = SignalInfo(("C3", "C4"), Fraction(250))
    use_language("zh")
    with LivePage(info, title="Test") as page:
        page.show(notes=["told before"])
        url, pid = page.url, page.pid
        page._process.kill()

        def again():
            page.signal(Chunk(np.zeros((2, 10), order="F"), 0))
            return page.pid != pid and page.counts and page.url == url

        wait_until(again, "it was not started again", 60.0)
        parts = urlsplit(url)
        cookie = f"bci_{parts.port}={parts.query.removeprefix('t=')}"
        with connect(
            f"ws://{parts.netloc}/live",
            origin=f"http://{parts.netloc}",
            additional_headers={"Cookie": cookie},
            proxy=None,
        ) as ws:
            told = {}
            while told.get("notes") != ["told before"]:
                message = json.loads(ws.recv(timeout=60))
                told |= message.get("state", {})
        ended = page._process
    assert ended.poll() is not None
    page.close()


@posix
def test_the_server_ends_when_its_session_is_killed(tmp_path):
    import subprocess

    script = tmp_path / "session.py"
    script.write_text(
        "from fractions import Fraction\nfrom bci.chunks import SignalInfo\nfrom bci.web import LivePage\nimport time\n"
        "page = LivePage(SignalInfo(('C3',), Fraction(250)))\nprint(page.pid, flush=True)\ntime.sleep(60)\n"
    )
    session = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    pid = int(session.stdout.readline())
    session.kill()
    session.wait()
    session.stdout.close()

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        return stat.exists() and stat.read_text().split(")")[1].split()[0] == "Z"

    wait_until(gone, "the server outlived its session")


class InterruptedStart:
    """A server's process while which starts somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.stdin, self.stdout, self.ended = BytesIO(), self, []

    def readline(self) -> bytes:
        raise KeyboardInterrupt

    def kill(self) -> None:
        self.ended.append("killed")

    def wait(self) -> None:
        self.ended.append("waited for")


def test_ctrl_c_while_the_server_starts_leaves_neither_server_nor_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = InterruptedStart()
    monkeypatch.setattr("bci.web.page._spawn", lambda: server)
    with pytest.raises(KeyboardInterrupt):
        LivePage(INFO)
    assert server.ended == ["killed", "waited for"]
    waiting = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert all(timer.finished.is_set() for timer in waiting), (
        "it would keep the program from ending for a minute"
    )
