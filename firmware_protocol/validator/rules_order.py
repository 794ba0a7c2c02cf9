"""FP2xx and FP3xx: order of packets, conversion counter, time (SPEC 3.3, 4.1, 4.2, 6)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.codes import EventSource, Flag
from firmware_protocol.frames import Data, Event, Frame, Heartbeat, Info, Log, Response, Unknown, frame_type
from firmware_protocol.layout import DATA, EVENT
from firmware_protocol.validator.findings import Hit, Level, rule
from firmware_protocol.validator.rules_framing import type_name
from firmware_protocol.validator.steps import End, signed32
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import WireTail, field_bytes

_MUST, _SHOULD, _INFO = Level.MUST, Level.SHOULD, Level.INFO
_FROM_DEVICE = (Data, Event, Info, Response, Heartbeat, Log, Unknown)
_SOURCES = frozenset(EventSource)
_EVENT_REACH = 1 << 20  # conversions that an EVENT may lie away from the DATA around it
_OFF_RATE = 0.02


def _link_seq(frame: Frame, wire: WireTail) -> tuple[int, int]:
    return wire.span(frame.offset, 2, 4)


def _field(frame: Data, name: str, wire: WireTail) -> tuple[int, int]:
    return wire.span(frame.offset, *field_bytes(DATA, name))


@rule(
    "FP201",
    "packets-missing",
    _MUST,
    "3.1",
    on=_FROM_DEVICE,
    hint="Packets were lost between UART and host: look for overruns of the receiver, a full DMA buffer, a "
    "loose cable. If nothing is lost, link_seq is counted wrong: +1 per packet of any type.",
)
def packets_missing(frame: Frame, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """link_seq counts packets of all types, given when handed to the UART, so a step above 1 is a loss behind it."""
    lost = s.missing - s.damaged  # those that came damaged have a finding of their own
    if lost > 0 and s.previous is not None:
        besides = f", and {s.damaged} came damaged" if s.damaged else ""
        yield Hit(
            _link_seq(frame, wire),
            f"{lost} packet{'s' if lost > 1 else ''} missing before this one{besides}",
            f"link_seq {frame.link_seq}",
            f"{(s.previous.link_seq + 1) & 0xFFFF}",
            t_us=getattr(frame, "t_us", None),
        )


@rule(
    "FP202",
    "link-seq-back",
    _MUST,
    "3.1",
    on=_FROM_DEVICE,
    hint="Count link_seq in one place, where packets are handed to the UART, and never set it back within a boot.",
)
def link_seq_back(frame: Frame, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """link_seq never repeats nor goes back, but for its wrap from 65535 to 0."""
    if s.seq_back and s.previous is not None and not s.restarted_here:
        yield Hit(
            _link_seq(frame, wire),
            f"link_seq of {type_name(frame_type(frame))} repeats or goes back",
            str(frame.link_seq),
            str((s.previous.link_seq + 1) & 0xFFFF),
            key=type_name(frame_type(frame)),
        )


@rule(
    "FP301",
    "conversions-missing",
    _SHOULD,
    "4.1",
    on=Data,
    hint="Lost with packets: see FP201. Without: the device dropped them, its queue was full; lower the load of "
    "the link, and count them in `dropped` of HEARTBEAT.",
)
def conversions_missing(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """sample_index counts conversions, sent or not, so a step above n_samples is a hole in the signal."""
    if s.step is not None and not s.restarted_here and s.step.ahead > 0:
        lost_where = "with no packet missing" if s.step.whole else "with packets missing or damaged"
        yield Hit(
            _field(frame, "sample_index", wire),
            f"{s.step.ahead} conversions missing before this frame, {lost_where}",
            f"sample_index {frame.sample_index}",
            str((frame.sample_index - s.step.ahead) & 0xFFFFFFFF),
            key="device" if s.step.whole else "link",
        )


@rule(
    "FP302",
    "sample-index-back",
    _MUST,
    "4.1",
    on=Data,
    hint="sample_index is counted in the data-ready interrupt, +1 per conversion, and never set back within a boot.",
)
def sample_index_back(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The conversions of a frame follow those of the frame before: none comes twice, none comes earlier."""
    if s.step is not None and not s.restarted_here and s.step.ahead < 0:
        before = s.step.before
        yield Hit(
            _field(frame, "sample_index", wire),
            f"sample_index advances by {before.n_samples + s.step.ahead} over a frame of "
            f"{before.n_samples} conversions",
            str(frame.sample_index),
            str((before.sample_index + before.n_samples) & 0xFFFFFFFF),
        )


