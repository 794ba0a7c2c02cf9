"""Words in the wrong place: status words that are none, and samples that stand where their neighbour should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from firmware_protocol.validator.causes.suspicion import MASK, MIN_ROWS, Suspicion, roughness
from firmware_protocol.validator.causes.words import misread
from firmware_protocol.validator.samples import SampleBlock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware_protocol.validator.causes.suspicion import Ints

__all__ = ["channel_shift", "status"]

_NIBBLE = 0b1100  # that a status word begins with
_LATE = {0b1000: "one clock", 0b1001: "one clock", 0b0000: "two or more clocks"}


def status(block: SampleBlock) -> Iterator[Suspicion]:
    """Status words whose first four bits are not 1100: where did the 1100 go?"""
    import numpy as np

    if not block.is_int or not block.first.has_status:
        return
    wrong = ((block.status >> 20) != _NIBBLE).any(axis=1)
    if not wrong.any():
        return
    unsigned = block.unsigned[wrong]
    first, n = int(np.argmax(wrong)), int(wrong.sum())
    at = np.flatnonzero(block.is_status)
    here, behind = unsigned[:, at[0]], unsigned[:, at[0] + 1]
    sure = 3 if n >= 4 else 2
    where = _constant_status_words(unsigned, at)
    if where is not None:
        note = f"the status word stands at word {where + 1} of each conversion, not at word 1: the words are rotated"
        yield Suspicion("channel-off-by-one", note, sure, n, first, where)
        return
    for k in range(1, 21):
        shifted = here << k | behind >> 24 - k
        if n > 1 and ((shifted >> 20 & 15) == _NIBBLE).mean() > 0.95 and _steady(shifted & MASK):
            note = f"the bits 1100 of the status word come {k} bit{'s' if k > 1 else ''} too late on the wire"
            yield Suspicion("spi-bit-slip", note, 3 if n >= 8 else 2, n, first)
            return
    if n >= 4 and not _steady(here) and roughness(here[:, None]) > 2.0:
        note = "where the status word should be stands a sample: the words of a conversion are shifted"
        yield Suspicion("channel-off-by-one", note, sure, n, first)
        return
    # its bytes may be reversed, as those of samples
    if n >= 4 and ((here >> 4 & 15) == _NIBBLE).mean() > 0.95:
        swapped = [x for x in misread(block) if x.name == "sample-byte-order"]
        yield from swapped
        if swapped:
            return
    nibble = int(np.bincount(here >> 20, minlength=16).argmax())
    how = _LATE.get(nibble)
    note = f"the status word begins with {nibble:04b} instead of 1100"
    note += f": the converter was read {how} late" if how else ""
    yield Suspicion("spi-bit-slip", note, 2, n, first)


def _steady(words: Ints) -> bool:
    """Whether the words are alike, as status words are."""
    import numpy as np

    return len(np.unique(words)) <= max(4, len(words) // 8)


def _constant_status_words(unsigned: Ints, at: Ints) -> int | None:
    """A word other than the first that looks like a status word in every conversion."""
    for word in range(unsigned.shape[1]):
        if word not in at and ((unsigned[:, word] >> 20) == 0b1100).all() and _steady(unsigned[:, word]):
            return word
    return None


def channel_shift(block: SampleBlock) -> Iterator[Suspicion]:
    """Words in the wrong place: a status word taken for a channel, one word too many or too few per conversion."""
    import numpy as np

    if not block.is_int:
        return
    unsigned = block.unsigned
    n = unsigned.shape[1]
    if len(unsigned) >= MIN_ROWS:
        status_at = np.flatnonzero(block.is_status)
        where = _constant_status_words(unsigned, status_at)
        if where is not None and block.first.has_status:
            if not (unsigned[:, [where]] == unsigned[:, status_at]).any(axis=1).all():
                where = None  # a channel that stands still, nothing else
        elif where is not None and n > 1 and not block.live[[c for c in range(n) if c != where]].any():
            where = None
        if where is not None:
            channel = where - int((status_at < where).sum())
            word = int(unsigned[0, where])
            note = f"channel {channel + 1} carries the converter's status word (0x{word:06X})"
            if channel == 0 and n > 1:
                note += ": every channel comes one place late"
            yield Suspicion("channel-off-by-one", note, 3 if n > 1 else 2, len(unsigned), 0, where)
            return
    yield from _turned(block)


def _turned(block: SampleBlock) -> Iterator[Suspicion]:
    """From one conversion to the next each channel carries on where its neighbour stopped: the channels turned."""
    import numpy as np

    counts = block.counts
    live = np.flatnonzero(block.live)
    if len(live) < 4 or len(counts) < MIN_ROWS:
        return
    before, after = counts[:-1], counts[1:]
    same = np.median(np.abs(after[:, live] - before[:, live]), axis=1)
    usual = np.median(same) + 1
    # over a gap anything may have happened
    in_order = (np.diff(block.indices()) == 1) & ~_after_pause(block)[1:]
    jumps = np.flatnonzero((same > 6 * usual) & in_order)
    if len(jumps) > len(counts) // 2 or not len(jumps):
        return
    for turn in (1, -1):
        moved = np.roll(before[jumps], turn, axis=1)
        ends = np.abs(after[jumps] - moved)[:, live]
        inner = np.quantile(ends, 0.75, axis=1)
        struck = (inner < same[jumps] / 5) & (inner <= 4 * usual)
        if struck.any():
            row = int(jumps[struck][0]) + 1
            way = "up" if turn > 0 else "down"
            note = (
                f"from here on each channel carries what its neighbour carried before (moved one place {way})"
            )
            yield Suspicion("channel-off-by-one", note, 3, len(counts) - row, row)
            return


def _after_pause(block: SampleBlock) -> NDArray[np.bool_]:
    """Rows before which more time passed than before others."""
    import numpy as np

    rows = np.array([f.row for f in block.frames])
    steps = np.diff([f.t_us for f in block.frames]) & 0xFFFFFFFF
    paused = np.zeros(len(block.values), bool)
    if len(steps):
        paused[rows[1:][steps > 1.5 * np.median(steps)]] = True
    return paused
