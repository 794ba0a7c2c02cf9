"""Calibrate, then move the simulated hand by intending to; a report is written at the end.

Needs nothing: the simulated board has a wearer who intends to move when asked. With --port a real board is used, whose
trigger line carries the cues (see bci demo --help). Ctrl-C stops; the hand holds at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bci.cli import main as bci


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", help="/dev/ttyUSB0, COM3 … (default: a simulated board)")
    parser.add_argument("--live", default="8", help="seconds at real-time pace")
    parser.add_argument("--output", type=Path, help="new folder for recording, model and report")
    args = parser.parse_args(argv)
    options = ["demo", "--live", args.live]
    options += ["--port", args.port] if args.port else []
    options += ["--output", str(args.output)] if args.output else []
    return bci(options)


if __name__ == "__main__":
    sys.exit(main())
