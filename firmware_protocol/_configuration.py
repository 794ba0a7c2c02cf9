"""What a device measures and how: the part of its state that commands change (SPEC 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from firmware_protocol._fields import INT24, Format, check_samples, require
from firmware_protocol.codes import Flag, LeadOff, Opcode, Pattern, Status, TestSignal
from firmware_protocol.converter import (
    CONFIG1,
    CONFIG2,
    GAINS,
    LOFF,
    LOFF_SENSN,
    LOFF_SENSP,
    N_REGISTERS,
    Converter,
)
from firmware_protocol.limits import MAX_RESPONSE_PAYLOAD
from firmware_protocol.patterns import FULL_SCALE, pattern_counts

_ADS1299_RATES = frozenset(Fraction(250 * 2**k) for k in range(7))
_ALL_CHANNELS = 255
_MUX_INPUTS = 8
TEST_INPUTS = (0, 5)  # mux: TEST_SIGNAL shows in channels set to the electrode or to the test signal
_CLOCK_HZ = 2_048_000
_TEST_HZ = {TestSignal.SLOW: Fraction(_CLOCK_HZ, 2**21), TestSignal.FAST: Fraction(_CLOCK_HZ, 2**20)}
_TEST_BITS = {TestSignal.OFF: 0x00, TestSignal.SLOW: 0x10, TestSignal.FAST: 0x11, TestSignal.DC: 0x13}
_LOFF_BITS = {LeadOff.OFF: 0, LeadOff.DC: 0, LeadOff.AC_31_25_HZ: 2, LeadOff.AC_QUARTER_RATE: 3}
_TOP_RATE_HZ = 16_000  # DR = 0; each step of DR halves it
_AC_HZ = Fraction(125, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """What a device is when it boots.

    Parameters
    ----------
    labels : tuple of str
        Channel labels, at most 15 bytes of UTF-8 each; their number is the number of channels, 1–64.
    rate : Fraction
        Sampling rate in Hz.
    rates : frozenset of Fraction
        What SET_RATE may choose, besides `rate`. Default: 250 Hz … 16 kHz, as an ADS1299.
    samples_per_frame : int
        Conversions in a full DATA packet, 1–32.
    has_status : bool
        Status words among the samples; the number of channels then is a multiple of `channels_per_converter`.
    boot_id : int
        Random 32 bits, new at every boot.
    link_seq, sample_index : int
        Where the counters begin: 0 in a real device, anything in a test of their wraps.
    vref_uv : float
        Reference voltage in µV; one count is vref_uv / gain / (2^23 - 1).
    gain : int
        Of all channels: 1, 2, 4, 6, 8, 12 or 24.
    queue_bytes : int
        Wire bytes that may wait for the link before conversions are dropped.
    makes_test_signal : bool
        The device puts the ideal test signal in place of what is pushed. False for those who push what a real
        converter makes of it; `ReferenceDevice.setup` tells them when.

    Raises
    ------
    FrameError
        If no DATA packet can hold this; `field` names what does not fit.
    """

    labels: tuple[str, ...]
    rate: Fraction = Fraction(250)
    rates: frozenset[Fraction] = _ADS1299_RATES
    samples_per_frame: int = 4
    channels_per_converter: int = 8
    has_status: bool = True
    device_id: str = "BFP reference device"
    firmware: str = "1.0"
    boot_id: int = 1
    link_seq: int = 0
    sample_index: int = 0
    vref_uv: float = 4.5e6
    gain: int = 24
    queue_bytes: int = 8192
    makes_test_signal: bool = True

    def __post_init__(self) -> None:
        form = Format(INT24, self.has_status, self.channels_per_converter)
        check_samples(len(self.labels), self.samples_per_frame, form)
        require(self.gain in GAINS, "gain", self.gain, ", ".join(map(str, GAINS)))


class Outcome(NamedTuple):
    """How a command ended. `rescaled`: samples from now on mean something else, a new config_id."""

    status: Status
    results: bytes = b""
    acted: bool = False
    rescaled: bool = False


_REFUSED = Outcome(Status.BAD_ARGUMENT)
_ACTED = Outcome(Status.OK, acted=True)
_RESCALED = Outcome(Status.OK, acted=True, rescaled=True)


class Input(NamedTuple):
    """How one channel is set."""

    gain: int
    mux: int
    powered: bool


class Configuration:
    """Converters, rate, excitation and test signals of a device."""

    def __init__(self, config: DeviceConfig) -> None:
        self.rate = config.rate
        self.lead_off = LeadOff.OFF
        self.test_signal = TestSignal.OFF
        self.pattern = Pattern.OFF
        self.test_amplitude = 1
        self._makes_test_signal = config.makes_test_signal
        self._n_channels = len(config.labels)
        self._per_converter = config.channels_per_converter
        self._vref_uv = config.vref_uv
        self._rates = config.rates | {config.rate}
        n_converters = -(-self._n_channels // self._per_converter)
        self._converters = [Converter(self._per_converter, gain=config.gain) for _ in range(n_converters)]
        self._write_rate()

    @property
    def flags(self) -> Flag:
        """What every DATA says of these settings."""
        flags = Flag(0)
        if self.test_signal != TestSignal.OFF or self.pattern != Pattern.OFF:
            flags |= Flag.TEST_SIGNAL
        if self.lead_off in (LeadOff.AC_31_25_HZ, LeadOff.AC_QUARTER_RATE):
            flags |= Flag.AC_LEAD_OFF
        return flags

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        """Per channel."""
        return tuple(self._vref_uv / converter.gain(k) / (FULL_SCALE - 1) for converter, k in self._places())

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Gain, input and power of each channel."""
        return tuple(Input(c.gain(k), c.mux(k), c.powered(k)) for c, k in self._places())

    def execute(self, opcode: Opcode, arguments: tuple[int, ...], more: bytes) -> Outcome:
        """Do what a command of right length asks, if its arguments are right."""
        if opcode == Opcode.WRITE_REGISTER:
            return self._write(more, *arguments)
        handlers: dict[Opcode, Callable[..., Outcome]] = {
            Opcode.SET_RATE: self._set_rate,
            Opcode.SET_CHANNEL: self._set_channel,
            Opcode.LEAD_OFF: self._set_lead_off,
            Opcode.TEST_SIGNAL: self._set_test_signal,
            Opcode.TEST_PATTERN: self._set_pattern,
            Opcode.READ_REGISTER: self._read,
        }
        return handlers[opcode](*arguments)

    def convert(self, first_sample: int, rows: list[Sequence[int]]) -> list[Sequence[int]]:
        """What the converters give for what lies at their inputs, conversion `first_sample` on."""
        if self.pattern != Pattern.OFF:
            indices = range(first_sample, first_sample + len(rows))
            return [pattern_counts(self.pattern, index, self._n_channels) for index in indices]
        if self.test_signal != TestSignal.OFF and self._makes_test_signal:
            shown = [converter.mux(k) in TEST_INPUTS for converter, k in self._places()]
            rows = [self._test_row(first_sample + k, row, shown) for k, row in enumerate(rows)]
        powered = [converter.powered(k) for converter, k in self._places()]
        if not all(powered):
            rows = [[value if on else 0 for value, on in zip(row, powered, strict=True)] for row in rows]
        if any(max(row) >= FULL_SCALE or min(row) < -FULL_SCALE for row in rows):
            rows = [[min(max(value, -FULL_SCALE), FULL_SCALE - 1) for value in row] for row in rows]
        return rows

    def _test_row(self, sample_index: int, row: Sequence[int], shown: Sequence[bool]) -> list[int]:
        """Square wave of ± VREF/2400 or twice that, or its level as DC, on the channels that show it."""
        if self.test_signal == TestSignal.DC:
            sign = 1
        else:
            half_periods = sample_index * 2 * _TEST_HZ[self.test_signal] // self.rate
            sign = -1 if half_periods % 2 else 1
        level_uv = sign * self.test_amplitude * self._vref_uv / 2400
        return [
            round(level_uv / uv) if on else value
            for value, uv, on in zip(row, self.uv_per_count, shown, strict=True)
        ]

    def _places(self) -> list[tuple[Converter, int]]:
        c = self._per_converter
        return [(self._converters[channel // c], channel % c) for channel in range(self._n_channels)]

    def _set_rate(self, num: int, den: int) -> Outcome:
        if den == 0 or Fraction(num, den) not in self._rates:
            return _REFUSED
        rate = Fraction(num, den)
        if self.lead_off == LeadOff.AC_31_25_HZ and not _locks(rate):
            return Outcome(Status.UNSUPPORTED)
        self.rate = rate
        self._write_rate()
        return _RESCALED

    def _write_rate(self) -> None:
        for divider in range(7):
            if self.rate * 2**divider == _TOP_RATE_HZ:
                self._write_all(CONFIG1, 0x90 | divider)

    def _set_channel(self, channel: int, gain: int, mux: int, power: int) -> Outcome:
        places = self._places()
        if channel != _ALL_CHANNELS:
            places = places[channel : channel + 1]
        if not places or gain not in GAINS or mux >= _MUX_INPUTS or power > 1:
            return _REFUSED
        for converter, k in places:
            converter.set_channel(k, gain=gain, mux=mux, power=bool(power))
        return _RESCALED

    def _set_lead_off(self, mode: int) -> Outcome:
        if mode not in _LOFF_BITS:
            return _REFUSED
        if mode == LeadOff.AC_31_25_HZ and not _locks(self.rate):
            return Outcome(Status.UNSUPPORTED)
        self.lead_off = LeadOff(mode)
        self._write_all(LOFF, _LOFF_BITS[self.lead_off])
        for register in (LOFF_SENSP, LOFF_SENSN):
            self._write_all(register, 0x00 if mode == LeadOff.OFF else 0xFF)
        return _ACTED

    def _set_test_signal(self, mode: int, amplitude: int) -> Outcome:
        if mode not in _TEST_BITS or amplitude not in (1, 2):
            return _REFUSED
        self.test_signal = TestSignal(mode)
        self.test_amplitude = amplitude
        self._write_all(CONFIG2, 0xC0 | _TEST_BITS[self.test_signal] | (amplitude - 1) << 2)
        return _ACTED

    def _set_pattern(self, pattern: int) -> Outcome:
        if pattern > Pattern.PRBS:
            return _REFUSED
        self.pattern = Pattern(pattern)
        return _ACTED

    def _read(self, converter: int, address: int, count: int) -> Outcome:
        exists = converter < len(self._converters) and address + count <= N_REGISTERS
        if not exists or not 1 <= count <= MAX_RESPONSE_PAYLOAD:
            return _REFUSED
        return Outcome(Status.OK, bytes(self._converters[converter].registers[address : address + count]))

    def _write(self, values: bytes, converter: int, address: int) -> Outcome:
        if converter >= len(self._converters) or not self._converters[converter].may_write(address, values):
            return _REFUSED
        self._converters[converter].registers[address : address + len(values)] = values
        return _RESCALED

    def _write_all(self, register: int, value: int) -> None:
        for converter in self._converters:
            converter.registers[register] = value


def _locks(rate: Fraction) -> bool:
    """Whether the 31.25 Hz tone has a whole number of samples in each period."""
    return (rate / _AC_HZ).denominator == 1
