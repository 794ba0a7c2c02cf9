"""The board's UART and what is plugged into it: packets take their time on the line, then they are the port's.

A packet is on the line for as long as its bits need at the stated baud and leaves as its last bit does, so no byte ever
arrives early. If the port is full the line waits, and the device's queue fills.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from bci.acquisition.simulator._clock import BoardClock
from bci.acquisition.simulator._devices import Device
from bci.acquisition.simulator._faults import WireFaults
from bci.acquisition.simulator._outlets import Outlet
from firmware_protocol.limits import MAX_PACKET

__all__ = ["Uart"]

_BITS_PER_BYTE = 10  # 8N1
_AHEAD_US = 5000  # real time for which it is given packets: longer than this program oversleeps
_BACKLOG = 16_384  # bytes that may wait for the host at speed 0


class Uart:
    """From the device's queue over the line to the port.

    Parameters
    ----------
    baud : float
    faults : WireFaults
        What befalls bytes on the line.
    monotonic_ns : callable
    """

    # what a boot empties
    _line: deque[tuple[float, bytes]]  # (device time at which its last bit is out, packet)
    _free_us: float
    _outgoing: bytearray  # off the line, not yet taken by the port
    _silent_until_ns: int

    def __init__(self, baud: float, faults: WireFaults, monotonic_ns: Callable[[], int]) -> None:
        self.outlet: Outlet | None = None
        self.faults = faults
        self._byte_us = _BITS_PER_BYTE * 1e6 / baud
        self._monotonic_ns = monotonic_ns
        self.boot(0)

    def boot(self, at_us: float) -> None:
        self._line = deque()
        self._free_us = at_us
        self._outgoing = bytearray()
        self._silent_until_ns = 0

    def stall(self, seconds: float) -> None:
        """Let nothing out for so long."""
        self._silent_until_ns = self._monotonic_ns() + int(seconds * 1e9)

    @property
    def silent(self) -> bool:
        return self._monotonic_ns() < self._silent_until_ns

    @property
    def host_takes_more(self) -> bool:
        """At speed 0: whether somebody is there and does not lag behind."""
        reachable = self.outlet is not None and self.outlet.connected and not self.silent
        return reachable and len(self._outgoing) < _BACKLOG

    @property
    def next_out_us(self) -> float | None:
        """Device time at which the next packet is off the line, if the port waits for it."""
        return self._line[0][0] if self._line and not self._outgoing else None

    def read(self) -> bytes:
        return self.outlet.read() if self.outlet is not None else b""

    def transmit(self, device: Device, clock: BoardClock, speed: float) -> None:
        """Take from the device what the line has room for, and give the port what is off the line."""
        now_us = clock.now_us()
        self._write()
        if self.silent:
            return
        if speed:
            while not self._outgoing and self._free_us <= now_us + _AHEAD_US * speed:
                packet = device.poll(now_us, MAX_PACKET + 4)
                if not packet:
                    break
                self._free_us = max(self._free_us, now_us) + len(packet) * self._byte_us
                self._line.append((self._free_us, packet))
        elif len(self._outgoing) < _BACKLOG:
            self._line.append((now_us, device.poll(now_us)))
        while self._line and (not speed or self._line[0][0] <= now_us):
            self._outgoing += self.faults.pass_on(self._line.popleft()[1])
        self._write()

    def hang_up(self) -> None:
        """Pull the cable; what was meant for it is gone."""
        if self.outlet is not None:
            self.outlet.hang_up()
            self.outlet = None
            self._outgoing.clear()

    def _write(self) -> None:
        if self.outlet is None:
            self._outgoing.clear()
            return
        if self._outgoing:
            with memoryview(self._outgoing) as view:
                taken = self.outlet.write(view)
            del self._outgoing[:taken]
        self.outlet.want_room(bool(self._outgoing))
