"""`bci calibrate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bci.cli._clinic_view_options import (
    clinic_options,
    open_clinic,
    plan_options,
    result_options,
    tell_visit,
)
from bci.cli._lists import words
from bci.language import N_, _

__all__ = ["command"]


@click.command("calibrate", context_settings={"help_option_names": ["-h", "--help"]})
@clinic_options
@click.option(
    "--classes",
    default="rest,right",
    show_default=True,
    help=N_("What is asked for: rest, left, right. One hand against rest is the easiest."),
)
@click.option(
    "--movement",
    type=click.Choice(["intended", "executed"]),
    default="intended",
    show_default=True,
    help=N_("executed: for users who can move the hand."),
)
@plan_options
@click.option(
    "--baseline",
    type=click.FloatRange(1, 20),
    default=3.0,
    show_default=True,
    help=N_("Cross before the cue, s."),
)
@click.option(
    "--cue",
    type=click.FloatRange(0.2, 10),
    default=1.25,
    show_default=True,
    help=N_("How long the cue is shown, s."),
)
@click.option(
    "--task",
    type=click.FloatRange(2.5, 20),
    default=4.0,
    show_default=True,
    help=N_("From the cue to the task's end, s."),
)
@click.option(
    "--pause",
    type=(float, float),
    default=(1.5, 3.0),
    show_default=True,
    help=N_("Shortest and longest pause, s."),
)
@click.option(
    "--rest",
    type=click.FloatRange(0, 600),
    default=20.0,
    show_default=True,
    help=N_("Rest between blocks, s."),
)
@click.option(
    "--budget", type=click.FloatRange(0.05, 20.0), help=N_("False movements a minute that are accepted.")
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=N_("Keep this profile (TOML) for the user."),
)
@result_options
def command(
    classes: str,
    movement: str,
    blocks: int,
    trials: int,
    baseline: float,
    cue: float,
    task: float,
    pause: tuple[float, float],
    rest: float,
    budget: float | None,
    profile: Path | None,
    no_report: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Guided calibration: signal check, cues with rests between, and an honest result.

    Says beforehand how many minutes it takes. Trials with artefacts are asked again at the end. The result states its
    interval and what guessing gives; where it is not enough for control it says so, and what to try.
    """
    from bci.prosthesis import read_profile
    from bci.sessions.calibrating import CalibrationOptions
    from bci.sessions.guided import CalibrationPlan, CueTiming
    from bci.sessions.warm_up import Compiling

    timing = CueTiming(baseline_s=baseline, cue_s=cue, task_s=task, pause_s=pause, between_s=rest)
    plan = CalibrationPlan(classes=words(classes), blocks=blocks, trials_per_class=trials, timing=timing)
    if profile is not None:
        read_profile(profile)  # before anybody sits through a signal check for nothing
    with (
        open_clinic(
            _("Calibration"), part=1, movement=movement, quiet=as_json, report=not no_report, **options
        ) as (clinic, say),
        Compiling() as compiling,
    ):
        if not clinic.check():
            return 1
        if profile is not None:
            clinic.store.keep_profile(clinic.user, profile)
        kept = clinic.store.profile(clinic.user)
        plan = replace(plan, seed=int(clinic.folder.path.name[:3]))  # another order of trials at each visit
        asked = CalibrationOptions(
            plan=plan,
            movement=movement,
            budget_per_min=budget or (1.0 if kept is None else kept.budget_per_min),
        )
        visit = clinic.calibrate(asked, compiling=compiling)
        if visit is None or visit.calibration is None:
            return 1
        say("" if no_report else _("Report: {path}").format(path=clinic.report()))
        lines = [clinic.result(), *visit.calibration.advice]
        if visit.calibration.ready:
            lines.append(_("Next: bci control --user {user}").format(user=clinic.user))
        tell_visit(visit, lines, as_json=as_json)
    return 0 if visit.calibration.ready else 1
