"""The live page: what its server costs, how many pictures a browser gets, and how soon a click holds the hand.

The server is a process of its own, so its share of a core is the processor time that the process took over the time
that passed; other programs on the machine do not advance it. The client is no browser, so that a slow one is not what
is measured. STOP is pressed in a headless Chromium where there is one, and its way ends at the hold command that the
monitor's own log has, on the machine's clock.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from websockets.sync.client import ClientConnection, connect

from bci.acquisition.simulator import DEFAULT_MONTAGE
from bci.chunks import Chunk, SignalInfo
from bci.prosthesis import Profile, SafetyMonitor
from bci.web import LivePage
from benchmarks._measure import Row, say

INFO = SignalInfo(DEFAULT_MONTAGE, Fraction(1000), device="benchmark")
PIXELS = 1440
CHUNK = 4  # samples: 250 chunks a second, as a board sends them


def run(quick: bool) -> list[Row]:
    seconds = 6.0 if quick else 30.0
    with LivePage(INFO) as page:
        _assert_parity(page)
        rows = _real_time(page, seconds)
        rows.append(_hand_over(page, 20 if quick else 100))
        rows.append(_stop(page, 5 if quick else 25))
    return rows


# ---- parity, before anything is timed


def _assert_parity(page: LivePage) -> None:
    """Columns that arrive are minimum and maximum of the samples that were sent."""
    x = np.random.default_rng(1).normal(0, 20, (16, 1500))
    with _client(page, pixels=1000) as ws:
        while json.loads(ws.recv())["is"] != "view":
            pass
        for first in range(0, 1500, CHUNK):
            page.signal(Chunk(np.asfortranarray(x[:, first : first + CHUNK]), first))
            time.sleep(CHUNK / 1000)
        low, high = np.full((16, 150), np.nan), np.full((16, 150), np.nan)
        while np.isnan(low).any():
            data = ws.recv(timeout=10)
            if isinstance(data, bytes):
                n = int.from_bytes(data[8:12], "little")
                first = int(np.frombuffer(data, "<f8", 1, 16)[0])
                low[:, first : first + n], high[:, first : first + n] = np.frombuffer(
                    data, "<f4", offset=32
                ).reshape(2, 16, n)
    parts = x.reshape(16, 150, 10)
    np.testing.assert_array_equal(low, parts.min(axis=2).astype("f4"))
    np.testing.assert_array_equal(high, parts.max(axis=2).astype("f4"))


# ---- in real time


def _real_time(page: LivePage, seconds: float) -> list[Row]:
    """A board of 16 channels at 1 kHz, one browser that looks with filter and notch, one that takes nothing."""
    say(f"16 channels × 1 kHz in real time, {seconds:.0f} s")
    frames = 0
    with _sending(page), _stalled(page) as stalled, _client(page, band="0.5-40", notch_hz=50) as ws:
        skipped, pixels = page.counts["frames_skipped"], 4000
        while page.counts["frames_skipped"] < skipped + 20:  # until what lies in between is full
            pixels -= 1
            with suppress(TimeoutError):
                _ask(stalled, pixels=pixels)
            ws.recv(timeout=10)
        before, started = _counts(page), time.monotonic()
        while time.monotonic() - started < seconds:
            frames += isinstance(ws.recv(timeout=10), bytes)
        passed = time.monotonic() - started
        after = _counts(page)
    cpu = (after["cpu_s"] - before["cpu_s"]) / (after["wall_s"] - before["wall_s"])
    rate = frames / passed
    skipped = after["frames_skipped"] - before["frames_skipped"]
    note = f"band-pass, notch, bands; beside a browser that takes nothing ({skipped} frames kept from it)"
    return [
        Row("frames a second, 16 channels × 1 kHz", "wanted", 1 / rate, 1 / 30, rate, 30.0, note=note),
        Row(
            "server's processor time in a second, meanwhile",
            "allowed",
            cpu,
            0.15,
            cpu,
            0.15,
            at_most=True,
            note=f"{1e3 * cpu * passed / max(frames, 1):.2f} ms of processor time a frame; "
            f"{page.dropped} chunks dropped",
        ),
    ]


def _hand_over(page: LivePage, rounds: int) -> Row:
    """What `signal` costs the thread that acquires: with a server that listens, and with one that stands still."""
    say(f"handing chunks over, {rounds} rounds")
    x = np.asfortranarray(np.zeros((16, CHUNK)))
    n = 400

    def cost(first: int) -> float:
        started = time.thread_time()
        for k in range(n):
            page.signal(Chunk(x, first + CHUNK * k))
        return (time.thread_time() - started) / n

    awake, asleep = [], []
    first = 10**7
    with suppress(ProcessLookupError):
        for _round in range(rounds):
            for frozen, costs in ((False, awake), (True, asleep)):
                first += 10**5
                _freeze(page, frozen)
                costs.append(cost(first))
        _freeze(page, False)
    ratio = float(np.median(np.array(asleep) / np.array(awake)))
    return Row(
        "handing over a chunk, server stopped",
        "server awake",
        float(np.median(asleep)),
        float(np.median(awake)),
        ratio,
        2.0,
        at_most=True,
        note=f"{page.dropped} chunks dropped and counted",
    )


def _freeze(page: LivePage, frozen: bool) -> None:
    import os
    import signal

    if hasattr(signal, "SIGSTOP"):
        os.kill(page.pid, signal.SIGSTOP if frozen else signal.SIGCONT)


# ---- STOP


def _stop(page: LivePage, presses: int) -> Row:
    """From the press in the page to the hold command to the hand, while signal and pictures flow."""
    say(f"STOP, {presses} times")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        with SafetyMonitor(Profile(), log_path=log, certificate=None) as monitor, _sending(page):
            page.stop_address = monitor.stop_address
            with _presser(page) as (press, how):
                pressed_ns = []
                for _ in range(presses):
                    monitor.disarm()
                    pressed_ns.append(press())
                    end = time.monotonic() + 5.0
                    while not monitor.state().stopped:
                        assert time.monotonic() < end, "STOP was not taken"
                        time.sleep(0.005)
            page.stop_address = ""
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    zero_ns = lines[0]["zero_monotonic_ns"]
    held_ns = []
    for k, line in enumerate(lines):
        if line["is"] == "stop" and line["source"] == "page":
            held = next(x for x in lines[k:] if x["is"] == "command" and x["kind"] == "hold")
            held_ns.append(zero_ns + 1000 * held["t_us"])
    assert len(held_ns) == len(pressed_ns), (len(held_ns), len(pressed_ns))
    took_ms = (np.array(held_ns) - np.array(pressed_ns)) * 1e-6
    return Row(
        f"STOP: {how} → hold command, slowest of {presses}, ms",
        "allowed",
        float(np.median(took_ms)) * 1e-3,
        0.1,
        float(took_ms.max()),
        100.0,
        at_most=True,
        note=f"median {np.median(took_ms):.1f} ms",
    )


@contextmanager
def _presser(page: LivePage) -> Iterator[tuple[Callable[[], int], str]]:
    """A function that presses STOP and gives the moment, monotonic ns; and what it presses."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        with _client(page) as ws:
            threading.Thread(target=_swallow, args=(ws,), daemon=True).start()

            def say() -> int:
                now_ns = time.monotonic_ns()
                ws.send(json.dumps({"do": "stop", "number": 1}))
                return now_ns

            yield say, "message"
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(page.url)
        tab.wait_for_function("() => window.bciPage && bciPage.sweep.view && bciPage.frames > 20")

        def click() -> int:
            tab.click("#stop")
            # the page's own clock, when the button went down
            wall_ms = tab.evaluate("bciPage.stop.presses.at(-1).at")
            return int(wall_ms * 1e6) - (time.time_ns() - time.monotonic_ns())

        yield click, "click"
        browser.close()


