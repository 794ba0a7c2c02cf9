"""STOP from outside the decoder's process: a button on a serial line, a web page, another program.

Both kinds of line are read in the monitor's process, so that a decoder that hangs cannot swallow a STOP. Whatever
arrives is STOP, and a line that is lost is STOP too: damage and noise can only stop, never move.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bci.errors import MonitorError
from bci.language import _
from bci.prosthesis.links import Link, open_link

__all__ = ["StopButton", "StopListener", "send_stop"]

#: How soon a closed session lets go of a line.
WAIT_S = 0.1

#: A caller of the listener that says nothing for so long is hung up on.
SILENT_S = 0.5

LONGEST = 200
HEARD = b"stop\n"


class StopButton(threading.Thread):
    """Press for every byte on a link, and once more if it is lost.

    Parameters
    ----------
    spec : mapping
        "port", and "opener", "baud" (9600) and "name" (the port) where wanted; as for a hand.
    press : callable
        Takes the name of the line.

    Raises
    ------
    OSError, ValueError
        The line cannot be opened. A session must not begin with a button that does nothing.
    """

    def __init__(self, spec: Mapping[str, Any], press: Callable[[str], None]) -> None:
        super().__init__(name="stop-button", daemon=True)
        port = str(spec["port"])
        self._source = str(spec.get("name", port))
        self._press = press
        self._closing = threading.Event()
        self._link: Link = open_link(
            port, baud=int(spec.get("baud", 9600)), opener=str(spec.get("opener", ""))
        )

    def run(self) -> None:
        try:
            while not self._closing.is_set():
                if self._link.read(WAIT_S):
                    self._press(self._source)
        except Exception as err:  # serial libraries raise what they like when a plug is pulled
            if not self._closing.is_set():
                self._press(f"{self._source} was lost: {err}")

    def close(self) -> None:
        """Let go of the line."""
        self._closing.set()
        self._link.close()


class StopListener(threading.Thread):
    """Press for whoever connects to `address` on this machine and says something; see `send_stop`."""

    def __init__(self, press: Callable[[str], None]) -> None:
        super().__init__(name="stop-listener", daemon=True)
        self._press = press
        self._closing = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"

    def run(self) -> None:
        try:
            while True:
                caller, _ = self._server.accept()
                threading.Thread(target=self._hear, args=(caller,), daemon=True).start()
        except (OSError, RuntimeError) as err:  # closed, or the machine is out of sockets or threads
            if not self._closing.is_set():
                self._press(f"the line for other programs was lost: {err}")

    def _hear(self, caller: socket.socket) -> None:
        with caller:
            caller.settimeout(SILENT_S)
            try:
                said = caller.recv(LONGEST)
                if said:
                    self._press(said.decode("utf-8", "replace").strip())
                    caller.sendall(HEARD)
            except OSError:
                return  # who connects and says nothing means nothing

    def close(self) -> None:
        """Hear nobody any more."""
        self._closing.set()
        with suppress(OSError):
            # on Linux closing alone does not wake who waits in accept
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def send_stop(address: str, source: str = "web", *, timeout_s: float = 1.0) -> None:
    """STOP the monitor that listens at `SafetyMonitor.stop_address`, from any process of this machine.

    For web pages and other programs: the decoder has no part in it, so it works when the decoder hangs.

    Raises
    ------
    MonitorError
        Nobody there took the STOP. Use another one: the key, the button, the power switch.
    """
    host, _colon, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as line:
            line.sendall(source.encode()[: LONGEST - 1] + b"\n")
            heard = line.recv(len(HEARD))
    except (OSError, ValueError) as err:
        raise MonitorError(
            _("STOP was not taken at {address}: {err}").format(address=address or _("nowhere"), err=err)
        ) from err
    if heard != HEARD:
        raise MonitorError(_("STOP was not confirmed by {address}").format(address=address))
