"""A recording to try things with: cued runs of a simulated wearer.

Over the board's real bytes, faster than life. Used by other examples when they
are given no recording; it also runs by itself:

    python examples/simulated_wearer.py wearer.bfp
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from bci.acquisition import open_source
from bci.acquisition.simulator import CuedRun, SimulatedBoard, Synthetic
from bci.errors import BciError


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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", nargs="?", type=Path, default=Path("wearer.bfp"), help="where to write")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=15, help="of each class in a run")
    parser.add_argument("--seed", type=int, default=0, help="another wearer, another noise")
    args = parser.parse_args(argv)
    try:
        path = record_wearer(args.recording, runs=args.runs, trials=args.trials, seed=args.seed)
    except (BciError, ValueError, OSError) as err:
        print(err, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
