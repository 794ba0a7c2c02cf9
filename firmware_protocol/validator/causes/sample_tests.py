"""What the numbers in DATA betray about how firmware put them there. numpy; one block of samples at a time.

EEG, noise and test signals have in common that neighbouring samples of a channel differ little compared with the
24-bit range, and least in their high bits. A wrong reading of the bytes breaks that in a way of its own. Each test
looks for such a mark and is silent where the samples cannot tell: a channel that stands still, a signal that fills
the whole range.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.patterns import RAMP_CHANNEL, RAMP_STEP
from firmware_protocol.validator.samples import FULL_SCALE, SampleBlock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = [
    "Suspicion",
    "alignment",
    "byte_order",
    "channel_shift",
    "late_bits",
    "pattern",
    "sign_extension",
    "status",
]

_MASK = 0xFFFFFF
_MIN_ROWS = 12


class Suspicion(NamedTuple):
    """A cause that a block speaks for. `rows`: conversions concerned, `row`: the first; `word`: a word to show."""

    name: str
    note: str
    certainty: int
    rows: int
    row: int = 0
    word: int = 0


def roughness(values: Ints) -> float:
    """Bits by which neighbouring samples differ: log2 of the median step, the median over channels."""
    import numpy as np

    if values.shape[0] < 2 or not values.shape[1]:
        return 0.0
    return float(np.median(np.log2(1.0 + np.median(np.abs(np.diff(values, axis=0)), axis=0))))


def signed(unsigned: Ints) -> Ints:
    return ((unsigned & _MASK) ^ FULL_SCALE) - FULL_SCALE


# ---- test patterns --------------------------------------------------------------------------------------------


def pattern(block: SampleBlock) -> tuple[bool, list[Suspicion]]:
    """Whether the block carries a test pattern of SPEC 6.6, and what is wrong with it.

    The patterns follow from conversion number and channel alone, so every mistake shows exactly.
    """
    import numpy as np

    rows = min(len(block.counts), 64)
    if rows < 4 or not block.is_int:
        return False, []
    counts = block.counts[:rows] & _MASK
    n = counts.shape[1]
    index = block.indices()[:rows, None]
    channel = np.arange(n)[None, :]
    swapped = (counts & 0xFF) << 16 | counts & 0xFF00 | counts >> 16
    for make in (_ramp, _prbs):

        def fits(got: Ints, expected: Ints) -> bool:
            return got.size >= 4 and bool((got == expected & _MASK).mean() > 0.9)

        expected = make(index, channel)
        if fits(counts, expected):
            return True, []
        if fits(swapped, expected):
            note = "the test pattern comes out with its bytes in reverse order"
            return True, [Suspicion("sample-byte-order", note, 3, len(block.values))]
        for shift in [s for s in (1, -1, 2, -2, n // 2) if abs(s) < n]:
            if fits(counts, make(index, (channel + shift) % n)) or fits(counts, make(index, channel + shift)):
                note = (
                    f"channel 1 carries the test pattern of channel {1 + shift % n}, and so on: "
                    f"off by {'one' if abs(shift) == 1 else abs(shift)}"
                )
                return True, [Suspicion("channel-off-by-one", note, 3, len(block.values))]
            if fits(counts[:, abs(shift) :], expected[:, : n - abs(shift)]) and shift > 0:
                note = f"channel {1 + shift} carries the test pattern of channel 1, and so on"
                return True, [Suspicion("channel-off-by-one", note, 3, len(block.values))]
        for late in (1, -1):
            if fits(counts, make(index + late, channel)):
                which = "the next" if late > 0 else "the previous"
                note = f"the samples are those of {which} sample_index: it is off by one against its samples"
                return True, [Suspicion("sample-index-off-by-one", note, 3, len(block.values))]
        for bits in (16, 23):
            mask = (1 << bits) - 1
            if fits(counts, expected & mask) and not fits(counts, expected):
                note = f"of the test pattern only the lower {bits} bits arrive"
                return True, [Suspicion("sign-extension", note, 3, len(block.values))]
        for bits in (1, 2, 3, 4, 8):
            if fits(counts >> bits, (expected << bits & _MASK) >> bits) or fits(
                counts << bits, expected >> bits << bits
            ):
                note = f"the test pattern is shifted by {bits} bit{'s' if bits > 1 else ''}"
                return True, [Suspicion("spi-bit-slip", note, 3, len(block.values))]
    return False, []


def _ramp(index: Ints, channel: Ints) -> Ints:
    return (index * RAMP_STEP + channel * RAMP_CHANNEL) & _MASK


def _prbs(index: Ints, channel: Ints) -> Ints:
    import numpy as np

    x = (index + (channel << 24)).astype(np.uint64) & np.uint64(0xFFFFFFFF)
    x = (x ^ x >> np.uint64(16)) * np.uint64(0x7FEB352D) & np.uint64(0xFFFFFFFF)
    x = (x ^ x >> np.uint64(15)) * np.uint64(0x846CA68B) & np.uint64(0xFFFFFFFF)
    return ((x ^ x >> np.uint64(16)) >> np.uint64(8)).astype(np.int64)


# ---- byte order and alignment -------------------------------------------------------------------------------------

_ORDERS = {
    (2, 1, 0): "least significant byte first",
    (1, 0, 2): "the upper two bytes swapped",
    (0, 2, 1): "the lower two bytes swapped",
}


def byte_order(block: SampleBlock) -> Iterator[Suspicion]:
    """The bytes of a sample change least in the most significant one; which one is that here?"""
    import numpy as np

    live = block.live
    if not block.is_int or len(block.values) < _MIN_ROWS or not live.any():
        return
    words = block.counts[:, live] & _MASK
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
    if best is not None:
        note = f"the samples are sent with {_ORDERS[best[1]]}: read so, they are {2 ** best[0]:.0f} times smoother"
        yield Suspicion("sample-byte-order", note, 3 if best[0] > 5 else 2, len(words))


def alignment(block: SampleBlock) -> Iterator[Suspicion]:
    """Words that begin some bits too early: the last bits of one word are the first of the next."""
    import numpy as np

    live = block.live
    if not block.is_int or len(block.values) < _MIN_ROWS or block.values.shape[1] < 2 or not live.any():
        return
    unsigned = block.unsigned
    columns = np.flatnonzero(~block.is_status)[live]
    columns = columns[np.isin(columns + 1, columns)]  # next to a channel that stands still anything is smooth
    if not len(columns):
        return
    as_sent = roughness(block.values[:, columns])
    best = (0.0, 0)
    for k in range(1, 21):
        read = signed(unsigned[:, columns] << k | unsigned[:, columns + 1] >> 24 - k)
        best = max(best, (as_sent - roughness(read) - 0.01 * k, k))
    gain, k = best
    if gain >= 4.0:
        many = f"{k // 8} byte{'s' if k > 8 else ''}" if k % 8 == 0 else f"{k} bit{'s' if k > 1 else ''}"
        note = f"the words begin {many} too early: read {many} later, they are {2**gain:.0f} times smoother"
        yield Suspicion("spi-bit-slip", note, 3 if gain > 6 else 2, len(unsigned))


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
    struck = windows.all(axis=1) & (ones > 0.1) & (ones < 0.9)
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
        f"the words are read {bits} bit{'s' if bits > 1 else ''} too late: the last bit{'s' if bits > 1 else ''} of each "
        "repeat the sign of the next"
    )
    yield Suspicion(
        "spi-bit-slip", note, 3, int(struck.sum()) * size, int(np.argmax(struck)) * size, pairs[0][0]
    )


def status(block: SampleBlock) -> Iterator[Suspicion]:
    """Status words whose first four bits are not 1100: where did the 1100 go?"""
    import numpy as np

    if not block.is_int or not block.first.has_status:
        return
    wrong = ((block.status >> 20) != 0b1100).any(axis=1)
    if not wrong.any():
        return
    unsigned = block.unsigned[wrong]
    first = int(np.argmax(wrong))
    n = int(wrong.sum())
    at = np.flatnonzero(block.is_status)
    here = unsigned[:, at[0]]
    where = _constant_status_words(unsigned, at)
    if where is not None:
        note = f"the status word stands at word {where + 1} of each conversion, not at word 1: the words are rotated"
        yield Suspicion("channel-off-by-one", note, 3 if n >= 4 else 2, n, first, where)
    elif n >= 4 and ((here >> 4 & 15) == 0b1100).mean() > 0.95 and ((here >> 20) != 0b1100).mean() > 0.95:
        note = "the bytes of the status word come in reverse order"
        yield Suspicion("sample-byte-order", note, 2, n, first)
    else:
        for k in range(1, 21):
            if unsigned.shape[1] > 1:
                shifted = here << k | unsigned[:, at[0] + 1] >> 24 - k
                if ((shifted >> 20 & 15) == 0b1100).mean() > 0.95 and n > 1 and _steady(shifted & _MASK):
                    note = f"the bits 1100 of the status word come {k} bit{'s' if k > 1 else ''} too late on the wire"
                    yield Suspicion("spi-bit-slip", note, 3 if n >= 8 else 2, n, first)
                    return
        nibble = int(np.bincount(here >> 20, minlength=16).argmax())
        how = {0b1000: "one clock", 0b1001: "one clock", 0b0000: "two or more clocks"}.get(nibble)
        note = f"the status word begins with {nibble:04b} instead of 1100"
        if how:
            note += f": the converter was read {how} late"
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


# ---- sign ------------------------------------------------------------------------------------------------------


def sign_extension(block: SampleBlock) -> Iterator[Suspicion]:
    """Samples that jump to the top of a power of two where they should go below zero (or the other way round)."""
    import numpy as np

    if len(block.counts) < _MIN_ROWS:
        return
    struck: list[tuple[int, int, int]] = []
    for channel in np.flatnonzero(block.live):
        column = block.counts[:, channel]
        for sign, values in ((0, column), (1, -1 - column)):
            found = _folded(values)
            if found is not None:
                struck.append((int(channel), found, sign))
                break
    if not struck:
        return
    channel, bits, sign = struck[0]
    if sign:
        note = f"channel {channel + 1} never goes above −1: bits above {bits - 1} are always set"
    else:
        note = (
            f"channel {channel + 1} jumps between 0 and {1 << bits} where its signal crosses zero: bit {bits - 1} is the "
            f"sign, and the bits above it are 0 instead of its copies"
        )
    if len(struck) > 1:
        note += f" (so do {len(struck) - 1} other channels)"
    words = np.flatnonzero(~block.is_status)
    yield Suspicion("sign-extension", note, 3, len(block.counts), 0, int(words[channel]))


def _folded(values: Ints) -> int | None:
    """Bits of the number whose sign was not extended; None if there is no sign of it."""
    import numpy as np

    top = int(values.max())
    if int(values.min()) < 0 or top < 64:
        return None
    bits = top.bit_length()
    modulus = 1 << bits
    high, low = values >= modulus * 7 // 8, values < modulus // 8
    if not (0.02 <= high.mean() <= 0.98) or (high | low).mean() < 0.98:
        return None
    mended = np.where(values >= modulus // 2, values - modulus, values)
    crossing = high[1:] != high[:-1]
    steps = np.abs(np.diff(mended))
    spread = int(mended.max() - mended.min())
    if crossing.sum() < 2 or spread < 8:
        return None
    # a square wave jumps by its whole range, a signal that crosses zero goes through it
    if np.median(steps[crossing]) > 0.6 * spread:
        return None
    return bits


# ---- channels ----------------------------------------------------------------------------------------------------


def channel_shift(block: SampleBlock) -> Iterator[Suspicion]:
    """Words in the wrong place: a status word taken for a channel, one word too many or too few per conversion."""
    import numpy as np

    if not block.is_int:
        return
    unsigned = block.unsigned
    n = unsigned.shape[1]
    if len(unsigned) >= _MIN_ROWS:
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
    if len(live) < 4 or len(counts) < _MIN_ROWS:
        return
    before, after = counts[:-1], counts[1:]
    same = np.median(np.abs(after[:, live] - before[:, live]), axis=1)
    usual = np.median(same) + 1
    jumps = np.flatnonzero(same > 6 * usual)
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
