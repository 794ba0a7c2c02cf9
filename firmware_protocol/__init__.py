"""BFP, the BCI frame protocol: layout, CRC, COBS, frames, codec, recordings, reference device, link budget.

SPEC.md beside this file is the specification. Nothing here reads a clock, opens a port or raises on wire
bytes, and importing it loads the standard library only.
"""

from __future__ import annotations

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

__all__ = [
    "CaptureError",
    "Command",
    "Data",
    "Decoder",
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
    "Heartbeat",
    "Host",
    "HostKind",
    "Info",
    "LeadOff",
    "Log",
    "LogLevel",
    "Opcode",
    "Pattern",
    "ProtocolError",
    "Response",
    "Status",
    "TestSignal",
    "Type",
    "Unknown",
    "crc32c",
    "encode",
    "encode_command",
    "seal",
]
