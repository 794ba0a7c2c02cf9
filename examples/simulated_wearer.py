"""A recording to try things with: cued runs of a simulated wearer over the board's real bytes, faster than life.

Used by other examples when they are given no recording; it also runs by itself:
python examples/simulated_wearer.py wearer.bfp
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from bci.acquisition import open_source
from bci.acquisition.simulator import CuedRun, SimulatedBoard, Synthetic


def record_wearer(path: Path, *, runs: int = 2, trials: int = 15, seed: int = 0) -> Path:
    """`runs` runs with `trials` cues for rest and as many for the right hand, each begun by a START."""
    run = CuedRun(classes=("rest", "right"), trials_per_class=trials)
    with ExitStack() as stack:
        board = stack.enter_context(SimulatedBoard(Synthetic(seed=seed, runs=(run,) * runs), speed=0))
        source = stack.enter_context(open_source(board.port, labels=board.labels, record_to=path))
        for _ in range(runs):
            source.start()
            ended = False
            while not ended:
                chunks = source.read(timeout_s=5.0)
                ended = any(m.label == "run_end" for c in chunks for m in c.markers) or not chunks
            source.stop()
    return path


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "wearer.bfp")
    print(f"{record_wearer(target)}: {target.stat().st_size / 1e6:.1f} MB")
