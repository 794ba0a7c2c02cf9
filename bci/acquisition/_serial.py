"""The one file of the project that imports pyserial: opening a port, and its faults in words a person can
act on.

Rules
-----
- `url` is a device path (`/dev/ttyUSB0`), a COM name (`COM3`) or a pyserial URL (`socket://127.0.0.1:5555`).
- A port is opened exclusively, raw, 8N1, without flow control, behind a lock that tells its holder's process id. A
  pseudo-terminal has no baud rate and some systems refuse to set an unusual one on it, so it is opened at a rate that
  every system grants.
- The adapter is asked not to keep bytes back (`low_latency.py`); `latency` tells what came of it.
- Whatever goes wrong leaves as a `DeviceError`: before the port is open one that says what to do, afterwards
  `DeviceLostError`. A pseudo-terminal whose other side is gone answers EIO or end-of-file: both mean lost.
- `read` returns at once with all that has arrived. Where the port can be waited on by descriptor (POSIX
  devices, sockets everywhere) a socket pair wakes a sleeping read; on Windows pyserial's own cancellation
  does.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from bci.acquisition.low_latency import Latency, set_low_latency
from bci.acquisition.port_lock import PortLock
from bci.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    DevicePermissionError,
    DeviceTimeoutError,
)
from bci.language import N_, _, library_reason, system_reason
from firmware_protocol.ports import errno_of, holders, is_pseudo_terminal, permission_advice, terminal_of

__all__ = ["PortEntry", "SerialPort", "list_port_entries", "port_names"]

_log = logging.getLogger(__name__)

READ_BYTES = 65536
BITS_PER_BYTE = 10  # 8N1
WRITE_TIMEOUT_S = 0.25
POLL_S = (
    0.05  # longest sleep where select cannot wait: changing it per read would reconfigure the port each time
)
PTY_BAUD = 115200  # a termios constant everywhere; macOS refuses other numbers on a pseudo-terminal
FORMS = N_("a device path such as /dev/ttyUSB0, a name such as COM3, or socket://HOST:PORT")


@dataclass(frozen=True, slots=True)
class PortEntry:
    """A serial port that this computer has: its name now, and what its USB adapter says of itself."""

    name: str
    serial_number: str = ""
    description: str = ""
    vendor_id: int | None = None
    product_id: int | None = None


def list_port_entries() -> list[PortEntry]:
    """The serial ports this computer has now; pseudo-terminals and sockets are not among them."""
    return sorted(
        (
            PortEntry(str(p.device), p.serial_number or "", p.description or "", p.vid, p.pid)
            for p in list_ports.comports()
        ),
        key=lambda entry: entry.name,
    )


def port_names() -> list[str]:
    """Names of the serial ports this computer has now; pseudo-terminals and sockets are not among them."""
    return [entry.name for entry in list_port_entries()]


class SerialPort:
    """An open port. One thread may read while another writes; `close` belongs to the one that opened it.

    Raises
    ------
    DeviceNotFoundError, DevicePermissionError, DeviceBusyError
        If the port cannot be opened; the message says what to do next.
    """

    def __init__(self, url: str, *, baud: int) -> None:
        self.url = url
        _refuse_what_is_no_port(url)
        pseudo = is_pseudo_terminal(url)
        self.paced_by_reader = "://" in url or pseudo
        # Only of a real UART the baud rate is the truth; a board with USB of its own ignores it.
        timed = not self.paced_by_reader and not Path(url).name.startswith(("ttyACM", "cu.usbmodem"))
        self.line_byte_ns = BITS_PER_BYTE * 1e9 / baud if timed else 0.0
        self.latency = Latency(None, "")
        self._lock = None if "://" in url else PortLock(url)
        # Windows' COM handles and pyserial's rarer URLs have no descriptor that select could wait on.
        self._waitable = url.startswith("socket://") or ("://" not in url and sys.platform != "win32")
        try:
            self._port: Any = serial.serial_for_url(
                url,
                baudrate=PTY_BAUD if pseudo else baud,
                timeout=0 if self._waitable else POLL_S,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=None if "://" in url else True,
            )
        except BaseException as err:
            if self._lock is not None:
                self._lock.release()
            if isinstance(err, OSError | ValueError):  # SerialException is an OSError
                raise _why_not_opened(url, baud, err) from err
            raise
        if not self.paced_by_reader:
            self._exclude_others()
            self.latency = set_low_latency(self.fileno(), url)
            if self.latency.fix:
                _log.warning("%s", self.latency.fix)
        if self._waitable:
            self._wake_in, self._wake_out = socket.socketpair()
        self._closed = False

    def fileno(self) -> int:
        """Descriptor of the open port, where it has one; -1 elsewhere."""
        try:
            return int(self._port.fileno())
        except (OSError, AttributeError):
            return -1

    def read(self, timeout_s: float) -> bytes:
        """All bytes that are here, after waiting for the first at most `timeout_s`; empty on time-out or
        `wake`.

        Raises
        ------
        DeviceLostError
            On any I/O error, and when the other side of a pseudo-terminal or socket is gone.
        """
        try:
            if self._waitable:
                ready = select.select([self._port.fileno(), self._wake_out], [], [], max(timeout_s, 0.0))[0]
                if self._wake_out in ready:
                    self._wake_out.recv(64)
                return bytes(self._port.read(READ_BYTES))
            first = self._port.read(1)
            return bytes(first + self._port.read(self._port.in_waiting)) if first else b""
        except (OSError, ValueError, TypeError) as err:  # the last two: a descriptor that became invalid
            raise self.lost(_reason(err)) from err

    def write(self, data: bytes) -> None:
        """Hand `data` to the operating system.

        Raises
        ------
        DeviceTimeoutError
            If the port takes no bytes for 250 ms; some of `data` may be out.
        DeviceLostError
            On any I/O error.
        """
        try:
            if self._waitable and sys.platform != "win32":
                self._write_where_there_is_room(data)
            else:
                self._port.write(data)
        except (serial.SerialTimeoutException, BlockingIOError) as err:
            raise DeviceTimeoutError(
                _("{url} took no bytes for {ms:.0f} ms; does the board still run?").format(
                    url=self.url, ms=WRITE_TIMEOUT_S * 1000
                ),
                port=self.url,
            ) from err
        except (OSError, ValueError, TypeError) as err:
            raise self.lost(_reason(err)) from err

    def _write_where_there_is_room(self, data: bytes) -> None:
        """BlockingIOError once there was none for 250 ms.

        pyserial reads a clock instead, and raises although the port has taken everything if this program did not get to
        run for so long: a busy computer would look like a dead board.
        """
        left = memoryview(data)
        while left:
            if not select.select([], [self._port.fileno()], [], WRITE_TIMEOUT_S)[1]:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            left = left[os.write(self._port.fileno(), left) :]

    def wake(self) -> None:
        """Make a sleeping `read` return now; may be called from any thread."""
        with contextlib.suppress(OSError, AttributeError):  # not every pyserial URL can cancel
            if self._waitable:
                self._wake_in.send(b"w")
            else:
                self._port.cancel_read()

    def close(self) -> None:
        """Give the port back; twice is fine."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._port.close()
        if self._lock is not None:
            self._lock.release()
        if self._waitable:
            self._wake_in.close()
            self._wake_out.close()

    def lost(self, reason: str) -> DeviceLostError:
        """What to raise once the port has failed for `reason`."""
        return DeviceLostError(
            _("lost the connection to {url} ({reason}); check cable and power, then open it again").format(
                url=self.url, reason=reason
            ),
            port=self.url,
        )

    def _exclude_others(self) -> None:
        """Programs that heed no lock are refused by the system itself while this one has the port."""
        if sys.platform != "win32":
            import fcntl
            import termios

            with contextlib.suppress(OSError):
                fcntl.ioctl(self.fileno(), termios.TIOCEXCL)


