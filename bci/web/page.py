"""`LivePage`: the session's handle of the page's server.

Whatever the browser or the server does, the session does not wait: signal goes through a short queue that a thread
writes out, what does not fit is dropped and counted, and of everything else only the newest value counts.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Any

from bci.chunks import Chunk, SignalInfo
from bci.errors import PageError
from bci.language import _, language, system_reason, thing_word
from bci.processes import own_group
from bci.web._wire import pack_json, pack_signal

__all__ = ["KEYS", "LivePage"]

#: What `show` takes, and so what the page can draw.
KEYS = (
    "electrodes",
    "probabilities",
    "threshold",
    "hand",
    "cue",
    "progress",
    "stage",
    "link",
    "drift",
    "notes",
)

START_S = 60.0
CLOSE_S = 3.0

#: Chunks of the last so many seconds are gathered into one write, so that the session's process wakes up less often.
GATHER_S = 0.015

#: Signal that may wait for the server; what is older is dropped.
QUEUE_S = 2.0

#: A server that dies is started again, but not more often than this.
RESTART_S = 1.0


class LivePage:
    """A page in the browser that shows a session, served by a process of its own. A context manager.

    Parameters
    ----------
    info : SignalInfo
        Channels and rate of the signal that will come.
    title : str
        Heading of the page, in the user's language; never a person's name.
    port : int
        Where to listen on 127.0.0.1; 0 takes a free one.
    lan : bool or str
        Also serve a second screen that can only look: on this machine's address in its network, or on this one.
    stop_address : str, optional
        `SafetyMonitor.stop_address`. STOP then goes from the server's process to the monitor's, past the session. May
        be set later, as the attribute of the same name.

    Attributes
    ----------
    url, second_screen_url : str
        With their tokens; whoever has one can see the page (and, with `url`, press its buttons).

    Raises
    ------
    PageError
        The server could not be started, or the port is taken.

    Examples
    --------
    >>> with LivePage(source.info, title="Signal check") as page:        # doctest: +SKIP
    ...     for chunk in source:
    ...         page.signal(chunk)
    ...         page.show(threshold=0.8, probabilities={"rest": 0.3, "right": 0.7})
    ...         if "quit" in page.actions():
    ...             break
    """

    def __init__(
        self,
        info: SignalInfo,
        *,
        title: str = "",
        port: int = 0,
        lan: bool | str = False,
        stop_address: str | None = None,
    ) -> None:
        self._info = info
        self._options: dict[str, Any] = {
            "channels": info.channels,
            "fs_hz": info.fs_hz,
            "device": thing_word(info.device),
            "title": title,
            "language": language(),
            "port": port,
            "lan": lan,
            "token": secrets.token_urlsafe(24),
            "lan_token": secrets.token_urlsafe(24),
        }
        self._stop_address = stop_address or ""
        self._most = round(QUEUE_S * info.fs_hz)
        self._changed = threading.Condition()
        self._chunks: deque[tuple[Chunk, int]] = deque()
        self._waiting = 0  # samples in `_chunks`
        self._state: dict[str, Any] = {}
        self._news: dict[str, Any] = {}
        self._actions: deque[str] = deque(maxlen=100)
        self._dropped = 0
        self._counts: dict[str, Any] = {}
        self._closing = False
        self._process = self._start()
        self._writer = threading.Thread(target=self._write, name="live-page", daemon=True)
        self._writer.start()

    # ---- what the session says

    def signal(self, chunk: Chunk) -> None:
        """Show this chunk. Never waits: where the server is behind, the oldest waiting signal is dropped."""
        with self._changed:
            self._chunks.append((chunk, time.monotonic_ns()))
            self._waiting += chunk.n_samples
            while self._waiting > self._most and len(self._chunks) > 1:
                self._waiting -= self._chunks.popleft()[0].n_samples
                self._dropped += 1
            self._changed.notify()

    def show(self, **state: Any) -> None:
        """Show these values instead of those before; None takes one away. Never waits.

        Parameters
        ----------
        electrodes : sequence of mapping
            "name", "level" ("good", "fair", "bad"), "findings", "impedance_kohm", "sentence", "advice".
        probabilities : mapping of class to float
        threshold : float
            Probability at which a decision begins to count.
        hand : mapping
            "mode", "position" (6 closures), "contact" (6 bool or None), "cause", "stopped".
        cue : mapping
            "word", "kind" (class), "phase" ("rest", "cue", "task", "pause"), "left_s", "beep".
        progress : mapping
            "done", "total", "left_s", "text".
        stage : mapping
            "title", "text", "buttons": [{"action", "label"}]. An action is taken while its button is shown.
        link : mapping
            "lost", "latency_ms", "faults".
        drift : mapping
            "level", "text".
        notes : sequence of str

        Raises
        ------
        TypeError
            There is no such key.
        """
        if unknown := sorted(set(state) - set(KEYS)):
            raise TypeError(f"the page cannot show {', '.join(unknown)}; it shows {', '.join(KEYS)}")
        with self._changed:
            self._state |= state
            self._news |= state
            self._changed.notify()

    def actions(self) -> list[str]:
        """What was clicked since the last call, oldest first; "stop" where no monitor could take a STOP."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._actions.popleft())
        return taken

    @property
    def stop_address(self) -> str:
        """Where STOP goes, "" while there is no monitor."""
        return self._stop_address

    @stop_address.setter
    def stop_address(self, address: str | None) -> None:
        with self._changed:
            self._stop_address = address or ""
            self._news["stop_address"] = self._stop_address
            self._changed.notify()

    # ---- how the page fares

    @property
    def watchers(self) -> int:
        """Browsers that show the page now, as of the last half second."""
        return int(self._counts.get("watchers", 0))

    @property
    def dropped(self) -> int:
        """Chunks that the page never saw, because the server was behind."""
        return self._dropped

    @property
    def counts(self) -> dict[str, Any]:
        """The server in numbers, as of the last half second: "watchers", "frames", "frames_skipped", "cpu_s", …"""
        return dict(self._counts)

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    def close(self) -> None:
        """End the server; the page says that it has ended. Twice is fine."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify()
        self._writer.join(CLOSE_S)
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> LivePage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the server's process

    def _start(self) -> subprocess.Popen[bytes]:
        process = _spawn()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.write(
                pack_json({"do": "open", **self._options, "stop_address": self._stop_address})
            )
            process.stdin.flush()
        silent = threading.Timer(START_S, process.kill)
        silent.start()
        try:
            line = process.stdout.readline()
        except BaseException:  # Ctrl-C: nobody would close it any more
            process.kill()
            process.wait()
            raise
        finally:
            silent.cancel()
        first = json.loads(line) if line else {}
        if first.get("is") != "ready":
            process.kill()
            process.wait()
            raise PageError(
                _("The live page could not be started: {reason}").format(
                    reason=first.get("reason") or _("its server did not answer")
                )
            )
        self.url = str(first["url"])
        self.second_screen_url = str(first["second_screen_url"])
        self._options["port"] = first["port"]  # one that is started again is found where it was
        self._options["lan_port"] = first["lan_port"]
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()
        return process

    def _write(self) -> None:
        """Thread: write out what waits, and start a server that has died again."""
        started_s = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._chunks or self._news or self._closing)
                chunks, self._chunks, self._waiting = self._chunks, deque(), 0
                news, self._news = self._news, {}
                closing = self._closing
            assert self._process.stdin is not None
            try:
                if news:
                    self._process.stdin.write(pack_json({"do": "show", "state": news}))
                if chunks:
                    self._process.stdin.write(b"".join(pack_signal(c, ns) for c, ns in chunks))
                self._process.stdin.flush()
                if closing:
                    self._process.stdin.close()
            except (OSError, ValueError):
                self._dropped += len(chunks)
                if not closing and time.monotonic() - started_s > RESTART_S:
                    started_s = time.monotonic()
                    self._restart()
            if closing:
                return
            time.sleep(GATHER_S)

    def _restart(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._counts = {}
        with suppress(PageError):
            self._process = self._start()
        if self._closing:
            self._process.kill()
        with self._changed:
            self._news = {**self._state, **self._news, "stop_address": self._stop_address}

    def _read(self, lines: Any) -> None:
        """Thread: keep what the server says."""
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if message.get("is") == "action":
                self._actions.append(str(message["name"]))
            elif message.get("is") == "counts":
                self._counts = message


def _spawn() -> subprocess.Popen[bytes]:
    """The process in a group of its own: Ctrl-C in the terminal is for the session, which then closes the page."""
    command = [sys.executable, "-m", "bci.web.process"]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **own_group())
    except OSError as err:
        raise PageError(
            _("The live page could not be started: {reason}").format(reason=system_reason(err))
        ) from err
