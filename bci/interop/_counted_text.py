"""Text files of boards that number their samples: lost numbers become gaps, µV become counts, no file is held whole.

Rules
-----
- The number counts up and goes round. A step that is too large is a loss of that many; where the file has times, they
  tell how often it went round in a long one.
- A line that cannot be read is a lost sample, and so is one cut off at the end. A file with more of them than one in
  twenty is damaged.
- Values become the converter's own counts where their digits allow it, else whole numbers of the last printed digit,
  else the finest step of 24 bits.
- Where a channel stays at the end of the converter's range it is marked BAD_saturated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.errors import MontageMismatchError, RecordingError
from bci.interop._door import (
    MAX_COUNT,
    Channel,
    Counts,
    Description,
    ImportOptions,
    SignalEvent,
    finest_step,
    in_order,
)
from bci.interop._gaps import with_gaps
from bci.interop._names import UV_PER_UNIT

__all__ = ["BLOCK_LINES", "RAIL_UV", "Block", "CountedText", "Layout"]

BLOCK_LINES = 1 << 13
CYTON_UV = 4.5e6 / 24 / MAX_COUNT  # of a count at gain 24
RAIL_UV = 187_500.0  # at gain 24
MOST_DAMAGED = 0.05
GAP, SATURATED = "BAD_ACQ_SKIP", "BAD_saturated"


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines: sample numbers, times in s (NaN where there are none), values (lines, columns), markers."""

    numbers: NDArray[np.int64]
    times_s: F64
    values: F64
    markers: F64
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file says of itself. `step_uv`: of one count where the board is known, else 0; `kinds` as of `Channel`;
    `notes` as of `Description`.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    rate: Fraction
    device: str
    step_uv: float = 0.0
    rail_uv: float = 0.0
    started: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


class CountedText:
    """A `Signal` read from its file line by line, each time it is asked for.

    Parameters
    ----------
    path : Path
    layout : Layout
    blocks : callable
        Gives the file's blocks, from its beginning.
    options : ImportOptions
    """

    def __init__(
        self, path: Path, layout: Layout, blocks: Callable[[], Iterator[Block]], options: ImportOptions
    ) -> None:
        self.path = path
        self._blocks = blocks
        self._columns, names, kinds = _choose(path, layout, options)
        factor = UV_PER_UNIT[options.unit] if options.unit else 1.0
        self._factors = np.array([factor if kind != "misc" else 1.0 for kind in kinds])
        scan = _Scan(path, layout, self._columns, self._factors)
        for block in self._blocks():
            scan.take(block)
        scan.finish()
        self._gaps = scan.gaps
        rate = Fraction(options.rate_hz).limit_denominator(100_000) if options.rate_hz else layout.rate
        steps = scan.steps(layout.step_uv)
        events = [
            *(SignalEvent(at, GAP, n, source="quality") for at, n in scan.gaps),
            *(
                SignalEvent(at, SATURATED, n, source="quality", channels=(names[c],))
                for c, at, n in scan.railed
            ),
            *(SignalEvent(at, f"{code:g}", code=round(code), source="file") for at, code in scan.markers),
        ]
        self.description = Description(
            tuple(
                Channel(name, step, kind, "uV" if kind != "misc" else "g")
                for name, kind, step in zip(names, kinds, steps, strict=True)
            ),
            rate,
            scan.measured_hz(float(rate)),
            scan.n_samples,
            in_order(events),
            tuple(scan.gaps),
            device=layout.device,
            started=layout.started,
            notes={**layout.notes, **({"lines_damaged": scan.damaged} if scan.damaged else {})},
        )

    def pieces(self) -> Iterator[Counts]:
        """All samples; lost ones hold the value before them."""
        return with_gaps(self._present(), self._gaps)

    def _present(self) -> Iterator[Counts]:
        steps = self.description.steps
        for block in self._blocks():
            if len(block.numbers):
                x = (block.values[:, self._columns] * self._factors).T
                yield np.rint(x / steps).astype(np.int32)


