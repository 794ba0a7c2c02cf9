"""`bci replay`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

__all__ = ["command"]


@click.command("replay", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("session", type=click.Path(path_type=Path), metavar="SESSION")
@click.option("--json", "as_json", is_flag=True, help="Print the result for programs.")
def command(session: Path, as_json: bool) -> int:
    """Decide again from a session's recording and compare, bit for bit.

    SESSION is the folder that a session wrote, or the recording in it. Exit status 0: everything came out the same;
    1: something differs, and the first difference is printed.
    """
    from bci.sessions.folder import SessionFolder
    from bci.sessions.replay import replay_session

    found = replay_session(SessionFolder.open(session))
    if as_json:
        click.echo(json.dumps({**asdict(found), "identical": found.identical}))
    elif found.identical:
        click.echo(
            f"identical: {found.predictions} decisions, {found.intents} intents, "
            f"{found.commands} commands to the hand from {found.events} events"
        )
    else:
        click.echo(f"different: {found.difference}")
    return 0 if found.identical else 1
