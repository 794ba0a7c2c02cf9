"""Dispatch: one module per subcommand, loaded only when it is called, and one place where errors become exit codes."""

from __future__ import annotations

import importlib
import logging
import sys
from keyword import iskeyword

import click

from bci import __version__
from bci.cli._console import prepare_console
from bci.cli._help import spoken_help
from bci.cli._language import CLINIC, language_option, speak, spoken_in
from bci.errors import BciError
from bci.language import _
from firmware_protocol.interrupts import forget_interrupt

#: Subcommand -> what `bci --help` says of it. Its code is `bci.cli.<name>:command` (`import_` for import), loaded when
#: it is called.
COMMANDS = {
    "batch": "The same work on many recordings: one computer or a cluster, one table and report.",
    "calibrate": "Guided calibration: cues, an honest result, and a model.",
    "control": "Control the hand with today's calibration; Space and Esc are STOP.",
    "demo": "Simulated board or real recording -> calibration -> control of a hand -> report.",
    "doctor": "Find out why no good signal comes, and what to do next.",
    "evaluate": "How well intended movement is decoded from recordings, on runs not seen before.",
    "export": "Write a recording as BDF, EDF, BIDS, XDF, FIF, CSV, FHIR or DICOM.",
    "import": "Make a recording of a file of another system: EDF, BDF, GDF, FIF, XDF, OpenBCI …",
    "live": "The signal live in the browser or in this terminal, with electrodes and bands.",
    "lsl": "Send a board's signal to the network over Lab Streaming Layer.",
    "ports": "List serial ports and what is known of them.",
    "qualify": "Test boards of a pilot line: measure, judge by limits, keep, and write a sheet.",
    "quality": "Is the cap on well? Every electrode, and what to do.",
    "record": "Stream from a board into a .bfp recording.",
    "recover": "Save what is whole of a recording that was cut off.",
    "replay": "Play a recording again; decide again from a session and compare.",
    "report": "Write the report of a session: one file to read, print and keep.",
    "selftest": "Measure on this machine what the documentation promises.",
    "sessions": "Users and visits, compared over weeks; delete a user.",
    "simulate": "Run a simulated board that any program can connect to.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bci.cli.{cmd_name}{'_' * iskeyword(cmd_name)}")
        command = module.command
        assert isinstance(command, click.Command)
        return spoken_help(command) if cmd_name in CLINIC else command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table: --help loads no subcommand.
        clinic = [(name, _(says)) for name, says in COMMANDS.items() if name in CLINIC]
        others = [(name, _(says)) for name, says in COMMANDS.items() if name not in CLINIC]
        with formatter.section(_("Commands for clinic and bench")):
            formatter.write_dl(clinic)
        with formatter.section(_("Commands for research and development, in English only")):
            formatter.write_dl(others)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bci")
@click.option("--debug", is_flag=True, help="Show the full traceback of an error, and the library's log.")
@language_option
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
    prepare_console()
    language, argv = spoken_in(sys.argv[1:] if argv is None else argv)  # wherever --lang stands
    speak(language)  # before any help is written
    debug = "--debug" in argv
    if debug:  # accepted anywhere: people add it at the end of the line that failed
        argv = ["--debug", *(word for word in argv if word != "--debug")]
    try:
        code = spoken_help(group).main(args=argv, prog_name="bci", standalone_mode=False)
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
    finally:
        forget_interrupt()


def _interrupted() -> int:
    click.echo("\n" + _("Interrupted. Everything is closed."), err=True)
    return 130
