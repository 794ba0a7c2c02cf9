"""The server's process: ``python -m bci.web.process``. The session opens it over stdin and ends it by closing that.

Messages come in on stdin (`_wire`), what was clicked goes out on stdout, one JSON object a line. Both are threads of
their own, so that neither a flood nor a session that hangs can keep the event loop from taking a STOP.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import queue
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np

from bci.errors import MonitorError
from bci.language import _, system_reason, use_language
from bci.prosthesis import send_stop
from bci.web._wire import JSON, MessageReader, Samples
from bci.web.gate import Gate
from bci.web.hub import Hub
from bci.web.server import Actions, listen, make_app, make_server, run_ticks
from bci.web.sweep import BANDS, Sweep, View
from bci.web.words import page_words, render_page, static_files

__all__ = ["main"]

COUNTS_S = 0.5
STOP_S = 1.0

#: STOPs that may wait for a monitor that does not answer; more would say nothing new.
MOST_STOPS = 4


class Outbox(threading.Thread):
    """Lines to the session. A session that reads none loses lines, and holds up nothing."""

    def __init__(self) -> None:
        super().__init__(name="outbox", daemon=True)
        self._lines: queue.Queue[str] = queue.Queue(1000)
        self._out = sys.stdout
        sys.stdout = sys.stderr  # nothing else may print between the lines

    def say(self, **message: Any) -> None:
        with suppress(queue.Full):
            self._lines.put_nowait(json.dumps(message))

    def run(self) -> None:
        with suppress(OSError, ValueError):
            while True:
                self._out.write(self._lines.get() + "\n")
                self._out.flush()


class StopWire:
    """STOP, from the page's process straight to the monitor's."""

    def __init__(self, hub: Hub, outbox: Outbox) -> None:
        self._hub, self._outbox = hub, outbox
        self._pool = ThreadPoolExecutor(MOST_STOPS, thread_name_prefix="stop")
        self._waiting = 0
        for _each in range(MOST_STOPS):  # a thread that must first be made is a thread that may come late
            self._pool.submit(time.sleep, 0.01)

    async def press(self) -> dict[str, Any]:
        """Hand a STOP on, and say what became of it."""
        address = self._hub.stop_address
        if not address:
            self._outbox.say(**{"is": "action", "name": "stop"})
            return {"taken": True, "by": "session"}
        if self._waiting >= MOST_STOPS:
            return {"taken": False, "by": "monitor"}
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._pool, _send, address)
        except MonitorError:
            self._outbox.say(**{"is": "action", "name": "stop"})  # the session may still reach it
            return {"taken": False, "by": "monitor"}
        finally:
            self._waiting -= 1
        return {"taken": True, "by": "monitor"}


def _send(address: str) -> None:
    send_stop(address, "page", timeout_s=STOP_S)


class Inbox(threading.Thread):
    """Reads stdin; messages are taken by the event loop."""

    def __init__(self, reader: MessageReader, left: list[tuple[bytes, bytes]]) -> None:
        super().__init__(name="inbox", daemon=True)
        self._reader, self._left = reader, left
        self.hub: Hub | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ended = asyncio.Event()

    def run(self) -> None:
        assert self.loop is not None
        descriptor = sys.stdin.fileno()
        try:
            messages = self._left
            while True:
                if messages:
                    self.loop.call_soon_threadsafe(self._take, messages)
                data = os.read(descriptor, 1 << 16)
                if not data:
                    break
                messages = self._reader.feed(data)
        except (OSError, ValueError, RuntimeError):
            pass  # the session, or our loop, is gone
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.ended.set)

    def _take(self, messages: list[tuple[bytes, bytes]]) -> None:
        assert self.hub is not None
        for kind, body in messages:
            self.hub.take(kind, body)


def main() -> int:
    """Entry point of the process."""
    outbox = Outbox()
    outbox.start()
    reader = MessageReader()
    messages: list[tuple[bytes, bytes]] = []
    while not messages:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        if not data:
            return 2
        messages = reader.feed(data)
    (kind, body), *left = messages
    if kind != JSON:
        return 2
    options = json.loads(body)
    use_language(str(options["language"]))
    try:
        listener = listen("127.0.0.1", int(options["port"]))
        second = _second_listener(options)
    except OSError as err:
        reason = _("port {port} of this computer cannot be had ({reason}); choose another one").format(
            port=options["port"], reason=system_reason(err)
        )
        outbox.say(**{"is": "failed", "reason": reason})
        time.sleep(0.2)
        return 2
    hub = Hub(
        options["channels"],
        fs_hz=float(options["fs_hz"]),
        device=str(options["device"]),
        title=str(options["title"]),
        stop_address=str(options["stop_address"]),
    )
    _warm_up(hub)
    asyncio.run(_serve(hub, outbox, Inbox(reader, left), options, listener, second))
    return 0


async def _serve(
    hub: Hub,
    outbox: Outbox,
    inbox: Inbox,
    options: dict[str, Any],
    listener: socket.socket,
    second: socket.socket | None,
) -> None:
    files = static_files()
    page = render_page(
        files["index.html"],
        language=options["language"],
        title=options["title"] or _("Live signal"),
        words=page_words(files),
    )
    refusals = {
        401: _("This page needs the whole link that the program printed. Open that link again."),
        403: _("This page does not take that from there."),
        421: _("This page answers only at the address that the program printed."),
    }
    stop = StopWire(hub, outbox)
    actions = Actions(stop.press, lambda name: outbox.say(**{"is": "action", "name": name}))
    servers = []
    urls = ["", ""]
    ports = [0, 0]
    for k, (line, token) in enumerate(((listener, options["token"]), (second, options["lan_token"]))):
        if line is None:
            continue
        address, port = line.getsockname()[:2]
        hosts = tuple(f"{name}:{port}" for name in ((address, "localhost") if k == 0 else (address,)))
        gate = Gate(hosts, str(token), f"bci_{port}", read_only=k == 1)
        app = make_app(hub, gate, actions, page=page, files=files, refusals=refusals)
        servers.append((make_server(app), line))
        urls[k], ports[k] = f"http://{address}:{port}/?t={token}", port
    inbox.hub, inbox.loop = hub, asyncio.get_running_loop()
    inbox.start()
    tasks = [asyncio.create_task(server.serve(sockets=[line])) for server, line in servers]
    tasks += [asyncio.create_task(run_ticks(hub)), asyncio.create_task(_count(hub, outbox))]
    gc.collect()
    gc.freeze()  # what stays for good need not be looked through again
    outbox.say(
        **{
            "is": "ready",
            "url": urls[0],
            "second_screen_url": urls[1],
            "port": ports[0],
            "lan_port": ports[1],
        }
    )
    await inbox.ended.wait()
    hub.end()
    for viewer in hub.viewers:
        viewer.ticked.set()
    await asyncio.sleep(0.1)  # so that pages can say that the session has ended
    for server, _line in servers:
        server.should_exit = True
        server.force_exit = True
    await asyncio.wait(tasks[: len(servers)], timeout=1.0)
    os._exit(0)  # a thread may still wait for a monitor that does not answer


async def _count(hub: Hub, outbox: Outbox) -> None:
    """Tell the session twice a second how the server fares."""
    while True:
        outbox.say(
            **{
                "is": "counts",
                "watchers": sum(not viewer.read_only for viewer in hub.viewers),
                "second_screens": sum(viewer.read_only for viewer in hub.viewers),
                "frames": hub.frames,
                "frames_skipped": hub.skipped,
                "samples": hub.samples,
                "cpu_s": time.process_time(),
                "wall_s": time.monotonic(),
            }
        )
        await asyncio.sleep(COUNTS_S)


def _second_listener(options: dict[str, Any]) -> socket.socket | None:
    lan = options["lan"]
    if not lan:
        return None
    return listen(lan if isinstance(lan, str) else own_address(), int(options.get("lan_port", 0)))


def own_address() -> str:
    """This machine's address in its network. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of the range for documentation: only the route is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostbyname(socket.gethostname())


def _warm_up(hub: Hub) -> None:
    """Load and compile every filter now: once the page runs, nothing may keep the loop from a STOP."""
    n = len(hub.channels)
    nothing = Samples(np.zeros((n, 8), order="F"), 0, 0)
    for band in BANDS:
        Sweep(View(band, notch_hz=50), n_channels=n, fs_hz=hub.fs_hz).process(nothing)


if __name__ == "__main__":
    raise SystemExit(main())
