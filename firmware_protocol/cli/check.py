"""Check a capture (bytes as they came from the port) or a recording (.bfp) against the specification.

frame-validator check capture.bin
frame-validator check --strict --junit report.xml session.bfp
cat /dev/ttyUSB0 | frame-validator check -

Exit status: 0 clean, 1 findings (MUST; with --strict SHOULD, too), 2 could not run to its end, 3 no frames found.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_protocol.cli._input import blocks
from firmware_protocol.errors import CaptureError, ProtocolError

if TYPE_CHECKING:
    from firmware_protocol.validator.report import Report, Selection

SUMMARY = "check a capture or recording and name causes"

_FORMS = ("json", "junit", "sarif", "html")
_PROGRESS_AFTER_S = 1.0
_PROGRESS_EACH_S = 0.1
_BAR = 30
_STDOUT = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="capture or recording; - for standard input")
    parser.add_argument("--hex", action="store_true", help="the input is hexadecimal text")
    parser.add_argument("--baud", type=int, help="bits per second of the line, for its load")
    add_report_arguments(parser)
    parser.add_argument(
        "--baseline", metavar="REPORT", help="an earlier --json report: what it knows is not counted again"
    )
    parser.add_argument(
        "--max-errors", type=int, default=0, metavar="N", help="stop after so many findings of level MUST"
    )


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Options about rules and reports; `live` has them, too."""
    rules = parser.add_argument_group("rules")
    rules.add_argument("--strict", action="store_true", help="a SHOULD that is broken fails, too")
    names = "identifiers, their beginnings (FP1) or names, with commas between"
    rules.add_argument("--select", action="append", default=[], metavar="RULES", help=f"only these: {names}")
    rules.add_argument("--ignore", action="append", default=[], metavar="RULES", help="all but these")
    rules.add_argument("--explain", action="store_true", help="explain each rule that spoke")
    rules.add_argument(
        "--per-rule", type=int, default=3, metavar="N", help="findings of a rule to show (default 3)"
    )
    reports = parser.add_argument_group("reports (to FILE, or in place of the text where FILE is left out)")
    for form in _FORMS:
        reports.add_argument(f"--{form}", nargs="?", const=_STDOUT, metavar="FILE")
    reports.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="auto: in a terminal"
    )


def run(args: argparse.Namespace) -> int:
    from firmware_protocol.validator.capture import CaptureCheck

    _find_file(args)
    form_on_stdout(args)
    check = CaptureCheck(selection=selection_of(args), baud=args.baud)
    size = Path(args.file).stat().st_size if args.file != "-" and Path(args.file).is_file() else None
    cut_short = ""
    try:
        for block in _with_progress(blocks(args.file, hexadecimal=args.hex), size):
            check.feed(block)
            if check.full:
                break
    except KeyboardInterrupt:
        if size is not None:  # a pipe has no other end
            cut_short = f"interrupted by Ctrl-C behind {check.size:,} of {size:,} bytes"
    report = check.finish("standard input" if args.file == "-" else args.file)
    report.cut_short = cut_short
    if args.baseline is not None:
        from firmware_protocol.validator.machine import apply_baseline

        apply_baseline(report, Path(args.baseline))
    return give(report, args)


def _find_file(args: argparse.Namespace) -> None:
    """`check --json capture.bin` means the capture, not a report of that name."""
    if args.file is None:
        last = next((form for form in _FORMS if getattr(args, form) not in (None, _STDOUT)), None)
        if last is None:
            raise CaptureError("which capture? Give a file, or - for standard input")
        args.file = getattr(args, last)
        setattr(args, last, _STDOUT)


def selection_of(args: argparse.Namespace) -> Selection:
    """Rules by --select, --ignore and the rest. ProtocolError on a name that no rule has."""
    from firmware_protocol.validator.report import Selection

    def words(given: list[str]) -> tuple[str, ...]:
        return tuple(word.strip() for part in given for word in part.split(",") if word.strip())

    selection = Selection(
        words(args.select), words(args.ignore), max(args.per_rule, 1), getattr(args, "max_errors", 0)
    )
    unknown = selection.unknown()
    if unknown:
        raise ProtocolError(f"no rule is called {', '.join(unknown)}; `frame-validator explain` lists them")
    return selection


def form_on_stdout(args: argparse.Namespace) -> str | None:
    """The form of report that standard output is kept free for: whatever else is told goes to standard error then.

    Asked before anything is read: two of them, or a file where none can be, are refused, and not behind ten minutes of
    a stream.
    """
    forms = [form for form in _FORMS if getattr(args, form) == _STDOUT]
    if len(forms) > 1:
        raise ProtocolError(f"--{' and --'.join(forms)} cannot share standard output; give them files")
    for form in _FORMS:
        target = getattr(args, form)
        if target not in (None, _STDOUT):
            _refuse_no_place(form, Path(target))
    return forms[0] if forms else None


def give(report: Report, args: argparse.Namespace) -> int:
    """Print and write what was asked for; the exit status."""
    from firmware_protocol.validator import machine
    from firmware_protocol.validator.page import as_html

    makers = {
        "json": lambda: machine.as_json(report, strict=args.strict),
        "junit": lambda: machine.as_junit(report, strict=args.strict),
        "sarif": lambda: machine.as_sarif(report),
        "html": lambda: as_html(report, strict=args.strict),
    }
    for form in _FORMS:
        target = getattr(args, form)
        if target == _STDOUT:
            sys.stdout.write(makers[form]())
        elif target is not None:
            _write(Path(target), makers[form]())
    if form_on_stdout(args) is None:
        _print_text(report, args)
    elif not report.frames:
        print(f"frame-validator: {report.name}: no frames found: {'; '.join(report.notes)}", file=sys.stderr)
    return report.exit_status(strict=args.strict)


def _print_text(report: Report, args: argparse.Namespace) -> None:
    from firmware_protocol.validator.paint import Paint, wants_colour
    from firmware_protocol.validator.text import report_lines

    paint = Paint(colour=wants_colour(sys.stdout, args.color))
    for line in report_lines(report, paint, explain=args.explain, strict=args.strict):
        print(line)


def _refuse_no_place(form: str, path: Path) -> None:
    if path.is_dir():
        raise CaptureError(f"--{form}: {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise CaptureError(f"--{form}: there is no folder {path.parent}; make it first")
    _refuse_what_is_no_report(path)


def _write(path: Path, text: str) -> None:
    _refuse_what_is_no_report(path)
    path.write_text(text, encoding="utf-8")


def _refuse_what_is_no_report(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            begins = file.read(64).lstrip()[:1]
        if begins not in (b"", b"{", b"<"):
            raise CaptureError(f"{path} exists and is no report: not overwritten")


def _with_progress(pieces: Iterable[bytes], size: int | None) -> Iterator[bytes]:
    """The same blocks; if a person waits for them, with a bar on standard error."""
    if not size or not sys.stderr.isatty():
        yield from pieces
        return
    began = shown = time.monotonic()
    done = 0
    for block in pieces:
        yield block
        done += len(block)
        now = time.monotonic()
        if now - began > _PROGRESS_AFTER_S and now - shown > _PROGRESS_EACH_S:
            shown = now
            filled = _BAR * done // size
            speed = done / (now - began)
            left = (size - done) / speed
            bar = f"{'█' * filled}{'░' * (_BAR - filled)}"
            line = f"\r{bar} {done / size:4.0%}  {speed / 1e6:.0f} MB/s, {left:.0f} s left"
            print(f"{line:<70}", end="", file=sys.stderr, flush=True)
    if shown > began:
        print(f"\r{'':70}\r", end="", file=sys.stderr, flush=True)
