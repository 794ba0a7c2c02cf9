"""Does a board keep the protocol?

Talk to it with every command, damage and silence, and list what it gets wrong.
Needs nothing (a simulated board), or a board with --port. Each finding names
rule, place and reason; the whole suite takes minutes, --quick less than one.
The same as a command: frame-validator conform PORT. Exit status 1: findings.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from bci.acquisition.simulator import SimulatedBoard
from bci.errors import BciError
from firmware_protocol.cli import main as frame_validator


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", help="/dev/ttyUSB0, COM3 … (default: a simulated board)")
    parser.add_argument("--steps", help="only these, by name or number: identify,watchdog …")
    parser.add_argument("--quick", action="store_true", help="leave the long steps out")
    parser.add_argument("--html", type=Path, help="also write a report for people")
    args = parser.parse_args(argv)
    try:
        with ExitStack() as stack:
            port = args.port or stack.enter_context(SimulatedBoard()).port
            options = ["conform", port]
            options += ["--steps", args.steps] if args.steps else []
            options += ["--quick"] if args.quick else []
            options += ["--html", str(args.html)] if args.html else []
            return frame_validator(options)
    except BciError as err:
        print(err, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
