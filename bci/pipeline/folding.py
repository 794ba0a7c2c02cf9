"""Which runs train and which test; no run is in both.

Trials of one run are never dealt out to both sides, unless the caller asks for that by its name, to reproduce somebody
else's figure: neighbouring trials share drift, impedance and posture, and the score is of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bci.errors import LabelError, TooFewRunsError
from bci.language import _
from bci.pipeline.runs import Run

__all__ = ["Fold", "choose_folds", "shuffled_within_runs"]


class Fold(NamedTuple):
    """Positions of the runs that train and of those that test."""

    training: tuple[int, ...]
    testing: tuple[int, ...]


def choose_folds(
    n_runs: int, *, train: Sequence[int] = (), test: Sequence[int] = (), sessions: Sequence[object] = ()
) -> list[Fold]:
    """Which runs train and which test.

    Parameters
    ----------
    n_runs : int
    train, test : sequence of int
        Positions from 0. Both given: one fold. Neither: every run is left out once.
    sessions : sequence, length n_runs
        What each run belongs to (a day, a person); then every session is left out once instead of every run.

    Raises
    ------
    TooFewRunsError
        If there is nothing to leave out: one run, or one session, allows no honest validation.
    LabelError
        If a run trains and tests, does not exist, or only one of the two is given.

    Examples
    --------
    >>> choose_folds(3)[0]
    Fold(training=(1, 2), testing=(0,))
    """
    if train or test:
        both = sorted(set(train) & set(test))
        missing = sorted(run for run in {*train, *test} if not 0 <= run < n_runs)
        if both or missing or not (train and test):
            what = (
                _("run {run} trains and tests").format(run=both[0] + 1)
                if both
                else _("training and test runs are needed")
            )
            if missing:
                what = _("there is no run {run} among {n_runs}").format(run=missing[0] + 1, n_runs=n_runs)
            raise LabelError(
                _("{what}: name training and test runs that differ").format(what=what), found=(), expected=()
            )
        return [Fold(tuple(train), tuple(test))]
    groups = list(range(n_runs)) if not sessions else list(sessions)
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        what = "session" if sessions else "run"
        raise TooFewRunsError(
            _(
                "an honest score needs at least 2 {what}s, got {n}: record another one. Splitting one "
                "would measure its drift, not the decoder."
            ).format(what=what, n=len(names)),
            n_runs=len(names),
            needed=2,
        )
    return [
        Fold(
            tuple(i for i, group in enumerate(groups) if group != name),
            tuple(i for i, group in enumerate(groups) if group == name),
        )
        for name in names
    ]


def shuffled_within_runs(
    runs: Sequence[Run], *, labels: Sequence[str], n_folds: int = 5, seed: int = 0
) -> tuple[list[Run], list[Fold]]:
    """Folds that deal the trials of every run out to both sides, for `evaluate`; only to reproduce others' figures.

    Neighbouring trials share drift, impedance and posture, so what such folds score is partly the run and not the
    movement. They are had by this name alone. Control over whole runs means nothing with them.

    Returns
    -------
    runs : list of Run
        The same signals, once per fold and side, each with the cues of that side.
    folds : list of Fold

    Raises
    ------
    LabelError
        If there are fewer than 2 folds.
    """
    if n_folds < 2:
        raise LabelError(
            _("expected at least 2 folds, got {n_folds}").format(n_folds=n_folds), found=(), expected=()
        )
    rng = np.random.default_rng(seed)
    parts: list[Run] = []
    folds: list[Fold] = []
    dealt = []
    for run in runs:
        cues = [m for m in run.markers if m.label in labels]
        fold_of = np.empty(len(cues), dtype=np.int64)
        for name in labels:  # each class by itself, so that no fold lacks one
            of_class = np.array([m.label == name for m in cues], dtype=np.bool_)
            fold_of[of_class] = rng.permutation(int(of_class.sum())) % n_folds
        dealt.append((cues, fold_of))
    for k in range(n_folds):
        sides = [
            [
                replace(
                    run,
                    markers=tuple(m for m, fold in zip(cues, fold_of, strict=True) if (fold == k) == tested),
                )
                for run, (cues, fold_of) in zip(runs, dealt, strict=True)
            ]
            for tested in (False, True)
        ]
        first = len(parts)
        parts += [*sides[0], *sides[1]]
        middle = first + len(runs)
        folds.append(Fold(tuple(range(first, middle)), tuple(range(middle, middle + len(runs)))))
    return parts, folds
