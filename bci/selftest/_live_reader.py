"""Figures of the reader: latency beside a plain pyserial thread while Python is busy, and what it takes when idle."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from bci.selftest._check import Check, Result
from bci.selftest._sender import start_sender

__all__ = ["CHECKS"]

RATE_HZ = 1000
I64 = NDArray[np.int64]


def _latency(nightly: bool) -> Result:
    if os.name != "posix":
        return Result(True, "not measured", skipped="the reader kernel and pseudo-terminals are POSIX")
    rounds, n_packets = (5, 4000) if nightly else (2, 300)
    ours: list[I64] = []
    plain: list[I64] = []
    cpu_ours: list[float] = []
    cpu_plain: list[float] = []
    with start_sender("paced", n_packets, RATE_HZ) as (port, sender):
        for _ in range(rounds):  # interleaved, so that a computer that is busier for a while is so for both
            for reader, late, cpu in ((_kernel, ours, cpu_ours), (_plain, plain, cpu_plain)):
                late.append(reader(port, sender, n_packets, busy=True)[0])
                cpu.append(reader(port, sender, n_packets, busy=False)[1])
    median = [statistics.median(float(np.median(r)) for r in side) / 1e3 for side in (ours, plain)]
    p99 = [statistics.median(float(np.percentile(r, 99)) for r in side) / 1e3 for side in (ours, plain)]
    cpu_ms = [1e3 * statistics.median(side) for side in (cpu_ours, cpu_plain)]
    lost = sum(n_packets - len(r) for r in ours)
    passed = median[0] <= median[1] / 50 and p99[0] <= p99[1] / 20 and cpu_ms[0] <= cpu_ms[1] / 3 and not lost
    return Result(
        passed,
        f"median {median[0]:.0f} µs beside {median[1]:.0f} (1/{median[1] / median[0]:.0f}), p99 {p99[0]:.0f} µs beside "
        f"{p99[1]:.0f} (1/{p99[1] / p99[0]:.0f}), idle CPU {cpu_ms[0]:.0f} ms/s beside {cpu_ms[1]:.0f} "
        f"(1/{cpu_ms[1] / cpu_ms[0]:.1f}); median of {rounds} rounds",
        {
            "median_us": median[0],
            "plain_median_us": median[1],
            "p99_us": p99[0],
            "plain_p99_us": p99[1],
            "idle_cpu_ms_per_s": cpu_ms[0],
            "plain_idle_cpu_ms_per_s": cpu_ms[1],
            "packets_lost": lost,
        },
    )


def _send(sender: subprocess.Popen[str], n_packets: int) -> I64:
    """Have all packets sent; when each was written."""
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdin.write(f"{n_packets}\n")
    sender.stdin.flush()
    return np.array(json.loads(sender.stdout.readline()), np.int64)


@contextmanager
def _busy(wanted: bool) -> Iterator[None]:
    """A second thread that never lets go of the interpreter by itself."""
    stop = False

    def spin() -> None:
        count = 0
        while not stop:
            count += 1

    thread = threading.Thread(target=spin, daemon=True)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        stop = True
        if wanted:
            thread.join()


def _cpu_s(thread: threading.Thread) -> float:
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


Reader = Callable[..., tuple[I64, float]]


def _kernel(port: str, sender: subprocess.Popen[str], n_packets: int, *, busy: bool) -> tuple[I64, float]:
    """Latencies of the samples that came, ns, and CPU seconds per second of the thread that reads."""
    from bci.acquisition.kernel_link import KernelLink

    link = KernelLink(port, baud=921_600, bank_bytes=1 << 20)
    try:
        thread = next(t for t in threading.enumerate() if t.name == f"read {port}")
        with _busy(busy):
            before = _cpu_s(thread)
            sent_ns = _send(sender, n_packets)
            used = (_cpu_s(thread) - before) / (n_packets / RATE_HZ)
        late = []
        for received in link.receive(1.0):
            late.append(received.arrived_ns - sent_ns[received.batch.data["sample_index"] % n_packets])
        return np.concatenate(late), used
    finally:
        link.close()


def _plain(port: str, sender: subprocess.Popen[str], n_packets: int, *, busy: bool) -> tuple[I64, float]:
    """The same of what most programs do: a thread with pyserial's `read(in_waiting or 1)`."""
    from bci.acquisition._serial import plain_port
    from firmware_protocol.bulk import BulkDecoder

    device = plain_port(port)
    decoder = BulkDecoder()
    came: list[tuple[I64, int]] = []
    stop = False

    def read() -> None:
        while not stop:
            data = device.read(device.in_waiting or 1)
            rows = decoder.feed(data).data["sample_index"].astype(np.int64)
            came.append((rows, time.monotonic_ns()))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        with _busy(busy):
            before = _cpu_s(thread)
            sent_ns = _send(sender, n_packets)
            used = (_cpu_s(thread) - before) / (n_packets / RATE_HZ)
    finally:
        stop = True
        thread.join()
        device.close()
    return np.concatenate([at_ns - sent_ns[rows % n_packets] for rows, at_ns in came]), used


CHECKS = [
    Check(
        "reader-latency",
        "acquisition",
        "sample decoded in the ring, pseudo-terminal, 1 kHz, 8 channels, a busy second Python thread",
        "median <= 1/50, p99 <= 1/20, idle CPU <= 1/3 of a plain pyserial thread",
        _latency,
    ),
]