@rule(
    "FP303",
    "time-stands",
    _MUST,
    "4.1",
    on=Data,
    hint="t_us is the device's time in µs at data-ready of the frame's first conversion; take it in the interrupt.",
)
def time_stands(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """t_us grows from frame to frame, but for its wrap at 2^32 (71 minutes) and where b6 says the clock was set."""
    if s.step is not None and not s.restarted_here and not frame.flags & Flag.CLOCK_STEPPED:
        dt = s.step.dt_us
        if dt <= 0:
            what = "stands still" if dt == 0 else f"goes back by {-dt} µs"
            yield Hit(
                _field(frame, "t_us", wire), f"t_us {what}", str(frame.t_us), f"above {s.step.before.t_us}"
            )


@rule(
    "FP304",
    "time-step",
    _SHOULD,
    "4.1",
    on=Data,
    hint="Take t_us in the data-ready interrupt of the first conversion, not where the frame is put together or sent.",
)
def time_step(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """Between two frames as much time passes as their conversions take at the rate that INFO states."""
    step = s.step
    if step is None or step.period_us is None or s.restarted_here or step.dt_us <= 0 or not step.whole:
        return
    if frame.flags & (Flag.CLOCK_STEPPED | Flag.FIRST) or step.ahead < 0:
        return
    expected = (step.before.n_samples + step.ahead) * step.period_us
    if abs(step.dt_us - expected) > max(0.5 * step.period_us, 0.1 * expected):
        text = f"{step.dt_us} µs for {step.before.n_samples + step.ahead} conversions"
        yield Hit(_field(frame, "t_us", wire), text, f"{step.dt_us} µs", f"{expected:.0f} µs")


@rule(
    "FP305",
    "rate",
    _SHOULD,
    "4.3",
    on=End,
    hint="State the rate that the converter runs at, as a fraction; or mend the clock that t_us is made of.",
)
def rate(end: End, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The rate measured by t_us and the one that INFO states agree within 2 %: crystals are far better than that."""
    measured = s.figures.device_rate_hz()
    setting = s.setting
    nominal = setting.rate if setting is not None else None
    if measured is None or nominal is None or s.data is None or s.figures.clock_conversions < 8:
        return
    if abs(measured / float(nominal) - 1) > _OFF_RATE:
        off = 100 * (measured / float(nominal) - 1)
        text = f"measured by t_us {off:+.1f} % off the stated rate"
        yield Hit(_field(s.data, "t_us", wire), text, f"{measured:.3f} Hz", f"{float(nominal):.3f} Hz")


@rule(
    "FP306",
    "event-place",
    _SHOULD,
    "4.2",
    on=Event,
    hint="An EVENT carries the counters of the conversion during which it happened, in the same units as DATA.",
)
def event_place(frame: Event, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """An EVENT's sample_index lies near that of the DATA around it."""
    if s.data is not None:
        away = signed32(frame.sample_index - s.data.sample_index)
        if abs(away) > _EVENT_REACH:
            yield Hit(
                wire.span(frame.offset, *field_bytes(EVENT, "sample_index")),
                f"EVENT lies {away} conversions away from the DATA around it",
                str(frame.sample_index),
                f"near {s.data.sample_index}",
            )


@rule(
    "FP307",
    "event-source",
    _INFO,
    "4.2",
    on=Event,
    hint="Sources are 1 trigger line, 2 button, 3 device.",
)
def event_source(frame: Event, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """An EVENT comes from a source that version 1 names."""
    if frame.source not in _SOURCES:
        span = wire.span(frame.offset, *field_bytes(EVENT, "source"))
        yield Hit(span, "EVENT of an unknown source", str(frame.source), "1, 2 or 3", key=str(frame.source))


@rule(
    "FP308",
    "overrun",
    _SHOULD,
    "3.3",
    on=Data,
    hint="The device says that it could not keep up (b0). Give the converter's interrupt more room, or lower the rate.",
)
def overrun(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """Flag b0: conversions were dropped in the device before this frame."""
    if frame.flags & Flag.OVERRUN:
        yield Hit(wire.span(frame.offset, 1, 2), "overrun flag (b0)", f"0x{frame.flags:02X}", "b0 clear")
