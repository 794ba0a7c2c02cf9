"""Register file of an ADS1299-class converter (Texas Instruments, SBAS499C, section 9.6)."""

from __future__ import annotations

__all__ = ["GAINS", "N_REGISTERS", "Converter"]

GAINS = (1, 2, 4, 6, 8, 12, 24)  # by the GAIN bits of CHnSET
N_REGISTERS = 0x18
N_CHSET = 8

_ID, CONFIG1, CONFIG2, _CONFIG3, LOFF, CHSET = range(6)
LOFF_SENSP, LOFF_SENSN = 0x0F, 0x10
_LOFF_STATP, _LOFF_STATN, _GPIO = 0x12, 0x13, 0x14
#: Read-only in the converter, or the business of a command of its own (SET_RATE, TEST_SIGNAL, LEAD_OFF).
_NOT_WRITABLE = {_ID, CONFIG1, CONFIG2, LOFF, LOFF_SENSP, LOFF_SENSN, _LOFF_STATP, _LOFF_STATN}
_ID_OF = {8: 0x3E, 6: 0x3D, 4: 0x3C}
_AT_RESET = {CONFIG1: 0x96, CONFIG2: 0xC0, _CONFIG3: 0x60, _GPIO: 0x0F}
_POWER_DOWN = 0x80


class Converter:
    """One converter's registers, and what those of its channels say."""

    def __init__(self, n_channels: int, *, gain: int) -> None:
        self.registers = bytearray(N_REGISTERS)
        self.registers[_ID] = _ID_OF[n_channels]
        for address, value in _AT_RESET.items():
            self.registers[address] = value
        for channel in range(N_CHSET):
            self.set_channel(channel, gain=gain, mux=0, power=True)

    def set_channel(self, channel: int, *, gain: int, mux: int, power: bool) -> None:
        """Write CHnSET."""
        off = 0 if power else _POWER_DOWN
        self.registers[CHSET + channel] = off | GAINS.index(gain) << 4 | mux

    def gain(self, channel: int) -> int:
        return GAINS[self.registers[CHSET + channel] >> 4 & 7]

    def mux(self, channel: int) -> int:
        return self.registers[CHSET + channel] & 7

    def powered(self, channel: int) -> bool:
        return not self.registers[CHSET + channel] & _POWER_DOWN

    def may_write(self, address: int, values: bytes) -> bool:
        """Whether a host may write `values` from `address` on: only registers no command owns, only known gains."""
        if address + len(values) > N_REGISTERS:
            return False
        for at, value in enumerate(values, address):
            if at in _NOT_WRITABLE:
                return False
            if CHSET <= at < CHSET + N_CHSET and value >> 4 & 7 >= len(GAINS):
                return False
        return True
