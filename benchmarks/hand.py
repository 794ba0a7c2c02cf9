"""What moves the hand on real grasp imagery: naive threshold, plain dwell and the intent policy, side by side.

Four people of the mi_openbci set ($BCI_DATA, or ../shared/data): everything is chosen on runs 1 and 2, with decoders
that had not seen the run they speak of; runs 3 and 4 are played as they would come live and scored by the asynchronous
protocol of `bci.evaluation.events`. Plain dwell and the policy are chosen by the same rule: most hits among those
whose Poisson upper limit of false activations lies within the budget.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bci.decisions import Prediction
from bci.errors import PolicyRefusedError
from bci.evaluation import EventScore, TaskEvent, match_events, poisson_interval
from bci.pipeline import OnlinePipeline, Run, train
from bci.pipeline.runs import task_events
from bci.prosthesis import IntentPolicy, choose_policy
from bci.prosthesis.operating_point import CONFIDENCE
from bci.sessions.offline import read_runs
from benchmarks._measure import Row, say

DATA = (
    Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "mi_openbci"
)
SUBJECTS = ("S02", "S03", "S04", "S05")
BUDGETS = (1.0, 2.0)
GRASP = "grasp"
LABELS = {GRASP: "OVTK_GDF_Right", "rest": "OVTK_GDF_Tongue"}
TASK_S = 4.0

#: Plain dwell's grid: probability, and decisions in a row (ten a second).
PROBABILITIES = tuple(np.arange(0.50, 0.99, 0.02).round(2).tolist())
IN_A_ROW = (1, 3, 5, 8, 10, 15, 20)

Outputs = Callable[[Sequence[Prediction]], list[bool]]


@dataclass(frozen=True, slots=True)
class Played:
    """What a decoder said of one run, and what was asked for."""

    predictions: list[Prediction]
    events: list[TaskEvent]

    def score(self, outputs: Outputs, fs_hz: float) -> EventScore:
        at = [p.sample_index for p in self.predictions]
        return match_events(at, np.array(outputs(self.predictions)), self.events, fs_hz=fs_hz)


def run(quick: bool) -> list[Row]:
    if not DATA.exists():
        raise SystemExit(
            f"real recordings not here: {DATA}; set BCI_DATA to the folder that holds mi_openbci"
        )
    budgets = BUDGETS[:1] if quick else BUDGETS
    told: dict[float, dict[str, list[EventScore]]] = {b: {} for b in budgets}
    promised: dict[float, list[float]] = {b: [] for b in budgets}
    for subject in SUBJECTS:
        say(f"{subject}: training on two runs, deciding on all")
        fs_hz, training, testing = _play(subject)
        for budget in budgets:
            say(f"{subject}: choosing policies, {budget:g} false activations a minute")
            for name, outputs, expected in _contenders(training, fs_hz, budget):
                score = sum((run.score(outputs(), fs_hz) for run in testing), EventScore())
                told[budget].setdefault(name, []).append(score)
                if name == "policy":
                    promised[budget].append(expected)
    rows = []
    for budget in budgets:
        _print(budget, told[budget], promised[budget])
        rows += _rows(budget, told[budget])
    return rows


# ---- what the decoders say


def _play(subject: str) -> tuple[float, list[Played], list[Played]]:
    """Out-of-fold predictions of the training runs, and live predictions of the later ones."""
    runs, _, classes = read_runs(DATA, subject=subject, labels=LABELS, unit="uV")
    with mock.patch("bci.pipeline.training.choose_policy", wraps=choose_policy) as search:
        model = train(runs[:2], labels=classes, task_s=TASK_S)
    left_out, events = search.call_args.args[:2]
    training = [Played(list(p), list(e)) for p, e in zip(left_out, events, strict=True)]
    return model.chain.fs_hz, training, [_live(model, run) for run in runs[2:4]]


def _live(model: Any, run: Run) -> Played:
    pipeline = OnlinePipeline(model, run.info)
    predictions = [p for chunk in run.chunks for p in pipeline.step(chunk)]
    return Played(predictions, list(task_events(run, [GRASP], task_s=TASK_S)))


# ---- who makes movements of it


def _contenders(
    training: list[Played], fs_hz: float, budget: float
) -> list[tuple[str, Callable[[], Outputs], float]]:
    found: list[tuple[str, Callable[[], Outputs], float]] = [
        ("naive p > 0.5", lambda: _dwell(0.5, 1), math.nan)
    ]
    best: tuple[tuple[int, int], float, int] | None = None
    for p in PROBABILITIES:
        for n in IN_A_ROW:
            score = sum((run.score(_dwell(p, n), fs_hz) for run in training), EventScore())
            upper = poisson_interval(score.false_positives, score.idle_s / 60.0, confidence=CONFIDENCE).high
            merit = (score.hits, -score.false_positives)
            if upper <= budget and (best is None or merit > best[0]):
                best = (merit, p, n)
    chosen = best
    if chosen is not None:
        found.append(("plain dwell", lambda: _dwell(chosen[1], chosen[2]), math.nan))
    else:
        found.append(("plain dwell", lambda: _nothing, math.nan))
    try:
        choice = choose_policy(
            [run.predictions for run in training],
            [run.events for run in training],
            fs_hz=fs_hz,
            budget_per_min=budget,
        )
    except PolicyRefusedError:
        found.append(("policy", lambda: _nothing, math.nan))
    else:
        rate = choice.expected_hit_rate

        def ours() -> Outputs:
            policy = IntentPolicy(choice.parameters, fs_hz=fs_hz)
            return lambda predictions: [policy.update(p) is not None for p in predictions]

        found.append(("policy", ours, rate))
    return found


def _dwell(probability: float, in_a_row: int) -> Outputs:
    """On while the last `in_a_row` decisions were all above `probability`."""

    def outputs(predictions: Sequence[Prediction]) -> list[bool]:
        count, on = 0, []
        for p in predictions:
            above = p.valid and p.probabilities[p.classes.index(GRASP)] > probability
            count = count + 1 if above else 0
            on.append(count >= in_a_row)
        return on

    return outputs


def _nothing(predictions: Sequence[Prediction]) -> list[bool]:
    """What was refused moves nothing."""
    return [False] * len(predictions)


# ---- the table


def _print(budget: float, told: dict[str, list[EventScore]], promised: list[float]) -> None:
    print(f"budget {budget:g} false activations a minute; chosen on runs 1–2, scored on runs 3–4\n")
    print("| | subject | hit rate | blind | FP/min | 95 % | latency s | promised |")
    print("| --- | --- | ---: | ---: | ---: | --- | ---: | ---: |")
    for name, scores in told.items():
        for i, (subject, s) in enumerate(zip(SUBJECTS, scores, strict=True)):
            low, high = s.false_positives_interval
            promise = f"{promised[i]:.2f}" if name == "policy" and not math.isnan(promised[i]) else ""
            print(
                f"| {name} | {subject} | {s.true_positive_rate:.2f} | {s.blind_true_positive_rate:.2f} "
                f"| {s.false_positives_per_min:.2f} | {low:.2f}–{high:.2f} | {s.latency_s_median:.2f} | {promise} |"
            )
        print(
            f"| **{name}** | mean | **{_mean(scores, 'true_positive_rate'):.3f}** "
            f"| {_mean(scores, 'blind_true_positive_rate'):.2f} "
            f"| {_mean(scores, 'false_positives_per_min'):.2f} | | {_mean(scores, 'latency_s_median'):.2f} | |"
        )
    print()


def _mean(scores: list[EventScore], figure: str) -> float:
    return float(np.nanmean([getattr(score, figure) for score in scores]))


def _rows(budget: float, told: dict[str, list[EventScore]]) -> list[Row]:
    """The two figures: hits beside plain dwell's, and the budget beside what surely happened."""
    ours, dwell = told["policy"], told["plain dwell"]
    hits, rival_hits = (_mean(s, "true_positive_rate") for s in (ours, dwell))
    surely = max(score.false_positives_interval.low for score in ours)
    return [
        Row(
            work=f"mean hit rate at budget {budget:g}/min, median latency",
            rival="plain dwell",
            ours_s=_mean(ours, "latency_s_median"),
            rival_s=_mean(dwell, "latency_s_median"),
            ratio=hits / rival_hits if rival_hits else math.inf,
            target=1.0,
            note=f"hit rate {hits:.3f} and {rival_hits:.3f}",
        ),
        Row(
            work=f"stated budget {budget:g}/min over the highest Poisson lower limit of any subject",
            rival="budget",
            ours_s=math.nan,
            rival_s=math.nan,
            ratio=budget / surely if surely else math.inf,
            target=1.0,
            note=f"surely {surely:.2f}/min in the worst subject",
        ),
    ]
