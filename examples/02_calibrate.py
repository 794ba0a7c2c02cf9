"""Guided calibration: what to do is shown, trials with artefacts are asked again, and the result is an honest one.

Needs nothing (the simulated board has a wearer who follows the cues), or a board with --port. It says beforehand how
many minutes it takes. P pauses, Enter goes on, Space and Esc are STOP, Q ends it.

    python examples/02_calibrate.py                                    one hand against rest, 4 blocks
    python examples/02_calibrate.py --classes rest,left,right          both hands
    python examples/02_calibrate.py --movement executed --port COM3    a user who can move the hand
    python examples/02_calibrate.py --fast                             faster than life, simulated board only

The same as `bci calibrate`. Everything stays in one folder, ~/bci-sessions or the one that BCI_SESSIONS names.
"""

from __future__ import annotations

import sys

from bci.cli import main as bci


def main(argv: list[str] | None = None) -> int:
    return bci(["calibrate", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
