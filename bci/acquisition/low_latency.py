"""The latency timer of USB serial adapters: off where it can be, else the exact way to switch it off.

An adapter of the FTDI kind keeps bytes back until 62 of them are there or its timer, 16 ms as delivered, has run out.
Samples then come in bursts. Linux drivers take the `ASYNC_LOW_LATENCY` flag or a number in sysfs; on macOS the driver
takes `IOSSDATALAT`; on Windows the number stands in the port's settings.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from bci.language import _

__all__ = ["Latency", "advice", "read_latency_ms", "set_low_latency"]

LOW_MS = 1
USUAL_MS = 16
ASYNC_LOW_LATENCY = 1 << 13  # linux/tty_flags.h
TIOCGSERIAL, TIOCSSERIAL = 0x541E, 0x541F
SERIAL_STRUCT = 72  # bytes of struct serial_struct on 64-bit systems; flags is its fifth int
FLAGS_AT = 16
IOSSDATALAT = 0x80085400  # IOKit/serial/ioss.h, _IOW('T', 0, unsigned long)
SYSFS = Path("/sys/bus/usb-serial/devices")


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the adapter keeps bytes back.

    `timer_ms` is None where the adapter has no timer, or does not tell. `fix` is "" if nothing is to be done.
    """

    timer_ms: int | None
    fix: str

    @property
    def low(self) -> bool:
        return not self.fix


def read_latency_ms(url: str, *, sysfs: Path = SYSFS) -> int | None:
    """The timer of a port in ms; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        return int(_timer(url, sysfs).read_text())
    return None


def set_low_latency(fd: int, url: str, *, sysfs: Path = SYSFS) -> Latency:
    """Ask the driver of an open port not to wait.

    Returns
    -------
    latency : Latency
        As it is now. `fix` says what a person has to do if it could not be set from here.
    """
    platform: str = sys.platform  # not narrowed: each system's way is checked on every system
    if platform == "linux":
        _ask_linux(fd)
        timer_ms = read_latency_ms(url, sysfs=sysfs)
        if timer_ms is not None and timer_ms > LOW_MS:
            with contextlib.suppress(OSError):
                _timer(url, sysfs).write_text(f"{LOW_MS}\n")
            timer_ms = read_latency_ms(url, sysfs=sysfs)
        return Latency(timer_ms, advice(url) if timer_ms is not None and timer_ms > LOW_MS else "")
    if platform == "darwin":
        import fcntl

        try:
            fcntl.ioctl(fd, IOSSDATALAT, struct.pack("L", LOW_MS * 1000))
        except OSError:
            return Latency(None, advice(url))
        return Latency(LOW_MS, "")
    return Latency(None, advice(url))


def advice(url: str, *, platform: str = sys.platform) -> str:
    """What a person has to do on this system to switch the timer off."""
    name = Path(url).name
    if platform == "linux":
        now = f"`echo {LOW_MS} | sudo tee {SYSFS / name / 'latency_timer'}`"
        rule = f'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{{latency_timer}}="{LOW_MS}"'
        return _(
            "the adapter of {url} keeps bytes back for up to {ms} ms. Now: {now}. For good, as {file}: {rule}"
        ).format(url=url, ms=USUAL_MS, now=now, file="/etc/udev/rules.d/99-bci-latency.rules", rule=rule)
    if platform == "darwin":
        return _(
            "the driver of {url} did not take a latency of {ms} ms. Use the /dev/cu.* name of the port, and install "
            "the driver of the adapter's maker instead of the one that came with the system"
        ).format(url=url, ms=LOW_MS)
    return _(
        "Device Manager, Ports (COM & LPT), {port}, Properties, Port Settings, Advanced: set Latency Timer (msec) to "
        "{ms}; then plug the adapter in again"
    ).format(port=name, ms=LOW_MS)


def _timer(url: str, sysfs: Path) -> Path:
    return sysfs / Path(os.path.realpath(url)).name / "latency_timer"


def _ask_linux(fd: int) -> None:
    """Set ASYNC_LOW_LATENCY; drivers without it refuse, and have no timer either."""
    import fcntl

    with contextlib.suppress(OSError):
        settings = bytearray(SERIAL_STRUCT)
        fcntl.ioctl(fd, TIOCGSERIAL, settings)
        (flags,) = struct.unpack_from("i", settings, FLAGS_AT)
        struct.pack_into("i", settings, FLAGS_AT, flags | ASYNC_LOW_LATENCY)
        fcntl.ioctl(fd, TIOCSSERIAL, settings)
