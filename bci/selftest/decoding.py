"""Checks of what decoders say of themselves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from bci.chunks import Marker, SignalInfo
from bci.pipeline import Run, train
from bci.selftest._check import Check, Result

__all__ = ["CHECKS", "permuted", "rhythmic_run"]

_INFO = SignalInfo(("C3", "Cz", "C4", "Pz", "F3"), Fraction(125))
_TRIAL_S, _TASK_S, _TRIALS = 8, 4, 20
_BANDS_HZ = ((8.0, 30.0), (8.0, 12.0), (14.0, 22.0))
_SEEDS = 200
#: With a one-sided level of 2.5 % five certificates are expected; more than 16 of 200 happen by chance once in 10⁵.
_ALLOWED = 16


def rhythmic_run(seed: int, *, depth: float = 0.5) -> Run:
    """A run whose 10 Hz rhythm over C3 weakens by `depth` while a grasp is cued."""
    fs = int(_INFO.rate)
    rng = np.random.default_rng(seed)
    n = (_TRIALS * _TRIAL_S + 4) * fs
    cues = 4 * fs + np.arange(_TRIALS) * _TRIAL_S * fs
    labels = rng.permutation(["grasp", "rest"] * (_TRIALS // 2))
    strength = np.ones(n)
    for cue in cues[labels == "grasp"]:
        strength[cue + fs // 4 : cue + _TASK_S * fs] = 1.0 - depth
    data = 3.0 * rng.standard_normal((_INFO.n_channels, n))
    data[0] += 8.0 * strength * np.sin(2 * np.pi * np.cumsum(10.0 + 0.5 * rng.standard_normal(n)) / fs)
    markers = [Marker(int(cue), str(label)) for cue, label in zip(cues, labels, strict=True)]
    return Run.from_array(data, _INFO, markers)


def permuted(run: Run, rng: np.random.Generator) -> Run:
    """The same run with its labels dealt out anew."""
    labels = rng.permutation([marker.label for marker in run.markers])
    return replace(
        run,
        markers=tuple(replace(m, label=str(label)) for m, label in zip(run.markers, labels, strict=True)),
    )


def _permuted_labels(nightly: bool) -> Result:
    seeds = range(_SEEDS if nightly else 8)
    runs = [rhythmic_run(k) for k in range(2)]
    certified = bool(not _refusal(runs))
    issued = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        issued += not _refusal([permuted(run, rng) for run in runs])
    allowed = _ALLOWED if nightly else 2
    return Result(
        passed=certified and issued <= allowed,
        measured=f"{issued} certificates for {len(seeds)} sets of permuted labels, "
        f"{'one' if certified else 'NONE'} for the true labels",
        figures={"issued": issued, "seeds": len(seeds), "true_labels_certified": certified},
    )


def _refusal(runs: list[Run]) -> str:
    """Why the decoder of cued trials is not shown to beat chance, "" if it is."""
    return train(runs, labels=("grasp", "rest"), bands_hz=_BANDS_HZ, control=False).validation.refusal


CHECKS = [
    Check(
        "permuted-labels",
        "decoding",
        "certificates for labels permuted within runs",
        f"at most {_ALLOWED} of {_SEEDS}, and one for the true labels",
        _permuted_labels,
    )
]
