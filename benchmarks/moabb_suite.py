"""The project's decoders inside MOABB's own evaluations, beside the results MOABB has published.

Needs `pip install moabb` and, the first time, internet: MOABB loads the sets (BNCI2014-001, BNCI2014-004, PhysionetMI,
Cho2017, Zhou2016; some 15 GB). Left or right hand, within session, 5 shuffled folds, area under the ROC curve: MOABB's
protocol, not this project's. Its filters look ahead and its folds share a run's drift, so these figures compare with
others' papers, not with docs/decoding.md.

`--quick` takes two people of each set. MOABB keeps what is done (bci-output/moabb), so a run that was ended goes on.
With BCI_MOABB_FAKE=1 made-up noise stands in for the sets: it shows that everything runs, and that noise scores chance.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._measure import say

__all__ = ["PUBLISHED", "Line", "run", "table", "to_json"]

#: Mean and standard deviation of the area under the curve, %, over people and sessions; left against right hand, within
#: session. Source: MOABB's documentation, "Benchmark", docs/source/paper_results.rst at commit 109d8cad; Chevallier et
#: al., The largest EEG-based BCI reproducibility study for open science, arXiv:2404.15319, 2024.
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "BNCI2014_001": {
        "CSP+LDA": (82.34, 17.26),
        "FilterBank+SVM": (84.44, 16.00),
        "TS+LR": (87.41, 12.58),
        "ACM+TS+SVM": (91.71, 10.30),
    },
    "BNCI2014_004": {
        "CSP+LDA": (80.10, 14.93),
        "FilterBank+SVM": (80.39, 16.05),
        "TS+LR": (80.09, 15.01),
        "ACM+TS+SVM": (82.67, 15.33),
    },
    "PhysionetMI": {
        "CSP+LDA": (65.75, 17.37),
        "FilterBank+SVM": (58.45, 13.93),
        "TS+LR": (67.28, 19.19),
        "ACM+TS+SVM": (63.55, 21.24),
    },
    "Cho2017": {
        "CSP+LDA": (71.38, 14.54),
        "FilterBank+SVM": (67.91, 15.63),
        "TS+LR": (75.01, 13.71),
        "ACM+TS+SVM": (73.56, 14.54),
    },
    "Zhou2016": {
        "CSP+LDA": (93.15, 6.88),
        "FilterBank+SVM": (92.64, 5.01),
        "TS+LR": (94.16, 6.33),
        "ACM+TS+SVM": (95.03, 4.76),
    },
}

RATE_HZ = 160.0  # the lowest of these sets


@dataclass(frozen=True, slots=True)
class Line:
    """A decoder on a set: mean and standard deviation over people and sessions, and how many those are."""

    dataset: str
    decoder: str
    mean: float
    deviation: float
    n: int
    reached: bool = True


def run(quick: bool) -> list[Line]:
    """Evaluate on every set; SystemExit with what to install where MOABB is missing."""
    try:
        import moabb
        from moabb.evaluations import WithinSessionEvaluation
        from moabb.paradigms import LeftRightImagery
    except ImportError as err:
        raise SystemExit(
            f"MOABB is not installed ({err}). It is no dependency of this project: `pip install moabb` into this "
            "environment, then run this again with internet"
        ) from err
    warnings.filterwarnings("ignore", module="moabb|mne|sklearn")
    moabb.set_log_level("warning")
    from bci.decoders import CspDecoder, DefaultDecoder, TangentSpaceDecoder

    # MOABB's filter-bank paradigms hand over one band at a time, so the default decoder filters each window itself
    contests = (
        (LeftRightImagery(fmin=4, fmax=40, resample=RATE_HZ), {"default": DefaultDecoder(fs_hz=RATE_HZ)}),
        (LeftRightImagery(), {"tangent space + LR": TangentSpaceDecoder(), "CSP + LDA": CspDecoder()}),
    )
    lines: list[Line] = []
    for name, dataset in _datasets(quick).items():
        for paradigm, pipelines in contests:
            say(f"{name}, {len(dataset.subject_list)} people: {', '.join(pipelines)}")
            evaluation = WithinSessionEvaluation(
                paradigm=paradigm,
                datasets=[dataset],
                overwrite=bool(os.environ.get("BCI_MOABB_FAKE")),
                hdf5_path=str(Path("bci-output", "moabb").absolute()),
                suffix="bci",
                random_state=0,
            )
            try:
                results = evaluation.process(pipelines)
            except OSError as err:  # of every library that loads files for MOABB
                raise SystemExit(
                    f"MOABB could not load {name}: there is no internet here, or its server does not answer. Connect "
                    "and run this again; what is done already is kept in bci-output/moabb"
                ) from err
            # its file of results may hold other sets, too
            lines += _lines(name, results[results["dataset"] == dataset.code])
    return sorted(lines, key=lambda line: (line.dataset, line.decoder))


def _datasets(quick: bool) -> dict[str, Any]:
    """Sets by the name of their class, which is not always what MOABB calls them in its results."""
    if os.environ.get("BCI_MOABB_FAKE"):
        from moabb.datasets.fake import FakeDataset

        fake = FakeDataset(
            ["left_hand", "right_hand"], n_sessions=1, n_subjects=2, n_runs=1, channels=("C3", "Cz", "C4")
        )
        return {"noise": fake}
    from moabb import datasets

    chosen = {name: getattr(datasets, name)() for name in PUBLISHED}
    if quick:
        for one in chosen.values():
            one.subject_list = one.subject_list[:2]
    return chosen


def _lines(dataset: str, results: Any) -> list[Line]:
    found = []
    for decoder, part in results.groupby("pipeline"):
        scores = 100.0 * part["score"].to_numpy(dtype=np.float64)
        found.append(
            Line(dataset, str(decoder), float(scores.mean()), float(scores.std(ddof=0)), len(scores))
        )
    return found


def table(lines: Sequence[Line]) -> str:
    """Markdown: ours, then what was published, per set."""
    out = [
        "| set | decoder | area under the curve, % | people × sessions | source |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for dataset in dict.fromkeys(line.dataset for line in lines):
        out += [
            f"| {dataset} | {line.decoder} | {line.mean:.2f} ± {line.deviation:.2f} | {line.n} | this run |"
            for line in lines
            if line.dataset == dataset
        ]
        out += [
            f"| {dataset} | {name} | {mean:.2f} ± {deviation:.2f} | all | published by MOABB |"
            for name, (mean, deviation) in PUBLISHED.get(dataset, {}).items()
        ]
    return "\n".join(out)


def to_json(line: Line) -> dict[str, Any]:
    return asdict(line)
