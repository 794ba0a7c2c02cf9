"""Which CRC did the firmware compute? Solve for it, given packets whose CRC is wrong.

A CRC is linear: the value with initial value `i` and final XOR `x` is the value with zeros, XOR a constant that
depends on `i`, `x` and the length alone. So polynomial, reflections, byte order and range are tried with zeros, and
a guess is right if the constant comes out the same for packets of the same length. Then initial value and final XOR
follow from the constants, known or not (Williams, "A painless guide to CRC error detection algorithms", 1993, names
the parameters; Cook, CRC RevEng, solves for them in general).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from firmware_protocol.cobs import cobs_encode
from firmware_protocol.layout import PACKETS
from firmware_protocol.limits import CRC_SIZE

__all__ = ["Variant", "find_variant", "value_of"]

_MASK = 0xFFFFFFFF
_LAYOUTS = {int(type_): layout for type_, layout in PACKETS.items()}


class _Polynomial(NamedTuple):
    width: int
    value: int
    name: str


_CASTAGNOLI = _Polynomial(32, 0x1EDC6F41, "CRC-32C")
_POLYNOMIALS = (
    _CASTAGNOLI,
    _Polynomial(32, 0x04C11DB7, "CRC-32 of Ethernet and zlib"),
    _Polynomial(32, 0x741B8CD7, "CRC-32K"),
    _Polynomial(32, 0xA833982B, "CRC-32D"),
    _Polynomial(32, 0x814141AB, "CRC-32Q"),
    _Polynomial(16, 0x1021, "CRC-16 of CCITT"),
    _Polynomial(16, 0x8005, "CRC-16 of Modbus and USB"),
)
_KNOWN_STARTS = {32: (_MASK, 0), 16: (0xFFFF, 0, 0x1D0F, 0x800D)}
_ORDERS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("", (0, 1, 2, 3)),
    ("most significant byte first", (3, 2, 1, 0)),
    ("with its two halves swapped", (2, 3, 0, 1)),
    ("with the bytes of each half swapped", (1, 0, 3, 2)),
)


def _words_reversed(body: bytes) -> bytes:
    """Fed to a CRC unit as 32-bit words from a little-endian memory, most significant byte first."""
    whole = len(body) & ~3
    return b"".join(body[at : at + 4][::-1] for at in range(0, whole, 4)) + body[whole:]


def _header_size(body: bytes) -> int:
    return layout.size if (layout := _LAYOUTS.get(body[0] & 15)) is not None else 4


def _link_seq_before(body: bytes) -> bytes:
    before = int.from_bytes(body[2:4], "little") - 1 & 0xFFFF
    return body[:2] + before.to_bytes(2, "little") + body[4:]


#: Bytes that the CRC may have been taken of: what to say, and how to get them from the packet without its CRC.
_RANGES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("", lambda body: body),
    ("from byte 1 on, so without byte 0 (version and type)", lambda body: body[1:]),
    ("from byte 2 on", lambda body: body[2:]),
    ("from byte 4 on, so without the common header", lambda body: body[4:]),
    ("only what follows the header", lambda body: body[_header_size(body) :]),
    ("only the header", lambda body: body[: _header_size(body)]),
    ("only the common header (bytes 0–3)", lambda body: body[:4]),
    ("without the last byte before the CRC", lambda body: body[:-1]),
    ("without the last four bytes before the CRC", lambda body: body[:-4]),
    ("with four zero bytes in the place of the CRC", lambda body: body + bytes(4)),
    ("with one more byte (0x00) behind it", lambda body: body + b"\x00"),
    ("after COBS instead of before it", cobs_encode),
    ("after COBS instead of before it, with the delimiter", lambda body: cobs_encode(body) + b"\x00"),
    ("before link_seq was filled in (as 0)", lambda body: body[:2] + bytes(2) + body[4:]),
    ("before link_seq was counted up", _link_seq_before),
    ("before the flags were filled in (as 0)", lambda body: body[:1] + b"\x00" + body[2:]),
    ("in whole 32-bit words only, the last odd bytes left out", lambda body: body[: len(body) & ~3]),
    ("word by word with the bytes of each word reversed", _words_reversed),
    (
        "word by word with the bytes of each word reversed, the last odd bytes left out",
        lambda body: _words_reversed(body[: len(body) & ~3]),
    ),
    ("with the bytes in reverse order", lambda body: body[::-1]),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """A CRC as the firmware computes it. `size`: bytes of the field at the packet's end."""

    polynomial: _Polynomial
    refin: bool
    refout: bool
    start: int
    xorout: int
    order: int  # index of _ORDERS
    range: int  # index of _RANGES
    size: int = CRC_SIZE
    either: bool = (
        False  # packets of one length cannot tell: `start` with the usual xorout, or `xorout` with it
    )

    def differences(self) -> list[tuple[str, str]]:
        """What is not as SPEC 3.2 has it: which parameter, and in words what was found and what is asked."""
        out = []
        if self.size != CRC_SIZE:
            out.append(("width", f"the CRC field has {self.size} bytes, not 4"))
        if self.polynomial != _CASTAGNOLI:
            out.append(
                (
                    "polynomial",
                    f"the polynomial is 0x{self.polynomial.value:X} ({self.polynomial.name}), not "
                    "0x1EDC6F41 (CRC-32C)",
                )
            )
        if not (self.refin and self.refout):
            which = {
                (False, False): "input and output are not reflected",
                (True, False): "the output is not reflected (the input is)",
                (False, True): "the input is not reflected (the output is)",
            }[self.refin, self.refout]
            out.append(("reflection", f"{which}; both must be"))
        full = (1 << self.polynomial.width) - 1
        start, xorout = self._hex(self.start), f"0x{self.xorout:0{self.polynomial.width // 4}X}"
        if self.either:
            which = f"{start} or the final XOR {xorout} (packets of one length cannot tell which)"
            out.append(("initial value", f"the initial value is {which}, not 0xFFFFFFFF"))
        else:
            if self.start != full:
                out.append(("initial value", f"the initial value is {start}, not 0xFFFFFFFF"))
            if self.xorout != full:
                out.append(("final XOR", f"the final XOR is {xorout}, not 0xFFFFFFFF"))
        if self.order:
            out.append(
                ("byte order", f"it is sent {_ORDERS[self.order][0]}, not least significant byte first")
            )
        if self.range:
            out.append(
                ("range", f"it is computed {_RANGES[self.range][0]}; it covers byte 0 to the byte before it")
            )
        return out

    def _hex(self, register: int) -> str:
        """A register; a reflected one as it stands in a program, and as catalogues write it."""
        width = self.polynomial.width
        text = f"0x{register:0{width // 4}X}"
        turned = _reverse(register, width)
        as_written = f" (0x{turned:0{width // 4}X} before reflection)"
        return text + as_written if self.refin and turned != register else text


