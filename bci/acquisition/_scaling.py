"""Payloads of DATA packets to µV, all packets of a chunk in one pass (SPEC 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64

__all__ = ["samples_uv", "status_words"]

STATUS_SIZE = 3
INT24_SIZE = 3
FLOAT32_SIZE = 4


def samples_uv(
    payloads: Sequence[bytes],
    uv_per_count: NDArray[np.float64],
    *,
    as_float: bool = False,
    has_status: bool = False,
    channels_per_converter: int = 8,
) -> F64:
    """Samples of consecutive packets that share one layout.

    Parameters
    ----------
    payloads : sequence of bytes
        As the converter sent them: int24 big-endian, or with `as_float` float32 little-endian, in counts.
        With `has_status` a 3-byte status word goes before the samples of each converter.
    uv_per_count : ndarray, shape (n_channels,), µV

    Returns
    -------
    data_uv : ndarray, shape (n_channels, n_samples), float64, µV, Fortran order
        Count times scale, rounded once.
    """
    n_channels = len(uv_per_count)
    size = FLOAT32_SIZE if as_float else INT24_SIZE
    raw = np.frombuffer(b"".join(payloads), dtype=np.uint8)
    if has_status:
        group = STATUS_SIZE + channels_per_converter * size
        raw = raw.reshape(-1, group)[:, STATUS_SIZE:].reshape(-1)
    if as_float:
        counts: NDArray[Any] = raw.view("<f4").astype(np.float64).reshape(-1, n_channels)
    else:
        wide = np.zeros((len(raw) // INT24_SIZE, 4), dtype=np.uint8)
        wide[:, :INT24_SIZE] = raw.reshape(-1, INT24_SIZE)  # upper three bytes: the shift extends the sign
        counts = (wide.view(">i4") >> 8).reshape(-1, n_channels)
    data_uv: F64 = np.multiply(counts, uv_per_count, dtype=np.float64)
    return data_uv.T


def status_words(payloads: Sequence[bytes], n_channels: int, channels_per_converter: int) -> NDArray[np.int32]:
    """Status words of consecutive packets of int24 samples that hold them, shape (n_converters, n_samples)."""
    raw = np.frombuffer(b"".join(payloads), dtype=np.uint8)
    raw = raw.reshape(-1, STATUS_SIZE + channels_per_converter * INT24_SIZE)[:, :STATUS_SIZE].astype(np.int32)
    words = raw[:, 0] << 16 | raw[:, 1] << 8 | raw[:, 2]
    return words.reshape(-1, n_channels // channels_per_converter).T
