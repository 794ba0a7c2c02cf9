"""Where the board's bytes leave: a raw pseudo-terminal, or a socket on the loopback interface.

An outlet never blocks. `write` takes what fits now and says how much; what does not fit waits in the board,
which knows which packets may be dropped. `hang_up` is the cable pulled: whoever has the port open gets an I/O
error.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import Protocol

__all__ = ["Outlet", "PtyOutlet", "SocketOutlet", "open_outlet"]

_READ = 4096
_LOWER_NAMES = 256  # pseudo-terminals that may be free below the one that is wanted again
_SEND_BUFFER = 16_384  # small, so that a host which stops reading is felt soon, as behind a serial line


class Outlet(Protocol):
    """`url` is what a host opens."""

    url: str

    @property
    def connected(self) -> bool:
        """False only if it is known that no host has it open."""

    def read(self) -> bytes:
        """What the host has sent; empty if nothing."""

    def write(self, data: bytes | memoryview) -> int:
        """Number of bytes taken; 0 if the way is full."""

    def want_room(self, wanted: bool) -> None:
        """Let the selector also wake when `write` may take something again, or no longer."""

    def hang_up(self) -> None: ...


def open_outlet(transport: str, selector: selectors.BaseSelector, before: Outlet | None = None) -> Outlet:
    """The outlet for "pty", "socket" or "auto" (a pseudo-terminal where the system has them).

    It registers with `selector` whatever must be waited on to hear the host. `before`: one that was hung up, whose name
    is taken again if possible.
    """
    if transport == "socket" or (transport == "auto" and not hasattr(os, "openpty")):
        return SocketOutlet(selector, before if isinstance(before, SocketOutlet) else None)
    return PtyOutlet(selector, before if isinstance(before, PtyOutlet) else None)


class PtyOutlet:
    """A raw pseudo-terminal. The board holds both ends.

    So settings and unread bytes outlive a host that closes the port and opens it again, as they do behind a
    USB adapter, and no end of file reaches the board in between.

    Parameters
    ----------
    selector : BaseSelector
    before : PtyOutlet, optional
        One that was hung up: its name comes back, unless a host still has it open. Until then nobody else gets it, as
        the system numbers no pseudo-terminal anew while one of its ends is held.
    """

    connected = True

    def __init__(self, selector: selectors.BaseSelector, before: PtyOutlet | None = None) -> None:
        import tty  # not on Windows

        self._master, self._slave = os.openpty() if before is None else before._again()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.url = os.ttyname(self._slave)
        self._selector = selector
        self._room_wanted = False
        selector.register(self._master, selectors.EVENT_READ)

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, _READ)
        return b""

    def write(self, data: bytes | memoryview) -> int:
        with contextlib.suppress(BlockingIOError):
            return os.write(self._master, data)
        return 0

    def want_room(self, wanted: bool) -> None:
        if wanted != self._room_wanted:
            self._room_wanted = wanted
            self._selector.modify(self._master, _events(wanted))

    def hang_up(self) -> None:
        """The host reads an error from now on, and nobody finds the port under its name."""
        self._selector.unregister(self._master)
        os.close(self._master)

    def _again(self) -> tuple[int, int]:
        os.close(self._slave)
        opened = [os.openpty()]
        while os.ttyname(opened[-1][1]) != self.url and len(opened) < _LOWER_NAMES:
            opened.append(os.openpty())  # lower numbers are given out first
        *others, found = opened
        for ends in others:
            for end in ends:
                os.close(end)
        return found


class SocketOutlet:
    """`socket://127.0.0.1:PORT`, one host at a time; a second one waits until the first has gone.

    What is sent while nobody is connected is gone, as on a line that nobody listens to.

    Parameters
    ----------
    selector : BaseSelector
    before : SocketOutlet, optional
        One that was hung up: its number comes back, unless another program has taken it meanwhile.
    """

    def __init__(self, selector: selectors.BaseSelector, before: SocketOutlet | None = None) -> None:
        self._listener = _listener(0 if before is None else before._number)
        self._listener.setblocking(False)
        self._number: int = self._listener.getsockname()[1]
        self.url = f"socket://127.0.0.1:{self._number}"
        self._selector = selector
        self._peer: socket.socket | None = None
        self._room_wanted = False
        selector.register(self._listener, selectors.EVENT_READ)

    @property
    def connected(self) -> bool:
        return self._peer is not None

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
        if self._peer is not None:
            try:
                return self._peer.send(data)
            except BlockingIOError:
                return 0
            except OSError:
                self._forget_peer()
        return len(data)

    def want_room(self, wanted: bool) -> None:
        if self._peer is not None and wanted != self._room_wanted:
            self._room_wanted = wanted
            self._selector.modify(self._peer, _events(wanted))

    def hang_up(self) -> None:
        self._forget_peer()
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            peer, _ = self._listener.accept()
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self._peer = peer
            self._room_wanted = False
            self._selector.unregister(self._listener)
            self._selector.register(peer, selectors.EVENT_READ)

    def _forget_peer(self) -> None:
        if self._peer is not None:
            self._selector.unregister(self._peer)
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._peer.close()
            self._peer = None


def _events(room_wanted: bool) -> int:
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if room_wanted else 0)


def _listener(number: int) -> socket.socket:
    with contextlib.suppress(OSError):
        return socket.create_server(("127.0.0.1", number))
    return socket.create_server(("127.0.0.1", 0))
