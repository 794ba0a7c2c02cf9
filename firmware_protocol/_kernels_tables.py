"""What the kernel is told of the protocol, as arrays made from layout and limits, and how it writes an event."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from firmware_protocol import _fields, _kernels
from firmware_protocol.codes import FaultKind, Type
from firmware_protocol.crc import REFLECTED_POLYNOMIAL
from firmware_protocol.layout import DATA

__all__ = ["EVENTS", "KINDS", "tables"]

#: By the number in column `kind` of EVENTS: None for a frame, else the kind of fault.
KINDS: tuple[FaultKind | None, ...] = (None, *FaultKind)

#: One event. Columns `head` to `config_id` are the first 16 bytes of the packet, whatever its type, filled up with
#: zeros behind a short one and all zero without one. `length`: wire bytes from `offset` on. `size`: bytes of the
#: packet, its CRC included, 0 without one. `first`: where its samples begin in `values`, or its wire bytes in
#: `raw`. `first_status`: where its status words begin.
EVENTS = np.dtype(
    {
        "names": [
            "offset",
            *(f.name for f in DATA.fields),
            "length",
            "size",
            "kind",
            "first",
            "first_status",
        ],
        "formats": ["<i8", *(np.dtype("<" + f.code) for f in DATA.fields), "<u2", "<u2", "u1", "<i8", "<i8"],
        "offsets": [0, *(8 + f.offset for f in DATA.fields), 24, 26, 28, 32, 40],
        "itemsize": 8 * _kernels.EVENT_WORDS,
    }
)


@cache
def tables() -> NDArray[np.uint8]:
    """The tables that `scan` takes, laid out as _kernels says."""
    return np.concatenate([table.ravel().view(np.uint8) for table in (_crc_table(), _formats(), _packets())])


def _crc_table() -> NDArray[np.uint32]:
    """CRC-32C register after byte i and then k zero bytes, at [k, i]: slicing by eight."""
    table = np.empty((8, 256), np.uint32)
    register = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        register = np.where(register & 1, register >> 1 ^ np.uint32(REFLECTED_POLYNOMIAL), register >> 1)
    table[0] = register
    for k in range(1, 8):
        table[k] = table[k - 1] >> 8 ^ table[0, table[k - 1] & 255]
    return table


def _formats() -> NDArray[np.int64]:
    table = np.zeros((256, _kernels.FORMAT_COLUMNS), np.int64)
    for byte, form in enumerate(_fields.FORMATS):
        if form is not None:
            status_size = _fields.STATUS_SIZE if form.has_status else 0
            table[byte] = _fields.SAMPLE_SIZE[form.sample_type], form.channels_per_converter, status_size
    return table


def _packets() -> NDArray[np.int64]:
    table = np.zeros((16, _kernels.PACKET_COLUMNS), np.int64)
    for type_, size in _fields._SHORTEST.items():
        table[type_, _kernels.SHORTEST] = size
    for type_, c in _fields._COUNTED.items():
        table[type_, _kernels.AT : _kernels.MAXIMUM + 1] = c.at, c.size, c.each, c.minimum, c.maximum
    table[Type.DATA, _kernels.IS_DATA] = 1
    table[Type.HOST, _kernels.IS_HOST] = 1
    table[[Type.INFO, Type.LOG], _kernels.HAS_TEXT] = 1
    return table
