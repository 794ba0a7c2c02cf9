"""The layout of protocol version 1, once: codec, device, SPEC.md tables and generated C are made from it.

Numbers are little-endian; ADC samples and status words are big-endian, as a converter of the ADS1299 family
shifts them out. Offsets count from the first byte of the packet (before COBS). Every packet ends with its
CRC-32C, which the tables leave out. `section` names the section of SPEC.md. `codes.py` holds the numbers that
have names, `limits.py` the limits.
"""

from __future__ import annotations

from struct import Struct

from firmware_protocol._layout_forms import CommandLayout, Field, HostLayout, PacketLayout
from firmware_protocol.codes import HostKind, Opcode, Type
from firmware_protocol.limits import VERSION

__all__ = [
    "CHANNEL",
    "COMMAND",
    "COMMANDS",
    "DATA",
    "EVENT",
    "HEARTBEAT",
    "HOST",
    "HOST_PAYLOADS",
    "INFO",
    "LOG",
    "PACKETS",
    "RESPONSE",
    "CommandLayout",
    "Field",
    "HostLayout",
    "PacketLayout",
]


def _common(type_: Type) -> tuple[Field, ...]:
    return (
        Field(0, "B", "head", "", f"version << 4 | type: 0x{VERSION << 4 | type_:02X}"),
        Field(1, "B", "flags", "", "section 3.3"),
        Field(2, "H", "link_seq", "", "+1 per packet of any type, given when handed to the UART"),
    )


DATA = PacketLayout(
    Type.DATA,
    "4.1",
    (
        *_common(Type.DATA),
        Field(4, "I", "sample_index", "", "low 32 bits of the first sample's conversion number"),
        Field(8, "I", "t_us", "µs", "low 32 bits of the device's time at that sample's data-ready"),
        Field(12, "B", "n_channels", "", "1–64"),
        Field(13, "B", "n_samples", "", "1–32, all of one config_id"),
        Field(
            14,
            "B",
            "format",
            "",
            "b0–1 samples: 0 int24, 1 float32; b2 status words; b4–5 channels per converter: 0 8, 1 6, 2 4",
        ),
        Field(15, "B", "config_id", "", "the INFO that says what the samples mean"),
    ),
    "n_samples × (with status words: per converter a 3-byte word, then its samples; else n_channels samples)",
)

EVENT = PacketLayout(
    Type.EVENT,
    "4.2",
    (
        *_common(Type.EVENT),
        Field(4, "I", "sample_index", "", "low 32 bits of the conversion during which it happened"),
        Field(8, "I", "t_us", "µs", "low 32 bits of the device's time"),
        Field(12, "B", "source", "", "1 trigger line, 2 button, 3 device"),
        Field(13, "x", "reserved"),
        Field(14, "H", "code", "", "which event of that source"),
        Field(16, "i", "value", "", "whatever goes with the code"),
    ),
)

INFO = PacketLayout(
    Type.INFO,
    "4.3",
    (
        *_common(Type.INFO),
        Field(4, "B", "page", "", "0 … pages − 1"),
        Field(5, "B", "pages", "", "1–64"),
        Field(6, "B", "first_channel", "", "channel number, from 0, of the page's first channel"),
        Field(7, "B", "page_channels", "", "1–16 channels on this page"),
        Field(8, "I", "boot_id", "", "random, new at every boot"),
        Field(12, "B", "config_id", "", "what this INFO describes"),
        Field(13, "B", "state", "", "0 idle, 1 streaming, 2 stopped by the watchdog"),
        Field(14, "B", "n_channels", "", "1–64"),
        Field(15, "B", "format", "", "as byte 14 of DATA"),
        Field(16, "I", "rate_num", "Hz", "nominal sampling rate, numerator"),
        Field(20, "I", "rate_den", "", "and denominator"),
        Field(24, "B", "n_samples", "", "1–32, conversions in a full DATA packet"),
        Field(25, "B", "lead_off", "", "0 off, 1 DC, 2 AC 31.25 Hz, 3 AC rate/4"),
        Field(26, "2x", "reserved"),
        Field(28, "24s", "device_id", "", "UTF-8, filled up with 0"),
        Field(52, "16s", "firmware", "", "version, UTF-8, filled up with 0"),
    ),
    "page_channels × (label: 16 bytes, UTF-8, at most 15 used, filled up with 0; µV per count: binary64)",
)

