"""Many recordings at once: the same work on each, on one machine or on a cluster, resumable, one table at the end.

`find_items` lists what a BIDS data set, a folder or a list file holds; `run_batch` does a task on each item and keeps
one result file per item. joblib and dask.distributed load when a run asks for them.
"""

from __future__ import annotations

from bci.batch.items import Item, find_items
from bci.batch.results import Batch, Record
from bci.batch.running import run_batch

__all__ = ["Batch", "Item", "Record", "find_items", "run_batch"]
