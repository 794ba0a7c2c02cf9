"""BFP, the BCI frame protocol: layout, CRC, COBS, frames, codec, recordings, reference device, link budget.

SPEC.md beside this file is the specification. Nothing here reads a clock, opens a port or raises on wire
bytes, and importing it loads the standard library only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from firmware_protocol._budget import Budget, budget
from firmware_protocol._samples import pack_counts, status_word
from firmware_protocol.codec import Decoder, encode, encode_command, seal
from firmware_protocol.codes import (
    DeviceState,
    Dialect,
    EventCode,
    EventSource,
    FaultKind,
    Flag,
    HostKind,
    LeadOff,
    LogLevel,
    Opcode,
    Pattern,
    Status,
    TestSignal,
    Type,
)
from firmware_protocol.crc import crc32c
from firmware_protocol.errors import CaptureError, FrameError, ProtocolError
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
    Unknown,
)

if TYPE_CHECKING:
    from firmware_protocol.device import DeviceConfig, ReferenceDevice
    from firmware_protocol.host import (
        Arrivals,
        Gap,
        HostWriter,
        MarkerNote,
        Note,
        Raw,
        Sent,
        Splitter,
        Start,
        wire_of,
    )

__all__ = [
    "Arrivals",
    "Budget",
    "CaptureError",
    "Command",
    "Data",
    "Decoder",
    "DeviceConfig",
    "DeviceState",
    "Dialect",
    "Event",
    "EventCode",
    "EventSource",
    "Fault",
    "FaultKind",
    "Flag",
    "Frame",
    "FrameError",
    "Gap",
    "Heartbeat",
    "Host",
    "HostKind",
    "HostWriter",
    "Info",
    "LeadOff",
    "Log",
    "LogLevel",
    "MarkerNote",
    "Note",
    "Opcode",
    "Pattern",
    "ProtocolError",
    "Raw",
    "ReferenceDevice",
    "Response",
    "Sent",
    "Splitter",
    "Start",
    "Status",
    "TestSignal",
    "Type",
    "Unknown",
    "budget",
    "crc32c",
    "encode",
    "encode_command",
    "pack_counts",
    "seal",
    "status_word",
    "wire_of",
]

#: Loaded when asked for: a reader of frames needs neither.
_LATER = {
    "Arrivals": "firmware_protocol.host",
    "DeviceConfig": "firmware_protocol.device",
    "Gap": "firmware_protocol.host",
    "HostWriter": "firmware_protocol.host",
    "MarkerNote": "firmware_protocol.host",
    "Note": "firmware_protocol.host",
    "Raw": "firmware_protocol.host",
    "ReferenceDevice": "firmware_protocol.device",
    "Sent": "firmware_protocol.host",
    "Splitter": "firmware_protocol.host",
    "Start": "firmware_protocol.host",
    "wire_of": "firmware_protocol.host",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
