"""A report for programs: JSON, JUnit XML and SARIF; and the baseline, which is such a JSON report of an earlier run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from firmware_protocol.errors import CaptureError
from firmware_protocol.validator.findings import RULES, Cause, Finding, Level, Rule, Window
from firmware_protocol.validator.report import Report

__all__ = ["apply_baseline", "as_json", "as_junit", "as_sarif"]

_SARIF_LEVEL = {Level.MUST: "error", Level.SHOULD: "warning", Level.INFO: "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


# ---- JSON ------------------------------------------------------------------------------------------------------


def as_json(report: Report, *, strict: bool = False) -> str:
    """All of a report as one JSON object; the names of its keys stay."""
    form = {
        "file": report.name,
        "recording": report.is_recording,
        "exit_status": report.exit_status(strict=strict),
        "causes": [_cause(cause) for cause in report.causes],
        "findings": [_finding(finding) for finding in report.findings],
        "counts": [
            {"rule": id_, "key": key, "level": RULES[id_].level.name, "count": n}
            for (id_, key), n in sorted(report.counts.items())
        ],
        "statistics": report.numbers,
        "notes": report.notes,
        "stopped": report.stopped,
        "cut_short": report.cut_short,
    }
    if report.steps:
        form["steps"] = report.steps
    return json.dumps(form, ensure_ascii=False, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.id, "name": rule.name, "level": rule.level.name, "section": rule.section}


def _cause(cause: Cause) -> dict[str, Any]:
    return _rule(cause.rule) | {
        "certainty": cause.certainty_word,
        "share": round(cause.share, 4),
        "offset": cause.offset,
        "frame": cause.frame,
        "text": cause.text,
        "hint": cause.hint,
        "window": _window(cause.window),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return _rule(finding.rule) | {
        "offset": finding.offset,
        "frame": finding.frame,
        "device_s": finding.device_s,
        "text": finding.text,
        "got": finding.got,
        "expected": finding.expected,
        "key": finding.key,
        "hint": finding.hint,
        "window": _window(finding.window),
    }


def _window(window: Window | None) -> dict[str, Any] | None:
    if window is None:
        return None
    return {"offset": window.start, "hex": window.data.hex(" "), "marks": list(window.marks)}


# ---- baseline --------------------------------------------------------------------------------------------------


def apply_baseline(report: Report, path: Path) -> None:
    """Take what an earlier JSON report knows out of `report`: kinds of findings (rule and key), and causes by name.

    Raises
    ------
    CaptureError
        If the file is no such report.
    """
    try:
        form = json.loads(path.read_text(encoding="utf-8"))
        kinds = {(str(entry["rule"]), str(entry["key"])) for entry in form["counts"]}
        causes = {str(entry["name"]) for entry in form["causes"]}
    except OSError as err:
        raise CaptureError(f"the baseline {path} cannot be read: {err.strerror}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise CaptureError(
            f"{path} is no baseline; expected what `frame-validator check --json` wrote"
        ) from err
    report.known = Counter({kind: n for kind, n in report.counts.items() if kind in kinds})
    for kind in report.known:
        del report.counts[kind]
    report.findings = [f for f in report.findings if (f.rule.id, f.key) not in kinds]
    report.causes = [cause for cause in report.causes if cause.name not in causes]


# ---- JUnit -----------------------------------------------------------------------------------------------------


def as_junit(report: Report, *, strict: bool = False) -> str:
    """One test case for each rule and each cause that was found; what makes the check fail is a failure."""
    lowest = Level.SHOULD if strict else Level.MUST
    suite = ElementTree.Element("testsuite", name="frame-validator", file=report.name)
    failures = 0
    counts: Counter[str] = Counter()
    for (id_, _), n in report.counts.items():
        counts[id_] += n
    left_out = {step["rule"]: step for step in report.steps if step["verdict"] in ("skipped", "not run")}
    for rule in RULES.values():
        if rule.is_cause or not report.takes(rule):
            continue
        case = _case(suite, rule, report.name)
        if rule.id in left_out:
            ElementTree.SubElement(case, "skipped", message=_xml(left_out[rule.id]["note"]))
        n = counts[rule.id]
        lines = "\n".join(_line(f) for f in report.findings if f.rule is rule)
        if n and rule.level >= lowest:
            failures += 1
            _failure(case, f"{n} findings: {rule.hint}", lines)
        elif n:
            ElementTree.SubElement(case, "system-out").text = f"{n} findings\n{lines}"
    for cause in report.causes:
        case = _case(suite, cause.rule, report.name)
        failures += 1
        _failure(case, cause.text, cause.hint)
    if not report.frames:
        case = ElementTree.SubElement(suite, "testcase", classname="frame-validator", name="frames found")
        failures += 1
        _failure(case, "no frames found", "")
    if report.cut_short:
        case = ElementTree.SubElement(suite, "testcase", classname="frame-validator", name="run to its end")
        ElementTree.SubElement(case, "error", message=_xml(report.cut_short))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("errors", str(int(bool(report.cut_short))))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, rule: Rule, file: str) -> ElementTree.Element:
    name = f"{rule.id} {rule.name}"
    return ElementTree.SubElement(
        suite, "testcase", classname=f"frame-validator.{rule.id[:3]}xx", name=name, file=file
    )


def _failure(case: ElementTree.Element, message: str, text: str) -> None:
    failure = ElementTree.SubElement(case, "failure", message=_xml(message))
    failure.text = _xml(text)


def _xml(text: str) -> str:
    """Without characters that XML 1.0 cannot hold."""
    return "".join(c if c >= " " or c in "\t\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _line(finding: Finding) -> str:
    got = f", got {finding.got}" if finding.got else ""
    expected = f", expected {finding.expected}" if finding.expected else ""
    return _xml(f"byte {finding.offset}, frame {finding.frame}: {finding.text}{got}{expected}")


# ---- SARIF -----------------------------------------------------------------------------------------------------


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0 (OASIS): causes and findings as results with byte regions."""
    used = report.rules_found()
    rules = [_sarif_rule(RULES[id_]) for id_ in used]
    results = [*map(_sarif_cause, report.causes), *map(_sarif_finding, report.findings)]
    for result in results:
        result["ruleIndex"] = used.index(result["ruleId"])
        for location in result["locations"]:
            location["physicalLocation"]["artifactLocation"] = {"uri": Path(report.name).as_posix()}
    driver = {"name": "frame-validator", "rules": rules}
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "utf16CodeUnits"}
    if report.cut_short:
        run["invocations"] = [{"executionSuccessful": False, "exitCodeDescription": report.cut_short}]
    form = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(form, ensure_ascii=False, indent=2) + "\n"


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.text.split("\n")[0]},
        "fullDescription": {"text": rule.text},
        "help": {"text": f"{rule.hint} (SPEC {rule.section})"},
        "defaultConfiguration": {"level": _SARIF_LEVEL[rule.level]},
    }


def _sarif_cause(cause: Cause) -> dict[str, Any]:
    span = cause.window.marks if cause.window is not None else (cause.offset, cause.offset + 1)
    text = f"{cause.text}. {cause.hint}"
    return _sarif_result(cause.rule, text, span) | {"properties": {"certainty": cause.certainty_word}}


def _sarif_finding(finding: Finding) -> dict[str, Any]:
    span = finding.window.marks if finding.window is not None else (finding.offset, finding.offset + 1)
    properties = {"frame": finding.frame, "device_s": finding.device_s}
    return _sarif_result(finding.rule, "; ".join(_sentences(finding)), span) | {"properties": properties}


def _sentences(finding: Finding) -> Iterator[str]:
    yield finding.text
    if finding.got:
        yield f"got {finding.got}"
    if finding.expected:
        yield f"expected {finding.expected}"


def _sarif_result(rule: Rule, text: str, span: tuple[int, int]) -> dict[str, Any]:
    region = {"byteOffset": span[0], "byteLength": max(span[1] - span[0], 1)}
    return {
        "ruleId": rule.id,
        "level": _SARIF_LEVEL[rule.level],
        "message": {"text": text},
        "locations": [{"physicalLocation": {"region": region}}],
    }
