"""What can be saved of a recording that was cut off: a pure function of its bytes.

A recording is written in whole packets, so a program killed at any moment leaves at most one packet unfinished at
the very end. A power cut may also leave a stretch of zeros there, where the file system had made room but not
written. Nothing else is touched: damage elsewhere is part of the wire, and readers report it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bci.errors import RecordingError
from firmware_protocol import Splitter, Start

__all__ = ["Recovery", "recover"]


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
    written = len(data.rstrip(b"\0"))
    if written < len(data) <= written + 2:  # the last packet's own delimiter; a wire may send one more
        written = len(data)
    keep = data.rfind(b"\0", 0, written) + 1
    if written < len(data) and data[keep:written]:
        keep = written + 1  # a packet whose delimiter is the first of the zeros
    head = Splitter().feed(data[:keep])
    if not head or not isinstance(head[0], Start):
        raise RecordingError(
            f"these {len(data)} bytes do not begin with a whole START packet; they are no .bfp recording, or "
            "one that was cut before its first second. Nothing can be recovered"
        )
    return Recovery(data[:keep], max(0, written - keep), len(data) - max(written, keep))
