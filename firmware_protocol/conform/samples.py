"""FP75x: samples whose values are known beforehand (SPEC 5.3, 6.6): order, sign, width and scale are as stated."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from firmware_protocol.codes import Flag, Opcode, Pattern, Status, TestSignal
from firmware_protocol.conform.asking import Stream, about, changed, expect, streaming
from firmware_protocol.conform.host import Host, Skip
from firmware_protocol.conform.steps import step
from firmware_protocol.frames import Data
from firmware_protocol.patterns import pattern_counts
from firmware_protocol.validator.findings import Hit

_TEST_LEVEL = 2400  # VREF over the test signal
_GAIN = 24
_TOLERANCE = 0.05
_SETTLING = 4  # conversions that a sigma-delta converter takes to settle
_TEST_HZ = {TestSignal.SLOW: 2.048e6 / 2**21, TestSignal.FAST: 2.048e6 / 2**20}
_U24 = 0xFFFFFF

Row = tuple[int, list[int], Data]  # conversion number, counts, the packet


def _rows(stream: Stream, data: list[Data]) -> list[Row]:
    return [
        (stream.number(frame.sample_index) + k, row, frame)
        for frame in data
        for k, row in enumerate(frame.counts())
    ]


@step(
    "FP751",
    "test-pattern",
    "6.6",
    hint="Compute the pattern from the conversion's 64-bit number and the channel, put it where the converter's words "
    "would be, most significant byte first, and set b2.",
)
def test_pattern(host: Host) -> Iterator[Hit]:
    """Both test patterns arrive as SPEC computes them, from the conversion numbers and channels they are sent under.

    Anything else in byte order, sign, width, channel order or conversion number is named.
    """
    seconds = 0.4 if host.plan.quick else 1.5
    for pattern in (Pattern.RAMP, Pattern.PRBS):
        with streaming(host) as stream:
            stream.listen_for(1, 2.0)
            response = yield from expect(host, Status.OK, Opcode.TEST_PATTERN, pattern)
            if response.status != Status.OK:
                continue
            host.listen(seconds)
            yield from _end_pattern(host)
        marked = [frame for frame in stream.data() if frame.flags & Flag.TEST_SIGNAL]
        if not marked:
            name = pattern.name.lower()
            yield host.hit(
                f"no DATA with b2 after TEST_PATTERN ({name})", "none", "all", frame=response, key="b2"
            )
            continue
        yield from _compare(host, pattern, _rows(stream, marked))


def _end_pattern(host: Host) -> Iterator[Hit]:
    response = yield from expect(host, Status.OK, Opcode.TEST_PATTERN, Pattern.OFF)
    after = host.listen(
        1.0,
        lambda frame: isinstance(frame, Data) and bool(frame.flags & Flag.COMMAND_ACTED),
        since=host.place(response),
    )
    if after is None:
        text = "no DATA with b4 after TEST_PATTERN(0)"
        yield host.hit(text, "none within 1 s", "the next DATA", frame=response, key="b4")
    elif after.frame.flags & Flag.TEST_SIGNAL:
        yield host.hit("b2 of DATA after TEST_PATTERN(0)", "1", "0", frame=after.frame, key="b2 off")


def _compare(host: Host, pattern: Pattern, rows: list[Row]) -> Iterator[Hit]:
    wrong = [(i, row, frame) for i, row, frame in rows if row != pattern_counts(pattern, i, len(row))]
    if not wrong:
        return
    i, row, frame = wrong[0]
    expected = pattern_counts(pattern, i, len(row))
    channel = next(c for c, (a, b) in enumerate(zip(row, expected, strict=True)) if a != b)
    named = _named(pattern, rows)
    what = f": {named}" if named else ""
    text = f"{pattern.name.lower()} differs in {len(wrong)} of {len(rows)} conversions{what}"
    got = f"{row[channel] & _U24:06x} in channel {channel} of conversion {i}"
    wanted = f"{expected[channel] & _U24:06x}"
    yield host.hit(text, got, wanted, frame=frame, key=named or pattern.name.lower())


def _swapped(word: int) -> int:
    return (word & 0xFF) << 16 | word & 0xFF00 | word >> 16


#: What may have happened to a 24-bit word, and the words that it makes; `mask` hides bits that are not known.
_WORDS: tuple[tuple[str, Callable[[int], int], int], ...] = (
    ("the bytes of each sample are swapped: least significant first", _swapped, _U24),
    ("the sign is lost: only 16 bits are kept, and the upper byte is 0", lambda w: w & 0xFFFF, _U24),
    ("the upper byte is sign extension of 16 bits", lambda w: (w & 0xFFFF ^ 0x8000) - 0x8000 & _U24, _U24),
    ("samples have 16 bits: the lowest byte is lost", lambda w: w >> 8, _U24),
    ("the sign bit is flipped: offset binary, not two's complement", lambda w: w ^ 0x800000, _U24),
    ("samples have the wrong sign", lambda w: -w & _U24, _U24),
    ("the words are read one clock late (SPI bit slip)", lambda w: w << 1 & _U24, _U24 - 1),
    ("the words are read one clock early (SPI bit slip)", lambda w: w >> 1, _U24 >> 1),
    ("the words are read two clocks late (SPI bit slip)", lambda w: w << 2 & _U24, _U24 - 3),
)
_MOST = 0.9


def _named(pattern: Pattern, rows: list[Row]) -> str:
    """The mistake that explains nearly all rows; "" if none does."""
    sample = rows[:: max(1, len(rows) // 64)]
    n = len(sample[0][1])

    def share(expected: Callable[[int, int], int | None], mask: int = _U24) -> float:
        hits = total = 0
        for i, row, _ in sample:
            for c, value in enumerate(row):
                wanted = expected(i, c)
                if wanted is not None:
                    total += 1
                    hits += not (value ^ wanted) & mask
        return hits / total if total else 0.0

    def word(i: int, c: int) -> int:
        return pattern_counts(pattern, i, n)[c] & _U24

    for name, change, mask in _WORDS:
        if share(lambda i, c, change=change: change(word(i, c)), mask) > _MOST:  # type: ignore[misc]
            return name
    for shift in (1, -1, 2, -2):
        if share(lambda i, c, s=shift: word(i, c + s) if 0 <= c + s < n else None) > _MOST:  # type: ignore[misc]
            place = "early" if shift > 0 else "late"
            return (
                f"every channel comes {abs(shift)} place{'s' * (abs(shift) > 1)} {place} (channel off by one)"
            )
    for ahead in (-1, 1, *range(-32, 33)):
        if share(lambda i, c, a=ahead: word(i + a, c)) > _MOST:  # type: ignore[misc]
            return f"the pattern is that of the conversion {ahead:+d} (sample_index off by {-ahead:+d})"
    if share(lambda i, c: word(i, 0)) > _MOST:
        return "all channels carry channel 0"
    if n > 1 and share(lambda i, c: word(i, n - 1 - c)) > _MOST:
        return "the channels come in reverse order"
    return ""


@step(
    "FP752",
    "test-signal",
    "5.3",
    hint="Switch the converter's internal test signal to all channels (CONFIG2, CHnSET), and set b2 of DATA.",
)
def test_signal(host: Host) -> Iterator[Hit]:
    """The test signal shows in all channels as ±VREF/2400 (or twice that) within 5 %, with the period of its mode."""
    own = about(host)
    gained = yield from changed(host, own, Opcode.SET_CHANNEL, 255, _GAIN, 0, 1, unsupported=True)
    if gained is None:
        raise Skip("the gain is not known: SET_CHANNEL is not supported")
    level = _GAIN * (2**23 - 1) / _TEST_LEVEL
    for mode, amplitude in ((TestSignal.DC, 1), (TestSignal.FAST, 2), (TestSignal.SLOW, 1)):
        with streaming(host) as stream:
            response = yield from expect(
                host, (Status.OK, Status.UNSUPPORTED), Opcode.TEST_SIGNAL, mode, amplitude
            )
            if response.status != Status.OK:
                continue
            host.listen(0.3 if mode == TestSignal.DC else 2.2 / _TEST_HZ[mode])
            yield from expect(host, Status.OK, Opcode.TEST_SIGNAL, TestSignal.OFF, 1)
        rows = _rows(stream, [frame for frame in stream.data() if frame.flags & Flag.TEST_SIGNAL])
        if len(rows) <= 2 * _SETTLING:
            yield host.hit("no DATA with b2 after TEST_SIGNAL", "none", "all", frame=response, key="b2")
            continue
        yield from _levels(host, rows[_SETTLING:], mode, level * amplitude, float(own.rate))


def _levels(host: Host, rows: list[Row], mode: TestSignal, level: float, rate_hz: float) -> Iterator[Hit]:
    edges = [k for k in range(1, len(rows)) if (rows[k][1][0] > 0) != (rows[k - 1][1][0] > 0)]
    calm = [row for k, row in enumerate(rows) if all(abs(k - edge) > _SETTLING for edge in edges)]
    name = mode.name.lower()
    for _, row, frame in calm:
        wrong = [c for c, value in enumerate(row) if abs(abs(value) - level) > _TOLERANCE * level]
        if wrong:
            text = f"test signal ({name}) in channel {wrong[0]}"
            yield host.hit(
                text, f"{row[wrong[0]]} counts", f"±{level:.0f} within 5 %", frame=frame, key="level"
            )
            break
    if mode == TestSignal.DC:
        if edges:
            yield host.hit("test signal (dc) changes its sign", frame=rows[edges[0]][2], key="dc")
        return
    half = rate_hz / _TEST_HZ[mode] / 2
    if len(edges) < 2:
        yield host.hit(f"test signal ({name}) has no edges", f"{len(edges)}", "a square wave", key="edges")
        return
    got = (edges[-1] - edges[0]) / (len(edges) - 1)
    if abs(got - half) > _TOLERANCE * half + 1:
        text = f"half a period of the test signal ({name})"
        expected = f"{half:.1f}"
        yield host.hit(text, f"{got:.1f} conversions", expected, frame=rows[edges[0]][2], key="period")
