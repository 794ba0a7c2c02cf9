"""A report as one HTML file without scripts, fonts or links to anywhere: to mail, to file, to print."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from firmware_protocol.validator.findings import RULES, Cause, Finding, Level, Window
from firmware_protocol.validator.paint import hex_rows
from firmware_protocol.validator.report import Report

__all__ = ["as_html"]

_CLASS = {Level.MUST: "must", Level.SHOULD: "should", Level.INFO: "info"}
_STRIP = 1000  # units of width of the drawing of the stream
_FULL_SCALE = 1 << 23

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6b7b; --line: #dde4ea; --card: #fff; --back: #f4f6f8;
  --must: #b3261e; --should: #a56300; --info: #1f6f8b; --fine: #1b7f4b; --cause: #33489c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf0; --soft: #9aa9b8; --line: #33404d; --card: #1b242d;
  --back: #12181f; --must: #ff8a80; --should: #f0b45a; --info: #7cc7dd; --fine: #6fd19c; --cause: #a3b4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.1rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; color: var(--soft); margin: 2.2rem 0 .7rem; }
.verdict { font-size: 1.9rem; font-weight: 650; margin: .1rem 0 .3rem; }
.must { color: var(--must); } .should { color: var(--should); } .info { color: var(--info); }
.fine { color: var(--fine); } .soft { color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem;
  margin: 0 0 .8rem; break-inside: avoid; }
.cause { border-left: .35rem solid var(--cause); } .cause h3 { color: var(--cause); }
.card h3 { margin: 0 0 .3rem; font-size: 1rem; }
.card p { margin: .35rem 0; }
.change { border-top: 1px solid var(--line); padding-top: .5rem; }
.change b { color: var(--fine); font-weight: 600; }
.place { color: var(--soft); font-size: .85rem; }
pre { font: 12.5px/1.55 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; margin: .6rem 0; overflow-x: auto; }
pre mark { background: var(--must); color: var(--card); border-radius: .2rem; }
pre .at { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .8rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.25rem; font-weight: 600; } .tile span { color: var(--soft); font-size: .8rem; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; color: var(--soft); font-weight: 500; } th, td { padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
@media print { body { background: #fff; font-size: 11px; } main { max-width: none; padding: 0; }
  .card, .tile { border-color: #bbb; } pre { white-space: pre-wrap; } }
"""


def as_html(report: Report, *, strict: bool = False) -> str:
    """The whole page."""
    parts = [*_head(report, strict), *_causes(report), *_steps(report)]
    parts += [*_strip(report), *_numbers(report.numbers)]
    parts += [*_findings(report), *_channels(report.numbers["channels"]), *_foot(report)]
    title = f"{escape(report.name)}: frame-validator"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report, strict: bool) -> Iterator[str]:
    yield f"<h1>{escape(report.name)}</h1>"
    if report.cut_short:
        word, style = "Not finished", "should"
    elif not report.frames:
        word, style = "No frames found", "must"
    elif report.fails(strict=strict):
        word, style = "Not clean", "must"
    else:
        word, style = "Clean", "fine"
    yield f'<p class="verdict {style}">{word}</p>'
    if report.cut_short:
        yield f"<p>{escape(report.cut_short)}</p>"
    counts = [
        f'<span class="{_CLASS[level]}">{n:,} {level.word}{"s" if n != 1 else ""}</span>'
        for level in (Level.MUST, Level.SHOULD, Level.INFO)
        if (n := report.total(level))
    ]
    yield f"<p>{' · '.join(counts) or 'Nothing to say.'}</p>"


def _causes(report: Report) -> Iterator[str]:
    if report.causes:
        yield "<h2>Why</h2>"
    for cause in report.causes:
        yield from _cause(cause)


