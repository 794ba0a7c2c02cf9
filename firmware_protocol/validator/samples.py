"""Samples of many DATA frames side by side, for whatever must be seen over time. Loads numpy on first use.

DATA frames of one shape and config_id are laid together until `BLOCK` conversions are there or the shape changes.
A block is the bytes as they came, so that questions about byte order and alignment can be asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.frames import Data
from firmware_protocol.validator.figures import ChannelFigures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware_protocol.validator.stream import Setting

__all__ = ["BLOCK", "FrameAt", "SampleBlock", "SampleBuffer"]

BLOCK = 2048
FULL_SCALE = 1 << 23


class FrameAt(NamedTuple):
    """A DATA frame within a block: its first row, the frame, its number on the wire."""

    row: int
    data: Data
    packet: int


@dataclass
class SampleBlock:
    """Consecutive DATA frames of one shape. Rows are conversions; frames may be missing between them.

    `words` (n_rows, n_words, 3) uint8: the 24-bit words as sent, status words included; None for float32.
    """

    frames: list[FrameAt]
    words: NDArray[np.uint8] | None
    values: NDArray[np.int64]
    setting: Setting | None = field(repr=False)

    @property
    def first(self) -> Data:
        return self.frames[0].data

    @property
    def offset(self) -> int:
        return self.first.offset

    @cached_property
    def is_status(self) -> NDArray[np.bool_]:
        """(n_words,): which words of a conversion should be status words."""
        import numpy as np

        mask = np.zeros(self.values.shape[1], dtype=bool)
        if self.first.has_status:
            mask[:: self.first.channels_per_converter + 1] = True
        return mask

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(n_rows, n_channels)"""
        return self.values[:, ~self.is_status]

    @cached_property
    def status(self) -> NDArray[np.int64]:
        """(n_rows, n_converters), each 0 … 2^24 - 1"""
        return self.values[:, self.is_status] & 0xFFFFFF

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """(n_channels,): channels that take at least eight different values."""
        import numpy as np

        counts = self.counts
        changing = np.flatnonzero(counts.max(axis=0) - counts.min(axis=0) >= 7)
        live = np.zeros(counts.shape[1], dtype=bool)
        for channel in changing:
            column = counts[:, channel]
            live[channel] = len(np.unique(column[:256])) >= 8 or len(np.unique(column)) >= 8
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

        firsts = np.array([f.data.sample_index for f in self.frames], dtype=np.int64)
        rows = np.array([f.row for f in self.frames])
        lengths = np.diff(np.append(rows, len(self.values)))
        return np.repeat(firsts - rows, lengths) + np.arange(len(self.values))


class SampleBuffer:
    """Lays DATA frames together into blocks and sums up what each channel does."""

    def __init__(self, figures: list[ChannelFigures]) -> None:
        self._figures = figures
        self._frames: list[FrameAt] = []
        self._payload = bytearray()
        self._rows = 0
        self._setting: Setting | None = None
        self._last_row: NDArray[np.int64] | None = None
        self._twins: list[tuple[int, int]] | None = None

    def add(self, frame: Data, packet: int, setting: Setting | None) -> SampleBlock | None:
        """Take a frame; the block that is full or that this frame ends, if there is one."""
        done = None
        if self._frames and not _alike(self._frames[0].data, frame):
            done = self.flush()
        self._setting = setting
        self._frames.append(FrameAt(self._rows, frame, packet))
        self._payload += frame.payload
        self._rows += frame.n_samples
        if done is None and self._rows >= BLOCK:
            done = self.flush()
        return done

    def flush(self) -> SampleBlock | None:
        """The block so far."""
        if not self._frames:
            return None
        import numpy as np

        first = self._frames[0].data
        raw = np.frombuffer(bytes(self._payload), dtype=np.uint8)
        if first.sample_type == 0:
            words = raw.reshape(self._rows, -1, 3)
            wide = words.astype(np.int64)
            unsigned = wide[:, :, 0] << 16 | wide[:, :, 1] << 8 | wide[:, :, 2]
            values = (unsigned ^ FULL_SCALE) - FULL_SCALE
            block = SampleBlock(self._frames, words, values, self._setting)
        else:
            rows: list[list[float]] = [row for f in self._frames for row in f.data.values()]
            real = np.nan_to_num(np.array(rows), nan=0.0, posinf=2.0**62, neginf=-(2.0**62))
            whole = np.clip(real, -(2.0**62), 2.0**62).astype(np.int64)
            block = SampleBlock(self._frames, None, whole, self._setting)
            block.is_status = np.zeros(whole.shape[1], dtype=bool)
        self._frames, self._payload, self._rows = [], bytearray(), 0
        self._sum_up(block)
        return block

    def _sum_up(self, block: SampleBlock) -> None:
        counts = block.counts
        n = counts.shape[1]
        if len(self._figures) != n:  # the first block, or another number of channels: the newest is reported
            labels = block.setting.labels if block.setting is not None else ()
            names = labels if len(labels) == n else tuple(f"channel {k + 1}" for k in range(n))
            self._figures[:] = [ChannelFigures(name, 1 << 62, -(1 << 62)) for name in names]
            self._twins = [(k, j) for k in range(n) for j in range(k)]
            self._last_row = None
        lows, highs = counts.min(axis=0), counts.max(axis=0)
        railed = ((counts >= FULL_SCALE - 1) | (counts <= -FULL_SCALE)).sum(axis=0)
        changes = (counts[1:] != counts[:-1]).sum(axis=0)
        if self._last_row is not None:
            changes = changes + (counts[0] != self._last_row)
        for k, channel in enumerate(self._figures):
            channel.minimum = min(channel.minimum, int(lows[k]))
            channel.maximum = max(channel.maximum, int(highs[k]))
            channel.samples += len(counts)
            channel.railed += int(railed[k])
            channel.changes += int(changes[k])
        self._last_row = counts[-1].copy()
        self._twins = [(k, j) for k, j in self._twins or () if (counts[:, k] == counts[:, j]).all()]
        for channel in self._figures:
            channel.identical_to = ""
        for k, j in reversed(self._twins):
            if self._figures[k].changes:
                self._figures[k].identical_to = self._figures[j].label


def _alike(a: Data, b: Data) -> bool:
    return (a.n_channels, a.config_id, a.sample_type, a.has_status, a.channels_per_converter) == (
        b.n_channels,
        b.config_id,
        b.sample_type,
        b.has_status,
        b.channels_per_converter,
    )
