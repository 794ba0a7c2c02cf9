"""`bci batch` on two workers against one: the same recordings, the same bits, start-up not counted.

Recordings are those of MI-OpenBCI below $BCI_DATA or ../shared/data, each person as an item, more than once; made-up
ones where they are missing. Both sides are warm: libraries loaded, kernels compiled. The wall clock is right on a
machine with two cores to spare; where other programs run, the processor time of the busiest worker says what the wall
clock would show without them, and that is the ratio. The wall clock stands in the note.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bci.batch import Batch, Item, find_items, run_batch
from bci.batch.tasks import evaluate_item
from benchmarks._measure import Row

DATA = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TASK = "benchmarks.batch:timed"
OPTIONS = {"control": False}
TIMES = ("pid", "processor_s")


def run(*, quick: bool) -> list[Row]:
    """One worker, then two, after both were warmed up; results compared bit for bit first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = _items(folder, 4 if quick else 12)
        _once(items[:1], folder / "warm one", 1)
        _once(items[:4], folder / "warm two", 2)
        alone_s, alone = _once(items, folder / "one", 1)
        both_s, both = _once(items, folder / "two", 2)
        assert _results(alone) == _results(both), "two workers gave other results than one"
        total, busiest = sum(_processor(alone).values()), max(_processor(both).values())
    return [
        Row(
            work=f"evaluate {len(items)} people, two workers",
            rival="one worker",
            ours_s=busiest,
            rival_s=total,
            ratio=total / busiest,
            target=1.6,
            note=f"wall clock {alone_s:.1f} s and {both_s:.1f} s: {alone_s / both_s:.2f} ×; same bits",
        )
    ]


def timed(item: Item, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`evaluate`, and what it cost whom."""
    began = time.process_time()
    rows = evaluate_item(item, options)
    for row in rows:
        row["pid"], row["processor_s"] = os.getpid(), time.process_time() - began
    return rows


def _once(items: list[Item], folder: Path, workers: int) -> tuple[float, Batch]:
    began = time.perf_counter()
    batch = run_batch(items, folder, task=TASK, options=OPTIONS, workers=workers)
    took = time.perf_counter() - began
    assert all(record.outcome == "done" for record in batch.records()), [r.reason for r in batch.records()]
    return took, batch


def _results(batch: Batch) -> list[Any]:
    return [
        ([{k: v for k, v in row.items() if k not in TIMES} for row in record.rows], record.detail)
        for record in batch.records()
    ]


def _processor(batch: Batch) -> dict[int, float]:
    """Seconds by process."""
    seconds: dict[int, float] = {}
    for record in batch.records():
        row = record.rows[0]
        seconds[row["pid"]] = seconds.get(row["pid"], 0.0) + row["processor_s"]
    return seconds


def _items(folder: Path, n: int) -> list[Item]:
    source = DATA / "mi_openbci"
    people = find_items(source if source.is_dir() else _made(folder / "made"))
    return [
        replace(people[k % len(people)], name=f"{k:02d} {people[k % len(people)].name}") for k in range(n)
    ]


def _made(folder: Path) -> Path:
    """Four people with three runs of noise whose 10 Hz falls over C3 in every other trial."""
    import edfio

    folder.mkdir()
    rng = np.random.default_rng(0)
    fs, n_trials = 125, 30
    for person in range(4):
        for run_number in (1, 2, 3):
            x = 10 * rng.standard_normal((8, fs * (6 * n_trials + 5)))
            t = np.arange(x.shape[1]) / fs
            notes = []
            for trial in range(n_trials):
                start = 2 + 6 * trial
                depth = 0.3 if trial % 2 else 1.0
                stretch = slice(fs * start, fs * (start + 4))
                x[2, stretch] += 8 * depth * np.sin(2 * np.pi * 10 * t[stretch] + rng.uniform(0, 6))
                notes.append(edfio.EdfAnnotation(start, None, "769" if trial % 2 else "770"))
            names = ("F3", "F4", "C3", "C4", "Cz", "Fz", "P3", "P4")
            signals = [
                edfio.EdfSignal(row, fs, label=label, physical_dimension="uV", physical_range=(-400, 400))
                for row, label in zip(x, names, strict=True)
            ]
            edfio.Edf(signals, annotations=notes).write(folder / f"P{person:02d}_R{run_number}.edf")
    return folder
