"""sample_index and the header's numbers: which wrong rule do they follow?

Every step between two frames that is not as it should be is put to each rule; the rule that explains most of them is
the cause. One number that fits once proves nothing, so a rule must hold for nearly all steps of its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from firmware_protocol.validator.causes.clocks import wrong_time
from firmware_protocol.validator.causes.evidence import Evidence, of_step
from firmware_protocol.validator.causes.link import lost_packets, wrong_link_seq
from firmware_protocol.validator.causes.resets import restarted, set_back
from firmware_protocol.validator.findings import Cause, cause_rule
from firmware_protocol.validator.steps import Step

__all__ = ["counters"]

cause_rule(
    "FP921",
    "counter-per-frame",
    "4.1",
    "sample_index counts DATA frames instead of conversions.",
    hint="Count in the data-ready interrupt, +1 per conversion; a frame carries the number of its first conversion.",
)
cause_rule(
    "FP922",
    "counter-unit",
    "4.1",
    "sample_index advances by something else than the conversions of the frame.",
    hint="sample_index is +1 per conversion of all channels together, sent or not.",
)
cause_rule(
    "FP923",
    "narrow-counter",
    "4.1",
    "A counter wraps before the end of its field: it is kept in too few bits.",
    hint="Keep sample_index and t_us in 64 bits and send the low 32.",
)
cause_rule(
    "FP924",
    "header-byte-order",
    "3",
    "Numbers of the header are sent most significant byte first.",
    hint="All numbers of the protocol are little-endian; only samples and status words are as the converter sends.",
)

_FOLLOW = frozenset({"packets-lost", "wrong-n-samples", "counter-unit"})
_MOST = 0.8


def counters(e: Evidence) -> Iterator[Cause]:
    """Causes that the steps of link_seq, sample_index and t_us speak for."""
    s = e.stream
    if s.restarts:
        plain = [x for x in s.restarts if x.before is not None and x.after is not None]
        yield restarted((plain or s.restarts)[0], len(s.restarts))
    link = wrong_link_seq(s.odd_links, s.packet)
    if link is not None:
        yield link
    steps = [step for step in s.odd if not step.damaged and (link is not None or not step.missing)]
    swapped = _byte_order(steps)
    if swapped is not None:
        yield swapped
        return
    found = _index(steps, s.steps), set_back(s.odd), _narrow_index(steps), _narrow_time(steps)
    yield from (cause for cause in (*found, wrong_time(e, steps)) if cause is not None)
    if link is None:
        yield from lost_packets(e)


def _swap32(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "little"), "big")


def _byte_order(steps: list[Step]) -> Cause | None:
    """sample_index and t_us with their bytes in reverse order."""
    wrong = [x for x in steps if x.ahead]
    late = [x for x in steps if x.ahead == 0]
    index = sum(
        _swap32(x.after.sample_index) - _swap32(x.before.sample_index) == x.before.n_samples for x in wrong
    )
    time = 0
    for x in steps:
        dt = _swap32(x.after.t_us) - _swap32(x.before.t_us)
        expected = None if x.period_us is None else x.period_us * x.before.n_samples
        fits = 0 < dt < 1_000_000 if expected is None else abs(dt - expected) < 0.1 * expected + 300
        time += fits and not 0 < x.dt_us < 1_000_000
    index_fits = len(wrong) >= 4 and index >= _MOST * len(wrong)
    time_fits = time >= 4 and time >= 0.6 * len(steps)
    if not (index_fits or time_fits):
        return None
    step = (wrong if index_fits else late or wrong)[0]
    field = "sample_index" if index_fits else "t_us"
    names = "sample_index and t_us come" if index_fits and time_fits else f"{field} comes"
    a, b = getattr(step.before, field), getattr(step.after, field)
    text = (
        f"{names} with the most significant byte first: {field} goes from 0x{a:08X} to 0x{b:08X}; with its bytes "
        f"reversed it goes from {_swap32(a)} to {_swap32(b)}"
    )
    follow = _FOLLOW | {
        "time-unit",
        "wrong-rate",
        "no-time",
        "device-reset",
        "narrow-counter",
        "counter-restarts",
        "counter-per-frame",
    }
    return of_step("header-byte-order", text, step, field, share=1.0, certainty=3, follow=follow)


def _index(steps: list[Step], n_steps: int) -> Cause | None:
    """A constant wrong advance of sample_index."""
    wrong = [x for x in steps if x.ahead]
    if len(wrong) < 3:
        return None
    advance: Counter[str] = Counter()
    first: dict[str, Step] = {}
    for x in wrong:
        got = (x.after.sample_index - x.before.sample_index) & 0xFFFFFFFF
        n = x.before.n_samples
        name = (
            "stands"
            if got == 0
            else "frame"
            if got == 1 and n > 1
            else "channel"
            if got == n * x.before.n_channels
            else "bytes"
            if got == len(x.before.payload)
            else f"+{got}"
            if got < 4096
            else "other"
        )
        advance[name] += 1
        first.setdefault(name, x)
    name, times = advance.most_common(1)[0]
    if times < _MOST * len(wrong) or name == "other":
        return None
    step = first[name]
    n, ch = step.before.n_samples, step.before.n_channels
    got = (step.after.sample_index - step.before.sample_index) & 0xFFFFFFFF
    share = times / max(n_steps, 1)
    fit = f"({times} of {len(wrong)} odd steps)"
    numbers = f"sample_index goes from {step.before.sample_index} to {step.after.sample_index}"
    if name == "frame":
        text = f"{numbers} over a frame of {n} conversions: it counts frames instead of conversions {fit}"
        return of_step(
            "counter-per-frame",
            text,
            step,
            "sample_index",
            share=share,
            certainty=3,
            follow=_FOLLOW | {"wrong-rate"},
        )
    if name == "stands":
        text = f"sample_index stays {step.after.sample_index} from frame to frame {fit}"
        return of_step(
            "counter-unit",
            text,
            step,
            "sample_index",
            share=share,
            certainty=3,
            follow=_FOLLOW - {"counter-unit"},
        )
    if name in ("channel", "bytes"):
        unit = f"samples of all {ch} channels" if name == "channel" else "payload bytes"
        text = f"{numbers} over a frame of {n} conversions: it counts {unit} {fit}"
        return of_step("counter-unit", text, step, "sample_index", share=share, certainty=3)
    if times < 8:
        return None
    follows_time = step.period_us is None or abs(step.dt_us - got * step.period_us) < 0.3 * step.period_us
    if follows_time:
        text = (
            f"every frame states n_samples = {n}, but {got} conversions lie between one frame and the next, by "
            f"sample_index and by t_us: n_samples is wrong, or {got - n} conversion(s) of each frame are not sent {fit}"
        )
        return of_step("wrong-n-samples", text, step, "n_samples", share=share, certainty=2)
    text = (
        f"{numbers} over a frame of {n} conversions, while t_us advances by {step.dt_us} µs, as for {n} {fit}"
    )
    return of_step("counter-unit", text, step, "sample_index", share=share, certainty=2)


def _narrow_index(steps: list[Step]) -> Cause | None:
    """sample_index that wraps too early."""
    for bits in (8, 16, 24):
        size = 1 << bits
        for step in steps:
            end = step.before.sample_index + step.before.n_samples
            if step.ahead and end >> bits == 1 and end % size == step.after.sample_index:
                text = (
                    f"sample_index goes from {step.before.sample_index} to {step.after.sample_index} while t_us goes "
                    f"on: it wraps at 2^{bits}, so it is kept in {bits} bits"
                )
                return of_step("narrow-counter", text, step, "sample_index", share=1.0, certainty=3)
    return None


def _narrow_time(steps: list[Step]) -> Cause | None:
    """t_us that wraps too early."""
    for step in steps:
        if step.ahead or step.dt_us >= 0 or step.period_us is None:
            continue
        modulus = step.before.t_us + step.period_us * step.before.n_samples - step.after.t_us
        for value, words in _TIME_WRAPS.items():
            if abs(modulus - value) < 2000 + 1e-4 * value:
                times = f"from {step.before.t_us} back to {step.after.t_us}"
                text = f"t_us goes {times} while sample_index goes on: {words}"
                return of_step("narrow-counter", text, step, "t_us", share=1.0, certainty=3)
    return None


_CLOCKS_MHZ = (
    8,
    12,
    16,
    24,
    32,
    48,
    64,
    72,
    80,
    84,
    96,
    100,
    120,
    125,
    133,
    144,
    150,
    160,
    168,
    180,
    200,
    216,
    240,
)
_TIME_WRAPS: dict[float, str] = {
    1 << 16: "it wraps at 2^16 µs, so it is kept in 16 bits",
    1 << 24: "it wraps at 2^24 µs, so it is kept in 24 bits",
    1_000_000: "it begins anew every second: only the part below a second is sent",
    (1 << 32) / 1000: "it wraps at 2^32 ns, so it was divided from a 32-bit number of nanoseconds",
} | {
    (1 << 32)
    / mhz: f"it wraps at 2^32 / {mhz} µs, so it was divided from a 32-bit counter of a {mhz} MHz clock"
    for mhz in _CLOCKS_MHZ
}
