"""Is the cap on well? Shows every channel's quality in plain words, a new look each second.

Needs nothing (a simulated board), or a board with --port. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from bci.acquisition import open_source
from bci.acquisition.simulator import SimulatedBoard
from bci.dsp import QualityWatch
from bci.errors import BciError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", help="/dev/ttyUSB0, COM3 … (default: a simulated board)")
    parser.add_argument("--seconds", type=int, default=3600, help="stop after so long")
    args = parser.parse_args(argv)
    try:
        with ExitStack() as stack:
            port = args.port or stack.enter_context(SimulatedBoard()).port
            source = stack.enter_context(open_source(port))
            watch(source, args.seconds)
    except KeyboardInterrupt:
        pass
    except BciError as err:
        print(err, file=sys.stderr)
        return 2
    return 0


def watch(source, seconds: int) -> None:
    info, shown, samples = source.info, 0, 0
    quality = QualityWatch(info.n_channels, fs_hz=info.fs_hz, channels=info.channels)
    source.start()
    while shown < seconds:
        for chunk in source.read(timeout_s=0.5):
            quality.process(chunk.data_uv, chunk.first_sample)
            samples += chunk.n_samples
        if samples >= (shown + 1) * info.fs_hz:
            shown += 1
            channels = quality.look()
            told = "; ".join(f"{c.channel} {c.score}: {c.reasons[0]}" for c in channels if c.score < 80)
            print(
                f"{shown:4d} s  {told or ('all channels are good' if channels else 'listening')}", flush=True
            )
    source.stop()


if __name__ == "__main__":
    sys.exit(main())
