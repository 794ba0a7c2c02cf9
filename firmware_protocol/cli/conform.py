"""Test a device actively: every command with good and bad arguments, damage, floods, the watchdog, a long stream.

frame-validator conform /dev/ttyUSB0 --baud 921600
frame-validator conform COM3 --baud 921600 --quick --html report.html
frame-validator conform socket://127.0.0.1:5555 --steps watchdog,FP73

The device is left idle, with its rate and gains as they were, lead-off and test signals off, counters reset; also by
Ctrl-C, which ends the test with a report of what came before. The whole takes about a minute and a half and the stream
of --soak seconds; --quick less than a minute. No electrodes on a person while it runs: it switches lead-off currents
and test signals.
Exit status: 0 clean, 1 findings, 2 could not run to its end, 3 no frames found.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, TextIO

from firmware_protocol.cli.check import add_report_arguments, form_on_stdout, give, selection_of
from firmware_protocol.errors import ProtocolError

if TYPE_CHECKING:
    from firmware_protocol.conform import Host, Step
    from firmware_protocol.validator.paint import Paint

SUMMARY = "test a device on its port, with every command"

_SOAK_S, _QUICK_SOAK_S = 600.0, 5.0
_SHOWN_EACH_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", help="/dev/ttyUSB0, COM3, a pseudo-terminal, socket://HOST:PORT")
    parser.add_argument("--baud", type=int, default=921_600, help="bits per second (default 921600)")
    parser.add_argument("--quick", action="store_true", help="shorter waits, and a soak of 5 s")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="the long stream (default 600)")
    parser.add_argument(
        "--steps",
        action="append",
        default=[],
        metavar="STEPS",
        help="only these: identifiers, beginnings or names",
    )
    parser.add_argument(
        "--no-overload", action="store_true", help="never choose a rate above what the line carries"
    )
    parser.add_argument(
        "--reboot",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait so long for somebody to reset the device",
    )
    parser.add_argument("--seed", type=int, help="of the noise that is sent; left out: another each time")
    add_report_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from firmware_protocol.conform import STEPS, Plan, PortLine, conform
    from firmware_protocol.ports import open_port
    from firmware_protocol.validator.paint import Paint, wants_colour

    if args.baud < 1:
        raise ProtocolError(f"--baud is {args.baud}, expected bits per second")
    if (args.soak or 0) < 0 or args.reboot < 0:
        raise ProtocolError("--soak and --reboot are seconds, 0 or more")
    selection = selection_of(args)
    steps = tuple(word.strip() for part in args.steps for word in part.split(",") if word.strip())
    for word in steps:
        if not any(rule.id.startswith(word) or rule.name == word for rule, _ in STEPS):
            raise ProtocolError(f"no step is called {word}; `frame-validator explain FP7` lists them")
    soak_s = args.soak if args.soak is not None else _QUICK_SOAK_S if args.quick else _SOAK_S
    plan = Plan(
        baud=args.baud,
        soak_s=soak_s,
        quick=args.quick,
        reboot_s=args.reboot,
        seed=args.seed,
        overload=not args.no_overload,
        selection=selection,
    )
    out = sys.stderr if form_on_stdout(args) else sys.stdout
    with open_port(args.port, baud=args.baud) as port:
        progress = _Progress(out, Paint(colour=wants_colour(out, args.color)))
        result = conform(PortLine(port), plan, name=args.port, steps=steps, observe=progress)
    print(file=out)
    if result.report.cut_short and form_on_stdout(args):  # else the report's last line says so
        print(f"frame-validator: {result.report.cut_short}", file=sys.stderr)
    return give(result.report, args)


class _Progress:
    """A line for each step: while it runs (in a terminal) and when it is over."""

    def __init__(self, out: TextIO, paint: Paint) -> None:
        self._out = out
        self._paint = paint
        self._live = out.isatty()
        self._shown_s = -1.0

    def __call__(self, step: Step, host: Host) -> None:
        if not step.over:
            if self._live and abs(host.now_s - self._shown_s) >= _SHOWN_EACH_S:
                self._shown_s = host.now_s
                self._print(
                    f"\r{self._head(step)}  {step.seconds:6.1f} s  {host.frames:,} packets\x1b[K", end=""
                )
            return
        style = {"passed": "green", "failed": "red"}.get(step.verdict, "dim")
        note = self._paint(f"  {step.note}", "dim") if step.note else ""
        end = "\x1b[K" if self._live else ""
        start = "\r" if self._live else ""
        verdict = self._paint(f"{step.verdict:<8}", style)
        self._print(f"{start}{self._head(step)}  {verdict} {step.seconds:6.1f} s{note}{end}", end="\n")
        for finding in step.findings:
            expected = f", expected {finding.expected}" if finding.expected else ""
            got = f": {finding.got}" if finding.got else ""
            self._print(f"        {finding.text}{got}{expected}", end="\n")

    def _head(self, step: Step) -> str:
        return f"{step.rule.id}  {self._paint(f'{step.rule.name:<26}', 'bold')}"

    def _print(self, text: str, *, end: str) -> None:
        print(text, end=end, file=self._out, flush=True)