def plain_port(url: str) -> Any:
    """pyserial's own object, as most programs use it: what the reader's figures are compared with."""
    return serial.Serial(url, baudrate=PTY_BAUD, timeout=0.1)


def _refuse_what_is_no_port(url: str) -> None:
    """A directory or an ordinary file would open or fail in ways that explain nothing, somebody's window would do as
    told."""
    path = Path(url)
    kind = _("a directory") if path.is_dir() else _("an ordinary file") if path.is_file() else ""
    if is_pseudo_terminal(url) and (pid := terminal_of(url)) is not None:
        kind = _("the terminal of process {pid}").format(pid=pid)
    if kind:
        raise DeviceNotFoundError(
            _("{url} is {kind}, not a serial port; expected {forms}").format(
                url=url, kind=kind, forms=_(FORMS)
            ),
            port=url,
        )


def _why_not_opened(url: str, baud: int, err: Exception) -> DeviceError:
    code, text = errno_of(err), str(err)
    if code in (errno.EACCES, errno.EPERM):
        return DevicePermissionError(
            _("{url} exists, but this user may not open it. {advice}").format(
                url=url, advice=permission_advice(url)
            ),
            port=url,
        )
    # Windows reports a port that is in use as "access denied".
    if code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "PermissionError" in text:
        others = ", ".join(_("process {pid}").format(pid=pid) for pid in holders(url) if pid != os.getpid())
        who = others or _("another program (on Linux and macOS `sudo lsof {url}` names it)").format(url=url)
        return DeviceBusyError(
            _("{url} is in use by {who}; end that program and try again").format(url=url, who=who), port=url
        )
    if "://" in url:
        return DeviceNotFoundError(
            _(
                "nothing answers at {url} ({reason}); is the board or simulator running there? Expected "
                "{forms}"
            ).format(url=url, reason=_reason(err), forms=_(FORMS)),
            port=url,
        )
    if code == errno.ENOTTY:
        return DeviceNotFoundError(
            _("{url} is not a serial port; expected {forms}").format(url=url, forms=_(FORMS)), port=url
        )
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or "FileNotFoundError" in text:
        here = ", ".join(port_names()) or _("none")
        return DeviceNotFoundError(
            _(
                "there is no port {url}; ports on this computer now: {here}. Is the board on and its cable "
                "in?"
            ).format(url=url, here=here),
            port=url,
        )
    return DeviceNotFoundError(
        _("{url} did not open at {baud} baud: {reason}; expected {forms}").format(
            url=url, baud=baud, reason=_reason(err), forms=_(FORMS)
        ),
        port=url,
    )


def _reason(err: Exception) -> str:
    code = errno_of(err)
    return system_reason(code) if code is not None else library_reason(err)