class _Scan:
    """The first reading: how long, where are gaps, how large and how fine are the values."""

    def __init__(self, path: Path, layout: Layout, columns: list[int], factors: F64) -> None:
        self._path, self._layout = path, layout
        self._columns, self._factors = columns, factors
        self._counting = _Counting(float(layout.rate))
        n = len(columns)
        self._largest = np.zeros(n)
        self._off_board = np.zeros(n)  # how far values are from whole counts of the board
        self._off_digits = np.zeros((n, 7))  # and from whole numbers of 10^-k
        self._rail_since = [-1] * n
        self._lines = self.damaged = self.n_samples = 0
        self._times: list[tuple[float, int]] = []
        self.gaps: list[tuple[int, int]] = []
        self.markers: list[tuple[int, float]] = []
        self.railed: list[tuple[int, int, int]] = []

    def take(self, block: Block) -> None:
        self.damaged += block.damaged
        self._lines += len(block.numbers) + block.damaged
        if not len(block.numbers):
            return
        lost = self._counting.lost(block.numbers, block.times_s)
        at = self.n_samples + np.cumsum(lost) + np.arange(len(lost))
        for k in np.flatnonzero(lost).tolist():
            self.gaps.append((int(at[k] - lost[k]), int(lost[k])))
        self.n_samples = int(at[-1]) + 1
        x = block.values[:, self._columns] * self._factors
        if not np.isfinite(x).all():
            raise RecordingError(f"{self._path} holds NaN or infinite values", path=self._path)
        self._largest = np.maximum(self._largest, np.abs(x).max(axis=0))
        if self._layout.step_uv:
            counts = x / self._layout.step_uv
            self._off_board = np.maximum(self._off_board, np.abs(counts - np.rint(counts)).max(axis=0))
        for k in range(7):
            y = x * 10.0**k
            self._off_digits[:, k] = np.maximum(self._off_digits[:, k], np.abs(y - np.rint(y)).max(axis=0))
        self.markers += [
            (int(at[k]), float(block.markers[k])) for k in np.flatnonzero(block.markers).tolist()
        ]
        self._look_for_rails(x, at)
        if np.isfinite(block.times_s[-1]):
            self._times += [(float(block.times_s[0]), int(at[0])), (float(block.times_s[-1]), int(at[-1]))]

    def _look_for_rails(self, x: F64, at: NDArray[np.int64]) -> None:
        if not self._layout.rail_uv:
            return
        high = np.abs(x) >= 0.999 * self._layout.rail_uv
        for channel in np.flatnonzero(high.any(axis=0) | (np.array(self._rail_since) >= 0)):
            column = np.r_[self._rail_since[channel] >= 0, high[:, channel]].astype(np.int8)
            for k in np.flatnonzero(np.diff(column)).tolist():
                if column[k + 1]:
                    self._rail_since[channel] = int(at[k])
                else:
                    self._end_rail(int(channel), int(at[k - 1]) + 1 if k else int(at[0]))

    def _end_rail(self, channel: int, end: int) -> None:
        begin, self._rail_since[channel] = self._rail_since[channel], -1
        self.railed.append((channel, begin, end - begin))

    def finish(self) -> None:
        for channel, since in enumerate(self._rail_since):
            if since >= 0:
                self._end_rail(channel, self.n_samples)
        if not self.n_samples:
            raise RecordingError(f"{self._path} holds no samples", path=self._path)
        if self.damaged > max(1, MOST_DAMAGED * self._lines):
            raise RecordingError(
                f"{self._path} is damaged: {self.damaged} of {self._lines} lines cannot be read; copy it again, or see "
                "whether its suffix is right",
                path=self._path,
            )

    def steps(self, board_uv: float) -> list[float]:
        """Of each channel: the board's count, the last digit, or the finest of 24 bits."""
        found = []
        for largest, off_board, off_digits in zip(
            self._largest, self._off_board, self._off_digits, strict=True
        ):
            digits = next((k for k in range(7) if off_digits[k] < 1e-3), None)
            rounding = 0.5 * 10.0**-digits if digits is not None else 0.0
            off = min(0.4, rounding / board_uv + 1e-3) if board_uv else -1.0  # any value is off by up to 0.5
            if off_board <= off and largest <= board_uv * (MAX_COUNT + 1):
                found.append(board_uv)
            elif digits is not None and largest * 10.0**digits <= MAX_COUNT:
                found.append(10.0**-digits)
            else:
                found.append(float(finest_step(largest)))
        return found

    def measured_hz(self, nominal: float) -> float:
        """By the file's times, over at least a minute; else the nominal rate."""
        if len(self._times) < 2:
            return nominal
        (t0, n0), (t1, n1) = self._times[0], self._times[-1]
        rate = (n1 - n0) / (t1 - t0) if t1 - t0 >= 60 else nominal
        return rate if abs(rate / nominal - 1) < 0.1 else nominal


