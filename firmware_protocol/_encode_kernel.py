"""The encoder of codec.py for rows of DATA packets, as one kernel: header, payload, CRC-32C, COBS, delimiter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from firmware_protocol._jit import kernel
from firmware_protocol._simd import address, crc_word, load_i64
from firmware_protocol.limits import CRC_SIZE

__all__ = ["big_endian", "encode_rows"]

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@kernel
def encode_rows(
    headers: U8, payload: U8, sizes: I64, table: I64, hardware: int, packet: U8, out: U8, ends: I64
) -> None:
    """Write a packet to `out` for each row of `headers`, with the next `sizes[k]` bytes of `payload`.

    `ends[k]` is where packet k ends in `out`. `table`: CRC-32C of each byte. `packet`: room for one.
    """
    n_header = headers.shape[1]
    at = begin = 0
    for k in range(len(sizes)):
        packet[:n_header] = headers[k]
        size = n_header + sizes[k]
        packet[n_header:size] = payload[begin : begin + sizes[k]]
        begin += sizes[k]
        register = 0xFFFFFFFF
        i = 0
        if hardware:
            while i + 8 <= size:
                register = crc_word(register, load_i64(address(packet) + i))
                i += 8
        while i < size:
            register = table[(register ^ int(packet[i])) & 255] ^ register >> 8
            i += 1
        register ^= 0xFFFFFFFF
        for byte in range(CRC_SIZE):
            packet[size + byte] = register >> (8 * byte) & 255
        size += CRC_SIZE
        code_at = at
        code = 1
        at += 1
        for i in range(size):
            byte = packet[i]
            if byte:
                out[at] = byte
                at += 1
                code += 1
            if byte == 0 or (code == 255 and i + 1 < size):
                out[code_at] = code
                code_at = at
                code = 1
                at += 1
        out[code_at] = code
        out[at] = 0
        at += 1
        ends[k] = at


@kernel
def big_endian(words: I32, out: U8) -> None:
    """The low three bytes of each word, high byte first."""
    for k in range(len(words)):
        word = int(words[k])
        out[3 * k] = word >> 16 & 255
        out[3 * k + 1] = word >> 8 & 255
        out[3 * k + 2] = word & 255
