"""Boards for these tests, all made of the reference device: one without a port, one behind a real one."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bci.acquisition.link import Arrival, Tap
from firmware_protocol.device import DeviceConfig, ReferenceDevice

CHANNELS = ("Fz", "C3", "Cz", "C4", "Pz", "O1", "Oz", "O2")
CONFIG = DeviceConfig(labels=CHANNELS, has_status=False, samples_per_frame=4)


def counts(first: int, n_samples: int, n_channels: int = 8) -> np.ndarray:
    """Signal of the test boards: values follow from sample number and channel and use all 24 bits."""
    index = np.arange(first, first + n_samples, dtype=np.int64)[:, None]
    channel = np.arange(n_channels, dtype=np.int64)[None, :]
    return ((index * 7919 + channel * 1048583) % (1 << 24)) - (1 << 23)


def expected_uv(first: int, n_samples: int, n_channels: int = 8) -> np.ndarray:
    """What `counts` are in µV at gain 24, shape (n_channels, n_samples)."""
    return (counts(first, n_samples, n_channels) * (4.5e6 / 24 / (2**23 - 1))).T


def stream(
    device: ReferenceDevice, n_samples: int, *, at_us: int = 0, events: dict[int, int] | None = None
) -> bytes:
    """Wire bytes of `n_samples` more conversions of a streaming device; `events`: sample offset to code."""
    wire = b""
    first = device.next_sample
    step_us = 4000
    for k in range(n_samples):
        now_us = at_us + k * step_us
        if events and k in events:
            device.event(1, events[k], now_us=now_us)
        device.push_samples(counts(first + k, 1, len(device.uv_per_count)), now_us)
        wire += device.poll(now_us)
    return wire


class Bench:
    """A link without a port: the device answers in simulated time, which `read` lets pass.

    `deaf` commands get lost on their way to the board. While `mute` nothing comes from it, while `silent` only
    `noise`. `room` is how many bytes a millisecond the line takes; None: all there are.
    """

    port = "bench"
    dropped_bytes = 0

    def __init__(self, device: ReferenceDevice | None = None, *, baud: int = 921_600) -> None:
        self.device = device or ReferenceDevice(CONFIG)
        self.baud = baud
        self.now_ns = 0
        self.sent: list[bytes] = []
        self.deaf = 0
        self.mute = False
        self.silent = False
        self.noise = b""
        self.streams_hz = 0
        self.room: int | None = None
        self.keepalive_s = 0.0
        self._tap: Tap | None = None

    def clock_ns(self) -> int:
        return self.now_ns

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        if self._tap is not None:
            self._tap.sent(data, self.now_ns)
        if self.deaf:
            self.deaf -= 1
        else:
            self.device.receive(data, self.now_ns // 1000)

    def read(self, timeout_s: float) -> list[Arrival]:
        until_ns = self.now_ns + max(round(timeout_s * 1e9), 1_000_000)
        data = b""
        while not data and self.now_ns < until_ns:
            self.now_ns += 1_000_000
            data = self._millisecond()
        if not data:
            return []
        if self._tap is not None:
            self._tap.arrived(data, self.now_ns)
        return [Arrival(data, self.now_ns)]

    def _millisecond(self) -> bytes:
        now_us = self.now_ns // 1000
        if self.device.streaming and (self.streams_hz or self.device.pattern):
            first = self.device.next_sample
            n_channels = len(self.device.uv_per_count)
            self.device.push_samples(counts(first, max(self.streams_hz // 1000, 1), n_channels), now_us)
        noise, self.noise = self.noise, b""
        own = self.device.poll(now_us, self.room)
        return b"" if self.mute else noise if self.silent else noise + own

    def keepalive(self, make: object, *, every_s: float = 1.0) -> None:
        self.keepalive_s = every_s if make else 0.0

    def attach(self, tap: Tap | None) -> None:
        self._tap = tap

    def close(self) -> None:
        self.keepalive_s = 0.0


class PortBoard(threading.Thread):
    """The reference device behind a pseudo-terminal or a socket, converting in real time from START on."""

    def __init__(
        self, kind: str = "pty", *, rate_hz: int = 1000, limit: int | None = None, silent: bool = False
    ) -> None:
        super().__init__(name="test board", daemon=True)
        self.device = ReferenceDevice(replace(CONFIG, queue_bytes=1 << 20))
        self._rate_hz = rate_hz
        self._limit = limit
        self._silent = silent
        self._unplugged = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._outgoing = b""
        if kind == "pty":
            import tty

            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.url = os.ttyname(self._slave)
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
            self._master = self._slave = -1
        self.start()

    def unplug(self) -> None:
        """Pull the cable; twice is fine."""
        if not self._unplugged.is_set():
            self._unplugged.set()
            self._wake_in.send(b"x")
            self.join()
            self._wake_in.close()
            self._wake_out.close()

    def run(self) -> None:
        peer = None
        if self._master < 0:
            ready = select.select([self._listener, self._wake_out], [], [])[0]
            if self._listener in ready:
                peer, _ = self._listener.accept()
                peer.setblocking(False)
                self._serve(peer.fileno())
                peer.close()
            self._listener.close()
        else:
            self._serve(self._master)
            os.close(self._master)
            os.close(self._slave)

    def _serve(self, fd: int) -> None:
        began = time.monotonic()
        started_us: int | None = None
        while not self._unplugged.is_set():
            wants = [fd] if self._outgoing else []
            readable = select.select([fd, self._wake_out], wants, [], 0.002)[0]
            now_us = int((time.monotonic() - began) * 1e6)
            if fd in readable:
                try:
                    data = os.read(fd, 4096)
                except OSError:
                    return
                if not data:
                    return
                if not self._silent:
                    self.device.receive(data, now_us)
            if not self.device.streaming:
                started_us = None
            elif started_us is None:
                started_us, first = now_us, self.device.next_sample
            else:
                due = (now_us - started_us) * self._rate_hz // 1_000_000
                due = due if self._limit is None else min(due, self._limit)
                n = first + due - self.device.next_sample
                if n > 0:
                    self.device.push_samples(counts(self.device.next_sample, n), now_us)
            self._outgoing += self.device.poll(now_us)
            if self._outgoing:
                with contextlib.suppress(BlockingIOError):
                    self._outgoing = self._outgoing[os.write(fd, self._outgoing) :]


@contextlib.contextmanager
def port_board(kind: str = "pty", **options: object) -> Iterator[PortBoard]:
    board = PortBoard(kind, **options)  # type: ignore[arg-type]
    try:
        yield board
    finally:
        board.unplug()
