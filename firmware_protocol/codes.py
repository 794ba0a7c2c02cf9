"""Every number with a name in protocol version 1: types, flags, opcodes, statuses, states, kinds."""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum

__all__ = [
    "DeviceState",
    "Dialect",
    "EventCode",
    "EventSource",
    "FaultKind",
    "Flag",
    "HostKind",
    "LeadOff",
    "LogLevel",
    "Opcode",
    "Pattern",
    "Status",
    "TestSignal",
    "Type",
]


class Type(IntEnum):
    """Low four bits of byte 0 (SPEC 3.1)."""

    DATA = 1
    EVENT = 2
    INFO = 3
    RESPONSE = 4
    HEARTBEAT = 5
    LOG = 6
    COMMAND = 8
    HOST = 15


class Flag(IntFlag):
    """Byte 1 (SPEC 3.3). b0–b6 speak of the samples of a DATA packet; elsewhere they are sent 0."""

    OVERRUN = 0x01
    FIRST = 0x02
    TEST_SIGNAL = 0x04
    AC_LEAD_OFF = 0x08
    COMMAND_ACTED = 0x10
    TRIGGER = 0x20
    CLOCK_STEPPED = 0x40
    MUST_UNDERSTAND = 0x80


class Opcode(IntEnum):
    """What a COMMAND asks for (SPEC 5.3)."""

    IDENTIFY = 0x01
    START = 0x02
    STOP = 0x03
    KEEPALIVE = 0x04
    SET_RATE = 0x05
    SET_CHANNEL = 0x06
    LEAD_OFF = 0x07
    TEST_SIGNAL = 0x08
    TEST_PATTERN = 0x09
    READ_REGISTER = 0x0A
    WRITE_REGISTER = 0x0B
    RESET_COUNTERS = 0x0C


class Status(IntEnum):
    """How a RESPONSE ends (SPEC 5.4). Anything but OK changed nothing on the device."""

    OK = 0
    UNKNOWN_OPCODE = 1
    BAD_LENGTH = 2
    BAD_ARGUMENT = 3
    BUSY = 4
    ID_REUSED = 5
    UNSUPPORTED = 6
    FAILED = 7


class DeviceState(IntEnum):
    """State of the device (SPEC 6.1)."""

    IDLE = 0
    STREAMING = 1
    WATCHDOG = 2


class EventSource(IntEnum):
    """Where an EVENT comes from (SPEC 4.2)."""

    TRIGGER = 1
    BUTTON = 2
    DEVICE = 3


class EventCode(IntEnum):
    """Codes of EVENTs whose source is DEVICE (SPEC 4.2); codes of other sources are the experiment's own."""

    RUN_END = 1
    WATCHDOG = 2


class LogLevel(IntEnum):
    """Level of a LOG (SPEC 4.6)."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class LeadOff(IntEnum):
    """Lead-off excitation (SPEC 5.3); both AC forms are locked to the converter's clock."""

    OFF = 0
    DC = 1
    AC_31_25_HZ = 2
    AC_QUARTER_RATE = 3


class TestSignal(IntEnum):
    """Internal test signal (SPEC 5.3); ADS1299 datasheet SBAS499, register CONFIG2."""

    __test__ = False  # a name that test collectors would take for theirs

    OFF = 0
    SLOW = 1
    FAST = 2
    DC = 3


class Pattern(IntEnum):
    """Digital test pattern in place of samples (SPEC 6.6)."""

    OFF = 0
    RAMP = 1
    PRBS = 2


class HostKind(IntEnum):
    """Kinds of HOST packets, which exist in recordings only (SPEC 9)."""

    START = 1
    ARRIVAL = 2
    TX = 3
    MARKER = 4
    GAP = 5
    RAW = 6


class Dialect(IntEnum):
    """Whose bytes a RAW packet holds (SPEC 9.7)."""

    BFP = 0
    CYTON = 1


class FaultKind(StrEnum):
    """What is wrong with a stretch of wire bytes, in the order of the decoder's tests (SPEC 7.3)."""

    UNDELIMITED = "undelimited"
    COBS = "cobs"
    SHORT = "short"
    CRC = "crc"
    UNSUPPORTED = "unsupported"
    HOST_ON_WIRE = "host-on-wire"
    FIELD = "field"
    LENGTH = "length"
    MISSING_DELIMITER = "missing-delimiter"
    TRUNCATED = "truncated"
