"""A device that keeps the specification, without port, thread or clock (SPEC 6).

It owns sequence numbers, configuration, INFO and HEARTBEAT cadence, command cache, watchdog, test patterns and the
loss account. The caller owns the pace: it tells the device's time with every call, pushes what the converter gives
and hands on what `poll` returns at whatever rate its link has. The simulated board and the conformance tests run on
this class; a reader of firmware finds each rule of SPEC 6 in one method.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from firmware_protocol._outbox import Account, Outbox
from firmware_protocol._samples import pack_counts, status_word
from firmware_protocol.codec import Decoder
from firmware_protocol.codes import (
    DeviceState,
    EventCode,
    EventSource,
    Flag,
    LeadOff,
    LogLevel,
    Opcode,
    Pattern,
    Status,
    TestSignal,
)
from firmware_protocol.converter import CONFIG2, GAINS, LOFF, LOFF_SENSN, LOFF_SENSP, N_REGISTERS, Converter
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command, Data, Event, Fault, Heartbeat, Info, Log, Response, Unknown
from firmware_protocol.layout import COMMANDS, EVENT, HEARTBEAT
from firmware_protocol.limits import (
    CACHE_MS,
    CACHE_SIZE,
    HEARTBEAT_PERIOD_MS,
    INFO_PERIOD_MS,
    MAX_PAGE_CHANNELS,
    MAX_RESPONSE_PAYLOAD,
    WATCHDOG_DEFAULT_MS,
    WATCHDOG_MAX_MS,
    WATCHDOG_MIN_MS,
)
from firmware_protocol.patterns import FULL_SCALE, pattern_counts

__all__ = ["DeviceConfig", "ReferenceDevice"]

_U32 = 0xFFFFFFFF
_ALL_CHANNELS = 255
_MUX_INPUTS = 8
_TEST_HALF_PERIODS_HZ = {TestSignal.SLOW: Fraction(2**21, 2**20 * 1024), TestSignal.FAST: Fraction(4, 1)}
