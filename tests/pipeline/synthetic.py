"""Small seeded runs with a mu rhythm that weakens over one hand area while a grasp is cued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from bci.chunks import Chunk, Marker, SignalInfo
from bci.pipeline import Run

CHANNELS = ("C3", "Cz", "C4", "Pz", "F3")
INFO = SignalInfo(CHANNELS, Fraction(125))
TRIAL_S, TASK_S = 8, 4


def make_run(
    *, seed: int, trials: int = 16, first_sample: int = 0, depth: float = 0.75, info: SignalInfo = INFO
) -> Run:
    """One run; half of the trials are "grasp", half "rest". `depth` 0 leaves nothing to decode."""
    fs = round(info.fs_hz)
    rng = np.random.default_rng(seed)
    n = (trials * TRIAL_S + 4) * fs
    cues = 4 * fs + np.arange(trials) * TRIAL_S * fs
    labels = rng.permutation(["grasp", "rest"] * (trials // 2))
    strength = np.ones(n)
    for cue, label in zip(cues, labels, strict=True):
        if label == "grasp":
            strength[cue + fs // 4 : cue + TASK_S * fs] = 1.0 - depth
    phase = 2 * np.pi * np.cumsum(10.0 + 0.5 * rng.standard_normal(n)) / fs
    sources = 3.0 * rng.standard_normal((info.n_channels, n))
    sources[0] += 12.0 * strength * np.sin(phase)
    mixing = np.eye(info.n_channels) + 0.2 * np.random.default_rng(7).standard_normal((info.n_channels,) * 2)
    data = mixing @ sources + 20_000.0  # electrodes lie on a half-cell potential
    markers = [
        Marker(first_sample + int(c), str(name), source="trigger")
        for c, name in zip(cues, labels, strict=True)
    ]
    return Run.from_array(data, info, markers, first_sample=first_sample)


def recut(run: Run, cuts: Sequence[int]) -> Run:
    """The same run in other chunks: cut at these fractions of 1000."""
    (whole,) = run.chunks
    at = sorted({whole.n_samples * cut // 1000 for cut in cuts} - {0, whole.n_samples})
    edges = [0, *at, whole.n_samples]
    chunks = [
        Chunk(whole.data_uv[:, a:b], whole.first_sample + a, restart=a == 0) for a, b in pairwise(edges)
    ]
    return replace(run, chunks=tuple(chunks))


def with_loss(run: Run, start: int, n: int) -> Run:
    """The same run without `n` samples from offset `start` on."""
    (whole,) = run.chunks
    before = Chunk(whole.data_uv[:, :start], whole.first_sample, restart=True)
    after = Chunk(whole.data_uv[:, start + n :], whole.first_sample + start + n, lost_before=n)
    return replace(run, chunks=(before, after))
