"""A report for people at a terminal: causes first, then findings with their bytes, then numbers."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

from firmware_protocol.validator.findings import RULES, Cause, Finding, Level, Rule, Window
from firmware_protocol.validator.paint import Paint, hex_rows
from firmware_protocol.validator.report import Report

__all__ = ["explanation", "finding_lines", "number_lines", "report_lines", "verdict"]

_WIDTH = 100
_INDENT = "    "


def report_lines(
    report: Report, paint: Paint, *, explain: bool = False, strict: bool = False
) -> Iterator[str]:
    """The whole report, line by line."""
    for cause in report.causes:
        yield from _cause_lines(cause, paint)
        yield ""
    shown: Counter[str] = Counter()
    for finding in report.findings:
        shown[finding.rule.id] += 1
        yield from finding_lines(finding, paint, hint=shown[finding.rule.id] == 1)
    for id_, more in report.left_out().items():
        yield paint(f"{id_} {RULES[id_].name}: {more} more like these", "dim")
    if report.findings:
        yield ""
    if explain:
        for id_ in report.rules_found():
            yield from explanation(RULES[id_], paint)
            yield ""
    yield from number_lines(report.numbers, paint)
    for note in report.notes:
        yield paint(note, "dim")
    yield ""
    yield verdict(report, paint, strict=strict)


def _cause_lines(cause: Cause, paint: Paint) -> Iterator[str]:
    head = f"{paint('cause', 'bold', 'magenta')} {cause.rule.id} {paint(cause.name, 'bold')}"
    share = f", {cause.share:.0%} of the stream" if cause.share >= 0.01 else ""
    yield f"{head}  {cause.certainty_word}{share}  {_place(cause.offset, cause.frame)}"
    yield from _wrapped(cause.text, "")
    yield from _window_lines(cause.window, paint)
    yield from _wrapped(cause.hint, f"{paint('change', 'bold', 'green')}  ", f"  [SPEC {cause.rule.section}]")


def finding_lines(finding: Finding, paint: Paint, *, hint: bool = True) -> Iterator[str]:
    """One finding: rule, place, reason; the bytes; what to change."""
    rule = finding.rule
    when = "" if finding.device_s is None else f", {finding.device_s:.6f} s"
    got = f": got {finding.got}" if finding.got else ""
    expected = f", expected {finding.expected}" if finding.expected else ""
    place = f"{_place(finding.offset, finding.frame)}{when}"
    yield (
        f"{paint.level(rule.level)} {rule.id} {paint(rule.name, 'bold')}  {place}: "
        f"{finding.text}{got}{expected}  [SPEC {rule.section}]"
    )
    yield from _window_lines(finding.window, paint)
    if hint and rule.level != Level.INFO:
        yield from _wrapped(finding.hint, paint("hint  ", "dim"))


def _place(offset: int, frame: int) -> str:
    return f"byte {offset} (0x{offset:X})" + (f", frame {frame}" if frame else "")


def _wrapped(text: str, head: str, tail: str = "") -> Iterator[str]:
    lines = textwrap.wrap(text, _WIDTH - len(_INDENT))
    for number, line in enumerate(lines):
        last = tail if number == len(lines) - 1 else ""
        yield f"{_INDENT}{head if number == 0 else ''}{line}{last}"


def _window_lines(window: Window | None, paint: Paint) -> Iterator[str]:
    if window is None:
        return
    for row in hex_rows(window):
        gap = "   " * (row.position % 16)
        if paint.colour:
            cells = "".join(
                " " + (paint.mark(f"{byte:02x}") if marked else f"{byte:02x}")
                for byte, marked in zip(row.data, row.marked, strict=True)
            )
        else:  # brackets around marked bytes
            before = [False, *row.marked]
            cells = "".join(
                ("[" if marked and not was else "]" if was and not marked else " ") + f"{byte:02x}"
                for byte, marked, was in zip(row.data, row.marked, before, strict=False)
            )
            cells += "]" if row.marked[-1] else ""
        yield f"{_INDENT}{paint(f'{row.position:08x}', 'dim')} {gap}{cells}"


def explanation(rule: Rule, paint: Paint) -> Iterator[str]:
    """What `frame-validator explain` says about a rule."""
    level = "cause" if rule.is_cause else rule.level.name
    yield f"{paint(rule.id, 'bold')} {paint(rule.name, 'bold')}  {level}  [SPEC {rule.section}]"
    for paragraph in rule.text.split("\n\n"):
        yield from _wrapped(" ".join(paragraph.split()), "")
    yield from _wrapped(rule.hint, f"{paint('change', 'bold', 'green')}  ")


# ---- numbers ---------------------------------------------------------------------------------------------------


def number_lines(x: dict[str, Any], paint: Paint) -> Iterator[str]:
    """Statistics, as many as the capture tells."""
    for name, value in _figures(x):
        yield f"{paint(f'{name:<10}', 'dim')} {value}"
    for channel in x["channels"]:
        if channel["state"] != "live":
            like = f" to {channel['identical_to']}" if channel["identical_to"] else ""
            yield f"{paint('channel   ', 'dim')} {channel['label']}: {channel['state']}{like}"


def _figures(x: dict[str, Any]) -> Iterator[tuple[str, str]]:
    by_type = ", ".join(f"{n:,} {name}" for name, n in x["frames_by_type"].items())
    span = f" over {x['duration_s']:.3f} s" if x["duration_s"] else ""
    yield "frames", f"{x['frames']:,} in {x['bytes']:,} bytes{span}" + (f": {by_type}" if by_type else "")
    if x["faults"]:
        kinds = ", ".join(f"{n:,} {name}" for name, n in x["faults_by_kind"].items())
        rate = f"; CRC errors {x['crc_error_rate']:.2%}" if x["crc_error_rate"] else ""
        skipped = f"; {x['bytes_skipped']:,} bytes skipped in {x['resyncs']:,} resyncs"
        yield "damage", f"{kinds}{rate}{skipped}"
    if x["samples"]:
        lost = x["samples_lost"]
        share = lost / (lost + x["samples"])
        yield "samples", f"{x['samples']:,} received, {lost:,} lost ({share:.3%}), {_split(x)}"
    if x["measured_rate_hz"]:
        nominal = f" of {x['nominal_rate_hz']:g} Hz stated" if x["nominal_rate_hz"] else ""
        ppm = f" ({x['rate_ppm']:+.0f} ppm)" if x["rate_ppm"] is not None else ""
        pace = x["clock_pace"]
        odd = pace is not None and not 0.9 < pace < 1.1
        times = f"; the device's clock runs {pace:.3g} times as fast as the host's" if odd else ""
        yield "rate", f"{x['measured_rate_hz']:.4f} Hz by the {x['rate_measured_by']}{nominal}{ppm}{times}"
    jitter = x["jitter_us"]
    if jitter["median"] is not None:
        yield "jitter", ", ".join(f"{name} {value} µs" for name, value in jitter.items())
    if x["link_load"] is not None:
        yield "link", f"{x['link_load']:.1%} of its byte rate"
    if x["restarts"]:
        yield "restarts", f"{x['restarts']:,}"


def _split(x: dict[str, Any]) -> str:
    if x["lost_in_device"] is None:
        return "where is not known (two HEARTBEATs of one boot tell)"
    return f"between HEARTBEATs {x['lost_in_device']:,} in the device and {x['lost_on_link']:,} on the link"


def verdict(report: Report, paint: Paint, *, strict: bool = False) -> str:
    """The last line: what it comes to."""
    counts = [(report.total(level), level.word) for level in (Level.MUST, Level.SHOULD, Level.INFO)]
    causes = [(len(report.causes), "cause")]
    parts = [f"{n:,} {word}{'s' if n != 1 else ''}" for n, word in causes + counts if n]
    said = ", ".join(parts) or "nothing to say"
    if report.cut_short:
        so_far = "not clean" if report.fails(strict=strict) else "clean so far"
        return f"{paint('not finished', 'bold', 'yellow')}, {so_far}: {said}; {report.cut_short}"
    if not report.frames:
        return f"{paint('no frames found', 'bold', 'red')}: {said}"
    word = (
        paint("not clean", "bold", "red") if report.fails(strict=strict) else paint("clean", "bold", "green")
    )
    stopped = " (stopped at --max-errors)" if report.stopped else ""
    known = f"; {report.known.total():,} known from the baseline" if report.known else ""
    return f"{word}: {said}{known}{stopped}"
