"""Faults of a board on the bench as words: `gain:ch3:+4%`, `crosstalk:ch1>ch2:-60dB`, `clock:+80ppm`.

A kind, whom it concerns (a channel, two of them, or the board), and one number with its unit. The standard library is
enough here, so a command line that only reads faults stays quick.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["BENCH_FAULTS", "BENCH_FAULT_FORMS", "parse_bench_fault"]

#: fault → (whom it concerns, unit in which its size is written)
BENCH_FAULTS: dict[str, tuple[str, str]] = {
    "gain": ("channel", "%"),
    "offset": ("channel", "uV"),
    "noise": ("channel", "uV"),
    "flicker": ("channel", "Hz"),
    "bandwidth": ("channel", "Hz"),
    "nonlinear": ("channel", "dB"),
    "cmrr": ("channel", "dB"),
    "leadoff": ("channel", "%"),
    "gaindrift": ("channel", "ppm/C"),
    "offsetdrift": ("channel", "uV/C"),
    "supply": ("channel", "uV/V"),
    "range": ("channel", "%"),
    "loose": ("channel", "/min"),
    "dead": ("channel", ""),
    "railed": ("channel", ""),
    "swap": ("pair", ""),
    "crosstalk": ("pair", "dB"),
    "clock": ("board", "ppm"),
    "jitter": ("board", "us"),
    "reference": ("board", "%"),
    "testsource": ("board", "%"),
    "drops": ("board", "/min"),
}
BENCH_FAULT_FORMS = (
    "gain:ch3:+4%, offset:ch6:+500uV, noise:ch4:0.5uV, flicker:ch2:5Hz, bandwidth:ch2:30Hz, nonlinear:ch7:-60dB, "
    "range:ch1:-30%, cmrr:ch8:-70dB, leadoff:ch3:+45%, gaindrift:ch1:+60ppm/C, offsetdrift:ch1:+2uV/C, "
    "supply:ch2:+100uV/V, loose:ch5:6/min, dead:ch1, railed:ch2, swap:ch2:ch5, crosstalk:ch1>ch2:-60dB, "
    "clock:+80ppm, jitter:200us, reference:+1%, testsource:+5%, drops:30/min"
)
_AMOUNT = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(.*)", re.IGNORECASE)
_SAME_UNIT = {"µV": "uV", "μV": "uV", "µs": "us", "μs": "us", "µV/C": "uV/C", "µV/V": "uV/V", "Hz": "Hz"}


def parse_bench_fault(text: str) -> dict[str, Any]:
    """`gain:ch3:+4%` as {"kind": "gain", "channel": "ch3", "amount": 4.0}; a pair has "other", too.

    Raises
    ------
    ValueError
        If the text has another form; the message says which forms there are.
    """
    kind, *parts = (part.strip() for part in re.split("[:>]", text))
    wrong = ValueError(f"{text!r} is no fault of a board on the bench; there are {BENCH_FAULT_FORMS}")
    if kind not in BENCH_FAULTS:
        raise wrong
    where, unit = BENCH_FAULTS[kind]
    names = {"channel": ("channel",), "pair": ("channel", "other"), "board": ()}[where]
    if len(parts) != len(names) + bool(unit) or not all(parts):
        raise wrong
    fault: dict[str, Any] = {"kind": kind, **dict(zip(names, parts, strict=False))}
    if unit:
        found = _AMOUNT.fullmatch(parts[-1])
        if found is None:
            raise wrong
        written = found[2].replace("°", "").strip()
        if _SAME_UNIT.get(written, written).lower() != unit.lower():
            raise ValueError(f"{text!r}: {kind} is given in {unit}, not in {found[2] or 'no unit'}")
        fault["amount"] = float(found[1])
    return fault
