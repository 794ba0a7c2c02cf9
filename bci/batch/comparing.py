"""Decoders of a batch against each other: on the same trials, and over the people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bci.batch.results import DONE, Record
from bci.evaluation import (
    PairedDifference,
    PairedTrials,
    balanced_accuracy,
    paired_bootstrap,
    sign_flip_test,
)

__all__ = ["Against", "Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Against:
    """Ours minus theirs.

    `difference` is about these people: its interval comes from drawing their trials anew. `p_value` is about people
    like them: `sign_flip_test` of one difference a person, adjusted for the number of rivals (Holm).
    """

    rival: str
    difference: PairedDifference
    wins: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean balanced accuracy of each decoder over the people that all of them have answered for."""

    ours: str
    means: dict[str, float]
    against: tuple[Against, ...] = ()
    n_subjects: int = 0
    left_out: tuple[str, ...] = field(default=())


def compare(records: Iterable[Record], *, ours: str = "default") -> Comparison | None:
    """All decoders against `ours`. None where no record holds decoders' answers.

    Decoders that only some people have (a montage without motor channels, say) are named in `left_out`.
    """
    trials: dict[str, dict[str, PairedTrials]] = {}  # person -> rival -> trials
    values: dict[str, dict[str, float]] = {}
    for record in records:
        if record.outcome != DONE or not record.detail:
            continue
        answers = {str(row.get("decoder")): record.detail.get(str(n)) for n, row in enumerate(record.rows)}
        if (mine := answers.get(ours)) is None:
            continue
        values[record.item] = {
            name: balanced_accuracy(theirs["labels"], theirs["predicted"])
            for name, theirs in answers.items()
            if theirs
        }
        trials[record.item] = {
            name: PairedTrials(mine["labels"], mine["predicted"], theirs["predicted"], mine["runs"])
            for name, theirs in answers.items()
            if theirs and name != ours and theirs["labels"] == mine["labels"]
        }
    if not values:
        return None
    everybodys = [name for name in next(iter(values.values())) if all(name in one for one in values.values())]
    rivals = [name for name in everybodys if all(name in one for one in trials.values())]
    gains = {name: [one[ours] - one[name] for one in values.values()] for name in rivals}
    raw = [sign_flip_test(gains[name]) for name in rivals]
    against = tuple(
        Against(
            name,
            paired_bootstrap([one[name] for one in trials.values()]),
            int(np.sum(np.array(gains[name]) > 0)),
            p,
        )
        for name, p in zip(rivals, _holm(raw), strict=True)
    )
    return Comparison(
        ours,
        {name: float(np.mean([one[name] for one in values.values()])) for name in everybodys},
        against,
        len(values),
        tuple(sorted({name for one in values.values() for name in one} - set(everybodys))),
    )


def _holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted so that one false alarm among all of them is as rare as the level says (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, k in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = largest
    return adjusted