def _cause(cause: Cause) -> Iterator[str]:
    share = f" · {cause.share:.0%} of the stream" if cause.share >= 0.01 else ""
    yield f'<div class="card cause"><h3>{escape(cause.name)} <span class="place">{cause.rule.id}</span></h3>'
    yield f"<p>{escape(cause.text)}</p>"
    yield f'<p class="place">{cause.certainty_word}{share} · {_place(cause.offset, cause.frame)}</p>'
    yield _hex(cause.window)
    yield f'<p class="change"><b>Change:</b> {escape(cause.hint)} {_section(cause.rule.section)}</p></div>'


def _section(number: str) -> str:
    return f'<span class="place">[SPEC {number}]</span>'


def _place(offset: int, frame: int) -> str:
    return f"byte {offset:,} (0x{offset:X})" + (f", frame {frame:,}" if frame else "")


def _hex(window: Window | None) -> str:
    if window is None:
        return ""
    lines = []
    for row in hex_rows(window):
        cells = [
            f"<mark>{byte:02x}</mark>" if marked else f"{byte:02x}"
            for byte, marked in zip(row.data, row.marked, strict=True)
        ]
        indent = "   " * (row.position % 16)
        room = " " * (48 - len(indent) - 3 * len(cells))
        text = escape(row.text)
        lines.append(f'<span class="at">{row.position:08x}</span>  {indent}{" ".join(cells)}{room}  {text}')
    return "<pre>" + "\n".join(lines) + "</pre>"


def _steps(report: Report) -> Iterator[str]:
    """What an active test did, and how each step ended."""
    if not report.steps:
        return
    style = {"passed": "fine", "failed": "must"}
    yield "<h2>Steps</h2>"
    yield "<table><tr><th>Rule</th><th>Step</th><th>Verdict</th><th></th><th>Seconds</th></tr>"
    for step in report.steps:
        verdict = f'<td class="{style.get(step["verdict"], "soft")}">{step["verdict"]}</td>'
        cells = f"<td>{step['rule']}</td><td>{escape(step['name'])}</td>{verdict}"
        yield f'<tr>{cells}<td class="soft">{escape(step["note"])}</td><td class="n">{step["seconds"]:.1f}</td></tr>'
    yield "</table>"


def _strip(report: Report) -> Iterator[str]:
    """The stream from its first byte to its last, with a tick at each finding."""
    size = report.numbers["bytes"]
    if not size or not report.places:
        return
    yield "<h2>Where in the stream</h2>"
    yield f'<svg viewBox="0 0 {_STRIP} 46" role="img" aria-label="Places of the findings in the stream">'
    yield f'<rect x="0" y="6" width="{_STRIP}" height="22" rx="4" fill="var(--line)"/>'
    for offset, level in sorted(report.places, key=lambda place: place[1]):  # errors on top
        colour = f"var(--{_CLASS[level]})"
        yield f'<rect x="{offset / size * _STRIP:.1f}" y="6" width="2" height="22" fill="{colour}"/>'
    yield '<text x="0" y="43" font-size="12" fill="var(--soft)">byte 0</text>'
    yield f'<text x="{_STRIP}" y="43" font-size="12" fill="var(--soft)" text-anchor="end">{size:,}</text></svg>'


def _numbers(x: dict[str, Any]) -> Iterator[str]:
    yield '<h2>Numbers</h2><div class="tiles">'
    for value, name in _tiles(x):
        yield f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
    yield "</div>"


