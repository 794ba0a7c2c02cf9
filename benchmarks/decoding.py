"""How well movement is decoded on the recordings below $BCI_DATA or ../shared/data: a table a set, with intervals.

Each set is evaluated as docs/decoding.md says: whole runs are left out, nothing is chosen on them, all decoders answer
the same trials. `--quick` takes fewer people and leaves control out. Sets that are not there are named and left out. A
row misses its target where the lower bound of the default decoder, over all trials of a set, is not above chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bci.evaluation import PairedDifference, balanced_accuracy_interval, paired_bootstrap, sign_flip_test
from bci.sessions.evaluating import EvaluationRequest, SubjectEvaluation, evaluate_recordings
from benchmarks._measure import say

__all__ = ["SUITES", "Line", "Suite", "lines_of", "run", "table", "to_json"]

DATA = Path(os.environ.get("BCI_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of recordings and how it is evaluated. `people` are None where the folder holds one."""

    title: str
    folder: str
    people: tuple[str | None, ...] = (None,)
    options: dict[str, Any] = field(default_factory=dict)
    pattern: str = ""  # of its files, where the folder holds others, too
    control: bool = False


_TAU = {"notch_hz": (25.0, 31.25, 50.0)}

SUITES = (
    Suite(
        "MI-OpenBCI: grasp imagined or rest, R1–R2 train, R3–R4 test",
        "mi_openbci",
        ("S02", "S03", "S04", "S05"),
        {"train": ("R1", "R2"), "test": ("R3", "R4"), "budget_per_min": 2.0},
        control=True,
    ),
    Suite(
        "PhysioNet S001: left or right fist imagined, 21 channels, each run left out",
        "eegmmidb",
        options={"channels": ("sensorimotor",)},
    ),
    Suite(
        "BCI4ALS T: left or right, each recording left out",
        "tau_mi_xdf",
        options={"labels": {"left": "2", "right": "3"}, **_TAU},
    ),
    Suite(
        "BCI4ALS T: idle or right, each recording left out",
        "tau_mi_xdf",
        options={"labels": {"rest": "1", "right": "3"}, **_TAU},
    ),
    Suite(
        "SSVEP exoskeleton: rest, 13, 17 or 21 Hz, each recording left out",
        "ssvep_exo",
        options={
            "window_s": (1.0, 4.5),
            "unit": "mV",
            "labels": {"rest": "1", "13Hz": "2", "21Hz": "3", "17Hz": "4"},
        },
        pattern="*_raw.fif",
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One decoder on one set, all people's trials together; `people` are balanced accuracies one by one."""

    suite: str
    decoder: str
    trials: int
    chance: float
    balanced_accuracy: float
    low: float
    high: float
    kappa: float
    people: tuple[float, ...]
    gain: PairedDifference | None = None
    p_value: float | None = None
    control: str = ""

    @property
    def reached(self) -> bool:
        return self.decoder != "default" or self.low > self.chance


def run(quick: bool) -> list[Line]:
    """Evaluate every set that is there."""
    lines: list[Line] = []
    for suite in SUITES:
        folder = DATA / suite.folder
        if not folder.is_dir():
            say(f"{suite.title}: not here ({folder}); left out")
            continue
        people = suite.people[:2] if quick else suite.people
        files = tuple(sorted(folder.rglob(suite.pattern))) if suite.pattern else ()
        request = EvaluationRequest(folder, control=suite.control and not quick, files=files, **suite.options)
        lines += lines_of(suite.title, evaluate_recordings(request, subjects=people, say=say))
    return lines


def lines_of(title: str, results: Sequence[SubjectEvaluation]) -> Iterable[Line]:
    """A line for each decoder that all people have."""
    found = [result.evaluation for result in results]
    names = [name for name in found[0].cued if all(name in one.cued for one in found)]
    for name in names:
        ones = [one.cued[name] for one in found]
        values = tuple(one.balanced_accuracy for one in ones)
        labels = [label for one in ones for label in one.labels]
        said = [label for one in ones for label in one.predicted]
        low, high = balanced_accuracy_interval(labels, said)
        gain = p_value = None
        if name != "default":
            gain = paired_bootstrap([one.pair(name) for one in found])
            p_value = sign_flip_test(
                [one.cued["default"].balanced_accuracy - v for one, v in zip(found, values, strict=True)]
            )
        yield Line(
            title,
            name,
            len(labels),
            ones[0].chance,
            sum(values) / len(values),
            low,
            high,
            sum(one.kappa for one in ones) / len(ones),
            values,
            gain,
            p_value,
            _control(results) if name == "default" else "",
        )


def _control(results: Sequence[SubjectEvaluation]) -> str:
    """Hits and false movements of the asynchronous decoder: never mixed with cued accuracy."""
    scores = [result.evaluation.control for result in results if result.evaluation.control is not None]
    if not scores:
        return ""
    hits = sum(s.true_positive_rate for s in scores) / len(scores)
    false = sum(s.false_positives_per_min for s in scores) / len(scores)
    return f"{hits:.2f} found, {false:.2f} false/min"


def table(lines: Sequence[Line]) -> str:
    """Markdown, a table for each set."""
    out: list[str] = []
    for title in dict.fromkeys(line.suite for line in lines):
        ours = [line for line in lines if line.suite == title]
        out += [
            f"**{title}** ({ours[0].trials} trials, chance {ours[0].chance:.2f})",
            "",
            "| decoder | balanced accuracy | 95 % of all trials | kappa | each person | default minus this (95 %) | p "
            "| control |",
            "| --- | ---: | --- | ---: | --- | --- | ---: | --- |",
        ]
        for line in ours:
            people = " ".join(f"{value:.3f}" for value in line.people)
            gain = p = ""
            if line.gain is not None and line.p_value is not None:
                low, high = line.gain.interval
                gain, p = f"{line.gain.difference:+.3f} ({low:+.3f} to {high:+.3f})", f"{line.p_value:.2g}"
            mark = "" if line.reached else " **not above chance**"
            out.append(
                f"| {line.decoder} | {line.balanced_accuracy:.3f}{mark} | {line.low:.2f}–{line.high:.2f} "
                f"| {line.kappa:.2f} | {people} | {gain} | {p} | {line.control} |"
            )
        out.append("")
    return "\n".join(out)


def to_json(line: Line) -> dict[str, Any]:
    return asdict(line) | {"reached": line.reached}
