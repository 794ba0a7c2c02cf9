"""FP5xx: counters, answers and health of the device (SPEC 4.4–4.6, 5, 6.3, 6.4, 6.5)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.codes import LogLevel, Opcode, Status
from firmware_protocol.frames import Data, Heartbeat, Log, Response
from firmware_protocol.layout import COMMANDS, HEARTBEAT, LOG, RESPONSE
from firmware_protocol.limits import HEARTBEAT_PERIOD_MS, RESPONSE_TIMEOUT_MS
from firmware_protocol.validator.findings import Hit, Level, rule
from firmware_protocol.validator.steps import End, signed32
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import WireTail, field_bytes

_MUST, _SHOULD, _INFO = Level.MUST, Level.SHOULD, Level.INFO
_STATUSES, _OPCODES, _LEVELS = frozenset(Status), frozenset(Opcode), frozenset(LogLevel)
_CADENCE_US = HEARTBEAT_PERIOD_MS * 1500


def _counter(frame: Heartbeat, name: str, wire: WireTail) -> tuple[int, int]:
    return wire.span(frame.offset, *field_bytes(HEARTBEAT, name))


@rule(
    "FP501",
    "heartbeat-cadence",
    _SHOULD,
    "6.3",
    on=(Heartbeat, End),
    hint="Send a HEARTBEAT once a second, idle or not: only its counters make the loss exact.",
)
def heartbeat_cadence(event: Heartbeat | End, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A HEARTBEAT comes once a second."""
    last = s.heartbeat.t_us if s.heartbeat is not None else s.first_us
    now = s.device_us
    if last is None or now is None or s.restarts or s.heartbeat_gaps:
        return
    if now - last > _CADENCE_US:
        place = event.offset if isinstance(event, Heartbeat) else wire.end - 1
        yield Hit((place, place + 1), "no HEARTBEAT for a while", f"{(now - last) / 1e6:.2f} s", "1 s")


