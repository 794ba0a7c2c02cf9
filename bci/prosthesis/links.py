"""Byte links to a hand, opened inside the monitor's process: `open_link`.

This room imports no serial library. ``socket://HOST:PORT`` is opened here; for anything else the session names an
opener, a callable ``opener(port, baud=…)`` as "module:name", that returns an object with the three methods of `Link`.
"""

from __future__ import annotations

import select
import socket
from importlib import import_module
from typing import Protocol

__all__ = ["Link", "open_link"]

CONNECT_S = 2.0


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
        It is no socket and no opener was named.
    """
    if port.startswith("socket://"):
        return _SocketLink(port)
    if not opener:
        raise ValueError(f"port {port!r}: expected socket://HOST:PORT, or an opener for serial ports")
    module, _, name = opener.partition(":")
    link: Link = getattr(import_module(module), name)(port, baud=baud)
    return link


class _SocketLink:
    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("socket://").rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=CONNECT_S)
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
