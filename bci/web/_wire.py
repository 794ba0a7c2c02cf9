"""Messages from the session to the page's server: one byte of kind, four of length, a body of JSON or of samples.

No pickle: a damaged message can show wrong values, but run nothing.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from bci.chunks import F64, Chunk

__all__ = ["JSON", "SIGNAL", "MessageReader", "Samples", "pack_json", "pack_signal", "plain", "samples_of"]

JSON, SIGNAL = b"J", b"S"

#: Longer than any message there is; a greater length means that the two lost each other.
LONGEST = 1 << 26

_HEAD = struct.Struct("<cI")
_SIGNAL = struct.Struct("<qqHI")  # first sample, monotonic ns of its hand-over, channels, samples


@dataclass(frozen=True, slots=True)
class Samples:
    """Consecutive samples as they reach the server; `data_uv` (n_channels, n_samples) in Fortran order."""

    data_uv: F64
    first_sample: int
    handed_ns: int

    @property
    def end_sample(self) -> int:
        return self.first_sample + int(self.data_uv.shape[1])


def pack_signal(chunk: Chunk, handed_ns: int) -> bytes:
    """One chunk as bytes, with the moment at which the session handed it over."""
    n_channels, n_samples = chunk.data_uv.shape
    body = chunk.data_uv.T.tobytes()
    head = _SIGNAL.pack(chunk.first_sample, handed_ns, n_channels, n_samples)
    return _HEAD.pack(SIGNAL, len(head) + len(body)) + head + body


def samples_of(body: bytes) -> Samples:
    """What `pack_signal` packed.

    Raises
    ------
    ValueError
        The body is not as long as it says.
    """
    if len(body) < _SIGNAL.size:
        raise ValueError(f"{len(body)} bytes hold no signal")
    first, handed_ns, n_channels, n_samples = _SIGNAL.unpack_from(body)
    values = np.frombuffer(body, np.float64, offset=_SIGNAL.size)
    return Samples(values.reshape(n_samples, n_channels).T, first, handed_ns)


def pack_json(value: Mapping[str, Any]) -> bytes:
    """One JSON object as bytes."""
    body = json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return _HEAD.pack(JSON, len(body)) + body


def plain(value: Any) -> Any:
    """`value` as JSON of browsers knows it: no NaN, no NumPy, no classes."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, np.bool_):
        return bool(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (Iterable, np.ndarray)):
        return [plain(each) for each in value]
    return str(value)


class MessageReader:
    """Bytes in, (kind, body) out; any cut gives the same messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Messages that `data` completes.

        Raises
        ------
        ValueError
            An impossible length; the stream is of no use from here on.
        """
        self._pending += data
        messages = []
        start = 0
        while len(self._pending) - start >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._pending, start)
            if length > LONGEST:
                raise ValueError(f"a message of {length} bytes was announced, at most {LONGEST} are allowed")
            end = start + _HEAD.size + length
            if len(self._pending) < end:
                break
            messages.append((bytes(kind), bytes(self._pending[start + _HEAD.size : end])))
            start = end
        del self._pending[:start]
        return messages
