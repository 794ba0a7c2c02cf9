"""The report of one visit: a page to read, print and keep, or the same sections as an `mne.Report`.

Figures are shown as `session.json` holds them; nothing is scored anew. From the recording of the calibration comes
what the rhythms did. What was not done is said.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bci.acquisition import Recording
from bci.errors import BciError
from bci.files import write_private
from bci.language import _, speaking
from bci.pipeline import Run, load_model, split_runs
from bci.pipeline.chain import rows_taken
from bci.report import visit_pictures
from bci.report.fonts import pictures_speak
from bci.report.page import environment, render
from bci.report.responses import MAP_FROM_S, REFERENCE_S, Responses, event_related_power
from bci.report.visit import CalibrationPart, Override, Visit
from bci.report.words import class_word

__all__ = ["write_mne_visit_report", "write_visit_report"]

REST = "rest"
TASK_S = 4.0  # where no model states it


class Section(NamedTuple):
    """A heading ("" for none) and what stands below it."""

    title: str
    html: Markup


def write_visit_report(path: Path, visit: Visit, folder: Path, *, language: str) -> None:
    """Write one self-contained HTML file, readable by its owner only.

    Parameters
    ----------
    path : Path
    visit : Visit
    folder : Path
        The visit's folder: recordings and the model lie in it. What is missing there is said in the report.
    language : str
        "en" or "zh"; what is spoken otherwise stays as it is.

    Raises
    ------
    ValueError
        If there is no such language.
    """
    with speaking(language):
        title = _("Session report: {session}").format(session=f"{visit.user} {visit.session}")
        write_private(path, render("visit.html.j2", title=title, v=visit, sections=_sections(visit, folder)))


def write_mne_visit_report(path: Path, visit: Visit, folder: Path, *, language: str) -> None:
    """The same sections as an `mne.Report`, for people who keep theirs that way; the file must not exist.

    Raises
    ------
    FileExistsError
        If it does.
    ValueError
        If there is no such language.
    """
    from bci.report.with_mne import save_mne_report

    with speaking(language):
        sections = {section.title or _("Summary"): str(section.html) for section in _sections(visit, folder)}
        style = environment().get_template("_style.html.j2").render()
        style = style.removeprefix("<style>").removesuffix("</style>")
        # Only what our own parts need: MNE's page has a style of its own.
        rules = [line for line in style.splitlines() if not line.lstrip().startswith(("@page", "body", "h1"))]
        title = _("Session report: {session}").format(session=f"{visit.user} {visit.session}")
        save_mne_report(path, title=title, sections=sections, style="\n".join(rules))


def _sections(visit: Visit, folder: Path) -> list[Section]:
    parts: Any = environment().get_template("visit_parts.html.j2").module
    sections = [Section("", parts.summary(visit, _not_done(visit), _overrides(visit)))]
    if not pictures_speak():
        note = _("This computer has no font with Chinese signs, so words in pictures are English.")
        sections.append(Section("", Markup('<p class="note">{}</p>').format(note)))
    electrodes = visit_pictures.impedances(visit.before, visit.after)
    if visit.before is not None or visit.after is not None:
        html = parts.electrodes(visit.before, visit.after, electrodes, f"{visit_pictures.GOOD_KOHM:g}")
        sections.append(Section(_("Electrodes"), html))
    if (calibration := visit.calibration) is not None:
        drawn = visit_pictures.calibration(calibration) if calibration.cued else {}
        html = parts.calibration(calibration, drawn)
        sections.append(Section(_("Calibration: cued trials"), html))
        found, maps = _rhythms(calibration, folder)
        sections.append(Section(_("Where the difference lies"), parts.rhythms(found, maps)))
    if visit.control is not None:
        trend = visit_pictures.control_trend(visit.control.per_run)
        sections.append(Section(_("Control of the hand"), parts.control(visit.control, trend)))
    sections.append(Section(_("What was used"), parts.equipment(visit)))
    return sections


def _overrides(visit: Visit) -> list[Override]:
    """Whoever went on with bad electrodes, each once; a later look may have taken the place of the one before it."""
    said = (part.override for part in (visit.calibration, visit.before, visit.after) if part is not None)
    return list(dict.fromkeys(override for override in said if override is not None))


def _not_done(visit: Visit) -> list[str]:
    done = {
        _("electrodes before"): visit.before,
        _("calibration"): visit.calibration,
        _("control of the hand"): visit.control,
        _("electrodes after"): visit.after,
    }
    return [name for name, part in done.items() if part is None]


def _rhythms(part: CalibrationPart, folder: Path) -> tuple[Responses | None, dict[str, Any]]:
    """What the recording of the calibration shows, and the pictures; None and the reason where it shows nothing."""
    task_s = TASK_S
    with contextlib.suppress(BciError):
        task_s = load_model(folder / part.model).timing.task_s if part.model else TASK_S
    try:
        recording = Recording(folder / part.recording)
        taken = np.array([name not in part.left_out for name in recording.info.channels])
        runs = [_taken(run, taken) for run in split_runs(recording.info, recording) if run.markers]
        found = event_related_power(runs, labels=part.classes, task_s=task_s) if runs else None
    except BciError as err:
        return None, {"why_not": _("Nothing can be said of the rhythms: {reason}").format(reason=err)}
    if found is None:
        return None, {"why_not": _("The recording holds no whole trial of each class to take a mean of.")}
    movement = next(name for name in reversed(part.classes) if name != REST)
    other = REST if REST in part.classes else next(name for name in part.classes if name != movement)
    return found, {
        "time_frequency": visit_pictures.time_frequency(found),
        "maps": visit_pictures.scalp_maps(found, (movement, other)),
        "reference": [f"{-at:g}" for at in REFERENCE_S],
        "map_s": [f"{MAP_FROM_S:g}", f"{found.task_s:g}"],
        "trials": _(", ").join(f"{n} × {class_word(name)}" for name, n in found.trials.items()),
    }


def _taken(run: Run, rows: NDArray[np.bool_]) -> Run:
    """The run without electrodes that were left out: a bad one would spread to all through the common average."""
    info = replace(run.info, channels=tuple(np.array(run.info.channels)[rows].tolist()))
    return Run(info, tuple(rows_taken(chunk, rows) for chunk in run.chunks), run.markers)
