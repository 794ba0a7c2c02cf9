"""`bci quality`."""

from __future__ import annotations

import json
from typing import Any

import click

from bci.cli._clinic_view_options import clinic_options, open_clinic
from bci.errors import ElectrodesError
from bci.language import _

__all__ = ["command"]


@click.command("quality", context_settings={"help_option_names": ["-h", "--help"]})
@clinic_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print every electrode for programs, once, and nothing else."
)
def command(as_json: bool, **options: Any) -> int:
    """Is the cap on well? Every electrode as good, fair or bad, with what to do about it.

    Looks until you press Enter, and refuses to go on while electrodes that the decoder needs are bad. The result is
    kept with the visit. Space and Esc are STOP in every step of a visit.
    """
    from bci.sessions.electrodes import summary_sentence

    code = 0
    with open_clinic(_("Signal check"), part=0, quiet=as_json, **options) as (clinic, say):
        try:
            if not clinic.check():
                return 1
        except ElectrodesError as err:
            if not as_json:
                say(str(err))
            code = 1
        part = clinic.folder.read().before if code == 0 else None
        seen = clinic.seen
        if as_json:
            overridden = None if part is None or part.override is None else part.override.by
            told = {
                "user": clinic.user,
                "visit": clinic.folder.path.name if code == 0 else None,
                "passed": code == 0,
                "override": overridden,
                "electrodes": [
                    {
                        "name": e.name,
                        "level": e.level,
                        "findings": list(e.findings),
                        "impedance_kohm": e.impedance_kohm,
                    }
                    for e in seen
                ],
            }
            click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        else:
            for e in seen:
                kohm = "" if e.impedance_kohm is None else f"{e.impedance_kohm:5.1f} kΩ"
                told_of = " ".join(filter(None, (e.sentence, e.advice))) if e.level != "good" else _("good")
                click.echo(f"{e.name:<5} {kohm:>9}  {told_of}")
            click.echo(summary_sentence(seen))
            if code == 0:
                say(_("Kept in {folder}.").format(folder=clinic.folder.path))
    return code
