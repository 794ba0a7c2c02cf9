"""Figures of the stream: 64 channels at 16 kSPS from file and socket, and a day without growing."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bci.acquisition import Recording, open_source
from bci.acquisition.recorder import RecordingEncoder
from bci.selftest._check import Check, Result
from bci.selftest._sender import start_sender
from bci.selftest._wire_maker import SCALE_UV, WireMaker, expected_counts

__all__ = ["CHECKS"]

WIDE = (64, 16_000, 3)  # channels, Hz, conversions in a packet
LONG = (8, 1000, 16)
BLOCK = 1 << 16
SECONDS_A_DAY = 86_400


def _throughput(nightly: bool) -> Result:
    seconds = 20 if nightly else 2
    times = {"file": _file_s(seconds), "socket": _socket_s(seconds)}
    real_time = {name: seconds / cpu_s for name, (cpu_s, _) in times.items()}
    right = all(ok for _, ok in times.values())
    return Result(
        right and min(real_time.values()) >= 20,
        f"from a file {real_time['file']:.0f} ×, from a socket {real_time['socket']:.0f} × real time on one core, to µV"
        + ("" if right else "; SAMPLES ARE WRONG"),
        {
            "file_times_real_time": real_time["file"],
            "socket_times_real_time": real_time["socket"],
            "exact": right,
        },
    )


def _file_s(seconds: int) -> tuple[float, bool]:
    """CPU seconds that a recording of so many takes to be read to µV, and whether every sample is right."""
    maker = WireMaker(*WIDE)
    encoder = RecordingEncoder(nonce=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.bfp"
        with path.open("wb") as file:
            file.write(encoder.start({"software": "selftest"}))
            file.write(encoder.arrived(maker.info(), 0))
            for k in range(seconds * 10):
                wire = maker.data(WIDE[1] // 10 // WIDE[2])
                for at in range(0, len(wire), BLOCK):
                    file.write(encoder.arrived(wire[at : at + BLOCK], k * 100_000_000 + at))
            file.write(encoder.finish())
        n, right = 0, True
        started_s = time.process_time()
        for chunk in Recording(path):
            n += chunk.n_samples
        used_s = time.process_time() - started_s
        for chunk in Recording(path):
            right &= _exact(chunk.data_uv, chunk.first_sample)
        return used_s, right and n == maker.next_sample


def _socket_s(seconds: int) -> tuple[float, bool]:
    """The same from a socket, through the reader's thread. CPU seconds of the whole process."""
    expected = seconds * 2 * round(0.5 * WIDE[1] / WIDE[2]) * WIDE[2]
    with (
        start_sender("flood", *WIDE, seconds) as (port, _),
        open_source(port, baud=10**9, check_pattern=False) as source,
    ):
        source.start()
        n, right = 0, True
        started_s = time.process_time()
        checking_s = 0.0
        while n < expected:
            for chunk in source.read(5.0):
                n += chunk.n_samples
                before_s = time.process_time()
                right &= _exact(chunk.data_uv[:, :1], chunk.first_sample) and not chunk.lost_before
                checking_s += time.process_time() - before_s
        return time.process_time() - started_s - checking_s, right and not source.statistics.samples_lost


def _exact(data_uv: np.ndarray, first: int) -> bool:
    return np.array_equal(data_uv, (expected_counts(first, data_uv.shape[1], len(data_uv)) * SCALE_UV).T)


def _soak(nightly: bool) -> Result:
    if sys.platform == "win32":
        return Result(True, "not measured", skipped="counts descriptors and memory as POSIX tells them")
    seconds = SECONDS_A_DAY if nightly else 600
    n_expected = seconds * 2 * round(0.5 * LONG[1] / LONG[2]) * LONG[2]
    before: tuple[int, int, int] | None = None
    n = lost = 0
    with (
        start_sender("flood", *LONG, seconds) as (port, _),
        open_source(port, baud=10**9, check_pattern=False) as source,
    ):
        source.start()
        began_s = time.monotonic()
        while n < n_expected:
            for chunk in source.read(5.0):
                n += chunk.n_samples
                lost += chunk.lost_before
            if before is None and n > n_expected // 10:
                before = _resources()
        speed = seconds / (time.monotonic() - began_s)
        after = _resources()
    assert before is not None
    grown_mb = (after[0] - before[0]) / 1e6
    steady = before[1:] == after[1:]
    return Result(
        grown_mb <= 1.0 and steady and not lost and speed >= 100,
        f"{seconds / 3600:.1f} h at {speed:.0f} × real time: memory {grown_mb:+.2f} MB, descriptors and threads "
        f"{'flat' if steady else f'{before[1:]} → {after[1:]}'}, {lost} samples lost",
        {
            "hours": seconds / 3600,
            "speed": speed,
            "memory_grown_mb": grown_mb,
            "flat": steady,
            "samples_lost": lost,
        },
    )


def _resources() -> tuple[int, int, int]:
    """Bytes of memory that are resident, open descriptors, threads."""
    descriptors = len(os.listdir("/dev/fd"))  # noqa: PTH208
    return _resident(), descriptors, threading.active_count()


def _resident() -> int:
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes, the most so far


CHECKS = [
    Check(
        "throughput-64-channels",
        "acquisition",
        "64 channels × 16 kSPS from a file and from a socket, to µV",
        ">= 20 × real time on one core",
        _throughput,
    ),
    Check(
        "soak",
        "acquisition",
        "8 channels × 1 kHz, 24 h simulated, through reader and driver",
        "at >= 100 × real time: memory grows <= 1 MB, descriptors and threads flat, 0 samples lost",
        _soak,
    ),
]
