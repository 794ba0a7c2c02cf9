"""The ADS1299 at its bus (SBAS499C): what a driver may rely on, and what it must not forget."""

from __future__ import annotations

import ctypes
import subprocess

import pytest

from bci.selftest._firmware import EXAMPLE
from tests.firmware.conftest import needs_cc

pytestmark = [pytest.mark.firmware, needs_cc]

RDATAC, SDATAC, RDATA, RESET = 0x10, 0x11, 0x12, 0x06
RREG, WREG = 0x20, 0x40
CONFIG1, CONFIG2, CH1SET, SENSP, SENSN = 0x01, 0x02, 0x05, 0x0F, 0x10
BURST = 27


class Bus:
    """The model's two functions, byte by byte."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.spi_exchange.restype = ctypes.c_uint8
        library.ads1299_model_power_up()

    def exchange(self, *out: int) -> bytes:
        self._library.spi_select(ctypes.c_bool(True))
        told = bytes(self._library.spi_exchange(ctypes.c_uint8(byte)) for byte in out)
        self._library.spi_select(ctypes.c_bool(False))
        return told

    def read(self, first: int, n: int) -> bytes:
        return self.exchange(RREG | first, n - 1, *bytes(n))[2:]

    def write(self, first: int, *values: int) -> None:
        self.exchange(WREG | first, len(values) - 1, *values)

    def convert(self, number: int) -> None:
        self._library.ads1299_model_convert(ctypes.c_uint32(number))

    def electrodes_off(self, positive: int, negative: int) -> None:
        self._library.ads1299_model_electrodes(ctypes.c_uint8(positive), ctypes.c_uint8(negative))

    def counts(self, number: int) -> list[int]:
        """Of a conversion, read continuously."""
        self.convert(number)
        burst = self.exchange(*bytes(BURST))
        return [int.from_bytes(burst[k : k + 3], "big", signed=True) for k in range(3, BURST, 3)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    out = tmp_path_factory.mktemp("model") / "model.so"
    sources = [EXAMPLE / "ads1299_model.c", EXAMPLE.parent / "bfp.c"]
    subprocess.run(
        ["cc", "-std=c99", "-shared", "-fPIC", f"-I{EXAMPLE.parent}", "-o", str(out), *map(str, sources)],
        check=True,
    )
    return ctypes.CDLL(str(out))


@pytest.fixture
def bus(library: ctypes.CDLL) -> Bus:
    return Bus(library)


def test_registers_do_not_answer_until_continuous_reading_is_stopped(bus: Bus) -> None:
    assert bus.read(0, 1) == b"\x00"
    bus.exchange(SDATAC)
    assert bus.read(0, 6) == bytes([0x3E, 0x96, 0xC0, 0x60, 0x00, 0x61])


def test_writes_are_ignored_while_it_reads_continuously(bus: Bus) -> None:
    bus.write(CONFIG1, 0x90)
    bus.exchange(SDATAC)
    assert bus.read(CONFIG1, 1) == b"\x96"
    bus.write(CONFIG1, 0x90)
    assert bus.read(CONFIG1, 1) == b"\x90"


def test_a_reset_brings_register_values_and_continuous_reading_back(bus: Bus) -> None:
    bus.exchange(SDATAC)
    bus.write(CH1SET, 0x05)
    bus.exchange(RESET)
    assert bus.read(CH1SET, 1) == b"\x00"
    bus.exchange(SDATAC)
    assert bus.read(CH1SET, 1) == b"\x61"


def test_identity_and_comparators_cannot_be_written(bus: Bus) -> None:
    bus.exchange(SDATAC)
    for register in (0x00, 0x12, 0x13):
        before = bus.read(register, 1)
        bus.write(register, 0xAA)
        assert bus.read(register, 1) == before


def test_a_burst_is_the_status_word_and_eight_samples_by_either_way_of_reading(bus: Bus) -> None:
    bus.convert(5)
    continuous = bus.exchange(*bytes(BURST + 2))
    bus.exchange(SDATAC)
    assert bus.exchange(*bytes(BURST)) == bytes(BURST)  # nothing, unless it is asked for
    asked = bus.exchange(RDATA, *bytes(BURST))[1:]
    assert continuous[:BURST] == asked
    assert continuous[BURST:] == b"\x00\x00"
    assert asked[0] >> 4 == 0b1100


def test_status_word_shows_open_electrodes_only_where_their_comparator_is_on(bus: Bus) -> None:
    bus.electrodes_off(0b1010_0001, 0b0000_0011)
    bus.convert(0)
    assert bus.exchange(0, 0, 0).hex() == "c00000"
    bus.exchange(SDATAC)
    bus.write(SENSP, 0x0F, 0xFF)
    bus.exchange(RDATAC)
    bus.convert(1)
    assert bus.exchange(0, 0, 0).hex() == "c01030"
    bus.exchange(SDATAC)
    assert bus.read(0x12, 2) == bytes([0x01, 0x03])


@pytest.mark.parametrize(("code", "gain"), list(enumerate([1, 2, 4, 6, 8, 12, 24])))
def test_test_signal_has_its_level_at_each_gain(bus: Bus, code: int, gain: int) -> None:
    bus.exchange(SDATAC)
    bus.write(CONFIG2, 0xD0)
    bus.write(CH1SET, *([code << 4 | 5] * 8))
    bus.exchange(RDATAC)
    level = gain * (2**23 - 1) / 2400
    assert bus.counts(0) == [pytest.approx(level, abs=1)] * 8
    assert bus.counts(128) == [pytest.approx(-level, abs=1)] * 8


@pytest.mark.parametrize(("config2", "half"), [(0xD0, 128), (0xD1, 64)])
@pytest.mark.parametrize("octave", range(7))
def test_test_signal_has_its_period_at_each_rate(bus: Bus, config2: int, half: int, octave: int) -> None:
    """2^-21 and 2^-20 of 2.048 MHz, from the positive level on."""
    bus.exchange(SDATAC)
    bus.write(CONFIG1, 0x96 - octave)
    bus.write(CONFIG2, config2)
    bus.write(CH1SET, *([0x65] * 8))
    bus.exchange(RDATAC)
    half <<= octave
    assert [bus.counts(k)[0] > 0 for k in (0, half - 1, half, 2 * half - 1, 2 * half)] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_inputs_that_are_off_shorted_or_powered_down_carry_no_signal(bus: Bus) -> None:
    bus.exchange(SDATAC)
    bus.write(CH1SET, 0x60, 0x61, 0xE0, 0x65, 0x60, 0x60, 0x60, 0x60)
    bus.exchange(RDATAC)
    rows = [bus.counts(k) for k in range(250)]
    spread = [max(column) - min(column) for column in zip(*rows, strict=True)]
    assert spread[0] > 400
    assert 0 < spread[1] <= 16
    assert spread[2] == 0
    assert spread[3] == 0  # the generator is off


def test_rhythm_at_the_electrodes_has_ten_hertz_at_each_rate(bus: Bus) -> None:
    import numpy as np

    for octave in (0, 3):
        bus.exchange(SDATAC)
        bus.write(CONFIG1, 0x96 - octave)
        bus.write(CH1SET, *([0x60] * 8))
        bus.exchange(RDATAC)
        rate = 250 << octave
        signal = np.array([bus.counts(k) for k in range(2 * rate)], dtype=float)
        power = np.abs(np.fft.rfft(signal - signal.mean(axis=0), axis=0))
        assert (power.argmax(axis=0) == 20).all()
        uv = 4.5e6 / 24 / (2**23 - 1) * signal.std(axis=0)
        assert ((uv > 3) & (uv < 25)).all()
