"""Compile everything that decides, before it has to: in a process of its own, while the board is opened and calibrates.

Compiling holds the interpreter's lock for ten seconds the first time on a computer; another process does not feel it.
What it compiles lies on disk afterwards and is loaded from there. Kernels of the acquisition are compiled where they
run, before the port opens.
"""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from types import TracebackType

import numpy as np

from bci.chunks import Marker, SignalInfo
from bci.pipeline import OnlinePipeline, Run, score_cued, train

__all__ = ["Compiling", "warm_up"]


class Compiling:
    """`warm_up` in a process of its own, killed on leaving. Without it kernels are compiled when they are called."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bci.sessions.warm_up"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def wait_for_training(self) -> None:
        """Until what training needs is compiled; the online step may still be on its way."""
        assert self._process.stdout is not None
        self._process.stdout.readline()  # nothing where the process has ended: then there is nothing to wait for

    def wait(self) -> None:
        """Until everything is compiled."""
        self._process.wait()

    def __enter__(self) -> Compiling:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


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
    print("training", flush=True)  # noqa: T201 - for `Compiling`, which reads it
    OnlinePipeline(model, info)
    score_cued(model, runs)


if __name__ == "__main__":
    warm_up()
