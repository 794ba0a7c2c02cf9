"""How long the disk lasts: what may still be written, and what a stream writes per second."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bci.acquisition.configuration import Configuration
from firmware_protocol import budget

__all__ = ["hours_left", "recording_bytes_per_s", "room_bytes"]

ARRIVAL_BYTES = 16  # SPEC 9.3: a pair for each block read, at most one per packet
NOTE_BYTES = 24
NOTES_PER_S = 10
ANY_BAUD = 10**9


def room_bytes(path: str | Path, *, written: int = 0) -> int:
    """Bytes that may still be written to a file that has `written` of them: the disk's, and the process's limit."""
    try:
        free = shutil.disk_usage(Path(path).absolute().parent).free
    except OSError:
        return sys.maxsize  # unknown; the first write that fails tells
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY:
            free = min(free, max(0, limit - written))
    return free


def recording_bytes_per_s(configuration: Configuration) -> float:
    """What a recording of a board in this configuration grows by, notes included."""
    needed = budget(
        configuration.signal.n_channels,
        configuration.signal.rate,
        ANY_BAUD,
        configuration.samples_per_frame,
        has_status=configuration.has_status,
        channels_per_converter=configuration.channels_per_converter,
    )
    packets_per_s = configuration.signal.fs_hz / configuration.samples_per_frame
    notes = ARRIVAL_BYTES * packets_per_s + NOTE_BYTES * NOTES_PER_S
    return needed.data_bytes_per_s + needed.other_bytes_per_s + notes


def hours_left(path: str | Path, bytes_per_s: float) -> float:
    """Hours of a recording at `path` until its disk is full."""
    return room_bytes(path) / bytes_per_s / 3600
