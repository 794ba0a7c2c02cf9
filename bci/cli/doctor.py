"""`bci doctor`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bci.cli._doctor_words import VERDICTS, WORDS
from bci.cli._language import language_option
from bci.language import _, padded, thing_word

if TYPE_CHECKING:
    from bci.acquisition.doctor import ChannelReport, Finding

__all__ = ["command"]

SIGNS = {"fine": ("✓", "green"), "note": ("!", "yellow"), "problem": ("✗", "red")}


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", metavar="PORT", help="Default: the port on which a board answers.")
@click.option(
    "--baud", type=click.IntRange(9600), default=921_600, show_default=True, help="Speed of the serial line."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1.0, 600.0),
    default=4.0,
    show_default=True,
    help="How much signal to look at.",
)
@language_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding and line.")
def command(port: str | None, baud: int, seconds: float, as_json: bool) -> int:
    """Find out why no good signal comes, and say what to do next.

    Looks at ports, permission, other programs, the USB adapter's latency, the board's answer, its rate and losses,
    and every electrode. Exit status 0: all in order; 1: something is to be put right.
    """
    from bci.acquisition.doctor import examine

    findings = []
    for finding in examine(port, baud=baud, seconds=seconds):
        findings.append(finding)
        if as_json:
            click.echo(json.dumps(_plain(finding), ensure_ascii=False))
        else:
            _say(finding)
    sound = all(finding.level != "problem" for finding in findings)
    if not as_json:
        board = next((f for f in findings if f.key == "board"), None)
        _sentence("all-fine" if sound else "look", {"port": board.facts["url"] if board else ""}, sound)
    return 0 if sound else 1


def _say(finding: Finding) -> None:
    if finding.key == "channels":
        _table(finding.facts["reports"])
        return
    sign, colour = SIGNS[finding.level]
    what, then = _words(finding.key, finding.facts)
    click.secho(f"{sign} ", fg=colour, nl=False)
    click.echo(what)
    if then:
        click.secho(f"  → {then}", bold=finding.level == "problem")


def _sentence(key: str, facts: dict[str, Any], sound: bool) -> None:
    what, then = _words(key, facts)
    click.secho(what, fg="green" if sound else "red", bold=True)
    if then:
        click.echo(f"  → {then}")


def _words(key: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    said = {**facts, "device": thing_word(str(facts["device"]))} if "device" in facts else facts
    what, then = (_(text).format(**said) if text else "" for text in WORDS[key])
    return what, then


def _table(reports: list[ChannelReport]) -> None:
    name, *numbers = (_("electrode"), _("µV rms"), _("mains µV"), _("kΩ"))
    widths = (8, 10, 7)
    click.echo(
        f"  {padded(name, 10)}"
        + "".join(padded(head, width, right=True) for head, width in zip(numbers, widths, strict=True))
    )
    for report in reports:
        kohm = "" if report.kohm is None else f"{report.kohm:.0f}"
        line = f"  {report.name:<10}{report.rms_uv:>8.1f}{report.mains_uv:>10.1f}{kohm:>7}  "
        click.echo(line, nl=False)
        click.secho(_(VERDICTS[report.verdict]), fg=None if report.verdict == "fine" else "red")


def _plain(finding: Finding) -> dict[str, Any]:
    facts = dict(finding.facts)
    if "reports" in facts:
        facts["reports"] = [asdict(report) for report in facts["reports"]]
    return {"finding": finding.key, "level": finding.level, **facts}
