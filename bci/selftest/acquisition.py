"""Checks of the acquisition group."""

from __future__ import annotations

from bci.selftest import _acquisition_live, _acquisition_recording
from bci.selftest._check import Check

__all__ = ["CHECKS"]

CHECKS: list[Check] = [*_acquisition_live.CHECKS, *_acquisition_recording.CHECKS]
