"""Frames and faults in one line each, for people."""

from __future__ import annotations

from enum import IntEnum

from firmware_protocol.codes import (
    DeviceState,
    EventCode,
    EventSource,
    Flag,
    HostKind,
    LeadOff,
    LogLevel,
    Opcode,
    Status,
)
from firmware_protocol.frames import (
    Command,
    Data,
    Event,
    Fault,
    Frame,
    Heartbeat,
    Host,
    Info,
    Log,
    Response,
)

__all__ = ["describe", "name_of"]


def describe(event: Frame | Fault) -> str:
    """One line: where, what, and its fields; faults begin with `fault`."""
    if isinstance(event, Fault):
        shown = event.raw[:16].hex(" ") + (" …" if event.length > 16 else "")
        place = f"{event.offset:>10}  fault {event.kind}: {event.detail}"
        return f"{place}  [{event.length} bytes: {shown}]" if event.length else place
    name = type(event).__name__.upper()
    return f"{event.offset:>10}  {name:<9}  seq {event.link_seq:<5}  {_fields(event)}{_flags(event.flags)}"


def name_of(codes: type[IntEnum], number: int) -> str:
    """Name of a number in the specification's lists, or the number."""
    return codes(number).name if number in codes.__members__.values() else str(number)


def _fields(frame: Frame) -> str:
    match frame:
        case Data():
            status = ", status words" if frame.has_status else ""
            size = f"{frame.n_channels} channels × {frame.n_samples}{status}"
            return f"sample {frame.sample_index}  {_time(frame.t_us)}  {size}  config {frame.config_id}"
        case Event():
            device = frame.source == EventSource.DEVICE
            code = name_of(EventCode, frame.code) if device else str(frame.code)
            what = f"{name_of(EventSource, frame.source)} {code}, value {frame.value}"
            return f"sample {frame.sample_index}  {_time(frame.t_us)}  {what}"
        case Info():
            rate = frame.rate_num / frame.rate_den
            channels = f"{frame.n_channels} channels at {rate:g} SPS: {' '.join(frame.labels)}"
            page = f"page {frame.page + 1} of {frame.pages}"
            about = f"{frame.device_id} {frame.firmware}, boot {frame.boot_id:08x}, config {frame.config_id}"
            state = f"{name_of(DeviceState, frame.state)}, lead-off {name_of(LeadOff, frame.lead_off)}"
            return f"{about}, {state}, {channels} ({page})"
        case Response():
            what = f"{name_of(Opcode, frame.opcode)} {name_of(Status, frame.status)}"
            return f"request {frame.request_id}  {_time(frame.t_us)}  {what}{_payload(frame.payload)}"
        case Heartbeat():
            counters = f"dropped {frame.dropped}  receive errors {frame.rx_errors}"
            return f"boot {frame.boot_id:08x}  sample {frame.sample_index}  {_time(frame.t_us)}  {counters}"
        case Log():
            return f"{_time(frame.t_us)}  {name_of(LogLevel, frame.level)}: {frame.text!r}"
        case Command():
            return f"request {frame.request_id}  {name_of(Opcode, frame.opcode)}{_payload(frame.payload)}"
        case Host():
            return f"{name_of(HostKind, frame.kind)}{_payload(frame.payload)}"
        case _:
            return f"type {frame.type}{_payload(frame.body)}"


def _time(t_us: int) -> str:
    return f"{t_us / 1e6:.6f} s"


def _payload(payload: bytes) -> str:
    return f"  {payload.hex(' ')}" if payload else ""


def _flags(flags: int) -> str:
    names = [flag.name.lower().replace("_", "-") for flag in Flag if flags & flag and flag.name]
    return f"  [{', '.join(names)}]" if names else ""
