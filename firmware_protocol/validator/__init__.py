"""The validator: what is wrong with a stream, which byte, why, and what to change."""

from __future__ import annotations

from firmware_protocol.validator.findings import CAUSES, RULES, Cause, Finding, Level, Rule

__all__ = ["CAUSES", "RULES", "Cause", "Finding", "Level", "Rule"]
