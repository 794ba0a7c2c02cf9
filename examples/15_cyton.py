"""Alpha rhythm of an OpenBCI Cyton (8 channels, with Daisy 16), by the second.

Close your eyes and watch it rise. --port names the dongle's port; without it a
simulated board speaks the Cyton's bytes. Lost packets are counted, never closed
up. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

import numpy as np

from bci.acquisition import open_source
from bci.acquisition.simulator import SimulatedBoard, Synthetic
from bci.dsp import SosFilter, design_bandpass
from bci.errors import BciError

MONTAGE = ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", help="the dongle's: /dev/ttyUSB0, COM3 … (default: a simulated Cyton)")
    parser.add_argument("--seconds", type=int, default=3600, help="stop after so long")
    args = parser.parse_args(argv)
    try:
        with ExitStack() as stack:
            port = (
                args.port
                or stack.enter_context(SimulatedBoard(Synthetic(montage=MONTAGE), dialect="cyton")).port
            )
            source = stack.enter_context(open_source(f"cyton://{port}"))
            watch(source, args.seconds)
    except KeyboardInterrupt:
        pass
    except BciError as err:
        print(err, file=sys.stderr)
        return 2
    return 0


def watch(source, seconds: int) -> None:
    info, held, shown = source.info, [], 0
    alpha = SosFilter(design_bandpass(8, 13, fs_hz=info.fs_hz), n_channels=info.n_channels)
    print(f"{info.device}: {' '.join(info.channels)} at {info.fs_hz:g} Hz", flush=True)
    source.start()
    while shown < seconds:
        for chunk in source.read(timeout_s=0.5):
            if chunk.lost_before:
                alpha.reset()  # a recursive filter must not meet a hole
            held.append(alpha.process(chunk.data_uv))
        if sum(part.shape[1] for part in held) >= info.fs_hz:
            rms = np.concatenate(held, axis=1).std(axis=1)
            held, shown = [], shown + 1
            best = int(np.argmax(rms))
            print(f"{shown:4d} s  alpha {np.median(rms):5.1f} µV, most at {info.channels[best]} ({rms[best]:.1f} µV); "
                  f"{source.statistics.samples_lost} samples lost", flush=True)  # fmt: skip
    source.stop()


if __name__ == "__main__":
    sys.exit(main())
