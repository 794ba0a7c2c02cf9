"""Whether a serial link carries a stream, INFO and HEARTBEAT included, and what would fit.

frame-validator budget --channels 8 --rate 250 --baud 115200
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction

from firmware_protocol._budget import budget

SUMMARY = "whether a link carries a stream, and what would fit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channels", type=int, required=True, metavar="N", help="1-64")
    parser.add_argument(
        "--rate", type=Fraction, required=True, metavar="HZ", help="samples per second, also 500/3"
    )
    parser.add_argument("--baud", type=int, required=True, help="bits per second of the link, 8N1")
    parser.add_argument(
        "--samples-per-frame",
        type=int,
        metavar="N",
        help="conversions in a DATA packet; default: the fewest that fit",
    )
    parser.add_argument(
        "--per-converter", type=int, default=8, metavar="C", help="channels of a converter: 8, 6 or 4"
    )
    parser.add_argument("--no-status", action="store_true", help="samples without status words")
    parser.add_argument("--json", action="store_true", help="as a JSON object")


def run(args: argparse.Namespace) -> int:
    link = budget(
        args.channels,
        args.rate,
        args.baud,
        args.samples_per_frame,
        has_status=False if args.no_status else None,
        channels_per_converter=args.per_converter,
    )
    figures = {
        "fits": link.fits,
        "load": round(link.load, 4),
        "samples_per_frame": link.samples_per_frame,
        "packet_bytes": link.packet_bytes,
        "data_bytes_per_s": round(link.data_bytes_per_s, 1),
        "other_bytes_per_s": round(link.other_bytes_per_s, 1),
        "usable_bytes_per_s": round(link.usable_bytes_per_s, 1),
        "max_rate_hz": round(link.max_rate_hz, 1),
        "min_baud": link.min_baud,
        "latency_ms": round(link.latency_s * 1000, 2),
    }
    if args.json:
        print(json.dumps(figures))
    else:
        print(link.advice())
        for name, value in figures.items():
            print(f"  {name:<20}{value}")
    return 0 if link.fits else 1
