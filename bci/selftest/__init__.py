"""Checks that a user can run on their own machine: what a figure is, what it must be, what it was here.

Rules
-----
- A check is a value, `Check`; the files of this room hold one list of them each, `CHECKS`.
- Its `run(nightly)` measures and returns a `Result`; it prints nothing. The short form takes seconds and is
  what the tests call on each push; `nightly=True` is the full size of the figure.
- A figure that is missed is a `Result` with `passed=False`, never an exception; exceptions are defects of the
  check.
"""

from __future__ import annotations

from bci.selftest._check import Check, Result, all_checks, groups

__all__ = ["Check", "Result", "all_checks", "groups"]
