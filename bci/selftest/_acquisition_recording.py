"""Checks of recordings: programs killed, files cut, disks full."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bci.acquisition import Recording, recover, recover_file
from bci.acquisition.recorder import RecordingWriter
from bci.chunks import Chunk
from bci.selftest._check import Check, Result
from firmware_protocol import Command, Opcode, encode_command
from firmware_protocol.device import DeviceConfig, ReferenceDevice

__all__ = ["CHECKS"]

N_CHANNELS = 8
RATE_HZ = 250
TICK_S = 0.01
MAX_LOST_S = 0.1

#: A program that records a board in real time and says, ten milliseconds each, which sample it was given last.
VICTIM = """
import sys, time
from bci.selftest._acquisition_recording import record_for_ever
record_for_ever(sys.argv[1])
"""


def _counts(first: int, n: int) -> np.ndarray:
    """Samples that follow from their number: a wrong one is seen."""
    index = np.arange(first, first + n, dtype=np.int64)[:, None]
    return (index * 7919 + np.arange(N_CHANNELS) * 1048583) % (1 << 24) - (1 << 23)


class _Wire:
    """What a board sends while it streams, as bytes."""

    def __init__(self) -> None:
        labels = tuple(f"E{k + 1}" for k in range(N_CHANNELS))
        self.device = ReferenceDevice(DeviceConfig(labels=labels, has_status=False, samples_per_frame=4))
        self.device.receive(encode_command(Command(0, 0, 1, Opcode.START, bytes(4))), 0)

    def samples(self, n: int) -> bytes:
        first = self.device.next_sample
        now_us = first * 1_000_000 // RATE_HZ
        self.device.push_samples(_counts(first, n), now_us)
        return self.device.poll(now_us + n * 1_000_000 // RATE_HZ)


def record_for_ever(path: str) -> None:
    """Be a program that records: standard output tells (monotonic ns, sample) of all that was handed over."""
    wire = _Wire()
    writer = RecordingWriter(path, facts={}, wall_clock=datetime.now(UTC))
    began_ns = time.monotonic_ns()
    given = 0
    while True:
        now_ns = time.monotonic_ns()
        due = (now_ns - began_ns) * RATE_HZ // 1_000_000_000 - given
        if due:
            writer.arrived(wire.samples(due), now_ns)
            given += due
            sys.stdout.write(f"{time.monotonic_ns()} {given}\n")
            sys.stdout.flush()
        time.sleep(TICK_S)


def _wrong_samples(chunks: list[Chunk]) -> int:
    scale = 4.5e6 / 24 / (2**23 - 1)
    wrong = 0
    for chunk in chunks:
        expected = _counts(chunk.first_sample, chunk.n_samples).T * scale
        wrong += int((chunk.data_uv != expected).any(axis=0).sum())
    return wrong


def _kill_once(folder: Path, after_s: float) -> tuple[float, int]:
    """Seconds that were lost of what had come, and wrong samples."""
    path, saved = folder / "killed.bfp", folder / "saved.bfp"
    for old in (path, saved):
        old.unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path)], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        said = [victim.stdout.readline()]
        timer = threading.Timer(after_s, victim.kill)  # at any moment, whatever it is doing
        timer.start()
        said += victim.stdout.readlines()
        timer.join()
    last = next(line for line in reversed(said) if line.endswith("\n"))
    given = int(last.split()[1])
    recover_file(path, saved, force=True)
    recording = Recording(saved)
    chunks = [chunk for chunk in recording if chunk.n_samples]
    kept = chunks[-1].end_sample if chunks else 0
    wrong = _wrong_samples(chunks) + recording.statistics.samples_lost + recording.statistics.faults
    return max(0, given - kept) / RATE_HZ, wrong


def _killed(nightly: bool) -> Result:
    n = 200 if nightly else 3
    rng = random.Random(4)
    lost_s, wrong = [], 0
    with tempfile.TemporaryDirectory(prefix="bci-") as folder:
        for _ in range(n):
            seconds, bad = _kill_once(Path(folder), rng.uniform(0.05, 1.5 if nightly else 0.4))
            lost_s.append(seconds)
            wrong += bad
    return Result(
        passed=max(lost_s) <= MAX_LOST_S and wrong == 0,
        measured=f"{n} times: at most {max(lost_s) * 1000:.0f} ms lost, {wrong} wrong samples, all opened",
        figures={"killed": n, "worst_lost_s": max(lost_s), "wrong_samples": wrong},
    )


def _whole_recording(path: Path, seconds: float) -> bytes:
    wire = _Wire()
    writer = RecordingWriter(path, facts={"notes": {}}, wall_clock=datetime.now(UTC), nonce=7)
    for k in range(round(seconds * 50)):
        writer.arrived(wire.samples(RATE_HZ // 50), k * 20_000_000)
    writer.close()
    return path.read_bytes()


def _cut(nightly: bool) -> Result:
    """Every byte of the last 64 KiB; short: every one of the last 2 KiB. Each 512th is opened as a recording."""
    n_bytes = 65_536 if nightly else 2048
    damaged = 0
    with tempfile.TemporaryDirectory(prefix="bci-") as folder:
        path = Path(folder) / "cut.bfp"
        whole = _whole_recording(path, 20.0)
        if len(whole) < n_bytes + 1000:
            raise AssertionError(f"a recording of {len(whole)} bytes is too short for this check")
        ends = [0, *(k + 1 for k, byte in enumerate(whole) if byte == 0)]
        last = len(ends) - 1
        for cut in range(len(whole), len(whole) - n_bytes, -1):
            while ends[last] > cut:
                last -= 1
            found = recover(whole[:cut])
            damaged += found.kept_bytes != ends[last] or found.cut_bytes != cut - ends[last]
            if cut % 512 == 0:
                path.write_bytes(whole[:cut])
                recording = Recording(path)
                chunks = [chunk for chunk in recording if chunk.n_samples]
                damaged += _wrong_samples(chunks) > 0 or recording.statistics.faults > 0
    return Result(
        passed=damaged == 0,
        measured=f"cut at each of the last {n_bytes:,} bytes: all whole packets kept {n_bytes - damaged:,} times",
        figures={"cuts": n_bytes, "packets_lost": damaged},
    )


#: A program that records onto a disk of a few hundred kilobytes while its control loop goes on.
SMALL_DISK = """
import json, resource, sys, time
from datetime import UTC, datetime
from bci.acquisition.recorder import RecordingWriter
from bci.selftest._acquisition_recording import _Wire
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
wire = _Wire()
writer = RecordingWriter(sys.argv[1], facts={}, wall_clock=datetime.now(UTC))
alarm_first, longest, steps, after = "", 0.0, 0, 0
last = time.perf_counter()
while after < 50:
    if writer.alarm and writer.error is None and not alarm_first:
        alarm_first = writer.alarm
    writer.arrived(wire.samples(250), time.monotonic_ns())
    steps += 1
    after += writer.error is not None
    now = time.perf_counter()
    longest, last = max(longest, now - last), now
    time.sleep(0.001)
    last = time.perf_counter()
