"""Files that BrainFlow writes (`DataFilter.write_file`, streaming to `file://`, the GUI's BrainFlow-RAW files).

They are numbers in columns and nothing else: which board it was shows in their number, and in the rate of their times
[1]_. Voltages are µV.

References
----------
.. [1] BrainFlow, supported boards and `get_board_descr`, brainflow.readthedocs.io/en/stable/SupportedBoards.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from bci.errors import RecordingError
from bci.interop._counted_text import BLOCK_LINES, CYTON_UV, RAIL_UV, Block, CountedText, Layout
from bci.interop._door import ImportOptions
from bci.interop._openbci import GANGLION_UV

__all__ = ["read"]


@dataclass(frozen=True, slots=True)
class _Board:
    name: str
    n_columns: int
    n_electrodes: int
    accel: int
    stamp: int
    rate: int
    step_uv: float
    rail_uv: float


#: Column 0 is the packet's number, the electrodes follow it.
_BOARDS = (
    _Board("OpenBCI Cyton", 24, 8, 9, 22, 250, CYTON_UV, RAIL_UV),
    _Board("OpenBCI Cyton with Daisy", 32, 16, 17, 30, 125, CYTON_UV, RAIL_UV),
    _Board("BrainFlow synthetic board", 32, 16, 17, 30, 250, 0.0, 0.0),
    _Board("OpenBCI Ganglion", 15, 4, 5, 13, 200, GANGLION_UV, 0.0),
)


def read(path: Path, options: ImportOptions) -> CountedText:
    """One file.

    Raises
    ------
    RecordingError
        If its columns are none of a board known here; the message lists those.
    """
    with path.open(encoding="ascii", errors="replace") as file:
        lines = list(islice(file, 2000))
    separator = "\t" if "\t" in lines[0] else ","
    n_columns = len(lines[0].split(separator))
    fitting = [board for board in _BOARDS if board.n_columns == n_columns]
    if not fitting:
        known = ", ".join(f"{board.name} ({board.n_columns})" for board in _BOARDS)
        raise RecordingError(
            f"{path} has {n_columns} columns; BrainFlow files are read of {known}. Of another board, load it with "
            "BrainFlow and give the array to `bci.interop.counts_from` and `ArraySignal`",
            path=path,
        )
    board = fitting[0]
    stamps = [
        float(line.split(separator)[board.stamp]) for line in lines if line.count(separator) >= board.stamp
    ]
    if len(fitting) > 1 and len(stamps) > 100 and stamps[-1] > stamps[0]:
        rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
        board = min(fitting, key=lambda one: abs(one.rate / rate - 1))
    layout = Layout(
        tuple([f"EXG{k + 1}" for k in range(board.n_electrodes)] + ["AccelX", "AccelY", "AccelZ"]),
        ("eeg",) * board.n_electrodes + ("misc",) * 3,
        Fraction(board.rate),
        board.name,
        board.step_uv,
        board.rail_uv,
        datetime.fromtimestamp(stamps[0], UTC).isoformat() if stamps and 1e9 < stamps[0] < 1e10 else "",
    )
    columns = [*range(1, board.n_electrodes + 1), *range(board.accel, board.accel + 3)]
    return CountedText(path, layout, lambda: _blocks(path, separator, board, columns), options)


def _blocks(path: Path, separator: str, board: _Board, columns: list[int]) -> Iterator[Block]:
    chosen = [0, board.stamp, board.n_columns - 1, *columns]
    with path.open(encoding="ascii", errors="replace") as file:
        while lines := list(islice(file, BLOCK_LINES)):
            rows: list[list[float]] = []
            damaged = 0
            for line in lines:
                if not line.strip():
                    continue
                fields = line.split(separator)
                try:
                    if len(fields) != board.n_columns:
                        raise ValueError
                    rows.append([float(fields[k]) for k in chosen])
                except ValueError:
                    damaged += 1
            x = np.array(rows, dtype=np.float64).reshape(-1, len(chosen))
            yield Block(x[:, 0].astype(np.int64), x[:, 1], x[:, 3:], x[:, 2], damaged)