def _tiles(x: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield (
        f"{x['frames']:,}",
        "frames: " + (", ".join(f"{n:,} {k}" for k, n in x["frames_by_type"].items()) or "none"),
    )
    yield f"{x['bytes']:,}", "bytes"
    if x["duration_s"]:
        yield f"{x['duration_s']:.2f} s", "of device time"
    if x["samples"]:
        yield f"{x['samples']:,}", "conversions received"
        yield f"{x['samples_lost']:,}", "conversions lost in all"
    if x["lost_in_device"] is not None:
        yield (
            f"{x['lost_in_device']:,} / {x['lost_on_link']:,}",
            "of them in the device / on the link, between HEARTBEATs",
        )
    if x["crc_error_rate"] is not None:
        yield f"{x['crc_error_rate']:.3%}", "packets with a wrong CRC"
    yield f"{x['resyncs']:,}", f"resyncs, {x['bytes_skipped']:,} bytes skipped"
    if x["measured_rate_hz"]:
        ppm = f", {x['rate_ppm']:+.0f} ppm off" if x["rate_ppm"] is not None else ""
        yield f"{x['measured_rate_hz']:.3f} Hz", f"measured by the {x['rate_measured_by']}{ppm}"
    jitter = x["jitter_us"]
    if jitter["median"] is not None:
        yield (
            f"{jitter['p99']} µs",
            f"jitter, 99th percentile (median {jitter['median']}, largest {jitter['max']})",
        )
    if x["link_load"] is not None:
        yield f"{x['link_load']:.1%}", "load of the link"
    if x["restarts"]:
        yield f"{x['restarts']:,}", "restarts of the device"


def _findings(report: Report) -> Iterator[str]:
    if report.findings:
        yield "<h2>Findings</h2>"
    for finding in report.findings:
        yield from _finding(finding)
    for id_, n in report.left_out().items():
        yield f'<p class="soft">{id_} {RULES[id_].name}: {n:,} more like these</p>'


def _finding(finding: Finding) -> Iterator[str]:
    rule = finding.rule
    when = "" if finding.device_s is None else f", {finding.device_s:.6f} s"
    yield (
        f'<div class="card"><h3><span class="{_CLASS[rule.level]}">{rule.id}</span> {escape(rule.name)} '
        f'<span class="place">{rule.level.name}</span></h3><p>{escape(finding.text)}</p>'
    )
    got = f"got <b>{escape(finding.got)}</b>" if finding.got else ""
    expected = f"expected <b>{escape(finding.expected)}</b>" if finding.expected else ""
    if got or expected:
        yield f"<p>{', '.join(part for part in (got, expected) if part)}</p>"
    yield f'<p class="place">{_place(finding.offset, finding.frame)}{when}</p>'
    yield _hex(finding.window)
    yield f'<p class="change"><b>Change:</b> {escape(finding.hint)} {_section(rule.section)}</p></div>'


def _channels(channels: list[dict[str, Any]]) -> Iterator[str]:
    if not channels:
        return
    yield '<h2>Channels</h2><div class="card"><table><tr><th>channel</th><th>state</th><th>smallest count</th>'
    yield "<th>largest count</th><th>part of full scale</th></tr>"
    for channel in channels:
        like = f" to {channel['identical_to']}" if channel["identical_to"] else ""
        style = "fine" if channel["state"] == "live" else "should"
        yield (
            f"<tr><td>{escape(channel['label'])}</td><td class='{style}'>{escape(channel['state'] + like)}</td>"
            f"<td class='n'>{channel['minimum']:,}</td><td class='n'>{channel['maximum']:,}</td>"
            f"<td>{_range(channel['minimum'], channel['maximum'])}</td></tr>"
        )
    yield "</table></div>"


def _range(low: int, high: int) -> str:
    """The counts of a channel on a line from negative to positive full scale."""
    left, right = (100 + 100 * min(max(x, -_FULL_SCALE), _FULL_SCALE) / _FULL_SCALE for x in (low, high))
    width = max(right - left, 1.5)
    return (
        '<svg viewBox="0 0 200 12" style="width:12rem"><rect y="5" width="200" height="2" fill="var(--line)"/>'
        f'<rect x="{min(left, 198.5):.1f}" y="2" width="{width:.1f}" height="8" rx="1.5" fill="var(--info)"/></svg>'
    )


def _foot(report: Report) -> Iterator[str]:
    if report.known:
        yield f'<p class="soft">{report.known.total():,} findings are known from the baseline.</p>'
    for note in report.notes:
        yield f'<p class="soft">{escape(note)}</p>'