#: One channel on an INFO page: label, µV per count.
CHANNEL = Struct("<16sd")

RESPONSE = PacketLayout(
    Type.RESPONSE,
    "4.4",
    (
        *_common(Type.RESPONSE),
        Field(4, "H", "request_id", "", "of the COMMAND it answers"),
        Field(6, "B", "opcode", "", "of that COMMAND"),
        Field(7, "B", "status", "", "section 5.4"),
        Field(8, "Q", "t_us", "µs", "the device's time when the COMMAND's last byte came"),
        Field(16, "B", "length", "bytes", "0–40"),
        Field(17, "3x", "reserved"),
    ),
    "length bytes of results, section 5.3",
)

#: HEARTBEAT from byte 4 on; also the results of STOP and RESET_COUNTERS.
_COUNTERS = (
    ("I", "boot_id", "", "random, new at every boot"),
    ("Q", "t_us", "µs", "the device's time now"),
    ("Q", "sample_index", "", "every conversion below it was sent before this packet or is in `dropped`"),
    ("Q", "dropped", "", "of those, conversions the device could not send"),
    ("I", "rx_errors", "", "faults in what the device received"),
    ("H", "supply_mv", "mV", "0: not measured"),
    ("h", "temperature", "0.1 °C", "−32768: not measured"),
)


def _counters(offset: int) -> tuple[Field, ...]:
    fields = []
    for code, name, unit, text in _COUNTERS:
        fields.append(Field(offset, code, name, unit, text))
        offset += fields[-1].size
    return tuple(fields)


HEARTBEAT = PacketLayout(Type.HEARTBEAT, "4.5", (*_common(Type.HEARTBEAT), *_counters(4)))

LOG = PacketLayout(
    Type.LOG,
    "4.6",
    (
        *_common(Type.LOG),
        Field(4, "I", "t_us", "µs", "low 32 bits of the device's time"),
        Field(8, "B", "level", "", "0 debug, 1 info, 2 warning, 3 error"),
        Field(9, "x", "reserved"),
        Field(10, "H", "length", "bytes", "0–639"),
    ),
    "length bytes of text, UTF-8",
)

COMMAND = PacketLayout(
    Type.COMMAND,
    "5.1",
    (
        *_common(Type.COMMAND),
        Field(4, "H", "request_id", "", "random at first, then +1 per new request"),
        Field(6, "B", "opcode", "", "section 5.3"),
        Field(7, "B", "length", "bytes", "0–116"),
    ),
    "length bytes of arguments, section 5.3",
)

HOST = PacketLayout(
    Type.HOST,
    "9.1",
    (
        *_common(Type.HOST),
        Field(4, "Q", "nonce", "", "random, the same in all HOST packets of one recording"),
        Field(12, "B", "kind", "", "1 START, 2 ARRIVAL, 3 TX, 4 MARKER, 5 GAP, 6 RAW"),
        Field(13, "x", "reserved"),
        Field(14, "H", "length", "bytes", "0–635"),
    ),
    "length bytes of payload, sections 9.2–9.7",
)

PACKETS: dict[Type, PacketLayout] = {
    p.type: p for p in (DATA, EVENT, INFO, RESPONSE, HEARTBEAT, LOG, COMMAND, HOST)
}

_CONFIG_ID = (Field(0, "B", "config_id", "", "of the samples from now on"),)

