"""The reference device behind a pseudo-terminal of this process, for checks that pull its cable a thousand times."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time

import numpy as np

from firmware_protocol import DeviceConfig, ReferenceDevice

__all__ = ["PtyBoard"]

TICK_S = 0.001


class PtyBoard:
    """Converts at `rate_hz` in real time from START to STOP, cable in or out, until `close`.

    Attributes
    ----------
    url : str
        Where it can be reached now; "" while its cable is out.
    """

    def __init__(self, *, rate_hz: int = 1000, n_channels: int = 8, device_id: str = "check") -> None:
        labels = tuple(f"E{k + 1}" for k in range(n_channels))
        config = DeviceConfig(labels=labels, has_status=False, samples_per_frame=4, device_id=device_id)
        self.device = ReferenceDevice(config)
        self.url = ""
        self.silent = False
        self._rate_hz = rate_hz
        self._master = self._slave = -1
        self._lock = threading.Lock()
        self._outgoing = b""
        self._began_ns = time.monotonic_ns()
        self._started_us: int | None = None
        self._ended = False
        self.plug()
        self._thread = threading.Thread(target=self._run, name="check board", daemon=True)
        self._thread.start()

    def plug(self) -> str:
        """Put the cable in: a new pseudo-terminal, usually of another name."""
        import tty

        with self._lock:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.url = os.ttyname(self._slave)
        return self.url

    def unplug(self) -> int:
        """Pull the cable; monotonic ns at which it came out."""
        with self._lock:
            at_ns = time.monotonic_ns()
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1
            self.url, self._outgoing = "", b""
        return at_ns

    def close(self) -> None:
        """Twice is fine."""
        if not self._ended:
            self._ended = True
            self._thread.join()
            if self.url:
                self.unplug()

    def _run(self) -> None:
        while not self._ended:
            with self._lock:
                if self._master >= 0:
                    self._serve()
                else:
                    self._convert(self._now_us())
                    self.device.poll(self._now_us())  # nobody is there
            master = self._master
            if master >= 0:
                with contextlib.suppress(OSError, ValueError):
                    select.select([master], [], [], TICK_S)
            else:
                time.sleep(TICK_S)

    def _now_us(self) -> int:
        return (time.monotonic_ns() - self._began_ns) // 1000

    def _serve(self) -> None:
        now_us = self._now_us()
        with contextlib.suppress(BlockingIOError):
            self.device.receive(os.read(self._master, 4096), now_us)
        self._convert(now_us)
        if self.silent:
            return
        self._outgoing += self.device.poll(now_us)
        if self._outgoing:
            with contextlib.suppress(BlockingIOError):
                self._outgoing = self._outgoing[os.write(self._master, self._outgoing) :]

    def _convert(self, now_us: int) -> None:
        if not self.device.streaming:
            self._started_us = None
        elif self._started_us is None:
            self._started_us, self._first = now_us, self.device.next_sample
        else:
            due = self._first + (now_us - self._started_us) * self._rate_hz // 1_000_000
            n = due - self.device.next_sample
            if n > 0:
                n_channels = len(self.device.uv_per_count)
                index = np.arange(self.device.next_sample, due)[:, None]
                self.device.push_samples((index + np.arange(n_channels)) % 1000, now_us)
