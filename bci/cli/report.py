"""`bci report`."""

from __future__ import annotations

from pathlib import Path

import click

from bci.cli._language import language_option
from bci.cli._visit_folder import visit_folder
from bci.language import _, language, system_reason

__all__ = ["command"]


@click.command("report", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("session", required=False)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder of all sessions. Default: BCI_SESSIONS, or bci-sessions in your home folder.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Default: report.html in the session's folder.",
)
@click.option(
    "--mne", type=click.Path(path_type=Path), metavar="FILE", help="Also write the same as an mne.Report."
)
@click.option("--open", "open_it", is_flag=True, help="Show it in the browser.")
@language_option
def command(
    session: str | None, store: Path | None, output: Path | None, mne: Path | None, open_it: bool
) -> int:
    """Write the report of a session: one HTML file to read, print and keep.

    SESSION is a session's folder, a user (u-…: the newest session), or USER/SESSION. Without it, the newest session of
    all is taken.
    """
    from bci.errors import RecordingError
    from bci.report import read_visit, write_visit_report

    folder = visit_folder(session, store)
    visit = read_visit(folder / "session.json")
    path = folder / "report.html" if output is None else output
    try:
        write_visit_report(path, visit, folder, language=language())
        if mne is not None:
            from bci.report.visit_report import write_mne_visit_report

            write_mne_visit_report(mne, visit, folder, language=language())
    except FileExistsError as err:
        raise RecordingError(
            _("{path} exists already; choose another name").format(path=mne), path=mne
        ) from err
    except OSError as err:
        reason = system_reason(err)
        raise RecordingError(
            _("the report cannot be written to {path}: {reason}").format(
                path=err.filename or path, reason=reason
            ),
            path=path,
        ) from err
    click.echo(_("report  {path}").format(path=path))
    if mne is not None:
        click.echo(_("mne.Report  {path}").format(path=mne))
    if open_it:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return 0
