"""Bytes of a sample in another order, and words that begin some bits too early or too late."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.validator.causes.suspicion import MASK, MIN_ROWS, Suspicion, roughness, signed
from firmware_protocol.validator.samples import SampleBlock

__all__ = ["late_bits", "misread"]

_SCATTERED_BITS = 12.0  # mean step of a word whose highest bits are the lowest of another
_MIXED = 0.1  # part of zeros, and of ones, that a bit has at least that may be either
_ORDERS = {
    (2, 1, 0): "least significant byte first",
    (1, 0, 2): "the upper two bytes swapped",
    (0, 2, 1): "the lower two bytes swapped",
}


def misread(block: SampleBlock) -> Iterator[Suspicion]:
    """Another order of bytes or another place of the words that makes the samples far smoother: the best of all."""
    if not block.is_int or len(block.values) < MIN_ROWS or not block.live.any():
        return
    found = [x for x in (_byte_order(block), _alignment(block)) if x is not None]
    if found:
        yield max(found, key=lambda x: x[0])[1]


def _byte_order(block: SampleBlock) -> tuple[float, Suspicion] | None:
    """The bytes of a sample change least in the most significant one; which one is that here?"""
    import numpy as np

    live = block.live
    words = block.counts[:, live] & MASK
    raw = np.stack([words >> 16, words >> 8 & 0xFF, words & 0xFF], axis=2)
    as_sent = roughness(block.counts[:, live])
    change = np.abs(np.diff(raw, axis=0))
    busy = np.median(np.minimum(change, 256 - change).mean(axis=0), axis=0)  # per byte of a word
    best: tuple[float, tuple[int, int, int]] | None = None
    for order in _ORDERS:
        a, b, c = order
        read = signed(raw[:, :, a] << 16 | raw[:, :, b] << 8 | raw[:, :, c])
        gain = as_sent - roughness(read)
        rising = (
            busy[a] <= busy[b] * 1.25 + 0.5
            and busy[b] <= busy[c] * 1.25 + 0.5
            and busy[c] > 2 * busy[a] + 0.5
        )
        if gain >= 3.0 and rising and (best is None or gain > best[0]):
            best = (gain, order)
    if best is None:
        return None
    gain, order = best
    note = f"the samples are sent with {_ORDERS[order]}: read so, they are {2**gain:.0f} times smoother"
    return gain, Suspicion("sample-byte-order", note, 3 if gain > 5 else 2, len(words))


def _alignment(block: SampleBlock) -> tuple[float, Suspicion] | None:
    """Words that begin some bits too early: the last bits of one word are the first of the next."""
    import numpy as np

    unsigned = block.unsigned
    columns = np.flatnonzero(~block.is_status)[block.live]
    columns = columns[np.isin(columns + 1, columns)]  # next to a channel that stands still anything is smooth
    if not len(columns):
        return None
    as_sent = roughness(block.values[:, columns])
    if as_sent < _SCATTERED_BITS:
        return None
    highest = (unsigned[:, columns] >> 23).mean()
    if not _MIXED < highest < 1 - _MIXED:
        return None  # the bit before a word is the last of its neighbour, so it is any
    best = (0.0, 0)
    for k in range(1, 21):
        read = signed(unsigned[:, columns] << k | unsigned[:, columns + 1] >> 24 - k)
        best = max(best, (as_sent - roughness(read) - 0.01 * k, k))
    gain, k = best
    if gain < 4.0:
        return None
    many = f"{k // 8} byte{'s' if k > 8 else ''}" if k % 8 == 0 else f"{k} bit{'s' if k > 1 else ''}"
    note = f"the words begin {many} too early: read {many} later, they are {2**gain:.0f} times smoother"
    return gain, Suspicion("spi-bit-slip", note, 3 if gain > 6 else 2, len(unsigned))


def late_bits(block: SampleBlock) -> Iterator[Suspicion]:
    """Words read some bits too late: each ends with the first bits of the next one, which are its sign.

    The chance that the last bit of every word equals the sign of its neighbour is one in two for each word.
    """
    import numpy as np

    live = block.live
    columns = np.flatnonzero(~block.is_status)
    pairs = [
        (a, b)
        for (a, live_a), (b, live_b) in zip(
            zip(columns, live, strict=True), zip(columns[1:], live[1:], strict=False), strict=False
        )
        if live_a and live_b and b == a + 1
    ]
    if not block.is_int or not pairs:
        return
    left = block.unsigned[:, [a for a, _ in pairs]]
    sign = block.unsigned[:, [b for _, b in pairs]] >> 23
    alike = (left & 1) == sign
    size = max(48 // len(pairs), 8)
    usable = len(alike) // size * size
    if usable == 0:
        return
    windows = alike[:usable].reshape(-1, size * len(pairs))
    ones = sign[:usable].reshape(-1, size * len(pairs)).mean(axis=1)
    struck = windows.all(axis=1) & (ones > _MIXED) & (ones < 1 - _MIXED)
    if not struck.any():
        return
    # how many bits: the low bits that all repeat the neighbour's sign
    chosen = np.repeat(struck, size)
    bits = 1
    while bits < 8:
        mask = (1 << bits + 1) - 1
        low = left[:usable][chosen] & mask
        if (low != np.where(sign[:usable][chosen] == 1, mask, 0)).mean() > 0.02:
            break
        bits += 1
    note = (
        f"the words are read {bits} bit{'s' if bits > 1 else ''} too late: the last bit{'s' if bits > 1 else ''} of "
        "each repeat the sign of the next"
    )
    yield Suspicion(
        "spi-bit-slip", note, 3, int(struck.sum()) * size, int(np.argmax(struck)) * size, int(pairs[0][0])
    )
