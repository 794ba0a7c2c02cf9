"""Samples of many DATA frames side by side, for whatever must be seen over time. Loads numpy on first use.

DATA frames of one shape and config_id are laid together until `BLOCK` conversions are there or the shape changes.
A block holds the words as they came, status words included, so that questions about byte order and alignment can be
asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from firmware_protocol.codes import Flag
from firmware_protocol.frames import Data
from firmware_protocol.validator.figures import ChannelFigures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware_protocol.validator.steps import Setting

__all__ = ["BLOCK", "FULL_SCALE", "FrameAt", "SampleBlock", "SampleBuffer", "as_words", "load_numpy"]

BLOCK = 2048
FULL_SCALE = 1 << 23
_MASK = 0xFFFFFF
_HUGE = 2.0**62


def load_numpy() -> None:
    """Now, and not while a device waits to be heard: it takes a tenth of a second, on a slow computer a whole one."""
    import numpy  # noqa: F401


class FrameAt(NamedTuple):
    """A DATA frame within a block: its first row, and what is needed to point at it."""

    row: int
    n_samples: int
    offset: int
    packet: int
    sample_index: int
    t_us: int


@dataclass
class SampleBlock:
    """Consecutive DATA frames of one shape. Rows are conversions; frames may be missing between them.

    `values` (n_rows, n_words): signed 24-bit words as sent, status words included; float32 samples without them.
    `first`: any of the frames, for the shape.
    """

    first: Data
    frames: list[FrameAt]
    values: NDArray[np.int64]
    setting: Setting | None = field(repr=False)

    @property
    def offset(self) -> int:
        return self.frames[0].offset

    @property
    def is_int(self) -> bool:
        """Whether the samples are the converter's 24-bit words."""
        return self.first.sample_type == 0

    @cached_property
    def unsigned(self) -> NDArray[np.int64]:
        """`values` as 0 … 2^24 - 1."""
        return self.values & _MASK

    @cached_property
    def is_status(self) -> NDArray[np.bool_]:
        """(n_words,): which words of a conversion should be status words."""
        import numpy as np

        mask = np.zeros(self.values.shape[1], dtype=bool)
        if self.first.has_status and self.is_int:
            mask[:: self.first.channels_per_converter + 1] = True
        return mask

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(n_rows, n_channels)"""
        return self.values[:, ~self.is_status]

    @cached_property
    def status(self) -> NDArray[np.int64]:
        """(n_rows, n_converters), each 0 … 2^24 - 1"""
        return self.unsigned[:, self.is_status]

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """(n_channels,): channels that take at least eight different values."""
        import numpy as np

        counts = self.counts
        live: NDArray[np.bool_] = counts.max(axis=0) - counts.min(axis=0) >= 7
        for channel in np.flatnonzero(live):
            column = counts[:, channel]
            live[channel] = len(np.unique(column[:64])) >= 8 or len(np.unique(column)) >= 8
        return live

    def frame_of(self, row: int) -> FrameAt:
        """The frame that holds a row."""
        low, high = 0, len(self.frames)
        while high - low > 1:
            middle = (low + high) // 2
            if self.frames[middle].row <= row:
                low = middle
            else:
                high = middle
        return self.frames[low]

    def indices(self) -> NDArray[np.int64]:
        """(n_rows,): sample_index of each conversion as the frames state it."""
        import numpy as np

        lengths = [f.n_samples for f in self.frames]
        return np.repeat([f.sample_index - f.row for f in self.frames], lengths) + np.arange(len(self.values))


class SampleBuffer:
    """Lays DATA frames together into blocks and sums up what each channel does."""

    def __init__(self, figures: list[ChannelFigures]) -> None:
        self._figures = figures
        self._first: Data | None = None
        self._frames: list[FrameAt] = []
        self._pieces: list[NDArray[np.int64]] = []
        self._payload: list[Data] = []
        self._rows = 0
        self._setting: Setting | None = None
        self._last_row: NDArray[np.int64] | None = None
        self._twins: list[tuple[int, int]] = []

    def room(self, n_samples: int) -> int:
        """Frames of so many conversions that the block still takes, the one that fills it included."""
        return -(-(BLOCK - self._rows) // n_samples)

    def add(self, frame: Data, packet: int, setting: Setting | None) -> list[SampleBlock]:
        """Take a frame; the blocks that it ends or fills."""
        done = self._begin(frame, setting)
        self._payload.append(frame)
        self._frames.append(
            FrameAt(self._rows, frame.n_samples, frame.offset, packet, frame.sample_index, frame.t_us)
        )
        self._rows += frame.n_samples
        return done + self._full()

    def add_run(
        self, first: Data, frames: list[FrameAt], values: NDArray[np.int64], setting: Setting | None
    ) -> list[SampleBlock]:
        """Take frames that are decoded already; their `row` counts from the start of `values`."""
        done = self._begin(first, setting)
        self._unpack()
        self._pieces.append(values)
        self._frames += [f._replace(row=f.row + self._rows) for f in frames]
        self._rows += len(values)
        return done + self._full()

    def flush(self) -> list[SampleBlock]:
        """The block so far, if there is one."""
        first = self._first
        if first is None or not self._rows:
            return []
        import numpy as np

        self._unpack()
        values = np.concatenate(self._pieces)
        block = SampleBlock(first, self._frames, values, self._setting)
        self._frames, self._pieces, self._rows, self._first = [], [], 0, None
        self._sum_up(block)
        return [block]

    def _begin(self, frame: Data, setting: Setting | None) -> list[SampleBlock]:
        done = self.flush() if self._first is not None and not _alike(self._first, frame) else []
        if self._first is None:
            self._first = frame
        self._setting = setting
        return done

    def _full(self) -> list[SampleBlock]:
        return self.flush() if self._rows >= BLOCK else []

    def _unpack(self) -> None:
        """Turn the frames that wait as bytes into words, all at once."""
        if not self._payload:
            return
        import numpy as np

        first = self._payload[0]
        if first.sample_type == 0:
            joined = b"".join(frame.payload for frame in self._payload)
            rows = sum(frame.n_samples for frame in self._payload)
            raw = np.frombuffer(joined, dtype=np.uint8).reshape(rows, -1, 3).astype(np.int64)
            words = ((raw[:, :, 0] << 16 | raw[:, :, 1] << 8 | raw[:, :, 2]) ^ FULL_SCALE) - FULL_SCALE
            self._pieces.append(words)
        else:
            self._pieces += [as_words(np.array(frame.values())) for frame in self._payload]
        self._payload = []

    def _sum_up(self, block: SampleBlock) -> None:
        counts = block.counts
        n = counts.shape[1]
        if len(self._figures) != n:  # the first block, or another number of channels: the newest is reported
            self._figures[:] = [ChannelFigures(f"channel {k + 1}", 1 << 62, -(1 << 62)) for k in range(n)]
            self._twins = [(k, j) for k in range(n) for j in range(k)]
            self._last_row = None
        labels = block.setting.labels if block.setting is not None else ()
        if len(labels) == n:
            for channel, label in zip(self._figures, labels, strict=True):
                channel.label = label
        lows, highs = counts.min(axis=0).tolist(), counts.max(axis=0).tolist()
        railed = ((counts >= FULL_SCALE - 1) | (counts <= -FULL_SCALE)).sum(axis=0).tolist()
        changes = (counts[1:] != counts[:-1]).sum(axis=0)
        if self._last_row is not None:
            changes = changes + (counts[0] != self._last_row)
        for k, channel in enumerate(self._figures):
            channel.minimum = min(channel.minimum, lows[k])
            channel.maximum = max(channel.maximum, highs[k])
            channel.samples += len(counts)
            channel.railed += railed[k]
            channel.changes += int(changes[k])
            channel.identical_to = ""
        self._last_row = counts[-1].copy()
        self._twins = [(k, j) for k, j in self._twins if (counts[:, k] == counts[:, j]).all()]
        for k, j in reversed(self._twins):
            if self._figures[k].changes:
                self._figures[k].identical_to = self._figures[j].label


def as_words(samples: NDArray[Any]) -> NDArray[np.int64]:
    """Samples of any type as integers; what is no number counts as 0."""
    import numpy as np

    if samples.dtype.kind == "f":
        samples = np.clip(np.nan_to_num(samples.astype(np.float64)), -_HUGE, _HUGE)
    return samples.astype(np.int64)


def _alike(a: Data, b: Data) -> bool:
    return _shape(a) == _shape(b)


def _shape(frame: Data) -> tuple[int, ...]:
    form = (frame.sample_type, frame.has_status, frame.channels_per_converter)
    return (frame.n_channels, frame.config_id, *form, frame.flags & Flag.TEST_SIGNAL)
