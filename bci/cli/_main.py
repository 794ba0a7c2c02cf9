"""Dispatch: one module per subcommand, loaded only when it is called, and one place where errors become exit codes."""

from __future__ import annotations

import importlib
import logging
import sys

import click

from bci import __version__
from bci.errors import BciError

#: Subcommand -> what `bci --help` says of it. Its code is `bci.cli.<name>:command`, loaded when it is called.
COMMANDS = {
    "demo": "Simulated board or real recording -> calibration -> control of a hand -> report.",
    "doctor": "Find out why no good signal comes, and what to do next.",
    "evaluate": "How well intended movement is decoded from recordings, on runs not seen before.",
    "ports": "List serial ports and what is known of them.",
    "record": "Stream from a board into a .bfp recording.",
    "recover": "Save what is whole of a recording that was cut off.",
    "replay": "Play a recording again; decide again from a session and compare.",
    "selftest": "Measure on this machine what the documentation promises.",
    "simulate": "Run a simulated board that any program can connect to.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bci.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))  # from the table: --help loads no subcommand


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bci")
@click.option("--debug", is_flag=True, help="Show the full traceback of an error, and the library's log.")
def group(debug: bool) -> None:
    """From an EEG acquisition chip to a prosthetic hand.

    Research software, no certified medical device. `bci demo` shows everything at once, without any hardware.
    """
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("numba").setLevel(logging.WARNING)  # its debug log is a compiler's, thousands of lines
    logging.getLogger("matplotlib").setLevel(logging.WARNING)


def run(argv: list[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    debug = "--debug" in argv
    if debug:  # accepted anywhere: people add it at the end of the line that failed
        argv = ["--debug", *(word for word in argv if word != "--debug")]
    try:
        code = group.main(args=argv, prog_name="bci", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except click.ClickException as err:
        err.show()
        return 2
    except BciError as err:
        if debug:
            raise
        click.echo(f"bci: {err}", err=True)
        return 2
    except BrokenPipeError:  # the reader of our output, e.g. `head`, has seen enough
        sys.stderr.close()
        return 0


def _interrupted() -> int:
    click.echo("\nInterrupted. Everything is closed.", err=True)
    return 130
