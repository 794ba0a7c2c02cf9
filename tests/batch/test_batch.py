"""Many recordings: nothing that one of them does ends the run, and who works on them changes no bit."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.batch import Item, find_items, run_batch
from bci.batch.report import write_report
from bci.batch.table import write_csv, write_parquet
from bci.errors import BatchError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills workers by a signal")
HERE = "tests.batch.made_tasks"


def made(folder: Path, *names: str) -> list[Item]:
    """Files of noise, an item each."""
    folder.mkdir(exist_ok=True)
    items = []
    for seed, name in enumerate(names):
        path = folder / f"{name}.edf"
        path.write_bytes(np.random.default_rng(seed).bytes(70_000))
        items.append(Item(name, path, name, (path,)))
    return items


def bits_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "items").iterdir())}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two worker processes behind a scheduler on this machine."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        yield local.scheduler_address


# ---- the same bits ----


def test_one_process_two_of_this_machine_and_a_cluster_give_the_same_bits(
    tmp_path: Path, cluster: str
) -> None:
    items = made(tmp_path / "in", *"abcdef")
    run_batch(items, tmp_path / "one", task=f"{HERE}:spectrum_of")
    run_batch(items, tmp_path / "two", task=f"{HERE}:spectrum_of", workers=2)
    run_batch(items, tmp_path / "cluster", task=f"{HERE}:spectrum_of", scheduler=cluster)
    first = bits_of(tmp_path / "one")
    assert len(first) == 6
    assert len(set(first.values())) == 6
    assert bits_of(tmp_path / "two") == first
    assert bits_of(tmp_path / "cluster") == first


# ---- workers that die ----


def test_a_worker_that_is_killed_costs_nothing_and_an_item_that_kills_is_named(tmp_path: Path) -> None:
    items = made(tmp_path / "in", "a", "always", "b", "c", "once", "z")
    options = {"marks": str(tmp_path), "parent": os.getpid()}
    batch = run_batch(items, tmp_path / "out", task=f"{HERE}:deadly", options=options, workers=2)
    outcomes = {record.item: record.outcome for record in batch.records()}
    assert outcomes == {"a": "done", "always": "lost", "b": "done", "c": "done", "once": "done", "z": "done"}
    (lost,) = [record for record in batch.records() if record.outcome == "lost"]
    assert "process died" in lost.reason
    assert all(row["pid_differs"] for record in batch.records() for row in record.rows)


def test_a_worker_of_a_cluster_that_is_killed_costs_nothing(tmp_path: Path, cluster: str) -> None:
    items = made(tmp_path / "in", "a", "b", "once", "z")
    options = {"marks": str(tmp_path), "parent": os.getpid()}
    batch = run_batch(items, tmp_path / "out", task=f"{HERE}:deadly", options=options, scheduler=cluster)
    assert [record.outcome for record in batch.records()] == ["done"] * 4


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    made(tmp_path / "in", *"abcdefgh")
    code = (
        "import sys, time, pathlib\n"
        "import bci.batch.running as running\n"
        "from bci.batch import find_items, run_batch\n"
        "def slow(step): print(step.done, flush=True); time.sleep(60 if step.done == 3 else 0)\n"
        f"items = find_items({str(tmp_path / 'in')!r}, each='recording')\n"
        f"run_batch(items, pathlib.Path({str(tmp_path / 'out')!r}), task='{HERE}:spectrum_of', progress=slow)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"3\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    before = bits_of(tmp_path / "out")
    assert len(before) == 3
    kept = []
    items = find_items(tmp_path / "in", each="recording")
    run_batch(
        items,
        tmp_path / "out",
        task=f"{HERE}:spectrum_of",
        progress=lambda step: kept.append(step.kept),
    )
    assert kept == [True] * 3 + [False] * 5
    after = bits_of(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert [p.name for p in (tmp_path / "out" / "items").iterdir() if p.name.startswith(".")] == []


# ---- bad recordings, and doing only what is needed ----


def test_a_bad_recording_is_a_line_of_the_table_and_only_the_unforeseen_is_tried_again(
    tmp_path: Path,
) -> None:
    items = made(tmp_path / "in", *"abcd")
    options = {"marks": str(tmp_path)}
    calls = tmp_path / "calls"

    def run() -> dict[str, Any]:
        batch = run_batch(items, tmp_path / "out", task=f"{HERE}:faulty", options=options)
        write_csv(batch, tmp_path / "results.csv")
        return {record.item: (record.outcome, record.error) for record in batch.records()}

    expected = {
        "a": ("done", ""),
        "b": ("refused", "RecordingError"),
        "c": ("failed", "ZeroDivisionError"),
        "d": ("done", ""),
    }
    assert run() == expected
    assert calls.read_text().split() == ["a", "b", "c", "d"]
    with (tmp_path / "results.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [(line["item"], line["outcome"], line["value"]) for line in table] == [
        ("a", "done", "1.0"),
        ("b", "refused", ""),
        ("c", "failed", ""),
        ("d", "done", "1.0"),
    ]
    assert table[1]["reason"] == "this recording is cut; copy it again"
    assert run() == expected
    assert calls.read_text().split() == ["a", "b", "c", "d", "c"]
    items[3].path.write_bytes(b"another recording")
    items[0].path.with_name("a.events.tsv").write_text("beside it")  # a result rests on this, too
    run()
    assert calls.read_text().split()[5:] == ["a", "c", "d"]


def test_results_of_other_options_are_replaced_only_when_asked(tmp_path: Path) -> None:
    items = made(tmp_path / "in", "a")
    out = tmp_path / "out"
    run_batch(items, out, task=f"{HERE}:spectrum_of", options={"x": 1})
    with pytest.raises(BatchError, match="--force"):
        run_batch(items, out, task=f"{HERE}:spectrum_of", options={"x": 2})
    run_batch(items, out, task=f"{HERE}:spectrum_of", options={"x": 2}, force=True)
    assert json.loads((out / "batch.json").read_text())["options"] == {"x": 2}
    assert stat.S_IMODE(next((out / "items").iterdir()).stat().st_mode) == 0o600
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "letter.txt").touch()
    with pytest.raises(BatchError, match="other files"):
        run_batch(items, tmp_path / "used", task=f"{HERE}:spectrum_of")


def test_a_damaged_result_file_is_made_again(tmp_path: Path) -> None:
    items = made(tmp_path / "in", "a")
    run_batch(items, tmp_path / "out", task=f"{HERE}:spectrum_of")
    (path,) = (tmp_path / "out" / "items").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    run_batch(items, tmp_path / "out", task=f"{HERE}:spectrum_of")
    assert path.read_bytes() == whole


def test_what_cannot_begin_says_why(tmp_path: Path) -> None:
    items = made(tmp_path / "in", "a")
    with pytest.raises(BatchError, match="evaluate, quality"):
        run_batch(items, tmp_path / "o", task="evaluat")
    with pytest.raises(BatchError, match="cannot be imported"):
        run_batch(items, tmp_path / "o", task="nowhere:function")
    with pytest.raises(BatchError, match="not exist"):
        find_items(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BatchError, match="no recordings"):
        find_items(tmp_path / "empty")


def test_a_scheduler_that_is_not_there_is_said_within_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("bci.batch.running.CONNECT_S", 0.5)
    waited: list[float] = []
    real = distributed.Client

    def client(address: str, *, timeout: float, **more: object) -> object:
        waited.append(timeout)
        return real(address, timeout=timeout, **more)

    monkeypatch.setattr(distributed, "Client", client)
    with pytest.raises(BatchError, match="dask scheduler"):
        run_batch(
            made(tmp_path / "in", "a"),
            tmp_path / "o",
            task=f"{HERE}:spectrum_of",
            scheduler="tcp://127.0.0.1:1",
        )
    assert waited == [0.5]


# ---- what is worked on ----


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def test_items_of_a_bids_data_set_are_people_and_sessions(tmp_path: Path) -> None:
    root = touch(
        tmp_path,
        "dataset_description.json",
        "sub-01/ses-a/eeg/sub-01_ses-a_task-mi_run-1_eeg.bdf",
        "sub-01/ses-a/eeg/sub-01_ses-a_task-mi_run-1_events.tsv",
        "sub-01/ses-a/eeg/sub-01_ses-a_task-mi_run-2_eeg.bdf",
        "sub-01/ses-b/eeg/sub-01_ses-b_task-mi_run-1_eeg.bdf",
        "sub-02/eeg/sub-02_task-mi_run-1_eeg.bdf",
        "derivatives/x/sub-02/eeg/sub-02_task-mi_run-1_eeg.bdf",
    )
    items = find_items(root)
    assert [(item.name, len(item.files)) for item in items] == [
        ("sub-01 ses-a", 2),
        ("sub-01 ses-b", 1),
        ("sub-02", 1),
    ]
    assert [p.name.removeprefix("sub-01_ses-a_task-mi_") for p in items[0].content()] == [
        "run-1_eeg.bdf",
        "run-1_events.tsv",
        "run-2_eeg.bdf",
    ]
    assert len(find_items(root, each="recording")) == 4


def test_items_of_a_list_have_the_names_that_it_gives(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.edf", "x/2.edf", "y/3.edf")
    lines = "# mine\nx/1.edf, 张三\nx/2.edf\t张三\n\ny/3.edf\nz/missing.edf\n"
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8")
    items = find_items(tmp_path / "list.txt")
    assert {item.name: len(item.files) for item in items} == {"张三": 2, "y": 1, "missing": 1}


def test_recordings_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    items = find_items(touch(tmp_path, "day1/S1_R1.edf", "day2/S1_R1.edf"))
    assert [item.name for item in items] == ["day1 S1", "day2 S1"]


def test_a_table_in_columns_holds_the_same_numbers(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    items = made(tmp_path / "in", "a", "b")
    batch = run_batch(items, tmp_path / "out", task=f"{HERE}:spectrum_of")
    write_parquet(batch, tmp_path / "t.parquet")
    write_csv(batch, tmp_path / "t.csv")
    read = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        assert [float(line["largest"]) for line in csv.DictReader(file)] == read["largest"]
    assert read["missing"] == [None, None]
    write_report(batch, tmp_path / "r.html")
    assert "largest" in (tmp_path / "r.html").read_text(encoding="utf-8")
