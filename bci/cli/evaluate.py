"""`bci evaluate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bci.cli._lists import numbers, words

if TYPE_CHECKING:
    from bci.pipeline import Evaluation
    from bci.sessions.evaluating import SubjectEvaluation

__all__ = ["command"]


@click.command("evaluate", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--subject", "subjects", multiple=True, metavar="ID", help="Whose runs; may be given again (S02)."
)
@click.option("--train", "train_runs", metavar="RUNS", help="Runs to train on, e.g. R1,R2.")
@click.option(
    "--test", "test_runs", metavar="RUNS", help="Runs to test on. Neither: each run is left out once."
)
@click.option("--runs", metavar="RUNS", help="Only these runs. Default: all of intended movement.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=MARKER", help="What a class is called in the file."
)
@click.option(
    "--unit", type=click.Choice(["uV", "mV", "V", "nV"]), help="What a stored number is, if the file errs."
)
@click.option(
    "--channels", metavar="NAMES", help="C3,Cz,C4 … or sensorimotor (FC C CP), motor (F3 Fz F4 C3 Cz C4)."
)
@click.option("--notch", metavar="HZ", help="Lines to remove, e.g. 50 or 25,31.25,50.")
@click.option(
    "--window",
    metavar="START,END",
    default="0.5,3.5",
    show_default=True,
    help="Cued window, s after the cue.",
)
@click.option(
    "--task",
    "task_s",
    type=click.FloatRange(0.5, 60.0),
    default=4.0,
    show_default=True,
    help="Task length, s.",
)
@click.option(
    "--budget", type=click.FloatRange(0.05, 20.0), default=1.0, show_default=True, help="False movements/min."
)
@click.option("--cued-only", is_flag=True, help="Leave the asynchronous decoder and its policy out.")
@click.option("--learning-curve", "curve", is_flag=True, help="Also: how many training trials are enough.")
@click.option(
    "--shuffled-within-runs",
    "shuffled",
    is_flag=True,
    help="Deal the trials of one run out to training and test, as some papers do. It scores the run's drift too.",
)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a report with pictures.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print everything for programs, and nothing else, on stdout."
)
def command(
    path: Path,
    subjects: tuple[str, ...],
    train_runs: str | None,
    test_runs: str | None,
    runs: str | None,
    labels: tuple[str, ...],
    unit: str | None,
    channels: str | None,
    notch: str | None,
    window: str,
    task_s: float,
    budget: float,
    cued_only: bool,
    curve: bool,
    shuffled: bool,
    html: Path | None,
    as_json: bool,
) -> int:
    """How well intended movement is decoded from PATH, on runs that the decoder has not seen.

    PATH is a recording of this project (.bfp, e.g. of a calibration: each of its blocks is a run), or a folder of
    files, one or more runs each (.bfp, EDF, BDF, GDF, FIF, BrainVision, XDF); the folder of a visit gives the cued
    checks of its control, too. The default decoder stands beside the
    usual ones on the same trials, every figure with its interval and with what chance reaches. Trials of one run are
    never dealt out to training and test: that would score the run's drift.
    """
    from bci.interop import parse_labels
    from bci.sessions.evaluating import EvaluationRequest, evaluate_recordings

    start, end = numbers(window, "--window", count=2)
    request = EvaluationRequest(
        path=path,
        train=words(train_runs),
        test=words(test_runs),
        runs=words(runs),
        labels=parse_labels(labels) if labels else None,
        unit=unit,
        channels=words(channels),
        notch_hz=tuple(numbers(notch, "--notch")) if notch else (),
        window_s=(start, end),
        task_s=task_s,
        budget_per_min=budget,
        control=not cued_only,
        learning_curve=curve,
        shuffled_within_runs=shuffled,
    )
    if shuffled:
        click.echo(
            "Trials of one run train and test: neighbouring trials share drift, so these figures are too high. "
            "Leave --shuffled-within-runs out for an honest score.",
            err=True,
        )
    if html is not None and html.exists():
        raise click.BadParameter(f"{html} exists; name a new file", param_hint="--html")
    results = evaluate_recordings(request, subjects=subjects or (None,), say=_progress)
    if html is not None:
        from bci.report.evaluation import write_evaluation

        write_evaluation(html, results)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in results], ensure_ascii=False, allow_nan=False))
        return 0
    for result in results:
        _print(result)
    if len(results) > 1:
        _print_mean(results)
    if html is not None:
        click.echo(f"report  {html}")
    return 0


def _progress(words: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[2K{words}", nl=False, err=True)


def _print(result: SubjectEvaluation) -> None:
    names, found, curve = result.names, result.evaluation, result.curve
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", nl=False, err=True)
    some = found.cued["default"]
    folds = "; ".join(
        " → ".join(" ".join(names[i] for i in part) for part in (fold.training, fold.testing))
        for fold in found.folds
    )
    click.secho(result.title, bold=True)
    click.echo(
        f"  {len(some.labels)} trials ({', '.join(some.classes)}), folds {folds}; {found.dropped} dropped"
    )
    click.echo(
        f"  chance {some.chance:.2f}; guessing reaches {some.chance_threshold:.2f} once in 20 such sets"
    )
    click.echo(
        "  cued trials           bal. acc.  95 % interval   kappa    AUC  log-loss  Brier  ECE (debiased)  per run"
    )
    for name, one in found.cued.items():
        low, high = one.interval
        trend = " ".join(f"{value:.2f}" for value in one.per_run.values())
        click.echo(
            f"  {name:<21} {one.balanced_accuracy:9.3f}  {low:5.2f} to {high:4.2f}  {one.kappa:7.2f}"
            f"  {one.area_under_curve:5.2f}  {one.log_loss:8.3f}  {one.brier_score:5.3f}"
            f"  {one.calibration.debiased:14.3f}  {trend}"
        )
    for rival in ("TS + LR", "CSP + LDA"):
        if rival in found.cued:
            gain = found.against(rival)
            click.echo(
                f"  default − {rival:<9} {gain.difference:+.3f}  95 % {gain.interval.low:+.3f} to "
                f"{gain.interval.high:+.3f}"
            )
    if result.trial_s > 0:
        click.echo(
            f"  information of the default: {some.bits_per_min(result.trial_s):.1f} bits/min (Wolpaw; accuracy "
            f"{some.accuracy:.3f}, a trial each {result.trial_s:.1f} s)"
        )
    _print_control(found)
    if curve:
        click.echo("  training trials per class → balanced accuracy of the same test trials")
        click.echo("  " + "   ".join(f"{n}: {one.balanced_accuracy:.3f}" for n, one in curve.items()))
    click.echo("")


def _print_control(found: Evaluation) -> None:
    for refusal in dict.fromkeys(found.refusals):
        click.echo(f"  control: no policy, {refusal}")
    score = found.control
    if score is None:
        return
    low, high = score.false_positives_interval
    click.echo(
        f"  control (asynchronous, whole runs): {score.hits} of {score.n_events} movements found "
        f"({score.true_positive_rate:.2f}; firing blindly as often {score.blind_true_positive_rate:.2f}), "
        f"median after {score.latency_s_median:.1f} s"
    )
    click.echo(
        f"    {score.false_positives} false movements in {score.idle_s / 60:.1f} min idle: "
        f"{score.false_positives_per_min:.2f}/min (95 % {low:.2f} to {high:.2f}); F1 {score.f1:.2f}, "
        f"nMCC {score.normalised_mcc:.2f}"
    )


def _print_mean(results: list[Any]) -> None:
    from bci.evaluation import paired_bootstrap

    click.secho(f"mean of {len(results)} subjects", bold=True)
    for name in results[0].evaluation.cued:
        values = [r.evaluation.cued[name].balanced_accuracy for r in results if name in r.evaluation.cued]
        click.echo(f"  {name:<21} {sum(values) / len(values):9.3f}   " + " ".join(f"{v:.3f}" for v in values))
    for rival in ("TS + LR", "CSP + LDA"):
        pairs = [r.evaluation.pair(rival) for r in results if rival in r.evaluation.cued]
        if pairs:
            gain = paired_bootstrap(pairs)
            click.echo(
                f"  default − {rival:<9} {gain.difference:+.3f}  95 % {gain.interval.low:+.3f} to "
                f"{gain.interval.high:+.3f}"
            )
    scores = [r.evaluation.control for r in results if r.evaluation.control is not None]
    if scores:
        rates = [s.true_positive_rate for s in scores]
        false = [s.false_positives_per_min for s in scores]
        click.echo(
            f"  control: found {sum(rates) / len(rates):.2f}, false {sum(false) / len(false):.2f}/min "
            f"(means over {len(scores)} subjects)"
        )
