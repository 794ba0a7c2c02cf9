"""Write the C side: bfp.h and bfp.c, encoder and decoder in C99 for microcontrollers, made from the layout of SPEC.md.

They need no library, no heap and no floating point. bfp_check.c runs them, or a codec of your own, against the golden
vectors on a PC.

  frame-validator header --out firmware/protocol
  cc -std=c99 -O2 -o bfp_check firmware/protocol/bfp_check.c firmware/protocol/bfp.c
  frame-validator vectors --check ./bfp_check
"""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "write the C header and codec for microcontrollers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="folder to write to; default: here"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that differ")


def run(args: argparse.Namespace) -> int:
    from firmware_protocol.c_text import FILES, written
    from firmware_protocol.errors import CaptureError

    texts = {args.out / name: written(name) for name in FILES}
    if not args.force:
        for path, text in texts.items():
            if path.exists() and path.read_text(encoding="utf-8") != text:
                raise CaptureError(
                    f"{path} is there and differs; --force overwrites it, --out DIR writes elsewhere"
                )
    args.out.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0
