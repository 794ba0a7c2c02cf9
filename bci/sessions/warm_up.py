"""Compile everything a session will run, before the first real byte."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from bci.chunks import Marker, SignalInfo
from bci.pipeline import OnlinePipeline, Run, score_cued, train

__all__ = ["warm_up"]


def warm_up() -> None:
    """Train on a few seconds of noise and score it: loads the libraries and compiles the kernels of a whole session.

    The compiled kernels are kept on disk, so this takes long only the first time on a computer.
    """
    rng = np.random.default_rng(0)
    info = SignalInfo(("C3", "Cz", "C4"), Fraction(125))
    cues = tuple(Marker(250 + 750 * k, "right" if k % 2 else "rest") for k in range(10))
    runs = [
        Run.from_array(rng.standard_normal((3, 750 * 10 + 500)), info, cues, first_sample=10_000 * k)
        for k in range(2)
    ]
    model = train(runs, labels=("rest", "right"))
    OnlinePipeline(model, info)
    score_cued(model, runs)
