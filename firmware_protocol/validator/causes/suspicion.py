"""What samples can say, and the measure that most tests of them use. numpy; one block of samples at a time.

EEG, noise and test signals have in common that neighbouring samples of a channel differ little compared with the
24-bit range, and least in their high bits. A wrong reading of the bytes breaks that in a way of its own. Each test
looks for such a mark and is silent where the samples cannot tell: a channel that stands still, a signal that fills
the whole range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.validator.samples import FULL_SCALE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["MASK", "MIN_ROWS", "Suspicion", "roughness", "signed"]

MASK = 0xFFFFFF
MIN_ROWS = 12  # conversions that a judgement needs


class Suspicion(NamedTuple):
    """A cause that a block speaks for. `rows`: conversions concerned, `row`: the first; `word`: a word to show."""

    name: str
    note: str
    certainty: int
    rows: int
    row: int = 0
    word: int = 0


def roughness(values: Ints) -> float:
    """Bits by which neighbouring samples differ: the mean over time, the median over channels."""
    import numpy as np

    if values.shape[0] < 2 or not values.shape[1]:
        return 0.0
    return float(np.median(np.log2(1.0 + np.abs(np.diff(values, axis=0))).mean(axis=0)))


def signed(unsigned: Ints) -> Ints:
    """24-bit words as two's complement."""
    return ((unsigned & MASK) ^ FULL_SCALE) - FULL_SCALE
