"""Checks of the acquisition group."""

from __future__ import annotations

from bci.selftest._check import Check

__all__ = ["CHECKS"]

CHECKS: list[Check] = []
