"""Samples whose sign got lost on the way into the word: they jump to another place where they should cross zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from firmware_protocol.validator.causes.suspicion import MASK, MIN_ROWS, Suspicion
from firmware_protocol.validator.samples import FULL_SCALE, SampleBlock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware_protocol.validator.causes.suspicion import Ints

__all__ = ["sign_extension"]

_USUAL_BITS = (15, 16, 23, 24)  # of numbers that are widened without their sign
_INVERTED = "the sign bit is inverted (offset binary)"
_NEARLY_ALL = 0.9  # channels: one that crosses zero as it should speaks against it
_APART = 3  # channels on each side of zero that together show it, where none crosses it


def sign_extension(block: SampleBlock) -> Iterator[Suspicion]:
    """Negative samples that come out as large positive ones, or at the other end of the range."""
    import numpy as np

    if len(block.counts) < MIN_ROWS:
        return
    words = np.flatnonzero(~block.is_status)
    live = np.flatnonzero(block.live).tolist()
    for read, note, may_be in _READINGS:
        found = {channel: _crossings(read(block.counts[:, channel])) for channel in live}
        struck = [channel for channel, crossings in found.items() if crossings]
        if sum(found.values()) < 2 or may_be(block.counts[:, live]).all(axis=0).mean() < _NEARLY_ALL:
            continue
        others = f" (so do {len(struck) - 1} other channels)" if len(struck) > 1 else ""
        bits = int(read(block.counts[:, struck[0]]).max()).bit_length()
        text = f"channel {struck[0] + 1} {note.format(top=1 << bits, bit=bits - 1)}{others}"
        yield Suspicion("sign-extension", text, 3, len(block.counts), 0, int(words[struck[0]]))
        return
    yield from _apart(block, words)


def _apart(block: SampleBlock, words: Ints) -> Iterator[Suspicion]:
    """Electrodes far from zero do not cross it; but then some would have to be on its other side."""
    import numpy as np

    live = np.flatnonzero(block.live)
    if not len(live):
        return
    counts = block.counts[:, live]
    levels = np.median(counts, axis=0)
    top = int(counts.max())
    bits = next((bits for bits in _USUAL_BITS if top < 1 << bits), None)
    if int(counts.min()) >= 0 and bits is not None:
        high, low = levels >= (1 << bits) * 7 // 8, levels < (1 << bits) // 8
        what = f"no sample is negative, and bit {bits - 1} is the sign: the bits above it are 0 instead of its copies"
    else:
        high, low = levels >= FULL_SCALE * 7 // 8, levels <= -FULL_SCALE * 7 // 8
        what = f"no sample is near zero: {_INVERTED}"
    if min(high.sum(), low.sum()) < _APART or not (high | low).all():
        return
    channel = int(live[np.argmax(high)])
    text = f"{high.sum()} channels stand at the top of the range, {low.sum()} at its other end, none between; {what}"
    yield Suspicion("sign-extension", text, 2, len(block.counts), 0, int(words[channel]))


def _crossings(values: Ints) -> int:
    """How often values fall from the top of a power of two to its bottom, or rise, where the signal crosses zero."""
    import numpy as np

    top = int(values.max())
    if int(values.min()) < 0 or top < 64:
        return 0
    modulus = 1 << top.bit_length()
    high, low = values >= modulus * 7 // 8, values < modulus // 8
    if not (0.02 <= high.mean() <= 0.98) or (high | low).mean() < 0.98:
        return 0
    mended = np.where(values >= modulus // 2, values - modulus, values)
    crossing = high[1:] != high[:-1]
    steps = np.abs(np.diff(mended))
    spread = int(mended.max() - mended.min())
    if not crossing.any() or spread < 8:
        return 0
    # a square wave jumps by its whole range, a signal that crosses zero goes through it
    return 0 if np.median(steps[crossing]) > 0.6 * spread else int(crossing.sum())


#: How to read the counts, what then is to be said of a channel, and what all channels must look like.
_READINGS: tuple[tuple[Callable[[Ints], Ints], str, Callable[[Ints], NDArray[np.bool_]]], ...] = (
    (
        lambda x: x,
        "jumps between 0 and {top} where its signal crosses zero: bit {bit} is the sign, and the bits above it are 0 "
        "instead of its copies",
        lambda x: x >= 0,
    ),
    (lambda x: -1 - x, "never goes above −1: the bits above bit {bit} are always set", lambda x: x < 0),
    (
        lambda x: (x ^ FULL_SCALE) & MASK,
        f"jumps between the ends of the range where its signal crosses zero: {_INVERTED}",
        lambda x: abs(x) > FULL_SCALE // 2,
    ),
)
