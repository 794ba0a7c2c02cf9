"""The validator: what is wrong with a stream, which byte, why, and what to change.

`CaptureCheck` takes a capture or recording of any size, `Checker` a wire; both give a `Report`. Rules and causes
register themselves in RULES where they are written; importing this package loads them all, numpy not.
"""

from __future__ import annotations

from firmware_protocol.validator.capture import CaptureCheck
from firmware_protocol.validator.checker import Checker
from firmware_protocol.validator.findings import CAUSES, RULES, Cause, Finding, Level, Rule
from firmware_protocol.validator.report import Report, Selection

__all__ = [
    "CAUSES",
    "RULES",
    "CaptureCheck",
    "Cause",
    "Checker",
    "Finding",
    "Level",
    "Report",
    "Rule",
    "Selection",
]
