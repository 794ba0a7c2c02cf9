"""Columns to wire: many DATA packets at once, byte for byte those of `codec.encode`.

The way back of `bulk`: a row of `HEADERS` for each packet, named as the columns of `bulk.EVENTS` are, and the samples
of all packets one behind the other. The first use in a new installation compiles the kernel.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from firmware_protocol._encode_kernel import big_endian, encode_rows
from firmware_protocol._fields import FORMATS, Format, check_samples, require
from firmware_protocol._kernels_tables import tables
from firmware_protocol._simd import HARDWARE_CRC
from firmware_protocol.cobs import coded_size
from firmware_protocol.codes import Type
from firmware_protocol.errors import FrameError
from firmware_protocol.layout import DATA
from firmware_protocol.limits import CRC_SIZE, MAX_PACKET, VERSION
from firmware_protocol.patterns import FULL_SCALE

__all__ = ["HEADERS", "data_headers", "encode_data", "int24_bytes"]

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

#: The fixed part of DATA (SPEC 4.1).
HEADERS = np.dtype(
    {
        "names": [field.name for field in DATA.fields],
        "formats": ["<" + field.code for field in DATA.fields],
        "offsets": [field.offset for field in DATA.fields],
        "itemsize": DATA.size,
    }
)
_HEAD = VERSION << 4 | Type.DATA


def data_headers(
    n_packets: int,
    *,
    n_channels: int,
    config_id: int = 0,
    sample_type: int = 0,
    has_status: bool = False,
    channels_per_converter: int = 8,
) -> NDArray[np.void]:
    """Headers of packets of one form. `link_seq`, `flags`, `sample_index`, `t_us` and `n_samples` are still 0."""
    headers = np.zeros(n_packets, HEADERS)
    headers["head"], headers["n_channels"], headers["config_id"] = _HEAD, n_channels, config_id
    headers["format"] = Format(sample_type, has_status, channels_per_converter).byte()
    return headers


def int24_bytes(counts: I32, *, status: I32 | None = None, channels_per_converter: int = 8) -> U8:
    """Payload of int24 packets, as `pack_counts` makes it.

    Parameters
    ----------
    counts : ndarray of int32, shape (n_samples, n_channels)
    status : ndarray of int32, shape (n_samples, n_converters), optional
        Status words.
    channels_per_converter : int
        Of no meaning without status words.

    Raises
    ------
    FrameError
        If a count does not fit 24 bits.
    """
    if counts.size:
        low, high = int(counts.min()), int(counts.max())
        in_range = low >= -FULL_SCALE and high < FULL_SCALE
        require(in_range, "counts", f"{low} … {high}", "−2^23 … 2^23 − 1")
    words = counts
    if status is not None:
        groups = counts.reshape(len(counts), -1, channels_per_converter)
        words = np.concatenate((status[:, :, None], groups), axis=2)
    out = np.empty(3 * words.size, np.uint8)
    big_endian(np.ascontiguousarray(words, np.int32).reshape(-1), out)
    return out


def encode_data(headers: NDArray[np.void], payload: U8, *, hardware: bool | None = None) -> tuple[U8, I64]:
    """Wire form of many DATA packets.

    Parameters
    ----------
    headers : ndarray of HEADERS, shape (n_packets,)
    payload : ndarray of uint8
        The samples of all packets, as `frames.Data.payload` has them.
    hardware : bool, optional
        As of `bulk.BulkDecoder`.

    Returns
    -------
    wire : ndarray of uint8
    ends : ndarray of int64, shape (n_packets,)
        Where in `wire` each packet ends, its delimiter included.

    Raises
    ------
    FrameError
        If a header states what no packet may hold, or all of them together another length than `payload` has.
    """
    sizes = _payload_sizes(headers)
    expected = int(sizes.sum())
    require(payload.size == expected, "payload", f"{payload.size} bytes", f"{expected} bytes")
    ends = np.empty(len(headers), np.int64)
    fixed = DATA.size + CRC_SIZE
    room = expected + len(headers) * (coded_size(MAX_PACKET) - MAX_PACKET + fixed + 1)
    wire = np.empty(room, np.uint8)
    encode_rows(
        np.ascontiguousarray(headers).view(np.uint8).reshape(-1, DATA.size),
        np.ascontiguousarray(payload),
        sizes,
        _crc_table(),
        int(HARDWARE_CRC != "" if hardware is None else hardware),
        np.empty(MAX_PACKET, np.uint8),
        wire,
        ends,
    )
    return wire[: ends[-1] if len(ends) else 0], ends


@cache
def _crc_table() -> I64:
    return tables()[: 4 * 256].view(np.uint32).astype(np.int64)


def _payload_sizes(headers: NDArray[np.void]) -> I64:
    """Bytes that each header states, those of each kind of packet checked once."""
    heads = headers["head"]
    require(bool((heads == _HEAD).all()), "head", heads[heads != _HEAD][:1], f"0x{_HEAD:02X}")
    kinds = headers[["n_channels", "n_samples", "format"]].tolist()
    known = {kind: _payload_size(*kind) for kind in set(kinds)}
    return np.array([known[kind] for kind in kinds], np.int64)


def _payload_size(n_channels: int, n_samples: int, byte: int) -> int:
    form = FORMATS[byte]
    if form is None or form.byte() != byte:
        raise FrameError(f"format byte 0x{byte:02X} is not defined", field="format")
    check_samples(n_channels, n_samples, form)
    return n_samples * form.frame_size(n_channels)
