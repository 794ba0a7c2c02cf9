"""Where the board's bytes leave: a raw pseudo-terminal, or a socket on the loopback interface.

An outlet never blocks. `write` takes what fits now and says how much; what does not fit waits in the board, which
knows which packets may be dropped. `hang_up` is the cable pulled: whoever has the port open gets an I/O error.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import Protocol

__all__ = ["Outlet", "PtyOutlet", "SocketOutlet", "open_outlet"]

_READ = 4096


class Outlet(Protocol):
    """`url` is what a host opens. `register` adds to a selector whatever must be waited on to hear the host."""

    url: str

    def register(self, selector: selectors.BaseSelector) -> None: ...

    def wait_for_room(self, selector: selectors.BaseSelector, wanted: bool) -> None:
        """Let the selector also wake when `write` may take something again, or no longer."""

    def read(self) -> bytes:
        """What the host has sent; empty if nothing."""

    def write(self, data: bytes | memoryview) -> int:
        """Number of bytes taken; 0 if the way is full or nobody has the port open."""

    def hang_up(self) -> None: ...


def open_outlet(transport: str) -> Outlet:
    """The outlet for "pty", "socket" or "auto" (a pseudo-terminal where the system has them)."""
    if transport == "socket" or (transport == "auto" and not hasattr(os, "openpty")):
        return SocketOutlet()
    return PtyOutlet()


class PtyOutlet:
    """A raw pseudo-terminal. The board holds both ends: so settings and unread bytes outlive a host that closes the
    port and opens it again, as they do behind a USB adapter, and no end of file reaches the board in between.
    """

    def __init__(self) -> None:
        import tty

        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.url = os.ttyname(self._slave)
        self._open = True

    def register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._master, selectors.EVENT_READ)

    def wait_for_room(self, selector: selectors.BaseSelector, wanted: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
        selector.modify(self._master, events)

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, _READ)
        return b""

    def write(self, data: bytes | memoryview) -> int:
        with contextlib.suppress(BlockingIOError):
            return os.write(self._master, data)
        return 0

    def hang_up(self) -> None:
        if self._open:
            self._open = False
            os.close(self._master)
            os.close(self._slave)


class SocketOutlet:
    """`socket://127.0.0.1:PORT`, one host at a time; a second one waits until the first has gone."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._peer: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None

    def register(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ)

    def wait_for_room(self, selector: selectors.BaseSelector, wanted: bool) -> None:
        if self._peer is not None:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
            selector.modify(self._peer, events)

    def read(self) -> bytes:
        if self._peer is None:
            self._accept()
            return b""
        try:
            data = self._peer.recv(_READ)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._forget_peer()
        return data

    def write(self, data: bytes | memoryview) -> int:
        if self._peer is None:
            return 0
        try:
            return self._peer.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._forget_peer()
            return 0

    def hang_up(self) -> None:
        self._forget_peer()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            peer, _ = self._listener.accept()
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Small, so that a host which stops reading is felt soon, as it is behind a serial line
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            self._peer = peer
            if self._selector is not None:
                self._selector.unregister(self._listener)
                self._selector.register(peer, selectors.EVENT_READ)

    def _forget_peer(self) -> None:
        if self._peer is not None:
            if self._selector is not None:
                self._selector.unregister(self._peer)
                self._selector.register(self._listener, selectors.EVENT_READ)
            self._peer.close()
            self._peer = None
