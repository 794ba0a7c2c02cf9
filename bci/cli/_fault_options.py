"""Faults of a simulated board as words on a command line: `lose:every_bytes=5000,times=none`, `gain:ch3:+4%`."""

from __future__ import annotations

from typing import Any

import click

from bci.acquisition.simulator import BENCH_FAULT_FORMS, BENCH_FAULTS, parse_bench_fault
from bci.language import _

__all__ = ["BENCH_FAULT_FORMS", "FAULT_FORMS", "parse_fault"]

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


def parse_fault(text: str, *, bench: bool = False) -> dict[str, Any]:
    """`kind:option=value,…` as the board takes it. Its board refuses kinds and options that it does not have.

    Parameters
    ----------
    bench : bool
        A board on the bench has faults of its own too, written as `gain:ch3:+4%` or `crosstalk:ch1>ch2:-60dB`.

    Raises
    ------
    BadParameter
        If the text has another form.
    """
    kind, _colon, options = text.partition(":")
    if bench and kind.strip() in BENCH_FAULTS:
        try:
            return parse_bench_fault(text)
        except ValueError as err:
            raise click.BadParameter(f"--fault {err}") from None
    if not bench and kind.strip() in BENCH_FAULTS:
        raise click.BadParameter(
            _(
                "--fault {text!r}: {kind} is a fault of a board on the bench: `bci qualify --simulated` has them"
            ).format(text=text, kind=kind.strip())
        )
    fault: dict[str, Any] = {"kind": kind.strip()}
    for option in filter(None, options.split(",")):
        name, sign, value = (part.strip() for part in option.partition("="))
        if name == "channels" and value:
            fault[name] = value.split("+")
        elif name in NUMBERS and sign and value.lower() in ("none", "ever"):
            fault[name] = None
        else:
            forms = f"{FAULT_FORMS}; {BENCH_FAULT_FORMS}" if bench else FAULT_FORMS
            try:
                fault[name] = NUMBERS[name](value)
            except (KeyError, ValueError):
                raise click.BadParameter(
                    _(
                        "--fault {text!r}: {option!r} is no option; expected kind:option=value,… with {forms}"
                    ).format(text=text, option=option, forms=forms)
                ) from None
    return fault
