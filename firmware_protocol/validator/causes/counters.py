"""Counters and time that do not advance as they should: which wrong rule do they follow?

Every step between two frames that is not as it should be is put to each rule; the rule that explains most of them is
the cause. One number that fits once proves nothing, so a rule must hold for nearly all steps of its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from firmware_protocol.frames import Data
from firmware_protocol.layout import DATA, HEARTBEAT
from firmware_protocol.validator.causes.evidence import Evidence
from firmware_protocol.validator.findings import CAUSES, Cause, cause_rule
from firmware_protocol.validator.stream import LinkStep, Restart, Step, signed32
from firmware_protocol.validator.wire import field_bytes

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
    hint="All numbers of the protocol are little-endian; only samples and status words are as the converter sends them.",
)
cause_rule(
    "FP925",
    "time-unit",
    "4.1",
    "t_us is counted in another unit than microseconds.",
    hint="Convert the timer to µs before it goes into t_us, in 64-bit arithmetic.",
)
cause_rule(
    "FP926",
    "wrong-rate",
    "4.3",
    "The rate that INFO states is not the one at which samples come.",
    hint="Read the converter's rate register back and state that rate in INFO.",
)
cause_rule(
    "FP927",
    "device-reset",
    "6.1",
    "The device restarted in the middle of the capture; its counters began anew. That is no wrap.",
    hint="Look for the reason (brown-out, watchdog, hard fault); and take a new random boot_id at every boot.",
)
cause_rule(
    "FP928",
    "counter-restarts",
    "4.1",
    "sample_index is set back within a boot, as if the device had restarted.",
    hint="Do not reset sample_index at START, STOP or on a change of configuration: it runs through a whole boot.",
)
cause_rule(
    "FP929",
    "link-seq-counting",
    "3.1",
    "link_seq is not counted once per packet of any type.",
    hint="One 16-bit counter for all packets, +1 for each, at the place where packets are handed to the UART.",
)
cause_rule(
    "FP930",
    "boot-id-unstable",
    "4.3",
    "boot_id changes while the counters go on: it is not drawn once per boot.",
    hint="Draw boot_id once at start-up and send the same in INFO, HEARTBEAT and RESPONSE until the next boot.",
)
cause_rule(
    "FP931",
    "packets-lost",
    "3.1",
    "Whole packets are missing behind the UART, with no damaged bytes in their place.",
    hint="Look at the receiver: its buffer overran, or it was not read for a while (USB latency, a busy program).",
)
cause_rule(
    "FP932",
    "no-time",
    "4.1",
    "t_us does not advance.",
    hint="Start the timer that t_us is read from, and read it in the data-ready interrupt.",
)
RULES_OF_TIME = frozenset({"time-unit", "wrong-rate", "no-time"})
_FOLLOW = frozenset({"packets-lost", "wrong-n-samples", "counter-unit"})
_MOST = 0.8


def counters(e: Evidence) -> Iterator[Cause]:
    """Causes that the steps of link_seq, sample_index and t_us speak for."""
    s = e.stream
    for restart in s.restarts[:1]:
        yield _restart(restart, len(s.restarts))
    link = _link(s.odd_links, s.packet)
    if link is not None:
        yield link
    steps = [step for step in s.odd if not step.damaged and (link is not None or not step.missing)]
    swapped = _byte_order(steps)
    if swapped is not None:
        yield swapped
        return
    found_index = _index(steps, s.steps)
    if found_index is not None:
        yield found_index
    restarts = _restarts_of_counter(s.odd)
    if restarts is not None:
        yield restarts
    yield from _narrow(steps)
    time = _time(e, steps)
    if time is not None:
        yield time
    if link is None and s.figures.packets_missing > s.faults_with_bytes and not s.restarts:
        lost = s.figures.packets_missing - s.faults_with_bytes
        first = next((x for x in s.odd_links if x.damaged == 0), None)
        if first is not None:
            yield Cause(
                CAUSES["packets-lost"],
                f"{lost} packets are missing without a trace; the first gap is before packet {first.packet}, where "
                f"link_seq goes from {first.before} to {first.after}",
                certainty=2,
                share=min(1.0, lost / max(s.packet, 1)),
                offset=first.offset,
                frame=first.packet,
            )


def _field(step_or_data: Step | Data, name: str) -> tuple[int, int]:
    return field_bytes(DATA, name)


def _make(
    name: str,
    text: str,
    step: Step,
    field: str,
    *,
    share: float,
    certainty: int,
    follow: frozenset[str] = frozenset(),
) -> Cause:
    return Cause(
        CAUSES[name],
        text,
        certainty=certainty,
        share=share,
        offset=step.after.offset,
        frame=step.packet,
        packet_bytes=field_bytes(DATA, field),
        instead_of=follow,
    )


# ---- restarts --------------------------------------------------------------------------------------------------


def _restart(restart: Restart, times: int) -> Cause:
    before, after = restart.before, restart.after
    if before is not None and after is not None and signed32(after.sample_index - before.sample_index) > 0:
        ahead = after.sample_index - before.sample_index - before.n_samples & 0xFFFFFFFF
        if ahead < 1 << 20 and signed32(after.t_us - before.t_us) > 0 and after.t_us > before.t_us:
            return Cause(
                CAUSES["boot-id-unstable"],
                f"boot_id goes from {_hex(restart.boot_before)} to {_hex(restart.boot_after)} while sample_index and t_us "
                "go on",
                certainty=3,
                offset=restart.offset,
                frame=restart.packet,
                instead_of=frozenset({"no-info", "late-info"}),
            )
    parts = []
    if before is not None and after is not None:
        end = before.sample_index + before.n_samples
        parts.append(
            f"sample_index falls from {end} to {after.sample_index} (a wrap would go from 4294967295 to 0)"
        )
        if after.t_us < before.t_us:
            parts.append(f"t_us from {before.t_us} to {after.t_us}")
        if after.link_seq < before.link_seq:
            parts.append(f"link_seq from {before.link_seq} to {after.link_seq}")
    if restart.boot_after is None:
        parts.append("no INFO or HEARTBEAT says so")
    elif restart.boot_after == restart.boot_before:
        parts.append(f"boot_id stays {_hex(restart.boot_before)}, although it must be new")
    else:
        parts.append(f"boot_id goes from {_hex(restart.boot_before)} to {_hex(restart.boot_after)}")
    again = f" {times} times" if times > 1 else ""
    return Cause(
        CAUSES["device-reset"],
        f"the device restarted{again}, this is no wrap: " + "; ".join(parts),
        certainty=3,
        offset=restart.offset,
        frame=restart.packet,
        instead_of=frozenset(
            {
                "narrow-counter",
                "counter-restarts",
                "packets-lost",
                "link-seq-counting",
                "no-info",
                "late-info",
            }
        )
        | RULES_OF_TIME,
    )


def _hex(boot: int | None) -> str:
    return "unknown" if boot is None else f"0x{boot:08X}"


def _restarts_of_counter(odd: list[Step]) -> Cause | None:
    """sample_index begins anew, near 0, while t_us goes on."""
    struck = [
        step
        for step in odd
        if step.ahead < -8 * step.before.n_samples
        and step.after.sample_index <= 64 * step.after.n_samples
        and (step.before.sample_index + step.before.n_samples) & 0xFFFF != step.after.sample_index
        and step.dt_us > 0
    ]
    if not struck:
        return None
    step = struck[0]
    flagged = "at START (b1 of the flags) " if step.after.flags & 2 else ""
    text = (
        f"sample_index falls {flagged}from {step.before.sample_index + step.before.n_samples} to "
        f"{step.after.sample_index}, while t_us goes on from {step.before.t_us} to {step.after.t_us}: the counter was set "
        "back, the device did not restart"
    )
    return _make("counter-restarts", text, step, "sample_index", share=1.0, certainty=3)


# ---- link_seq --------------------------------------------------------------------------------------------------


def _link(odd: list[LinkStep], packets: int) -> Cause | None:
    """A wrong rule that link_seq follows: one that nearly all packets obey, not only those that stand out."""
    clean = [x for x in odd if not x.damaged]
    if len(clean) < 4:
        return None
    everywhere = len(odd) > 0.25 * min(packets, len(odd) + 4096)

    def swap(value: int) -> int:
        return value >> 8 | (value & 0xFF) << 8

    rules = {
        "its two bytes are swapped: it is sent most significant byte first": (
            "header-byte-order",
            sum((swap(x.after) - swap(x.before)) & 0xFFFF == 1 for x in clean),
        ),
        "each packet type has a counter of its own": (
            "link-seq-counting",
            sum(x.same_type is not None and (x.after - x.same_type) & 0xFFFF == 1 for x in clean),
        ),
        "it advances by the conversions of a frame instead of by one": (
            "link-seq-counting",
            sum(
                x.n_samples_before not in (None, 1) and (x.after - x.before) & 0xFFFF == x.n_samples_before
                for x in clean
            ),
        ),
        "it stands still": ("link-seq-counting", sum(x.after == x.before for x in clean)),
        "it wraps at 256: it is kept in 8 bits": (
            "narrow-counter",
            sum(x.before == 255 and x.after == 0 for x in clean),
        ),
        "it counts in steps of two": (
            "link-seq-counting",
            sum((x.after - x.before) & 0xFFFF == 2 for x in clean),
        ),
    }
    words, (name, fitting) = max(rules.items(), key=lambda item: item[1][1])
    if fitting < _MOST * len(clean) or not (everywhere or name == "narrow-counter"):
        return None
    first = clean[0]
    return Cause(
        CAUSES[name],
        f"link_seq goes from {first.before} to {first.after}: {words} ({fitting} of {len(clean)} odd steps fit)",
        certainty=3 if fitting >= 16 else 2,
        share=fitting / len(clean),
        offset=first.offset,
        frame=first.packet,
        packet_bytes=field_bytes(DATA, "link_seq"),
        instead_of=_FOLLOW,
    )


# ---- sample_index ----------------------------------------------------------------------------------------------


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
    follow = (
        _FOLLOW | RULES_OF_TIME | {"device-reset", "narrow-counter", "counter-restarts", "counter-per-frame"}
    )
    return _make("header-byte-order", text, step, field, share=1.0, certainty=3, follow=follow)


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
        return _make(
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
        return _make(
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
        return _make("counter-unit", text, step, "sample_index", share=share, certainty=3)
    if times < 8:
        return None
    follows_time = step.period_us is None or abs(step.dt_us - got * step.period_us) < 0.3 * step.period_us
    if follows_time:
        text = (
            f"every frame states n_samples = {n}, but {got} conversions lie between one frame and the next, by sample_index "
            f"and by t_us: n_samples is wrong, or {got - n} conversion(s) of each frame are not sent {fit}"
        )
        return _make("wrong-n-samples", text, step, "n_samples", share=share, certainty=2)
    text = (
        f"{numbers} over a frame of {n} conversions, while t_us advances by {step.dt_us} µs, as for {n} {fit}"
    )
    return _make("counter-unit", text, step, "sample_index", share=share, certainty=2)


def _narrow(steps: list[Step]) -> Iterator[Cause]:
    """Counters that wrap too early."""
    for bits in (8, 16, 24):
        struck = [
            x
            for x in steps
            if x.ahead
            and (x.before.sample_index + x.before.n_samples) >> bits == 1
            and (x.before.sample_index + x.before.n_samples) & (1 << bits) - 1 == x.after.sample_index
        ]
        if struck:
            step = struck[0]
            text = (
                f"sample_index goes from {step.before.sample_index} to {step.after.sample_index} while t_us goes on: it "
                f"wraps at 2^{bits}, so it is kept in {bits} bits"
            )
            yield _make("narrow-counter", text, step, "sample_index", share=1.0, certainty=3)
            break
    back = [x for x in steps if x.ahead == 0 and x.dt_us < 0 and x.period_us is not None]
    if not back:
        return
    step = back[0]
    assert step.period_us is not None
    modulus = step.before.t_us + step.period_us * step.before.n_samples - step.after.t_us
    for value, words in _TIME_WRAPS.items():
        if abs(modulus - value) < 2000 + 1e-4 * value:
            text = f"t_us goes from {step.before.t_us} back to {step.after.t_us} while sample_index goes on: {words}"
            yield _make("narrow-counter", text, step, "t_us", share=1.0, certainty=3)
            return


_TIME_WRAPS = {
    1 << 16: "it wraps at 2^16 µs, so it is kept in 16 bits",
    1 << 24: "it wraps at 2^24 µs, so it is kept in 24 bits",
    1_000_000: "it begins anew every second: only the part below a second is sent",
    (1 << 32) / 1000: "it wraps at 2^32 ns, so it was divided from a 32-bit number of nanoseconds",
} | {
    (1 << 32)
    / mhz: f"it wraps at 2^32 / {mhz} µs, so it was divided from a 32-bit counter of a {mhz} MHz clock"
    for mhz in (
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
        480,
    )
}


# ---- time ------------------------------------------------------------------------------------------------------


def _time(e: Evidence, steps: list[Step]) -> Cause | None:
    """t_us that advances at another pace than the samples."""
    usable = [
        x
        for x in steps
        if x.period_us is not None and not x.after.flags & 0x42 and x.before.n_samples * 8 > x.ahead >= 0
    ]
    counted = [x for x in usable if abs(x.dt_us) < 1 << 30]
    if (len(counted) >= 8 and len(counted) >= 0.3 * max(e.stream.steps, 1)) or len(counted) >= 64:
        expected = sum((x.period_us or 0.0) * (x.before.n_samples + x.ahead) for x in counted)
        ratio = sum(x.dt_us for x in counted) / expected
        quarter = len(counted) // 4
        parts = [
            sum(x.dt_us for x in part)
            / max(sum((x.period_us or 0.0) * (x.before.n_samples + x.ahead) for x in part), 1e-9)
            for part in (counted[k * quarter : (k + 1) * quarter] for k in range(4))
        ]
        steady = max(parts) - min(parts) <= 0.1 * abs(ratio) + 0.002
        if steady and (found := _unit(ratio)) is not None:
            name, words = found
            step = counted[0]
            n = step.before.n_samples
            period = step.period_us or 0.0
            text = f"t_us advances by {step.dt_us} over {n} conversions at {1e6 / period:g} Hz, which take {n * period:.0f} µs: {words}"
            share = len(counted) / max(e.stream.steps, 1)
            return _make(name, text, step, "t_us", share=min(share, 1.0), certainty=3)
    return _time_without_info(e) or _time_of_heartbeats(e)


def _unit(ratio: float) -> tuple[str, str] | None:
    """What t_us counts, by how much faster than µs it runs; None if it is right."""
    if abs(ratio) < 1e-9:
        return "no-time", "it stands still"
    for value, words in _UNITS:
        if abs(ratio / value - 1) < 0.03:
            return "time-unit", words
    if ratio > 3.5 and abs(ratio - round(ratio)) < 0.02 * ratio and ratio < 1300:
        return "time-unit", f"it counts cycles of a {round(ratio)} MHz clock"
    if 0.1 < ratio < 10 and not 0.9 < ratio < 1.1:
        words = f"INFO states another rate than the samples come at ({1 / ratio:.3g} times the stated one), or t_us is off"
        return "wrong-rate", words
    if 0.9 <= ratio <= 1.1:
        return None
    return "time-unit", f"it runs {ratio:.4g} times as fast as microseconds"


_UNITS = (
    (1e-3, "it counts milliseconds"),
    (1e-6, "it counts seconds"),
    (1e3, "it counts nanoseconds"),
    (0.032768, "it counts ticks of a 32,768 Hz clock"),
    (0.001024, "it counts ticks of a 1,024 Hz clock"),
    (1e-2, "it counts units of 100 µs"),
    (1e-1, "it counts units of 10 µs"),
    (1e-4, "it counts units of 10 ms"),
    (10.0, "it counts units of 0.1 µs"),
)


def _time_without_info(e: Evidence) -> Cause | None:
    """No INFO, so no nominal rate: only a pace that no EEG converter has speaks for a wrong unit."""
    s = e.stream
    if s.data is None or any(x.complete for x in s.settings.values()):
        return None
    steps = [x for x in s.plain if not x.after.flags & 0x42]
    if len(steps) < 8:
        return None
    conversions = sum(x.before.n_samples for x in steps)
    per_sample = sum(x.dt_us for x in steps) / conversions
    if 10 <= per_sample <= 100_000:
        return None
    step = steps[0]
    for value, words in (
        (1e-3, "it counts milliseconds"),
        (1e3, "it counts nanoseconds"),
        (1e-6, "it counts seconds"),
    ):
        hz = 1e6 * value / per_sample if per_sample > 0 else 0.0
        if any(
            abs(hz / usual - 1) < 0.02
            for usual in (100, 125, 128, 160, 200, 250, 256, 500, 512, 1000, 1024, 2000)
        ):
            text = f"t_us advances by {per_sample:.4g} per conversion; as µs that is no EEG rate: {words} ({hz:.4g} Hz)"
            return _make("time-unit", text, step, "t_us", share=1.0, certainty=2)
    text = f"t_us advances by {per_sample:.4g} per conversion, which is no EEG rate if it counts µs"
    return _make("time-unit", text, step, "t_us", share=1.0, certainty=1)


def _time_of_heartbeats(e: Evidence) -> Cause | None:
    """The 64-bit time of HEARTBEAT against its own sample_index."""
    s = e.stream
    setting = s.settings.get(s.data.config_id) if s.data is not None else None
    rate = setting.rate if setting is not None else None
    beats = [(made, passed) for made, passed in s.beats if made >= 16 and passed >= 0]
    if rate is None or not beats or s.heartbeat is None:
        return None
    ratios = sorted(passed * float(rate) / made / 1e6 for made, passed in beats)
    # a pause between two heartbeats makes time run long, never short
    ratio = ratios[0] if ratios[0] > 3 else ratios[-1] if ratios[-1] < 0.3 else 1.0
    found = _unit(ratio)
    if found is None:
        return None
    made, passed = beats[0]
    text = (
        f"t_us of HEARTBEAT advances by {passed} over {made} conversions, which take {made / float(rate) * 1e6:.0f} µs: "
        f"{found[1]}"
    )
    return Cause(
        CAUSES["time-unit"],
        text,
        certainty=3,
        offset=s.heartbeat.offset,
        packet_bytes=field_bytes(HEARTBEAT, "t_us"),
    )
