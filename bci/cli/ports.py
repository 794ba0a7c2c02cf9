"""`bci ports`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from bci.language import _

__all__ = ["command"]


@click.command("ports", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print the list for programs.")
def command(as_json: bool) -> int:
    """List the serial ports of this computer and what is known of them. Exit status 3: there are none."""
    from bci.acquisition import list_port_entries
    from bci.acquisition.low_latency import read_latency_ms
    from firmware_protocol.ports import holders

    entries = list_port_entries()
    rows = [
        {**asdict(entry), "latency_ms": read_latency_ms(entry.name), "held_by": list(holders(entry.name))}
        for entry in entries
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
    for row in rows if not as_json else ():
        usb = (
            f"USB {row['vendor_id']:04x}:{row['product_id']:04x}"
            if row["vendor_id"] is not None
            else _("no USB")
        )
        known = [usb, str(row["description"] or "")]
        if row["serial_number"]:
            known.append(_("serial number {number}").format(number=row["serial_number"]))
        if row["latency_ms"] is not None:
            known.append(_("latency {ms} ms").format(ms=row["latency_ms"]))
        if row["held_by"]:
            known.append(_("in use by process {pids}").format(pids=_(", ").join(map(str, row["held_by"]))))
        click.echo(f"{row['name']:<16} {_(', ').join(text for text in known if text and text != 'n/a')}")
    if not rows and not as_json:
        click.echo(
            _("No serial port. Plug the board in and look again, or try `bci simulate` in another window."),
            err=True,
        )
    return 0 if rows else 3
