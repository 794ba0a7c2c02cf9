"""Figures of losing a board: how soon it is known, and a thousand times in and out without a trace."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from bci.acquisition import Recording
from bci.acquisition._serial import PortEntry
from bci.acquisition.board import BoardSource
from bci.selftest._check import Check, Result
from bci.selftest._pty_board import PtyBoard

__all__ = ["CHECKS"]

NEAR_S = 10.0


def _return(nightly: bool) -> Result:
    if os.name != "posix":
        return Result(True, "not measured", skipped="pseudo-terminals are POSIX")
    cycles = 1000 if nightly else 10
    board = PtyBoard()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "return.bfp"
        try:
            source = BoardSource(
                board.url,
                baud=921_600,
                record_to=path,
                reconnect=True,
                # As behind an adapter with a serial number, whatever its name is now.
                ports=lambda: [PortEntry(board.url, "A7")] if board.url else [],
            )
            with source:
                late_ms, stalled_ms, before, after = _cycles(source, board, cycles)
        finally:
            board.close()
        recording = Recording(path)
        gaps = len(recording.gaps)
        same = recording.statistics == source.statistics
    p99_ms, worst_ms = float(np.percentile(late_ms, 99)), max(late_ms)
    passed = p99_ms <= 50 and 300 <= stalled_ms <= 400 and before == after and gaps == cycles and same
    return Result(
        passed,
        f"{cycles} cycles: lost is known after {p99_ms:.1f} ms (99 %; {worst_ms:.1f} at most), stalled "
        f"after {stalled_ms:.0f} ms of silence; descriptors and threads {before} → {after}; one recording with "
        f"{gaps} marked gaps" + ("" if same else ", WHICH DIFFERS from what was live"),
        {
            "cycles": cycles,
            "lost_after_p99_ms": p99_ms,
            "lost_after_worst_ms": worst_ms,
            "stalled_after_ms": stalled_ms,
            "descriptors_before": before[0],
            "descriptors_after": after[0],
            "threads_before": before[1],
            "threads_after": after[1],
            "recorded_gaps": gaps,
            "recording_same": same,
        },
    )


Open = tuple[int, int]


def _cycles(source: BoardSource, board: PtyBoard, cycles: int) -> tuple[list[float], float, Open, Open]:
    """Latencies of "lost" in ms, that of "stalled", and what was open before and after."""

    def until(label: str) -> None:
        """Read up to this marker, or "": to a sample."""
        deadline_s = time.monotonic() + NEAR_S
        while time.monotonic() < deadline_s:
            chunks = source.read(0.05)
            labels = {marker.label for chunk in chunks for marker in chunk.markers}
            if label in labels or (not label and any(chunk.n_samples for chunk in chunks)):
                return
        raise TimeoutError(f"no {label or 'sample'} within {NEAR_S:g} s")

    source.start()
    until("")
    board.silent = True
    began_s = time.monotonic()
    until("stalled")
    stalled_ms = (time.monotonic() - began_s) * 1e3
    board.silent = False
    until("")
    late_ms = []
    before = _open_now()
    for _ in range(cycles):
        at_ns = board.unplug()
        until("lost")
        late_ms.append((time.monotonic_ns() - at_ns) / 1e6)
        board.plug()
        until("returned")
        until("")
    after = _open_now()
    return late_ms, stalled_ms, before, after


def _open_now() -> Open:
    """Descriptors and threads."""
    return len(os.listdir("/dev/fd")), threading.active_count()  # noqa: PTH208


CHECKS = [
    Check(
        "lost-and-returned",
        "acquisition",
        "a board whose cable is pulled and put in again, under another port name",
        "lost <= 50 ms after the I/O error, stalled after 300 ms; 1,000 cycles leave descriptors and threads unchanged",
        _return,
    ),
]
