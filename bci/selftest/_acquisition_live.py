"""Checks of the driver while it streams: reader, clock, loss account, a lost board, throughput, soak."""

from __future__ import annotations

from bci.selftest import _live_clock, _live_loss, _live_reader, _live_return, _live_stream
from bci.selftest._check import Check

__all__ = ["CHECKS"]

CHECKS: list[Check] = [
    *_live_reader.CHECKS,
    *_live_clock.CHECKS,
    *_live_loss.CHECKS,
    *_live_return.CHECKS,
    *_live_stream.CHECKS,
]