def value_of(variant: Variant, body: bytes) -> int:
    """The little-endian number that a firmware with this CRC puts at the end of a packet."""
    data = _RANGES[variant.range][1](body)
    base = _base(variant.polynomial, variant.refin, data)
    value = _out(variant.polynomial, variant.refin, variant.refout, base)
    start = _advance(variant.polynomial, variant.refin, variant.start, len(data))
    xorout = (1 << variant.polynomial.width) - 1 if variant.either else variant.xorout
    value ^= _out(variant.polynomial, variant.refin, variant.refout, start) ^ xorout
    return _reorder(value, variant.order, variant.size)


def find_variant(packets: list[bytes], *, size: int = CRC_SIZE) -> Variant | None:
    """The CRC that fits the packets (whole, with their wrong CRC); None if no variant fits all of them.

    One packet is enough for a CRC with usual initial value and final XOR; two of one length or three of different
    lengths for any. Of several that fit, the one that is nearest to SPEC 3.2.
    """
    bodies = [(packet[:-size], int.from_bytes(packet[-size:], "little")) for packet in packets]
    bodies = [(body, value) for body, value in bodies if len(body) >= 8]
    if not bodies or (size < CRC_SIZE and len(bodies) < 3):
        return None
    fitting: list[Variant] = []
    for k, (_, take) in enumerate(_RANGES):
        taken = [(take(body), value) for body, value in bodies]
        for polynomial in _POLYNOMIALS:
            if polynomial.width > 8 * size:
                continue
            for refin in (True, False):
                bases = [_base(polynomial, refin, data) for data, _ in taken]
                found = _solve(polynomial, refin, k, size, taken, bases)
                fitting += [variant for variant in found if variant.differences()]
    return min(fitting, key=_strangeness, default=None)


def _strangeness(variant: Variant) -> int:
    """How far a variant is from SPEC 3.2; a value that nobody would choose counts more than a usual mistake."""
    usual = _KNOWN_STARTS[variant.polynomial.width]
    odd = variant.start not in usual or variant.xorout not in usual
    return len(variant.differences()) + 3 * odd + 4 * variant.either


def _solve(
    polynomial: _Polynomial, refin: bool, k: int, size: int, taken: list[tuple[bytes, int]], bases: list[int]
) -> Iterator[Variant]:
    for refout in (refin, not refin):
        for order in range(len(_ORDERS) if size == CRC_SIZE else 2):
            constants: dict[int, int] = {}
            for (data, value), base in zip(taken, bases, strict=True):
                sent = _reorder(value, order, size)
                if sent >> polynomial.width:  # a 16-bit CRC leaves the upper bytes 0
                    break
                constant = sent ^ _out(polynomial, refin, refout, base)
                if constants.setdefault(len(data), constant) != constant:
                    break
            else:
                yield from _parameters(polynomial, refin, refout, order, k, size, constants, len(taken))


