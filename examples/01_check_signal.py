"""Is the cap on well? Every electrode as good, fair or bad, with what to do about it; Enter goes on.

Needs nothing (a simulated board), or a board with --port. Space and Esc are STOP, Q ends it.

    python examples/01_check_signal.py                       a simulated board
    python examples/01_check_signal.py --port /dev/ttyUSB0   the real one
    python examples/01_check_signal.py --lang zh             in Chinese

The same as `bci quality`; the code below is the library's way to the same verdict.
"""

from __future__ import annotations

import sys

from bci.cli import main as bci
from bci.sessions.bench import Bench
from bci.sessions.electrodes import ElectrodeWatch, summary_sentence


def look_once(port: str | None = None) -> str:
    """Five seconds of signal, all electrodes in one sentence: how a program of your own would ask."""
    with Bench(port, fast=port is None) as bench:
        watch = ElectrodeWatch(bench.info, lead_off=bench.measure_impedance())
        bench.start()
        while not watch.look():
            for chunk in bench.read(1.0):
                watch.process(chunk)
        for electrode in watch.look():
            if electrode.level == "bad":
                print(electrode.sentence, electrode.advice)
        return summary_sentence(watch.look())


def main(argv: list[str] | None = None) -> int:
    return bci(["quality", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