def _swallow(ws: ClientConnection) -> None:
    with suppress(Exception):
        while True:
            ws.recv()


# ---- helpers


@contextmanager
def _sending(page: LivePage) -> Iterator[None]:
    """A board's signal in real time from a thread."""
    ended = threading.Event()
    noise = np.asfortranarray(np.random.default_rng(0).normal(0, 20, (16, 1000)))

    def send() -> None:
        started, first = time.monotonic(), 0
        while not ended.wait(CHUNK / 1000):
            until = int((time.monotonic() - started) * 1000)
            while first + CHUNK <= until:
                at = first % 1000
                page.signal(Chunk(noise[:, at : at + CHUNK], first))
                first += CHUNK

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _client(
    page: LivePage,
    *,
    band: str = "none",
    notch_hz: int = 0,
    pixels: int = PIXELS,
    line: socket.socket | None = None,
) -> Iterator[ClientConnection]:
    parts = urlsplit(page.url)
    token = parts.query.removeprefix("t=")
    options: dict[str, Any] = {
        "origin": f"http://{parts.netloc}",
        "proxy": None,
        "max_size": None,
        "compression": None,
    }
    headers = {"Cookie": f"bci_{parts.port}={token}"}
    with connect(f"ws://{parts.netloc}/live", sock=line, additional_headers=headers, **options) as ws:
        _ask(ws, band=band, notch_hz=notch_hz, pixels=pixels)
        yield ws


def _ask(ws: ClientConnection, *, band: str = "none", notch_hz: int = 0, pixels: int) -> None:
    view = {"do": "view", "band": band, "notch_hz": notch_hz, "seconds": 10, "pixels": pixels}
    ws.send(json.dumps(view))


@contextmanager
def _stalled(page: LivePage) -> Iterator[ClientConnection]:
    """A browser with small buffers that opens the page and then takes nothing."""
    parts = urlsplit(page.url)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((parts.hostname or "127.0.0.1", parts.port or 0))
    with _client(page, pixels=4000, line=line) as ws:
        yield ws
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


def _counts(page: LivePage) -> dict[str, Any]:
    """Fresh figures of the server: those that it says next."""
    before = page.counts.get("wall_s")
    _wait(page, lambda: page.counts.get("wall_s") != before)
    return page.counts


def _wait(page: LivePage, true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10.0
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"the server says nothing: {page.counts}")
        time.sleep(0.01)
