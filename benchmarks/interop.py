"""Recordings to other formats and back: 64 channels at 1 kHz, against real time, and memory against length.

First the encoder that imports take, many DATA packets at once, against the reference codec one by one: the same bytes.
Each conversion runs in a process of its own; its processor time, start-up and compiling included, is set against the
length of the recording, and its largest resident memory for a long recording against that for a short one. Counts are
the ramp of SPEC 6.6, which uses all 24 bits. `--quick`: 1 and 4 minutes in place of 10 and 60.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bci.selftest._wire_maker import WireMaker
from benchmarks._measure import Row, compare, say
from firmware_protocol import Data, HostWriter, MarkerNote, Start, encode
from firmware_protocol.bulk_encoder import data_headers, encode_data, int24_bytes

N_CHANNELS, RATE_HZ, SAMPLES = 64, 1000, 2  # samples in a packet
TIMES_REAL_TIME = 20
MEMORY = 1.15  # of the long recording over the short one
FORMATS = ("bdf", "edf", "bids", "xdf", "fif", "csv")
BACK = ("bdf", "edf", "xdf", "fif", "csv")
FASTER = 20  # than packet by packet

_CHILD = """
import json, resource, sys, time
from bci.interop import RecordedSignal, export_signal, import_file
what, source, target, name = sys.argv[1:]
began = time.perf_counter()
if what == "export":
    export_signal(RecordedSignal(source), target, to=name)
else:
    import_file(source, target)
used = resource.getrusage(resource.RUSAGE_SELF)
scale = 1 if sys.platform == "darwin" else 1024
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss * scale, time.perf_counter() - began]))
"""


def run(quick: bool) -> list[Row]:
    short, long = (1, 4) if quick else (10, 60)
    rows = [_encoder()]
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        for minutes in (short, long):
            _record(room / f"{minutes}.bfp", minutes)
        for name in FORMATS:
            costs = {}
            for minutes in (short, long):
                target = room / f"out-{minutes}.{name}"
                costs[minutes] = _run("export", room / f"{minutes}.bfp", target, name)
                if name in BACK:
                    costs[-minutes] = _run("import", target, room / "back.bfp", name)
                    (room / "back.bfp").unlink()
                _remove(target)
            rows += _rows(f".bfp → {name}", costs[short], costs[long], short, long)
            if name in BACK:
                rows += _rows(f"{name} → .bfp", costs[-short], costs[-long], short, long)
    return rows


def _encoder() -> Row:
    """A second of 64 channels at 1 kHz, three samples a packet."""
    n_packets, n_samples = 333, 3
    counts = np.random.default_rng(0).integers(
        -(1 << 23), 1 << 23, (n_packets * n_samples, N_CHANNELS), np.int32
    )
    first = np.arange(0, len(counts), n_samples)

    def bulk() -> bytes:
        headers = data_headers(n_packets, n_channels=N_CHANNELS)
        headers["link_seq"], headers["sample_index"], headers["n_samples"] = (
            first // n_samples,
            first,
            n_samples,
        )
        return encode_data(headers, int24_bytes(counts))[0].tobytes()

    def one_by_one() -> bytes:
        return b"".join(
            encode(
                Data(
                    k, 0, n_samples * k, 0, N_CHANNELS, n_samples, 0,
                    int24_bytes(counts[n_samples * k : n_samples * (k + 1)]).tobytes(),
                )
            )
            for k in range(n_packets)
        )  # fmt: skip

    def same(a: bytes, b: bytes) -> None:
        assert a == b

    return compare(
        "encode 333 DATA packets, 64 ch × 3",
        bulk,
        one_by_one,
        rival_name="codec.encode",
        target=FASTER,
        equal=same,
        note="random counts",
    )


def _record(path: Path, minutes: int) -> None:
    """A board's ramp, INFO and HEARTBEAT each second, a cue every ten."""
    say(f"making a recording of {minutes} min")
    maker, notes = WireMaker(N_CHANNELS, RATE_HZ, SAMPLES), HostWriter(1)
    with path.open("wb") as file:
        file.write(notes.encode(Start({"software": "benchmark"})))
        for second in range(minutes * 60):
            file.write(maker.info() + maker.heartbeat())
            if second % 10 == 5:
                file.write(notes.encode(MarkerNote(maker.next_sample, 0, 770, 0, "right")))
            file.write(maker.data(RATE_HZ // SAMPLES))


def _run(what: str, source: Path, target: Path, name: str) -> tuple[float, float, float]:
    """Processor seconds, largest resident bytes, wall seconds."""
    say(f"{what} of {name}, {source.name}")
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, what, str(source), str(target), name],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **threads},
    )
    cpu_s, rss, wall_s = json.loads(done.stdout.splitlines()[-1])
    return float(cpu_s), float(rss), float(wall_s)


def _rows(
    work: str, few: tuple[float, float, float], many: tuple[float, float, float], short: int, long: int
) -> list[Row]:
    length_s = long * 60.0
    return [
        Row(
            f"{work}, {long} min",
            "real time",
            many[0],
            length_s,
            length_s / many[0],
            TIMES_REAL_TIME,
            note=f"{many[2]:.1f} s by the wall clock",
        ),
        Row(
            f"{work}, memory of {long} min",
            f"memory of {short} min",
            math.nan,
            math.nan,
            many[1] / few[1],
            MEMORY,
            at_most=True,
            note=f"{many[1] / 1e6:.0f} MB and {few[1] / 1e6:.0f} MB resident",
        ),
    ]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