COMMANDS: dict[Opcode, CommandLayout] = {
    c.opcode: c
    for c in (
        CommandLayout(
            Opcode.IDENTIFY,
            (),
            (
                Field(0, "I", "boot_id"),
                Field(4, "B", "state"),
                Field(5, "B", "config_id"),
                Field(6, "B", "n_channels"),
                Field(7, "B", "pages", "", "INFO packets that follow"),
            ),
            True,
            "say who you are; all INFO pages follow",
        ),
        CommandLayout(
            Opcode.START,
            (Field(0, "I", "watchdog_ms", "ms", "0 off, else 100–3,600,000; left out: 5000"),),
            (Field(0, "Q", "sample_index", "", "conversion number of the first sample"),),
            False,
            "begin to convert",
            optional=True,
        ),
        CommandLayout(Opcode.STOP, (), _counters(0), True, "end converting; idle already: the same answer"),
        CommandLayout(Opcode.KEEPALIVE, (), (), True, "feed the watchdog; never answered"),
        CommandLayout(
            Opcode.SET_RATE,
            (Field(0, "I", "rate_num", "Hz", "numerator"), Field(4, "I", "rate_den", "", "denominator")),
            _CONFIG_ID,
            False,
            "sampling rate, one the converter has",
        ),
        CommandLayout(
            Opcode.SET_CHANNEL,
            (
                Field(0, "B", "channel", "", "from 0; 255: all"),
                Field(1, "B", "gain", "", "1, 2, 4, 6, 8, 12 or 24"),
                Field(
                    2,
                    "B",
                    "mux",
                    "",
                    "0–7, as the converter's MUX bits: 0 electrode, 1 shorted, 5 test signal",
                ),
                Field(3, "B", "power", "", "1 on, 0 off"),
            ),
            _CONFIG_ID,
            True,
            "gain, input and power of a channel",
        ),
        CommandLayout(
            Opcode.LEAD_OFF,
            (Field(0, "B", "mode", "", "0 off, 1 DC, 2 AC 31.25 Hz, 3 AC rate/4"),),
            (),
            True,
            "lead-off excitation",
        ),
        CommandLayout(
            Opcode.TEST_SIGNAL,
            (
                Field(0, "B", "mode", "", "0 off, 1 slow square wave, 2 fast square wave, 3 DC"),
                Field(1, "B", "amplitude", "", "1 or 2: times VREF/2400"),
            ),
            (),
            True,
            "internal test signal in all channels",
        ),
        CommandLayout(
            Opcode.TEST_PATTERN,
            (Field(0, "B", "pattern", "", "0 off, 1 ramp, 2 pseudo-random, section 6.6"),),
            (),
            True,
            "known numbers in place of samples",
        ),
        CommandLayout(
            Opcode.READ_REGISTER,
            (
                Field(0, "B", "converter", "", "from 0"),
                Field(1, "B", "address", "", "of the first register"),
                Field(2, "B", "count", "", "1–40"),
            ),
            (),
            True,
            "read registers of a converter",
            more_results="count register values",
        ),
        CommandLayout(
            Opcode.WRITE_REGISTER,
            (Field(0, "B", "converter", "", "from 0"), Field(1, "B", "address", "", "of the first register")),
            _CONFIG_ID,
            False,
            "write registers of a converter",
            more_arguments="1–114 register values",
        ),
        CommandLayout(
            Opcode.RESET_COUNTERS,
            (),
            _counters(0),
            True,
            "dropped and rx_errors to 0; answers what they were",
        ),
    )
}

HOST_PAYLOADS: dict[HostKind, HostLayout] = {
    h.kind: h
    for h in (
        HostLayout(
            HostKind.START,
            "9.2",
            (Field(0, "B", "part", "", "0 … parts − 1"), Field(1, "B", "parts", "", "1–255")),
            "a part of the JSON text",
        ),
        HostLayout(
            HostKind.ARRIVAL,
            "9.3",
            (
                Field(0, "Q", "offset", "bytes", "wire bytes before a block that was read"),
                Field(8, "Q", "t_ns", "ns", "when it was read"),
            ),
            "more such pairs, 39 at most",
        ),
        HostLayout(
            HostKind.TX, "9.4", (Field(0, "Q", "t_ns", "ns", "when they were sent"),), "the bytes sent"
        ),
        HostLayout(
            HostKind.MARKER,
            "9.5",
            (
                Field(0, "q", "sample_index", "", "64-bit conversion number; −1: not known"),
                Field(8, "Q", "t_ns", "ns", "when it was set"),
                Field(16, "H", "code", "", "which marker"),
                Field(18, "2x", "reserved"),
                Field(20, "i", "value", "", "whatever goes with the code"),
            ),
            "label, UTF-8",
        ),
        HostLayout(
            HostKind.GAP, "9.6", (Field(0, "Q", "t_ns", "ns", "when it was noticed"),), "reason, UTF-8"
        ),
        HostLayout(HostKind.RAW, "9.7", (Field(0, "B", "dialect", "", "0 BFP, 1 Cyton"),), "wire bytes"),
    )
}
