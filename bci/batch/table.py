"""All results as one table: a line a decoder, a channel or whatever the task gives, and one for each item without."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bci.batch.results import Batch, Record, write_atomically
from bci.errors import BatchError

__all__ = ["write_csv", "write_parquet"]

FIRST = ("item", "subject", "path", "outcome", "error", "reason")


def write_csv(batch: Batch, path: Path) -> None:
    """UTF-8, one header line, what is not known is empty; numbers with all their digits."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, _columns(batch.records()), restval="", lineterminator="\n")
    writer.writeheader()
    for line in _lines(batch.records()):
        writer.writerow({key: "" if value is None else value for key, value in line.items()})
    write_atomically(path, out.getvalue().encode())


def write_parquet(batch: Batch, path: Path) -> None:
    """The same table in columns, for pandas, polars, R and others.

    Raises
    ------
    BatchError
        If pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as err:
        raise BatchError("Parquet needs pyarrow: pip install 'bci-hand[parquet]'") from err
    lines = list(_lines(batch.records()))
    columns = {name: [line.get(name) for line in lines] for name in _columns(batch.records())}
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # numbers here, words there
            arrays[name] = pyarrow.array([None if v is None else str(v) for v in values])
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(arrays), sink)
    write_atomically(path, sink.getvalue().to_pybytes())


def _lines(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        first = {name: getattr(record, name) for name in FIRST}
        for row in record.rows or ({},):
            yield first | {name: _cell(value) for name, value in row.items() if name not in first}


def _columns(records: Iterable[Record]) -> list[str]:
    """Those that every line has, then the others in the order of their appearance."""
    names = dict.fromkeys(FIRST)
    for record in records:
        for row in record.rows:
            names |= dict.fromkeys(row)
    return list(names)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
