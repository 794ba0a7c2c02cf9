"""What can be saved of a recording that was cut off: a pure function of its bytes.

A recording is written in whole packets, so a program killed at any moment leaves at most one packet unfinished at
the very end. A power cut may also leave a stretch of zeros there, where the file system had made room but not
written. Nothing else is touched: damage elsewhere is part of the wire, and readers report it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bci.errors import RecordingError
from firmware_protocol import Decoder, Fault, Splitter, Start

__all__ = ["Recovery", "recover"]

HEAD_BYTES = 1 << 16  # START lies within this
USUAL_ZEROS = 2  # at the end: the last packet's delimiter, and one more that a wire may send


@dataclass(frozen=True, slots=True)
class Recovery:
    """`data` is a clean recording; `cut_bytes` of a packet and `zero_bytes` of padding were left away."""

    data: bytes = field(repr=False)
    cut_bytes: int
    zero_bytes: int

    @property
    def was_whole(self) -> bool:
        """There was nothing to repair."""
        return not self.cut_bytes and not self.zero_bytes


def recover(data: bytes) -> Recovery:
    """All whole packets of a recording that may have been cut anywhere.

    Raises
    ------
    RecordingError
        If not even the START packet is whole, or the bytes are no recording.
    """
    splitter = Splitter()
    head = splitter.feed(data[:HEAD_BYTES])
    if not head or not isinstance(head[0], Start):
        raise RecordingError(
            f"these {len(data)} bytes do not begin with a whole START packet; they are no .bfp recording, or one "
            "that was cut before its first second. Nothing can be recovered"
        )
    written = len(data.rstrip(b"\0"))
    if len(data) - written <= USUAL_ZEROS:
        written = len(data)
    keep = data.rfind(b"\0", 0, written) + 1
    last = data[keep:written]
    if last and written < len(data) and _is_packet(last, splitter.nonce):
        keep = written + 1  # its delimiter is the first of the zeros
    return Recovery(data[:keep], max(0, written - keep), len(data) - max(written, keep))


def _is_packet(coded: bytes, nonce: int | None) -> bool:
    events = Decoder(nonce=nonce).feed(coded + b"\0")
    return len(events) == 1 and not isinstance(events[0], Fault)
