"""frame-validator: look at BFP streams, byte by byte, and say what is wrong with them.

One file of this folder is one subcommand: `SUMMARY` is its line in --help, `add_arguments(parser)` its options and
`run(args)` does it and returns the exit status. None imports anything heavy before it runs.
Exit status: 0 fine, 1 findings, 2 could not run, 3 no frames found.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from firmware_protocol.errors import ProtocolError
from firmware_protocol.interrupts import forget_interrupt

__all__ = ["main"]


class Subcommand(Protocol):
    """What a file of this folder holds."""

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status."""
    parser = argparse.ArgumentParser(
        prog="frame-validator",
        description="Look at BFP streams, byte by byte, and say what is wrong with them.",
        epilog="Exit status: 0 fine, 1 findings, 2 could not run, 3 no frames found.",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            command = cast(Subcommand, import_module(f"{__name__}.{module.name}"))
            of_command = subparsers.add_parser(
                module.name.replace("_", "-"),
                help=command.SUMMARY,
                description=command.__doc__,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            command.add_arguments(of_command)
            of_command.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except ProtocolError as err:
        print(f"frame-validator: {err}", file=sys.stderr)
        return 2
    except OSError as err:
        print(f"frame-validator: {err.filename or ''}: {err.strerror or err}", file=sys.stderr)
        return 2
    finally:
        forget_interrupt()
    return status
