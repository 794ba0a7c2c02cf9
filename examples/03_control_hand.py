"""From cap on to control: signal check, calibration, then the hand moves when the user intends it to.

Needs nothing (a simulated board, its wearer and a simulated hand), or a board with --port and a hand with --hand-port.
Keys: Enter goes on (after the check, and to begin the calibration), A arms the hand. Space and Esc are STOP, from every
screen; they never do anything else. A report is written at the end.

    python examples/03_control_hand.py                               a new user, the whole way
    python examples/03_control_hand.py --user u-7k3f9q               with the calibration of before, up to 12 hours old
    python examples/03_control_hand.py --hand ability --hand-port /dev/ttyUSB1 --port /dev/ttyUSB0
    python examples/03_control_hand.py --fast                        faster than life, simulated board only

The same as `bci control`.
"""

from __future__ import annotations

import sys

from bci.cli import main as bci


def main(argv: list[str] | None = None) -> int:
    return bci(["control", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
