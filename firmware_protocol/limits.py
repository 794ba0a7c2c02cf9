"""Every limit of protocol version 1. SPEC 10 prints `LIMITS`."""

from __future__ import annotations

VERSION = 1
CRC_SIZE = 4

MIN_PACKET = 8  # common header and CRC
MAX_PACKET = 655  # CRC-32C finds every error of up to 5 bits up to this length
MAX_CODED = MAX_PACKET + -(-MAX_PACKET // 254)  # COBS at its worst: 658 bytes, then the delimiter
MAX_CHANNELS = 64
MAX_SAMPLES = 32
MAX_PAGE_CHANNELS = 16
MAX_LABEL = 15
MAX_COMMAND = 128
MAX_RESPONSE = 64
MAX_COMMAND_PAYLOAD = 116
MAX_RESPONSE_PAYLOAD = 40
MAX_LOG_TEXT = 639
MAX_HOST_PAYLOAD = 635
RESPONSE_TIMEOUT_MS = 250
COMMAND_TRIES = 3
CACHE_SIZE = 8
CACHE_MS = 1000
WATCHDOG_DEFAULT_MS = 5000
WATCHDOG_MIN_MS = 100
WATCHDOG_MAX_MS = 3_600_000
INFO_PERIOD_MS = 1000
HEARTBEAT_PERIOD_MS = 1000
ARRIVAL_PERIOD_MS = 100
RAW_AFTER_MS = 100
MAX_LOAD_PERCENT = 90

#: Name: value, unit, what it limits.
LIMITS: dict[str, tuple[int, str, str]] = {
    "MIN_PACKET": (MIN_PACKET, "bytes", "shortest packet: common header and CRC"),
    "MAX_PACKET": (MAX_PACKET, "bytes", "longest packet, CRC included, before COBS"),
    "MAX_CODED": (MAX_CODED, "bytes", "longest COBS form, without the delimiter"),
    "MAX_CHANNELS": (MAX_CHANNELS, "", "channels of a device"),
    "MAX_SAMPLES": (MAX_SAMPLES, "", "conversions in one DATA packet"),
    "MAX_PAGE_CHANNELS": (MAX_PAGE_CHANNELS, "", "channels on one INFO page"),
    "MAX_LABEL": (MAX_LABEL, "bytes", "channel label, UTF-8"),
    "MAX_COMMAND": (MAX_COMMAND, "bytes", "COMMAND packet, CRC included"),
    "MAX_RESPONSE": (MAX_RESPONSE, "bytes", "RESPONSE packet, CRC included"),
    "MAX_COMMAND_PAYLOAD": (MAX_COMMAND_PAYLOAD, "bytes", "arguments of a COMMAND"),
    "MAX_RESPONSE_PAYLOAD": (MAX_RESPONSE_PAYLOAD, "bytes", "results in a RESPONSE"),
    "MAX_LOG_TEXT": (MAX_LOG_TEXT, "bytes", "text of a LOG, UTF-8"),
    "MAX_HOST_PAYLOAD": (MAX_HOST_PAYLOAD, "bytes", "payload of a HOST packet"),
    "RESPONSE_TIMEOUT_MS": (RESPONSE_TIMEOUT_MS, "ms", "the host waits this long for a RESPONSE"),
    "COMMAND_TRIES": (COMMAND_TRIES, "", "times the host sends a COMMAND before it gives up"),
    "CACHE_SIZE": (CACHE_SIZE, "", "commands the device remembers for repeats"),
    "CACHE_MS": (CACHE_MS, "ms", "for how long it remembers them"),
    "WATCHDOG_DEFAULT_MS": (WATCHDOG_DEFAULT_MS, "ms", "watchdog of a START without arguments"),
    "WATCHDOG_MIN_MS": (WATCHDOG_MIN_MS, "ms", "shortest watchdog (0 switches it off)"),
    "WATCHDOG_MAX_MS": (WATCHDOG_MAX_MS, "ms", "longest watchdog"),
    "INFO_PERIOD_MS": (INFO_PERIOD_MS, "ms", "between two rounds of INFO"),
    "HEARTBEAT_PERIOD_MS": (HEARTBEAT_PERIOD_MS, "ms", "between two HEARTBEATs"),
    "ARRIVAL_PERIOD_MS": (ARRIVAL_PERIOD_MS, "ms", "longest time an arrival waits to be recorded"),
    "RAW_AFTER_MS": (RAW_AFTER_MS, "ms", "bytes without a delimiter are recorded as RAW after this time"),
    "MAX_LOAD_PERCENT": (MAX_LOAD_PERCENT, "%", "of the link's byte rate that may be planned for"),
}