def _parameters(
    polynomial: _Polynomial,
    refin: bool,
    refout: bool,
    order: int,
    k: int,
    size: int,
    constants: dict[int, int],
    n_packets: int,
) -> Iterator[Variant]:
    """Initial value and final XOR from the constants by length."""

    def xorouts(start: int) -> set[int]:
        return {
            constant ^ _out(polynomial, refin, refout, _advance(polynomial, refin, start, length))
            for length, constant in constants.items()
        }

    full = (1 << polynomial.width) - 1
    usual = (full, 0)
    for start in _KNOWN_STARTS[polynomial.width]:
        found = xorouts(start)
        if len(found) == 1 and (xorout := found.pop()) in usual:
            yield Variant(polynomial, refin, refout, start, xorout, order, k, size)
            return
    if n_packets < 2 or (len(constants) == n_packets and n_packets < 3):
        return  # any CRC fits
    # One of the two is unusual. With several lengths the right pair is the one that fits them all.
    for xorout in usual:
        starts = {
            _retreat(polynomial, refin, _out(polynomial, refin, refout, constant ^ xorout), length)
            for length, constant in constants.items()
        }
        if len(starts) == 1 and len(constants) > 1:
            yield Variant(polynomial, refin, refout, starts.pop(), xorout, order, k, size)
            return
    for start in usual:
        found = xorouts(start)
        if len(found) == 1 and len(constants) > 1:
            yield Variant(polynomial, refin, refout, start, found.pop(), order, k, size)
            return
    if len(constants) == 1:
        ((length, constant),) = constants.items()
        start = _retreat(polynomial, refin, _out(polynomial, refin, refout, constant ^ full), length)
        yield Variant(polynomial, refin, refout, start, xorouts(full).pop(), order, k, size, either=True)


def _reorder(value: int, order: int, size: int = CRC_SIZE) -> int:
    if not order:
        return value
    raw = value.to_bytes(size, "little")
    if size != CRC_SIZE:
        return int.from_bytes(raw, "big")
    return int.from_bytes(bytes(raw[i] for i in _ORDERS[order][1]), "little")


def _reverse(value: int, width: int) -> int:
    return int(f"{value:0{width}b}"[::-1], 2)


def _out(polynomial: _Polynomial, refin: bool, refout: bool, register: int) -> int:
    """The register as it is put out: with equal reflections as it stands, else its bits reversed. Its own inverse."""
    return register if refin == refout else _reverse(register, polynomial.width)


@cache
def _table(polynomial: _Polynomial, refin: bool) -> list[int]:
    width, value = polynomial.width, polynomial.value
    mask = (1 << width) - 1
    if refin:
        value = _reverse(value, width)
    table = []
    for byte in range(256):
        register = byte if refin else byte << width - 8
        for _ in range(8):
            if refin:
                register = register >> 1 ^ (value if register & 1 else 0)
            else:
                register = (register << 1 ^ (value if register >> width - 1 else 0)) & mask
        table.append(register)
    return table


def _base(polynomial: _Polynomial, refin: bool, data: bytes, register: int = 0) -> int:
    """The register after `data`, from `register`."""
    table, width = _table(polynomial, refin), polynomial.width
    if refin:
        for byte in data:
            register = table[(register ^ byte) & 0xFF] ^ register >> 8
        return register
    mask, shift = (1 << width) - 1, width - 8
    for byte in data:
        register = (register << 8 & mask) ^ table[register >> shift ^ byte]
    return register


@lru_cache(maxsize=4096)  # few starts, few lengths, asked for again with each guess
def _advance(polynomial: _Polynomial, refin: bool, register: int, n_bytes: int) -> int:
    """The register after `n_bytes` zero bytes."""
    return _base(polynomial, refin, bytes(n_bytes), register)


def _retreat(polynomial: _Polynomial, refin: bool, register: int, n_bytes: int) -> int:
    """The register that `n_bytes` zero bytes turn into this one."""
    table, width = _table(polynomial, refin), polynomial.width
    mask = (1 << width) - 1
    if refin:
        by_top = {entry >> width - 8: index for index, entry in enumerate(table)}
        for _ in range(n_bytes):
            index = by_top[register >> width - 8]
            register = ((register ^ table[index]) << 8 & mask) | index
        return register
    by_low = {entry & 0xFF: index for index, entry in enumerate(table)}
    for _ in range(n_bytes):
        index = by_low[register & 0xFF]
        register = (register ^ table[index]) >> 8 | index << width - 8
    return register
