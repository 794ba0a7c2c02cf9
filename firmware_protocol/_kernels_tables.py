"""What the kernel is told of the protocol, as arrays made from layout and limits, and how it writes an event."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import _kernels, limits
from firmware_protocol._fields import FORMATS, SAMPLE_SIZE, STATUS_SIZE, counted_lengths, shortest_packets
from firmware_protocol.codes import FaultKind, Type
from firmware_protocol.crc import REFLECTED_POLYNOMIAL
from firmware_protocol.layout import DATA

__all__ = ["EVENTS", "KINDS", "crc_table", "formats", "packets"]

#: By the number in column `kind` of EVENTS: None for a frame, else the kind of fault.
KINDS: tuple[FaultKind | None, ...] = (None, *FaultKind)

#: One event. Columns `head` to `config_id` are the first 16 bytes of the packet, whatever its type, filled up with
#: zeros behind a short one and all zero without one. `length`: wire bytes from `offset` on. `size`: bytes of the
#: packet, its CRC included, 0 without one. `first`: where its samples begin in `values`, or its wire bytes in
#: `raw`. `first_status`: where its status words begin.
EVENTS = np.dtype(
    {
        "names": ["offset", *(f.name for f in DATA.fields), "length", "size", "kind", "first", "first_status"],
        "formats": ["<i8", *(np.dtype("<" + f.code) for f in DATA.fields), "<u2", "<u2", "u1", "<i8", "<i8"],
        "offsets": [0, *(8 + f.offset for f in DATA.fields), 24, 26, 28, 32, 40],
        "itemsize": 8 * _kernels.EVENT_WORDS,
    }
)


@cache
def packets() -> NDArray[np.int64]:
    """A row per type, columns as in _kernels: how the header states the length."""
    table = np.zeros((16, _kernels.PACKET_COLUMNS), np.int64)
    for type_, size in shortest_packets().items():
        table[type_, _kernels.SHORTEST] = size
    for type_, c in counted_lengths().items():
        table[type_, _kernels.AT : _kernels.MAXIMUM + 1] = c.at, c.size, c.each, c.minimum, c.maximum
    table[Type.DATA, _kernels.IS_DATA] = 1
    table[Type.HOST, _kernels.IS_HOST] = 1
    table[[Type.INFO, Type.LOG], _kernels.HAS_TEXT] = 1
    return table


@cache
def formats() -> NDArray[np.int64]:
    """A row per format byte, columns as in _kernels."""
    table = np.zeros((256, _kernels.FORMAT_COLUMNS), np.int64)
    for byte, form in enumerate(FORMATS):
        if form is not None:
            status_size = STATUS_SIZE if form.has_status else 0
            table[byte] = SAMPLE_SIZE[form.sample_type], form.channels_per_converter, status_size
    return table


@cache
def crc_table() -> NDArray[np.uint32]:
    """CRC-32C register after byte i and then k zero bytes, at [k, i]: slicing by eight."""
    table = np.zeros((8, 256), np.uint32)
    register = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        register = register >> 1 ^ (register & 1) * np.uint32(REFLECTED_POLYNOMIAL)
    table[0] = register
    for k in range(1, 8):
        table[k] = table[k - 1] >> 8 ^ table[0, table[k - 1] & 255]
    return table
