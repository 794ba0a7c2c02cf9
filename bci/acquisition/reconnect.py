"""Which port a lost board may have come back on.

A name is no identity: an adapter that is plugged in again may be another ttyUSB or COM. Its USB serial number is one;
where it has none, every port of the same kind is asked, and the device id of INFO decides. The list of ports is given
from outside; sockets and pseudo-terminals are on no list and come back under their own name or not at all (a
pseudo-terminal that has become somebody's window since is not opened: `_serial.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from bci.acquisition._serial import PortEntry

__all__ = ["PortFinder", "PortLister"]

PortLister = Callable[[], Sequence[PortEntry]]


class PortFinder:
    """Made while the board is there; `candidates` says where to look for it once it is lost.

    Parameters
    ----------
    url : str
        Port on which the board is now.
    ports : callable
        The ports that this computer has at the moment of the call.
    """

    def __init__(self, url: str, ports: PortLister) -> None:
        self._url = url
        self._ports = ports
        name = _real(url)
        self._entry = next((entry for entry in ports() if _real(entry.name) == name), None)

    def candidates(self) -> list[str]:
        """Ports to try now, likeliest first; whether it is the board, its INFO tells."""
        entries = list(self._ports())
        mine = self._entry
        if mine is not None and mine.serial_number:
            return [entry.name for entry in entries if entry.serial_number == mine.serial_number]
        alike = [
            entry.name
            for entry in entries
            if mine is None or (entry.vendor_id, entry.product_id) == (mine.vendor_id, mine.product_id)
        ]
        own = [self._url] if "://" in self._url or Path(self._url).exists() or self._url in alike else []
        return own + [name for name in alike if _real(name) != _real(self._url)]


def _real(url: str) -> str:
    return url if "://" in url else os.path.realpath(url)
