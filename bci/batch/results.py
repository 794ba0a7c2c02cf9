"""One result file per item: what came out, kept so that a run goes on where it was ended.

Rules
-----
- A file is written beside its place and moved there, so after `kill -9` it is whole or not there.
- Its key is a digest of the item's content, the task, the options and the software's version. A file with the key is
  not made again; with another one it is.
- It holds nothing of when, where or by how many workers it was made: the same bits whoever made it.
- An item that cannot be done has its reason there ("refused": by a rule of this library, and so again next time;
  "failed": by something unforeseen, or "lost": its process died; the next run tries these again).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bci._version import __version__
from bci.batch.items import Item
from bci.errors import BatchError
from bci.files import open_private

__all__ = ["DONE", "FAILED", "LOST", "REFUSED", "Batch", "Record", "content_key", "plain", "write_atomically"]

SCHEMA = "bci-batch/1"
DONE, REFUSED, FAILED, LOST = "done", "refused", "failed", "lost"
BLOCK_BYTES = 1 << 20


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one item.

    `rows` are lines of the table; `detail` is whatever else the task gives, for the comparison.
    """

    item: str
    subject: str
    path: str
    key: str
    outcome: str
    error: str = ""
    reason: str = ""
    rows: tuple[dict[str, Any], ...] = ()
    detail: dict[str, Any] = {}
    schema: str = SCHEMA

    @property
    def final(self) -> bool:
        """Would be the same if it were done again."""
        return self.outcome in (DONE, REFUSED)


@dataclass(frozen=True, slots=True)
class Batch:
    """A folder of results, and the items they are of."""

    folder: Path
    items: Sequence[Item]
    task: str = "evaluate"
    options: Mapping[str, Any] = field(default_factory=dict)

    def place(self, item: str) -> Path:
        """Where an item's result is."""
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in item)[:80]
        return self.folder / "items" / f"{safe}-{hashlib.sha256(item.encode()).hexdigest()[:8]}.json"

    def keep(self, record: Record) -> None:
        write_atomically(
            self.place(record.item), msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
        )

    def kept(self, item: str) -> Record | None:
        """Its result; None where there is none that can be read."""
        try:
            record = msgspec.json.decode(self.place(item).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None
        return record if record.schema == SCHEMA else None

    def records(self) -> Iterator[Record]:
        """Results in the order of the items, one after the other from their files."""
        for item in self.items:
            if (record := self.kept(item.name)) is not None:
                yield record

    def prepare(self, *, force: bool = False) -> None:
        """Make the folder, or see that it is of the same task and options.

        Raises
        ------
        BatchError
            If it holds results of other options and `force` is not set, or cannot be written to.
        """
        asked = {"schema": SCHEMA, "task": self.task, "options": plain(self.options)}
        order = self.folder / "batch.json"
        if order.exists() and not force and _read_json(order) != asked:
            raise BatchError(
                f"{self.folder} holds results of another task or other options (its batch.json says which); name a new "
                "folder, or give --force to replace them"
            )
        if not order.exists() and self.folder.is_dir() and any(self.folder.iterdir()) and not force:
            raise BatchError(f"{self.folder} holds other files; name a new folder for the results")
        try:
            (self.folder / "items").mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            write_atomically(order, json.dumps(asked, indent=1, ensure_ascii=False).encode() + b"\n")
        except OSError as err:
            raise BatchError(
                f"results cannot be written to {self.folder}: {err.strerror or err}; name a folder you may write to"
            ) from err


def content_key(files: Iterable[Path], task: str, options: Mapping[str, Any]) -> str:
    """SHA-256 of what a result rests on. OSError where a file cannot be read."""
    whole = hashlib.sha256(
        json.dumps([SCHEMA, __version__, task, plain(options)], sort_keys=True, ensure_ascii=False).encode()
    )
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
        whole.update(path.name.encode() + b"\0" + digest.digest())
    return whole.hexdigest()


def plain(value: Any) -> Any:
    """A task's values as JSON knows them: numbers of numpy become Python's, what is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def write_atomically(path: Path, data: bytes) -> None:
    """All of it or nothing, readable by its owner only."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open_private(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
