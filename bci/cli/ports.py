"""`bci ports`."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("ports", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print the list for programs.")
def command(as_json: bool) -> int:
    """List the serial ports of this computer. Exit status 3: there are none."""
    from bci.acquisition import port_names

    names = port_names()
    if as_json:
        click.echo(json.dumps(names))
    elif names:
        for name in names:
            click.echo(name)
    else:
        click.echo(
            "No serial port. Plug the board in and look again, or try `bci simulate` in another window.",
            err=True,
        )
    return 0 if names else 3
