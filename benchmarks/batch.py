"""`bci batch` on two workers against one: the same recordings, the same bits, start-up not counted.

Recordings are those of MI-OpenBCI below $BCI_DATA or ../shared/data, each person as an item (trained on one run, tested
on another, cued trials), twice; made-up ones where they are missing. One worker is this process, two are processes of
joblib's, and two more of a dask cluster on this machine. All are warm before anything is timed: libraries loaded,
kernels compiled. Linear algebra runs on one thread everywhere. The tables of all three must be the same file.

The wall clock is right on a machine with two cores to spare. Where other programs run, processor time says what the
wall clock would show without them: of two workers that of the busier one and all of the process that hands out the
work, as if nothing of it happened meanwhile. That is the ratio; the wall clock stands in the note. About a minute on
two idle cores.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bci.batch import Item, find_items, run_batch
from bci.batch.table import write_csv
from bci.batch.tasks import evaluate_item
from benchmarks._measure import Row, say

DATA = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TASK = "benchmarks.batch:timed"
OPTIONS = {"control": False, "train": ["R1"], "test": ["R2"]}
TIMES = "times"  # option: the folder in which workers note their processor time


@dataclass(frozen=True, slots=True)
class Taken:
    """What one pass over the items took, and its table."""

    wall_s: float
    own_s: float  # processor time of this process
    workers_s: tuple[float, ...]  # of each other process that worked
    table: bytes

    @property
    def processor_s(self) -> float:
        """The wall clock with a core for each process, at most."""
        return self.own_s + max(self.workers_s, default=0.0)


def run(*, quick: bool) -> list[Row]:
    """One worker, two of joblib, two of dask; each warmed up first, tables compared byte for byte."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = _items(folder, 4 if quick else 8)
        _pass("one worker, warming up", items[:1], folder / "warm one")
        alone = _pass("one worker", items, folder / "one")
        _pass("two workers, warming up", items[:4], folder / "warm two", workers=2)
        both = _pass("two workers", items, folder / "two", workers=2)
        assert both.table == alone.table, "two workers gave another results.csv than one"
        rows = [_row("two workers", len(items), alone, both, target=1.6)]
        with _cluster() as address:
            if not address:
                return rows
            _pass("two workers of dask, warming up", items[:4], folder / "warm dask", scheduler=address)
            dask = _pass("two workers of dask", items, folder / "dask", scheduler=address)
        assert dask.table == alone.table, "a cluster gave another results.csv than one worker"
        # its scheduler and client run in this process and cost it time: no target, shown for what it is
        return [
            *rows,
            _row("two workers of a dask LocalCluster", len(items), alone, dask, target=float("nan")),
        ]


def timed(item: Item, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`evaluate`, and a note beside it of whose processor time it took."""
    began = time.process_time()
    rows = evaluate_item(item, {name: value for name, value in options.items() if name != TIMES})
    note = f"{os.getpid()} {time.process_time() - began}\n"
    with Path(options[TIMES], f"{os.getpid()}.txt").open("a", encoding="ascii") as file:
        file.write(note)
    return rows


def _row(ours: str, n: int, alone: Taken, both: Taken, *, target: float) -> Row:
    return Row(
        work=f"evaluate {n} people, {ours}",
        rival="one worker",
        ours_s=both.processor_s,
        rival_s=alone.processor_s,
        ratio=alone.processor_s / both.processor_s,
        target=target,
        note=f"wall clock {alone.wall_s:.1f} s and {both.wall_s:.1f} s: {alone.wall_s / both.wall_s:.2f} ×; "
        "the same results.csv",
    )


def _pass(what: str, items: list[Item], folder: Path, *, workers: int = 1, scheduler: str = "") -> Taken:
    times = folder.with_name(f"{folder.name} times")
    times.mkdir()
    began, own = time.perf_counter(), time.process_time()
    batch = run_batch(
        items,
        folder,
        task=TASK,
        options={**OPTIONS, TIMES: str(times)},
        workers=workers,
        scheduler=scheduler,
        progress=lambda step: say(f"{what}: {step.done} of {step.total}"),
    )
    wall_s, own_s = time.perf_counter() - began, time.process_time() - own
    assert all(record.outcome == "done" for record in batch.records()), [r.reason for r in batch.records()]
    write_csv(batch, folder / "results.csv")
    spent: defaultdict[str, float] = defaultdict(float)
    for file in times.iterdir():
        for line in file.read_text(encoding="ascii").splitlines():
            pid, seconds = line.split()
            spent[pid] += float(seconds)
    others = tuple(seconds for pid, seconds in spent.items() if int(pid) != os.getpid())
    return Taken(wall_s, own_s, others, (folder / "results.csv").read_bytes())


@contextmanager
def _cluster() -> Iterator[str]:
    """Address of two workers behind a scheduler on this machine; "" where dask.distributed is not installed."""
    try:
        import distributed
    except ImportError:
        say("dask.distributed is not installed (pip install 'bci-hand[cluster]'): that row is left out")
        yield ""
        return
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


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
