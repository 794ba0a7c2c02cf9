"""A board's signal in Lab Streaming Layer, for LabRecorder, OpenViBE or MNE-LSL.

Needs nothing (a simulated board), or a board with --port. Time stamps are the
board's own sample clock on LSL's clock; lost samples go out as NaN and as
markers. Ctrl-C ends it. The same as a command: bci lsl --port PORT.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack

from bci.acquisition import open_source
from bci.acquisition.simulator import SimulatedBoard
from bci.errors import BciError
from bci.interop.lsl import LslOutlets


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", help="/dev/ttyUSB0, COM3 … (default: a simulated board)")
    parser.add_argument("--name", default="bci-hand", help="what the stream is called")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long")
    args = parser.parse_args(argv)
    sent = 0
    try:
        with ExitStack() as stack:
            port = args.port or stack.enter_context(SimulatedBoard()).port
            source = stack.enter_context(open_source(port))
            outlets = LslOutlets(source.info, name=args.name, clock=getattr(source, "clock", None))
            print(
                f"stream {args.name!r}: {source.info.n_channels} channels at {source.info.fs_hz:g} Hz",
                flush=True,
            )
            source.start()
            ends = time.monotonic() + args.seconds
            while time.monotonic() < ends:
                for chunk in source.read(timeout_s=0.1):
                    outlets.signal(chunk, arrived_ns=source.last_byte_ns or time.monotonic_ns())
                    sent += chunk.n_samples
            source.stop()
    except KeyboardInterrupt:
        pass
    except BciError as err:
        print(err, file=sys.stderr)
        return 2
    print(f"{sent} samples sent")
    return 0


if __name__ == "__main__":
    sys.exit(main())
