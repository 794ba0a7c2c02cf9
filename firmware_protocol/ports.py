"""Ports for `frame-validator live` and `conform`: bytes in, bytes out, and faults in words a person can act on.

The one file of this package that imports pyserial, and only once a port is opened.

- A url is a device path (`/dev/ttyUSB0`, a pseudo-terminal too), a COM name (`COM3`) or `socket://HOST:PORT`.
- A port is opened exclusively, raw, 8N1, without flow control (SPEC 2.1).
- A pseudo-terminal has no bit rate, and some systems refuse unusual ones on it, so it is opened at a common one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firmware_protocol.errors import PortError, PortLostError

__all__ = [
    "Port",
    "errno_of",
    "holders",
    "is_pseudo_terminal",
    "open_port",
    "permission_advice",
    "port_names",
    "terminal_of",
]

_READ_BYTES = 1 << 16
_WRITE_BYTES = 64  # at once: so many leave even a slow line within the time-out
_WRITE_TIMEOUT_S = 2.0
_POLL_S = 0.02  # longest sleep where select cannot wait: changing it per read would set the port up each time
_PTY_BAUD = 115_200
_FORMS = "a device path such as /dev/ttyUSB0, a name such as COM3, or socket://127.0.0.1:PORT"


class Port:
    """An open port, for one thread; `open_port` makes it."""

    def __init__(self, url: str, port: Any, *, waitable: bool) -> None:
        self.url = url
        self._port = port
        self._waitable = waitable
        self._closed = False

    def read(self, timeout_s: float) -> bytes:
        """All bytes that are here; waits at most `timeout_s` for the first one, then gives b"".

        Raises
        ------
        PortLostError
            If the device is gone: unplugged, its program ended, its socket closed.
        """
        try:
            if self._waitable:
                if not select.select([self._port.fileno()], [], [], max(timeout_s, 0.0))[0]:
                    return b""
                return bytes(self._port.read(_READ_BYTES))
            waited_s = 0.0  # the port's own time-out is _POLL_S
            while not (first := bytes(self._port.read(1))) and waited_s < timeout_s:
                waited_s += _POLL_S
            return first + bytes(self._port.read(self._port.in_waiting)) if first else b""
        except (OSError, ValueError, TypeError) as err:  # the last two: a descriptor that is no longer valid
            raise self._lost(err) from err

    def write(self, data: bytes) -> None:
        """Hand `data` to the operating system.

        Raises
        ------
        PortLostError
            If the device is gone, or takes no bytes for 2 s.
        """
        from serial import SerialTimeoutException

        try:
            for at in range(0, len(data), _WRITE_BYTES):
                self._port.write(data[at : at + _WRITE_BYTES])
        except SerialTimeoutException as err:
            text = (
                f"{self.url} took no bytes for {_WRITE_TIMEOUT_S:.0f} s; does the device still read its port?"
            )
            raise PortLostError(text, port=self.url) from err
        except (OSError, ValueError, TypeError) as err:
            raise self._lost(err) from err

    def close(self) -> None:
        """Give the port back; twice is fine."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lost(self, err: Exception) -> PortLostError:
        text = f"lost {self.url} ({_reason(err)}); check cable and power, then open it again"
        return PortLostError(text, port=self.url)


def open_port(url: str, *, baud: int) -> Port:
    """Open a serial port, pseudo-terminal or socket.

    Parameters
    ----------
    url : str
        `/dev/ttyUSB0`, `COM3`, `/dev/pts/4`, `socket://127.0.0.1:5555`.
    baud : int
        Bits per second; of no meaning for pseudo-terminals and sockets.

    Raises
    ------
    PortError
        If it cannot be opened: missing, in use, not permitted, not a port; the message says what to do.
    """
    import serial

    _refuse_what_is_no_port(url)
    is_url = "://" in url
    # Windows' COM handles and pyserial's rarer URLs have no descriptor that select could wait on.
    waitable = url.startswith("socket://") or (not is_url and sys.platform != "win32")
    try:
        port = serial.serial_for_url(
            url,
            baudrate=_PTY_BAUD if is_pseudo_terminal(url) else baud,
            timeout=0 if waitable else _POLL_S,
            write_timeout=_WRITE_TIMEOUT_S,
            exclusive=None if is_url else True,
        )
    except (OSError, ValueError) as err:  # SerialException is an OSError
        raise _why_not_opened(url, baud, err) from err
    return Port(url, port, waitable=waitable)


def port_names() -> list[str]:
    """Serial ports this computer has now; pseudo-terminals and sockets are not among them."""
    from serial.tools import list_ports

    return sorted(str(port.device) for port in list_ports.comports())


