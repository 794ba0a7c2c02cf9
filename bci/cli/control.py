"""`bci control`."""

from __future__ import annotations

from typing import Any

import click

from bci.cli._clinic_view_options import (
    clinic_options,
    open_clinic,
    plan_options,
    result_options,
    tell_visit,
)
from bci.language import N_, _

__all__ = ["command"]


@click.command("control", context_settings={"help_option_names": ["-h", "--help"]})
@clinic_options
@click.option(
    "--hand",
    metavar="[simulated|ability|rh56|…]",
    default="simulated",
    show_default=True,
    help=N_(
        "Which hand; without --hand-port its simulator. A hand that another package brings needs --hand-port."
    ),
)
@click.option("--hand-port", metavar="PORT", help=N_("Port of a real hand."))
@click.option(
    "--check-trials",
    type=click.IntRange(0, 50),
    default=8,
    show_default=True,
    help=N_("Trials of each class in the measured check before free use; 0 leaves it out."),
)
@click.option(
    "--minutes", type=click.FloatRange(0), help=N_("Minutes of free use after it. Default: until you end it.")
)
@plan_options
@result_options
def command(
    hand: str,
    hand_port: str | None,
    check_trials: int,
    minutes: float | None,
    blocks: int,
    trials: int,
    no_report: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Control the hand with today's calibration; Space and Esc are STOP.

    Without --user the whole way: signal check, calibration of a new user (one hand against rest), control. The hand is
    armed by a key, never by itself. First a measured check of rest and movement, so that false movements a minute rest
    on stated minutes; then free use. What has drifted since the calibration is said, and calibrating again is offered.
    """
    from bci.sessions.controlling import ControlOptions
    from bci.sessions.guided import CalibrationPlan
    from bci.sessions.warm_up import Compiling

    _refuse_unknown(hand, hand_port)
    wanted = ControlOptions(hand=hand, hand_port=hand_port, check_trials=check_trials, minutes=minutes)
    with (
        open_clinic(_("Control"), part=2, quiet=as_json, report=not no_report, **options) as (clinic, say),
        Compiling() as compiling,
    ):
        calibrating = not options["user"]
        if not calibrating:
            clinic.require_calibration()
        if not clinic.check():
            return 1
        while True:
            if calibrating:
                plan = CalibrationPlan(blocks=blocks, trials_per_class=trials)
                visit = clinic.calibrate(clinic.like_before(plan), compiling=compiling)
                if visit is None or visit.calibration is None or not visit.calibration.ready:
                    break
                if clinic.person:
                    say(clinic.result())
            visit = clinic.control(wanted)
            calibrating = clinic.recalibration_wanted
            if not calibrating:
                break
        if visit is not None and not no_report:
            say(_("Report: {path}").format(path=clinic.report()))
        tell_visit(visit, (clinic.result(), clinic.control_result()), as_json=as_json)
    return 0 if visit is not None and visit.control is not None else 1


def _refuse_unknown(hand: str, hand_port: str | None) -> None:
    """Before electrodes are looked at and a user sits through a calibration."""
    from bci.prosthesis.known_hands import BUILT_IN, hand_names

    if hand not in (names := hand_names()):
        raise click.UsageError(
            _("No hand is called {name}; these are known: {names}.").format(name=hand, names=", ".join(names))
        )
    if hand not in BUILT_IN and hand_port is None:
        raise click.UsageError(
            _("{name} has no simulator here; say with --hand-port where the hand is.").format(name=hand)
        )
