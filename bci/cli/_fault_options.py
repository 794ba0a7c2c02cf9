"""Faults of a simulated board as words on a command line: `lose:every_bytes=5000,times=none`."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["FAULT_FORMS", "parse_fault"]

FAULT_FORMS = (
    "lose, duplicate, flip, burst, text [at_byte, every_bytes, times]; saturate, flat, noisy, lead_off, spi_slip "
    "[channels=C3+C4, at_sample, seconds]; stall, unplug [seconds]; drift [ppm]; wrap [samples]; reset"
)
#: What each option is read as.
NUMBERS = {
    "at_byte": int,
    "every_bytes": float,
    "times": int,
    "at_sample": int,
    "seconds": float,
    "ppm": float,
    "samples": int,
}


def parse_fault(text: str) -> dict[str, Any]:
    """`kind:option=value,…` as the board takes it. Its board refuses kinds and options that it does not have.

    Raises
    ------
    BadParameter
        If the text has another form.
    """
    kind, _, options = text.partition(":")
    fault: dict[str, Any] = {"kind": kind.strip()}
    for option in filter(None, options.split(",")):
        name, sign, value = (part.strip() for part in option.partition("="))
        if name == "channels" and value:
            fault[name] = value.split("+")
        elif name in NUMBERS and sign and value.lower() in ("none", "ever"):
            fault[name] = None
        else:
            try:
                fault[name] = NUMBERS[name](value)
            except (KeyError, ValueError):
                raise click.BadParameter(
                    f"--fault {text!r}: {option!r} is no option; expected kind:option=value,… with {FAULT_FORMS}"
                ) from None
    return fault
