"""Decoded columns in stream order: flows of DATA, and the other frames between them.

DATA frames of one layout whose conversion numbers follow each other are one `Flow`, however many they are, so
the work behind it does not grow with the number of frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import Flag, Frame
from firmware_protocol.batch import Batch, Run, is_data

__all__ = ["Flow", "in_order"]

_FIRST = int(Flag.FIRST)


@dataclass(frozen=True, slots=True)
class Flow:
    """DATA frames without a gap, a restart or another frame between them. Arrays are views of the decoder's.

    Parameters
    ----------
    config_id : int
    begins_run : bool
        The first frame carries flag b1.
    sample_index : int
        Low 32 bits of the first sample's conversion number.
    ends : ndarray, shape (n_frames,), int64
        Samples up to and including each frame.
    samples : ndarray, shape (n_samples, n_channels), int32 or float32
        ADC counts.
    status : ndarray, shape (n_samples, n_converters), int32
        Status words; no columns where the frames have none.
    t_us : ndarray, shape (n_frames,), uint32
        Low 32 bits of the device's time at each frame's first sample.
    arrived_ns : ndarray, shape (n_frames,), int64, optional
        Monotonic time at which each frame was whole.
    """

    config_id: int
    begins_run: bool
    sample_index: int
    ends: NDArray[np.int64]
    samples: NDArray[np.int32] | NDArray[np.float32]
    status: NDArray[np.int32]
    t_us: NDArray[np.uint32]
    arrived_ns: NDArray[np.int64] | None

    @property
    def n_frames(self) -> int:
        return len(self.ends)

    @property
    def n_samples(self) -> int:
        return len(self.samples)

    @property
    def row_bytes(self) -> int:
        """Wire bytes of one sample of all channels, packet header left out."""
        width = 4 if self.samples.dtype == np.float32 else 3
        return int(width * self.samples.shape[1] + 3 * self.status.shape[1])

    @property
    def layout(self) -> tuple[object, ...]:
        """What must be alike for two flows to share a chunk."""
        return self.samples.dtype, self.samples.shape[1], self.status.shape[1]

    def without_frames(self, n: int) -> Flow:
        """What is left behind the first `n` frames."""
        if n == 0:
            return self
        done = int(self.ends[n - 1])
        return replace(
            self,
            begins_run=False,
            sample_index=self.sample_index + done & 0xFFFFFFFF,
            ends=self.ends[n:] - done,
            samples=self.samples[done:],
            status=self.status[done:],
            t_us=self.t_us[n:],
            arrived_ns=None if self.arrived_ns is None else self.arrived_ns[n:],
        )

    def copy(self) -> Flow:
        """One that does not look into the decoder's memory."""
        return replace(
            self,
            samples=self.samples.copy(),
            status=self.status.copy(),
            t_us=self.t_us.copy(),
            arrived_ns=None if self.arrived_ns is None else self.arrived_ns.copy(),
        )


def in_order(batch: Batch, arrived_ns: NDArray[np.int64] | None = None) -> Iterator[Flow | Frame]:
    """All frames of a batch, in stream order; faults are left out.

    Parameters
    ----------
    batch : Batch
    arrived_ns : ndarray, shape (n_events,), int64, optional
        Monotonic time at which each event of the batch was whole.
    """
    data = is_data(batch.events)
    data_rows = np.flatnonzero(data)
    other_rows = np.flatnonzero(~data & (batch.events["kind"] == 0)).tolist()
    others = iter(zip(other_rows, batch.other_frames(), strict=True) if other_rows else ())
    row, frame = next(others, (len(data), None))
    done = 0
    for run in batch.runs():
        rows = data_rows[done : done + len(run.events)]
        done += len(rows)
        stamps = None if arrived_ns is None else arrived_ns[rows]
        for first, flow in _flows(run, rows, stamps):
            while frame is not None and row < first:
                yield frame
                row, frame = next(others, (len(data), None))
            yield flow
    while frame is not None:
        yield frame
        row, frame = next(others, (len(data), None))


def _flows(
    run: Run, rows: NDArray[np.int64], arrived_ns: NDArray[np.int64] | None
) -> Iterator[tuple[int, Flow]]:
    """Cut where frames do not follow each other: (row of the first frame, flow)."""
    events: Any = run.events
    n = events["n_samples"].astype(np.int64)
    index, flags, t_us = events["sample_index"], events["flags"], events["t_us"]
    ends = np.cumsum(n)
    cut = (index[1:].astype(np.int64) - index[:-1] - n[:-1] & 0xFFFFFFFF) != 0
    cut |= np.diff(rows) != 1
    cut |= flags[1:] & _FIRST != 0
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(rows)]
    config_id = int(events["config_id"][0])
    for begin, end in pairwise(edges):
        start = int(ends[begin] - n[begin])
        stop = int(ends[end - 1])
        yield (
            int(rows[begin]),
            Flow(
                config_id,
                bool(flags[begin] & _FIRST),
                int(index[begin]),
                ends[begin:end] - start,
                run.samples[start:stop],
                run.status_words[start:stop],
                t_us[begin:end],
                None if arrived_ns is None else arrived_ns[begin:end],
            ),
        )
