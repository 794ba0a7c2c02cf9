"""Runs of DATA in decoded columns: which rows follow each other as they should, and the words of their samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from firmware_protocol._fields import FLOAT32, FORMATS
from firmware_protocol.codes import Flag, Type
from firmware_protocol.frames import Data
from firmware_protocol.validator.samples import FrameAt, as_words
from firmware_protocol.validator.stream import SPECIAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from firmware_protocol.batch import Batch

__all__ = ["data_frame", "frames_at", "stretches", "time_steps", "words"]


def stretches(events: NDArray[np.void]) -> Iterator[tuple[int, int, bool]]:
    """Rows [start, stop), and whether each of them holds DATA that follows the row before in all respects but time."""
    follows = _follows(events)
    edges = [0, *(np.flatnonzero(follows[1:] != follows[:-1]) + 1).tolist(), len(events)]
    for start, stop in pairwise(edges):
        yield start, stop, bool(follows[start])


def _follows(events: NDArray[np.void]) -> NDArray[np.bool_]:
    is_data = (events["kind"] == 0) & (events["head"] & 15 == Type.DATA)
    a, b = events[:-1], events[1:]
    good = is_data[:-1] & is_data[1:] & (b["flags"] & int(SPECIAL) == 0)
    good &= b["link_seq"] == a["link_seq"] + np.uint16(1)
    good &= b["sample_index"] == a["sample_index"] + a["n_samples"].astype(np.uint32)
    good &= (b["flags"] ^ a["flags"]) & int(Flag.TEST_SIGNAL) == 0
    for name in ("n_channels", "n_samples", "format", "config_id"):
        good &= a[name] == b[name]
    return np.append(False, good)


def time_steps(events: NDArray[np.void], before_us: int) -> NDArray[np.int64]:
    """µs from each frame to the next, the first from `before_us`."""
    times = events["t_us"].astype(np.int64)
    steps: NDArray[np.int64] = (times - np.append(before_us, times[:-1])) & 0xFFFFFFFF
    return steps


def data_frame(batch: Batch, row: int) -> Data:
    """One row as an object. Its payload is left out: its samples are in the columns."""
    event = batch.events[row]
    form = FORMATS[event["format"]]
    assert form is not None
    offset, _, flags, link_seq, index, t_us, n_channels, n_samples, _, config_id, *_ = event.item()
    return Data(
        link_seq,
        flags,
        index,
        t_us,
        n_channels,
        n_samples,
        config_id,
        b"",
        form.sample_type,
        form.has_status,
        form.channels_per_converter,
        offset,
    )


def words(batch: Batch, start: int, stop: int) -> NDArray[np.int64]:
    """Signed words as they were sent, a row for each conversion, of rows [start, stop) of one shape."""
    first = batch.events[start]
    form = FORMATS[first["format"]]
    assert form is not None
    n_channels = int(first["n_channels"])
    n = (stop - start) * int(first["n_samples"])
    at = int(first["first"])
    samples = batch.values[at : at + n * n_channels].reshape(n, n_channels)
    if form.sample_type == FLOAT32:
        return as_words(samples.view(np.float32))
    values = samples.astype(np.int64)
    if not form.has_status:
        return values
    c = form.channels_per_converter
    at = int(first["first_status"])
    status = batch.status[at : at + n * (n_channels // c)].astype(np.int64).reshape(n, -1, 1)
    status = (status & 0xFFFFFF ^ 0x800000) - 0x800000
    joined: NDArray[np.int64] = np.concatenate((status, values.reshape(n, -1, c)), axis=2).reshape(n, -1)
    return joined


def frames_at(batch: Batch, start: int, stop: int, packet: int) -> list[FrameAt]:
    """Places of the DATA frames of rows [start, stop); the first is packet number `packet`."""
    rows = batch.events[start:stop]
    n = int(rows["n_samples"][0])
    columns = (rows[name].tolist() for name in ("offset", "sample_index", "t_us"))
    return [
        FrameAt(k * n, n, offset, packet + k, index, t_us)
        for k, (offset, index, t_us) in enumerate(zip(*columns, strict=True))
    ]