def is_pseudo_terminal(url: str) -> bool:
    """Whether a port is no UART but another program's, by its name."""
    return os.path.realpath(url).startswith(("/dev/pts/", "/dev/ttys"))  # Linux, macOS


def holders(url: str) -> list[int]:
    """Processes of this user (of all users, for root) that have the port open. Linux; elsewhere none are known."""
    found = []
    name = os.path.realpath(url)
    for process in Path("/proc").glob("[0-9]*/fd") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError):
            if any(os.path.realpath(fd) == name for fd in process.iterdir()):
                found.append(int(process.parent.name))
    return sorted(found)


def terminal_of(url: str) -> int | None:
    """A process whose controlling terminal this is: somebody's window, and no board. Linux; elsewhere none is known.

    Numbers of pseudo-terminals are given out again: what was a board a second ago may be this now.
    """
    with contextlib.suppress(OSError):
        device = Path(url).stat().st_rdev
        for process in Path("/proc").glob("[0-9]*/stat") if sys.platform == "linux" else ():
            with contextlib.suppress(OSError, ValueError):
                # proc(5): behind the name in brackets come state, ppid, pgrp, session, tty_nr
                tty = int(process.read_bytes().rpartition(b")")[2].split()[4])
                if tty and os.makedev(tty >> 8 & 0xFFF, tty & 0xFF | tty >> 12 & 0xFFF00) == device:
                    return int(process.parent.name)
    return None


def _refuse_what_is_no_port(url: str) -> None:
    """A directory or an ordinary file would open, or fail in ways that explain nothing; somebody's window would do as
    told."""
    path = Path(url)
    if path.is_dir():
        raise PortError(f"{url} is a directory, not a port; expected {_FORMS}", port=url)
    if path.is_file():
        text = f"{url} is a file, not a port; `frame-validator check {url}` reads captures. Expected {_FORMS}"
        raise PortError(text, port=url)
    if is_pseudo_terminal(url) and (pid := terminal_of(url)) is not None:
        text = f"{url} is the terminal of process {pid}, not a port: is the board there no more? Expected {_FORMS}"
        raise PortError(text, port=url)


def _why_not_opened(url: str, baud: int, err: Exception) -> PortError:
    code, text = errno_of(err), str(err)
    if code in (errno.EACCES, errno.EPERM):
        why = f"{url} exists, but this user may not open it. {permission_advice(url)}"
    elif code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "PermissionError" in text:
        # Windows says "access denied" of a port that is in use.
        others = ", ".join(f"process {pid}" for pid in holders(url) if pid != os.getpid())
        named = "" if sys.platform == "win32" else f" (`sudo lsof {url}` names it)"
        why = f"{url} is in use by {others or f'another program{named}'}; end that program and try again"
    elif "://" in url:
        why = f"nothing answers at {url} ({_reason(err)}); does the device run there? Expected {_FORMS}"
    elif code in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or "FileNotFoundError" in text:
        here = ", ".join(port_names()) or "none"
        why = f"there is no port {url}; ports here now: {here}. Is the device on and its cable in?"
    elif code == errno.ENOTTY:
        why = f"{url} is not a serial port; expected {_FORMS}"
    else:
        why = f"{url} did not open at {baud} baud: {_reason(err)}; expected {_FORMS}"
    return PortError(why, port=url)


def permission_advice(url: str) -> str:
    """What to do on this system where a port may not be opened."""
    if sys.platform == "win32":
        return "End other programs that use it, or reinstall the adapter's driver."
    if sys.platform == "darwin":
        return "Allow the adapter's driver in System Settings, Privacy & Security, then plug it in again."
    import grp

    group = "dialout"
    with contextlib.suppress(OSError, KeyError):
        group = grp.getgrgid(Path(url).stat().st_gid).gr_name
    return f"Join the group that owns it: `sudo usermod -aG {group} $USER`, then log out and in again."


def errno_of(err: BaseException | None) -> int | None:
    """Error number of `err` or of what caused it: pyserial keeps some numbers only in the cause."""
    while err is not None:
        if isinstance(err, OSError) and err.errno is not None:
            return err.errno
        if err.args and isinstance(err.args[0], int):  # termios.error
            return err.args[0]
        err = err.__context__
    return None


def _reason(err: Exception) -> str:
    code = errno_of(err)
    if code is None and "readiness to read" in str(err):
        return "it was unplugged, or its program ended"  # pyserial's words for the end of a file
    return os.strerror(code) if code is not None else str(err)
