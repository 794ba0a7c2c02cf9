"""Messages between the decoder's process and the monitor's: JSON, with its length in four bytes before it.

No pickle: a peer that is damaged or hostile can send wrong values, but nothing that runs.
"""

from __future__ import annotations

import json
import struct
from typing import Any

__all__ = ["MessageReader", "PipeError", "pack"]

#: Longer than any message there is; a greater length means that the two lost each other.
LONGEST = 1 << 20

_LENGTH = struct.Struct("<I")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class PipeError(ValueError):
    """What came is not a message."""


def pack(message: dict[str, Any]) -> bytes:
    """One message as bytes."""
    body = _encode(message).encode(errors="backslashreplace")  # half a surrogate pair becomes its JSON escape
    return _LENGTH.pack(len(body)) + body


class MessageReader:
    """Bytes in, messages out; any cut gives the same messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Messages that `data` completes.

        Raises
        ------
        PipeError
            An impossible length, or a body that is no JSON object; the stream is of no use from here on.
        """
        self._pending += data
        messages = []
        start = 0
        while len(self._pending) - start >= 4:
            (length,) = _LENGTH.unpack_from(self._pending, start)
            if length > LONGEST:
                raise PipeError(f"a message of {length} bytes was announced, at most {LONGEST} are allowed")
            end = start + 4 + length
            if len(self._pending) < end:
                break
            try:
                message = json.loads(self._pending[start + 4 : end])
            except ValueError as err:
                raise PipeError(f"a message is not JSON: {err}") from None
            if not isinstance(message, dict):
                raise PipeError(f"a message is not a JSON object: {message!r:.60}")
            messages.append(message)
            start = end
        del self._pending[:start]
        return messages