@rule(
    "FP502",
    "heartbeat-back",
    _MUST,
    "4.5",
    on=Heartbeat,
    hint="t_us, sample_index and dropped are 64-bit counters that only grow within a boot; take them under one lock.",
)
def heartbeat_back(frame: Heartbeat, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The counters of HEARTBEAT never go back within a boot, but for `dropped` after RESET_COUNTERS."""
    last = s.heartbeat
    if last is None or last.boot_id != frame.boot_id:
        return
    for name in ("t_us", "sample_index", "dropped"):
        was, now = getattr(last, name), getattr(frame, name)
        if now < was and not (name == "dropped" and (s.reset_since_heartbeat or s.heartbeat_gaps)):
            yield Hit(_counter(frame, name, wire), f"{name} goes back", str(now), f"at least {was}", key=name)


@rule(
    "FP503",
    "heartbeat-account",
    _MUST,
    "6.4",
    on=Heartbeat,
    hint="`sample_index` counts every conversion made, `dropped` those of them that found no room; take both, and "
    "queue the packet, between two DATA frames.",
)
def heartbeat_account(frame: Heartbeat, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """Conversions made since the last HEARTBEAT are those received, those dropped and those lost on the link.

    More received than made, or a loss without a missing or damaged packet, means that the counters are wrong.
    """
    last = s.heartbeat
    if (
        last is None
        or last.boot_id != frame.boot_id
        or s.reset_since_heartbeat
        or frame.dropped < last.dropped
    ):
        return
    made = frame.sample_index - last.sample_index
    dropped = frame.dropped - last.dropped
    lost = made - dropped - s.received_since_heartbeat
    if lost < 0 or (lost > 0 and not s.heartbeat_gaps and not s.missing and not s.damaged):
        yield Hit(
            _counter(frame, "sample_index", wire),
            f"{s.received_since_heartbeat} conversions received and {dropped} dropped since the last HEARTBEAT",
            f"{made} made",
            f"{s.received_since_heartbeat + dropped}",
            key="more" if lost < 0 else "fewer",
        )


@rule(
    "FP504",
    "data-below-heartbeat",
    _MUST,
    "6.4",
    on=Data,
    hint="Fill in a HEARTBEAT when it is handed to the UART, not when it is queued, or let it wait behind its DATA.",
)
def data_below_heartbeat(frame: Data, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """No DATA comes after a HEARTBEAT that counts its conversions as sent or dropped already."""
    if s.heartbeat is None or s.data is None or s.restarted_here or s.heartbeat.offset < s.data.offset:
        return
    below = signed32(s.heartbeat.sample_index - frame.sample_index)
    if below > 0:
        yield Hit(
            wire.span(frame.offset, 4, 8),
            f"DATA {below} conversions below the HEARTBEAT before it",
            str(frame.sample_index),
            f"at least {s.heartbeat.sample_index & 0xFFFFFFFF}",
        )


@rule(
    "FP505",
    "device-dropped",
    _SHOULD,
    "6.4",
    on=Heartbeat,
    hint="The link is too slow for this rate, or stood still: fewer channels, a lower rate, a higher baud rate.",
)
def device_dropped(frame: Heartbeat, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The device counts conversions that it could not send."""
    last = s.heartbeat
    if last is not None and last.boot_id == frame.boot_id and frame.dropped > last.dropped:
        new = frame.dropped - last.dropped
        yield Hit(_counter(frame, "dropped", wire), f"the device dropped {new} conversions", str(new), "0")


@rule(
    "FP506",
    "device-rx-errors",
    _INFO,
    "4.5",
    on=Heartbeat,
    hint="Look at the line from host to device: baud rate, level, ground; and at the host's COBS and CRC.",
)
def device_rx_errors(frame: Heartbeat, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The device counts damage in what it receives."""
    last = s.heartbeat
    if last is not None and last.boot_id == frame.boot_id and frame.rx_errors > last.rx_errors:
        new = frame.rx_errors - last.rx_errors
        yield Hit(
            _counter(frame, "rx_errors", wire), f"the device heard {new} damaged packets", str(new), "0"
        )


@rule(
    "FP507",
    "response-status",
    _MUST,
    "5.4",
    on=Response,
    hint="Answer with one of the statuses 0–7 of SPEC 5.4.",
)
def response_status(frame: Response, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A RESPONSE ends in a status that version 1 names."""
    if frame.status not in _STATUSES:
        span = wire.span(frame.offset, *field_bytes(RESPONSE, "status"))
        yield Hit(span, "unknown status", str(frame.status), "0–7", key=str(frame.status))


@rule(
    "FP508",
    "response-results",
    _MUST,
    "5.3",
    on=Response,
    hint="The results of each opcode have a fixed length; anything but OK carries none.",
)
def response_results(frame: Response, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """The results of a RESPONSE have the length that its opcode asks for, and none without success."""
    span = wire.span(frame.offset, *field_bytes(RESPONSE, "length"))
    got = len(frame.payload)
    if frame.status != Status.OK:
        if got:
            yield Hit(span, "results although the command failed", f"{got} bytes", "none", key="failed")
    elif frame.opcode in _OPCODES:
        form = COMMANDS[Opcode(frame.opcode)]
        size = form.result_struct.size
        if got < size or (got > size and not form.more_results):
            text = f"results of {form.opcode.name}"
            yield Hit(span, text, f"{got} bytes", f"{size} bytes", key=form.opcode.name)


@rule(
    "FP509",
    "response-late",
    _SHOULD,
    "5.2",
    on=Response,
    hint="Act on commands in a task that DATA cannot hold up, and send RESPONSE ahead of queued DATA.",
)
def response_late(frame: Response, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A RESPONSE comes within 250 ms. Known in recordings, which hold arrival times and what was sent."""
    asked = s.commands.get(frame.request_id)
    if asked is not None and asked.host_ns is not None and s.host_ns is not None:
        late_ms = (s.host_ns - asked.host_ns) / 1e6
        if late_ms > RESPONSE_TIMEOUT_MS + s.host_resolution_ms:
            span = wire.span(frame.offset, *field_bytes(RESPONSE, "request_id"))
            yield Hit(span, "RESPONSE is late", f"{late_ms:.0f} ms", f"at most {RESPONSE_TIMEOUT_MS} ms")


@rule(
    "FP510",
    "log-level",
    _INFO,
    "4.6",
    on=Log,
    hint="See what the device wants to say.",
)
def log_level(frame: Log, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A LOG of level warning or error is shown; a level that version 1 does not name is a remark."""
    if frame.level >= LogLevel.WARNING:
        span = wire.span(frame.offset, *field_bytes(LOG, "level"))
        name = LogLevel(frame.level).name.lower() if frame.level in _LEVELS else f"level {frame.level}"
        yield Hit(span, f"the device logs ({name}): {frame.text}", key=name, t_us=frame.t_us)


@rule(
    "FP511",
    "link-load",
    _SHOULD,
    "8",
    on=End,
    hint="`frame-validator budget` says what fits: fewer channels, a lower rate, more samples a frame, a higher baud.",
)
def link_load(end: End, s: Stream, wire: WireTail) -> Iterator[Hit]:
    """A link is planned for at most 90 % of its byte rate, so that queues empty again. Known with --baud only."""
    load = s.figures.link_load(end.size, s.baud)
    if load is not None and load > 0.9:
        yield Hit((wire.end - 1, wire.end), "load of the link", f"{load:.0%}", "at most 90 %")