class _Counting:
    """Numbers that go round, as how many samples are missing before each."""

    def __init__(self, fs_hz: float) -> None:
        self._fs_hz = fs_hz
        self._round = self._step = self._times = 0
        self._last = 0
        self._last_s = math.nan
        self._run = 0  # samples of the last number so far

    def lost(self, numbers: NDArray[np.int64], times_s: F64) -> NDArray[np.int64]:
        first = not self._round
        if first:
            self._learn(numbers)
        before = np.r_[numbers[0] - self._step if first else self._last, numbers[:-1]]
        since = np.r_[times_s[0] - 1 / self._fs_hz if first else self._last_s, times_s[:-1]]
        if first and self._times == 2:
            before[0] = numbers[0]
        self._last, self._last_s = int(numbers[-1]), float(times_s[-1])
        if not self._step:  # one number throughout: the file does not count
            return np.zeros(len(numbers), dtype=np.int64)
        steps = (numbers - before) % self._round
        if self._times == 2:  # two samples a packet, of one number
            lost = 2 * np.maximum(steps // self._step - 1, 0)
        else:
            lost = steps // self._step - 1
            lost[steps == 0] = self._round // self._step - 1
        passed = (times_s - since) * self._fs_hz
        whole = self._round // self._step * self._times
        late = np.where(np.isfinite(passed), passed - lost - 1, 0.0)
        rounds = np.where(late > 0.75 * whole, np.rint(late / whole), 0.0).astype(np.int64)
        return np.asarray(lost + rounds * whole, dtype=np.int64)

    def _learn(self, numbers: NDArray[np.int64]) -> None:
        steps = np.diff(numbers)
        common = Counter(steps[(steps >= 0) & (steps < 100)].tolist())
        usual = [step for step, n in common.most_common(2) if n > 0.2 * max(1, len(steps))]
        self._times = 2 if 0 in usual and 1 in usual else 1
        self._step = 1 if self._times == 2 else next((s for s in usual if s), 0 if usual == [0] else 1)
        largest = int(numbers.max())
        self._round = 201 if largest == 200 else 256 if largest < 256 else 1 << 62


def _choose(
    path: Path, layout: Layout, options: ImportOptions
) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    """Columns to take, their names and kinds. `channels` names the electrodes in order, or picks by name."""
    named = dict(zip(layout.names, range(len(layout.names)), strict=True))
    electrodes = [k for k, kind in enumerate(layout.kinds) if kind != "misc"]
    wanted = options.channels
    if wanted and all(name in named for name in wanted):
        columns = [named[name] for name in wanted]
        names = tuple(wanted)
    elif wanted:
        if len(wanted) > len(electrodes):
            raise MontageMismatchError(
                f"{len(wanted)} channel names for {path}, which has {len(electrodes)} channels",
                got=layout.names,
                expected=wanted,
            )
        columns, names = electrodes[: len(wanted)], tuple(wanted)
    else:
        columns, names = electrodes, tuple(layout.names[k] for k in electrodes)
    if options.aux:
        aux = [k for k, kind in enumerate(layout.kinds) if kind == "misc" and k not in columns]
        columns, names = [*columns, *aux], (*names, *(layout.names[k] for k in aux))
    return columns, names, tuple(layout.kinds[k] for k in columns)
