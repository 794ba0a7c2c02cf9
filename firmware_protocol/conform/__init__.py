"""`frame-validator conform`: talk to a device and see whether it keeps SPEC.md.

`conform(line, plan)` runs every step over a `Line` (a port, or a device in memory) and gives a `Conformance`: steps
with verdicts, and one report with what the passive rules found in all that the device sent. Importing this package
registers the steps as rules, so that `explain` knows them.
"""

from __future__ import annotations

from firmware_protocol.conform import (  # in the order in which steps run  # noqa: F401
    commands,
    contact,
    hearing,
    load,
    repeats,
    samples,
    settings,
    stream,
    watchdog,
    whole,
)
from firmware_protocol.conform.host import Host, Plan
from firmware_protocol.conform.line import Line, PortLine
from firmware_protocol.conform.steps import STEPS, Step, Verdict, step
from firmware_protocol.conform.suite import Conformance, conform

__all__ = [
    "STEPS",
    "Conformance",
    "Host",
    "Line",
    "Plan",
    "PortLine",
    "Step",
    "Verdict",
    "conform",
    "step",
]
