"""t_us that runs at another pace than the samples: another unit, another rate, or not at all.

The pace is measured against the nominal rate of INFO. Without INFO, HEARTBEATs are a clock: they come once a second.
Where there is neither, only a pace that no EEG converter has can speak, and that is a guess.
"""

from __future__ import annotations

from firmware_protocol.codes import Flag
from firmware_protocol.layout import HEARTBEAT
from firmware_protocol.limits import HEARTBEAT_PERIOD_MS
from firmware_protocol.validator.causes.evidence import Evidence, of_step
from firmware_protocol.validator.findings import CAUSES, Cause, cause_rule
from firmware_protocol.validator.steps import Step
from firmware_protocol.validator.wire import field_bytes

__all__ = ["wrong_time"]

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
    "FP932",
    "no-time",
    "4.1",
    "t_us does not advance.",
    hint="Start the timer that t_us is read from, and read it in the data-ready interrupt.",
)

_NEW_TIME = Flag.FIRST | Flag.CLOCK_STEPPED
_FOLLOW = frozenset({"no-info", "narrow-counter"})  # times that were waited are wrong, too
_FEW = 8  # steps that a judgement needs
_SECOND_US = 1000.0 * HEARTBEAT_PERIOD_MS
_QUARTERS = 4  # of the steps; the pace must be the same in each
_USUAL_HZ = (100, 125, 128, 160, 200, 250, 256, 500, 512, 1000, 1024, 2000, 4000, 8000, 16000)
_EEG_PERIOD_US = (30.0, 20_000.0)  # between two conversions: 50 Hz to 32 kHz


def wrong_time(e: Evidence, steps: list[Step]) -> Cause | None:
    """t_us that advances at another pace than the samples."""
    if e.stream.setting is not None and e.stream.setting.complete:
        return _of_data(e, steps) or _of_heartbeats(e)
    return _of_cadence(e) or _without_info(e)


def _of_data(e: Evidence, steps: list[Step]) -> Cause | None:
    """Against the rate of INFO, over all steps whose time is wrong."""
    counted = [
        (x, x.period_us * (x.before.n_samples + x.ahead))
        for x in steps
        if x.period_us is not None
        and not x.after.flags & _NEW_TIME
        and 0 <= x.ahead < x.before.n_samples * 8
        and abs(x.dt_us) < 1 << 30
    ]
    total = max(e.stream.steps, 1)
    if len(counted) < _FEW or (len(counted) < 0.3 * total and len(counted) < 64):
        return None
    ticks, lasted = _pace(counted)
    size = len(counted) // _QUARTERS
    for k in range(_QUARTERS):
        got, took = _pace(counted[k * size : (k + 1) * size])
        usual = took * ticks / lasted
        if abs(got - usual) > 0.1 * abs(usual) + 2:
            return None
    found = _unit(ticks, lasted)
    if found is None:
        return None
    name, words = found
    step, expected = next(((x, us) for x, us in counted if x.dt_us), counted[0])
    n = step.before.n_samples + step.ahead
    take = f"{n} conversions at {1e6 * n / expected:g} Hz, which take {expected:.0f} µs"
    text = f"t_us advances by {step.dt_us} over {take}: {words}"
    share = min(len(counted) / total, 1.0)
    return of_step(name, text, step, "t_us", share=share, certainty=3, follow=_FOLLOW)


def _pace(counted: list[tuple[Step, float]]) -> tuple[int, float]:
    """How far t_us advanced, and how many µs the conversions took."""
    return sum(x.dt_us for x, _ in counted), sum(us for _, us in counted)


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


def _unit(ticks: int, expected_us: float) -> tuple[str, str] | None:
    """What t_us counts if it advances by `ticks` in `expected_us`; None if that is right."""
    ratio = ticks / expected_us
    if 0.9 <= ratio <= 1.1:
        return None
    if ticks == 0:
        return "no-time", "it stands still, or counts seconds"
    for value, words in _UNITS:
        if abs(ticks - value * expected_us) < max(0.03 * abs(ticks), 1.5):
            return "time-unit", words
    if ratio > 3.5 and abs(ratio - round(ratio)) < 0.02 * ratio and ratio < 1300:
        return "time-unit", f"it counts cycles of a {round(ratio)} MHz clock"
    if 0.1 < ratio < 10:
        words = f"samples come at {1 / ratio:.3g} times the rate that INFO states, or t_us is off"
        return "wrong-rate", words
    return "time-unit", f"it runs {ratio:.4g} times as fast as microseconds"


def _of_heartbeats(e: Evidence) -> Cause | None:
    """HEARTBEAT's own 64-bit time against its own sample_index."""
    s = e.stream
    beats = [beat for beat in s.beats if beat[0] >= 16 and beat[2] >= 0]
    if len(beats) < 2 or s.heartbeat is None:
        return None
    beats.sort(key=lambda beat: beat[2] / beat[1])
    (_, low_us, low), (_, high_us, high) = beats[0], beats[-1]
    made, expected, passed = beats[len(beats) // 2]
    found = _unit(passed, expected)
    if found is None or found[0] != "time-unit" or high / high_us > 1.2 * low / low_us:
        return None
    text = f"t_us of HEARTBEAT advances by {passed} over {made} conversions, which take {expected:.0f} µs: {found[1]}"
    return Cause(
        CAUSES["time-unit"],
        text,
        certainty=3,
        offset=s.heartbeat.offset,
        packet_bytes=field_bytes(HEARTBEAT, "t_us"),
    )


def _of_cadence(e: Evidence) -> Cause | None:
    """How far the t_us of DATA gets from one HEARTBEAT to the next, which are a second apart."""
    s = e.stream
    times = sorted(s.cadence_us)
    if len(times) < 2 or not s.plain or times[-1] - times[0] > 0.2 * times[-1] + 2:
        return None
    middle = times[len(times) // 2]
    found = _unit(middle, _SECOND_US)
    if found is None or found[0] == "wrong-rate":
        return None
    text = f"t_us of DATA advances by {middle} from one HEARTBEAT to the next, which come once a second: {found[1]}"
    return of_step(found[0], text, s.plain[0], "t_us", share=1.0, certainty=2, follow=_FOLLOW)


def _without_info(e: Evidence) -> Cause | None:
    """A pace that no EEG converter has, if t_us were µs; is there a unit that makes it a usual one?"""
    s = e.stream
    steps = [x for x in s.plain if x.whole and x.ahead == 0 and not x.after.flags & _NEW_TIME]
    if len(steps) < _FEW:
        return None
    conversions = sum(x.before.n_samples for x in steps)
    period = sum(x.dt_us for x in steps) / conversions
    if _EEG_PERIOD_US[0] <= period <= _EEG_PERIOD_US[1]:
        return None
    step = steps[0]
    if period == 0:
        text = f"t_us stays {step.after.t_us} over {conversions} conversions"
        return of_step("no-time", text, step, "t_us", share=1.0, certainty=3)
    text = f"t_us advances by {period:.4g} per conversion; as µs that is no EEG rate"
    for value, words in _UNITS:
        hz = 1e6 * value / period
        if any(abs(hz / usual - 1) < 0.02 for usual in _USUAL_HZ):
            return of_step(
                "time-unit", f"{text}: {words} ({hz:.4g} Hz)", step, "t_us", share=1.0, certainty=2
            )
    return of_step("time-unit", text, step, "t_us", share=1.0, certainty=1)
