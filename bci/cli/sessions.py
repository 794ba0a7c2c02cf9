"""`bci sessions`: users and visits, compared over weeks; delete a user; make the index anew."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bci.cli._clinic_view_options import store_option
from bci.language import N_, _, ngettext

if TYPE_CHECKING:
    from bci.sessions.store_index import VisitRow

__all__ = ["command"]

SPARK = "▁▂▃▄▅▆▇█"
WIDE = 90


@click.group(
    "sessions", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@store_option
@click.option("--user", default="", metavar="ID", help=N_("The visits of this user; default: all users."))
@click.option("--json", "as_json", is_flag=True, help=N_("For programs."))
@click.pass_context
def command(context: click.Context, store: Path | None, user: str, as_json: bool) -> int:
    """Users and their visits, compared over weeks: accuracy, false movements, latency.

    Accuracy is of trials that were left out of the training, with its 95 % interval and what guessing gives; false
    movements are per minute of measured rest. A backup is a copy of the folder.
    """
    from bci.sessions.store import SessionStore

    if context.invoked_subcommand is not None:
        context.obj = store
        return 0
    with SessionStore(store) as kept:
        users = [user] if user else kept.users()
        visits = {name: kept.visits(name) for name in users}
        notes = {name: kept.note(name) for name in users}
        if as_json:
            told = {
                "root": str(kept.root),
                "users": [
                    {"user": name, "note": notes[name], "visits": [asdict(row) for row in visits[name]]}
                    for name in users
                ],
            }
            click.echo(json.dumps(told, ensure_ascii=False, indent=2))
            return 0
        if not users:
            click.echo(_("No users yet in {root}. Begin with: bci quality").format(root=kept.root))
        for name in users:
            _tell(name, notes[name], visits[name])
        if users:
            click.echo(
                _("In brackets 95 % intervals; * a simulated board; delay from the cue to the movement.")
            )
    return 0


@command.command("delete")
@click.argument("user")
@click.option("--yes", is_flag=True, help=N_("Do not ask."))
@click.pass_obj
def delete(store: Path | None, user: str, yes: bool) -> int:
    """Delete everything of a user: recordings, models, reports, profile."""
    from bci.sessions.store import SessionStore

    with SessionStore(store) as kept:
        kept.require(user)
        n = len(kept.visits(user))
        question = ngettext(
            "Delete user {user} with {n} visit and all recordings, for good?",
            "Delete user {user} with {n} visits and all recordings, for good?",
            n,
        ).format(user=user, n=n)
        if not yes and not click.confirm(question, default=False):
            click.echo(_("Nothing was deleted."))
            return 1
        files = kept.delete_user(user)
    click.echo(
        _("User {user} is deleted: {n} files. Copies in backups have to be deleted there.").format(
            user=user, n=files
        )
    )
    return 0


@command.command("rebuild")
@click.pass_obj
def rebuild(store: Path | None) -> int:
    """Make the index anew from the folders, e.g. after a backup was copied back."""
    from bci.sessions.store import SessionStore

    with SessionStore(store) as kept:
        n = kept.rebuild()
    click.echo(ngettext("{n} visit found.", "{n} visits found.", n).format(n=n))
    return 0


@command.command("note")
@click.argument("user")
@click.argument("text")
@click.pass_obj
def note(store: Path | None, user: str, text: str) -> int:
    """Keep a free text with a user; no name, no date of birth."""
    from bci.sessions.store import SessionStore

    with SessionStore(store) as kept:
        kept.set_note(user, text)
    click.echo(_("Kept."))
    return 0


def _tell(user: str, note: str, rows: Sequence[VisitRow]) -> None:
    """One user's visits as a table, with the course of accuracy above it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    course = [row.accuracy for row in rows if row.accuracy is not None]
    line = _course(course)
    title = Text(f"{user}", style="bold")
    if note:
        title.append(f"  {note}", style="default")
    if len(course) > 1:
        title.append(
            "   "
            + _("accuracy {line} {first} → {last}").format(
                line=line, first=f"{course[0]:.0%}", last=f"{course[-1]:.0%}"
            ),
            style="cyan",
        )
    console = Console(highlight=False)
    console.print(title)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    headings = (
        _("visit"),
        _("date"),
        _("accuracy"),
        _("chance"),
        _("false/min"),
        _("at rest"),
        _("followed"),
        _("delay"),
        _("latency"),
    )
    for heading in headings[: None if console.width >= WIDE else -1]:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row)[: len(table.columns)])
    console.print(table)


def _cells(row: VisitRow) -> list[str]:
    """One visit; the shares with their 95 % intervals."""
    cells = [
        row.session[:3] + ("*" if row.simulated else ""),
        time.strftime("%Y-%m-%d", time.localtime(row.started_s)),
    ]
    if row.accuracy is None or row.low is None or row.high is None:
        cells += ["–", "–"]
    else:
        cells += [f"{row.accuracy:.0%} ({100 * row.low:.0f}–{100 * row.high:.0f})", f"{row.chance or 0:.0%}"]
    if row.false_per_min is None or row.false_low is None or row.false_high is None:
        cells += ["–", "–", "–", "–"]
    else:
        cells += [
            f"{row.false_per_min:.1f} ({row.false_low:.1f}–{row.false_high:.1f})",
            f"{row.idle_min:.1f} min",
            f"{row.hits}/{row.cued_movements}",
            "–" if row.detection_s is None else f"{row.detection_s:.1f} s",
        ]
    return [*cells, "–" if row.latency_ms is None else f"{row.latency_ms:.0f} ms"]


def _course(values: Sequence[float]) -> str:
    """A line of blocks between guessing (0.5) and 1."""
    return "".join(SPARK[min(max(int((v - 0.5) * 2 * len(SPARK)), 0), len(SPARK) - 1)] for v in values)
