"""Every item through its task, by one process, several of this machine, or a cluster: the same results.

Rules
-----
- A worker holds one item at a time, and its linear algebra runs on one thread: memory is bounded by one recording a
  worker, and no sum depends on how many cores a machine has.
- Nothing that an item does ends the run. What a task raises is its item's outcome. A process that dies takes nothing
  with it: what it might have been at is done again, one by one, and an item in whose hands a process dies when it is
  alone is "lost". dask does the same with its workers.
- Workers compute, this process writes. So recordings must be readable from every worker, results by this one alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bci._version import __version__
from bci.batch.items import Item
from bci.batch.results import DONE, FAILED, LOST, REFUSED, Batch, Record, content_key, plain
from bci.batch.tasks import check_options, find_task
from bci.errors import BatchError, BciError

__all__ = ["Job", "Progress", "run_batch", "work"]

_log = logging.getLogger(__name__)

CONNECT_S = 20
_ONE_AT_A_TIME = threading.Lock()  # workers of a cluster may have several threads


@dataclass(frozen=True, slots=True)
class Job:
    """An item and what to do; `known` is the key of the result that is there already."""

    item: Item
    task: str
    options: Mapping[str, Any]
    known: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. `record` is the newest, `kept` whether it was there already."""

    done: int
    total: int
    not_done: int
    passed_s: float
    record: Record
    kept: bool


def run_batch(
    items: Sequence[Item],
    folder: Path,
    *,
    task: str = "evaluate",
    options: Mapping[str, Any] | None = None,
    workers: int = 1,
    scheduler: str = "",
    force: bool = False,
    progress: Callable[[Progress], None] = lambda step: None,
) -> Batch:
    """Do a task on every item; go on where an earlier run of the same task and options was ended.

    Parameters
    ----------
    items : sequence of Item
    folder : Path
        Where results go, `items/` one file each; made if it is not there.
    task : str
        "evaluate", "quality", or `package.module:function`.
    options : mapping
        For the task; JSON values.
    workers : int
        Processes of this machine; 1 works in this one.
    scheduler : str
        Address of a dask scheduler ("tcp://…"), whose workers are taken instead.
    force : bool
        Replace results of another task or other options.
    progress : callable
        Called after each item.

    Returns
    -------
    Batch

    Raises
    ------
    BatchError
        If the task, the folder, or the scheduler cannot be used; nothing that an item does.
    """
    find_task(task)
    check_options(task, options or {})
    batch = Batch(Path(folder), items, task, dict(options or {}))
    batch.prepare(force=force)
    jobs = []
    for item in items:
        before = batch.kept(item.name)
        jobs.append(Job(item, task, batch.options, before.key if before and before.final else ""))
    records = (
        _on_cluster(jobs, scheduler)
        if scheduler
        else map(work, jobs)
        if workers == 1
        else _on_this_machine(jobs, workers)
    )
    began = time.monotonic()
    not_done = 0
    for done, record in enumerate(records, start=1):
        kept = not record.outcome
        whole = (batch.kept(record.item) or record) if kept else record
        if not kept:
            batch.keep(record)
        not_done += whole.outcome != DONE
        shown = msgspec.structs.replace(whole, detail={})
        progress(Progress(done, len(jobs), not_done, time.monotonic() - began, shown, kept))
    return batch


def work(job: Job) -> Record:
    """One item, whatever happens; runs in a worker. An empty outcome says that the known result still stands."""
    item = job.item
    record = Record(item.name, item.subject, str(item.path), "", "")
    key = ""
    try:
        with _ONE_AT_A_TIME, _one_thread():
            key = _key(job)
            if key and key == job.known:
                return record
            found = find_task(job.task)(item, job.options)
            rows = [dict(row) for row in ([found] if isinstance(found, Mapping) else found)]
        detail = {str(n): plain(row.pop("detail")) for n, row in enumerate(rows) if "detail" in row}
        return Record(
            item.name, item.subject, str(item.path), key, DONE, rows=tuple(plain(rows)), detail=detail
        )
    except BciError as err:
        return _ended(job, key, REFUSED, err)
    except Exception as err:
        _log.debug("%s failed", item.name, exc_info=True)
        return _ended(job, key, FAILED, err)


def _key(job: Job) -> str:
    """ "" where the content cannot be read: then the task says why."""
    try:
        return content_key(job.item.content(), job.task, job.options)
    except OSError:
        return ""


def _ended(job: Job, key: str, outcome: str, err: BaseException | str) -> Record:
    name = "WorkerDied" if isinstance(err, str) else type(err).__name__
    item = job.item
    return Record(item.name, item.subject, str(item.path), key, outcome, name, str(err))


def _one_thread() -> Any:
    import scipy.linalg  # noqa: F401 - limits reach only libraries that are loaded
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


# ---- who does it ---------------------------------------------------------------------------------------------


def _on_this_machine(jobs: Sequence[Job], workers: int) -> Iterator[Record]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = {job.item.name: job for job in jobs}
    while left:
        try:
            for record in _pool(list(left.values()), workers):
                del left[record.item]
                yield record
        except TerminatedWorkerError:
            # Jobs are handed out in order, at most one a worker: the one that killed it is among the first of them,
            # now or after the next round.
            for job in list(left.values())[:workers]:
                try:
                    (record,) = _pool([job], 1)
                except TerminatedWorkerError:
                    why = "its process died when it was the only one; too little memory, or a crash in a library"
                    record = _ended(job, "", LOST, why)
                del left[job.item.name]
                yield record


def _pool(jobs: Sequence[Job], workers: int) -> Iterator[Record]:
    """`workers` jobs at a time in processes of their own, results as they come."""
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        run = joblib.Parallel(
            n_jobs=max(2, workers),  # one would be this process
            pre_dispatch=workers,
            batch_size=1,
            return_as="generator_unordered",
        )
        yield from run(joblib.delayed(work)(job) for job in jobs)


def _on_cluster(jobs: Sequence[Job], address: str) -> Iterator[Record]:
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as err:
        raise BatchError(
            "--scheduler needs dask.distributed: pip install 'bci-hand[cluster]', here and on the workers"
        ) from err
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as err:  # a time-out is one of the first
        raise BatchError(
            f"no dask scheduler answers at {address}; start one (`dask scheduler`), then its workers "
            f"(`dask worker {address}`)"
        ) from err
    with client:
        _check_workers(client, address)
        waiting = {
            client.submit(work, job, pure=False, key=f"bci-{n}-{job.item.name}"): job
            for n, job in enumerate(jobs)
        }
        for future in as_completed(list(waiting), loop=client.loop):
            job = waiting.pop(future)
            try:
                record: Record = future.result()
            except KilledWorker as err:
                record = _ended(job, "", LOST, f"several workers died in succession at this item: {err}")
            except Exception as err:  # of the cluster, not of the task
                record = _ended(job, "", FAILED, err)
            future.release()
            yield record


def _check_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError as err:
        raise BatchError(
            f"the scheduler at {address} has no workers; start some with `dask worker {address}`"
        ) from err
    versions = client.run(_version)
    if others := {str(v) for v in versions.values()} - {__version__}:
        raise BatchError(
            f"the workers at {address} have bci {', '.join(sorted(others))}, this computer has {__version__}; install "
            "the same version everywhere, results would differ"
        )


def _version() -> str:
    return __version__