writer.close()
print(json.dumps({"alarm": alarm_first, "error": str(writer.error), "longest_s": longest, "steps": steps,
                  "samples": wire.device.next_sample}))
"""


def _full_disk(nightly: bool) -> Result:
    if sys.platform == "win32":
        return Result(False, "", skipped="this system has no limit on the size of a process's files")
    limits = [40_000 * k + 17 for k in range(8, 28 if nightly else 10)]
    failures = []
    longest_s = 0.0
    with tempfile.TemporaryDirectory(prefix="bci-") as folder:
        for limit in limits:
            path = Path(folder) / f"{limit}.bfp"
            run = subprocess.run(
                [sys.executable, "-c", SMALL_DISK, str(path), str(limit)],
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                failures.append(f"{limit}: {run.stderr.strip().splitlines()[-1]}")
                continue
            said = json.loads(run.stdout)
            longest_s = max(longest_s, said["longest_s"])
            recording = Recording(path)
            chunks = [chunk for chunk in recording if chunk.n_samples]
            kept = chunks[-1].end_sample if chunks else 0
            if not said["alarm"]:
                failures.append(f"{limit}: no alarm before it was full")
            if "what came before is safe" not in said["error"]:
                failures.append(f"{limit}: {said['error']}")
            if recording.cut_bytes or _wrong_samples(chunks) or recording.statistics.samples_lost or not kept:
                failures.append(f"{limit}: {kept} samples readable, {recording.cut_bytes} bytes cut")
            if limit - path.stat().st_size > 1000:
                failures.append(f"{limit}: only {path.stat().st_size} bytes of it used")
    return Result(
        passed=not failures,
        measured=f"{len(limits)} disks filled: {'; '.join(failures) or 'alarm first, all before it readable'}; "
        f"longest step of the control loop {longest_s * 1000:.0f} ms",
        figures={"disks": len(limits), "failures": len(failures), "longest_step_s": longest_s},
    )


CHECKS = [
    Check(
        "recording-killed",
        "acquisition",
        "recording program killed at random times",
        "≤ 0.1 s lost, no wrong sample, opens with recover, 200 ×",
        _killed,
    ),
    Check(
        "recording-cut",
        "acquisition",
        "recording cut at every byte of its last 64 KiB",
        "all whole packets kept",
        _cut,
    ),
    Check(
        "recording-disk-full",
        "acquisition",
        "disk full while recording",
        "alarm, earlier data readable, control path alive",
        _full_disk,
    ),
]
