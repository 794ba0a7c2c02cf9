"""Byte links to a hand, opened inside the monitor's process: `open_link`, and `ReopeningLink`, which comes back.

This room imports no serial library. ``socket://HOST:PORT`` is opened here; for anything else the session names an
opener, a callable ``opener(port, baud=…)`` as "module:name", that returns an object with the three methods of `Link`.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Protocol, TypeVar

from bci.language import _, system_reason

__all__ = ["Link", "ReopeningLink", "open_link", "read_answer"]

CONNECT_S = 2.0

#: A lost link is tried again so often.
RETRY_S = 0.5

T = TypeVar("T")


class Link(Protocol):
    """Bytes to and from a hand. Whatever goes wrong is an OSError."""

    def read(self, timeout_s: float) -> bytes:
        """All that has arrived; b"" if nothing came in time."""
        ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def open_link(port: str, *, baud: int, opener: str = "") -> Link:
    """Open `port`.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It is no socket and no opener was named, or the opener is none.
    """
    if port.startswith("socket://"):
        return _SocketLink(port)
    if not opener:
        raise ValueError(
            f"port {port!r}: expected socket://HOST:PORT, or beside a serial port an opener such as "
            "bci.acquisition._serial:SerialPort"
        )
    module, _colon, name = opener.partition(":")
    try:
        opens: Callable[..., Link] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as err:
        raise ValueError(f"opener = {opener!r}: expected MODULE:NAME of a callable ({err})") from err
    return opens(port, baud=baud)


def read_answer(link: Link, take: Callable[[bytes], T | None], answer_s: float) -> T | None:
    """What `take` makes of the bytes that are there, waiting for them no longer than `answer_s`.

    In real time nothing is waited for: an answer is handed on with the next frame. In an accelerated session time
    stands still meanwhile, so there each frame waits for its own answer, and a session is the same on every run.
    """
    until = time.monotonic() + answer_s
    newest = take(link.read(0.0))
    while newest is None and (left_s := until - time.monotonic()) > 0.0:
        newest = take(link.read(left_s))
    return newest


class ReopeningLink:
    """A link that opens itself again when it was lost, in the background; meanwhile every use is an OSError.

    Parameters
    ----------
    opener : callable
        Opens the link, or raises.

    Raises
    ------
    Exception
        What `opener` raises the first time.
    """

    def __init__(self, opener: Callable[[], Link]) -> None:
        self._opener = opener
        self._closing = threading.Event()
        self._link: Link | None = opener()

    def read(self, timeout_s: float) -> bytes:
        link = self._there()
        try:
            return link.read(timeout_s)
        except Exception:
            self._lost(link)
            raise

    def write(self, data: bytes) -> None:
        link = self._there()
        try:
            link.write(data)
        except Exception:
            self._lost(link)
            raise

    def close(self) -> None:
        """Close for good. Twice is fine."""
        self._closing.set()
        if self._link is not None:
            self._link.close()

    def _there(self) -> Link:
        if self._link is None:
            raise ConnectionError("the link was lost and is not open again yet")
        return self._link

    def _lost(self, link: Link) -> None:
        self._link = None
        with suppress(Exception):
            link.close()
        threading.Thread(target=self._reopen, name="reopen", daemon=True).start()

    def _reopen(self) -> None:
        while not self._closing.wait(RETRY_S):
            with suppress(Exception):  # each opener says in its own words that nothing is there yet
                self._link = self._opener()
                return


class _SocketLink:
    def __init__(self, url: str) -> None:
        host, _colon, port = url.removeprefix("socket://").rpartition(":")
        if not (host and port.isdecimal()):
            raise ValueError(f"port {url!r}: expected socket://HOST:PORT")
        try:
            self._socket = socket.create_connection((host, int(port)), timeout=CONNECT_S)
        except (OSError, OverflowError) as err:
            reason = system_reason(err) if isinstance(err, OSError) else str(err)
            raise ConnectionError(
                _("nothing answers at {port} ({reason}): is the hand or its simulator running?").format(
                    port=url, reason=reason
                )
            ) from err
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)

    def read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._socket], [], [], timeout_s)
        if not ready:
            return b""
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("the other side closed the connection")
        return data

    def write(self, data: bytes) -> None:
        sent = self._socket.send(data)  # a full buffer raises: a hand that does not read is a lost hand
        if sent != len(data):
            raise TimeoutError(f"only {sent} of {len(data)} bytes could be sent")

    def close(self) -> None:
        self._socket.close()
